//! The server: http or https, by either framework, and its orderly end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::OnceLock,
    time::Duration,
};

use axum_server::tls_rustls::RustlsConfig;
use tokenkeep::OAuth;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    setup::Failure,
    web::{Web, by_actix, by_axum},
};

/// How long requests and refreshes under way may take at the end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A server that listens. Until it is opened, its answer to everything is that the store is not there yet.
pub(crate) struct Server {
    by: By,
    opened: OnceLock<OAuth>,
    stop: CancellationToken,
}

enum By {
    Axum(by_axum::Server),
    Actix(by_actix::Server),
}

pub(crate) fn start(
    web: Web,
    listener: TcpListener,
    tls: Option<RustlsConfig>,
) -> Result<Server, Failure> {
    Ok(Server {
        by: match web {
            Web::Axum => By::Axum(by_axum::Server::start(listener, tls)?),
            Web::Actix => By::Actix(by_actix::Server::start(listener, tls)?),
        },
        opened: OnceLock::new(),
        stop: CancellationToken::new(),
    })
}

impl Server {
    /// From now on it is the application.
    pub(crate) async fn open(&self, oauth: &OAuth) -> Result<(), Failure> {
        let app = App {
            oauth: oauth.clone(),
            stop: self.stop.clone(),
        };
        let _ = self.opened.set(oauth.clone());
        match &self.by {
            By::Axum(server) => {
                server.open(app);
                Ok(())
            }
            By::Actix(server) => server.open(app).await,
        }
    }

    /// Lets requests and refreshes end that are under way.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        match self.by {
            By::Axum(server) => server.stop().await?,
            By::Actix(server) => server.stop().await?,
        }
        let Some(oauth) = self.opened.get() else {
            return Ok(());
        };
        let left = oauth.drain(PATIENCE).await?;
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
    listener.local_addr().map_err(Failure::server)
}

pub(crate) async fn tls(certificate: &Path, key: &Path) -> Result<RustlsConfig, Failure> {
    RustlsConfig::from_pem_file(certificate, key)
        .await
        .map_err(|error: io::Error| {
            Failure::configuration(format!("--tls-cert and --tls-key cannot be used: {error}"))
        })
}
