//! The promises of the refresh protocol, G1 to G8, over real stores and a real token endpoint.

mod answers;
mod app;
mod circuit;
mod commits;
mod crowd;
mod events;
mod failover;
mod hooks;
mod identity;
mod lifecycle;
mod losses;
mod neighbours;
mod races;
mod store_faults;
mod vanished;

pub(crate) use hooks::Refuses;
