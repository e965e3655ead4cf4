//! The store contract: a map with compare-and-swap, an index and a change feed, which moves sealed bytes and knows
//! nothing of OAuth.
//!
//! The smallest store is [`FetchToken`] and [`UpdateToken`], with a [name](TokenStore::name) and what it is
//! [capable](TokenStore::capabilities) of; the rest of [`TokenStore`] has default bodies that answer
//! [`StoreError::Unsupported`]. `tokenkeep-testing` has the trials that every store must pass.
//!
//! # A store of your own
//!
//! An application writes it against `tokenkeep::store`, a crate of its own against `tokenkeep-core`, which is the same;
//! `tokenkeep-testing` is a dev-dependency.
//!
//! A record stands under a [`TokenKey`] and has these parts. All but the key, the version and the body may be kept
//! together with the body, as one value: [`StoredRecord::to_bytes`].
//!
//! | part | column |
//! |---|---|
//! | [`TokenKey::client`], [`owner_column`](TokenKey::owner_column), [`slot_column`](TokenKey::slot_column) | three texts of up to 255 bytes (the slot: 263), compared byte for byte, together the primary key; owner and slot may be empty, which is not NULL. [`TokenKey::from_columns`] reads them back |
//! | [`version`](StoredRecord::version) | 16 bytes, or 32 digits of text; compared for equality, never counted or made by the database |
//! | [`generation`](StoredRecord::generation) | a signed integer of 64 bits is enough; where a larger number does not fit, answer [`StoreError::InvalidInput`]. Not compared: it may stay, or even go back |
//! | [`index`](StoredRecord::index) | nullable texts (absent and empty are different), and times as integers of 64 bits: milliseconds ([`Timestamp::as_millis`]) |
//! | [`body`](StoredRecord::body) | up to 1 MiB of bytes, sealed by the core in every store that leaves the process |
//! | [`announce`](StoredRecord::announce) | none: it tells the change feed what may be left out |
//!
//! In SQL the whole of [`update_token`](UpdateToken::update_token) is one of these statements. No row was touched:
//! [`StoreError::Conflict`]. Never read first and write then, and never fall back from one to the other.
//!
//! ```sql
//! -- Expected::Absent
//! INSERT INTO tokens (client, owner, slot, version, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;
//! -- Expected::Version(v)
//! UPDATE tokens SET version = ?, record = ? WHERE client = ? AND owner = ? AND slot = ? AND version = ?;
//! ```
//!
//! What to answer:
//!
//! | what happened | answer |
//! |---|---|
//! | there is no record under this key | `Ok` with [`Fetched::record`] `None` |
//! | another version is stored, or none where one was expected, or one where none was; a serialisation failure, a deadlock, a unique violation | [`StoreError::Conflict`] |
//! | a timeout, a lost connection, a server that refuses; also if the write may have been applied | [`StoreError::Unavailable`], by [`StoreError::other`] |
//! | a stored row makes no sense, or its columns are no [key](TokenKey::from_columns) | [`StoreError::InvalidRow`]; leave the row as it is |
//! | a table or a right is missing | [`StoreError::Misconfigured`], with what to put right |
//! | a page cursor of another store, a number that the column cannot hold | [`StoreError::InvalidInput`] |
//! | a method that is not there | [`StoreError::Unsupported`], by the default body |
//!
//! A store may try again by itself only what was surely not applied. It need not bound its time: the core gives up after
//! `store_timeout` and drops the call. An error must not hold a record's contents, nor a password of the database.
//!
//! A whole store, with a map in a database's place:
//!
//! ```
//! use std::{collections::HashMap, sync::Mutex};
//! use tokenkeep_core::{TokenKey, store::*};
//!
//! /// For each key the version and the record as one value.
//! #[derive(Default)]
//! struct MyStore(Mutex<HashMap<[String; 3], (Version, Vec<u8>)>>);
//!
//! fn columns(key: &TokenKey) -> [String; 3] {
//!     [key.client().into(), key.owner_column().into(), key.slot_column()]
//! }
//!
//! #[async_trait]
//! impl FetchToken for MyStore {
//!     async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
//!         let rows = self.0.lock().map_err(|_| StoreError::other("a writer panicked"))?;
//!         let row = rows.get(&columns(key));
//!         let record = row.map(|(_, bytes)| StoredRecord::from_bytes(bytes)).transpose()?;
//!         // This store has no clock of its own.
//!         Ok(Fetched::new(record, None))
//!     }
//! }
//!
//! #[async_trait]
//! impl UpdateToken for MyStore {
//!     async fn update_token(&self, key: &TokenKey, record: &StoredRecord, expected: Expected) -> Result<(), StoreError> {
//!         let mut rows = self.0.lock().map_err(|_| StoreError::other("a writer panicked"))?;
//!         let stored = rows.get(&columns(key)).map(|(version, _)| *version);
//!         let fits = match expected {
//!             Expected::Absent => stored.is_none(),
//!             Expected::Version(version) => stored == Some(version),
//!         };
//!         if !fits {
//!             return Err(StoreError::Conflict);
//!         }
//!         rows.insert(columns(key), (record.version, record.to_bytes()));
//!         Ok(())
//!     }
//! }
//!
//! impl TokenStore for MyStore {
//!     fn name(&self) -> &'static str {
//!         "mine"
//!     }
//!
//!     fn capabilities(&self) -> Capabilities {
//!         // A database that other processes may share says `Capabilities::minimal()`.
//!         Capabilities::default()
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (store, key) = (MyStore::default(), TokenKey::new("github", "alice")?);
//! let record = StoredRecord::new(Version::random(), 1, Index::default(), b"sealed".to_vec());
//! store.update_token(&key, &record, Expected::Absent).await?;
//! assert_eq!(store.fetch_token(&key).await?.record, Some(record.clone()));
//! let again = store.update_token(&key, &record, Expected::Absent).await;
//! assert!(matches!(again, Err(StoreError::Conflict)));
//! # Ok::<_, Box<dyn std::error::Error>>(()) })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Then let `tokenkeep_testing::conformance::check` say whether it keeps its promises. The stores in the repository show
//! the other methods: `stores/memory` in the plainest way. They are written as the two above, under
//! `#[async_trait] impl TokenStore`; this page shows them as the macro leaves them:
//!
//! ```text
//! async fn find_tokens(&self, query: &TokenQuery, page: Page) -> Result<PageOf<TokenSummary>, StoreError>;
//! async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
//! async fn put_once(&self, space: &str, id: &str, value: &[u8], ttl: Duration) -> Result<bool, StoreError>;
//! async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError>;
//! async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError>;
//! ```

mod bytes;
mod closures;
mod error;
mod page;
mod query;
mod routed;

use std::{fmt, pin::Pin, str::FromStr, sync::Arc, time::Duration};

/// For implementing the traits of this module.
pub use async_trait::async_trait;
pub(crate) use closures::ClosureStore;
pub use error::StoreError;
pub use query::{Page, PageOf, TokenQuery, TokenSummary};
pub(crate) use routed::RoutedStore;
use tokio_stream::Stream;

use crate::{Timestamp, TokenKey};

/// A shared store.
pub type DynTokenStore = Arc<dyn TokenStore>;

/// The stamp of one write: 128 random bits, chosen by the core for each. A store compares it for equality only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; 16]);

impl Version {
    /// A stamp that was never used before.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::seal::random())
    }

    /// The stamp as bytes, for a binary column.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A stamp read from a binary column.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// 32 lower-case hexadecimal digits, for a text column.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl FromStr for Version {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        let pairs = text.as_bytes().chunks_exact(2);
        if text.len() != 32
            || !text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(StoreError::invalid_row(
                "a version is not 32 hexadecimal digits",
            ));
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(StoreError::other)?;
            *byte = u8::from_str_radix(digits, 16).map_err(StoreError::other)?;
        }
        Ok(Self(bytes))
    }
}

/// What a store keeps under a key: plain columns to search by, and an opaque body.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The stamp of the write that put it there.
    pub version: Version,
    /// Grows whenever token material changes; per key it never repeats.
    pub generation: u64,
    /// What can be searched for.
    pub index: Index,
    /// Format number, plain header and sealed part. Opaque to a store; at most 1 MiB.
    pub body: Vec<u8>,
    /// Whether the change feed must carry this write. Writes that only take or give back a lease, or seal anew what is there,
    /// may be left out.
    /// It need not be kept.
    pub announce: bool,
}

impl StoredRecord {
    /// A record as a store reads it back from its columns; [`from_bytes`](Self::from_bytes) reads one from a single value.
    #[must_use]
    pub fn new(version: Version, generation: u64, index: Index, body: Vec<u8>) -> Self {
        Self {
            version,
            generation,
            index,
            body,
            announce: true,
        }
    }
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRecord")
            .field("version", &self.version)
            .field("generation", &self.generation)
            .field("index", &self.index)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .finish()
    }
}

/// The plain columns of a record. None of them is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Index {
    /// Issuer (or token endpoint) that issued the tokens.
    pub issuer: Option<String>,
    /// The provider's id of the user (`sub`).
    pub subject: Option<String>,
    /// The provider's session id (`sid`).
    pub sid: Option<String>,
    /// When the login's own access token expires.
    pub access_expires_at: Option<Timestamp>,
    /// When the grant itself ends, if the provider said.
    pub grant_expires_at: Option<Timestamp>,
    /// When the record was written last.
    pub changed_at: Timestamp,
    /// After this time `purge_tokens` removes it. Only tombstones and dead rows have it.
    pub purge_at: Option<Timestamp>,
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No record under this key.
    Absent,
    /// The record with exactly this version.
    Version(Version),
}

/// What a read found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The record, if there is one.
    pub record: Option<StoredRecord>,
    /// The store's own time, if it has a clock, such as a database's `now()`; also for an absent record. Leases of a
    /// fleet are measured by it, so it is never this process's own time in a store that processes of other machines
    /// share. Where only processes of one machine can (a file), it is the machine's.
    pub now: Option<Timestamp>,
}

impl Fetched {
    /// What a read found, at which time of the store.
    #[must_use]
    pub fn new(record: Option<StoredRecord>, now: Option<Timestamp>) -> Self {
        Self { record, now }
    }
}

/// Reads one record: the first half of the smallest store.
#[async_trait]
pub trait FetchToken: Send + Sync + 'static {
    /// The record under this key, compared byte for byte, with every write that was acknowledged before the call.
    /// A lagging replica breaks this promise.
    ///
    /// # Errors
    /// A record that cannot be read is an error and never "absent".
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError>;
}

/// Writes one record: the second half of the smallest store.
#[async_trait]
pub trait UpdateToken: Send + Sync + 'static {
    /// Writes the record if, and only if, the stored version is the expected one, in one atomic step.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the stored version is another one, if `Version` was expected and there is no
    /// record, or if `Absent` was expected and there is one; also for a serialisation failure, a deadlock or a unique
    /// violation. Never an insert where a version was expected.
    ///
    /// # Cancel safety
    /// The write may or may not have been applied; the caller reads again.
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError>;
}

/// A token store.
///
/// # Contract
/// * Keys are exact bytes: no folding of case, no normalisation, no trimming.
/// * A write that was acknowledged is seen by every later read, in every process.
/// * After a deletion and a new insert an old version is never accepted (versions are random, never counted).
/// * Handles are cheap to share behind an [`Arc`]; all methods may run at once.
///
/// # Wrappers
/// Implement **every** method, under `#[deny(clippy::missing_trait_methods)]`: a forgotten one would silently turn a
/// feature off.
#[async_trait]
pub trait TokenStore: FetchToken + UpdateToken {
    /// What to call it in logs and errors, such as `sqlite`.
    fn name(&self) -> &'static str;

    /// Which of the methods below are there, and what else can be relied on.
    fn capabilities(&self) -> Capabilities;

    /// A page of the records that fit the query, in the order of the keys' columns owner, client and slot, byte for
    /// byte. [`TokenQuery::matches`] is what fits; [`Page::after_key`] and [`PageOf::in_key_order`] make the pages of a
    /// store that can begin after a key.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] without [`Capabilities::find`]; [`StoreError::InvalidInput`] for a cursor that this
    /// store never gave.
    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let _ = (query, page);
        Err(StoreError::unsupported("find_tokens"))
    }

    /// Removes at most `limit` records whose `purge_at` is before the given time, each in one step with that test:
    /// a record that a login has just replaced stays. Answers how many were removed. No other time makes a record due,
    /// and a store that removes by itself does it from `purge_at` on, not earlier.
    ///
    /// The background calls it now and then: a good moment to remove expired values of [`put_once`](Self::put_once),
    /// too, which do not count in the answer.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] without [`Capabilities::purge`].
    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let _ = (before, limit);
        Err(StoreError::unsupported("purge_tokens"))
    }

    /// Keeps a value for at least `ttl`, if nothing is kept under (space, id). Answers false if something is, and leaves
    /// that as it is. What has expired counts as nothing.
    ///
    /// Space and id are exact bytes, as keys are: the space a text of up to 64 bytes, the id one of up to 255. The value
    /// may be empty, and has 66 KB at most. The time is longer than zero; a store that counts in seconds rounds it up.
    /// Nobody asks for most values again, so the store must remove what has expired: by itself, or in
    /// [`purge_tokens`](Self::purge_tokens).
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] without [`Capabilities::once`].
    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let _ = (space, id, value, ttl);
        Err(StoreError::unsupported("put_once"))
    }

    /// Reads and removes a value in one step, so that one of many callers gets it. Expired values are absent.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] without [`Capabilities::once`].
    ///
    /// # Cancel safety
    /// **Not** cancel safe: the value may be gone without having been returned.
    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = (space, id);
        Err(StoreError::unsupported("take"))
    }

    /// The writes of all processes, from after the cursor, or from now on. The feed is established when the call
    /// returns: a write acknowledged later is in it. What may have been missed is a [`Change::Gap`]: also if the cursor
    /// is unknown (an error would be answered by the same question), the listener falls behind, or the connection was lost
    /// for a while.
    ///
    /// The changes of one key come in the order of its writes; a later one may stand for those before it. A write that
    /// was refused is not among them, and one with [`announce`](StoredRecord::announce) false may be left out. A feed
    /// that polls a sequence number must know that numbers are given at the insert and seen at the commit: a lower one
    /// may appear after a higher one. What is purged need not be told.
    ///
    /// A feed that cannot go on ends; it is opened again after a while, from its last cursor.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] without [`Capabilities::changes`].
    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        let _ = since;
        Err(StoreError::unsupported("changes"))
    }
}

/// What a store can do beyond the two methods of the smallest one. Begin with [`minimal`](Self::minimal),
/// [`full`](Self::full), [`embedded`](Self::embedded), or with nothing by `default()`, and set what differs:
///
/// ```
/// # use tokenkeep_core::store::Capabilities;
/// let mut capabilities = Capabilities::minimal();
/// capabilities.purge = true;
/// ```
///
/// Claim what is there and nothing else: the core uses what is claimed and never tries what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Its records outlive the process: they are sealed, or `build()` refuses.
    pub persistent: bool,
    /// Several processes may share it: its records are sealed, or `build()` refuses.
    pub shared: bool,
    /// `fetch_token` answers the store's own time ([`Fetched::now`]). Without it leases are measured by each process's
    /// own clock.
    pub clock: bool,
    /// `find_tokens` is there. Without it an owner's grants cannot be listed.
    pub find: bool,
    /// `purge_tokens` is there. Without it what is over is never removed, unless the store does it by itself, from
    /// `purge_at` on.
    pub purge: bool,
    /// `put_once` and `take` are there. Without them the answer to a login can be replayed in another process.
    pub once: bool,
    /// `changes` is there. Without it changes of other processes are seen only when a snapshot is verified, by its
    /// age.
    pub changes: bool,
}

impl Capabilities {
    /// The two methods of the smallest store, in a database that other processes may share.
    #[must_use]
    pub const fn minimal() -> Self {
        Self {
            persistent: true,
            shared: true,
            clock: false,
            find: false,
            purge: false,
            once: false,
            changes: false,
        }
    }

    /// Everything, in a database that other processes may share.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            persistent: true,
            shared: true,
            clock: true,
            find: true,
            purge: true,
            once: true,
            changes: true,
        }
    }

    /// Everything, inside one process.
    #[must_use]
    pub const fn embedded() -> Self {
        Self {
            persistent: false,
            shared: false,
            ..Self::full()
        }
    }
}

/// The change feed.
pub type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// A place in the change feed: opaque text of the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// One entry of the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A record was written.
    Written {
        /// Under which key.
        key: TokenKey,
        /// Its version.
        version: Version,
        /// Its generation.
        generation: u64,
        /// Where the feed stands after this entry.
        cursor: Cursor,
    },
    /// Changes may have been missed: whatever is held of this store is to be verified.
    Gap,
}
