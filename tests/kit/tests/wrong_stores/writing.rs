//! Faults of reading and writing.

use std::{sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use tokenkeep_core::{Clock, TokenKey, store::*};
use tokio::time::sleep;

use crate::wrong::{Fault, Shared, Wrong};

/// The number of a write of its row.
fn count_of(rows: &[Vec<Version>], version: Version) -> Option<usize> {
    rows.iter()
        .find_map(|row| row.iter().position(|of_row| *of_row == version))
}

fn written(key: &TokenKey, record: &StoredRecord) -> Change {
    Change::Written {
        key: key.clone(),
        version: record.version,
        generation: record.generation,
        cursor: Cursor("none".to_owned()),
    }
}

/// What stays behind when a write is dropped halfway.
struct Lock<'a>(&'a Shared, bool);

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.locked.store(true, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl FetchToken for Wrong {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        let mut fetched = self.right.fetch_token(&self.key(key)).await?;
        match self.fault {
            Fault::Panics if key.owner_column() == "nobody" => panic!("a wrong store"),
            Fault::FailsOnAbsent if fetched.record.is_none() => {
                return Err(StoreError::other("no rows"));
            }
            Fault::TellsNoTime if fetched.record.is_none() => fetched.now = None,
            Fault::Lacks("clock") => fetched.now = None,
            Fault::ReadsInTwoQueries => {
                sleep(Duration::from_millis(1)).await;
                let later = self.stored(key).await;
                if let (Some(record), Some(later)) = (&mut fetched.record, later) {
                    record.version = later.version;
                }
            }
            Fault::EndsWithItsTokens => {
                let now = self.shared.clock.now();
                fetched.record = fetched.record.filter(|record| {
                    let expires = record.index.access_expires_at;
                    // One that was dead when it was written is let be.
                    expires.is_none_or(|at| at <= record.index.changed_at || now < at)
                });
            }
            Fault::ReadsStale => {
                let mut cache = self.cache.lock().unwrap();
                if let Some(cached) = cache.get(key) {
                    fetched.record = Some(cached.clone());
                } else if let Some(record) = &fetched.record {
                    cache.insert(key.clone(), record.clone());
                }
            }
            _ => {}
        }
        Ok(fetched)
    }
}

#[async_trait]
impl UpdateToken for Wrong {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        let key = &self.key(key);
        let found = self.stored(key).await;
        let mut record = self.spoilt(record, found.as_ref());
        let current = found
            .as_ref()
            .map_or(Expected::Absent, |found| Expected::Version(found.version));
        let mut expected = expected;
        match (self.fault, expected) {
            (Fault::LosesWrites, _) => return Ok(()),
            (Fault::NeverReplaces, Expected::Version(_)) => return Err(StoreError::Conflict),
            (Fault::Upserts, Expected::Absent) => {
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::NeverCompares, Expected::Version(_)) if found.is_some() => {
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::InsertsOnMissing, Expected::Version(_)) if found.is_none() => {
                expected = Expected::Absent;
            }
            (Fault::FoldsVersions, Expected::Version(version)) => {
                let folded = |version: &Version| version.as_bytes().to_ascii_lowercase();
                if found
                    .as_ref()
                    .is_some_and(|found| folded(&found.version) == folded(&version))
                {
                    expected = current;
                }
            }
            (Fault::AcceptsFormerVersions, Expected::Version(version)) => {
                let former = self.shared.former.lock().unwrap();
                let mut rows = former.get(key).into_iter().flatten();
                if rows.any(|row| row.contains(&version)) {
                    expected = current;
                }
            }
            (Fault::CountsVersions, Expected::Version(version)) => {
                let former = self.shared.former.lock().unwrap();
                let rows = former.get(key).map_or(&[][..], Vec::as_slice);
                if let Some(found) = &found
                    && count_of(rows, version) == count_of(rows, found.version)
                {
                    expected = current;
                }
            }
            (Fault::ComparesGenerations, _)
                if found
                    .as_ref()
                    .is_some_and(|found| record.generation < found.generation) =>
            {
                return Err(StoreError::Conflict);
            }
            (Fault::SkipsLeases, _) if expected == current && !record.announce => return Ok(()),
            (Fault::DropsTombstones, _)
                if expected == current && record.index.purge_at.is_some() =>
            {
                self.remove(key).await;
                return Ok(());
            }
            (Fault::ComparesThenReplaces, Expected::Version(_)) => {
                if expected != current {
                    return Err(StoreError::Conflict);
                }
                sleep(Duration::from_millis(2)).await;
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::LeavesItselfLocked, _) => {
                if self.shared.locked.load(Ordering::SeqCst) {
                    return Err(StoreError::other("locked"));
                }
                let mut lock = Lock(&self.shared, false);
                sleep(Duration::from_millis(1)).await;
                lock.1 = true;
            }
            (Fault::PurgesFromAList, _) => {
                if let Some(at) = record.index.purge_at {
                    let mut list = self.shared.purge_list.lock().unwrap();
                    list.push((at, key.clone()));
                }
            }
            (Fault::AnnouncesRefusedWrites, _) if expected != current => {
                let _ = self.shared.refused.send(written(key, &record));
            }
            (Fault::ComparesThenWrites, _) => {
                if expected != current {
                    return Err(StoreError::Conflict);
                }
                sleep(Duration::from_millis(2)).await;
                self.force(key, &record).await;
                return Ok(());
            }
            (Fault::LocksTheTable, _) => {
                let others = self.shared.writing.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(2)).await;
                self.shared.writing.fetch_sub(1, Ordering::SeqCst);
                if others > 0 {
                    return Err(StoreError::Conflict);
                }
            }
            (Fault::HidesWritesAfterLeases, _) => {
                let mut leased = self.shared.leased.lock().unwrap();
                if !record.announce {
                    leased.insert(key.clone());
                } else if leased.remove(key) {
                    record.announce = false;
                }
            }
            _ => {}
        }
        if let Fault::AcceptsFormerVersions | Fault::CountsVersions = self.fault {
            let mut former = self.shared.former.lock().unwrap();
            let rows = former.entry(key.clone()).or_default();
            match rows.last_mut() {
                Some(row) if expected == current && found.is_some() => row.push(record.version),
                _ if expected == current => rows.push(vec![record.version]),
                _ => {}
            }
        }
        if self.fault == Fault::HearsOnlyItself {
            self.own.lock().unwrap().insert(record.version);
        }
        self.right.update_token(key, &record, expected).await?;
        if self.fault == Fault::ReadsStale {
            self.cache.lock().unwrap().insert(key.clone(), record);
        }
        Ok(())
    }
}
