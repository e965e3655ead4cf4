//! tokenkeep.
pub mod conformance;
