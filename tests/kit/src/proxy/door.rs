//! Where connections come in.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    select,
    task::JoinSet,
    time::sleep,
};

use super::{ProxyFault, line::Line};

/// How many connections are open at most; others wait at the door.
const MOST: usize = 1024;

pub(super) struct Door {
    state: State,
    addr: SocketAddr,
    server: Arc<str>,
    line: Line,
}

enum State {
    Open(TcpListener),
    /// Bound, so that nobody else takes the port, but not listening: the system refuses whoever comes.
    Shut(TcpSocket),
    /// Between the two, or the port is lost.
    Gone,
}

impl Door {
    pub(super) fn new(listener: TcpListener, addr: SocketAddr, server: &str, line: Line) -> Self {
        Self {
            state: State::Open(listener),
            addr,
            server: server.into(),
            line,
        }
    }

    /// Lets connections in for as long as the proxy lives. They end with it.
    pub(super) async fn keep(mut self) {
        let mut connections = JoinSet::new();
        let mut orders = self.line.subscribe();
        loop {
            let (number, fault) = {
                let order = orders.borrow_and_update();
                (order.number, order.fault)
            };
            let swung = self.swing(fault == Some(ProxyFault::Refuse)).await;
            self.line.done(number, swung);
            loop {
                let full = connections.len() >= MOST;
                select! {
                    changed = orders.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    Some(_) = connections.join_next() => {}
                    client = self.next(), if !full => {
                        connections.spawn(self.line.clone().carry(client, Arc::clone(&self.server)));
                    }
                }
            }
        }
    }

    /// The next connection; none while the door is shut.
    async fn next(&self) -> TcpStream {
        let State::Open(listener) = &self.state else {
            return std::future::pending().await;
        };
        loop {
            match listener.accept().await {
                Ok((client, _)) => return client,
                // Out of descriptors, or the client is gone already.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn swing(&mut self, shut: bool) -> io::Result<()> {
        let state = std::mem::replace(&mut self.state, State::Gone);
        self.state = match state {
            State::Open(listener) if shut => {
                drop(listener);
                State::Shut(bound(self.addr).await?)
            }
            State::Shut(socket) if !shut => State::Open(socket.listen(MOST as u32)?),
            State::Gone if shut => State::Shut(bound(self.addr).await?),
            State::Gone => State::Open(bound(self.addr).await?.listen(MOST as u32)?),
            as_it_was => as_it_was,
        };
        Ok(())
    }
}

/// The listener that was closed may be there for a moment longer.
async fn bound(addr: SocketAddr) -> io::Result<TcpSocket> {
    let mut tries = 100;
    loop {
        let socket = TcpSocket::new_v4()?;
        // As the listener was: connections that it took may still be open.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        match socket.bind(addr) {
            Ok(()) => return Ok(socket),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => tries -= 1,
        }
        sleep(Duration::from_millis(10)).await;
    }
}
