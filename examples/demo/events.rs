//! The live feed: what happens to the signed-in user's tokens, in any process, as server-sent events.

use std::{convert::Infallible, future::ready};

use axum::{
    extract::State,
    http::header,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokenkeep::{
    TokenUpdate,
    axum::{Result, SignedIn},
};

use crate::{app::App, row};

/// `GET /events`: `token_update` with `{id, kind, client, owner, slot, generation, origin, at}`, `at` in seconds since the
/// epoch; `resync` with `{missed}` where some were missed. It ends with the session, and with the server.
pub(crate) async fn events(State(app): State<App>, user: SignedIn) -> Result<impl IntoResponse> {
    let updates = user.token_updates()?;
    // Whoever sees it misses nothing that happens from now on.
    let hello = stream::once(ready(Event::default().comment("live")));
    let events = updates.filter_map(|update| ready(event(&update)));
    let events = hello
        .chain(events)
        .take_until(app.stop.cancelled_owned())
        .map(Ok::<_, Infallible>);
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Sse::new(events).keep_alive(KeepAlive::default())))
}

fn event(update: &TokenUpdate) -> Option<Event> {
    let (name, data) = match (update, update.changed()) {
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
    Event::default().event(name).json_data(data).ok()
}
