//! What a browser and a program see of the routes: pages, JSON, headers, addresses.

use tokenkeep_testing::{Browser, Endpoint, Fault, Page};

use super::search::Secrets;
use crate::{
    web::{Framework, Routes, serve},
    world::World,
};

/// A whole day of an application: logins that work and logins that fail, seen by people and by programs.
pub(super) async fn pages(framework: Framework, world: &World, secrets: &mut Secrets) -> Vec<Page> {
    let registration = world.registration().userinfo_at_login();
    let (base, _, _serves) = serve(
        framework,
        world,
        |builder| builder.register(registration),
        Routes::default().connections(|_, _| true),
    );

    let at = |path: &str| format!("{base}{path}");
    let mut pages = Vec::new();
    for browser in [
        world.provider.browser(),
        world.provider.browser().accepting_json(),
    ] {
        let begun = browser.get(&at("/login/op?return_to=/me")).await.unwrap();
        remember(&browser, &base, secrets);
        pages.push(begun);
        let came = browser
            .log_in(&at("/login/op?return_to=/me"), "alice")
            .await
            .unwrap();
        remember(&browser, &base, secrets);
        let callback = came.at("/callback/op").unwrap().url.clone();
        pages.extend(came.steps);
        for path in [
            "/debug",
            "/call",
            "/explain",
            "/login/nobody",
            "/connect/op",
            "/connections",
            "/logout",
        ] {
            pages.push(browser.get(&at(path)).await.unwrap());
        }
        // The same answer once more, and altered ones.
        let query = callback.query().unwrap();
        for query in [
            query.to_owned(),
            format!("{query}&code=x"),
            query.replace("state=", "state=x"),
        ] {
            pages.push(
                browser
                    .get(&at(&format!("/callback/op?{query}")))
                    .await
                    .unwrap(),
            );
        }
        pages.extend(failures(world, &browser, &at("/login/op")).await);
        let page = browser.get(&at("/logout")).await.unwrap();
        let csrf = csrf_of(&page);
        secrets.know("a csrf token", &csrf);
        pages.push(
            browser
                .post_form(&at("/logout"), &[("csrf", "x")])
                .await
                .unwrap(),
        );
        let left = browser
            .post_form(&at("/logout"), &[("csrf", &csrf)])
            .await
            .unwrap();
        pages.extend(browser.follow_page(left).await.unwrap().steps);
        pages.push(browser.get(&at("/me")).await.unwrap());
    }
    let own = |page: &Page| page.url.as_str().starts_with(&base);
    pages.into_iter().filter(own).collect()
}

/// The provider says in each what it was sent, as careless ones do.
async fn failures(world: &World, browser: &Browser, login: &str) -> Vec<Page> {
    let secret = world.provider.client_secret();
    let echo = format!(r#"{{"error":"invalid_request","error_description":"bad {secret}"}}"#);
    let mut pages = Vec::new();
    for (endpoint, fault) in [
        (Endpoint::Token, Fault::Html),
        (
            Endpoint::Token,
            Fault::Answer {
                status: 400,
                content_type: "application/json".into(),
                body: echo,
            },
        ),
        (
            Endpoint::Authorize,
            Fault::CallbackError("access_denied".into()),
        ),
        (Endpoint::Token, Fault::DropAfter),
    ] {
        let rule = world.provider.faults().on(endpoint, fault);
        pages.extend(browser.log_in(login, "alice").await.unwrap().steps);
        rule.off();
    }
    pages
}

fn csrf_of(page: &Page) -> String {
    let quoted = page
        .body
        .split("csrf")
        .nth(1)
        .unwrap()
        .trim_start_matches("\" value=\"");
    let text = quoted.trim_start_matches(['"', ':']);
    text.split('"').next().unwrap().to_owned()
}

fn remember(browser: &Browser, base: &str, secrets: &mut Secrets) {
    for (_, value) in browser.cookies(base) {
        secrets.know("a cookie", value);
    }
}

/// Only what must carry a secret does: `Set-Cookie` the sealed cookie, the way to the provider what a login or a logout
/// sends, the page with the button the session's own token. And what a cookie carries is sealed.
pub(super) fn search(pages: &[Page], secrets: &Secrets) {
    assert!(pages.len() > 30, "{} pages", pages.len());
    let mut statuses = std::collections::BTreeSet::new();
    for page in pages {
        statuses.insert(page.status);
        let place = format!("{} {}", page.method, page.url.path());
        let mut found = secrets.found_in(&page.body);
        if matches!(page.url.path(), "/logout" | "/connections") {
            found.remove("a csrf token");
        }
        if page.url.path() == "/callback/op" {
            // One of the claims, and used up.
            found.remove("nonce");
        }
        assert!(found.is_empty(), "{found:?} in the page of {place}");
        for (name, value) in &page.headers {
            let found = secrets.found_in(value);
            let allowed: &[&str] = match (name.as_str(), page.url.path()) {
                ("set-cookie", _) => &["a cookie"],
                ("location", "/login/op" | "/connect/op") => &["nonce", "state"],
                // The hint has the nonce in its claims.
                ("location", "/logout") => &["id_token", "nonce", "state"],
                _ => &[],
            };
            let found: Vec<_> = found
                .iter()
                .filter(|what| !allowed.contains(what))
                .collect();
            assert!(found.is_empty(), "{found:?} in {name} of {place}");
        }
    }
    assert!(
        statuses.is_superset(&[200, 303, 400, 401, 403, 404, 502].into()),
        "{statuses:?}"
    );
    let cookies = secrets.iter().filter(|(_, what)| *what == "a cookie");
    for (cookie, _) in cookies {
        let sealed = cookie.rsplit(|byte| *byte == b'.').next().unwrap();
        let bytes =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, sealed);
        assert!(
            secrets.found_in(bytes.unwrap()).is_empty(),
            "a cookie can be read"
        );
    }
}
