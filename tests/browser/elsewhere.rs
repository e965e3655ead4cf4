//! Sites of other people: one server, under every host name that the browser finds on loopback, with the pages that a test
//! puts there, and a memory of who came.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, http::StatusCode};
use axum_server::tls_rustls::RustlsConfig;

use crate::tls::Certificates;

pub(crate) struct Elsewhere {
    scheme: &'static str,
    port: u16,
    sites: Sites,
}

/// A request that came there.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    path: String,
    pub(crate) headers: HeaderMap,
}

#[derive(Clone, Default)]
struct Sites {
    pages: Arc<Mutex<HashMap<String, (HeaderMap, String)>>>,
    visits: Arc<Mutex<Vec<Visit>>>,
}

impl Elsewhere {
    pub(crate) async fn start(tls: Option<&Certificates>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sites = Sites::default();
        let app = Router::new()
            .fallback(answer)
            .with_state(sites.clone())
            .into_make_service();
        match tls {
            Some(tls) => {
                let config = RustlsConfig::from_pem_file(&tls.certificate, &tls.key)
                    .await
                    .unwrap();
                let server = axum_server::from_tcp_rustls(listener, config).unwrap();
                tokio::spawn(server.serve(app));
            }
            None => {
                tokio::spawn(axum_server::from_tcp(listener).unwrap().serve(app));
            }
        }
        Self {
            scheme: if tls.is_some() { "https" } else { "http" },
            port,
            sites,
        }
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    /// Puts a page there, for every host name.
    pub(crate) fn page(&self, path: &str, body: &str) {
        self.page_with_cookies(path, body, &[]);
    }

    /// The same, and each visit sets cookies.
    pub(crate) fn page_with_cookies(&self, path: &str, body: &str, cookies: &[String]) {
        let cookies = cookies.iter().map(|cookie| {
            (
                header::SET_COOKIE,
                HeaderValue::from_bytes(cookie.as_bytes()).unwrap(),
            )
        });
        let html = format!("<!doctype html><meta charset=utf-8><title>Elsewhere</title>{body}");
        let mut pages = self.sites.pages.lock().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in cookies {
            headers.append(name, value);
        }
        pages.insert(path.to_owned(), (headers, html));
    }

    /// Who came to an address, by its path.
    pub(crate) fn visits(&self, path: &str) -> Vec<Visit> {
        let visits = self.sites.visits.lock().unwrap();
        visits
            .iter()
            .filter(|visit| visit.path == path)
            .cloned()
            .collect()
    }
}

async fn answer(State(sites): State<Sites>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let _: Bytes = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let page = sites.pages.lock().unwrap().get(&path).cloned();
    sites.visits.lock().unwrap().push(Visit {
        path,
        headers: parts.headers,
    });
    match page {
        Some((headers, html)) => (headers, Html(html)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
