//! What is written comes back as it was.

use tokenkeep_core::{
    Timestamp,
    store::{Expected, Index},
};

use super::trial::{Bench, Kept, Trial, record, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            bodies,
            "body/bytes",
            [],
            "A body is kept byte for byte: empty, all values, no text, 200 KB."
        ),
        trial!(largest, "body/largest", [], "A body of 1 MiB is kept."),
        trial!(
            generations,
            "body/generation",
            [],
            "Generations from 0 to 2^63 - 1 are kept exactly."
        ),
        trial!(
            index,
            "index/round-trip",
            [],
            "Index columns are kept exactly; absent and empty are different."
        ),
        trial!(
            cleared,
            "index/cleared",
            [],
            "A write replaces the index columns, also by nothing."
        ),
    ]
}

async fn bodies(bench: Bench) -> Kept {
    let all: Vec<u8> = (0..=255).collect();
    let large = all.iter().copied().cycle().take(200_000).collect();
    let bodies = [
        Vec::new(),
        vec![0],
        all,
        b"\xff\xfe not UTF-8 \x00 and on".to_vec(),
        b"{\"a\": 'quotes', \"b\": \"\\\\x00\"} -- %s ?1 $1".to_vec(),
        b" blanks \r\n".to_vec(),
        large,
    ];
    let key = bench.key("bodies")?;
    let mut expected = Expected::Absent;
    for body in bodies {
        let mut next = record(1);
        next.body = body;
        bench.store.update_token(&key, &next, expected).await?;
        bench.expect(&key, &next).await?;
        expected = Expected::Version(next.version);
    }
    Ok(())
}

async fn largest(bench: Bench) -> Kept {
    let mut record = record(1);
    record.body = (0..=255).cycle().take(1 << 20).collect();
    let key = bench.key("largest")?;
    let record = bench.insert(&key, record).await?;
    bench.expect(&key, &record).await
}

async fn generations(bench: Bench) -> Kept {
    for generation in [
        0,
        1,
        u64::from(u32::MAX) + 1,
        (1 << 53) + 1,
        i64::MAX as u64,
    ] {
        let key = bench.key(&format!("generation {generation}"))?;
        let record = bench.insert(&key, record(generation)).await?;
        bench.expect(&key, &record).await?;
    }
    Ok(())
}

async fn index(bench: Bench) -> Kept {
    let time = |millis| Some(Timestamp::from_millis(millis));
    let mut texts = Index::default();
    texts.issuer = Some("https://issuer.example/tenant/ünï?x='\"`;--&%20".to_owned());
    texts.subject = Some("a".repeat(255));
    texts.sid = Some(" 日本語 🗝️ %_\\ ".to_owned());
    let mut empty = Index::default();
    empty.issuer = Some(String::new());
    empty.subject = Some(String::new());
    empty.sid = Some(String::new());
    let mut times = Index::default();
    times.access_expires_at = time(0);
    times.grant_expires_at = time(i64::MAX);
    times.changed_at = Timestamp::from_millis(1_700_000_000_001);
    times.purge_at = time(253_402_300_799_999);
    for (n, index) in [Index::default(), texts, empty, times]
        .into_iter()
        .enumerate()
    {
        let mut record = record(1);
        record.index = index;
        let key = bench.key(&format!("index {n}"))?;
        let record = bench.insert(&key, record).await?;
        bench.expect(&key, &record).await?;
    }
    Ok(())
}

async fn cleared(bench: Bench) -> Kept {
    let mut full = record(1);
    let later = full.index.changed_at + std::time::Duration::from_secs(3600);
    full.index.issuer = Some("https://issuer.example".to_owned());
    full.index.subject = Some("subject".to_owned());
    full.index.sid = Some("sid".to_owned());
    full.index.access_expires_at = Some(later);
    full.index.grant_expires_at = Some(later);
    full.index.purge_at = Some(later);
    let key = bench.key("cleared")?;
    let full = bench.insert(&key, full).await?;
    bench.expect(&key, &full).await?;
    let bare = record(2);
    let expected = Expected::Version(full.version);
    bench.store.update_token(&key, &bare, expected).await?;
    bench.expect(&key, &bare).await
}
