//! The application's closures in a store's place: what stands in its table, and what the refresh protocol keeps beside it.
//!
//! The table holds tokens and nothing else. Versions, leases, pauses and tombstones are this process's bookkeeping, in the
//! same records that any store keeps, so that the refresh protocol stays one. A write that changes no token never reaches
//! the table.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::sync::Mutex as AsyncMutex;

use super::{Expected, Fetched, StoreError, StoredRecord};
use crate::{
    Clock, Fingerprint, Replaced, Timestamp, Token, TokenKey,
    closures::{BoxError, Keeping, call},
    token::{GrantId, Header, Payload, Record, Sealing, State, Step, Target},
};

/// How many tokens that this process replaced, and writes whose outcome is not known, are remembered of a key.
const GONE: usize = 8;

/// The closures of a registry, and what this process knows of the rows behind them.
pub(crate) struct ClosureStore {
    shared: Option<Keeping>,
    clients: RwLock<HashMap<String, Keeping>>,
    rows: Mutex<HashMap<TokenKey, Arc<AsyncMutex<Row>>>>,
    sealing: Sealing,
    clock: Arc<dyn Clock>,
    /// How many rows at most, but for those that are being refreshed.
    capacity: usize,
}

impl fmt::Debug for ClosureStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureStore")
            .field("for_all", &self.shared.is_some())
            .finish_non_exhaustive()
    }
}

/// One row of the application's table, as this process knows it.
#[derive(Default)]
struct Row {
    /// What the protocol wrote last; none if there is nothing under the key.
    record: Option<StoredRecord>,
    /// The token that the table should show.
    shown: Option<Token>,
    /// Writes whose outcome is not known, the oldest first.
    attempted: VecDeque<Attempted>,
    /// Tokens that were replaced: if the table shows one again, a write was lost, or somebody wrote an old row back.
    gone: VecDeque<[Option<Fingerprint>; 2]>,
    /// A refresh is under way, which must find its line again.
    leased: bool,
}

struct Attempted {
    record: StoredRecord,
    shown: Option<Token>,
}

impl Row {
    fn holds_nothing(&self) -> bool {
        self.record.is_none() && self.attempted.is_empty() && self.gone.is_empty()
    }

    /// A write begins: it may be applied, and its answer lost.
    fn attempt(&mut self, record: StoredRecord, shown: Option<Token>) {
        self.attempted
            .retain(|other| !show_the_same(other.shown.as_ref(), shown.as_ref()));
        if self.attempted.len() == GONE {
            self.attempted.pop_front();
        }
        self.attempted.push_back(Attempted { record, shown });
    }

    /// The write that the table shows by now, if there is one.
    fn applied(&mut self, shown: Option<&Token>) -> Option<Attempted> {
        let is_it = |attempted: &Attempted| show_the_same(attempted.shown.as_ref(), shown);
        let at = self.attempted.iter().position(is_it)?;
        self.attempted.remove(at)
    }

    /// A write reached the table.
    fn settle(&mut self, record: StoredRecord, shown: Option<Token>) {
        let attempted = self.attempted.drain(..).filter_map(|other| other.shown);
        for old in self.shown.take().into_iter().chain(attempted) {
            if !shown.as_ref().is_some_and(|new| is_same(new, &old)) {
                self.gone.push_back(marks(&old));
            }
        }
        if let Some(shown) = &shown {
            let marks = marks(shown);
            self.gone.retain(|gone| *gone != marks);
        }
        while self.gone.len() > GONE {
            self.gone.pop_front();
        }
        self.record = Some(record);
        self.shown = shown;
    }

    fn is_gone(&self, token: &Token) -> bool {
        let marks = marks(token);
        self.gone.contains(&marks)
    }

    fn fetched(&self) -> Fetched {
        Fetched::new(self.record.clone(), None)
    }
}

fn marks(token: &Token) -> [Option<Fingerprint>; 2] {
    [
        Some(Fingerprint::of(&token.access_token)),
        token.refresh_token.as_ref().map(Fingerprint::of),
    ]
}

/// Is it the same row? A table may round an expiry, and leave out what it has no column for.
fn is_same(one: &Token, other: &Token) -> bool {
    one.access_token == other.access_token && one.refresh_token == other.refresh_token
}

/// Do they show the same, where one is the table's and the other this process's?
fn show_the_same(one: Option<&Token>, other: Option<&Token>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => is_same(one, other),
        _ => false,
    }
}

/// Does the table show it already, so that there is nothing to write?
fn is_written(shown: Option<&Token>, wanted: Option<&Token>) -> bool {
    let plain = |token: &Token| Token {
        generation: 0,
        ..token.clone()
    };
    shown.map(plain) == wanted.map(plain)
}

impl ClosureStore {
    pub(crate) fn new(
        shared: Option<Keeping>,
        sealing: Sealing,
        clock: Arc<dyn Clock>,
        capacity: usize,
    ) -> Self {
        Self {
            shared,
            clients: RwLock::default(),
            rows: Mutex::default(),
            sealing,
            clock,
            capacity: capacity.max(1),
        }
    }

    /// Are there closures for clients that bring none?
    pub(crate) fn for_all(&self) -> bool {
        self.shared.is_some()
    }

    /// A client's own closures, or that it has none.
    pub(crate) fn set(&self, client: &str, keeping: Option<Keeping>) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        match keeping {
            Some(keeping) => clients.insert(client.to_owned(), keeping),
            None => clients.remove(client),
        };
    }

    /// The closures that keep a client's tokens, if any do.
    pub(crate) fn keeping(&self, client: &str) -> Option<Keeping> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        clients.get(client).or(self.shared.as_ref()).cloned()
    }

    /// The keys of an owner that this process has used.
    pub(crate) fn keys_of(&self, owner: &str) -> Vec<TokenKey> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = rows.keys().filter(|key| key.owner_column() == owner);
        keys.cloned().collect()
    }

    /// The row of a key, made if there is none. When there are too many, some are forgotten that nobody uses.
    fn row(&self, key: &TokenKey) -> Arc<AsyncMutex<Row>> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get(key) {
            return Arc::clone(row);
        }
        if rows.len() >= self.capacity {
            let mut spare = rows.len() / 8 + 1;
            rows.retain(|_, row| {
                let forget = spare > 0
                    && Arc::strong_count(row) == 1
                    && row.try_lock().is_ok_and(|row| !row.leased);
                spare -= usize::from(forget);
                !forget
            });
        }
        Arc::clone(rows.entry(key.clone()).or_default())
    }

    /// Forgets a row that holds nothing, unless somebody else has it.
    fn let_go(&self, key: &TokenKey, row: &Arc<AsyncMutex<Row>>, holds_nothing: bool) {
        if holds_nothing {
            let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
            if Arc::strong_count(row) == 2 {
                rows.remove(key);
            }
        }
    }

    pub(super) async fn fetch(
        &self,
        keeping: &Keeping,
        key: &TokenKey,
    ) -> Result<Fetched, StoreError> {
        let shared = self.row(key);
        // Held over the call: a read that began before a write must not be compared with what came after it.
        let mut row = shared.lock().await;
        let shown = call(|| (keeping.fetch)(key.clone())).await;
        let found = match shown {
            Ok(shown) => self.compare(keeping, key, &mut row, shown).await,
            Err(error) => Err(StoreError::other(error)),
        };
        self.let_go(key, &shared, row.holds_nothing());
        found
    }

    /// What the table shows, beside what this process knows.
    async fn compare(
        &self,
        keeping: &Keeping,
        key: &TokenKey,
        row: &mut Row,
        shown: Option<Token>,
    ) -> Result<Fetched, StoreError> {
        if show_the_same(row.shown.as_ref(), shown.as_ref()) {
            return Ok(row.fetched());
        }
        if let Some(attempted) = row.applied(shown.as_ref()) {
            row.leased = self.is_leased(key, &attempted.record)?;
            row.settle(attempted.record, attempted.shown);
            return Ok(row.fetched());
        }
        match shown {
            Some(token) if row.is_gone(&token) => {
                tracing::warn!(key = %key.mark(), "the application's table shows a token that was replaced; it is written again");
                let wanted = row.shown.clone();
                if let Err(error) = write(keeping, key, wanted.as_ref(), Some(&token)).await {
                    // It is tried again at the next look.
                    tracing::warn!(key = %key.mark(), %error, "it could not be written");
                }
            }
            Some(token) => {
                let record = self.found(key, row.record.as_ref(), &token)?;
                let record = encode(&record, key, &self.sealing)?;
                row.leased = false;
                row.settle(record, Some(token));
            }
            // Whoever removed it ended it (rule 2): a write of ours that is on its way does not bring it back.
            None => {
                let late = row.attempted.drain(..).filter_map(|late| late.shown);
                *row = Row {
                    gone: late.map(|late| marks(&late)).collect(),
                    ..Row::default()
                };
            }
        }
        Ok(row.fetched())
    }

    fn is_leased(&self, key: &TokenKey, record: &StoredRecord) -> Result<bool, StoreError> {
        Ok(decode(record, key, &self.sealing)?.header.lease.is_some())
    }

    /// The record of a token that somebody else wrote: the first of its row, or a new generation.
    fn found(
        &self,
        key: &TokenKey,
        before: Option<&StoredRecord>,
        token: &Token,
    ) -> Result<Record, StoreError> {
        let now = self.clock.now();
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let before = before
            .map(|before| decode(before, key, &self.sealing))
            .transpose()?;
        let generation = before
            .as_ref()
            .map_or(0, |before| before.header.generation.saturating_add(1));
        let generation = generation.max(millis);
        let mut header = match before.filter(|before| before.header.state != State::LoggedOut) {
            Some(before) => {
                // The same line: a logout or login that looked before must still find it.
                let mut header = Header::new(before.header.grant_id, generation);
                header.fence = before.header.fence;
                header.trail = before.header.trail;
                header.note(now, Step::Commit, "", "written elsewhere");
                header
            }
            None => {
                let mut header = Header::new(GrantId::random(), generation);
                header.note(now, Step::Adopt, "", "found where the application keeps it");
                header
            }
        };
        header.client_credentials = key.owner_column().is_empty();
        let mut record = Record::new(header, super::Index::default(), Payload::default());
        record.index.changed_at = now;
        record.set_payload(Payload::of(token.clone(), generation));
        Ok(record)
    }

    pub(super) async fn update(
        &self,
        keeping: &Keeping,
        key: &TokenKey,
        stored: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let shared = self.row(key);
        let mut row = shared.lock().await;
        let written = self.swap(keeping, key, &mut row, stored, expected).await;
        self.let_go(key, &shared, row.holds_nothing());
        written
    }

    async fn swap(
        &self,
        keeping: &Keeping,
        key: &TokenKey,
        row: &mut Row,
        stored: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let fits = match (expected, &row.record) {
            (Expected::Absent, None) => true,
            (Expected::Version(version), Some(record)) => record.version == version,
            _ => false,
        };
        if !fits {
            return Err(StoreError::Conflict);
        }
        let record = decode(stored, key, &self.sealing)?;
        let leased = record.header.lease.is_some();
        let wanted = wanted(&record, row.shown.as_ref(), self.clock.now());
        if is_written(row.shown.as_ref(), wanted.as_ref()) {
            row.record = Some(stored.clone());
            row.leased = leased;
            return Ok(());
        }
        if wanted.is_none() && keeping.delete.is_none() {
            return Err(StoreError::unsupported(
                "delete_token: a logout of a grant that closures keep would not last; add .delete_token(|key| …) beside \
                 .fetch_token",
            ));
        }
        row.attempt(stored.clone(), wanted.clone());
        write(keeping, key, wanted.as_ref(), row.shown.as_ref())
            .await
            .map_err(StoreError::other)?;
        row.leased = leased;
        row.settle(stored.clone(), wanted);
        Ok(())
    }
}

/// Calls the closure that brings the table to this.
async fn write(
    keeping: &Keeping,
    key: &TokenKey,
    wanted: Option<&Token>,
    before: Option<&Token>,
) -> Result<(), BoxError> {
    match (wanted, &keeping.delete) {
        (Some(token), _) => {
            let token = token.clone();
            let replaced = Replaced {
                access_token: before.map(|before| Fingerprint::of(&before.access_token)),
                refresh_token: before
                    .filter(|before| before.refresh_token != token.refresh_token)
                    .and_then(|before| before.refresh_token.as_ref())
                    .map(Fingerprint::of),
            };
            call(|| (keeping.update)(key.clone(), token, replaced)).await
        }
        (None, Some(delete)) => call(|| delete(key.clone())).await,
        (None, None) => Ok(()),
    }
}

/// The token that a table should show for a record. Where the login's own access token was taken back or ended early, it
/// is the one that the table shows, over by now: beside it stands a refresh token that must not be lost.
fn wanted(record: &Record, shown: Option<&Token>, now: Timestamp) -> Option<Token> {
    if record.header.state == State::LoggedOut {
        return None;
    }
    let ended = |generation| {
        record
            .header
            .expired_through
            .is_some_and(|through| generation <= through)
    };
    let Some(payload) = record.payload() else {
        return shown.cloned();
    };
    let login = payload.access(&Target::login());
    let is_over = login.is_none_or(|login| ended(login.issued_generation));
    let mut token = match record.login_token() {
        Some(token) => token,
        None => Token {
            refresh_token: payload.refresh_token.clone(),
            id_token: payload.id_token.clone(),
            generation: record.header.generation,
            ..shown?.clone()
        },
    };
    if is_over {
        let known = shown
            .filter(|shown| shown.access_token == token.access_token)
            .and_then(|shown| shown.expires_at)
            .filter(|at| *at <= now);
        token.expires_at = Some(known.unwrap_or(now));
    }
    Some(token)
}

fn decode(stored: &StoredRecord, key: &TokenKey, sealing: &Sealing) -> Result<Record, StoreError> {
    Record::decode(key, stored.clone(), sealing).map_err(StoreError::other)
}

fn encode(record: &Record, key: &TokenKey, sealing: &Sealing) -> Result<StoredRecord, StoreError> {
    record.encode(key, sealing, true).map_err(StoreError::other)
}
