//! Page cursors of stores that list in key order.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Page, PageOf, StoreError};
use crate::TokenKey;

/// No part of a key has control characters.
const BETWEEN: char = '\n';

impl Page {
    /// The key that the page before ended with, if there was one, for a store whose pages were made by
    /// [`PageOf::in_key_order`].
    ///
    /// # Errors
    /// [`StoreError::InvalidInput`] if `after` was not made there.
    pub fn after_key(&self) -> Result<Option<TokenKey>, StoreError> {
        let Some(after) = &self.after else {
            return Ok(None);
        };
        let text = URL_SAFE_NO_PAD
            .decode(after)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let mut columns = text.as_deref().unwrap_or_default().split(BETWEEN);
        match (
            columns.next(),
            columns.next(),
            columns.next(),
            columns.next(),
        ) {
            (Some(owner), Some(client), Some(slot), None) => {
                TokenKey::from_columns(client, owner, slot).ok()
            }
            _ => None,
        }
        .map(Some)
        .ok_or_else(|| StoreError::invalid_input("the page cursor is not one of this store"))
    }
}

impl<T> PageOf<T> {
    /// A page of a store that lists in key order. It gives up to `limit` rows, made from `limit + 1` if there are as
    /// many: the one too many says that there is a next page, and is dropped. `limit` is [`Page::limit`], but at least 1.
    #[must_use]
    pub fn in_key_order(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> &TokenKey) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| after(key(last)));
        Self { items, next }
    }

    /// The same, of a store that has looked at its rows up to this key, and does not want to look further for this page,
    /// though it may not be full, or even be empty.
    #[must_use]
    pub fn in_key_order_up_to(items: Vec<T>, last: &TokenKey) -> Self {
        Self {
            items,
            next: Some(after(last)),
        }
    }
}

/// The cursor of the page that begins after this key.
fn after(key: &TokenKey) -> String {
    URL_SAFE_NO_PAD.encode(format!(
        "{}{BETWEEN}{}{BETWEEN}{}",
        key.owner_column(),
        key.client(),
        key.slot_column()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_begins_after_the_last_key() {
        let keys: Vec<_> = ["a", "b:c", "ö"]
            .iter()
            .map(|owner| TokenKey::new("client", owner).unwrap())
            .collect();
        let page = PageOf::in_key_order(keys.clone(), 2, |key| key);
        assert_eq!(page.items, keys[..2]);
        let next = Page::after(page.next.unwrap(), 2);
        assert_eq!(next.after_key().unwrap().as_ref(), Some(&keys[1]));
        assert!(
            PageOf::in_key_order(keys.clone(), 3, |key| key)
                .next
                .is_none()
        );

        let empty = PageOf::<TokenKey>::in_key_order_up_to(Vec::new(), &keys[1]);
        let next = Page::after(empty.next.unwrap(), 2);
        assert_eq!(next.after_key().unwrap().as_ref(), Some(&keys[1]));
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for cursor in ["", "x", "%", "YQ", "YQpiCmMKZA"] {
            let refused = Page::after(cursor, 1).after_key();
            assert!(
                matches!(refused, Err(StoreError::InvalidInput { .. })),
                "{cursor}"
            );
        }
        assert!(Page::first(1).after_key().unwrap().is_none());
    }
}
