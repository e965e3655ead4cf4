//! A server that knows no protocol: whatever is asked, it sends the same octets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

pub(super) struct Raw {
    origin: String,
    requests: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Raw {
    /// Answers with these octets and closes the connection.
    pub(super) async fn answering(octets: impl Into<Vec<u8>>) -> Self {
        Self::new(octets.into(), false).await
    }

    /// Goes on with blanks after that, a few at a time and for ever.
    pub(super) async fn dripping(octets: impl Into<Vec<u8>>) -> Self {
        Self::new(octets.into(), true).await
    }

    async fn new(octets: Vec<u8>, drips: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let (octets, count) = (Arc::new(octets), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(connection, Arc::clone(&octets), drips));
            }
        });
        Self {
            origin,
            requests,
            task: task.abort_handle(),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut connection: TcpStream, octets: Arc<Vec<u8>>, drips: bool) {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if connection.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let mut sent = connection.write_all(&octets).await;
    while drips && sent.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        sent = connection.write_all(b"    ").await;
    }
    let _ = connection.shutdown().await;
}

/// An answer that ends with its connection.
pub(super) fn ok(media: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    with_head(&format!("200 OK\r\ncontent-type: {media}"), body)
}

/// The same with a head of one's own.
pub(super) fn with_head(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

/// An octet a thousand times and a thousand times more, packed by gzip: eleven hundred octets.
pub(super) fn gzip_of_a_megabyte() -> Vec<u8> {
    // RFC 1951: blocks of one literal and matches of 258 octets at distance 1, by the fixed codes.
    let mut bits = Bits::default();
    bits.push(0b1, 1);
    bits.push(0b01, 2);
    bits.push_code(0x30 + u32::from(b'{'), 8);
    for _ in 0..4_100 {
        // Length 258 is code 285, distance 1 is code 0.
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    bits.push_code(0, 7);
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(bits.octets);
    // The checksum is at the end, where nobody should come to.
    packed.extend([0; 8]);
    packed
}

#[derive(Default)]
struct Bits {
    octets: Vec<u8>,
    filled: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.filled.is_multiple_of(8) {
                self.octets.push(0);
            }
            let last = self.octets.last_mut().unwrap();
            *last |= ((value >> bit & 1) as u8) << (self.filled % 8);
            self.filled += 1;
        }
    }

    /// Codes stand with their first bit first.
    fn push_code(&mut self, code: u32, count: u32) {
        for bit in (0..count).rev() {
            self.push(code >> bit & 1, 1);
        }
    }
}
