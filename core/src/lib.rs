//! tokenkeep.
