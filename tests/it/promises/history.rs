//! The history of a record: every write that a store applied, of every process.

use std::{
    collections::{BTreeMap, HashMap},
    fs::OpenOptions,
    io::Write as _,
    path::PathBuf,
};

use serde_json::{Value, json};
use tokenkeep::{
    TokenKey,
    store::{Expected, StoredRecord},
};

/// A write that was applied.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) by: String,
    /// None: the row was not there.
    expected: Option<String>,
    version: String,
    pub(super) generation: u64,
    pub(super) grant_id: String,
    /// `active`, `needs_login` or `logged_out`.
    pub(super) state: String,
    /// The whole body in short, to tell a write from its repetition.
    body: String,
}

/// Where processes note their writes. A file, so that a process that is killed leaves its own behind.
pub(super) struct History(PathBuf);

impl History {
    pub(super) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Notes a write to a grant; sessions are not of interest.
    pub(super) fn note(&self, by: &str, key: &TokenKey, record: &StoredRecord, expected: Expected) {
        if !key.is_account() {
            return;
        }
        let header = header_of(record);
        let line = json!({
            "by": by,
            "expected": match expected {
                Expected::Absent => None,
                Expected::Version(version) => Some(version.to_string()),
            },
            "version": record.version.to_string(),
            "generation": record.generation,
            "grant_id": header["grant_id"],
            "state": header["state"]["is"],
            "body": tokenkeep::Fingerprint::of(&hex(&record.body).as_str().into()).as_str(),
        });
        let file = OpenOptions::new().create(true).append(true).open(&self.0);
        // Without its folder the scenario is over, and whoever still writes is none of its processes.
        if let Ok(mut file) = file {
            file.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }

    fn noted(&self) -> Vec<Write> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        let read = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            Write {
                by: text("by"),
                expected: line["expected"].as_str().map(str::to_owned),
                version: text("version"),
                generation: line["generation"].as_u64().unwrap(),
                grant_id: text("grant_id"),
                state: text("state"),
                body: text("body"),
            }
        };
        text.lines().map(read).collect()
    }

    /// The writes in their order. An error: they form no chain, so that a compare-and-swap let two writes through.
    pub(super) fn chain(&self) -> Result<Vec<Write>, String> {
        let mut next: HashMap<Option<String>, Write> = HashMap::new();
        let noted = self.noted();
        let count = noted.len();
        for write in noted {
            if let Some(other) = next.insert(write.expected.clone(), write) {
                return Err(format!("two writes replaced one version: {other:?}"));
            }
        }
        let mut chain = Vec::with_capacity(count);
        let mut at = None;
        while let Some(write) = next.remove(&at) {
            at = Some(write.version.clone());
            chain.push(write);
        }
        if chain.len() == count {
            Ok(chain)
        } else {
            Err(format!(
                "{} writes replaced what never was",
                count - chain.len()
            ))
        }
    }
}

/// Whoever rolls the store back notes its write by this name; it is no process's doing.
pub(super) const ROLLBACK: &str = "rollback";

/// At most one write brings a generation, and none goes back. What the store forgot may be written again, as it was.
pub(super) fn in_order(chain: &[Write]) -> Result<(), String> {
    let mut bodies: BTreeMap<u64, &str> = BTreeMap::new();
    let mut last = 0;
    for write in chain {
        if write.by == ROLLBACK {
            last = write.generation;
            continue;
        }
        if write.generation < last {
            return Err(format!("generation {last} was overwritten by {write:?}"));
        }
        if write.generation > last {
            let first = bodies.entry(write.generation).or_insert(&write.body);
            if **first != *write.body {
                return Err(format!("generation {} came twice", write.generation));
            }
        }
        last = write.generation;
    }
    Ok(())
}

/// Nothing of a grant follows its tombstone.
pub(super) fn stays_dead(chain: &[Write]) -> Result<(), String> {
    let mut ended: Vec<&str> = Vec::new();
    for write in chain.iter().filter(|write| write.by != ROLLBACK) {
        if write.state == "logged_out" {
            ended.push(&write.grant_id);
        } else if ended.contains(&write.grant_id.as_str()) {
            return Err(format!("a logged-out grant came back: {write:?}"));
        }
    }
    Ok(())
}

/// How many new generations of existing grants there are, each counted once.
pub(super) fn commits(chain: &[Write]) -> u64 {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut commits = 0;
    for write in chain {
        let newest = seen.entry(&write.grant_id).or_insert(write.generation);
        if write.generation > *newest {
            *newest = write.generation;
            commits += 1;
        }
    }
    commits
}

/// How often a grant was declared dead.
pub(super) fn deaths(chain: &[Write]) -> u64 {
    let mut dead = "";
    let mut deaths = 0;
    for write in chain {
        if write.state == "needs_login" && dead != write.grant_id {
            deaths += 1;
            dead = &write.grant_id;
        } else if write.state == "active" {
            dead = "";
        }
    }
    deaths
}

pub(super) fn header_of(record: &StoredRecord) -> Value {
    // `tk`, two format numbers, the length of the header, the header.
    let header = serde_json::Deserializer::from_slice(&record.body[8..]);
    header.into_iter::<Value>().next().unwrap().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
