//! How a token is refreshed once for the whole fleet, over any store.
//!
//! [`transition`] is pure; the coordinator runs it; a snapshot is what callers read.

mod transition;
