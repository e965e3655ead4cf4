//! A connection of one's own, for those who have none yet.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tokenkeep_core::store::StoreError;

use crate::{RedisOptions, RedisStore, errors::failed, link::Link};

impl RedisStore {
    /// Connects and calls [`check`](Self::check). The URL is `redis://[user:password@]host[:port][/database]`, or
    /// `rediss://…` for TLS, which needs one of the features `rustls` and `native-tls`.
    ///
    /// The connection is one for all tasks. It is made anew when it breaks, when the server does not answer in time, and
    /// when the server turns out to have become a replica.
    ///
    /// With `rustls`, and if the process has chosen no cryptography for rustls by then, this chooses aws-lc-rs.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for what is no such URL, and for TLS that checks no certificate (`#insecure`);
    /// otherwise as [`check`](Self::check).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, RedisOptions::new()).await
    }

    /// [`connect`](Self::connect) with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect) and [`with_options`](Self::with_options).
    pub async fn connect_with(url: &str, options: RedisOptions) -> Result<Self, StoreError> {
        let client = Client::open(address(url)?).map_err(failed)?;
        let link = Link::own(client.clone(), options.timeout).map_err(failed)?;
        let store = Self::over(client, link, options)?;
        store.check().await?;
        Ok(store)
    }
}

/// What the URL names. The driver's error is dropped: it might show the URL, which may hold a password.
fn address(url: &str) -> Result<ConnectionInfo, StoreError> {
    let address = url.into_connection_info().map_err(|_| {
        StoreError::misconfigured(
            "the URL of the store must be redis://host:port/database, or rediss://… with the feature rustls or native-tls",
        )
    })?;
    match address.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return Err(StoreError::misconfigured(
                "TLS without a check of the certificate; give the server one that this machine trusts, or build the \
                 connection yourself",
            ));
        }
        ConnectionAddr::TcpTls { .. } => choose_cryptography(),
        _ => {}
    }
    let tcp = address.tcp_settings().clone().set_nodelay(true);
    Ok(address.set_tcp_settings(tcp))
}

#[cfg(feature = "rustls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody who was quicker has chosen.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

#[cfg(not(feature = "rustls"))]
fn choose_cryptography() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_refused_without_showing_it() {
        for url in [
            "",
            "redis://",
            "http://user:hunter2@localhost",
            "redis://:hunter2@localhost/notanumber",
            "redis://user:hunter2@[::1",
            "rediss://user:hunter2@localhost/#insecure",
            "rediss://user:hunter2@localhost/#hunter2",
            "redis://localhost?protocol=hunter2",
        ] {
            let error = address(url).unwrap_err();
            assert!(matches!(error, StoreError::Misconfigured { .. }), "{url}");
            assert!(
                !format!("{error:?} {error}").contains("hunter2"),
                "{error:?}"
            );
        }
        address("redis://user:hunter2@localhost:7000/3").unwrap();
    }
}
