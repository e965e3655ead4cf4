//! OAuth 2.0 and OpenID Connect clients that keep their tokens.

#[cfg(feature = "axum")]
pub use tokenkeep_axum as axum;
pub use tokenkeep_core::*;
#[cfg(feature = "memory")]
pub use tokenkeep_memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use tokenkeep_sql::{self as sql, SqliteStore};
