//! How a client proves who it is, and the grants beside the authorization code.

mod certificates;
mod client_auth;
mod device;
mod others;
mod service;
