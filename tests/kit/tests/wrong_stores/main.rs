//! A gallery of wrong stores: each breaks one promise and fails at the trial that names it, and every trial of the kit
//! is failed by one of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by them"
)]

mod keeping;
mod passing;
mod wrong;

use std::{collections::BTreeSet, time::Duration};

use tokenkeep_testing::conformance::{Options, Report, check_with};
use tokio::task::JoinSet;

use crate::wrong::{Fault, Wrong};

const GALLERY: &[(Fault, &[&str])] = &[
    (Fault::FailsOnAbsent, &["fetch/absent"]),
    (Fault::TellsNoTime, &["fetch/clock"]),
    (Fault::LosesWrites, &["write/insert"]),
    (Fault::NeverReplaces, &["write/replace"]),
    (Fault::Upserts, &["write/absent-on-present", "race/insert"]),
    (
        Fault::NeverCompares,
        &["write/wrong-version", "race/update", "race/increments"],
    ),
    (Fault::InsertsOnMissing, &["write/version-on-missing"]),
    (
        Fault::AcceptsFormerVersions,
        &["write/spent-version", "write/purged-version"],
    ),
    (Fault::ReadsStale, &["write/read-your-writes"]),
    (
        Fault::ComparesThenWrites,
        &["race/insert", "race/update", "race/increments"],
    ),
    (Fault::LocksTheTable, &["race/neighbours"]),
    (Fault::TakesBodiesForText, &["body/bytes"]),
    (Fault::CutsBodies, &["body/largest"]),
    (Fault::CountsInFloats, &["body/generation"]),
    (Fault::TakesEmptyForNull, &["index/round-trip"]),
    (Fault::KeepsOldColumns, &["index/cleared", "purge/replaced"]),
    (Fault::FoldsCase, &["keys/case"]),
    (Fault::Normalises, &["keys/normalisation"]),
    (Fault::KnowsNoEmoji, &["keys/emoji"]),
    (Fault::TrimsBlanks, &["keys/blanks"]),
    (Fault::JoinsKeys, &["keys/delimiters"]),
    (Fault::Unescapes, &["keys/wildcards"]),
    (Fault::CutsKeys, &["keys/lengths"]),
    (Fault::HasOneSlot, &["keys/slots"]),
    (Fault::PurgesWhatIsNotDue, &["purge/only-due"]),
    (Fault::PurgesWithoutLimit, &["purge/limit"]),
    (Fault::PurgesNewLogins, &["purge/races-login"]),
    (Fault::PutsTwice, &["once/twice"]),
    (Fault::FoldsIds, &["once/exact"]),
    (Fault::TakesValuesForText, &["once/values"]),
    (Fault::LooksThenPuts, &["once/put-race"]),
    (Fault::TakesWithoutRemoving, &["take/once"]),
    (Fault::LooksThenTakes, &["take/race"]),
    (Fault::ForgetsEarly, &["once/lives"]),
    (Fault::NeverExpires, &["once/expires"]),
    (Fault::IgnoresSid, &["find/members"]),
    (Fault::FindsNoBodies, &["find/whole"]),
    (Fault::LosesTheLastOfAPage, &["find/pages"]),
    (Fault::CountsPages, &["find/stable"]),
    (Fault::TakesAnyPageCursor, &["find/cursor"]),
    (Fault::SubscribesLate, &["changes/appears"]),
    (Fault::DropsChanges, &["changes/appears"]),
    (Fault::HearsOnlyItself, &["changes/other-handle"]),
    (Fault::ReordersChanges, &["changes/order"]),
    (Fault::HidesWritesAfterLeases, &["changes/unannounced"]),
    (Fault::HasOneListener, &["changes/several"]),
    (
        Fault::IgnoresCursors,
        &["changes/resume", "changes/foreign-cursor"],
    ),
    (
        Fault::HidesGaps,
        &["changes/burst", "changes/foreign-cursor"],
    ),
    (Fault::ClosesAllFeeds, &["changes/dropped"]),
    (Fault::Panics, &["fetch/absent"]),
];

async fn tried(fault: Fault) -> Report {
    let store = Wrong::new(fault);
    let (second, ahead) = (store.second(), store.clock());
    let options = Options::new()
        .second_handle(move || std::future::ready(second.second()))
        .fast_forward(move |by| {
            ahead.forward(by);
            std::future::ready(())
        })
        .wait(match fault {
            Fault::None => Duration::from_secs(10),
            _ => Duration::from_millis(500),
        })
        // Some never end an increment.
        .patience(Duration::from_secs(10));
    check_with(options, || std::future::ready(store)).await
}

fn failed(report: &Report) -> BTreeSet<&'static str> {
    report.failed().map(|outcome| outcome.trial).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_wrong_store_is_caught_and_every_trial_catches_one() {
    let mut tries = JoinSet::new();
    for (fault, trials) in GALLERY {
        tries.spawn(async move { (fault, trials, tried(*fault).await) });
    }
    let (mut caught, mut all) = (BTreeSet::new(), BTreeSet::new());
    while let Some(tried) = tries.join_next().await {
        let (fault, trials, report) = tried.unwrap();
        let failed = failed(&report);
        println!("{fault:?}: {failed:?}");
        for trial in *trials {
            assert!(failed.contains(trial), "{fault:?} passes {trial}\n{report}");
        }
        caught.extend(failed);
        all.extend(report.outcomes.iter().map(|outcome| outcome.trial));
    }
    let idle: Vec<_> = all.difference(&caught).collect();
    assert!(idle.is_empty(), "no wrong store fails {idle:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_wrapper_itself_is_right() {
    tried(Fault::None).await.assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[should_panic(expected = "the store breaks promises")]
async fn a_failed_report_fails_the_test() {
    let report = tried(Fault::NeverCompares).await;
    assert!(!report.is_ok());
    assert!(report.to_string().contains("FAIL  write/wrong-version"));
    report.assert();
}
