use tokenkeep_core::Registration;

#[doc = include_str!("../../docs/yahoo.md")]
#[must_use]
pub fn yahoo() -> Registration {
    Registration::openid("yahoo", "https://api.login.yahoo.com")
        .scopes(["openid", "profile", "email"])
        .userinfo_at_login()
}
