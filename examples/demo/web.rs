//! The two frameworks that can serve the application. Each has its routes and extractors; what they answer is the
//! application's.

pub(crate) mod by_actix;
pub(crate) mod by_axum;
#[cfg(test)]
mod tests;

use clap::ValueEnum;

/// Which one serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Web {
    /// axum, with the hook tokenkeep::axum
    Axum,
    /// actix-web, with the hook tokenkeep::actix
    Actix,
}
