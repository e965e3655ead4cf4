use tokenkeep_core::Registration;

#[doc = include_str!("../../docs/gitlab.md")]
#[must_use]
pub fn gitlab() -> Registration {
    gitlab_at("https://gitlab.com")
}

/// As [`gitlab`], for an instance of one's own: its address without a slash at the end, such as `https://git.example.com`.
#[must_use]
pub fn gitlab_at(base: impl AsRef<str>) -> Registration {
    let base = base.as_ref().trim_end_matches('/');
    Registration::openid("gitlab", base)
        .scopes(["openid", "profile", "email"])
        .userinfo_at_login()
        .api_base_url(format!("{base}/api/v4/"))
}
