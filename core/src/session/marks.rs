//! A logout that comes before the login it ends: it is remembered for as long as a login may take.
//!
//! A logout marks first and ends then what it finds; a login is kept first and looks for a mark then. So one of the two
//! sees the other.

use std::{future::Future, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::ending::{Of, Whose};
use crate::{
    Error, ErrorCode, Login, LogoutCause, OAuth, Phase, Result, Timestamp, TokenKey,
    client::ClientState, registry::Ready,
};

const SPACE: &str = "logout";

/// Who looks for a mark now.
const TURN: &str = "logout-look";

/// Much longer than the few calls of the store that it takes; so long the user's next login waits if a process dies in its
/// turn. Whoever takes longer and finds a mark still ends what others began meanwhile.
const TURN_LASTS: Duration = Duration::from_secs(5);

const TURN_PAUSE: Duration = Duration::from_millis(20);

/// How often a mark is put in an older one's place.
const TRIES: usize = 20;

/// A short name for something, that says nothing of it: the digest of its parts, each with its length.
pub(super) fn name_of(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(context.finish())
}

/// Whose logout a mark remembers.
#[derive(Clone, Copy)]
enum Marked<'a> {
    /// That of the provider's session.
    Session(&'a str),
    /// That of some session of this user: it may have been one whose logins name no `sid`.
    Nameless(&'a str),
    /// That of all sessions of this user.
    Subject(&'a str),
}

impl Marked<'_> {
    /// Where the mark stands.
    fn place(self, client: &str, issuer: &str) -> String {
        let (kind, of) = match self {
            Self::Session(sid) => ("sid", sid),
            Self::Nameless(subject) => ("nameless", subject),
            Self::Subject(subject) => ("sub", subject),
        };
        name_of(&[client, issuer, kind, of])
    }
}

impl Ready {
    /// Remembers a logout, where the store can.
    pub(super) async fn mark(&self, state: &ClientState, whose: &Whose) -> Result<()> {
        if !self.keeper().store().capabilities().once {
            return Ok(());
        }
        let (named, nameless) = match &whose.of {
            Of::Session { sid, subject } => (Marked::Session(sid), subject.as_deref()),
            Of::Subject(subject) => (Marked::Subject(subject), None),
        };
        for marked in std::iter::once(named).chain(nameless.map(Marked::Nameless)) {
            self.mark_at(&marked.place(state.name(), &whose.issuer))
                .await?;
        }
        Ok(())
    }

    async fn mark_at(&self, place: &str) -> Result<()> {
        let now = self.clock().now();
        for _ in 0..TRIES {
            if self.put_mark(place, now).await? {
                return Ok(());
            }
            // An older one is not long enough there, and says too early a time. A login that looks at it may put it back.
            self.keeper().take(SPACE, place).await?;
        }
        Err(unavailable(
            "a logout could not be remembered: too many logins look for it",
        ))
    }

    async fn put_mark(&self, place: &str, at: Timestamp) -> Result<bool> {
        let value = at.as_millis().to_string();
        self.keeper()
            .put_once(SPACE, place, value.as_bytes(), Self::longest_login())
            .await
    }

    /// When a logout was remembered. It can only be taken: it is put back at once. So one looks at a time: see
    /// [`in_turn`](Self::in_turn).
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

    /// Does something while nobody else in the fleet does so in the same turn. Of two that look for a mark at once, one would
    /// find nothing while it is in the other's hands.
    async fn in_turn<T>(&self, turn: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (clock, since) = (self.clock(), self.clock().monotonic());
        while !self.keeper().put_once(TURN, turn, &[], TURN_LASTS).await? {
            if clock.monotonic().saturating_sub(since) > TURN_LASTS {
                return Err(unavailable("too many logins of one user come back at once"));
            }
            clock.sleep(TURN_PAUSE).await;
        }
        let mine_since = clock.monotonic();
        let done = work.await;
        // Otherwise it is over, and may be somebody else's by now.
        if clock.monotonic().saturating_sub(mine_since) < TURN_LASTS
            && let Err(error) = self.keeper().take(TURN, turn).await
        {
            tracing::warn!(%error, "other logins of a user wait until this one's turn is over");
        }
        done
    }
}

/// A login that was kept, as far as a logout may end it.
struct Begun {
    client: String,
    issuer: String,
    sid: Option<String>,
    subject: String,
    started_at: Timestamp,
    grant: TokenKey,
    session: Option<TokenKey>,
}

impl OAuth {
    /// Ends a login that was kept, if the provider ended its session while it was under way. Whether the caller waits or not:
    /// a browser that hangs up in between must not get a mark lost.
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
        let begun = Begun {
            client: login.client.clone(),
            issuer: login.issuer.clone(),
            sid: claims.sid().map(str::to_owned),
            subject: claims.subject().to_owned(),
            started_at: login.started_at,
            grant: grant.clone(),
            session: session.cloned(),
        };
        let (sender, answer) = tokio::sync::oneshot::channel();
        let oauth = self.clone();
        ready.keeper().spawn(async move {
            // Whoever asked may be gone.
            let _ = sender.send(begun.refuse_if_ended(&oauth).await);
        });
        answer
            .await
            .map_err(|_| unavailable("the login was cut short by the end of its runtime"))?
    }
}

impl Begun {
    async fn refuse_if_ended(&self, oauth: &OAuth) -> Result<()> {
        let ready = oauth.ready()?;
        let state = ready.client_state(&self.client).await?;
        let turn = name_of(&[&self.client, &self.issuer, &self.subject]);
        if !ready.in_turn(&turn, self.was_ended(ready, &state)).await? {
            return Ok(());
        }
        let cause = LogoutCause::Provider;
        match &self.session {
            Some(session) => {
                ready.end_key(session, cause).await?;
                ready.end_grant_of(&state, session, cause).await?;
            }
            None => drop(ready.end_grant(&state, &self.grant, None, cause).await?),
        }
        Err(Error::new(
            ErrorCode::LoginRequired,
            Phase::Session,
            "the provider ended this user's session while the login was under way",
        ))
    }

    async fn was_ended(&self, ready: &Ready, state: &ClientState) -> Result<bool> {
        // A login that began later belongs to another session, whatever name a provider gives it. The clocks of two processes
        // may differ; but whoever comes back at once is not to be kept out by the logout of all their sessions.
        let began_before = async |marked: Marked<'_>, skew: Duration| {
            let place = marked.place(&self.client, &self.issuer);
            let at = ready.marked_at(&place).await?;
            Ok::<_, Error>(at.is_some_and(|at| self.started_at <= at + skew))
        };
        match &self.sid {
            Some(sid) => {
                let leeway = state.resolved.clock_leeway;
                if began_before(Marked::Session(sid), leeway).await? {
                    // Another user's login may name the same session, and have looked while the mark was in our hands: what it
                    // began ends here too.
                    let whose = Whose {
                        issuer: self.issuer.clone(),
                        of: Of::Session {
                            sid: sid.clone(),
                            subject: None,
                        },
                        algorithm: None,
                    };
                    ready.end_by_provider(state, &whose).await?;
                    return Ok(true);
                }
            }
            None => {
                if began_before(Marked::Nameless(&self.subject), Duration::ZERO).await? {
                    return Ok(true);
                }
            }
        }
        began_before(Marked::Subject(&self.subject), Duration::ZERO).await
    }
}

fn unavailable(message: &str) -> Error {
    Error::new(ErrorCode::StoreUnavailable, Phase::Session, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_where_their_parts_end() {
        assert_ne!(name_of(&["a", "bc"]), name_of(&["ab", "c"]));
        assert_ne!(name_of(&["a"]), name_of(&["a", ""]));
        assert_eq!(name_of(&["a", &"x".repeat(100_000)]).len(), 43);
        assert!(Duration::from_secs(3600) < Ready::longest_login());
    }
}
