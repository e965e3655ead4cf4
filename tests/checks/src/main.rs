//! Takes each check of a login and a logout out of the source, one at a time, and sees a test fail.
//!
//! A test that passes without the check that it is there for proves nothing. `cargo run -p tokenkeep-checks` copies the
//! project into `target/checks`, where it changes one line of the list at a time, runs the unit tests of that part, and tells
//! which of them notice. `-- --rows` asks more: of the tests that a row of docs/authlib*.md names, one must notice. `tests/run
//! --long` does both. That each line of the list is still in the source is a test of its own, which every run of the tests
//! makes.

mod by_row;
mod list;
#[cfg(test)]
mod page;
#[cfg(test)]
mod rows;
mod source;
mod work;

use std::{env, process::ExitCode};

use work::{Copy, Outcome, Ran};

const HELP: &str = "\
usage: cargo run -p tokenkeep-checks -- [--list | --rows [--quick]] [TEXT]...

Takes each check of a login out of a copy of the source, one at a time, and sees a test fail.
The copy and what is built from it stand in target/checks.

  TEXT     only the checks whose file or name holds one of these texts
  --list   tell which checks there are, and take none out
  --rows   for the rows of docs/authlib*.md whose id begins with a TEXT ('1.2 ', 'W3 '): without each check that a row names, one of the
           row's own tests must fail
  --quick  by unit tests alone, and for the rows that have some";

fn main() -> ExitCode {
    let mut only = Vec::new();
    let mut list_only = false;
    let mut by_row = false;
    let mut quick = false;
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--list" => list_only = true,
            "--rows" => by_row = true,
            "--quick" => quick = true,
            "-h" | "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            option if option.starts_with('-') => {
                eprintln!("{HELP}");
                return ExitCode::from(2);
            }
            text => only.push(text.to_owned()),
        }
    }
    if by_row {
        return ended(by_row::take_out(&only, quick));
    }
    let chosen: Vec<_> = list::checks()
        .filter(|check| {
            let held = |text: &String| check.file.contains(text) || check.name.contains(text);
            only.is_empty() || only.iter().any(held)
        })
        .collect();
    if list_only {
        for check in &chosen {
            println!("{}: {}", check.file, check.name);
        }
        return ExitCode::SUCCESS;
    }
    ended(take_out(&chosen))
}

fn ended(all_noticed: std::io::Result<bool>) -> ExitCode {
    match all_noticed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Takes the checks out, each for itself, and tells whether each of them was missed by a test.
fn take_out(checks: &[list::Check]) -> std::io::Result<bool> {
    let copy = Copy::of_project()?;
    let mut unnoticed = Vec::new();
    for part in list::parts(checks) {
        println!("{part}: with all checks in their places");
        match copy.test(part)? {
            Ran::Passed => {}
            other => {
                println!("  {other}: mend that first");
                return Ok(false);
            }
        }
    }
    for (number, check) in checks.iter().enumerate() {
        let outcome = copy.without(check)?;
        println!(
            "[{}/{}] {}: {outcome}",
            number + 1,
            checks.len(),
            check.name
        );
        if !matches!(outcome, Outcome::Noticed(_)) {
            unnoticed.push(check.name);
        }
    }
    println!();
    if unnoticed.is_empty() {
        println!("{} checks taken out, each missed by a test", checks.len());
    } else {
        println!(
            "{} of {} are missed by no test:",
            unnoticed.len(),
            checks.len()
        );
        for name in &unnoticed {
            println!("  {name}");
        }
    }
    Ok(unnoticed.is_empty())
}
