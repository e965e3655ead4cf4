//! The examples run, as `cargo run --example` runs them: each fails if it does not see what it tells.

#[path = "../../examples/adopt.rs"]
mod adopt;
#[path = "../../examples/audit_log.rs"]
mod audit_log;
#[path = "../../examples/machine_to_machine.rs"]
mod machine_to_machine;
#[path = "../../examples/oauth1.rs"]
mod oauth1;
#[path = "../../examples/worker.rs"]
mod worker;
#[path = "../../examples/your_database.rs"]
mod your_database;

/// What an example came to.
#[track_caller]
fn well(outcome: Result<(), impl std::fmt::Debug>) {
    if let Err(error) = outcome {
        panic!("the example fails: {error:?}");
    }
}

#[test]
fn an_old_table_moves_in() {
    well(adopt::main());
}

#[test]
fn an_audit_log_keeps_everything_once() {
    well(audit_log::main());
}

#[test]
fn a_fleet_asks_once_for_its_own_tokens() {
    well(machine_to_machine::main());
}

#[test]
fn a_program_logs_in_by_a_typed_in_verifier() {
    well(oauth1::main());
}

#[test]
fn a_job_calls_an_api_for_a_user() {
    well(worker::main());
}

#[test]
fn a_table_of_one_s_own_passes_the_trials() {
    well(your_database::main());
}

/// Short enough to be read at once: the demo aside.
#[test]
fn no_example_is_longer_than_60_lines() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 60, "{} has {lines} lines", path.display());
            examples += 1;
        }
    }
    assert_eq!(examples, 6, "each is run above");
}
