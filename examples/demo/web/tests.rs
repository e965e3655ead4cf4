//! What either framework adds by itself is the same.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use clap::ValueEnum;
use reqwest::{Method, header};
use tokenkeep_testing::Provider;

use super::Web;
use crate::{
    provider,
    serve::{self, Server},
    setup::Setup,
    store::StoreUrl,
};

/// The whole demo by this framework, and its address.
async fn demo(web: Web) -> (Server, Provider, String) {
    let listener = serve::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base_url = format!("http://{}", serve::address(&listener).unwrap());
    let hour = Duration::from_secs(3600);
    let (provider, clients) = provider::start(&base_url, hour).await.unwrap();
    let setup = Setup {
        store: StoreUrl::Memory,
        keys: None,
        base_url: base_url.clone(),
        clients,
        roots: Vec::new(),
        web,
    };
    let server = serve::start(web, listener, None).unwrap();
    let registry = setup.registry().await.unwrap();
    server.open(&registry).await.unwrap();
    (server, provider, base_url)
}

#[tokio::test]
async fn a_streamed_answer_says_once_what_it_is() {
    for web in Web::value_variants() {
        let (server, provider, base) = demo(*web).await;
        let browser = provider.browser();
        browser
            .log_in(&format!("{base}/login/op"), "alice")
            .await
            .unwrap();
        let program = browser.accepting_json();
        let answer = program.get(&format!("{base}/api/op/me")).await.unwrap();
        let types: Vec<_> = answer
            .headers
            .get_all(header::CONTENT_TYPE)
            .iter()
            .collect();
        assert_eq!(types, ["application/json"], "{web:?}");
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_is_told_those_that_it_takes() {
    for web in Web::value_variants() {
        let (server, _provider, base) = demo(*web).await;
        for (path, methods) in [
            ("/", "GET,HEAD"),
            ("/tokens", "GET,HEAD"),
            ("/api/op/me", "GET,HEAD,POST"),
            ("/tokens/op/refresh", "POST"),
        ] {
            let request = reqwest::Client::new().request(Method::PUT, format!("{base}{path}"));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 405, "{web:?} {path}");
            let allowed = answer.headers().get(header::ALLOW);
            let allowed = allowed.map(|methods| methods.to_str().unwrap());
            assert_eq!(allowed, Some(methods), "{web:?} {path}");
        }
        server.stop().await.unwrap();
    }
}
