//! The command line.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use clap::{Parser, ValueEnum};

use crate::{store::StoreUrl, web::Web};

const ENVIRONMENT: &str = "\
Environment:
  TOKENKEEP_CLIENTS   names of clients, separated by commas; each is configured by {NAME}_{KEY}, such as
                      OP_CLIENT_ID, OP_CLIENT_SECRET, OP_ISSUER or OP_SERVER_METADATA_URL, OP_API_BASE_URL,
                      OP_CLIENT_KWARGS={\"scope\": \"openid profile offline_access\"};
                      a known provider's name (github, google, microsoft, …) needs its id and secret alone
                      (auth0, keycloak, okta and zitadel: {NAME}_ISSUER too)
  TOKENKEEP_BASE_URL  the application's address as a browser sees it [default: where it listens]
  TOKENKEEP_KEYS      the key ring, id:base64url(32 bytes) separated by commas, the first one seals; needed for a
                      store of your own: TOKENKEEP_KEYS=\"k1:$(openssl rand -base64 32 | tr '+/' '-_')\"
  RUST_LOG            what is logged to standard error [default: warn,tokenkeep=info,demo=info]";

/// Logs in at OpenID Providers, keeps the tokens, calls APIs with them, shows live what happens to them, and logs out.
///
/// Without options it starts a provider of its own for trying things out, and keeps tokens in a folder that goes with it.
#[derive(Debug, Parser)]
#[command(name = "demo", version, after_help = ENVIRONMENT)]
pub(crate) struct Options {
    /// Walk through the whole job, print each step with what was seen, and fail if one does
    #[arg(long)]
    pub(crate) headless: bool,

    /// Where to listen; port 0 is any free one, the address is printed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// Where tokens are kept: memory:, sqlite:PATH, postgres://USER:PASSWORD@HOST/DATABASE, mysql://… (MariaDB too),
    /// redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or rediss://… with TLS
    /// [default: SQLite in a folder of its own]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<StoreUrl>,

    /// Which framework serves it; it answers the same by either
    #[arg(long, value_enum, value_name = "WHICH", default_value = "axum")]
    pub(crate) web: Web,

    /// A provider of its own, or only the clients of the environment [default: embedded, unless TOKENKEEP_CLIENTS is set]
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(crate) provider: Option<Provider>,

    /// One more root certificate (PEM) to trust, for providers and APIs
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Serve https with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// A provider for tests, in this process
    Embedded,
    /// Only the clients that TOKENKEEP_CLIENTS names
    None,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let addresses = text.to_socket_addrs();
    addresses
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| "expected an address and a port, such as 127.0.0.1:8080".to_owned())
}
