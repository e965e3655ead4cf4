//! What an API missed, sealed into the address where its user logs in again: a browser carries it from an error's page into
//! the login, and cannot change it. A link that asks for other scopes would have people grant what nobody needs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, Phase, Result, Timestamp, TokenKey, seal::KeyRing};

/// What an API asks for, by name.
pub(crate) type Required = Vec<(String, String)>;

/// How long a page with such an address may stay open.
const LIFE: Duration = Duration::from_secs(3600);

/// Servers and browsers take at least 8 KiB of address.
const MAX: usize = 6 * 1024;

#[derive(Serialize, Deserialize)]
struct Missed {
    #[serde(rename = "r")]
    required: Required,
    #[serde(rename = "u")]
    until: Timestamp,
}

fn bound(client: &str, owner: &str) -> Vec<u8> {
    format!("tokenkeep required\0{client}\0{owner}").into_bytes()
}

/// For the address; none if there is nothing to ask for, or too much.
pub(crate) fn seal(
    ring: &KeyRing,
    key: &TokenKey,
    error: &Error,
    now: Timestamp,
) -> Option<String> {
    let required = error.provider()?.required.clone();
    if required.is_empty() {
        return None;
    }
    let until = now + LIFE;
    let plain = serde_json::to_vec(&Missed { required, until }).ok()?;
    let sealed = ring.seal_text(&bound(key.client(), key.owner_column()), &plain);
    sealed.ok().filter(|sealed| sealed.len() <= MAX)
}

/// What was sealed for this owner.
///
/// # Errors
/// `invalid_parameter`.
pub(super) fn open(
    ring: &KeyRing,
    client: &str,
    owner: &str,
    sealed: &str,
    now: Timestamp,
) -> Result<Required> {
    let opened = Some(sealed).filter(|sealed| sealed.len() <= MAX);
    let opened = opened.and_then(|sealed| ring.open_text(&bound(client, owner), sealed).ok());
    let missed: Option<Missed> = opened.and_then(|plain| serde_json::from_slice(&plain).ok());
    let missed = missed.filter(|missed| missed.until > now);
    missed.map(|missed| missed.required).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidParameter,
            Phase::Authorize,
            "what an API asked for is over, or was meant for somebody else: go back to the page that needed it",
        )
    })
}
