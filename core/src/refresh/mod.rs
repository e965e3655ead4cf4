//! How a token is refreshed once for the whole fleet, over any store.
//!
//! [`transition`] and [`decide`] are pure; [`transact`] runs transitions against the store, at which [`keeper`] looks;
//! [`coordinator`] gathers the callers, [`attempt`] and [`commit`] are the way of a refresh; [`lifecycle`] is how records begin
//! and end, [`missing`] what becomes of tokens that live elsewhere; [`snapshot`] is what callers read; [`news`] tells who
//! listens.

mod attempt;
mod breaker;
mod circuit;
mod commit;
mod coordinator;
mod decide;
mod forget;
mod keeper;
mod lifecycle;
mod listing;
mod missing;
#[cfg(test)]
mod model;
mod news;
mod refusal;
mod reseal;
mod revoke;
mod rules;
mod snapshot;
mod source;
mod transact;
mod transition;
mod upkeep;

pub use forget::{AtProvider, Forgotten, ForgottenGrant};
pub(crate) use keeper::{Keeper, KeeperParts, Timing, WeakKeeper};
pub use reseal::{Reseal, ResealReport, Resealing};
pub(crate) use snapshot::{Entry, Held, Need};
pub(crate) use source::{Ask, ClientTerms, Known, TokenSource};
pub(crate) use transition::{Binding, IssuedBy, Login};
pub use upkeep::{KeptAlive, Upkeep};
