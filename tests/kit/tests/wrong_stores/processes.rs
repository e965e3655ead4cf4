//! Faults that nobody sees but several processes.

use std::{env, fs, path::Path, process::Stdio, time::Duration};

use tokenkeep_core::store::Version;
use tokenkeep_testing::conformance::{Options, Report, Verdict, check, check_with, location};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    task::JoinSet,
    time::timeout,
};

use crate::{
    failed,
    files::{FileFault, FileStore},
};

/// Each store, and the trial that it fails first.
pub(crate) const GALLERY: &[(FileFault, &str)] = &[
    (FileFault::OpensOnce, "processes/begin"),
    (FileFault::InsertsWithoutLock, "processes/insert"),
    (FileFault::ReplacesWithoutLock, "processes/increments"),
    (FileFault::PutsWithoutLock, "processes/put-once"),
    (FileFault::TakesWithoutLock, "processes/take"),
    (FileFault::CachesReads, "processes/read-your-writes"),
    (FileFault::HearsItsProcessOnly, "processes/changes"),
];

/// Tries a store in a folder of its own, with further processes that run this test.
async fn tried(test: &str, fault: FileFault) -> Report {
    let folder = env::temp_dir().join(format!("tokenkeep-kit-{}", Version::random()));
    let report = tried_at(test, &format!("{fault:?}|{}", folder.display())).await;
    fs::remove_dir_all(folder).unwrap();
    report
}

async fn tried_at(test: &str, location: &str) -> Report {
    let (fault, folder) = location.split_once('|').unwrap();
    let mut faults = FileFault::ALL.into_iter();
    let fault = faults.find(|it| format!("{it:?}") == fault).unwrap();
    let options = Options::new()
        .processes(2, test)
        .location(location)
        .only("processes/")
        .wait(match fault {
            FileFault::None => Duration::from_secs(10),
            _ => Duration::from_millis(1500),
        });
    check_with(options, async || FileStore::open(Path::new(folder), fault)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_store_of_processes_first_fails_the_trial_of_its_fault() {
    let test = "processes::every_wrong_store_of_processes_first_fails_the_trial_of_its_fault";
    if let Some(location) = location() {
        tried_at(test, &location).await;
        unreachable!("a further process serves until it ends");
    }
    let mut tries = JoinSet::new();
    for (fault, trial) in GALLERY {
        tries.spawn(async move { (fault, trial, tried(test, *fault).await) });
    }
    while let Some(tried) = tries.join_next().await {
        let (fault, trial, report) = tried.unwrap();
        assert_eq!(failed(&report).first(), Some(trial), "{fault:?}\n{report}");
    }
}

#[tokio::test]
async fn a_right_store_passes_with_processes_and_what_else_the_test_tries_is_left_out() {
    let test =
        "processes::a_right_store_passes_with_processes_and_what_else_the_test_tries_is_left_out";
    let before = check(async || tokenkeep_memory::MemoryStore::new()).await;
    let further = location().is_some();
    let ran = before
        .outcomes
        .iter()
        .any(|it| it.verdict == Verdict::Passed);
    assert_eq!(ran, !further);
    if let Some(location) = location() {
        tried_at(test, &location).await;
    }
    let report = tried(test, FileFault::None).await;
    report.assert();
    let mut outcomes = report.outcomes.iter();
    assert!(
        outcomes.all(|it| it.verdict == Verdict::Passed || !it.trial.starts_with("processes/")),
        "{report}"
    );
}

#[tokio::test]
async fn a_process_that_cannot_begin_is_explained_once() {
    let report = tried("processes::no_such_test", FileFault::None).await;
    assert_eq!(failed(&report), ["processes/begin"]);
    let text = report.to_string();
    assert!(text.contains("`processes::no_such_test --exact`"), "{text}");
    assert!(text.contains("not run: processes/begin failed"), "{text}");

    let report = tried(
        "processes::a_test_that_chooses_its_own_place",
        FileFault::None,
    )
    .await;
    let text = report.to_string();
    assert!(
        text.contains("begin with conformance::location()"),
        "{text}"
    );
}

#[tokio::test]
async fn a_test_that_chooses_its_own_place() {
    let test = "processes::a_test_that_chooses_its_own_place";
    // Alone it has nothing to show.
    if location().is_some() {
        tried_at(test, "None|elsewhere").await;
    }
}

#[test]
fn the_location_is_not_printed() {
    let options = Options::new().location("redis://user:password@host");
    assert!(!format!("{options:?}").contains("password"));
}

#[tokio::test]
async fn a_further_process_ends_with_the_first_one() {
    let test = "processes::every_wrong_store_of_processes_first_fails_the_trial_of_its_fault";
    let folder = env::temp_dir().join(format!("tokenkeep-kit-{}", Version::random()));
    let mut further = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env("TOKENKEEP_CONFORMANCE_TEST", test)
        .env(
            "TOKENKEEP_CONFORMANCE_LOCATION",
            format!("None|{}", folder.display()),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(further.stdout.take().unwrap()).lines();
    let patience = Duration::from_secs(30);
    let ready = async { while !lines.next_line().await.unwrap().unwrap().contains("Ready") {} };
    timeout(patience, ready).await.unwrap();
    assert_eq!(further.try_wait().unwrap(), None);
    drop(further.stdin.take());
    let ended = timeout(patience, further.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    fs::remove_dir_all(folder).unwrap();
}
