//! How a token is refreshed once for the whole fleet, over any store.
//!
//! [`transition`] is pure; [`keeper`] runs transitions against the store; [`coordinator`] gathers the callers,
//! [`attempt`] and [`commit`] are the way of a refresh; [`lifecycle`] is how records begin and end, [`missing`]
//! what becomes of tokens that live elsewhere; [`snapshot`] is what
//! callers read; [`news`] tells who listens.

mod attempt;
mod breaker;
mod commit;
mod coordinator;
mod keeper;
mod lifecycle;
mod missing;
mod news;
mod refusal;
mod snapshot;
mod source;
mod transition;

pub(crate) use keeper::{Keeper, KeeperParts, Timing, WeakKeeper};
pub(crate) use snapshot::{Entry, Held, Need};
pub(crate) use source::{Ask, ClientTerms, Known, TokenSource};
pub(crate) use transition::{Binding, Login};
