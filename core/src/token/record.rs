//! A record: the header that runs the refresh protocol, in plain, and the payload with every secret, sealed.
//!
//! A body is `tk`, a major and a minor format number, the header's length (4 bytes, big-endian), the header as JSON,
//! and the payload. A writer writes the lowest format that can express the record; members that it does not know are
//! kept; only a higher major number is refused.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Credential, Header, Secret, Target, Token, TokenKey};
use crate::{
    Error, ErrorCode, KeyRing, Phase, Result, Timestamp,
    seal::{LiveRing, OpenError},
    store::{Index, StoredRecord, Version},
};

const MAGIC: &[u8] = b"tk";
const MAJOR: u8 = 1;
/// Minor 1 came with access tokens for further targets.
const MINOR_TARGETS: u8 = 1;
/// First byte of a payload that is not sealed.
const PLAIN: u8 = 0;

/// An access token for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessToken {
    #[serde(default, skip_serializing_if = "Target::is_login")]
    pub(crate) target: Target,
    pub(crate) token: Secret,
    pub(crate) credential: Credential,
    /// In store time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issued_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) issued_generation: u64,
    #[serde(flatten)]
    pub(crate) unknown: Map<String, Value>,
}

/// The sealed part of a record: every secret, and the claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<Secret>,
    /// The ID token's claims, as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claims: Option<Value>,
    /// What userinfo said at the login, in a session's own record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) userinfo: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) access_tokens: Vec<AccessToken>,
    /// The session that renewed this grant last; in a session's own record, what it keeps beside the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    #[serde(flatten)]
    pub(crate) unknown: Map<String, Value>,
}

impl Payload {
    /// What is kept of a token that was issued elsewhere.
    pub(crate) fn of(token: Token, generation: u64) -> Self {
        Self {
            refresh_token: token.refresh_token,
            id_token: token.id_token,
            access_tokens: vec![AccessToken {
                target: Target::login(),
                token: token.access_token,
                credential: token.credential,
                expires_at: token.expires_at,
                issued_at: None,
                scopes: token.scopes,
                issued_generation: generation,
                unknown: Map::new(),
            }],
            ..Self::default()
        }
    }

    /// The access token for a target.
    pub(crate) fn access(&self, target: &Target) -> Option<&AccessToken> {
        self.access_tokens
            .iter()
            .find(|access| access.target == *target)
    }

    /// Puts an access token in the place of its target's.
    pub(crate) fn set_access(&mut self, access: AccessToken) {
        self.access_tokens.retain(|old| old.target != access.target);
        self.access_tokens.push(access);
    }
}

/// The payload as far as this process can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none (a tombstone).
    Empty,
    /// Read; `stored` are the very bytes it was read from, as long as it is unchanged.
    Open {
        payload: Box<Payload>,
        stored: Option<Vec<u8>>,
    },
    /// The ring lacks the key. Its bytes are carried along and never rewritten.
    KeyMissing { key_id: String, stored: Vec<u8> },
}

/// A record, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) index: Index,
    pub(crate) header: Header,
    pub(crate) body: Body,
    minor: u8,
}

/// How payloads are sealed and which may be read.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    /// None: payloads are written in plain.
    pub(crate) ring: Option<LiveRing>,
    /// May payloads be read that are not sealed?
    pub(crate) accept_plain: bool,
}

impl Record {
    pub(crate) fn new(header: Header, index: Index, payload: Payload) -> Self {
        Self {
            version: Version::random(),
            index,
            header,
            body: Body::Open {
                payload: Box::new(payload),
                stored: None,
            },
            minor: 0,
        }
    }

    /// The login's own token, with everything that belongs to it.
    pub(crate) fn login_token(&self) -> Option<Token> {
        let payload = self.payload()?;
        let access = payload.access(&Target::login())?;
        Some(Token {
            access_token: access.token.clone(),
            credential: access.credential.clone(),
            refresh_token: payload.refresh_token.clone(),
            id_token: payload.id_token.clone(),
            expires_at: access.expires_at,
            scopes: access.scopes.clone(),
            generation: self.header.generation,
        })
    }

    /// The payload, if it can be read.
    pub(crate) fn payload(&self) -> Option<&Payload> {
        match &self.body {
            Body::Open { payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// Replaces the payload; it will be sealed anew.
    pub(crate) fn set_payload(&mut self, payload: Payload) {
        self.header.refreshable = payload.refresh_token.is_some() || self.header.client_credentials;
        self.index.access_expires_at = payload
            .access(&Target::login())
            .and_then(|access| access.expires_at);
        self.body = Body::Open {
            payload: Box::new(payload),
            stored: None,
        };
    }

    /// What a payload is bound to: nobody can move it to another row, grant or generation, nor say of whom or of which
    /// registration it is.
    fn bound(key: &TokenKey, header: &Header, index: &Index) -> Vec<u8> {
        let mut bound = b"tokenkeep record".to_vec();
        let slot = key.slot_column();
        for part in [key.client(), key.owner_column(), &slot] {
            bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part.as_bytes());
        }
        bound.extend_from_slice(&header.grant_id.0);
        bound.extend_from_slice(&header.generation.to_be_bytes());
        for part in [&index.issuer, &index.subject, &header.client_id] {
            bound.push(u8::from(part.is_some()));
            let part = part.as_deref().unwrap_or_default();
            bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part.as_bytes());
        }
        bound
    }

    /// Writes the record for a store.
    pub(crate) fn encode(
        &self,
        key: &TokenKey,
        sealing: &Sealing,
        announce: bool,
    ) -> Result<StoredRecord> {
        let internal = |error: serde_json::Error| {
            Error::new(
                ErrorCode::Internal,
                Phase::Store,
                "a record cannot be written",
            )
            .with_source(error)
        };
        let mut minor = self.minor;
        let payload = match &self.body {
            Body::Empty => Vec::new(),
            Body::Open {
                stored: Some(stored),
                ..
            }
            | Body::KeyMissing { stored, .. } => stored.clone(),
            Body::Open {
                payload,
                stored: None,
            } => {
                if payload
                    .access_tokens
                    .iter()
                    .any(|access| !access.target.is_login())
                {
                    minor = minor.max(MINOR_TARGETS);
                }
                let json = Zeroizing::new(serde_json::to_vec(payload).map_err(internal)?);
                match &sealing.ring {
                    Some(ring) => ring
                        .current()
                        .seal(&Self::bound(key, &self.header, &self.index), &json)?,
                    None => [&[PLAIN], json.as_slice()].concat(),
                }
            }
        };
        let header = serde_json::to_vec(&self.header).map_err(internal)?;
        let mut body = Vec::with_capacity(8 + header.len() + payload.len());
        body.extend_from_slice(MAGIC);
        body.extend_from_slice(&[MAJOR, minor]);
        body.extend_from_slice(&(header.len() as u32).to_be_bytes());
        body.extend_from_slice(&header);
        body.extend_from_slice(&payload);
        if body.len() > 1 << 20 {
            return Err(Error::new(
                ErrorCode::InvalidToken,
                Phase::Store,
                "a record of more than 1 MiB",
            ));
        }
        let mut record = StoredRecord::new(
            self.version,
            self.header.generation,
            self.index.clone(),
            body,
        );
        record.announce = announce;
        Ok(record)
    }

    /// Which key sealed the payload; none if there is no payload, if it is in plain, or not sealed yet.
    pub(crate) fn sealed_by(&self) -> Option<&str> {
        match &self.body {
            Body::Open {
                stored: Some(stored),
                ..
            } => KeyRing::key_id(stored),
            Body::KeyMissing { key_id, .. } => Some(key_id),
            Body::Empty | Body::Open { stored: None, .. } => None,
        }
    }

    /// Reads what can be read of a record, for people who look into a store: one whose payload does not open, for
    /// whatever reason, shows its header.
    pub(crate) fn survey(key: &TokenKey, stored: StoredRecord, sealing: &Sealing) -> Result<Self> {
        let closed = Sealing {
            ring: None,
            accept_plain: false,
        };
        Self::decode(key, stored.clone(), sealing).or_else(|error| {
            let mut header_only = stored;
            let Some((_, _, payload)) = split(&header_only.body) else {
                return Err(error);
            };
            if payload.first() == Some(&PLAIN) {
                // Plain, and not accepted or not readable: as good as none.
                let end = header_only.body.len() - payload.len();
                header_only.body.truncate(end);
            }
            Self::decode(key, header_only, &closed).map_err(|_| error)
        })
    }

    /// Reads a record of a store.
    pub(crate) fn decode(key: &TokenKey, stored: StoredRecord, sealing: &Sealing) -> Result<Self> {
        let invalid = |what: &str| {
            Error::new(
                ErrorCode::InvalidRecord,
                Phase::Store,
                format!("the stored record {what}"),
            )
            .with_client(key.client())
        };
        let rest = stored
            .body
            .strip_prefix(MAGIC)
            .ok_or_else(|| invalid("is not one of ours"))?;
        if let Some(major) = rest.first().filter(|major| **major > MAJOR) {
            return Err(Error::new(
                ErrorCode::UnsupportedFormat,
                Phase::Store,
                format!("the stored record has format {major}; this version reads up to {MAJOR}"),
            )
            .with_client(key.client()));
        }
        let (minor, header, payload) = split(&stored.body).ok_or_else(|| invalid("is cut"))?;
        let header: Header = serde_json::from_slice(header)
            .map_err(|_| invalid("has a header that cannot be read"))?;
        if header.generation != stored.generation {
            return Err(invalid("contradicts its generation column"));
        }
        let read = |json: &[u8]| -> Result<Box<Payload>> {
            serde_json::from_slice(json).map_err(|_| invalid("has a payload that cannot be read"))
        };
        let body = match payload {
            [] => Body::Empty,
            [PLAIN, json @ ..] if sealing.accept_plain => Body::Open {
                payload: read(json)?,
                stored: Some(payload.to_vec()),
            },
            [PLAIN, ..] => {
                return Err(invalid("is not sealed, and plain records are not accepted"));
            }
            sealed => match sealing.ring.as_ref().map(|ring| {
                ring.current()
                    .open(&Self::bound(key, &header, &stored.index), sealed)
            }) {
                Some(Ok(json)) => Body::Open {
                    payload: read(&json)?,
                    stored: Some(sealed.to_vec()),
                },
                Some(Err(OpenError::Damaged)) => {
                    return Err(invalid("does not open under its key"));
                }
                Some(Err(OpenError::KeyMissing)) | None => Body::KeyMissing {
                    key_id: KeyRing::key_id(sealed).unwrap_or_default().to_owned(),
                    stored: sealed.to_vec(),
                },
            },
        };
        Ok(Self {
            version: stored.version,
            index: stored.index,
            header,
            body,
            minor,
        })
    }
}

/// The minor format number, the header and the payload of a body, unless it is cut.
fn split(body: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [_major, minor, rest @ ..] = body.strip_prefix(MAGIC)? else {
        return None;
    };
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (header, payload) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((*minor, header, payload))
}

#[cfg(test)]
mod tests;
