//! The pages of the guide say what the presets do, and there is one for each.

use std::collections::BTreeSet;

use serde_json::json;
use tokenkeep_core::{ErrorCode, OAuth, Settings};
use tokenkeep_memory::MemoryStore;
use tokenkeep_providers::{NAMES, by_name, needs_issuer};

use crate::{
    fixture::{Fixture, file, preset},
    peer::Reply,
    world::World,
};

fn page(name: &str) -> String {
    std::fs::read_to_string(file("docs", &format!("{name}.md"))).unwrap()
}

/// A row of the table at a page's head.
fn row<'a>(page: &'a str, name: &str) -> &'a str {
    let begin = format!("| {name} |");
    let mut lines = page.lines();
    let line = lines.find_map(|line| line.strip_prefix(begin.as_str()));
    line.unwrap_or_else(|| panic!("no row {name}"))
}

#[test]
fn every_page_says_what_its_preset_does() {
    for name in NAMES {
        let (page, fixture) = (page(name), Fixture::of(name));
        let redirect_uri = row(&page, "redirect URI");
        assert!(
            redirect_uri.contains(&format!("https://your.app/callback/{name}`")),
            "{name}"
        );
        let scopes = fixture.authorize.parameters.get("scope");
        for scope in scopes.iter().flat_map(|scopes| scopes.split_whitespace()) {
            assert!(
                row(&page, "scopes").contains(&format!("`{scope}`")),
                "{name}: {scope}"
            );
        }
        let variable = format!("`{}_CLIENT_ID`", name.to_uppercase());
        assert!(row(&page, "settings").contains(&variable), "{name}");
        for (parameter, value) in &fixture.authorize.parameters {
            let told = page.contains(parameter.as_str()) || page.contains(value.as_str());
            assert!(
                parameter == "approval_prompt" || told,
                "{name}: {parameter}"
            );
        }
        if let Some(api) = &fixture.api {
            let addresses = row(&page, "API").split('`');
            let told = addresses
                .into_iter()
                .any(|address| address.starts_with("https://") && api.at.starts_with(address));
            assert!(told, "{name}: {}", api.at);
        }
        assert_eq!(
            row(&page, "revocation").trim_start().starts_with("none"),
            fixture.revoke.is_none(),
            "{name}"
        );
        assert_eq!(
            row(&page, "refresh").trim_start().starts_with("no:"),
            fixture.refresh.is_none(),
            "{name}"
        );
        // A profile in the provider's own words has a table of where each claim comes from.
        if fixture.metadata.is_none() {
            for (claim, value) in fixture.claims.as_object().unwrap() {
                let row = format!("| `{claim}` |");
                let told = page.lines().any(|line| line.starts_with(&row));
                assert_eq!(told, !value.is_null(), "{name}: {claim}");
            }
        }
        for heading in ["where to register", "redirect URI"] {
            assert!(row(&page, heading).trim().len() > 10, "{name}: {heading}");
        }
        assert!(page.contains("\n# What is special\n\n- "), "{name}");
    }
}

#[test]
fn every_preset_has_a_page_and_a_fixture_and_stands_in_the_table() {
    let names: BTreeSet<&str> = NAMES.iter().copied().collect();
    assert_eq!(
        Vec::from_iter(names.iter().copied()),
        NAMES,
        "in order, each once"
    );
    assert!(names.len() >= 22);
    for (folder, ending) in [("docs", ".md"), ("tests/fixtures", ".json")] {
        let files = std::fs::read_dir(file(folder, "")).unwrap();
        let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let found: BTreeSet<String> = files
            .map(|file| file.strip_suffix(ending).unwrap().to_owned())
            .filter(|name| name != "README")
            .collect();
        assert_eq!(found, names.iter().map(|name| (*name).to_owned()).collect());
    }
    let table = page("README");
    for name in names {
        let row = format!("docs/{name}.md) | [`{name}(");
        assert!(table.contains(&row), "{name}");
    }
}

#[test]
fn every_name_leads_to_the_preset_of_that_name_and_no_other_name_does() {
    for name in NAMES {
        assert_eq!(by_name(name).unwrap().name(), *name);
        assert_eq!(preset(name).name(), *name);
    }
    for other in ["", "GitHub", "github ", "nobody"] {
        assert!(by_name(other).is_none(), "{other:?}");
    }
}

/// Builds a registry with a preset by name and these settings.
fn by_settings(name: &str, settings: &[(&str, &str)]) -> tokenkeep_core::Result<OAuth> {
    let settings = settings.iter().copied();
    OAuth::builder()
        .store(MemoryStore::new())
        .register(by_name(name).unwrap().overwrite())
        .config(Settings::from_iter(settings))
        .build()
}

#[test]
fn id_and_secret_are_all_that_a_preset_needs_from_the_settings() {
    for name in NAMES {
        let [id, secret] =
            ["ID", "SECRET"].map(|key| format!("{}_CLIENT_{key}", name.to_uppercase()));
        let issuer = format!("{}_ISSUER", name.to_uppercase());
        let mut settings = vec![(id.as_str(), "id"), (secret.as_str(), "secret")];
        if needs_issuer(name) {
            let error = by_settings(name, &settings).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{name}");
            assert!(error.message().contains(&issuer), "{name}: {error}");
            settings.push((issuer.as_str(), "https://id.example.com"));
        }
        by_settings(name, &settings).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let error = by_settings(name, &settings[1..]).unwrap_err();
        assert!(error.message().contains(&id), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_name_in_front_of_a_domain_leads_to_no_other_host() {
    use tokenkeep_providers as providers;
    for tenant in [
        "evil.example/",
        "evil.example?",
        "evil.example#",
        "evil.example\\",
        "evil.example:443/",
        "https:evil.example/",
        "https:\\evil.example/",
        "//evil.example/",
        "user@evil.example/",
        "x@",
        "a b",
        "a\t",
        "evil.example\u{ff0f}",
    ] {
        let place = format!("{tenant}.okta.example");
        for client in [
            providers::okta(&place),
            providers::auth0(&place),
            providers::zitadel(&place),
            providers::salesforce(&place),
        ] {
            let name = client.name().to_owned();
            let refused = OAuth::builder()
                .store(MemoryStore::new())
                .register(client.client_id("id"))
                .build();
            let code = refused.map(|_| ()).map_err(|error| error.code());
            let expected = Err(ErrorCode::InvalidConfiguration);
            assert_eq!(code, expected, "{name} {place:?}");
        }
    }
}

#[tokio::test]
async fn a_place_is_where_the_metadata_is_asked_for() {
    use tokenkeep_providers as providers;
    let known = ".well-known/openid-configuration";
    for (client, issuer) in [
        (
            providers::microsoft("common"),
            "https://login.microsoftonline.com/common/v2.0",
        ),
        (
            providers::microsoft("organizations"),
            "https://login.microsoftonline.com/organizations/v2.0",
        ),
        (
            providers::microsoft("consumers"),
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        ),
        (
            providers::microsoft("72f988bf-86f1-41af-91ab-2d7cd011db47"),
            "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        ),
        (
            providers::okta("https://a.okta.com/oauth2/default/"),
            "https://a.okta.com/oauth2/default",
        ),
        (providers::auth0("a.auth0.com/"), "https://a.auth0.com"),
        (
            providers::keycloak("id.example.com/auth/", "staff"),
            "https://id.example.com/auth/realms/staff",
        ),
        (
            providers::zitadel("https://id.example.com"),
            "https://id.example.com",
        ),
        (
            providers::salesforce("a.my.salesforce.com"),
            "https://a.my.salesforce.com",
        ),
        (
            providers::gitlab_at("https://git.example.com/"),
            "https://git.example.com",
        ),
    ] {
        let name = client.name().to_owned();
        let world = World::with(&name, client.client_id("id")).await;
        let at = format!("{issuer}/{known}");
        let document = json!({"issuer": "https://somebody.else.example"});
        world.peer.answers("GET", &at, Reply::json(200, &document));
        let redirect = world
            .client()
            .authorize_redirect("https://app.example/callback");
        let error = redirect.await.unwrap_err();
        assert_eq!(
            error.code(),
            ErrorCode::IssuerMismatch,
            "{issuer}: {error:?}"
        );
        assert_eq!(world.peer.seen(&at).len(), 1, "{issuer}");
    }
}
