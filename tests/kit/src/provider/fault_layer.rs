//! Every request passes here: it is counted, its body is bounded, and the faults of the wire spoil it.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use tokio_stream::StreamExt as _;

use super::{
    faults::{Endpoint, Fault},
    request::{PROTOCOL_BODY_LIMIT, Parameters},
    state::Shared,
};

const API_BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Stands in the extensions of a response that is never sent: the server closes the connection instead.
#[derive(Clone)]
pub(super) struct Disconnect;

/// A request that has come is processed to its end, whether its client still waits or not: in a task of its own, because
/// hyper drops the handler of a connection that was closed.
pub(super) async fn spoil(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    tokio::spawn(process(shared, request, next))
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn process(shared: Arc<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    shared.traffic().request(parts.method.as_str(), path);
    let endpoint = Endpoint::of(path);
    let limit = if endpoint == Some(Endpoint::Api) {
        API_BODY_LIMIT
    } else {
        PROTOCOL_BODY_LIMIT
    };
    let Ok(body) = to_bytes(body, limit).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let grant_type = (endpoint == Some(Endpoint::Token)).then(|| {
        Parameters::parse(&body)
            .owned("grant_type")
            .unwrap_or_default()
    });
    if let Some(grant_type) = &grant_type {
        shared.traffic().token_request(grant_type);
    }
    let plan = endpoint
        .map(|endpoint| shared.faults.plan(endpoint, grant_type.as_deref()))
        .unwrap_or_default();
    wait(plan.delays_before).await;
    if let Some(fault) = plan.instead {
        return replacement(fault);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    wait(plan.delays_after).await;
    match plan.afterwards {
        None => response,
        Some(Fault::Truncated) => truncated(response).await,
        Some(fault) => replacement(fault),
    }
}

async fn wait(delays: Vec<Fault>) {
    for delay in delays {
        match delay {
            Fault::Latency(latency) => tokio::time::sleep(latency).await,
            Fault::Hold(gate) => gate.pass().await,
            _ => {}
        }
    }
}

fn replacement(fault: Fault) -> Response {
    match fault {
        Fault::TooManyRequests { retry_after } => {
            let mut response = (StatusCode::TOO_MANY_REQUESTS, "slow down\n").into_response();
            if let Some(after) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
            }
            response
        }
        Fault::ServerError(status) => (status_code(status), "something went wrong\n").into_response(),
        Fault::Html => Html("<!doctype html><html><head><title>Welcome</title></head><body><h1>Welcome to the network</h1></body></html>").into_response(),
        Fault::Empty => ().into_response(),
        Fault::Oversized(octets) => oversized(octets),
        Fault::Answer { status, content_type, body } => {
            let mut response = (status_code(status), body).into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            if let Some(value) = HeaderValue::from_str(&content_type).ok().filter(|value| !value.is_empty()) {
                response.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            response
        }
        _ => disconnect(),
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn disconnect() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Disconnect);
    response
}

/// Valid JSON, made while it is sent: a client without a bound reads all of it.
fn oversized(octets: u64) -> Response {
    const CHUNK: u64 = 16 * 1024;
    let filling = Bytes::from(vec![b'x'; CHUNK as usize]);
    let chunks = std::iter::once(Bytes::from_static(b"{\"padding\":\""))
        .chain((0..octets.div_ceil(CHUNK)).map(move |_| filling.clone()))
        .chain([Bytes::from_static(b"\"}")]);
    let body = Body::from_stream(tokio_stream::iter(chunks.map(Ok::<_, io::Error>)));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The first half of the answer, under the length of the whole; then the connection breaks.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = to_bytes(body, API_BODY_LIMIT * 2).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let pieces = tokio_stream::iter([Ok(half), Err(io::Error::other("a fault of the test"))]).then(
        |piece| async {
            if piece.is_err() {
                // The half must have left before the error closes the connection.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            piece
        },
    );
    Response::from_parts(parts, Body::from_stream(pieces))
}
