//! One store out of two: closures for the grants of some clients or all, and the application's store for the rest.

use std::{sync::Arc, time::Duration};

use super::{
    Capabilities, Changes, Cursor, DynTokenStore, Expected, FetchToken, Fetched, Page, PageOf,
    StoreError, StoredRecord, TokenQuery, TokenStore, TokenSummary, UpdateToken, async_trait,
    closures::ClosureStore,
};
use crate::{Timestamp, TokenKey, closures::Keeping};

/// Sends each key where it is kept. Sessions are never kept by closures.
pub(crate) struct RoutedStore {
    base: Option<DynTokenStore>,
    closures: Arc<ClosureStore>,
}

impl RoutedStore {
    pub(crate) fn new(base: Option<DynTokenStore>, closures: Arc<ClosureStore>) -> Self {
        Self { base, closures }
    }

    fn keeping(&self, key: &TokenKey) -> Option<Keeping> {
        self.closures
            .keeping(key.client())
            .filter(|_| key.is_account())
    }

    fn base(&self, method: &'static str) -> Result<&DynTokenStore, StoreError> {
        self.base
            .as_ref()
            .ok_or_else(|| StoreError::unsupported(method))
    }
}

#[async_trait]
impl FetchToken for RoutedStore {
    async fn fetch_token(&self, key: &TokenKey) -> Result<Fetched, StoreError> {
        match (self.keeping(key), &self.base) {
            (Some(keeping), _) => self.closures.fetch(&keeping, key).await,
            (None, Some(base)) => base.fetch_token(key).await,
            // Nothing can have been kept there.
            (None, None) => Ok(Fetched::new(None, None)),
        }
    }
}

#[async_trait]
impl UpdateToken for RoutedStore {
    async fn update_token(
        &self,
        key: &TokenKey,
        record: &StoredRecord,
        expected: Expected,
    ) -> Result<(), StoreError> {
        match self.keeping(key) {
            Some(keeping) => self.closures.update(&keeping, key, record, expected).await,
            None => {
                let base = self.base("place for what no closure keeps: add .store(…)")?;
                base.update_token(key, record, expected).await
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for RoutedStore {
    fn name(&self) -> &'static str {
        self.base.as_ref().map_or("closures", |base| base.name())
    }

    fn capabilities(&self) -> Capabilities {
        match &self.base {
            Some(base) => base.capabilities(),
            None => Capabilities::minimal(),
        }
    }

    async fn find_tokens(
        &self,
        query: &TokenQuery,
        page: Page,
    ) -> Result<PageOf<TokenSummary>, StoreError> {
        self.base("find_tokens")?.find_tokens(query, page).await
    }

    async fn purge_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.base("purge_tokens")?.purge_tokens(before, limit).await
    }

    async fn put_once(
        &self,
        space: &str,
        id: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.base("put_once")?.put_once(space, id, value, ttl).await
    }

    async fn take(&self, space: &str, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.base("take")?.take(space, id).await
    }

    async fn changes(&self, since: Option<Cursor>) -> Result<Changes, StoreError> {
        self.base("changes")?.changes(since).await
    }
}
