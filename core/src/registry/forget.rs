//! Forgetting an owner.

use super::OAuth;
use crate::{Forgotten, Result};

impl OAuth {
    /// Forgets an owner: every grant and session of theirs, at every client, ends at once in the whole fleet, their tokens are
    /// revoked at the providers (RFC 7009) as far as that can be done, and their rows are removed. For deleting an account,
    /// or for ending everything after a break-in.
    ///
    /// Nothing that is under way brings anything back. The answer to a refresh that was sent before is not kept, and its
    /// refresh token is revoked when it comes; a login that was looking at the owner's records is refused with
    /// `login_required`. A row that is younger than two minutes stays so long as a tombstone, which holds nothing but its key
    /// and history: without it, a login that began before the row was there could not be told from a new one.
    ///
    /// Grants that live elsewhere end too, at the registered clients: behind [closures](crate::OAuthBuilder::fetch_token) the
    /// default account, and every other one that this process has used, by `delete_token`; and the hook
    /// [`after_logout`](crate::Hook::after_logout) is called for each grant, and for the default account of every other
    /// client, to clear an [old table](crate::OAuthBuilder::on_missing) and mirrored columns: no tombstone would stand in its
    /// way. What fails of it is in the answer, by its key. Of a [`ClientSource`](crate::ClientSource)'s clients only what the
    /// store holds is known.
    ///
    /// A login that begins later is a new one. Close that door first: delete the user, or refuse in
    /// [`before_login_kept`](crate::Hook::before_login_kept). The same goes for whatever [adopts](Self::adopt) tokens.
    ///
    /// Safe to call twice and in several processes: whatever one call finds ended, it leaves alone.
    ///
    /// # Errors
    /// `unsupported` if the store has no `find_tokens`: log out each grant by its key; `invalid_key` for an owner that cannot be
    /// one; `store_unavailable`. What could not be ended is in the answer.
    ///
    /// # Cancel safety
    /// Dropping the future stops nothing: it goes on, and only its answer is lost.
    pub async fn forget(&self, owner: &str) -> Result<Forgotten> {
        self.ready()?.keeper().forget(owner).await
    }
}
