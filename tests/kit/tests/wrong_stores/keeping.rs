//! Faults of finding, purging, and of values that are put once.

use std::time::Duration;

use async_trait::async_trait;
use tokenkeep_core::{Timestamp, store::*};

use crate::{
    passing,
    wrong::{Fault, Wrong},
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn capabilities(&self) -> Capabilities {
        let mut claims = self.right.capabilities();
        // What joins a key cannot take it apart again.
        if let Fault::HidesItsMerits | Fault::JoinsKeys = self.fault {
            (claims.find, claims.changes) = (false, false);
        }
        claims
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        self.has("find")?;
        let (mut query, mut page) = (query.clone(), page);
        match self.fault {
            Fault::IgnoresSid => query.sid = None,
            Fault::TakesAnyPageCursor if page.after_key().is_err() => page.after = None,
            Fault::TakesZeroAtItsWord if page.limit == 0 => {
                return Ok(PageOf::new(Vec::new(), Some("0".to_owned())));
            }
            Fault::CountsPages => return self.counted(&query, page).await,
            _ => {}
        }
        let mut found = self.right.find_tokens(&query, page).await?;
        match self.fault {
            Fault::FindsNoBodies => {
                for item in &mut found.items {
                    item.record.body.clear();
                }
            }
            Fault::LosesTheLastOfAPage if found.next.is_some() => drop(found.items.pop()),
            _ => {}
        }
        Ok(found)
    }

    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.has("purge")?;
        self.cache.lock().unwrap().clear();
        match self.fault {
            Fault::PurgesFromAList => {
                let due: Vec<_> = {
                    let mut list = self.shared.purge_list.lock().unwrap();
                    let limit = usize::try_from(limit).unwrap().min(list.len());
                    let (due, later) = std::mem::take(&mut *list)
                        .into_iter()
                        .partition(|(at, _)| *at < before);
                    *list = later;
                    let mut due: Vec<_> = due;
                    list.extend(due.drain(limit.min(due.len())..));
                    due
                };
                for (_, key) in &due {
                    self.remove(key).await;
                }
                Ok(due.len() as u64)
            }
            Fault::PurgesWithoutLimit => self.right.purge_tokens(before, u32::MAX).await,
            Fault::PurgesWhatIsNotDue => {
                let mut query = TokenQuery::default();
                query.access_expires_before = Some(before);
                let dead = self.right.find_tokens(&query, Page::first(limit)).await?;
                for item in &dead.items {
                    self.remove(&item.key).await;
                }
                Ok(dead.items.len() as u64 + self.right.purge_tokens(before, limit).await?)
            }
            Fault::PurgesNewLogins => {
                let all = self
                    .right
                    .find_tokens(&TokenQuery::default(), Page::first(u32::MAX))
                    .await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                let mut removed = 0;
                for item in all.items {
                    let due = item.record.index.purge_at.is_some_and(|at| at < before);
                    if due && removed < u64::from(limit) {
                        self.remove(&item.key).await;
                        removed += 1;
                    }
                }
                Ok(removed)
            }
            _ => self.right.purge_tokens(before, limit).await,
        }
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.has("once")?;
        match self.fault {
            Fault::PutsTwice => {
                self.right.take(space, id).await?;
                self.right.put_once(space, id, value, ttl).await
            }
            Fault::FoldsIds => {
                let id = id.to_lowercase();
                self.right.put_once(space, &id, value, ttl).await
            }
            Fault::TakesValuesForText => {
                let value = String::from_utf8_lossy(value).into_owned();
                let put = self.right.put_once(space, id, value.as_bytes(), ttl);
                put.await
            }
            Fault::CutsValues => {
                let value = &value[..value.len().min(65_535)];
                self.right.put_once(space, id, value, ttl).await
            }
            Fault::LooksThenPuts => {
                if let Some(found) = self.right.take(space, id).await? {
                    self.right.put_once(space, id, &found, ttl).await?;
                    return Ok(false);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.right.put_once(space, id, value, ttl).await?;
                Ok(true)
            }
            Fault::CountsIn32Bits if ttl.as_millis() > u128::from(u32::MAX) => {
                self.right.put_once(space, id, value, Duration::ZERO).await
            }
            Fault::CountsWholeSeconds => {
                let ttl = Duration::from_secs(ttl.as_secs());
                self.right.put_once(space, id, value, ttl).await
            }
            Fault::ForgetsEarly => self.right.put_once(space, id, value, ttl / 4).await,
            Fault::NeverExpires => self.right.put_once(space, id, value, ttl * 1000).await,
            _ => self.right.put_once(space, id, value, ttl).await,
        }
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.has("once")?;
        let folded = id.to_lowercase();
        let id = if self.fault == Fault::FoldsIds {
            &folded
        } else {
            id
        };
        let found = self.right.take(space, id).await?;
        if let (Fault::TakesWithoutRemoving | Fault::LooksThenTakes, Some(found)) =
            (self.fault, &found)
        {
            let ttl = Duration::from_secs(3600);
            self.right.put_once(space, id, found, ttl).await?;
        }
        if self.fault == Fault::LooksThenTakes {
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.right.take(space, id).await?;
        }
        Ok(found)
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        self.has("changes")?;
        passing::changes(self, since).await
    }
}

impl Wrong {
    fn has(&self, claimed: &'static str) -> Result<(), StoreError> {
        if self.fault == Fault::Lacks(claimed) {
            return Err(StoreError::unsupported(claimed));
        }
        Ok(())
    }

    /// Pages by their number of rows.
    async fn counted(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        let skipped: usize = match page.after {
            None => 0,
            Some(count) => count
                .parse()
                .map_err(|_| StoreError::invalid_input("no number"))?,
        };
        let all = self.right.find_tokens(query, Page::first(u32::MAX)).await?;
        let total = all.items.len();
        let items: Vec<_> = all
            .items
            .into_iter()
            .skip(skipped)
            .take(page.limit.max(1) as usize)
            .collect();
        let seen = skipped + items.len();
        Ok(PageOf::new(items, (seen < total).then(|| seen.to_string())))
    }
}
