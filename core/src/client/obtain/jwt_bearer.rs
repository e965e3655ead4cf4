//! Assertions as grants (RFC 7523 section 2.1): service accounts.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use crate::{
    Clock, Error, ErrorCode, Phase, Result, Secret, Signer, Target,
    client::{
        Bounds, ClientState,
        auth::{is_own_claim, sign},
        check_signer,
    },
};

/// No longer: Google and others refuse what lasts longer than an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// An assertion that stands for a grant (RFC 7523 section 2.1): who says it, about whom, to whom, for how long. Each request
/// gets one of its own, signed anew, with a fresh `jti`.
///
/// ```
/// use tokenkeep_core::{JwtBearer, Registration, SigningAlgorithm, SigningKey};
///
/// # fn service(pem: &str) -> tokenkeep_core::Result<Registration> {
/// let key = SigningKey::from_pem(SigningAlgorithm::Rs256, pem)?.with_key_id("key-1");
/// let assertion = JwtBearer::new(key)
///     .scopes(["https://www.googleapis.com/auth/calendar.readonly"])
///     .scopes_as_claim(); // where Google looks for them
/// # Ok(
/// Registration::new("calendar")
///     .access_token_url("https://oauth2.googleapis.com/token")
///     .client_id("robot@project.iam.gserviceaccount.com")
///     .jwt_bearer(assertion) // `client.app()` is the service account now
/// # )
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct JwtBearer {
    signer: Arc<dyn Signer>,
    issuer: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    scopes: Vec<String>,
    scopes_as_claim: bool,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl JwtBearer {
    /// Assertions that this key signs: a [`SigningKey`](crate::SigningKey), or one that stands elsewhere.
    pub fn new(signer: impl Signer) -> Self {
        Self {
            signer: Arc::new(signer),
            issuer: None,
            subject: None,
            audience: None,
            scopes: Vec::new(),
            scopes_as_claim: false,
            lifetime: Duration::from_secs(300),
            claims: Map::new(),
        }
    }

    /// Who says it (`iss`); the client's id unless given.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// About whom (`sub`): the user that a service account acts for. Without it there is no such claim; RFC 7523 section 3
    /// wants one, and Google has none where the account acts for itself.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// To whom (`aud`); unless given as for client assertions: the provider's issuer, or its token endpoint if it has none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The scopes, where the call names none: [`Grant::scopes`](crate::Grant::scopes) takes their place.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Puts the scopes into the assertion, as the claim `scope`, instead of the request.
    pub fn scopes_as_claim(mut self) -> Self {
        self.scopes_as_claim = true;
        self
    }

    /// How long an assertion is good: five minutes unless given, an hour at most.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A further claim. It is copied into each assertion; `iss`, `sub`, `aud`, `exp`, `iat`, `nbf` and `jti` are ours.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// # Errors
    /// `invalid_configuration`, naming the method to change.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |message: String| {
            Err(Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                message,
            ))
        };
        if self.lifetime.as_secs() == 0 || self.lifetime > LONGEST {
            return refuse(
                "JwtBearer::lifetime is shorter than a second or longer than an hour".into(),
            );
        }
        let ours = |name: &&String| {
            is_own_claim(name) || (self.scopes_as_claim && name.as_str() == "scope")
        };
        if let Some(name) = self.claims.keys().find(ours) {
            return refuse(format!(
                "JwtBearer::claim({name:?}): this claim is set for each assertion"
            ));
        }
        for scope in &self.scopes {
            crate::client::registration::check_scope(scope)?;
        }
        check_signer(self.signer.as_ref()).map(drop)
    }

    async fn signed(
        &self,
        client_id: &str,
        audience: String,
        target: &Target,
        clock: &dyn Clock,
    ) -> Result<Assertion> {
        let now = clock.now();
        // A copy: what is particular to this assertion must not stay for the next.
        let mut claims = self.claims.clone();
        claims.insert(
            "iss".into(),
            self.issuer.as_deref().unwrap_or(client_id).into(),
        );
        if let Some(subject) = &self.subject {
            claims.insert("sub".into(), subject.as_str().into());
        }
        claims.insert("aud".into(), audience.into());
        claims.insert("iat".into(), now.as_secs().into());
        claims.insert("exp".into(), (now + self.lifetime).as_secs().into());
        claims.insert("jti".into(), crate::seal::random_id().into());
        let scopes = match target.scopes.is_empty() {
            true => &self.scopes,
            false => &target.scopes,
        };
        if self.scopes_as_claim && !scopes.is_empty() {
            claims.insert("scope".into(), scopes.join(" ").into());
        }
        Ok(Assertion {
            text: sign(self.signer.as_ref(), &claims).await?,
            scopes: match self.scopes_as_claim {
                true => Vec::new(),
                false => scopes.clone(),
            },
        })
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("algorithm", &self.signer.algorithm())
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// A signed assertion, for one request.
pub(crate) struct Assertion {
    pub(crate) text: Secret,
    /// Those that the request names.
    scopes: Vec<String>,
}

impl Assertion {
    /// What the request asks for.
    pub(crate) fn request_target(&self, asked: &Target) -> Target {
        Target::new(asked.resources.clone(), self.scopes.clone())
    }
}

impl ClientState {
    /// Signs an assertion for this client's provider, and takes the time from the request's: the key may stand elsewhere.
    ///
    /// # Errors
    /// `request_failed` if the signer takes longer than that; and what the signer answers.
    pub(crate) async fn sign_assertion(
        &self,
        assertion: &JwtBearer,
        target: &Target,
        bounds: &mut Bounds,
    ) -> Result<Assertion> {
        let clock = self.http.clock.as_ref();
        let start = clock.monotonic();
        let signed = tokio::select! {
            signed = self.signed(assertion, target) => signed,
            () = clock.sleep(bounds.timeout) => Err(Error::new(
                ErrorCode::RequestFailed,
                bounds.phase,
                "the signer of the assertion took too long",
            )
            .with_client(self.name())),
        };
        let spent = clock.monotonic().saturating_sub(start);
        bounds.timeout = bounds.timeout.saturating_sub(spent);
        signed
    }

    async fn signed(&self, assertion: &JwtBearer, target: &Target) -> Result<Assertion> {
        let audience = match &assertion.audience {
            Some(audience) => Some(audience.clone()),
            None => self.assertion_audience().await?,
        };
        let audience = audience.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                Phase::Configure,
                "nobody is known whom the assertion is for; call JwtBearer::audience",
            )
        })?;
        let (client_id, clock) = (&self.resolved.client_id, self.http.clock.as_ref());
        assertion
            .signed(client_id, audience, target, clock)
            .await
            .map_err(|error| error.with_client(self.name()))
    }
}
