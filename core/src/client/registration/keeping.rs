//! Tokens that the application keeps itself, or has kept so far: one client's closures.

use std::future::Future;

use super::Registration;
use crate::{
    Replaced, Token, TokenKey,
    closures::{BoxError, Closures, delete, fetch, update},
};

impl Registration {
    /// Reads this client's tokens by a closure of the application's: see
    /// [`OAuthBuilder::fetch_token`](crate::OAuthBuilder::fetch_token), which does the same for every client.
    /// [`update_token`](Self::update_token) belongs to it.
    #[must_use]
    pub fn fetch_token<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Token>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.fetch = Some(fetch(closure));
        self
    }

    /// Writes this client's tokens by a closure: see [`OAuthBuilder::update_token`](crate::OAuthBuilder::update_token).
    #[must_use]
    pub fn update_token<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey, Token, Replaced) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.update = Some(update(closure));
        self
    }

    /// Removes this client's tokens by a closure: see [`OAuthBuilder::delete_token`](crate::OAuthBuilder::delete_token).
    #[must_use]
    pub fn delete_token<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.delete = Some(delete(closure));
        self
    }

    /// Asks for this client's tokens where the store has none: see
    /// [`OAuthBuilder::on_missing`](crate::OAuthBuilder::on_missing), whose place it takes for this client.
    #[must_use]
    pub fn on_missing<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Token>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.on_missing = Some(fetch(closure));
        self
    }

    pub(crate) fn closures(&self) -> &Closures {
        &self.closures
    }
}
