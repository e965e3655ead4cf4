//! Sealing of records and of browser cookies: AES-256-GCM-SIV under a ring of keys.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{Error, ErrorCode, Phase, Result};

/// The keys that seal what is kept: the first one seals, any opens.
///
/// To roll a key: add it behind the first in every process (for opening), then move it to the front (for sealing), seal
/// anew what is kept ([`OAuth::reseal`](crate::OAuth::reseal)), and drop the old one when nothing sealed by it is left. Each
/// of these can be done while running: [`OAuth::set_key_ring`](crate::OAuth::set_key_ring).
///
/// AES-256-GCM-SIV (RFC 8452) tolerates random nonces by design.
#[derive(Clone)]
pub struct KeyRing(Arc<[Entry]>);

struct Entry {
    id: String,
    key: LessSafeKey,
}

/// How to come by a ring, for whoever has none.
pub(crate) const NEW_RING: &str =
    "make one with: export TOKENKEEP_KEYS=\"k1:$(openssl rand -base64 32 | tr '+/' '-_')\"";

/// First byte of what a ring seals.
const SEALED: u8 = 1;

impl KeyRing {
    /// Reads a ring: `id:base64url(32 bytes)`, separated by commas; the first key seals. Ids are 1 to 32 characters of
    /// `A-Z a-z 0-9 . _ -`.
    ///
    /// # Errors
    /// `invalid_configuration`, without any part of the text.
    pub fn parse(text: &str) -> Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        for (position, item) in text.split(',').map(str::trim).enumerate() {
            let wrong = |what: &str| {
                Err(Error::new(
                    ErrorCode::InvalidConfiguration,
                    Phase::Configure,
                    format!(
                        "key {} of the key ring {what}; expected id:base64url(32 bytes), separated by commas; {NEW_RING}",
                        position + 1
                    ),
                ))
            };
            let Some((id, secret)) = item.split_once(':') else {
                return wrong("has no id");
            };
            let id_fits = (1..=32).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !id_fits {
                return wrong(
                    "has an id that is not 1 to 32 letters, digits, dots, dashes or underscores",
                );
            }
            if entries.iter().any(|entry| entry.id == id) {
                return wrong("has the id of another one");
            }
            let Ok(bytes) = URL_SAFE_NO_PAD
                .decode(secret.trim_end_matches('='))
                .map(Zeroizing::new)
            else {
                return wrong("is not base64url");
            };
            let Ok(key) = UnboundKey::new(&AES_256_GCM_SIV, &bytes) else {
                return wrong("is not 32 bytes long");
            };
            entries.push(Entry {
                id: id.to_owned(),
                key: LessSafeKey::new(key),
            });
        }
        Ok(Self(entries.into()))
    }

    /// Reads a ring from an environment variable.
    ///
    /// # Errors
    /// `invalid_configuration` if the variable is not set or holds no ring.
    pub fn from_env(variable: &str) -> Result<Self> {
        match std::env::var(variable).map(Zeroizing::new) {
            Ok(text) if !text.trim().is_empty() => Self::parse(&text),
            _ => Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                format!(
                    "{variable} is not set; it holds the key ring: id:base64url(32 bytes), the first key seals; {NEW_RING}"
                ),
            )),
        }
    }

    /// A ring of one random key that ends with the process: for stores that do, too.
    #[must_use]
    pub fn ephemeral() -> Self {
        let bytes = Zeroizing::new(random::<32>());
        // 32 bytes is this algorithm's key length.
        #[expect(
            clippy::expect_used,
            reason = "32 bytes is this algorithm's key length"
        )]
        let key = UnboundKey::new(&AES_256_GCM_SIV, bytes.as_slice()).expect("key length");
        Self(
            [Entry {
                id: "ephemeral".into(),
                key: LessSafeKey::new(key),
            }]
            .into(),
        )
    }

    /// The ids of all keys, the one that seals first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| entry.id.as_str())
    }

    /// An id that names one key here and another one there.
    pub(crate) fn contradicts<'a>(&'a self, other: &Self) -> Option<&'a str> {
        const PROBE: &[u8] = b"tokenkeep key ring";
        self.0.iter().find_map(|entry| {
            let alone = other.0.iter().find(|known| known.id == entry.id)?;
            let sealed = alone.seal(PROBE, PROBE).ok()?;
            self.open(PROBE, &sealed).is_err().then_some(&*entry.id)
        })
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn sealing_key_id(&self) -> &str {
        self.0.first().map_or("", |entry| &entry.id)
    }

    /// Seals: a mark, the key's id, a random nonce, the ciphertext. `bound` must be the same to open it again.
    pub(crate) fn seal(&self, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let entry = self.0.first().ok_or_else(sealing_failed)?;
        entry.seal(bound, plain)
    }

    /// Opens what a key of the ring sealed under the same `bound`.
    pub(crate) fn open(
        &self,
        bound: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let [SEALED, id_len, rest @ ..] = sealed else {
            return Err(OpenError::Damaged);
        };
        let (id, rest) = rest
            .split_at_checked(usize::from(*id_len))
            .ok_or(OpenError::Damaged)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(OpenError::Damaged)?;
        let entry = self
            .0
            .iter()
            .find(|entry| entry.id.as_bytes() == id)
            .ok_or(OpenError::KeyMissing)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = entry
            .key
            .open_in_place(nonce, Aad::from(bound), text.as_mut_slice())
            .map_err(|_| OpenError::Damaged)?
            .len();
        text.truncate(plain);
        Ok(text)
    }

    /// Which key sealed this.
    pub(crate) fn key_id(sealed: &[u8]) -> Option<&str> {
        let [SEALED, id_len, rest @ ..] = sealed else {
            return None;
        };
        std::str::from_utf8(rest.get(..usize::from(*id_len))?).ok()
    }

    /// Seals for a browser: base64url without padding.
    pub(crate) fn seal_text(&self, bound: &[u8], plain: &[u8]) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal(bound, plain)?))
    }

    /// Opens what [`seal_text`](Self::seal_text) sealed.
    pub(crate) fn open_text(
        &self,
        bound: &[u8],
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.open(
            bound,
            &URL_SAFE_NO_PAD
                .decode(sealed)
                .map_err(|_| OpenError::Damaged)?,
        )
    }
}

fn sealing_failed() -> Error {
    Error::new(ErrorCode::Internal, Phase::Store, "sealing failed")
}

impl Entry {
    fn seal(&self, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = Vec::with_capacity(2 + self.id.len() + NONCE_LEN + plain.len() + 16);
        sealed.push(SEALED);
        // An id is at most 32 bytes.
        sealed.push(self.id.len() as u8);
        sealed.extend_from_slice(self.id.as_bytes());
        sealed.extend_from_slice(&nonce);
        let mut text = Zeroizing::new(plain.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound),
                text.as_mut_slice(),
            )
            .map_err(|_| sealing_failed())?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }
}

/// The ring of a registry: it can be replaced while it is in use.
#[derive(Clone, Debug)]
pub(crate) struct LiveRing(Arc<ArcSwap<KeyRing>>);

impl LiveRing {
    pub(crate) fn new(ring: KeyRing) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(ring)))
    }

    /// The ring as it is now. Whoever seals and opens several things with one ring holds on to it.
    pub(crate) fn current(&self) -> KeyRing {
        KeyRing::clone(&self.0.load())
    }

    pub(crate) fn replace(&self, ring: KeyRing) {
        self.0.store(Arc::new(ring));
    }
}

/// Why something sealed stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The ring has no key of that id.
    KeyMissing,
    /// Not sealed by that key, or bound to something else, or cut.
    Damaged,
}

/// Shows the ids only.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|entry| &entry.id))
            .finish()
    }
}

/// Random bytes of the operating system's quality.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // aws-lc-rs documents no failure on supported platforms; without randomness nothing here may go on.
    #[expect(clippy::expect_used, reason = "without randomness nothing may go on")]
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// 128 random bits as 22 characters that fit URLs and cookies.
pub(crate) fn random_id() -> String {
    URL_SAFE_NO_PAD.encode(random::<16>())
}

/// Are two secrets equal? In constant time.
pub(crate) fn equal(left: &str, right: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests;
