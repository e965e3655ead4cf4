//! Keys are exact bytes.

use tokenkeep_core::{TokenKey, store::Expected};

use super::trial::{Bench, Broken, Kept, Need, Trial, ensure, key, record, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            case,
            "keys/case",
            [],
            "Letters of another case make another key."
        ),
        trial!(
            normalisation,
            "keys/normalisation",
            [],
            "Composed and decomposed letters, and letters that look or sort alike, make different keys."
        ),
        trial!(
            emoji,
            "keys/emoji",
            [],
            "Characters beyond the basic plane are kept and told apart."
        ),
        trial!(
            blanks,
            "keys/blanks",
            [],
            "Leading and trailing blanks belong to a key."
        ),
        trial!(
            delimiters,
            "keys/delimiters",
            [],
            "A delimiter inside a part never moves the border between parts."
        ),
        trial!(
            wildcards,
            "keys/wildcards",
            [],
            "Wildcards, quotes and escapes in a key stand for themselves."
        ),
        trial!(
            slots,
            "keys/slots",
            [],
            "Accounts, sessions and the application's own grant are different keys."
        ),
        trial!(
            lengths,
            "keys/lengths",
            [],
            "Parts of 255 bytes are kept whole, to their last byte."
        ),
    ]
}

async fn case(bench: Bench) -> Kept {
    distinct(
        &bench,
        &same_slot(&["a", "A", "ä", "Ä", "ß", "ẞ", "ss", "i", "I", "ı", "İ"]),
    )
    .await
}

async fn normalisation(bench: Bench) -> Kept {
    distinct(
        &bench,
        &same_slot(&[
            "\u{e9}",
            "e\u{301}",
            "e",
            "\u{212b}",
            "\u{c5}",
            "A\u{30a}",
            "\u{fb01}",
            "fi",
            "ff",
            "1",
            "\u{661}",
            "a\u{200b}",
            "a",
            "a\u{ad}",
            "\u{3b1}",
        ]),
    )
    .await
}

async fn emoji(bench: Bench) -> Kept {
    distinct(
        &bench,
        &same_slot(&[
            "🔑",
            "🗝",
            "🗝\u{fe0f}",
            "👩‍🚀",
            "👩",
            "𝒜",
            "\u{fffd}",
            "?",
            "????",
        ]),
    )
    .await
}

async fn blanks(bench: Bench) -> Kept {
    distinct(
        &bench,
        &same_slot(&[
            "x", " x", "x ", "x  ", " ", "  ", "x\u{a0}", "\u{3000}", "x y", "x  y",
        ]),
    )
    .await
}

async fn delimiters(bench: Bench) -> Kept {
    let mut parts = Vec::new();
    for delimiter in [
        ":", "/", "|", ",", ".", "#", "\\", "{", "}", "::", "-", "%3A",
    ] {
        let d = delimiter;
        // Joined by the delimiter, each of these pairs would be one text.
        parts.push((String::new(), format!("a{d}b"), String::new()));
        parts.push((format!("{d}a"), "b".to_owned(), String::new()));
        parts.push((String::new(), d.to_owned(), "account:z".to_owned()));
        parts.push((String::new(), format!("{d}{d}account:z"), String::new()));
    }
    distinct(&bench, &parts).await
}

async fn wildcards(bench: Bench) -> Kept {
    distinct(
        &bench,
        &same_slot(&[
            "%",
            "_",
            "a%",
            "a_",
            "ab",
            "*",
            "?",
            "[a]",
            "'",
            "''",
            "\"",
            "`",
            "\\",
            "\\\\",
            "\\%",
            "$1",
            "?1",
            ":a",
            "@a",
            "NULL",
            "0",
            "00",
            "0x0",
            "1e0",
            "1",
            "1.0",
            "true",
            "--",
            ";",
            "undefined",
        ]),
    )
    .await
}

async fn lengths(bench: Bench) -> Kept {
    let long = |last: char| format!("{}{last}", "x".repeat(254));
    let client = "c".repeat(255 - bench.client().len());
    let mut parts = Vec::new();
    for last in ['x', 'y'] {
        parts.push(("".to_owned(), long(last), "".to_owned()));
        parts.push((
            "".to_owned(),
            "o".to_owned(),
            format!("account:{}", long(last)),
        ));
        parts.push((
            "".to_owned(),
            "o".to_owned(),
            format!("session:{}", long(last)),
        ));
        parts.push((
            client.clone(),
            long(last),
            format!("account:{}", long(last)),
        ));
    }
    parts.push(("".to_owned(), "x".repeat(254), "".to_owned()));
    // 63 characters of four bytes, and one of three.
    parts.push((
        "".to_owned(),
        format!("{}\u{20ac}", "🔑".repeat(63)),
        "".to_owned(),
    ));
    distinct(&bench, &parts).await
}

async fn slots(bench: Bench) -> Kept {
    let parts = [
        ("", ""),
        ("", "account:a"),
        ("", "session:a"),
        ("a", ""),
        ("a", "account:a"),
        ("a", "session:a"),
        ("a", "account:session:a"),
        ("a", "session:account:a"),
        ("account:a", ""),
        ("session:a", ""),
        ("app", ""),
        ("(app)", ""),
    ]
    .map(|(owner, slot)| ("".to_owned(), owner.to_owned(), slot.to_owned()));
    distinct(&bench, &parts).await
}

/// Client suffix, owner, slot column.
type Parts = (String, String, String);

/// Each text once as owner, once in the client's name, once as account.
fn same_slot(texts: &[&str]) -> Vec<Parts> {
    let parts = |text: &&str| {
        let text = (*text).to_owned();
        [
            (String::new(), text.clone(), String::new()),
            (text.clone(), "owner".to_owned(), String::new()),
            (String::new(), "owner".to_owned(), format!("account:{text}")),
        ]
    };
    texts.iter().flat_map(parts).collect()
}

/// Writes under each key, then reads and rewrites each: they must not meet.
async fn distinct(bench: &Bench, parts: &[Parts]) -> Kept {
    let client = bench.client();
    let keys = parts
        .iter()
        .map(|(suffix, owner, slot)| key(&format!("{client}{suffix}"), owner, slot))
        .collect::<Result<Vec<TokenKey>, Broken>>()?;
    let mut stored = Vec::new();
    for key in &keys {
        let inserted = bench.insert(key, record(1)).await;
        stored.push(inserted.map_err(|Broken(how)| met(key, &how))?);
    }
    for (key, record) in keys.iter().zip(&stored) {
        let kept = bench.expect(key, record).await;
        kept.map_err(|Broken(how)| met(key, &how))?;
    }
    for (key, old) in keys.iter().zip(&mut stored) {
        let next = record(2);
        let expected = Expected::Version(old.version);
        let written = bench.store.update_token(key, &next, expected).await;
        written.map_err(|error| met(key, &Broken::from(error).0))?;
        *old = next;
    }
    for (key, record) in keys.iter().zip(&stored) {
        let kept = bench.expect(key, record).await;
        kept.map_err(|Broken(how)| met(key, &how))?;
    }
    if bench.has(Need::Find) {
        for (at, (_, owner, _)) in parts.iter().enumerate() {
            let found = super::find::keys_of(bench, &keys[at]).await?;
            let expected: Vec<_> = keys
                .iter()
                .filter(|key| key.owner_column() == owner && key.client() == keys[at].client())
                .collect();
            ensure!(
                found.len() == expected.len() && expected.iter().all(|key| found.contains(key)),
                "a search for owner {owner:?} found {} records, and not exactly its {}",
                found.len(),
                expected.len()
            );
        }
    }
    Ok(())
}

fn met(key: &TokenKey, how: &str) -> Broken {
    Broken(format!(
        "the key of owner {:?}, slot {:?} does not stand for itself: {how}",
        key.owner_column(),
        key.slot_column()
    ))
}
