//! The live feed: what happens to the signed-in user's tokens, in any process, as server-sent events.

use std::{future::ready, time::Duration};

use futures_util::{StreamExt, stream, stream::BoxStream};
use serde_json::{Value, json};
use tokenkeep::TokenUpdate;
use tokio_util::sync::CancellationToken;

use crate::{answer::Answer, row};

/// How often a comment keeps a quiet feed's connection open.
const QUIET: Duration = Duration::from_secs(15);

/// `GET /events`: `token_update` with `{id, kind, client, owner, slot, generation, origin, at}`, `at` in seconds since the
/// epoch; `resync` with `{missed}` where some were missed. It ends with the session, and with the server.
pub(crate) fn events(updates: BoxStream<'static, TokenUpdate>, stop: &CancellationToken) -> Answer {
    // Whoever sees it misses nothing that happens from now on.
    let hello = stream::once(ready(": live\n\n".to_owned()));
    let events = updates.filter_map(|update| ready(event(&update)));
    let events = hello
        .chain(events)
        .take_until(stop.clone().cancelled_owned());
    let pause = tokio::time::interval_at(tokio::time::Instant::now() + QUIET, QUIET);
    let events = tokio_stream::StreamExt::timeout_repeating(events, pause);
    Answer::events(
        events
            .map(|event| event.unwrap_or_else(|_| ":\n\n".to_owned()))
            .boxed(),
    )
}

fn event(update: &TokenUpdate) -> Option<String> {
    let (name, data): (_, Value) = match (update, update.changed()) {
        (TokenUpdate::Resync { missed }, _) => ("resync", json!({"missed": missed})),
        (_, Some(changed)) => (
            "token_update",
            json!({
                "id": update.id(),
                "kind": update.kind(),
                "client": changed.key.client(),
                "owner": changed.key.owner_column(),
                "slot": row::slot(&changed.key),
                "generation": changed.generation,
                "origin": changed.origin.as_str(),
                "at": changed.at.as_secs(),
            }),
        ),
        _ => return None,
    };
    // JSON has no line break outside its texts, and writes those within as `\n`.
    Some(format!("event: {name}\ndata: {data}\n\n"))
}
