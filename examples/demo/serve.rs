//! The server: http or https, and its orderly end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, extract::Request, middleware};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use tokenkeep::OAuth;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    answer,
    app::{App, router},
    setup::Failure,
};

/// How long requests and refreshes under way may take at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server that listens. Until it is opened, its answer to everything is that the store is not there yet.
pub(crate) struct Server {
    opened: Arc<OnceLock<Opened>>,
    handle: Handle<SocketAddr>,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

struct Opened {
    oauth: OAuth,
    router: Router,
}

pub(crate) fn start(listener: TcpListener, tls: Option<RustlsConfig>) -> Result<Server, Failure> {
    let handle = Handle::new();
    let opened = Arc::<OnceLock<Opened>>::default();
    let app = {
        let opened = Arc::clone(&opened);
        let away = Router::new()
            .fallback(answer::store_is_away)
            .layer(middleware::from_fn(answer::dress));
        let answer = move |request: Request| {
            let router = opened.get().map_or(&away, |opened| &opened.router);
            router.clone().oneshot(request)
        };
        Router::new().fallback(answer).into_make_service()
    };
    let serving = match tls {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls).map_err(broken)?;
            tokio::spawn(server.handle(handle.clone()).serve(app))
        }
        None => {
            let server = axum_server::from_tcp(listener).map_err(broken)?;
            tokio::spawn(server.handle(handle.clone()).serve(app))
        }
    };
    Ok(Server {
        opened,
        handle,
        stop: CancellationToken::new(),
        serving,
    })
}

impl Server {
    /// From now on it is the application.
    pub(crate) fn open(&self, oauth: &OAuth) {
        let app = App {
            oauth: oauth.clone(),
            stop: self.stop.clone(),
        };
        let _ = self.opened.set(Opened {
            oauth: oauth.clone(),
            router: router(app),
        });
    }

    /// Lets requests and refreshes end that are under way.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        self.handle.graceful_shutdown(Some(PATIENCE));
        if let Ok(Err(error)) = self.serving.await {
            return Err(broken(error));
        }
        let Some(opened) = self.opened.get() else {
            return Ok(());
        };
        let left = opened.oauth.drain(PATIENCE).await?;
        if left > 0 {
            tracing::warn!(left, "refreshes are still under way");
        }
        Ok(())
    }
}

pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address);
    let bound = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    bound.map_err(|error| Failure::other(format!("cannot listen on {address}: {error}")))
}

/// Where it listens, with the port that it got.
pub(crate) fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(broken)
}

fn broken(error: io::Error) -> Failure {
    Failure::other(format!("the server does not work: {error}"))
}

pub(crate) async fn tls(certificate: &Path, key: &Path) -> Result<RustlsConfig, Failure> {
    RustlsConfig::from_pem_file(certificate, key)
        .await
        .map_err(|error| {
            Failure::configuration(format!("--tls-cert and --tls-key cannot be used: {error}"))
        })
}
