//! The live feed, read by a program.

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    person::Person,
    report::{Unexpected, expect, unexpected},
};

/// Reads `/events` in the background, until it ends.
pub(crate) struct Feed {
    events: mpsc::UnboundedReceiver<Value>,
    reading: AbortHandle,
}

impl Feed {
    pub(crate) async fn open(person: &Person) -> Result<Self, Unexpected> {
        let url = person.url("/events");
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http
            .get(url)
            .header("cookie", person.cookies())
            .send()
            .await?;
        expect("the feed's status", answer.status().as_u16(), 200)?;
        let (sender, events) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            let mut stream = answer.bytes_stream();
            let mut text = String::new();
            while let Some(Ok(chunk)) = stream.next().await {
                text.push_str(&String::from_utf8_lossy(&chunk));
                while let Some((line, rest)) = text.split_once('\n') {
                    let data = line.strip_prefix("data:").map(serde_json::from_str);
                    if let Some(Ok(event)) = data {
                        // An error means that nobody waits for events any more.
                        let _ = sender.send(event);
                    }
                    text = rest.to_owned();
                }
            }
        });
        Ok(Self {
            events,
            reading: reading.abort_handle(),
        })
    }

    /// Waits for a kind of event of a client; every event until then, that one included.
    pub(crate) async fn until(
        &mut self,
        kind: &str,
        client: &str,
        generation: u64,
    ) -> Result<Vec<Value>, Unexpected> {
        let mut seen = Vec::new();
        while let Some(event) = self.events.recv().await {
            let is_it = event["kind"] == kind
                && event["client"] == client
                && event["generation"] == generation;
            seen.push(event);
            if is_it {
                return Ok(seen);
            }
        }
        unexpected(format!(
            "expected {kind} of {client} in generation {generation}, but the feed ended after {} events",
            seen.len()
        ))
    }

    /// Waits for the feed to end.
    pub(crate) async fn end(&mut self) {
        while self.events.recv().await.is_some() {}
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
