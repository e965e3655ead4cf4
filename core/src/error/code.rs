//! Every kind of error: its name, its HTTP status, what it means, and what to do about it.

use std::fmt;

/// How an HTTP answer for an error is classed; the web hooks answer with it.
macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $doc:literal $help:literal,)*) => {
        /// What went wrong, as a stable code.
        ///
        /// | code | HTTP status | meaning | what to do |
        /// |---|---|---|---|
        $(#[doc = concat!("| `", $name, "` | ", stringify!($status), " | ", $doc, " | ", $help, " |")])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode { $(#[doc = $doc] $variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, in snake case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that fits: 400 what the browser brought, 401 sign in (again), 403, 404, 409,
            /// 502 what the provider did, 503 the store, 500 our own configuration.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What a developer or operator can change about it, in a sentence or two.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

codes! {
    InvalidConfiguration "invalid_configuration" 500 "A setting or registration is missing, unreadable or contradicts another"
        "The message names the setting or method that is missing or wrong: correct it where the client is registered or the registry is built.",
    MissingStore "missing_store" 500 "`build()` without a token store"
        "Give the builder a store with `.store(…)`; `MemoryStore` keeps nothing beyond the process.",
    KeyRingRequired "key_ring_required" 500 "A store that leaves the process without a key ring"
        "Give the builder a key ring with `.key_ring(KeyRing::from_env(…)?)`; `KeyRing::ephemeral()` is for stores that end with the process.",
    NotInitialized "not_initialized" 500 "A handle was used before `init`"
        "Call `OAuth::init(…)` before the first request is served.",
    Unsupported "unsupported" 501 "The store or the provider cannot do what was asked for"
        "Choose a store or a provider that can do it, or don't ask for it: the message says which of the two it is, and what.",
    UnknownClient "unknown_client" 404 "No client is registered by that name"
        "Register the client under this name, or correct the name where it is used; names are compared byte for byte.",
    InvalidKey "invalid_key" 400 "A client, owner or slot name is empty, longer than 255 bytes or has control characters"
        "Use a stable id of the user, such as the primary key of your users' table, of 1 to 255 bytes without control characters.",
    InvalidToken "invalid_token" 400 "A token given to us is empty or has control characters"
        "Pass the token exactly as the provider issued it, without `Bearer` and without line breaks.",
    InvalidReturnTo "invalid_return_to" 400 "A return-to address outside the application's own origin"
        "Pass a path of your own application that begins with one slash, such as `/account`.",
    MissingParameter "missing_parameter" 400 "A required parameter is absent"
        "No provider sends it like that: somebody else called this address, or something on the way takes parameters away, such as a redirect that loses the query.",
    InvalidParameter "invalid_parameter" 400 "A parameter is doubled, oversized, unreadable or contradicts another"
        "Correct the parameter that the message names; if it came from the provider, look for a proxy that adds or doubles it.",
    StateMismatch "state_mismatch" 400 "The state belongs to no login of this browser and client, or was used already"
        "Let the user begin anew. If it happens to everybody: `base_url` must be the very host that browsers use, all processes need the same key ring, and nothing may strip cookies.",
    FlowExpired "flow_expired" 400 "The login took longer than it may"
        "Let the user begin the login anew; a login may take ten minutes.",
    IssuerMismatch "issuer_mismatch" 502 "Metadata, an authorization response or an ID token name another issuer"
        "Register the issuer exactly as the provider's metadata spells it, with or without its trailing slash; if that is right already, the answer is not from this provider.",
    AccessDenied "access_denied" 403 "The user or the provider refused"
        "The user or a policy of the provider said no: ask for fewer scopes, or have the user allowed at the provider.",
    ProviderError "provider_error" 502 "The provider answered with an error or with something unreadable"
        "Look at `error` and `description` of the provider: mostly the registration there differs from the one here (redirect URI, secret, grant types, scopes).",
    ProviderUnavailable "provider_unavailable" 502 "The provider could not be reached, or did not answer in time"
        "Try again later; if it lasts, check name resolution, firewall, proxy and trusted roots between this machine and the provider.",
    InvalidMetadata "invalid_metadata" 502 "The provider's metadata cannot be used"
        "Correct the issuer or metadata address, or name the endpoints by hand in the registration.",
    MissingIdToken "missing_id_token" 502 "`openid` was asked for and no ID token came"
        "Have the provider issue ID tokens to this client, or don't ask for the scope `openid`.",
    InvalidIdToken "invalid_id_token" 502 "An ID token is malformed, expired, from the future, or of another kind"
        "Let the user log in anew; if it happens each time, compare this machine's clock (`clock_leeway`) and what the provider issues with the message.",
    InvalidSignature "invalid_signature" 502 "A signature does not verify"
        "Check that issuer and `jwks_uri` are those of the provider that signs; a token that was altered on its way is to be refused.",
    InvalidAudience "invalid_audience" 502 "An ID token is meant for another client"
        "Compare `client_id` with the provider's registration; a further audience that you trust is named with `trust_audience(…)`.",
    InvalidNonce "invalid_nonce" 502 "An ID token was not issued for this login"
        "Let the user begin the login anew; a provider that never returns the nonce needs `dangerously_skip_nonce()`.",
    InvalidHash "invalid_hash" 502 "`at_hash` or `c_hash` does not fit the token or code beside it"
        "The tokens were not issued together: let the user log in anew, and report it to the provider if it lasts.",
    MissingClaim "missing_claim" 502 "A required claim is absent"
        "Have the provider add the claim that the message names, or don't ask for what requires it (`max_age`, `acr_values`).",
    UnsupportedAlgorithm "unsupported_algorithm" 502 "An algorithm that is not allowed for this client"
        "Have the provider sign this client's tokens with an algorithm that is allowed here, or allow it with `id_token_algorithms(…)`; `none` can't be allowed.",
    MissingKey "missing_key" 502 "The provider publishes no key for this signature"
        "Check the provider's JWK Set: the key that signed must be in it, of a known type, for signatures, and RSA of at least 2,048 bits.",
    SubjectMismatch "subject_mismatch" 502 "Userinfo or a refreshed ID token is about somebody else"
        "The provider answered about another user: don't use the answer, and report it to the provider.",
    IdentityChanged "identity_changed" 401 "A refresh answered with another identity; the user must log in again"
        "Send the user to log in again: the refresh token belongs to somebody else by now.",
    OwnerUnknown "owner_unknown" 502 "The login names nobody, and no owner mapping was given"
        "Map logins to your users with `routes(…).owner(…)`, or ask for `openid` or for userinfo at login.",
    OwnerRefused "owner_refused" 403 "The application refused the login"
        "Your own owner mapping or `before_login_kept` hook said no: its reason is the error's source.",
    OwnerMissing "owner_missing" 500 "A call without a token: nobody said whose it is"
        "Say whose token it is: `client.owner(…)`, `user.grant(…)`, `client.app()`, a current owner by `as_owner(…)`, or a token of your own by `.token(…)` of the request.",
    UserChanged "user_changed" 409 "Another user is signed in by now"
        "Let the user begin to connect the account anew, signed in as the one who is meant.",
    NotSignedIn "not_signed_in" 401 "There is no valid session"
        "Send the browser to log in.",
    CsrfMismatch "csrf_mismatch" 403 "The request does not prove that it comes from the application's own page"
        "Send the session's `csrf` along: as the header `x-csrf-token`, or as the form's hidden field `csrf`; and link to these routes from your own pages only.",
    LoginRequired "login_required" 401 "No usable token is kept; the user must log in (again)"
        "Send the user to log in again; for background work ask for `offline_access` (or what the provider calls it) at login.",
    TokenRejected "token_rejected" 401 "The API refuses the token, and a refresh did not help"
        "Check that the API is for tokens of this client and audience; otherwise send the user to log in again.",
    InsufficientScope "insufficient_scope" 403 "The API wants a scope that the token lacks (RFC 6750)"
        "Send the user to log in again with the scope that the error names: `authorize_redirect(…).required_by(&error)`.",
    StepUpRequired "step_up_required" 401 "The API wants a stronger or fresher authentication (RFC 9470)"
        "Send the user to log in again with the `acr_values` or `max_age` that the error names: `authorize_redirect(…).required_by(&error)`.",
    ForeignOrigin "foreign_origin" 400 "An address outside the client's allowed origins; no token is sent there"
        "Name a path below `api_base_url`, or allow the origin with `allow_origin(…)` if it may see this client's tokens.",
    RequestFailed "request_failed" 502 "An API could not be reached"
        "Try again later if the request may be repeated; if it lasts, check the way to the API and its certificate.",
    RefreshUnavailable "refresh_unavailable" 502 "The token expired and cannot be renewed at this moment"
        "Try again after the time that the error names, if it names one; the grant is kept.",
    KeyMissing "key_missing" 503 "The key ring lacks the key that sealed this record"
        "Put the key that the message names back into the key ring, behind the one that seals.",
    InvalidRecord "invalid_record" 503 "A stored record cannot be read; it is left as it is"
        "Look at the row by its key: something else wrote to the table. It is left as it is; a new login replaces it.",
    UnsupportedFormat "unsupported_format" 503 "A stored record was written by a newer major version"
        "Finish the deployment: a newer version of tokenkeep wrote this row.",
    StoreUnavailable "store_unavailable" 503 "The token store failed or did not answer"
        "Try again later; if it lasts, check the store's address, credentials, table and load.",
    InvalidLogoutToken "invalid_logout_token" 400 "A logout token that does not pass its checks"
        "Compare issuer, client id, keys and clock with the provider's registration; a replayed or forged token is to be refused.",
    Internal "internal" 500 "A defect of tokenkeep itself"
        "Please report it, with the log around it.",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
