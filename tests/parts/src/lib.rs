//! Private instances of the real servers.
