//! What goes on in the background, and the same by hand.

use super::{OAuth, OAuthBuilder};
use crate::{Error, ErrorCode, KeptAlive, Phase, Result, Upkeep};

impl OAuthBuilder {
    /// What the registry does by itself: everything that its store allows if not said.
    pub fn upkeep(mut self, upkeep: Upkeep) -> Self {
        self.upkeep = upkeep;
        self
    }
}

impl OAuth {
    /// Goes through a client's grants once, and refreshes those that were idle for as long as its
    /// [`keep_alive`](crate::Registration::keep_alive) says, as the background does: for a client of a
    /// [`ClientSource`](crate::ClientSource), or where there is [no upkeep](Upkeep::none).
    ///
    /// What fails is told as events, like every refresh.
    ///
    /// # Errors
    /// `unknown_client`; `invalid_configuration` if its registration has no `keep_alive`; `unsupported` if the store has no
    /// `find_tokens`; `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future ends the pass; a refresh that is under way goes on.
    pub async fn keep_alive(&self, client: &str) -> Result<KeptAlive> {
        let ready = self.ready()?;
        let state = ready.client_state(client).await?;
        let Some(every) = state.resolved.keep_alive else {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "the registration does not say how long its grants may be idle: add .keep_alive(…)",
            )
            .with_client(client));
        };
        ready.keeper().keep_alive(client, every).await
    }
}
