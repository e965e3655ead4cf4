//! One provider a file: its registration, its quirks, and its page in `docs`.

use tokenkeep_core::Registration;

mod amazon;
mod apple;
mod atlassian;
mod auth0;
mod bitbucket;
mod discord;
mod dropbox;
mod facebook;
mod figma;
mod github;
mod gitlab;
mod google;
mod keycloak;
mod linkedin;
mod microsoft;
mod notion;
mod okta;
mod reddit;
mod salesforce;
mod slack;
mod spotify;
mod strava;
mod twitch;
mod x;
mod yahoo;
mod zitadel;
mod zoom;

pub use self::{
    amazon::amazon,
    apple::{apple, apple_signed_by},
    atlassian::atlassian,
    auth0::auth0,
    bitbucket::bitbucket,
    discord::discord,
    dropbox::dropbox,
    facebook::facebook,
    figma::figma,
    github::{github, github_at},
    gitlab::{gitlab, gitlab_at},
    google::google,
    keycloak::keycloak,
    linkedin::linkedin,
    microsoft::microsoft,
    notion::notion,
    okta::okta,
    reddit::reddit,
    salesforce::salesforce,
    slack::slack,
    spotify::spotify,
    strava::strava,
    twitch::twitch,
    x::x,
    yahoo::yahoo,
    zitadel::zitadel,
    zoom::zoom,
};

/// The names of all presets, in order.
pub const NAMES: &[&str] = &[
    "amazon",
    "apple",
    "atlassian",
    "auth0",
    "bitbucket",
    "discord",
    "dropbox",
    "facebook",
    "figma",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "linkedin",
    "microsoft",
    "notion",
    "okta",
    "reddit",
    "salesforce",
    "slack",
    "spotify",
    "strava",
    "twitch",
    "x",
    "yahoo",
    "zitadel",
    "zoom",
];

/// The preset of that name, as [`NAMES`] spells it; none if there is none.
///
/// Where a preset takes a domain, this one has none: the settings give it, as `{NAME}_ISSUER` or `{NAME}_SERVER_METADATA_URL`.
/// Microsoft's is for every tenant (`common`), Salesforce's for `login.salesforce.com`.
#[must_use]
pub fn by_name(name: &str) -> Option<Registration> {
    Some(match name {
        "amazon" => amazon(),
        "apple" => apple(),
        "atlassian" => atlassian(),
        "auth0" => auth0::anywhere(),
        "bitbucket" => bitbucket(),
        "discord" => discord(),
        "dropbox" => dropbox(),
        "facebook" => facebook(),
        "figma" => figma(),
        "github" => github(),
        "gitlab" => gitlab(),
        "google" => google(),
        "keycloak" => keycloak::anywhere(),
        "linkedin" => linkedin(),
        "microsoft" => microsoft("common"),
        "notion" => notion(),
        "okta" => okta::anywhere(),
        "reddit" => reddit(),
        "salesforce" => salesforce("login.salesforce.com"),
        "slack" => slack(),
        "spotify" => spotify(),
        "strava" => strava(),
        "twitch" => twitch(),
        "x" => x(),
        "yahoo" => yahoo(),
        "zitadel" => zitadel::anywhere(),
        "zoom" => zoom(),
        _ => return None,
    })
}

/// Does the preset of that name get its issuer from the settings?
#[must_use]
pub fn needs_issuer(name: &str) -> bool {
    matches!(name, "auth0" | "keycloak" | "okta" | "zitadel")
}

/// The issuer at a domain, or the address that was given in its place, without a slash at the end. A domain is one: with
/// anything else in it, such as the path in `evil.example/.okta.com`, it is no address, and the client is refused.
fn issuer_at(domain: &str) -> String {
    let domain = domain.trim_end_matches('/');
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if !domain.contains("://") && !domain.chars().all(is_domain) {
        return NO_ADDRESS.to_owned();
    }
    issuer_of(domain)
}

/// A registration with it is refused as `invalid_configuration`.
const NO_ADDRESS: &str = "https://[no domain]";

/// The issuer below a host, or the address that was given in its place, without a slash at the end.
fn issuer_of(domain: &str) -> String {
    let domain = domain.trim_end_matches('/');
    if domain.contains("://") {
        domain.to_owned()
    } else {
        format!("https://{domain}")
    }
}
