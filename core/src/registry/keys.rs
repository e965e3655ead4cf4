//! Key rotation while running.

use super::OAuth;
use crate::{Error, ErrorCode, KeyRing, Phase, Reseal, Resealing, Result};

impl OAuth {
    /// Replaces the key ring of the running registry, for records and for cookies: whoever reads or writes from now on does so
    /// with the new one.
    ///
    /// To roll a key through a fleet: give every process a ring with the new key behind the first (it opens), then one with
    /// the new key first (it seals), then [`reseal`](Self::reseal) in one process, and once its report says that the old key
    /// [is not used any more](crate::ResealReport::may_use), a ring without it.
    ///
    /// A process that lags behind loses nothing. Of what is sealed by a key that it lacks it serves the access tokens that it
    /// has in memory while they last, and then answers `key_missing`; it takes no such record for absent, and never writes
    /// its secrets; it follows changes, and it logs out.
    ///
    /// # Errors
    /// `not_initialized`; `invalid_configuration` if the registry was built without a ring, or if an id names another key than
    /// it did: nothing changes then.
    pub fn set_key_ring(&self, ring: KeyRing) -> Result<()> {
        let ready = self.ready()?;
        let refused = |what: String| {
            Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                what,
            ))
        };
        let Some(live) = &ready.sealing().ring else {
            return refused(
                "the registry was built without a key ring: its records are not sealed; build it with key_ring(…)".to_owned(),
            );
        };
        if let Some(id) = ring.contradicts(&live.current()) {
            return refused(format!(
                "the key {id:?} of the new ring is another one than that of the old: give a new key an id of its own"
            ));
        }
        tracing::info!(keys = ?ring, "the key ring is replaced");
        live.replace(ring);
        // What could not be opened may open now.
        ready.keeper().distrust();
        Ok(())
    }

    /// Seals everything anew that is not sealed by the first key of the ring, grants and sessions, in the background: page by
    /// page, so many records a second, beside refreshes, logins and logouts, which it neither stops nor disturbs. What is in
    /// plain (after [`dangerously_plain_text_records`](crate::OAuthBuilder::dangerously_plain_text_records)) is sealed too.
    ///
    /// ```
    /// # async fn roll(oauth: tokenkeep_core::OAuth) -> tokenkeep_core::Result<()> {
    /// use tokenkeep_core::{KeyRing, Reseal};
    ///
    /// oauth.set_key_ring(KeyRing::from_env("TOKENKEEP_KEYS")?)?;
    /// let report = oauth.reseal(Reseal::new().records_per_second(500)).await?.finish().await;
    /// if !report.may_use("2024") {
    ///     println!("the key of 2024 can go");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It can be called again at any time: a record that is sealed by the first key is only looked at.
    ///
    /// # Errors
    /// `unsupported` if the store has no `find_tokens`; `key_ring_required` if the registry was built without one.
    ///
    /// # Cancel safety
    /// It stops nothing to drop the future or what it answers.
    pub async fn reseal(&self, options: Reseal) -> Result<Resealing> {
        self.ready()?.keeper().reseal(options)
    }
}
