//! The tables that go through Authlib's client, row by row: without each check that a row names, one of its own tests fails.

use std::{
    collections::BTreeMap,
    fs,
    io::{Error, Result},
};

use crate::{
    list::{Check, checks},
    work::{Copy, Ran, project},
};

const PAGES: [&str; 3] = ["authlib.md", "authlib-openid.md", "authlib-weak-points.md"];

/// In place of a test: what neither side has cannot be tested.
const ABSENT: &str = "nothing to test";

/// A row of the tables.
pub(crate) struct Row {
    pub(crate) id: String,
    /// Name and file.
    pub(crate) tests: Vec<(String, String)>,
    pub(crate) checks: Vec<String>,
}

/// All rows, in their order.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for page in PAGES {
        let page = fs::read_to_string(project().join("docs").join(page))?;
        for line in page.lines() {
            rows.extend(read(line).map_err(Error::other)?);
        }
    }
    Ok(rows)
}

/// A row begins with its id and ends with its tests and what is taken out for them.
fn read(line: &str) -> std::result::Result<Option<Row>, String> {
    let inner = line.strip_prefix("| ");
    let Some(inner) = inner.and_then(|line| line.strip_suffix('|')) else {
        return Ok(None);
    };
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    let id = cells[0];
    if id == "row" {
        return Ok(None);
    }
    let [_, .., tests, taken_out] = cells[..] else {
        return Err(format!("{id} has too few cells"));
    };
    let mut row = Row {
        id: id.to_owned(),
        tests: Vec::new(),
        checks: Vec::new(),
    };
    if !tests.starts_with(ABSENT) {
        let link = |text: &str| {
            let inner = text
                .strip_prefix('[')
                .and_then(|text| text.strip_suffix(')'));
            let (test, file) = inner
                .and_then(|text| text.split_once("](../"))
                .ok_or_else(|| format!("{id}: {text:?} is no link to a test"))?;
            Ok((test.to_owned(), file.to_owned()))
        };
        row.tests = tests
            .split("<br>")
            .map(link)
            .collect::<std::result::Result<_, String>>()?;
        let names = taken_out.split("; ").map(|name| name.trim_matches('`'));
        row.checks = names.map(str::to_owned).collect();
    }
    Ok(Some(row))
}

/// The rows with tests whose id, with a blank behind it, begins like one of these; `quick`: with their unit tests.
fn chosen(begins: &[String], quick: bool) -> Result<Vec<Row>> {
    let mut rows = rows()?;
    if quick {
        for row in &mut rows {
            row.tests.retain(|(_, file)| file.starts_with("core/"));
        }
    }
    let is_chosen = |row: &Row| {
        let id = format!("{} ", row.id);
        begins.is_empty() || begins.iter().any(|text| id.starts_with(text))
    };
    rows.retain(|row| is_chosen(row) && !row.tests.is_empty());
    Ok(rows)
}

/// What `cargo test` is told for a file of tests.
fn package(file: &str) -> &'static [&'static str] {
    match file {
        file if file.starts_with("core/") => &["-p", "tokenkeep-core", "--lib", "--"],
        file if file.starts_with("hooks/axum/") => &["-p", "tokenkeep-axum", "--lib", "--"],
        file if file.starts_with("hooks/providers/") => {
            &["-p", "tokenkeep-providers", "--test", "presets", "--"]
        }
        file if file.starts_with("tests/kit/") => &["-p", "tokenkeep-testing", "--"],
        _ => &["-p", "tokenkeep-it", "--test", "it", "--"],
    }
}

/// Takes out what the rows name, and tells which rows have no test that fails.
pub(crate) fn take_out(begins: &[String], quick: bool) -> Result<bool> {
    let rows = chosen(begins, quick)?;
    let copy = Copy::of_project()?;
    let mut unnoticed = Vec::new();
    let named: Vec<Check> = checks()
        .filter(|check| {
            rows.iter()
                .any(|row| row.checks.iter().any(|name| name == check.name))
        })
        .collect();
    let whole = failing(&copy, &rows.iter().collect::<Vec<_>>())?;
    if !whole.is_empty() {
        println!(
            "fail with all checks in their places, mend that first: {}",
            whole.join(", ")
        );
        return Ok(false);
    }
    for (number, check) in named.iter().enumerate() {
        let of_check: Vec<&Row> = rows
            .iter()
            .filter(|row| row.checks.iter().any(|name| name == check.name))
            .collect();
        let failed = copy.lacking(check, || failing(&copy, &of_check))?;
        let failed = failed.unwrap_or_default();
        print!("[{}/{}] {}:", number + 1, named.len(), check.name);
        for row in of_check {
            match row.tests.iter().find(|(test, _)| failed.contains(test)) {
                Some((test, _)) => print!(" {} ({test})", row.id),
                None => {
                    print!(" {} BY NO TEST OF ITS OWN", row.id);
                    unnoticed.push(format!("{}: {}", row.id, check.name));
                }
            }
        }
        println!();
    }
    println!("{} rows, {} checks taken out", rows.len(), named.len());
    for missing in &unnoticed {
        println!("missed by none of the row's tests: {missing}");
    }
    Ok(unnoticed.is_empty())
}

/// Which of the rows' tests fail. What is quick to build runs first; a row that has a failure needs no other test.
fn failing(copy: &Copy, rows: &[&Row]) -> Result<Vec<String>> {
    let mut packages: BTreeMap<&[&str], Vec<&str>> = BTreeMap::new();
    for (_, file) in rows.iter().flat_map(|row| &row.tests) {
        packages.entry(package(file)).or_default();
    }
    let mut failed: Vec<String> = Vec::new();
    for (arguments, mut tests) in packages {
        for row in rows {
            let noticed = row.tests.iter().any(|(test, _)| failed.contains(test));
            let here = row
                .tests
                .iter()
                .filter(|(_, file)| package(file) == arguments);
            tests.extend(here.filter(|_| !noticed).map(|(test, _)| test.as_str()));
        }
        tests.sort_unstable();
        tests.dedup();
        if tests.is_empty() {
            continue;
        }
        // Those that are ignored need a server, or oauthlib: `tests/run` brings both.
        match copy.run(&[arguments, &["--include-ignored"], &tests].concat())? {
            Ran::Passed => {}
            Ran::Failed(names) => {
                let last = |name: String| name.rsplit("::").next().map(str::to_owned);
                failed.extend(names.into_iter().filter_map(last));
            }
            // Whichever it was, it is one of these.
            Ran::Hung => failed.extend(tests.into_iter().map(str::to_owned)),
            unbuilt @ Ran::Unbuilt(_) => println!("  {unbuilt}"),
        }
    }
    Ok(failed)
}
