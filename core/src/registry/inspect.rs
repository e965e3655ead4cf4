//! Looking at what is kept, without its secrets: lists of records, and the history of one.

use std::fmt;

use super::OAuth;
use crate::{
    GrantInfo, Result, Timestamp, TokenKey, TrailEntry,
    store::{Page, PageOf, TokenQuery},
    token::Record,
};

/// How many rows a page of [`OAuth::find_tokens`] has at most.
const PAGE: u32 = 1000;

impl OAuth {
    /// A page of what is kept: grants and sessions, of everybody, as far as they fit the query, in the order of their keys.
    /// Tombstones too, as long as they stay. No secret is in it, and a record that cannot be opened or read is listed all
    /// the same.
    ///
    /// ```
    /// # async fn list(oauth: tokenkeep_core::OAuth) -> tokenkeep_core::Result<()> {
    /// use tokenkeep_core::store::{Page, TokenQuery};
    ///
    /// let mut page = Page::first(100);
    /// loop {
    ///     let found = oauth.find_tokens(&TokenQuery::default(), page).await?;
    ///     for info in &found.items {
    ///         println!("{}: {}", info.key, info.state.as_str());
    ///     }
    ///     match found.next {
    ///         Some(next) => page = Page::after(next, 100),
    ///         None => return Ok(()),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `unsupported` if the store has no `find_tokens`; `invalid_parameter` for a cursor that is not its own;
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn find_tokens(&self, query: &TokenQuery, page: Page) -> Result<PageOf<GrantInfo>> {
        let ready = self.ready()?;
        let page = Page {
            limit: page.limit.min(PAGE),
            ..page
        };
        let found = ready.keeper().find(query, page).await?;
        let items = found.items.into_iter();
        Ok(PageOf::new(
            items
                .map(|summary| GrantInfo::found(summary, ready.sealing()))
                .collect(),
            found.next,
        ))
    }

    /// What an owner has granted, over all clients, without its secrets; ended grants too, as long as their tombstones stay.
    ///
    /// # Errors
    /// `unsupported` if the store has no `find_tokens`; `invalid_key` for an owner that cannot be one; `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn grants(&self, owner: &str) -> Result<Vec<GrantInfo>> {
        let ready = self.ready()?;
        let found = ready.keeper().records_of(owner).await?;
        Ok(found
            .into_iter()
            .filter(|summary| summary.key.is_account())
            .map(|summary| GrantInfo::found(summary, ready.sealing()))
            .collect())
    }

    /// Does [`grants`](Self::grants) show what is kept of this client? Not where closures keep it, nor where the store has
    /// no `find_tokens`: then [`Grant::info`](crate::Grant::info) asks for each by its key.
    ///
    /// # Errors
    /// `not_initialized`.
    pub fn lists(&self, client: &str) -> Result<bool> {
        let ready = self.ready()?;
        let by_closures = ready.clients().parts.closures.keeping(client).is_some();
        Ok(ready.keeper().can_find() && !by_closures)
    }

    /// What happened to a grant or session: its last 16 steps, when, in which process, why, and what the provider
    /// answered. For the people who run the application; free of secrets, and readable without the key that seals the
    /// record.
    ///
    /// A key under which nothing is kept is an answer too: see [`Explanation::info`].
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn explain(&self, key: &TokenKey) -> Result<Explanation> {
        let ready = self.ready()?;
        let Some(stored) = ready.keeper().fetch(key).await? else {
            return Ok(Explanation::nothing(key));
        };
        let summary = crate::store::TokenSummary::new(key.clone(), stored.clone());
        let header = Record::survey(key, stored, ready.sealing())
            .ok()
            .map(|record| record.header);
        let info = Some(GrantInfo::found(summary, ready.sealing()));
        Ok(match header {
            None => Explanation {
                info,
                ..Explanation::nothing(key)
            },
            Some(header) => Explanation {
                info,
                leased_until: header.lease.map(|lease| lease.until),
                unanswered_since: header.attempt.map(|attempt| attempt.since),
                not_before: header.not_before,
                failures: header.failures,
                trail: header.trail,
                ..Explanation::nothing(key)
            },
        })
    }
}

/// What happened to a grant or session. `Display` shows it over several lines, for a terminal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// Which one.
    pub key: TokenKey,
    /// How it stands. None: nothing is kept under the key. Nobody ever logged in, or what was there was purged or deleted;
    /// which counts as logged out.
    pub info: Option<GrantInfo>,
    /// Until when one process has the right to refresh it, in the store's time; it may be over.
    pub leased_until: Option<Timestamp>,
    /// Since when a refresh token may have been sent whose answer was not committed yet.
    pub unanswered_since: Option<Timestamp>,
    /// Before this time no process asks the provider.
    pub not_before: Option<Timestamp>,
    /// How many refreshes failed in a row.
    pub failures: u32,
    /// The last 16 steps, the oldest first.
    pub trail: Vec<TrailEntry>,
}

impl Explanation {
    fn nothing(key: &TokenKey) -> Self {
        Self {
            key: key.clone(),
            info: None,
            leased_until: None,
            unanswered_since: None,
            not_before: None,
            failures: 0,
            trail: Vec::new(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(info) = &self.info else {
            return write!(
                f,
                "{}: nothing is kept; nobody logged in, or it was purged",
                self.key
            );
        };
        write!(
            f,
            "{}: {}, generation {}",
            self.key,
            state(info),
            info.generation
        )?;
        if let Some(grant_id) = &info.grant_id {
            write!(f, ", grant {grant_id}")?;
        }
        let facts = [
            ("the access token expires at", info.expires_at),
            ("it is leased until", self.leased_until),
            ("a request is unanswered since", self.unanswered_since),
            ("the provider is not asked before", self.not_before),
            ("it is purged after", info.purge_at),
        ];
        for (what, at) in facts {
            if let Some(at) = at {
                write!(f, "\n  {what} {at}")?;
            }
        }
        if let Some(id) = &info.sealed_by {
            let opens = if info.opens {
                ""
            } else {
                ", which this process does not open it with"
            };
            write!(
                f,
                "\n  it is sealed by the key {}{opens}",
                id.escape_debug()
            )?;
        }
        for entry in &self.trail {
            write!(f, "\n  {} {:<11}", entry.at, entry.step.as_str())?;
            // The trail stands in plain in the store: what somebody else wrote there must not drive a terminal.
            for (before, text) in [
                (" by ", &entry.by),
                (" in ", &entry.process),
                (": ", &entry.note),
                ("; the provider: ", &entry.answer),
            ] {
                if !text.is_empty() {
                    write!(f, "{before}{}", text.escape_debug())?;
                }
            }
        }
        Ok(())
    }
}

fn state(info: &GrantInfo) -> String {
    use crate::GrantState;
    match info.state {
        GrantState::Active if info.refreshable => "active".to_owned(),
        GrantState::Active if info.key.is_account() => "active, and cannot be renewed".to_owned(),
        GrantState::Active => "active".to_owned(),
        GrantState::NeedsLogin(cause) => format!("a login is needed ({})", cause.as_str()),
        GrantState::LoggedOut => "logged out; only a new login brings it back".to_owned(),
        GrantState::Unreadable(code) => format!("its record cannot be read ({code})"),
    }
}
