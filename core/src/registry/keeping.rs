//! Tokens that the application keeps itself, or has kept so far: closures for every client.

use std::future::Future;

use super::OAuthBuilder;
use crate::{
    Replaced, Token, TokenKey,
    closures::{BoxError, delete, fetch, update},
};

/// # Tokens that live elsewhere
impl OAuthBuilder {
    /// Reads tokens by a closure, from wherever the application keeps them; [`update_token`](Self::update_token) belongs
    /// to it. For every client, or for one by [`Registration::fetch_token`](crate::Registration::fetch_token). With a
    /// [`store`](Self::store) beside it, that keeps the browsers' sessions, and the grants of clients without closures.
    ///
    /// It gets the key: the client's name, the [owner](TokenKey::owner_column) and the [slot](TokenKey::slot) (an account
    /// of another label is another row). The application's own tokens ([`Client::app`](crate::Client::app)) have an empty
    /// owner. It has [`store_timeout`](Self::store_timeout); an error is reported, and is never "no token". It is called
    /// several times for one refresh, and whenever a token in memory is verified: let it be a plain read.
    ///
    /// # What is promised
    /// Closures can neither compare nor announce, so less than with a store. It holds that one process refreshes a token
    /// once (G1), that an answer that came is not lost while the process lives (G5), and that an unexpired token is served
    /// whatever fails (G7). Between **processes** it does not hold that a token is refreshed once (G2), that the newest
    /// answer wins (G3), and that a logout beats a refresh under way (G4): use a store where several processes refresh.
    ///
    /// Nothing is sealed by us: the application gets and gives tokens as they are. Leases, pauses and "this grant is dead"
    /// are known to this process until it ends. What another process or old code wrote is found within
    /// [`snapshot_age`](Self::snapshot_age); a row counts as written when its access or refresh token changed, and one that
    /// shows a token again that this process replaced (a row that was saved whole, from an older read) is put right.
    /// Tokens for other [scopes](crate::Grant::scopes) or [resources](crate::Grant::resource) than the login's stay in
    /// memory, and [`OAuth::grants`](crate::OAuth::grants) lists none of this.
    pub fn fetch_token<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Token>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.fetch = Some(fetch(closure));
        self
    }

    /// Writes tokens by a closure: a login's, a renewed one, and one whose access token ended early (its expiry lies in the
    /// past then). The token carries everything there is to write, the refresh token too, renewed or not; the marks of what
    /// it [replaced](Replaced) help to find a row by them.
    ///
    /// An error loses nothing: the renewed token is served from memory, the closure is called again until it takes it
    /// ([`CommitPending`](crate::TokenUpdate::CommitPending) tells), and [`drain`](crate::OAuth::drain) waits for it. So a
    /// write that was applied may come again. Insert the row if it is not there: a login does.
    ///
    /// Where a provider gives a refresh token at the first login only, keep the one that stands there
    /// (`refresh_token = COALESCE(?, refresh_token)`).
    pub fn update_token<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey, Token, Replaced) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.update = Some(update(closure));
        self
    }

    /// Removes a token by a closure, at a logout. Without it, logging out of a grant that closures keep is refused
    /// (`unsupported`): the row would bring it back when the process starts again.
    pub fn delete_token<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.delete = Some(delete(closure));
        self
    }

    /// Asks a closure for the tokens of a user's grant where the store has no row: the way to move in with a table of
    /// before. What it answers is [adopted](crate::OAuth::adopt), once, however many ask in however many processes. For every
    /// client, or for one by [`Registration::on_missing`](crate::Registration::on_missing).
    ///
    /// One question at a time for each key of a process, bounded by [`store_timeout`](Self::store_timeout). "Nothing" is
    /// remembered for 30 s, of 100,000 keys at most; an error is reported (`store_unavailable`), and neither remembered nor
    /// taken for "no token". The application's own tokens are not asked for: they are got anew.
    ///
    /// Once a row was adopted, its refresh token is ours: old code that refreshes it too ends the grant at a provider that
    /// rotates. It may go on reading what the hook [`after_update`](crate::Hook::after_update) writes back.
    ///
    /// # What was logged out
    /// A logout leaves a tombstone, and a key that has one is not asked for. But tombstones are
    /// [purged](crate::OAuth::purge), and a row that was never adopted leaves none: so clear the old row at logout, by the
    /// hook [`after_logout`](crate::Hook::after_logout). Otherwise it comes back as if nobody had logged out.
    pub fn on_missing<F, Fut, E>(mut self, closure: F) -> Self
    where
        F: Fn(TokenKey) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Token>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.closures.on_missing = Some(fetch(closure));
        self
    }
}
