//! A network with faults, in front of a real server.

mod door;
mod line;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, task::AbortHandle};

use self::{door::Door, line::Line};

/// A TCP proxy on the loopback, in front of any server: a database, a cache, a provider. Its faults are switched on and
/// off while the test runs, so that an application meets what networks do: a server that never answers, that is gone
/// and comes back, that hangs up in the middle of a message.
///
/// Without a fault it passes bytes on as they are. It knows no protocol, so TLS goes through it unread; a client that
/// checks the server's name must be told that name, as the proxy's address is another one. A clone is a handle to the
/// same proxy; the last one that is dropped ends it and its connections.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_testing::{Proxy, ProxyFault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = tokenkeep_testing::Provider::start().await?;
/// # let server = provider.issuer().trim_start_matches("http://").to_owned();
/// let proxy = Proxy::start(&server).await?;
/// // ... let the application talk to `proxy.addr()` in the server's place, and then:
/// proxy.fault(ProxyFault::BlackHole).await?;
/// let request = reqwest::get(format!("http://{}/jwks", proxy.addr()));
/// assert!(tokio::time::timeout(Duration::from_millis(50), request).await.is_err());
///
/// proxy.heal().await?;
/// let request = reqwest::get(format!("http://{}/jwks", proxy.addr()));
/// assert!(request.await?.status().is_success());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    addr: SocketAddr,
    server: String,
    line: Line,
    acceptor: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// What a [`Proxy`] does to connections. One fault is on at a time; each holds until another one is switched on, or
/// [`Proxy::heal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyFault {
    /// Each piece of up to 16 KiB waits for so long, in either direction, also on connections that are open.
    Latency(Duration),
    /// Connections that are open stand still, and new ones are accepted and never answered. What is sent meanwhile
    /// goes through once the proxy is healed, as after a break in a cable.
    BlackHole,
    /// New connections are refused, as by a machine where nothing listens. Open ones go on: see
    /// [`Proxy::drop_connections`].
    Refuse,
    /// New connections are accepted and reset at once, and open ones are reset.
    Reset,
    /// Each connection is closed when so many more bytes have gone to the server.
    CutToServer(u64),
    /// Each connection is closed when so many more bytes have gone to the client.
    CutToClient(u64),
}

/// What has gone through a [`Proxy`] since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyTraffic {
    /// How many connections were accepted.
    pub connections: u64,
    /// How many of them are open.
    pub open: u64,
    /// How many bytes were passed on to the server.
    pub to_server: u64,
    /// How many bytes were passed on to clients.
    pub to_client: u64,
}

impl Proxy {
    /// A proxy without faults on a free port of the loopback, in front of `host:port`. The server need not be there yet:
    /// a connection that it does not take is reset.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(server: impl fmt::Display) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (addr, line, server) = (listener.local_addr()?, Line::new(), server.to_string());
        let door = Door::new(listener, addr, &server, line.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                addr,
                server,
                line,
                acceptor: tokio::spawn(door.keep()).abort_handle(),
            }),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// The server behind it, as it was given.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.inner.server
    }

    /// Switches a fault on, in the place of the one that was on. When this returns it holds, for connections that are
    /// open as for those to come.
    ///
    /// # Errors
    /// If the port cannot be taken back after [`ProxyFault::Refuse`]; the proxy is of no use then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the fault on.
    pub async fn fault(&self, fault: ProxyFault) -> io::Result<()> {
        self.inner.line.set(Some(fault)).await
    }

    /// Switches the fault off.
    ///
    /// # Errors
    /// As [`fault`](Self::fault).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the fault off.
    pub async fn heal(&self) -> io::Result<()> {
        self.inner.line.set(None).await
    }

    /// Resets all connections that are open. New ones are as before.
    pub fn drop_connections(&self) {
        self.inner.line.hang_up();
    }

    /// What has gone through.
    #[must_use]
    pub fn traffic(&self) -> ProxyTraffic {
        self.inner.line.traffic()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("addr", &self.addr())
            .field("server", &self.server())
            .field("fault", &self.inner.line.fault())
            .field("traffic", &self.traffic())
            .finish()
    }
}
