//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.4), right or wrong in one point.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{
    Provider,
    faults::WRONG_ISSUER,
    state::{Shared, random_token},
};

/// What section 4 recommends at most.
const LIFETIME: Duration = Duration::from_secs(120);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout token to make: of a session, of a user, or of both, right unless a [`fault`](Self::fault) is given.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct LogoutToken {
    sid: Option<String>,
    subject: Option<String>,
    fault: Option<LogoutTokenFault>,
}

impl LogoutToken {
    /// Of one session: the `sid` of its ID tokens.
    pub fn of_session(sid: impl Into<String>) -> Self {
        Self {
            sid: Some(sid.into()),
            ..Self::default()
        }
    }

    /// Of all sessions of a user.
    pub fn of_subject(subject: impl Into<String>) -> Self {
        Self::default().subject(subject)
    }

    /// Names the user as well.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Makes it wrong in one point.
    pub fn fault(mut self, fault: LogoutTokenFault) -> Self {
        self.fault = Some(fault);
        self
    }
}

/// What is wrong with a logout token (section 2.6); everything else about it is right.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LogoutTokenFault {
    /// One bit of the signature is flipped.
    WrongSignature,
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// Signed by another algorithm than ID tokens are, with a key that is published: ES256 for RS256, and RS256 for others.
    OtherAlgorithm,
    /// `kid` is one that the JWKS does not have; the signature is by the right key.
    UnknownKid,
    /// It has five parts, as what is encrypted.
    Encrypted,
    /// `typ` is that of an access token.
    WrongType,
    /// The header has a `crit` that nobody knows.
    Critical,
    /// `sid` and `sub` are there twice.
    DoubledMember,
    /// `iss` is another provider.
    WrongIssuer,
    /// `aud` is another client.
    WrongAudience,
    /// Issued two hours ago, expired one hour ago.
    Expired,
    /// Issued two hours ago, and not expired.
    Old,
    /// Issued in an hour.
    FromTheFuture,
    /// There is no `events`.
    NoEvent,
    /// `events` names another event.
    WrongEvent,
    /// The event is not an object.
    EventIsNoObject,
    /// There is a `nonce`.
    WithNonce,
    /// There is neither `sub` nor `sid`.
    Nobody,
    /// This claim has this value; `null` leaves it out.
    Claim(String, Value),
}

impl Provider {
    /// Makes a logout token for a client; nothing is sent and nothing ends. Each has a `jti` of its own, and a claim that nobody
    /// knows.
    #[must_use]
    pub fn logout_token(&self, client_id: &str, token: &LogoutToken) -> String {
        sign(&self.shared, client_id, token)
    }
}

pub(super) fn sign(shared: &Shared, client_id: &str, token: &LogoutToken) -> String {
    let now = shared.clock.now();
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
    set("iss", shared.issuer.as_str().into());
    set("aud", client_id.into());
    set("iat", now.as_secs().into());
    set("exp", (now + LIFETIME).as_secs().into());
    set("jti", random_token(16).into());
    set("events", json!({ EVENT: {} }));
    set("unknown_claim", json!({"of": ["no", "meaning"]}));
    for (name, value) in [("sid", &token.sid), ("sub", &token.subject)] {
        if let Some(value) = value {
            set(name, value.as_str().into());
        }
    }
    let mut keys = shared.keys();
    let key = match token.fault {
        Some(LogoutTokenFault::OtherAlgorithm) => keys.other_algorithm(),
        _ => keys.signing(),
    };
    let mut header = json!({"typ": "logout+jwt", "alg": key.algorithm.name(), "kid": key.kid});
    if let Some(fault) = &token.fault {
        spoil(fault, &mut header, &mut claims, now);
    }
    let mut text = Value::Object(claims).to_string();
    if token.fault == Some(LogoutTokenFault::DoubledMember) {
        text = text.replacen('{', r#"{"sid":"another","sub":"another","#, 1);
    }
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(text)
    );
    let mut signature = key.sign(signed.as_bytes());
    match token.fault {
        Some(LogoutTokenFault::WrongSignature) => signature[7] ^= 1,
        Some(LogoutTokenFault::AlgNone) => signature.clear(),
        _ => {}
    }
    let tail = match token.fault {
        Some(LogoutTokenFault::Encrypted) => ".AAAA.AAAA",
        _ => "",
    };
    format!("{signed}.{}{tail}", URL_SAFE_NO_PAD.encode(signature))
}

fn spoil(
    fault: &LogoutTokenFault,
    header: &mut Value,
    claims: &mut Map<String, Value>,
    now: Duration,
) {
    let hours_ago = |hours: u64| Value::from(now.as_secs().saturating_sub(hours * 3600));
    let mut set = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
    match fault {
        LogoutTokenFault::WrongSignature
        | LogoutTokenFault::OtherAlgorithm
        | LogoutTokenFault::Encrypted
        | LogoutTokenFault::DoubledMember => {}
        LogoutTokenFault::AlgNone => {
            header["alg"] = "none".into();
            if let Some(members) = header.as_object_mut() {
                members.remove("kid");
            }
        }
        LogoutTokenFault::UnknownKid => header["kid"] = random_token(6).into(),
        LogoutTokenFault::WrongType => header["typ"] = "at+jwt".into(),
        LogoutTokenFault::Critical => header["crit"] = json!(["urn:unknown"]),
        LogoutTokenFault::WrongIssuer => set("iss", WRONG_ISSUER.into()),
        LogoutTokenFault::WrongAudience => set("aud", "another-client".into()),
        LogoutTokenFault::Expired => {
            set("iat", hours_ago(2));
            set("exp", hours_ago(1));
        }
        LogoutTokenFault::Old => set("iat", hours_ago(2)),
        LogoutTokenFault::FromTheFuture => {
            set("iat", (now.as_secs() + 3600).into());
            set("exp", (now.as_secs() + 7200).into());
        }
        LogoutTokenFault::NoEvent => drop(claims.remove("events")),
        LogoutTokenFault::WrongEvent => {
            set(
                "events",
                json!({"http://schemas.openid.net/event/another": {}}),
            );
        }
        LogoutTokenFault::EventIsNoObject => set("events", json!({ EVENT: true })),
        LogoutTokenFault::WithNonce => set("nonce", random_token(16).into()),
        LogoutTokenFault::Nobody => {
            claims.remove("sub");
            claims.remove("sid");
        }
        LogoutTokenFault::Claim(name, Value::Null) => drop(claims.remove(name)),
        LogoutTokenFault::Claim(name, value) => set(name, value.clone()),
    }
}
