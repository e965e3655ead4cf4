//! Finding records.

use std::time::Duration;

use tokenkeep_core::{
    TokenKey,
    store::{Index, Page, StoredRecord, TokenQuery, TokenSummary},
};

use super::trial::{Bench, Broken, Kept, Trial, ensure, key, now, record, same, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            members,
            "find/members",
            [Find],
            "A query finds exactly the records that fit all of its members."
        ),
        trial!(
            whole,
            "find/whole",
            [Find],
            "What is found is the record as it stands, under its key."
        ),
        trial!(
            pages,
            "find/pages",
            [Find],
            "Pages of any size give every record once, in the order of owner, client and slot."
        ),
        trial!(
            stable,
            "find/stable",
            [Find],
            "Writes between two pages lead to no doubles and lose no other record."
        ),
        trial!(
            cursor,
            "find/cursor",
            [Find],
            "A page cursor that the store never gave is an error, and finds nothing."
        ),
    ]
}

/// Every record that fits, through pages of this size.
async fn find(bench: &Bench, query: &TokenQuery, size: u32) -> Result<Vec<TokenSummary>, Broken> {
    let mut found: Vec<TokenSummary> = Vec::new();
    let mut page = Page::first(size);
    // A store may give fewer than it was asked for, but not for ever.
    for _ in 0..10_000 {
        let answer = bench.store.find_tokens(query, page).await?;
        ensure!(
            answer.items.len() <= size.max(1) as usize,
            "a page of {size} has {} records",
            answer.items.len()
        );
        found.extend(answer.items);
        let Some(next) = answer.next else {
            return Ok(found);
        };
        page = Page::after(next, size);
    }
    Err(Broken("the pages do not end".to_owned()))
}

/// The keys of an owner at a client.
pub(super) async fn keys_of(bench: &Bench, of: &TokenKey) -> Result<Vec<TokenKey>, Broken> {
    let mut query = TokenQuery::owner(of.owner_column());
    query.client = Some(of.client().to_owned());
    let found = find(bench, &query, 100).await?;
    Ok(found.into_iter().map(|summary| summary.key).collect())
}

async fn members(bench: Bench) -> Kept {
    let [client, other] = ["one", "other"].map(|name| bench.unique(name));
    let [owner, subject, sid] = ["owner", "subject", "sid"].map(|name| bench.unique(name));
    let (early, late) = (now(), now() + Duration::from_secs(60));
    let index =
        |issuer: Option<&str>, subject: Option<&str>, sid: Option<&str>, expires, changed| {
            let mut index = Index::default();
            index.issuer = issuer.map(str::to_owned);
            index.subject = subject.map(str::to_owned);
            index.sid = sid.map(str::to_owned);
            index.access_expires_at = expires;
            index.changed_at = changed;
            index
        };
    let rows = [
        (
            key(&client, &owner, "")?,
            index(Some("i"), Some(&subject), None, Some(early), early),
        ),
        (
            key(&client, &owner, "session:s")?,
            index(Some("i"), Some(&subject), Some(&sid), Some(late), late),
        ),
        (
            key(&client, &owner, "account:a")?,
            index(Some("I"), Some(&subject), Some(&sid), None, early),
        ),
        (
            key(&other, &owner, "")?,
            index(None, None, Some(&sid), Some(late), late),
        ),
        (
            key(&other, "else", "")?,
            index(Some(""), Some(""), Some(""), Some(early), early),
        ),
        (
            key(&client, "", "")?,
            index(Some("j"), Some("%"), Some("_"), Some(late), early),
        ),
    ];
    for (key, index) in &rows {
        let mut record = record(1);
        record.index = index.clone();
        bench.insert(key, record).await?;
    }
    let text = |text: &str| Some(text.to_owned());
    let at = |client: &str| {
        let mut query = TokenQuery::default();
        query.client = text(client);
        query
    };
    let with = |mut query: TokenQuery, set: &dyn Fn(&mut TokenQuery)| {
        set(&mut query);
        query
    };
    let queries = [
        TokenQuery::owner(&*owner),
        with(TokenQuery::default(), &|query| {
            query.subject = text(&subject)
        }),
        with(TokenQuery::default(), &|query| query.sid = text(&sid)),
        at(&client),
        at(&other),
        with(at(&client), &|query| query.owner = text(&owner)),
        with(at(&client), &|query| query.owner = text("")),
        with(at(&client), &|query| query.issuer = text("i")),
        with(at(&client), &|query| query.sid = text(&sid)),
        with(at(&client), &|query| query.sid = text("_")),
        with(at(&client), &|query| query.subject = text("%")),
        with(at(&other), &|query| query.issuer = text("")),
        with(at(&other), &|query| query.subject = text("")),
        with(at(&other), &|query| query.sid = text("")),
        with(at(&client), &|query| query.issuer = text("nobody")),
        with(at(&client), &|query| {
            query.access_expires_before = Some(late)
        }),
        with(at(&client), &|query| {
            query.access_expires_before = Some(early)
        }),
        with(at(&client), &|query| query.changed_since = Some(late)),
        with(at(&client), &|query| query.changed_since = Some(early)),
        with(at(&client), &|query| {
            query.owner = text(&owner);
            query.issuer = text("i");
            query.subject = text(&subject);
            query.sid = text(&sid);
            query.access_expires_before = Some(late + Duration::from_millis(1));
            query.changed_since = Some(early);
        }),
    ];
    for query in queries {
        let found = find(&bench, &query, 100).await?;
        for (key, index) in &rows {
            let times = found.iter().filter(|found| found.key == *key).count();
            let expected = usize::from(query.matches(key, index));
            ensure!(
                times == expected,
                "{query:?} found {key:?} {times} times instead of {expected}"
            );
        }
        let more = found
            .iter()
            .find(|found| rows.iter().all(|(key, _)| *key != found.key));
        ensure!(more.is_none(), "{query:?} found {more:?}");
    }
    Ok(())
}

async fn whole(bench: Bench) -> Kept {
    let owner = bench.unique("owner");
    let mut full = record(7);
    full.index.issuer = Some("https://issuer.example".to_owned());
    full.index.subject = Some("subject".to_owned());
    full.index.sid = Some("sid".to_owned());
    full.index.access_expires_at = Some(now());
    full.index.grant_expires_at = Some(now());
    full.index.purge_at = Some(super::purge::due() + Duration::from_secs(86_400));
    full.body = (0..=255).collect();
    let key = key(&bench.client(), &owner, "account:work")?;
    let full = bench.insert(&key, full).await?;
    let found = find(&bench, &TokenQuery::owner(owner), 10).await?;
    ensure!(found.len() == 1, "{} records were found", found.len());
    ensure!(found[0].key == key, "{:?} became {:?}", key, found[0].key);
    same(Some(&found[0].record), &full)
}

async fn pages(bench: Bench) -> Kept {
    let client = bench.client();
    let mut keys = Vec::new();
    for owner in ["", "B", "a", "a b", "a\u{e9}", "ae", "b", "🔑"] {
        for slot in ["", "account:A", "account:a", "session:1"] {
            keys.push(key(&client, owner, slot)?);
        }
    }
    keys.sort();
    // Not in the order of the keys.
    for key in keys.iter().step_by(2).chain(keys.iter().skip(1).step_by(2)) {
        bench.insert(key, record(1)).await?;
    }
    let mut query = TokenQuery::default();
    query.client = Some(client);
    for size in [0, 1, 3, 31, 32, 33, 1000, u32::MAX] {
        let found = find(&bench, &query, size).await?;
        let found: Vec<_> = found.into_iter().map(|summary| summary.key).collect();
        ensure!(
            found == keys,
            "pages of {size} gave {} records instead of {}, or in another order",
            found.len(),
            keys.len()
        );
    }
    Ok(())
}

async fn stable(bench: Bench) -> Kept {
    let client = bench.client();
    let mut stored: Vec<(TokenKey, StoredRecord)> = Vec::new();
    for n in 0..12 {
        let key = key(&client, &format!("{n:02}"), "")?;
        let record = bench.insert(&key, record(1)).await?;
        stored.push((key, record));
    }
    let mut query = TokenQuery::default();
    query.client = Some(client.clone());
    let first = bench.store.find_tokens(&query, Page::first(5)).await?;
    let seen = first.items.len();
    let Some(next) = first.next else {
        return Err(Broken(format!(
            "a page of {seen} of 12 records says that it is the last"
        )));
    };
    bench
        .insert(&key(&client, "00 new", "")?, record(1))
        .await?;
    for (key, old) in &stored {
        let next = record(2);
        let expected = tokenkeep_core::store::Expected::Version(old.version);
        bench.store.update_token(key, &next, expected).await?;
    }
    let mut keys: Vec<_> = first.items.into_iter().map(|found| found.key).collect();
    let mut page = Page::after(next, 5);
    loop {
        let answer = bench.store.find_tokens(&query, page).await?;
        keys.extend(answer.items.into_iter().map(|found| found.key));
        match answer.next {
            Some(next) if keys.len() < 100 => page = Page::after(next, 5),
            _ => break,
        }
    }
    for (key, _) in &stored {
        let times = keys.iter().filter(|found| *found == key).count();
        ensure!(times == 1, "{key:?} came {times} times");
    }
    Ok(())
}

async fn cursor(bench: Bench) -> Kept {
    let owner = bench.unique("owner");
    let key = key(&bench.client(), &owner, "")?;
    bench.insert(&key, record(1)).await?;
    let query = TokenQuery::owner(owner);
    for cursor in ["no cursor of yours", "\u{fffd}", "' OR 1 = 1 --"] {
        let page = Page::after(cursor, 10);
        let answer = bench.store.find_tokens(&query, page).await;
        ensure!(
            answer.is_err(),
            "the cursor {cursor:?} was taken for one of the store's"
        );
    }
    Ok(())
}
