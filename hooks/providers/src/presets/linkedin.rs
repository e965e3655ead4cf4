use tokenkeep_core::{AuthMethod, Registration};

#[doc = include_str!("../../docs/linkedin.md")]
#[must_use]
pub fn linkedin() -> Registration {
    Registration::openid("linkedin", "https://www.linkedin.com/oauth")
        .scopes(["openid", "profile", "email"])
        // Its ID tokens have no nonce, and its token endpoint refuses a code_verifier.
        .dangerously_skip_nonce()
        .dangerously_without_pkce()
        .userinfo_at_login()
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
        .revocation_url("https://www.linkedin.com/oauth/v2/revoke")
        .api_base_url("https://api.linkedin.com/v2/")
}
