//! A logout that comes before the login it ends: it is remembered for as long as a login may take.
//!
//! A logout marks first and ends then what it finds; a login is kept first and looks for a mark then. So one of the two
//! sees the other.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::ending::{Of, Whose};
use crate::{
    Error, ErrorCode, Login, LogoutCause, OAuth, Phase, Result, Timestamp, TokenKey,
    client::ClientState, registry::Ready,
};

const SPACE: &str = "logout";

/// A short name for something, that says nothing of it: the digest of its parts, each with its length.
pub(super) fn name_of(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

/// Where the mark of a logout stands.
fn place(state: &ClientState, whose: &Whose) -> String {
    let (kind, of) = match &whose.of {
        Of::Session { sid, .. } => ("sid", sid),
        Of::Subject(subject) => ("sub", subject),
    };
    name_of(&[state.name(), &whose.issuer, kind, of])
}

impl Ready {
    /// Remembers a logout, where the store can.
    pub(super) async fn mark(&self, state: &ClientState, whose: &Whose) -> Result<()> {
        if !self.keeper().store().capabilities().once {
            return Ok(());
        }
        let place = place(state, whose);
        let now = self.clock().now();
        if !self.put_mark(&place, now).await? {
            // An older one is not long enough there, and says too early a time.
            self.keeper().take(SPACE, &place).await?;
            self.put_mark(&place, now).await?;
        }
        Ok(())
    }

    async fn put_mark(&self, place: &str, at: Timestamp) -> Result<bool> {
        let value = at.as_millis().to_string();
        self.keeper()
            .put_once(SPACE, place, value.as_bytes(), Self::longest_login())
            .await
    }

    /// When a logout was remembered. It can only be taken: it is put back at once.
    async fn marked_at(&self, place: &str) -> Result<Option<Timestamp>> {
        let Some(value) = self.keeper().take(SPACE, place).await? else {
            return Ok(None);
        };
        let millis = std::str::from_utf8(&value).ok();
        // One that cannot be read was put by a newer version: whatever it says, there was a logout.
        let at = millis
            .and_then(|millis| millis.parse().ok())
            .map_or_else(|| self.clock().now(), Timestamp::from_millis);
        let is_over = self.clock().now().since(at) >= Self::longest_login();
        if is_over {
            return Ok(None);
        }
        self.put_mark(place, at).await?;
        Ok(Some(at))
    }
}

impl OAuth {
    /// Ends a login that was kept, if the provider ended its session while it was under way.
    ///
    /// # Errors
    /// `login_required` if it did.
    pub(super) async fn refuse_if_ended(
        &self,
        ready: &Ready,
        login: &Login,
        grant: &TokenKey,
        session: Option<&TokenKey>,
    ) -> Result<()> {
        let Some(claims) = &login.claims else {
            return Ok(());
        };
        if !ready.keeper().store().capabilities().once {
            return Ok(());
        }
        let state = ready.client_state(&login.client).await?;
        let whose = |of| Whose {
            issuer: login.issuer.clone(),
            of,
            algorithm: None,
        };
        let of_session = claims.sid().map(|sid| {
            whose(Of::Session {
                sid: sid.to_owned(),
                subject: None,
            })
        });
        let of_subject = whose(Of::Subject(claims.subject().to_owned()));
        // A login that began later belongs to another session, whatever name a provider gives it. The clocks of two processes
        // may differ; but whoever comes back at once is not to be kept out by the logout of all their sessions.
        let began_before = async |whose: &Whose, skew: Duration| {
            let at = ready.marked_at(&place(&state, whose)).await?;
            Ok::<_, Error>(at.is_some_and(|at| login.started_at <= at + skew))
        };
        if let Some(whose) = &of_session
            && began_before(whose, state.resolved.clock_leeway).await?
        {
            // Another login may have looked while the mark was in our hands: what it began ends here too.
            ready.end_by_provider(&state, whose).await?;
        } else if !began_before(&of_subject, Duration::ZERO).await? {
            return Ok(());
        }
        let cause = LogoutCause::Provider;
        match session {
            Some(session) => {
                ready.end_key(session, cause).await?;
                ready.end_grant_of(&state, session, cause).await?;
            }
            None => drop(ready.end_grant(&state, grant, None, cause).await?),
        }
        Err(Error::new(
            ErrorCode::LoginRequired,
            Phase::Session,
            "the provider ended this user's session while the login was under way",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_where_their_parts_end() {
        assert_ne!(name_of(&["a", "bc"]), name_of(&["ab", "c"]));
        assert_ne!(name_of(&["a"]), name_of(&["a", ""]));
        assert_eq!(name_of(&["a", &"x".repeat(100_000)]).len(), 43);
        assert!(Duration::from_secs(600) < Ready::longest_login());
    }
}
