//! A token and its secrets, the key it is kept under, and the record with its formats.

mod key;
mod secret;

pub use key::{Owner, Slot, TokenKey};
pub use secret::Secret;
