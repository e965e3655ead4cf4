//! Reading and compare-and-swap.

use tokenkeep_core::store::{Expected, Version};

use super::trial::{Bench, Kept, Trial, conflict, ensure, record, same, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            absent,
            "fetch/absent",
            [],
            "A key under which nothing was written is absent, not an error."
        ),
        trial!(
            clock,
            "fetch/clock",
            [Clock],
            "The store's time comes with every read, also of an absent record, and does not go back."
        ),
        trial!(
            insert,
            "write/insert",
            [],
            "A write that expects nothing is read back."
        ),
        trial!(
            replace,
            "write/replace",
            [],
            "A write that expects the stored version replaces the record."
        ),
        trial!(
            absent_on_present,
            "write/absent-on-present",
            [],
            "A write that expects nothing is a conflict if there is a record, and changes nothing."
        ),
        trial!(
            wrong_version,
            "write/wrong-version",
            [],
            "A write that expects another version than the stored one is a conflict and changes nothing."
        ),
        trial!(
            version_on_missing,
            "write/version-on-missing",
            [],
            "A write that expects a version is a conflict if there is no record, and never an insert."
        ),
        trial!(
            spent_version,
            "write/spent-version",
            [],
            "A version that was replaced is never accepted again."
        ),
        trial!(
            versions,
            "write/versions",
            [],
            "Versions are compared byte for byte: zeros, blanks and letters of either case are told apart."
        ),
        trial!(
            lease,
            "write/lease",
            [],
            "A write of the same generation that need not be announced is kept: leases are written so."
        ),
        trial!(
            tombstone,
            "write/tombstone",
            [],
            "A record with a purge_at stands until then like any other."
        ),
        trial!(
            purged_version,
            "write/purged-version",
            [Purge],
            "After a deletion and a new insert the old version is not accepted."
        ),
        trial!(
            read_your_writes,
            "write/read-your-writes",
            [SecondHandle],
            "A read by any handle sees every write that was acknowledged before it."
        ),
    ]
}

async fn absent(bench: Bench) -> Kept {
    let found = bench.fetch(&bench.key("nobody")?).await?;
    ensure!(found.is_none(), "something is there");
    Ok(())
}

async fn clock(bench: Bench) -> Kept {
    let key = bench.key("clock")?;
    let before = bench.store.fetch_token(&key).await?.now;
    bench.insert(&key, record(1)).await?;
    let after = bench.store.fetch_token(&key).await?.now;
    ensure!(before.is_some(), "an absent record comes without the time");
    ensure!(after.is_some(), "a record comes without the time");
    ensure!(before <= after, "the time went back");
    Ok(())
}

async fn insert(bench: Bench) -> Kept {
    let key = bench.key("insert")?;
    let written = bench.insert(&key, record(1)).await?;
    bench.expect(&key, &written).await
}

async fn replace(bench: Bench) -> Kept {
    let key = bench.key("replace")?;
    let mut stored = bench.insert(&key, record(1)).await?;
    for generation in 2..6 {
        let next = record(generation);
        let expected = Expected::Version(stored.version);
        bench.store.update_token(&key, &next, expected).await?;
        bench.expect(&key, &next).await?;
        stored = next;
    }
    Ok(())
}

async fn absent_on_present(bench: Bench) -> Kept {
    let key = bench.key("present")?;
    let first = bench.insert(&key, record(1)).await?;
    let second = record(2);
    let write = bench.store.update_token(&key, &second, Expected::Absent);
    conflict(write.await, "a second insert")?;
    bench.expect(&key, &first).await
}

async fn wrong_version(bench: Bench) -> Kept {
    let key = bench.key("wrong")?;
    let first = bench.insert(&key, record(1)).await?;
    let mut close = *first.version.as_bytes();
    close[15] ^= 1;
    for wrong in [Version::random(), Version::from_bytes(close)] {
        let expected = Expected::Version(wrong);
        let second = bench.store.update_token(&key, &record(2), expected).await;
        conflict(second, "a write that expected another version")?;
    }
    bench.expect(&key, &first).await
}

async fn version_on_missing(bench: Bench) -> Kept {
    let key = bench.key("missing")?;
    let expected = Expected::Version(Version::random());
    let write = bench.store.update_token(&key, &record(1), expected).await;
    conflict(write, "a write that expected a version of a missing record")?;
    let found = bench.fetch(&key).await?;
    ensure!(found.is_none(), "the refused write inserted a record");
    Ok(())
}

async fn spent_version(bench: Bench) -> Kept {
    let key = bench.key("spent")?;
    let first = bench.insert(&key, record(1)).await?;
    let second = record(2);
    let expected = Expected::Version(first.version);
    bench.store.update_token(&key, &second, expected).await?;
    let again = bench.store.update_token(&key, &record(3), expected).await;
    conflict(again, "a second write that expected the replaced version")?;
    bench.expect(&key, &second).await
}

async fn versions(bench: Bench) -> Kept {
    let versions = [
        [0; 16],
        [0xff; 16],
        [b' '; 16],
        *b"aaaaaaaaaaaaaaaa",
        *b"AAAAAAAAAAAAAAAA",
        *b"aaaaaaaaaaaaaaa ",
        *b"aaaaaaaaaaaaaaa\0",
        *b"\0aaaaaaaaaaaaaaa",
        *b"0000000000000000",
        *b"%%%%%%%%%%%%%%%%",
        *b"'\\\"?$1:%_\n\r\t\x1a--;",
    ]
    .map(Version::from_bytes);
    for (n, version) in versions.into_iter().enumerate() {
        let key = bench.key(&format!("version {n}"))?;
        let mut stored = record(1);
        stored.version = version;
        let stored = bench.insert(&key, stored).await?;
        bench.expect(&key, &stored).await?;
        for other in versions.into_iter().filter(|other| *other != version) {
            let expected = Expected::Version(other);
            let write = bench.store.update_token(&key, &record(2), expected).await;
            conflict(
                write,
                &format!("a write over {version} that expected {other}"),
            )?;
        }
        let next = record(2);
        let expected = Expected::Version(version);
        bench.store.update_token(&key, &next, expected).await?;
        bench.expect(&key, &next).await?;
    }
    Ok(())
}

async fn lease(bench: Bench) -> Kept {
    let key = bench.key("lease")?;
    let mut stored = bench.insert(&key, record(7)).await?;
    // Generations are the core's business: not even a lower one is refused.
    for generation in [7, 7, 8, 6] {
        let mut next = record(generation);
        next.announce = false;
        let expected = Expected::Version(stored.version);
        bench.store.update_token(&key, &next, expected).await?;
        bench.expect(&key, &next).await?;
        stored = next;
    }
    Ok(())
}

async fn tombstone(bench: Bench) -> Kept {
    let key = bench.key("tombstone")?;
    let active = bench.insert(&key, record(1)).await?;
    let mut dead = record(1);
    dead.index.purge_at = Some(super::purge::due());
    let expected = Expected::Version(active.version);
    bench.store.update_token(&key, &dead, expected).await?;
    bench.expect(&key, &dead).await?;
    let late = bench.store.update_token(&key, &record(2), expected).await;
    conflict(late, "a late write over a tombstone")?;
    let login = record(2);
    let insert = bench.store.update_token(&key, &login, Expected::Absent);
    conflict(insert.await, "an insert where a tombstone stands")?;
    bench.expect(&key, &dead).await?;
    let expected = Expected::Version(dead.version);
    bench.store.update_token(&key, &login, expected).await?;
    bench.expect(&key, &login).await
}

async fn purged_version(bench: Bench) -> Kept {
    let key = bench.key("purged")?;
    let mut old = record(1);
    old.index.purge_at = Some(super::purge::due());
    let old = bench.insert(&key, old).await?;
    super::purge::purge_all(&bench).await?;
    ensure!(
        bench.fetch(&key).await?.is_none(),
        "the record was not purged"
    );
    let expected = Expected::Version(old.version);
    let write = bench.store.update_token(&key, &record(2), expected).await;
    conflict(
        write,
        "a write that expected the version of a purged record",
    )?;
    let new = bench.insert(&key, record(3)).await?;
    let write = bench.store.update_token(&key, &record(4), expected).await;
    conflict(
        write,
        "a write that expected the version of a former record",
    )?;
    bench.expect(&key, &new).await
}

async fn read_your_writes(bench: Bench) -> Kept {
    let key = bench.key("handles")?;
    let mut stored = bench.insert(&key, record(0)).await?;
    for n in 1..100_usize {
        let next = record(n as u64);
        let expected = Expected::Version(stored.version);
        bench.handle(n).update_token(&key, &next, expected).await?;
        let found = bench.handle(n + 1).fetch_token(&key).await?.record;
        same(found.as_ref(), &next)?;
        stored = next;
    }
    Ok(())
}
