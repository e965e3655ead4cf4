//! A server on loopback that plays every host, and the way to it: a transport of tests. What is sent is what would be sent
//! to the provider, address for address.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::{
    body::{Bytes, to_bytes},
    http::{
        HeaderMap, Method, StatusCode,
        header::{CONTENT_TYPE, USER_AGENT},
    },
    response::{IntoResponse, Response},
};
use reqwest::Url;
use serde_json::Value;
use tokenkeep_core::{Sent, Transport, TransportError};

/// The header that says where a request wanted to go.
const ASKED: &str = "x-asked";

/// What the peer answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) media: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            media: "application/json; charset=utf-8".to_owned(),
            body: body.to_string(),
        }
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// As the provider would have been asked.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The parameters of a form or a JSON object, and which of the two it was.
    pub(crate) fn parameters(&self) -> (HashMap<String, String>, &'static str) {
        match self.header("content-type") {
            Some("application/json") => {
                let members: HashMap<String, String> = serde_json::from_slice(&self.body).unwrap();
                (members, "json")
            }
            Some("application/x-www-form-urlencoded") => {
                let pairs = url::form_urlencoded::parse(&self.body).into_owned();
                (pairs.collect(), "form")
            }
            None => (HashMap::new(), "none"),
            Some(other) => panic!("a body of {other}"),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// None: the request hangs.
    replies: HashMap<(Method, String), Option<Reply>>,
    seen: Vec<Seen>,
}

/// Every provider at once.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    client: reqwest::Client,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let peer = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::clone(&state),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        };
        let app = axum::Router::new().fallback(move |request| answer(Arc::clone(&state), request));
        tokio::spawn(async move { axum::serve(listener, app).await });
        peer
    }

    /// From now on this address, with its query, is answered so.
    pub(crate) fn answers(&self, method: &str, url: &str, reply: Reply) {
        let key = (method.parse().unwrap(), url.to_owned());
        self.state.lock().unwrap().replies.insert(key, Some(reply));
    }

    /// From now on nothing is there.
    pub(crate) fn forgets(&self, method: &str, url: &str) {
        let key = (method.parse().unwrap(), url.to_owned());
        self.state.lock().unwrap().replies.remove(&key);
    }

    /// From now on this address answers nobody.
    pub(crate) fn hangs(&self, method: &str, url: &str) {
        let key = (method.parse().unwrap(), url.to_owned());
        self.state.lock().unwrap().replies.insert(key, None);
    }

    /// A server that notes who asks.
    pub(crate) async fn agents() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let agents = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&agents);
        let app = axum::Router::new().fallback(async move |headers: HeaderMap| {
            let agent = headers
                .get(USER_AGENT)
                .map(|agent| agent.to_str().unwrap().to_owned());
            notes.lock().unwrap().push(agent.unwrap_or_default());
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        (address, agents)
    }

    /// The requests to an address, without its query.
    pub(crate) fn seen(&self, url: &str) -> Vec<Seen> {
        let url: Url = url.parse().unwrap();
        let same =
            |seen: &&Seen| seen.url.origin() == url.origin() && seen.url.path() == url.path();
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(same).cloned().collect()
    }

    /// The hosts that were asked.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let hosts = state.seen.iter().filter_map(|seen| seen.url.host_str());
        hosts.map(str::to_owned).collect()
    }
}

async fn answer(state: Arc<Mutex<State>>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let asked = head.headers[ASKED].to_str().unwrap().to_owned();
    let key = (head.method.clone(), asked.clone());
    let reply = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen {
            method: head.method,
            url: asked.parse().unwrap(),
            headers: head.headers,
            body: body.to_vec(),
        });
        state.replies.get(&key).cloned()
    };
    match reply {
        Some(Some(reply)) => {
            let status = StatusCode::from_u16(reply.status).unwrap();
            (status, [(CONTENT_TYPE, reply.media)], reply.body).into_response()
        }
        Some(None) => std::future::pending().await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Leads every request to the peer. It takes https alone: no test may weaken that.
#[async_trait]
impl Transport for Peer {
    async fn send(
        &self,
        mut request: reqwest::Request,
    ) -> Result<reqwest::Response, TransportError> {
        assert_eq!(request.url().scheme(), "https", "{}", request.url());
        let asked = request.url().as_str().parse().unwrap();
        request.headers_mut().insert(ASKED, asked);
        *request.url_mut() = format!("http://{}/", self.address).parse().unwrap();
        let answer = self.client.execute(request).await;
        answer.map_err(|error| TransportError::new(Sent::Maybe, error))
    }
}
