use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Proxy, ProxyFault};

const SOON: Duration = Duration::from_secs(10);

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    addr
}

async fn proxy() -> Proxy {
    Proxy::start(echo().await).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let connected = timeout(SOON, TcpStream::connect(proxy.addr())).await;
    connected.expect("a connection in time").unwrap()
}

/// Sends and reads the same back.
async fn talk(client: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    client.write_all(text).await?;
    let mut back = vec![0; text.len()];
    let read = timeout(SOON, client.read_exact(&mut back)).await;
    read.expect("an answer in time")?;
    assert_eq!(back, text);
    Ok(())
}

/// What is still to come, up to the end.
async fn rest(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut rest)).await;
    read.expect("an end in time")?;
    Ok(rest)
}

/// Waits until so many connections are open.
async fn open(proxy: &Proxy, count: u64) {
    let waited = timeout(SOON, async {
        while proxy.traffic().open != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("that many open connections in time");
}

fn is_reset<T: std::fmt::Debug>(outcome: io::Result<T>) {
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn without_a_fault_bytes_pass_as_they_are_and_are_counted() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    let large: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let (mut from, mut to) = client.split();
    let sent = async {
        to.write_all(&large).await?;
        to.shutdown().await
    };
    let mut back = Vec::new();
    let both = async { tokio::join!(sent, from.read_to_end(&mut back)) };
    let (sent, read) = timeout(SOON, both).await.unwrap();
    sent.unwrap();
    read.unwrap();
    assert!(back == large, "{} bytes came back", back.len());
    open(&proxy, 0).await;
    let traffic = proxy.traffic();
    assert_eq!(traffic.connections, 1);
    assert_eq!((traffic.to_server, traffic.to_client), (300_000, 300_000));
}

#[tokio::test]
async fn latency_holds_for_open_connections_and_both_ways() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    talk(&mut client, b"quick").await.unwrap();
    let time = Duration::from_millis(60);
    proxy.fault(ProxyFault::Latency(time)).await.unwrap();
    let begun = Instant::now();
    talk(&mut client, b"slow").await.unwrap();
    assert!(begun.elapsed() >= 2 * time, "{:?}", begun.elapsed());
    // A wait that nobody could sit out ends with the fault.
    let ages = ProxyFault::Latency(Duration::from_secs(10_000));
    proxy.fault(ages).await.unwrap();
    let passed = proxy.traffic().to_server;
    let talking = tokio::spawn(async move { talk(&mut client, b"held").await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!talking.is_finished());
    // What waits falls into the hole, too.
    proxy.fault(ProxyFault::BlackHole).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(proxy.traffic().to_server, passed);
    proxy.heal().await.unwrap();
    talking.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_black_hole_never_answers_and_gives_back_what_it_held() {
    let proxy = proxy().await;
    let mut before = connect(&proxy).await;
    talk(&mut before, b"before").await.unwrap();
    proxy.fault(ProxyFault::BlackHole).await.unwrap();
    let mut after = connect(&proxy).await;
    let passed = proxy.traffic().to_server;
    let mut byte = [0];
    for client in [&mut before, &mut after] {
        client.write_all(b"held").await.unwrap();
        let read = timeout(Duration::from_millis(40), client.read(&mut byte)).await;
        assert!(read.is_err(), "{read:?}");
    }
    assert_eq!(proxy.traffic().to_server, passed);
    proxy.heal().await.unwrap();
    for client in [&mut before, &mut after] {
        let mut back = [0; 4];
        let read = timeout(SOON, client.read_exact(&mut back)).await;
        read.unwrap().unwrap();
        assert_eq!(&back, b"held");
    }
}

#[tokio::test]
async fn a_refusing_proxy_comes_back_on_the_same_port() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    talk(&mut open, b"before").await.unwrap();
    for _ in 0..3 {
        proxy.fault(ProxyFault::Refuse).await.unwrap();
        for _ in 0..3 {
            let refused = TcpStream::connect(proxy.addr()).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
        talk(&mut open, b"goes on").await.unwrap();
        proxy.heal().await.unwrap();
        talk(&mut connect(&proxy).await, b"is back").await.unwrap();
    }
}

#[tokio::test]
async fn a_reset_reaches_open_and_new_connections() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    talk(&mut client, b"before").await.unwrap();
    proxy.fault(ProxyFault::Reset).await.unwrap();
    is_reset(rest(&mut client).await);
    is_reset(rest(&mut connect(&proxy).await).await);
    proxy.heal().await.unwrap();
    talk(&mut connect(&proxy).await, b"after").await.unwrap();
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes_in_either_direction() {
    let proxy = proxy().await;
    let mut client = connect(&proxy).await;
    talk(&mut client, b"does not count").await.unwrap();
    proxy.fault(ProxyFault::CutToClient(3)).await.unwrap();
    client.write_all(b"message").await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"mes");

    let sent = proxy.traffic().to_server;
    proxy.fault(ProxyFault::CutToServer(5)).await.unwrap();
    let mut client = connect(&proxy).await;
    client.write_all(b"abc").await.unwrap();
    client.write_all(b"defgh").await.unwrap();
    let _ = rest(&mut client).await;
    open(&proxy, 0).await;
    assert_eq!(proxy.traffic().to_server - sent, 5);

    proxy.fault(ProxyFault::CutToServer(0)).await.unwrap();
    let _ = rest(&mut connect(&proxy).await).await;
    open(&proxy, 0).await;
    assert_eq!(proxy.traffic().to_server - sent, 5);
}

#[tokio::test]
async fn dropped_connections_are_reset_and_new_ones_are_not() {
    let proxy = proxy().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = connect(&proxy).await;
        talk(&mut client, b"before").await.unwrap();
        clients.push(client);
    }
    assert_eq!(proxy.traffic().open, 3);
    proxy.drop_connections();
    for client in &mut clients {
        is_reset(rest(client).await);
    }
    open(&proxy, 0).await;
    talk(&mut connect(&proxy).await, b"after").await.unwrap();
    assert_eq!(proxy.traffic().connections, 4);
}

#[tokio::test]
async fn a_server_that_is_not_there_resets_and_a_dropped_proxy_is_gone() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = nobody.local_addr().unwrap();
    drop(nobody);
    let proxy = Proxy::start(addr).await.unwrap();
    assert_eq!(proxy.server(), addr.to_string());
    is_reset(rest(&mut connect(&proxy).await).await);
    // In a black hole nobody learns that.
    proxy.fault(ProxyFault::BlackHole).await.unwrap();
    let mut client = connect(&proxy).await;
    let silence = timeout(Duration::from_millis(40), client.read(&mut [0])).await;
    assert!(silence.is_err(), "{silence:?}");

    let proxy = self::proxy().await;
    let mut client = connect(&proxy).await;
    talk(&mut client, b"before").await.unwrap();
    let twin = proxy.clone();
    drop(proxy);
    talk(&mut client, b"the twin holds it").await.unwrap();
    drop(twin);
    assert!(rest(&mut client).await.is_ok_and(|rest| rest.is_empty()));
}
