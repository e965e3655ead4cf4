//! Records as the store finds them, for whoever goes through them.

use super::keeper::Keeper;
use crate::{
    Error, ErrorCode, Phase, Result, TokenKey,
    store::{Page, StoredRecord, TokenQuery, TokenSummary},
};

/// How many pages of one owner are read at most: an owner has tens of records, and a store that repeats itself must come
/// to an end.
const PAGES: usize = 100;

const PAGE: u32 = 200;

impl Keeper {
    /// The row under a key as it is, without looking into it.
    pub(crate) async fn fetch(&self, key: &TokenKey) -> Result<Option<StoredRecord>> {
        let fetched = self.within("fetch", self.0.store.fetch_token(key)).await;
        fetched
            .map(|fetched| fetched.record)
            .map_err(|error| Error::from(error).with_client(key.client()))
    }

    /// Does the store list what it keeps?
    pub(crate) fn can_find(&self) -> bool {
        self.0.store.capabilities().find
    }

    /// Every record of an owner.
    pub(crate) async fn records_of(&self, owner: &str) -> Result<Vec<TokenSummary>> {
        // The empty owner column is the application itself.
        TokenKey::new("any", owner)?;
        let query = TokenQuery::owner(owner);
        let mut page = Page::first(PAGE);
        let mut records = Vec::new();
        for _ in 0..PAGES {
            let found = self.find(&query, page).await?;
            records.extend(found.items);
            match found.next {
                None => return Ok(records),
                Some(next) => page = Page::after(next, PAGE),
            }
        }
        Err(Error::new(
            ErrorCode::StoreUnavailable,
            Phase::Store,
            format!("the store lists more than {PAGES} pages of one owner"),
        ))
    }
}
