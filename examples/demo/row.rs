//! A kept grant as programs and pages see it: never its tokens.

use serde::Serialize;
use tokenkeep::{GrantInfo, OAuth, Result, Slot, Timestamp, TokenKey};

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) client: String,
    /// The account's label; empty for the first account.
    pub(crate) slot: String,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) token_type: Option<String>,
    /// In seconds since the epoch, if it is known.
    pub(crate) expires_at: Option<i64>,
    pub(crate) refreshable: bool,
    pub(crate) state: &'static str,
    pub(crate) generation: u64,
}

impl Row {
    pub(crate) fn of(info: &GrantInfo) -> Self {
        Self {
            client: info.key.client().to_owned(),
            slot: slot(&info.key),
            scopes: info.scopes.clone(),
            token_type: info.token_type.clone(),
            expires_at: info.expires_at.map(Timestamp::as_secs),
            refreshable: info.refreshable,
            state: info.state.as_str(),
            generation: info.generation,
        }
    }
}

/// All that somebody has granted.
pub(crate) async fn rows(oauth: &OAuth, owner: &str) -> Result<Vec<Row>> {
    Ok(oauth.grants(owner).await?.iter().map(Row::of).collect())
}

/// An account by its label, a session by the beginning of its id.
pub(crate) fn slot(key: &TokenKey) -> String {
    match key.slot() {
        Slot::Session(id) => format!("session:{}…", id.chars().take(6).collect::<String>()),
        Slot::Account(label) => label.to_string(),
        _ => String::new(),
    }
}
