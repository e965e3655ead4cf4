//! The line between a client and the server.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    select,
    sync::watch,
    time::sleep,
    try_join,
};

use super::{ProxyFault, ProxyTraffic};

/// What all connections of a proxy share.
#[derive(Clone)]
pub(super) struct Line {
    order: watch::Sender<Order>,
    done: watch::Sender<(u64, Result<(), io::ErrorKind>)>,
    counters: Arc<Counters>,
}

/// What holds now.
#[derive(Clone, Copy, Default)]
pub(super) struct Order {
    /// Grows with each fault that is switched on or off.
    pub(super) number: u64,
    pub(super) fault: Option<ProxyFault>,
    /// Grows whenever all that are open are to be reset.
    hang_ups: u64,
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// Why a connection ends before its time.
enum Cut {
    Closed,
    Reset,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            order: watch::Sender::default(),
            done: watch::Sender::new((0, Ok(()))),
            counters: Arc::default(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Order> {
        self.order.subscribe()
    }

    pub(super) fn fault(&self) -> Option<ProxyFault> {
        self.order.borrow().fault
    }

    /// Gives an order, and waits until the door is as it wants it.
    pub(super) async fn set(&self, fault: Option<ProxyFault>) -> io::Result<()> {
        let mut number = 0;
        self.order.send_modify(|order| {
            order.number += 1;
            number = order.number;
            order.fault = fault;
        });
        let mut done = self.done.subscribe();
        // The sender is ours, so that the channel cannot close.
        let done = done.wait_for(|(done, _)| *done >= number).await;
        match done.as_deref() {
            Ok((_, Err(kind))) => Err((*kind).into()),
            _ => Ok(()),
        }
    }

    pub(super) fn done(&self, number: u64, outcome: io::Result<()>) {
        let outcome = outcome.map_err(|error| error.kind());
        self.done.send_modify(|done| *done = (number, outcome));
    }

    pub(super) fn hang_up(&self) {
        self.order.send_modify(|order| order.hang_ups += 1);
    }

    pub(super) fn traffic(&self) -> ProxyTraffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        ProxyTraffic {
            connections: read(&self.counters.connections),
            open: read(&self.counters.open),
            to_server: read(&self.counters.to_server),
            to_client: read(&self.counters.to_client),
        }
    }

    /// Carries one connection to its end. It counts from the moment it is accepted.
    pub(super) fn carry(
        self,
        mut client: TcpStream,
        server: Arc<str>,
    ) -> impl Future<Output = ()> + Send {
        self.counters.connections.fetch_add(1, Ordering::SeqCst);
        let open = Open::new(&self.counters);
        let mut orders = self.subscribe();
        let hang_ups = orders.borrow_and_update().hang_ups;
        async move {
            let _open = open;
            let ended = select! {
                biased;
                _ = orders.wait_for(|order| {
                    order.hang_ups != hang_ups || order.fault == Some(ProxyFault::Reset)
                }) => Err(Cut::Reset),
                ended = self.join(&mut client, &server) => ended,
            };
            if let Err(Cut::Reset) = ended {
                // Closing it then is a reset. If that cannot be had, the client sees a plain end.
                let _ = client.set_zero_linger();
            }
        }
    }

    async fn join(&self, client: &mut TcpStream, server: &str) -> Result<(), Cut> {
        let mut orders = self.subscribe();
        // The sender is ours, so that the channel cannot close.
        let _ = orders
            .wait_for(|order| order.fault != Some(ProxyFault::BlackHole))
            .await;
        let mut server = TcpStream::connect(server).await.map_err(|_| Cut::Reset)?;
        for stream in [&*client, &server] {
            stream.set_nodelay(true).map_err(|_| Cut::Reset)?;
        }
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        try_join!(
            self.pump(from_client, to_server, Way::ToServer),
            self.pump(from_server, to_client, Way::ToClient),
        )
        .map(drop)
    }

    /// Passes bytes on until there are no more, and tells so.
    async fn pump(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        way: Way,
    ) -> Result<(), Cut> {
        let mut orders = self.subscribe();
        let mut quota = Quota::new(way);
        let mut piece = vec![0; 16 * 1024];
        loop {
            let order = *orders.borrow_and_update();
            if quota.left(order) == Some(0) {
                return Err(Cut::Closed);
            }
            let read = select! {
                // Another order may hold for what comes now.
                _ = orders.changed() => continue,
                read = from.read(&mut piece), if order.fault != Some(ProxyFault::BlackHole) => {
                    read.map_err(|_| Cut::Reset)?
                }
            };
            if read == 0 {
                return to.shutdown().await.map_err(|_| Cut::Reset);
            }
            let order = passable(&mut orders).await;
            let left = quota.left(order).unwrap_or(u64::MAX);
            let passed = usize::try_from(left).map_or(read, |left| read.min(left));
            to.write_all(&piece[..passed])
                .await
                .map_err(|_| Cut::Reset)?;
            quota.passed += passed as u64;
            let counter = match way {
                Way::ToServer => &self.counters.to_server,
                Way::ToClient => &self.counters.to_client,
            };
            counter.fetch_add(passed as u64, Ordering::SeqCst);
            // Not at the next look: the rest of this piece is lost, whatever holds by then.
            if passed < read {
                return Err(Cut::Closed);
            }
        }
    }
}

/// Waits until a piece may go on, and answers what holds then.
async fn passable(orders: &mut watch::Receiver<Order>) -> Order {
    loop {
        let order = *orders.borrow_and_update();
        let waited = async {
            match order.fault {
                Some(ProxyFault::BlackHole) => std::future::pending().await,
                Some(ProxyFault::Latency(time)) => sleep(time).await,
                _ => {}
            }
        };
        select! {
            biased;
            () = waited => return order,
            _ = orders.changed() => {}
        }
    }
}

/// How many bytes may still go one way, since the order that said so.
struct Quota {
    way: Way,
    number: u64,
    passed: u64,
}

impl Quota {
    fn new(way: Way) -> Self {
        Self {
            way,
            number: 0,
            passed: 0,
        }
    }

    fn left(&mut self, order: Order) -> Option<u64> {
        if self.number != order.number {
            (self.number, self.passed) = (order.number, 0);
        }
        match (order.fault, self.way) {
            (Some(ProxyFault::CutToServer(most)), Way::ToServer)
            | (Some(ProxyFault::CutToClient(most)), Way::ToClient) => {
                Some(most.saturating_sub(self.passed))
            }
            _ => None,
        }
    }
}

/// Counts an open connection for as long as it is one.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
