//! Somebody at the application, over plain HTTP: a small cookie jar, no redirect followed unseen.

use std::sync::{Arc, Mutex};

use reqwest::header::{ACCEPT, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use url::Url;

use crate::world::World;

/// A browser without a screen: cookies of its own.
#[derive(Clone)]
pub(crate) struct Person {
    world: Arc<World>,
    http: reqwest::Client,
    cookies: Arc<Mutex<Vec<Cookie>>>,
}

#[derive(Clone, Debug)]
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) url: Url,
    pub(crate) status: u16,
    /// Where it redirects to.
    pub(crate) location: Option<Url>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("not JSON, from {}: {}", self.url.path(), self.body))
    }

    /// The answer's JSON, if it has the status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{} answered {}",
            self.url.path(),
            self.body
        );
        self.json()
    }

    /// The answer is an error of the demo's form, with this status and code.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, code: &str) -> Value {
        let error = self.expect(status);
        assert_eq!(error["error"], code, "{error}");
        assert_error_form(&error);
        error
    }

    #[track_caller]
    pub(crate) fn expect_redirect(&self) -> Url {
        assert_eq!(
            self.status,
            303,
            "{} answered {}",
            self.url.path(),
            self.body
        );
        self.location.clone().expect("a redirect has a location")
    }
}

/// `{error, phase, client, message, action, retry_after?, connect_url?}`
#[track_caller]
pub(crate) fn assert_error_form(error: &Value) {
    let members = error.as_object().expect("an error is an object");
    for name in ["error", "phase", "client", "message", "action"] {
        assert!(members.contains_key(name), "no {name} in {error}");
    }
    for name in members.keys() {
        let known = [
            "error",
            "phase",
            "client",
            "message",
            "action",
            "retry_after",
            "connect_url",
        ];
        assert!(
            known.contains(&name.as_str()),
            "{name} is not in the contract: {error}"
        );
    }
    let action = error["action"].as_str().expect("action is a string");
    assert!(
        ["login", "retry", "configure", "none"].contains(&action),
        "{error}"
    );
}

/// What somebody does at the provider's pages.
#[derive(Clone, Copy)]
pub(crate) enum AtProvider<'a> {
    Agree { login: &'a str },
    Refuse { login: &'a str },
}

impl Person {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let http = world.http();
        Self {
            world,
            http,
            cookies: Arc::default(),
        }
    }

    /// Names and values of the cookies that the application has set.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        let host = self.world.demo.base.host_str();
        let cookies = self.cookies.lock().unwrap();
        let mine = cookies.iter().filter(|cookie| Some(&*cookie.host) == host);
        mine.map(|cookie| (cookie.name.clone(), cookie.value.clone()))
            .collect()
    }

    /// The same cookies, kept by somebody who won't hear of changes to the original.
    pub(crate) fn copy(&self) -> Self {
        let cookies = self.cookies.lock().unwrap().clone();
        Self {
            cookies: Arc::new(Mutex::new(cookies)),
            ..self.clone()
        }
    }

    /// `GET` at the demo, as a program.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(
            self.request(Method::GET, self.world.demo.url(path))
                .header(ACCEPT, "application/json"),
        )
        .await
    }

    /// `GET` at the demo, as a person.
    pub(crate) async fn page(&self, path: &str) -> Reply {
        self.send(
            self.request(Method::GET, self.world.demo.url(path))
                .header(ACCEPT, "text/html"),
        )
        .await
    }

    /// `POST` at the demo, as a program that has asked for the CSRF token.
    pub(crate) async fn post(&self, path: &str) -> Reply {
        let csrf = self.tokens().await["csrf"].as_str().unwrap().to_owned();
        let request = self
            .request(Method::POST, self.world.demo.url(path))
            .header("x-csrf-token", csrf);
        self.send(request.header(ACCEPT, "application/json")).await
    }

    /// `GET /tokens` of somebody who is signed in.
    pub(crate) async fn tokens(&self) -> Value {
        self.get("/tokens").await.expect(200)
    }

    /// The row of a client in `GET /tokens`.
    pub(crate) async fn token(&self, client: &str) -> Value {
        let tokens = self.tokens().await;
        let rows = tokens["tokens"].as_array().expect("tokens is a list");
        rows.iter()
            .find(|row| row["client"] == client)
            .unwrap_or_else(|| panic!("no {client} in {tokens}"))
            .clone()
    }

    /// The whole login, as a program: the callback's answer.
    pub(crate) async fn log_in(&self, client: &str, login: &str) -> Value {
        let callback = self
            .authorize(&format!("/login/{client}"), AtProvider::Agree { login })
            .await;
        self.callback(&callback).await.expect(200)
    }

    /// From a login or connect route to the callback URL, which is not opened.
    pub(crate) async fn authorize(&self, path: &str, answer: AtProvider<'_>) -> Url {
        let start = self.get(path).await.expect_redirect();
        assert_eq!(
            start.origin(),
            self.world.provider.issuer.origin(),
            "sent to the provider"
        );
        self.at_provider(start, answer).await
    }

    /// Opens a callback URL as a program.
    pub(crate) async fn callback(&self, callback: &Url) -> Reply {
        if let Some((_, code)) = callback.query_pairs().find(|(name, _)| name == "code") {
            self.world.evidence.secret("an authorization code", &code);
        }
        self.send(
            self.request(Method::GET, callback.clone())
                .header(ACCEPT, "application/json"),
        )
        .await
    }

    /// Follows the provider's pages until they lead back to the demo.
    pub(crate) async fn at_provider(&self, start: Url, answer: AtProvider<'_>) -> Url {
        let (AtProvider::Agree { login } | AtProvider::Refuse { login }) = answer;
        let mut reply = self.send(self.request(Method::GET, start)).await;
        for _ in 0..20 {
            reply = if let Some(location) = reply.location {
                if location.origin() == self.world.demo.base.origin() {
                    return location;
                }
                self.send(self.request(Method::GET, location)).await
            } else if reply.body.contains("name=\"login\"") {
                self.submit(
                    &reply,
                    &[("prompt", "login"), ("login", login), ("password", "any")],
                )
                .await
            } else if reply.body.contains("value=\"consent\"") {
                match answer {
                    AtProvider::Agree { .. } => self.submit(&reply, &[("prompt", "consent")]).await,
                    AtProvider::Refuse { .. } => {
                        let cancel = between(&reply.body, "<a href=\"", "\">[ Cancel ]");
                        self.send(self.request(Method::GET, reply.url.join(cancel).unwrap()))
                            .await
                    }
                }
            } else if reply.body.contains("op.logoutForm") {
                let xsrf = between(&reply.body, "name=\"xsrf\" value=\"", "\"").to_owned();
                self.submit(&reply, &[("xsrf", &xsrf), ("logout", "yes")])
                    .await
            } else {
                panic!(
                    "an unknown page of the provider at {}: {} {}",
                    reply.url.path(),
                    reply.status,
                    reply.body
                )
            };
        }
        panic!("the provider's pages lead nowhere")
    }

    async fn submit(&self, page: &Reply, form: &[(&str, &str)]) -> Reply {
        let action = page
            .url
            .join(between(&page.body, "action=\"", "\""))
            .unwrap();
        self.send(self.request(Method::POST, action).form(form))
            .await
    }

    /// A request with the cookies that belong to it.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let (host, path) = (url.host_str().unwrap_or_default(), url.path());
        let cookies = self.cookies.lock().unwrap();
        let mine = cookies
            .iter()
            .filter(|cookie| cookie.host == host && path.starts_with(&cookie.path));
        let header = mine
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect::<Vec<_>>()
            .join("; ");
        let request = self.http.request(method, url.clone());
        if header.is_empty() {
            request
        } else {
            request.header("cookie", header)
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        let mut answer = request.send().await.expect("the server answers");
        let (url, status) = (answer.url().clone(), answer.status().as_u16());
        let location = answer
            .headers()
            .get(LOCATION)
            .map(|value| url.join(value.to_str().unwrap()).unwrap());
        for value in answer.headers_mut().get_all(SET_COOKIE) {
            self.keep(&url, value.to_str().unwrap());
        }
        let headers = answer.headers().clone();
        let body = answer.text().await.expect("the answer is whole");
        if url.origin() == self.world.demo.base.origin() {
            self.world.evidence.page(url.path(), &body);
        }
        Reply {
            url,
            status,
            location,
            headers,
            body,
        }
    }

    /// RFC 6265, as far as the two servers use it. Cookies know no ports.
    fn keep(&self, url: &Url, header: &str) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let attribute = |of: &str| {
            attributes
                .iter()
                .find(|(name, _)| name == of)
                .map(|(_, value)| *value)
        };
        let path = attribute("path").unwrap_or("/").to_owned();
        let host = url.host_str().unwrap_or_default().to_owned();
        let gone = attribute("max-age").is_some_and(|age| age.starts_with('-') || age == "0")
            || attribute("expires")
                .is_some_and(|expires| expires.contains(" 1970 ") || expires.contains("-1970 "));

        let mut cookies = self.cookies.lock().unwrap();
        cookies
            .retain(|cookie| !(cookie.host == host && cookie.path == path && cookie.name == name));
        if gone || value.is_empty() {
            return;
        }
        if value.len() >= 16 && url.origin() == self.world.demo.base.origin() {
            self.world
                .evidence
                .secret(format!("the cookie {name}"), value);
        }
        cookies.push(Cookie {
            host,
            path,
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
}

/// The text between two marks.
#[track_caller]
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text
        .find(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"))
        + before.len();
    let length = text[start..]
        .find(after)
        .unwrap_or_else(|| panic!("no {after} in {text}"));
    &text[start..start + length]
}
