//! The server: http or https, and its orderly end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use tokenkeep::OAuth;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, keep_tidy, router},
    setup::Failure,
};

/// How long requests and refreshes under way may take at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server that listens.
pub(crate) struct Server {
    oauth: OAuth,
    handle: Handle<SocketAddr>,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
    tidying: JoinHandle<()>,
}

pub(crate) fn start(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    oauth: &OAuth,
) -> Result<Server, Failure> {
    let handle = Handle::new();
    let stop = CancellationToken::new();
    let app = router(App {
        oauth: oauth.clone(),
        stop: stop.clone(),
    })
    .into_make_service();
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
        oauth: oauth.clone(),
        handle,
        stop,
        serving,
        tidying: tokio::spawn(keep_tidy(oauth.clone())),
    })
}

impl Server {
    /// Lets requests and refreshes end that are under way.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.tidying.abort();
        self.stop.cancel();
        self.handle.graceful_shutdown(Some(PATIENCE));
        if let Ok(Err(error)) = self.serving.await {
            return Err(broken(error));
        }
        let left = self.oauth.drain(PATIENCE).await?;
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
