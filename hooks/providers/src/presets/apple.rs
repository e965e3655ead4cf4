use std::fmt;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tokenkeep_core::{
    AuthMethod, ClientAuthentication, Clock, Error, ErrorCode, ProviderProfile, Registration,
    ResponseMode, Result, Rotation, Signer, SystemClock, TokenRequest,
};

use crate::{profile::Profile, quirks::Quirks};

const ISSUER: &str = "https://appleid.apple.com";

/// How long a client secret lives, in seconds; each request gets one of its own.
const SECRET_LIFE: i64 = 300;

const QUIRKS: Quirks = Quirks {
    // The address that comes beside the name is in the ID token too, signed: this one is dropped.
    profile: Some(Profile {
        claims: &[
            ("sub", "/sub"),
            ("given_name", "/name/firstName"),
            ("family_name", "/name/lastName"),
        ],
        more: |_, claims| claims.name_of_parts(),
        // Anybody may have written anything.
        nothing_else: true,
    }),
    ..Quirks::NONE
};

#[doc = include_str!("../../docs/apple.md")]
#[must_use]
pub fn apple() -> Registration {
    Registration::openid("apple", ISSUER)
        .scopes(["openid", "name", "email"])
        // It answers no other way where a name or an address is asked for.
        .response_mode(ResponseMode::FormPost)
        .profile_parameter("user")
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
        .profile(ProviderProfile::new().rotation(Rotation::Never))
        .hook(QUIRKS)
}

/// As [`apple`], with a client secret that is made for each request and lives for five minutes: by the team's id, and the key
/// of Apple's developer pages as a [`Signer`] of `ES256` whose key id is the one shown there.
///
/// Requests fail with `invalid_configuration` if the signer is of another algorithm or has no key id.
#[must_use]
pub fn apple_signed_by(team_id: impl Into<String>, key: impl Signer) -> Registration {
    apple().client_authentication(Secret {
        team_id: team_id.into(),
        key: Box::new(key),
    })
}

/// A client secret that is a JWT.
struct Secret {
    team_id: String,
    key: Box<dyn Signer>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("team_id", &self.team_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ClientAuthentication for Secret {
    fn name(&self) -> &str {
        AuthMethod::ClientSecretPost.as_str()
    }

    async fn authenticate(&self, request: &mut TokenRequest) -> Result<()> {
        let (algorithm, key_id) = (self.key.algorithm(), self.key.key_id());
        let Some(key_id) = key_id.filter(|_| algorithm == "ES256") else {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                request.phase(),
                "apple_signed_by needs a signer of ES256 with the key id that Apple shows for the key",
            ));
        };
        let client_id = request.parameter("client_id").unwrap_or_default();
        let now = SystemClock.now().as_secs();
        let header = json!({"alg": algorithm, "kid": key_id});
        let claims = json!({
            "iss": self.team_id,
            "sub": client_id,
            "aud": ISSUER,
            "iat": now,
            "exp": now + SECRET_LIFE,
        });
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let signature = self.key.sign(signed.as_bytes()).await?;
        request.set("client_secret", format!("{signed}.{}", encode(&signature)));
        Ok(())
    }
}
