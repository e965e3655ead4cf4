//! What is the same about everything that a provider signs: the compact form, the header, the signature (RFC 7515,
//! RFC 8725).

use super::{
    Asker, Cached, IdTokenRules, KeySet, SigningAlgorithm,
    jws::{Compact, Header, Unreadable},
    keys::{Mismatch, jwk::Jwk},
};
use crate::{Error, ErrorCode, Phase, Result, error::excerpt};

/// How long a signed token may be, in bytes. Most have one or two thousand; memberships of groups make them long.
pub(crate) const MAX_LEN: usize = 64 * 1024;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    IdToken,
    LogoutToken,
    Userinfo,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::IdToken => "the ID token",
            Self::LogoutToken => "the logout token",
            Self::Userinfo => "the signed userinfo",
        }
    }

    pub(super) fn fault(self, code: ErrorCode, message: impl Into<String>) -> Error {
        let phase = match self {
            Self::IdToken => Phase::IdToken,
            Self::LogoutToken => Phase::Logout,
            Self::Userinfo => Phase::Userinfo,
        };
        Error::new(code, phase, message)
    }

    /// It is malformed, over, or another kind of token.
    pub(super) fn invalid(self, what: &str) -> Error {
        let code = match self {
            Self::IdToken => ErrorCode::InvalidIdToken,
            Self::LogoutToken => ErrorCode::InvalidLogoutToken,
            Self::Userinfo => ErrorCode::ProviderError,
        };
        self.fault(code, format!("{} {what}", self.name()))
    }

    pub(super) fn missing(self, claim: &str) -> Error {
        self.fault(
            ErrorCode::MissingClaim,
            format!("{} has no {claim}", self.name()),
        )
    }

    /// May a token of this kind have the header's `typ`? Other kinds name themselves (RFC 8725 section 3.11).
    fn may_have_typ(self, header: &Header<'_>) -> bool {
        match self {
            Self::IdToken | Self::Userinfo => header.is_plain_token(),
            Self::LogoutToken => header.is_logout_token(),
        }
    }

    fn unreadable(self, reason: Unreadable) -> Error {
        match reason {
            Unreadable::Encrypted => self.fault(
                ErrorCode::UnsupportedAlgorithm,
                format!(
                    "{} is encrypted, which is not supported; register this client at the provider without encryption",
                    self.name()
                ),
            ),
            Unreadable::Malformed(what) => self.invalid(&format!("is malformed: {what}")),
        }
    }

    /// The registration's method that says which algorithms are allowed.
    fn algorithms_method(self) -> &'static str {
        match self {
            Self::IdToken | Self::LogoutToken => "id_token_algorithms",
            Self::Userinfo => "userinfo_signed_response_alg",
        }
    }
}

/// A token whose signature was verified. Its claims are the provider's; whether they are right is another question.
pub(super) struct Signed {
    pub(super) claims: String,
    pub(super) algorithm: SigningAlgorithm,
    /// The issuer that the key is published for, if it is for one.
    pub(super) key_issuer: Option<String>,
}

/// Verifies the signature of a token.
///
/// # Errors
/// `missing_key` if no key fits (newer keys may), `invalid_signature`, `unsupported_algorithm`, and what [`Kind::invalid`]
/// makes of everything else.
pub(super) fn open(kind: Kind, raw: &str, keys: &KeySet, rules: &IdTokenRules) -> Result<Signed> {
    if raw.len() > MAX_LEN {
        return Err(kind.invalid("is longer than 64 KiB"));
    }
    let token = Compact::split(raw).map_err(|reason| kind.unreadable(reason))?;
    let text = token.header().map_err(|reason| kind.unreadable(reason))?;
    let header = Header::read(&text).ok_or_else(|| {
        kind.invalid("has a header that is not an object, or in which a member occurs twice")
    })?;
    let algorithm = allowed(kind, &header, rules)?;
    let signature = token.signature().ok_or_else(|| wrong_signature(kind))?;
    let key_issuer = if algorithm.is_symmetric() {
        verify_by_secret(kind, algorithm, &token, &signature, rules)?;
        None
    } else {
        match keys.verified_by(header.kid.as_deref(), algorithm, token.signed, &signature) {
            Ok(key) => key.issuer().map(str::to_owned),
            Err(Mismatch::Signature) => return Err(wrong_signature(kind)),
            Err(Mismatch::NoKey) => {
                let of_this_kid = if header.kid.is_some() {
                    " of this kid"
                } else {
                    ""
                };
                return Err(kind.fault(
                    ErrorCode::MissingKey,
                    format!("the provider publishes no {algorithm} key{of_this_kid}"),
                ));
            }
        }
    };
    let claims = token.payload().map_err(|reason| kind.unreadable(reason))?;
    Ok(Signed {
        claims,
        algorithm,
        key_issuer,
    })
}

/// The algorithm that the header names, if it may be used and nothing in the header forbids it.
fn allowed(kind: Kind, header: &Header<'_>, rules: &IdTokenRules) -> Result<SigningAlgorithm> {
    if header.is_encrypted {
        return Err(kind.unreadable(Unreadable::Encrypted));
    }
    if header.has_critical {
        return Err(kind.invalid("names critical extensions in its header, and none is known"));
    }
    if header.is_unencoded {
        return Err(kind.invalid("has an unencoded payload (b64), which no JWT has"));
    }
    if !kind.may_have_typ(header) || header.cty.is_some() {
        return Err(kind.invalid("is of another kind, by the typ or cty of its header"));
    }
    let name = header
        .algorithm
        .as_deref()
        .ok_or_else(|| kind.invalid("has a header that names no algorithm"))?;
    SigningAlgorithm::from_name(name)
        .filter(|algorithm| rules.algorithms.contains(*algorithm))
        .ok_or_else(|| {
            kind.fault(
                ErrorCode::UnsupportedAlgorithm,
                format!(
                    "the algorithm {:?} is not allowed for this client; {} says which are",
                    excerpt(name),
                    kind.algorithms_method()
                ),
            )
        })
}

/// By the client secret (OpenID Connect Core section 10.1).
fn verify_by_secret(
    kind: Kind,
    algorithm: SigningAlgorithm,
    token: &Compact<'_>,
    signature: &[u8],
    rules: &IdTokenRules,
) -> Result<()> {
    let least = algorithm.digest().output_len();
    // A shorter one could be found by trying (RFC 7518 section 3.2, RFC 8725 section 3.5).
    let secret = rules
        .client_secret
        .as_ref()
        .filter(|secret| secret.expose().len() >= least)
        .ok_or_else(|| {
            kind.fault(
                ErrorCode::UnsupportedAlgorithm,
                format!("{algorithm} needs a client secret of at least {least} bytes"),
            )
        })?;
    if Jwk::secret(secret.expose().as_bytes()).verify(algorithm, token.signed, signature) {
        Ok(())
    } else {
        Err(wrong_signature(kind))
    }
}

fn wrong_signature(kind: Kind) -> Error {
    kind.fault(
        ErrorCode::InvalidSignature,
        format!("the signature of {} does not verify", kind.name()),
    )
}

/// Does something with a provider's published keys. They are loaded if they are not, and fetched anew, once, if none of
/// them verifies the signature: the provider may have changed them.
///
/// # Errors
/// Those of `attempt`, and those of loading the keys.
///
/// # Cancel safety
/// Dropping the future changes nothing.
pub(super) async fn with_newest_keys<T>(
    keys: &Cached<KeySet>,
    asker: Asker,
    attempt: impl Fn(&KeySet) -> Result<T>,
) -> Result<T> {
    let known = keys.get().await?;
    let refused = match attempt(&known.value) {
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::MissingKey | ErrorCode::InvalidSignature
            ) =>
        {
            error
        }
        done => return done,
    };
    match keys.refetch_unless_newer_than(known.serial, asker).await {
        Ok(newer) if newer.serial != known.serial => attempt(&newer.value),
        Err(unavailable) if refused.code() == ErrorCode::MissingKey => Err(unavailable),
        _ => Err(refused),
    }
}
