//! A gallery of wrong stores: each breaks one promise and fails at the trial that names it, and every trial of the kit
//! is failed by one of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by them"
)]

mod files;
mod keeping;
mod passing;
mod processes;
mod writing;
mod wrong;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokenkeep_testing::conformance::{Options, Report, check_with};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::wrong::{Fault, Wrong};

/// Each store, and the trials that it fails: the first one named is the first one failed.
const GALLERY: &[(Fault, &[&str])] = &[
    (Fault::Lacks("clock"), &["capabilities/clock"]),
    (Fault::Lacks("find"), &["capabilities/find"]),
    (Fault::Lacks("purge"), &["capabilities/purge"]),
    (Fault::Lacks("once"), &["capabilities/once"]),
    (Fault::Lacks("changes"), &["capabilities/changes"]),
    (Fault::FailsOnAbsent, &["fetch/absent"]),
    (Fault::Panics, &["fetch/absent"]),
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
    (Fault::FoldsVersions, &["write/versions"]),
    (Fault::ComparesGenerations, &["write/lease"]),
    (Fault::SkipsLeases, &["write/lease"]),
    (Fault::DropsTombstones, &["write/tombstone"]),
    (Fault::KeepsPurgeAt, &["write/tombstone", "purge/replaced"]),
    (Fault::CountsVersions, &["write/purged-version"]),
    (Fault::ReadsStale, &["write/read-your-writes"]),
    (Fault::TakesBodiesForText, &["body/bytes"]),
    (Fault::CutsBodies, &["body/largest"]),
    (Fault::CountsInFloats, &["body/generation"]),
    (Fault::TakesEmptyForNull, &["index/round-trip"]),
    (Fault::KeepsOldColumns, &["index/cleared"]),
    (Fault::FoldsCase, &["keys/case"]),
    (Fault::Normalises, &["keys/normalisation"]),
    (Fault::KnowsNoEmoji, &["keys/emoji"]),
    (Fault::TrimsBlanks, &["keys/blanks"]),
    (Fault::JoinsKeys, &["keys/delimiters"]),
    (Fault::Unescapes, &["keys/wildcards"]),
    (Fault::CutsKeys, &["keys/lengths"]),
    (Fault::HasOneSlot, &["keys/slots"]),
    (
        Fault::ComparesThenWrites,
        &["race/insert", "race/update", "race/increments"],
    ),
    (
        Fault::ComparesThenReplaces,
        &["race/update", "race/increments"],
    ),
    (Fault::ReadsInTwoQueries, &["race/increments"]),
    (Fault::LocksTheTable, &["race/neighbours"]),
    (Fault::LeavesItselfLocked, &["race/dropped"]),
    (Fault::PurgesWhatIsNotDue, &["purge/only-due"]),
    (Fault::PurgesWithoutLimit, &["purge/limit"]),
    (Fault::PurgesFromAList, &["purge/replaced"]),
    (Fault::PurgesNewLogins, &["purge/races-login"]),
    (Fault::PutsTwice, &["once/twice"]),
    (Fault::FoldsIds, &["once/exact"]),
    (Fault::TakesValuesForText, &["once/values"]),
    (Fault::CutsValues, &["once/values"]),
    (Fault::LooksThenPuts, &["once/put-race"]),
    (Fault::TakesWithoutRemoving, &["take/once"]),
    (Fault::LooksThenTakes, &["take/race"]),
    (Fault::CountsIn32Bits, &["once/long"]),
    (Fault::IgnoresSid, &["find/members"]),
    (Fault::FindsNoBodies, &["find/whole"]),
    (Fault::LosesTheLastOfAPage, &["find/pages"]),
    (Fault::TakesZeroAtItsWord, &["find/pages"]),
    (Fault::CountsPages, &["find/stable"]),
    (Fault::TakesAnyPageCursor, &["find/cursor"]),
    (Fault::SubscribesLate, &["changes/appears"]),
    (Fault::DropsChanges, &["changes/appears"]),
    (Fault::HearsOnlyItself, &["changes/other-handle"]),
    (Fault::ReordersChanges, &["changes/order"]),
    (Fault::HidesWritesAfterLeases, &["changes/unannounced"]),
    (Fault::AnnouncesRefusedWrites, &["changes/refused"]),
    (Fault::HasOneListener, &["changes/several"]),
    (
        Fault::IgnoresCursors,
        &["changes/resume", "changes/foreign-cursor"],
    ),
    (
        Fault::HidesGaps,
        &["changes/foreign-cursor", "changes/burst"],
    ),
    (Fault::HidesFallingBehind, &["changes/burst"]),
    (Fault::ClosesAllFeeds, &["changes/dropped"]),
    (Fault::ForgetsEarly, &["once/lives"]),
    (Fault::NeverExpires, &["once/expires"]),
    (Fault::EndsWithItsTokens, &["write/stays"]),
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
        });
    check_with(options, || std::future::ready(store)).await
}

fn failed(report: &Report) -> Vec<&'static str> {
    report.failed().map(|outcome| outcome.trial).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_wrong_store_first_fails_the_trial_of_its_fault_and_every_trial_has_one() {
    let mut tries = JoinSet::new();
    // Some at a time: whoever waits for the machine may look like a store that hangs.
    let places = Arc::new(Semaphore::new(8));
    for (fault, trials) in GALLERY {
        let places = Arc::clone(&places);
        tries.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            (fault, trials, tried(*fault).await)
        });
    }
    let mut named: BTreeSet<_> = GALLERY.iter().map(|(_, trials)| trials[0]).collect();
    let (mut all, mut missed) = (BTreeSet::new(), Vec::new());
    while let Some(tried) = tries.join_next().await {
        let (fault, trials, report) = tried.unwrap();
        let failed = failed(&report);
        println!("{fault:?}: {failed:?}");
        let passed = trials.iter().filter(|trial| !failed.contains(trial));
        if failed.first() != trials.first() || passed.count() > 0 {
            missed.push(format!("{fault:?} was to fail {trials:?}\n{report}"));
        }
        all.extend(report.outcomes.iter().map(|outcome| outcome.trial));
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    named.extend(processes::GALLERY.iter().map(|(_, trial)| trial));
    assert_eq!(named, all, "a trial is first failed by no wrong store");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_claimed_and_missing_fails_once_and_its_trials_are_not_run() {
    for (claimed, trial) in [
        ("clock", "fetch/clock"),
        ("find", "find/pages"),
        ("purge", "purge/limit"),
        ("once", "take/race"),
        ("changes", "changes/burst"),
    ] {
        let report = tried(Fault::Lacks(claimed)).await;
        assert_eq!(failed(&report), [format!("capabilities/{claimed}")]);
        let expected = format!("{trial:<28} not run: capabilities/{claimed} failed");
        assert!(report.to_string().contains(&expected), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_there_and_not_claimed_is_noted() {
    assert!(tried(Fault::None).await.notes.is_empty());
    let report = tried(Fault::HidesItsMerits).await;
    report.assert();
    assert_eq!(report.notes.len(), 2, "{report}");
    for (note, name) in report.notes.iter().zip(["`find`", "`changes`"]) {
        assert!(note.starts_with(name), "{note}");
    }
    assert!(report.to_string().contains("note  `find` is there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn time_that_cannot_be_moved_is_waited_for() {
    let mut tries = JoinSet::new();
    for (fault, expected) in [
        (Fault::None, None),
        (Fault::ForgetsEarly, Some("once/lives")),
        (Fault::CountsWholeSeconds, Some("once/lives")),
        (Fault::NeverExpires, Some("once/expires")),
        (Fault::EndsWithItsTokens, Some("write/stays")),
    ] {
        for names in ["once/lives", "once/expires", "write/stays"] {
            let options = Options::new().real_time().only(names);
            let store = move || std::future::ready(Wrong::new(fault));
            tries.spawn(async move {
                let report = check_with(options, store).await;
                let expected: Vec<_> = expected.into_iter().filter(|it| *it == names).collect();
                assert_eq!(failed(&report), expected, "{fault:?}\n{report}");
            });
        }
    }
    while let Some(tried) = tries.join_next().await {
        tried.unwrap();
    }
}
