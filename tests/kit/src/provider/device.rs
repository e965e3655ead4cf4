//! Logging in by a code that is typed elsewhere (RFC 8628).

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Provider,
    client::TestClient,
    client_auth::authenticate,
    error::{NO_STORE, OAuthError},
    grants::Grant,
    request::Parameters,
    state::{Shared, random_token},
    token::{Issue, answer, requested_scopes},
};

const LIFE: Duration = Duration::from_secs(600);

/// How often a client may ask, until it was too quick.
const INTERVAL: Duration = Duration::from_secs(5);

/// A clock that is a little off is no reason to refuse.
const GRACE: Duration = Duration::from_millis(200);

/// A device code, from its request to its end.
pub(super) struct DeviceCode {
    client: String,
    user_code: String,
    scopes: std::collections::BTreeSet<String>,
    expires_at: Duration,
    interval: Duration,
    asked_at: Option<Duration>,
    outcome: Outcome,
    spent: bool,
}

enum Outcome {
    Pending,
    Approved(String),
    Denied,
}

pub(super) async fn authorize(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, OAuthError> {
    shared.lock().ledger.request(&parameters);
    parameters.require_single()?;
    let client = authenticate(&shared, &headers, &parameters)?;
    let scopes = requested_scopes(&parameters)?.unwrap_or_default();
    let (device_code, typed) = (random_token(32), random_token(6));
    let user_code = typed.replace(['-', '_'], "0");
    let mut memory = shared.lock();
    memory.ledger.note("device_code", &device_code);
    memory.devices.insert(
        device_code.clone(),
        DeviceCode {
            client: client.id().to_owned(),
            user_code: user_code.clone(),
            scopes,
            expires_at: shared.clock.now() + LIFE,
            interval: INTERVAL,
            asked_at: None,
            outcome: Outcome::Pending,
            spent: false,
        },
    );
    let page = format!("{}/device", shared.issuer);
    let body = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": LIFE.as_secs(),
        "interval": INTERVAL.as_secs(),
    });
    Ok((NO_STORE, Json(body)).into_response())
}

/// Section 3.4 and 3.5: a client that asks too often is told to slow down, and has to.
pub(super) fn token(
    shared: &Shared,
    client: &TestClient,
    parameters: &Parameters,
) -> Result<String, OAuthError> {
    let sent = parameters
        .get("device_code")
        .ok_or_else(|| OAuthError::invalid_request("device_code is missing"))?;
    let now = shared.clock.now();
    let mut memory = shared.lock();
    let device = memory
        .devices
        .get_mut(sent)
        .ok_or_else(|| OAuthError::invalid_grant("no such device code"))?;
    if device.client != client.id() {
        return Err(OAuthError::invalid_grant(
            "the device code was issued to another client",
        ));
    }
    if device.spent {
        return Err(OAuthError::invalid_grant("the device code was used before"));
    }
    if device.expires_at <= now {
        return Err(OAuthError::new("expired_token", "the device code is over"));
    }
    let before = device.asked_at.replace(now);
    if before.is_some_and(|before| now + GRACE < before + device.interval) {
        device.interval += INTERVAL;
        return Err(OAuthError::new("slow_down", "the client asks too often"));
    }
    let subject = match &device.outcome {
        Outcome::Pending => {
            return Err(OAuthError::new(
                "authorization_pending",
                "nobody has typed the code yet",
            ));
        }
        Outcome::Denied => {
            return Err(OAuthError::new("access_denied", "the user refused"));
        }
        Outcome::Approved(subject) => subject.clone(),
    };
    device.spent = true;
    let mut grant = Grant::new(client.id(), device.scopes.clone(), Vec::new(), now);
    grant.subject = Some(subject);
    let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    let issue = Issue::to_user(shared, &mut memory.grants, grant, grant_type);
    Ok(answer(shared, &mut memory, issue))
}

/// # Devices
impl Provider {
    /// Types a device's code, signed in as `subject`, and allows what it asks for. Answers whether somebody waits for it.
    pub fn approve_device(&self, user_code: &str, subject: &str) -> bool {
        self.decide_device(user_code, Outcome::Approved(subject.to_owned()))
    }

    /// Types a device's code, and refuses.
    pub fn deny_device(&self, user_code: &str) -> bool {
        self.decide_device(user_code, Outcome::Denied)
    }

    fn decide_device(&self, user_code: &str, outcome: Outcome) -> bool {
        let now = self.shared.clock.now();
        let mut memory = self.shared.lock();
        let mut devices = memory.devices.values_mut();
        let waiting = devices.find(|device| {
            device.user_code == user_code && !device.spent && device.expires_at > now
        });
        match waiting {
            Some(device) => {
                device.outcome = outcome;
                true
            }
            None => false,
        }
    }
}
