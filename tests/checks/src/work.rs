//! The copy of the project, and the tests that are run in it.

use std::{
    fmt, fs,
    io::{Error, Read, Result},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::list::{Check, Part};

/// Without a check a test may wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A copy of what git tracks, with a target folder of its own.
pub(crate) struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

/// What became of the tests.
pub(crate) enum Ran {
    /// All passed.
    Passed,
    /// These failed.
    Failed(Vec<String>),
    /// They did not come to an end.
    Hung,
    /// They could not be built.
    Unbuilt(String),
}

/// What became of the tests without a check.
pub(crate) enum Outcome {
    /// These missed it.
    Noticed(Vec<String>),
    /// None missed it.
    Unnoticed,
    /// It cannot be told.
    Untold(String),
}

/// Where the project stands.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Copy {
    /// Brings the copy up to date; what did not change keeps its time, so that little is built anew.
    pub(crate) fn of_project() -> Result<Self> {
        let project = project();
        let place = project.join("target/checks");
        let copy = Self {
            tree: place.join("tree"),
            target: place.join("target"),
        };
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&project)
            .output()?;
        if !listed.status.success() {
            return Err(Error::other("`git ls-files` fails: is this a clone?"));
        }
        for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            // One that was deleted is still listed.
            let Ok(content) = fs::read(project.join(name)) else {
                continue;
            };
            let to = copy.tree.join(name);
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::create_dir_all(to.parent().unwrap_or(&copy.tree))?;
                fs::write(to, content)?;
            }
        }
        Ok(copy)
    }

    /// Runs a part's tests as the copy is now.
    pub(crate) fn test(&self, part: Part) -> Result<Ran> {
        self.run(part.arguments())
    }

    /// Runs the tests that these arguments of `cargo test` name.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg("test").args(arguments);
        cargo
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target);
        let mut running = cargo
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let heard = [
            running
                .stdout
                .take()
                .map(|pipe| thread::spawn(move || read(pipe))),
            running
                .stderr
                .take()
                .map(|pipe| thread::spawn(move || read(pipe))),
        ];
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = running.try_wait()? {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                running.kill()?;
                running.wait()?;
                return Ok(Ran::Hung);
            }
            thread::sleep(Duration::from_millis(50));
        };
        if status.success() {
            return Ok(Ran::Passed);
        }
        let [out, err] = heard.map(|thread| {
            thread
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default()
        });
        let failed: Vec<String> = out
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
            .map(str::to_owned)
            .collect();
        Ok(if failed.is_empty() {
            let why = err.lines().find(|line| line.starts_with("error"));
            Ran::Unbuilt(why.unwrap_or("no reason is given").to_owned())
        } else {
            Ran::Failed(failed)
        })
    }

    /// Runs the tests that should miss a check without it, and puts it back.
    pub(crate) fn without(&self, check: &Check) -> Result<Outcome> {
        let ran = self.lacking(check, || self.test(check.part))?;
        Ok(match ran {
            None => Outcome::Untold(format!("{} has not that line once", check.file)),
            Some(Ran::Passed) => Outcome::Unnoticed,
            Some(Ran::Failed(tests)) => Outcome::Noticed(tests),
            Some(Ran::Hung) => Outcome::Noticed(vec!["one that waits for ever".to_owned()]),
            Some(Ran::Unbuilt(why)) => Outcome::Untold(format!("it does not build without: {why}")),
        })
    }

    /// Does something without a check, and puts it back; none if it is not there once.
    pub(crate) fn lacking<T>(
        &self,
        check: &Check,
        run: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let path = self.tree.join(check.file);
        let whole = fs::read_to_string(&path)?;
        let Some(without) = check.taken_out_of(&whole) else {
            return Ok(None);
        };
        fs::write(&path, without)?;
        let ran = run();
        fs::write(&path, whole)?;
        ran.map(Some)
    }
}

fn read(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before a failure is good enough to tell what happened.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("all tests pass"),
            Self::Failed(tests) => write!(f, "{} fail", tests.join(", ")),
            Self::Hung => f.write_str("the tests do not end"),
            Self::Unbuilt(why) => write!(f, "the tests cannot be built: {why}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noticed(tests) => {
                let first = tests.first().map_or("", String::as_str);
                match tests.len() {
                    1 => write!(f, "missed by {first}"),
                    more => write!(f, "missed by {first} and {} more", more - 1),
                }
            }
            Self::Unnoticed => f.write_str("MISSED BY NO TEST"),
            Self::Untold(why) => write!(f, "CANNOT BE TOLD: {why}"),
        }
    }
}
