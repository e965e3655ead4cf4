//! The promises of the refresh protocol, G1 to G8, over real stores and a real token endpoint.

mod crowd;
mod races;
