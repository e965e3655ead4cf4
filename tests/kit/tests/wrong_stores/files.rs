//! Stores that processes share, each with one fault: a folder with a file for each record.

use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokenkeep_core::{TokenKey, store::*};
use tokio::{sync::Mutex as AsyncMutex, sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;

/// What is wrong: nothing of it is seen by one process alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFault {
    None,
    OpensOnce,
    InsertsWithoutLock,
    ReplacesWithoutLock,
    PutsWithoutLock,
    TakesWithoutLock,
    CachesReads,
    HearsItsProcessOnly,
}

impl FileFault {
    pub(crate) const ALL: [Self; 8] = [
        Self::None,
        Self::OpensOnce,
        Self::InsertsWithoutLock,
        Self::ReplacesWithoutLock,
        Self::PutsWithoutLock,
        Self::TakesWithoutLock,
        Self::CachesReads,
        Self::HearsItsProcessOnly,
    ];
}

#[derive(Clone)]
pub(crate) struct FileStore {
    fault: FileFault,
    folder: PathBuf,
    /// Held for each step by the tasks of this process.
    process: Arc<AsyncMutex<()>>,
    cache: Arc<Mutex<HashMap<TokenKey, StoredRecord>>>,
    own: Arc<Mutex<Vec<Version>>>,
}

/// Held by one process.
struct Lock(PathBuf);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl FileStore {
    pub(crate) fn open(folder: &Path, fault: FileFault) -> Self {
        fs::create_dir_all(folder).unwrap();
        if fault == FileFault::OpensOnce {
            let first = fs::File::create_new(folder.join("opened"));
            first.expect("another process has opened this store");
        }
        Self {
            fault,
            folder: folder.to_owned(),
            process: Arc::default(),
            cache: Arc::default(),
            own: Arc::default(),
        }
    }

    /// Locks other processes out; with that fault, none.
    async fn lock(&self, without: FileFault) -> Result<Option<Lock>, StoreError> {
        if self.fault == without {
            return Ok(None);
        }
        let path = self.folder.join("lock");
        for _ in 0..10_000 {
            match fs::File::create_new(&path) {
                Ok(_) => return Ok(Some(Lock(path))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    sleep(Duration::from_millis(1)).await;
                }
                Err(error) => return Err(StoreError::other(error)),
            }
        }
        Err(StoreError::other("the lock is not given back"))
    }

    /// Between looking and writing, where nobody is locked out.
    async fn pause(&self, lock: Option<&Lock>) {
        if lock.is_none() {
            sleep(Duration::from_millis(3)).await;
        }
    }

    fn path(&self, parts: [&str; 3]) -> PathBuf {
        let mut name = String::new();
        for part in parts {
            name.extend(part.bytes().map(|byte| format!("{byte:02x}")));
            name.push('.');
        }
        self.folder.join(name)
    }

    fn record_path(&self, key: &TokenKey) -> PathBuf {
        self.path([key.client(), key.owner_column(), &key.slot_column()])
    }

    fn announce(&self, key: &TokenKey, record: &StoredRecord) -> Result<(), StoreError> {
        self.own.lock().unwrap().push(record.version);
        let line = format!(
            "{}\t{}\t{}\t{}\t{}\n",
            key.client(),
            key.owner_column(),
            key.slot_column(),
            record.version,
            record.generation
        );
        let mut options = fs::OpenOptions::new();
        let log = options.create(true).append(true);
        log.open(self.folder.join("log"))
            .and_then(|mut log| log.write_all(line.as_bytes()))
            .map_err(StoreError::other)
    }
}

/// The contents of a file, if there is one. A file appears whole, because it is written elsewhere first.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::other(error)),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let elsewhere = path.with_extension(Version::random().to_string());
    fs::write(&elsewhere, bytes)
        .and_then(|()| fs::rename(&elsewhere, path))
        .map_err(StoreError::other)
}

#[async_trait]
impl FetchToken for FileStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let cached = self.cache.lock().unwrap().get(key).cloned();
        if cached.is_some() {
            return Ok(Fetched::new(cached, None));
        }
        let bytes = read(&self.record_path(key))?;
        let record = bytes.as_deref().map(StoredRecord::from_bytes).transpose()?;
        if let (FileFault::CachesReads, Some(record)) = (self.fault, &record) {
            self.cache
                .lock()
                .unwrap()
                .insert(key.clone(), record.clone());
        }
        Ok(Fetched::new(record, None))
    }
}

#[async_trait]
impl UpdateToken for FileStore {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let _process = self.process.lock().await;
        let lock = self
            .lock(match expected {
                Expected::Absent => FileFault::InsertsWithoutLock,
                Expected::Version(_) => FileFault::ReplacesWithoutLock,
            })
            .await?;
        self.cache.lock().unwrap().remove(key);
        let path = self.record_path(key);
        let bytes = read(&path)?;
        let found = bytes.as_deref().map(StoredRecord::from_bytes).transpose()?;
        let found = found.map_or(Expected::Absent, |found| Expected::Version(found.version));
        if found != expected {
            return Err(StoreError::Conflict);
        }
        self.pause(lock.as_ref()).await;
        write(&path, &record.to_bytes())?;
        self.announce(key, record)
    }
}

#[async_trait]
impl TokenStore for FileStore {
    fn name(&self) -> &'static str {
        "files"
    }

    fn capabilities(&self) -> Capabilities {
        let mut claims = Capabilities::minimal();
        (claims.once, claims.changes) = (true, true);
        claims
    }

    /// Nothing expires here.
    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        _ttl: Duration,
    ) -> Result<bool, StoreError> {
        let _process = self.process.lock().await;
        let lock = self.lock(FileFault::PutsWithoutLock).await?;
        let path = self.path(["once", space, id]);
        if read(&path)?.is_some() {
            return Ok(false);
        }
        self.pause(lock.as_ref()).await;
        write(&path, value)?;
        Ok(true)
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _process = self.process.lock().await;
        let lock = self.lock(FileFault::TakesWithoutLock).await?;
        let path = self.path(["once", space, id]);
        let found = read(&path)?;
        self.pause(lock.as_ref()).await;
        let _ = fs::remove_file(&path);
        Ok(found)
    }

    async fn changes(&self, _since: Option<Cursor>) -> Result<Changes, StoreError> {
        let log = self.folder.join("log");
        let mut seen = read(&log)?.unwrap_or_default().len();
        let (sender, receiver) = mpsc::channel(16);
        let own = (self.fault == FileFault::HearsItsProcessOnly).then(|| Arc::clone(&self.own));
        tokio::spawn(async move {
            while !sender.is_closed() {
                let bytes = read(&log).unwrap().unwrap_or_default();
                let whole = bytes.iter().rposition(|byte| *byte == b'\n');
                let end = whole.map_or(0, |at| at + 1);
                let new = String::from_utf8_lossy(&bytes[seen..end.max(seen)]).into_owned();
                for change in new.lines().map(change) {
                    let heard = own.as_ref().is_none_or(|own| match &change {
                        Change::Written { version, .. } => own.lock().unwrap().contains(version),
                        _ => true,
                    });
                    if heard && sender.send(change).await.is_err() {
                        return;
                    }
                }
                seen = end.max(seen);
                sleep(Duration::from_millis(5)).await;
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }
}

fn change(line: &str) -> Change {
    let columns: Vec<_> = line.split('\t').collect();
    Change::Written {
        key: TokenKey::from_columns(columns[0], columns[1], columns[2]).unwrap(),
        version: columns[3].parse().unwrap(),
        generation: columns[4].parse().unwrap(),
        cursor: Cursor("none".to_owned()),
    }
}
