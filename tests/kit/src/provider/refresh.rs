//! Spending refresh tokens (RFC 6749 section 6), and counting it.

use std::time::Duration;

use super::{
    builder::Rotation,
    client::TestClient,
    error::OAuthError,
    grants::RefreshToken,
    request::Parameters,
    state::Shared,
    token::{Issue, answer, requested_scopes},
};

/// What the rotation profile says about a token that was spent before.
enum Reuse {
    Accept,
    Replay,
    Refuse,
    RevokeFamily,
}

pub(super) fn refresh(
    shared: &Shared,
    client: &TestClient,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    let sent = parameters
        .get("refresh_token")
        .ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let rotation = client.rotation_or(shared.settings.rotation);
    let now = shared.clock.now();
    let mut memory = shared.lock();
    let (id, index) = memory
        .grants
        .find_refresh_token(sent)
        .ok_or_else(|| OAuthError::invalid_grant("no such refresh token"))?;
    let grant = memory.grants.grant_mut(id);
    if grant.client != client.id() {
        return Err(OAuthError::invalid_grant(
            "the refresh token was issued to another client",
        ));
    }
    let token = &mut grant.refresh_tokens[index];
    token.spends += 1;
    if grant.revoked {
        return Err(OAuthError::invalid_grant("the grant was revoked"));
    }
    if let Some(first_spent_at) = token.first_spent_at {
        match reuse(rotation, now.saturating_sub(first_spent_at)) {
            Reuse::Accept => {}
            Reuse::Replay => {
                return token
                    .answer
                    .clone()
                    .ok_or_else(|| OAuthError::invalid_grant("there is no answer to repeat"));
            }
            Reuse::Refuse => {
                return Err(OAuthError::invalid_grant(
                    "the refresh token was spent before",
                ));
            }
            Reuse::RevokeFamily => {
                grant.revoked = true;
                return Err(OAuthError::invalid_grant(
                    "the refresh token was spent before; the grant is revoked",
                ));
            }
        }
    }
    let scopes = requested_scopes(parameters)?.unwrap_or_else(|| grant.scopes.clone());
    if !scopes.is_subset(&grant.scopes) {
        return Err(OAuthError::new(
            "invalid_scope",
            "more scopes than were granted",
        ));
    }
    let mut resources: Vec<String> = parameters.all("resource").map(str::to_owned).collect();
    if resources.is_empty() {
        resources.clone_from(&grant.resources);
    }
    token.first_spent_at.get_or_insert(now);
    let refresh_token = (rotation != Rotation::Never).then(|| memory.grants.add_refresh_token(id));
    let replace = rotation != Rotation::BothValid;
    let body = answer(
        shared,
        &mut memory,
        Issue {
            grant: id,
            scopes,
            resources,
            refresh_token,
            nonce: None,
            grant_type: "refresh_token",
            replace,
        },
    );
    if let Rotation::ReplayWindow(window) = rotation {
        keep_answer(
            &mut memory.grants.grant_mut(id).refresh_tokens[..=index],
            &body,
            now.saturating_sub(window),
        );
    }
    Ok(body)
}

/// Keeps the answer to the last of these tokens, and forgets those that nobody can get again.
fn keep_answer(tokens: &mut [RefreshToken], body: &str, window_began: Duration) {
    let Some((last, earlier)) = tokens.split_last_mut() else {
        return;
    };
    last.answer = Some(body.to_owned());
    for token in earlier
        .iter_mut()
        .rev()
        .take_while(|token| token.answer.is_some())
    {
        if token.first_spent_at.is_some_and(|at| at < window_began) {
            token.answer = None;
        }
    }
}

fn reuse(rotation: Rotation, since: Duration) -> Reuse {
    match rotation {
        Rotation::Never | Rotation::BothValid => Reuse::Accept,
        Rotation::Strict => Reuse::Refuse,
        Rotation::FamilyRevoking => Reuse::RevokeFamily,
        Rotation::ReplayWindow(window) if since <= window => Reuse::Replay,
        Rotation::ReplayWindow(_) => Reuse::Refuse,
    }
}
