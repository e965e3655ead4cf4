//! The listener, its connections, and which handler answers which path.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router, middleware,
    response::Response,
    routing::{any, get, post},
};
use hyper::{body::Incoming, server::conn::http1, service::Service as _, service::service_fn};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    authorize, device,
    fault_layer::{self, Disconnect},
    interaction, introspect, logout, metadata, resource,
    state::Shared,
    token, userinfo,
};

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let layer = middleware::from_fn_with_state(Arc::clone(shared), fault_layer::spoil);
    Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(metadata::discovery),
        )
        .route("/jwks", get(metadata::jwks))
        .route(
            "/authorize",
            get(authorize::authorize).post(authorize::authorize),
        )
        .route(
            "/interaction/{id}",
            get(interaction::show).post(interaction::answer),
        )
        .route("/token", post(token::token))
        .route("/device_authorization", post(device::authorize))
        .route(
            "/userinfo",
            get(userinfo::userinfo).post(userinfo::userinfo),
        )
        .route("/introspect", post(introspect::introspect))
        .route("/revoke", post(introspect::revoke))
        .route(
            "/end_session",
            get(logout::end_session).post(logout::end_session),
        )
        .route("/end_session/{id}", post(logout::answer))
        .route("/api/me", any(resource::me))
        .route("/api/echo", any(resource::echo))
        .route("/api/echo/{*rest}", any(resource::echo))
        .route("/api/scope/{scope}", any(resource::scope))
        .route("/api/step-up", any(resource::step_up))
        .route("/api/redirect", any(resource::redirect))
        .route("/api/redirect-away", any(resource::redirect_away))
        // Outside of the routes, so that requests to other paths are counted as well.
        .fallback(|| async { axum::http::StatusCode::NOT_FOUND })
        .layer(layer)
        .with_state(Arc::clone(shared))
}

/// The task that accepts connections. It ends with this handle, and its connections with it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    stop: watch::Sender<()>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    pub(super) fn spawn(listener: TcpListener, address: SocketAddr, router: Router) -> Self {
        let (stop, stopped) = watch::channel(());
        let accepting = Mutex::new(Some(tokio::spawn(accept(listener, router, stopped))));
        Self {
            address,
            stop,
            accepting,
        }
    }

    pub(super) async fn shutdown(&self) {
        self.stop.send_replace(());
        let accepting = self
            .accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(accepting) = accepting {
            // It can only have been cancelled with its runtime, and is over then as well.
            let _ = accepting.await;
        }
    }
}

async fn accept(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, router.clone()));
                }
                // No file descriptors are left, or the peer has gone: neither ends the provider.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let response = service.call(request);
        async move {
            let response: Result<Response, Infallible> = response.await;
            // hyper closes the connection without an answer when its service fails.
            match response {
                Ok(response) if response.extensions().get::<Disconnect>().is_none() => Ok(response),
                _ => Err(io::Error::other("a fault of the test")),
            }
        }
    });
    // An error here is a client that went away, or a fault that did what it should.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
