//! The table of promises, stores and fault points: written from what the scenarios found.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::Mutex};

use super::point::{Effect, FaultPoint, Promise};
use crate::kind::Kind;

/// What a run over one store found: for each fault that makes sense, what was broken.
pub(super) type Found = Vec<(FaultPoint, Effect, Vec<(Promise, String)>)>;

/// Why something is not promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    AnswerLost,
    PendingLonger,
    LeasesOverlap,
    Forgotten,
    Revoked,
    OutOfTime,
}

impl Excuse {
    const ALL: [Self; 6] = [
        Self::AnswerLost,
        Self::PendingLonger,
        Self::LeasesOverlap,
        Self::Forgotten,
        Self::Revoked,
        Self::OutOfTime,
    ];

    fn says(self) -> &'static str {
        match self {
            Self::AnswerLost => {
                "Whoever had the answer is gone, or never got it: a strict provider has spent the refresh token, and \
                 nobody knows the new one. The access token is served to its end; near that the refresh token is tried \
                 once more, because it may not have been processed. That second request is G2's exception, and its \
                 `invalid_grant` is what G6 asks for."
            }
            Self::PendingLonger => {
                "The store does not take the commit for longer than the lease: G2 says \"as long as no lease ends while \
                 its holder holds an answer that is not committed\". The other process tries the refresh token, waits \
                 for the grace of the overtaken attempt, and adopts its late commit: the grant lives."
            }
            Self::LeasesOverlap => {
                "The lease ends while its holder sends, which G2 excludes: a clock that jumps is the one thing that \
                 brings it about, because requests end before their lease."
            }
            Self::Forgotten => {
                "The store lost an acknowledged write, and no process that wrote it within the last minute is there to \
                 write it again (rule 14). What it shows instead holds a refresh token that was spent."
            }
            Self::Revoked => {
                "The provider ended the grant: `invalid_grant` says so, and a new login is the answer."
            }
            Self::OutOfTime => {
                "The time given to `drain` ended before the store came back, and the process ended on purpose: `drain` \
                 answers how many are left."
            }
        }
    }
}

/// What is not promised under a fault. Everything else must hold; and what is excused here must not, or the excuse is
/// taken away.
pub(super) fn excuse(promise: Promise, point: FaultPoint, effect: Effect) -> Option<Excuse> {
    use Effect::{Delay, Fail, Hang, Kill};
    use FaultPoint as At;
    use Promise::{G2, G5, Lives};
    match (promise, point, effect) {
        (G2, At::LeaseCut, _) => Some(Excuse::LeasesOverlap),
        (G2 | Lives, At::RolledBack, Delay | Kill) | (G5, At::RolledBack, Delay) => {
            Some(Excuse::Forgotten)
        }
        (Lives, At::FamilyRevoked, _) => Some(Excuse::Revoked),
        (G2 | G5 | Lives, At::Shutdown, Hang) => Some(Excuse::OutOfTime),
        (G2, At::AfterParse | At::BeforeCommit, Fail | Hang) => Some(Excuse::PendingLonger),
        (G2 | Lives, At::AfterParse | At::BeforeCommit | At::Shutdown | At::HookHangs, Kill)
        | (
            G2 | Lives,
            At::Processed | At::AnswerArrives | At::ResealBetween | At::Purge | At::KeyMissing,
            Fail | Hang | Kill,
        )
        | (Lives, At::LeaseCut, Fail | Hang | Kill) => Some(Excuse::AnswerLost),
        _ => None,
    }
}

/// What was found against what is promised.
pub(super) fn differences(found: &Found) -> Vec<String> {
    let mut differences = Vec::new();
    for (point, effect, broken) in found {
        for promise in Promise::ALL {
            let how: Vec<_> = broken
                .iter()
                .filter(|(other, _)| *other == promise)
                .map(|(_, how)| how.as_str())
                .collect();
            match excuse(promise, *point, *effect) {
                None if !how.is_empty() => differences.push(format!(
                    "{promise:?} is broken by {point:?}/{effect:?}: {}",
                    how.join("; ")
                )),
                Some(excuse) if how.is_empty() => differences.push(format!(
                    "{promise:?} is held under {point:?}/{effect:?}: {excuse:?} is no excuse any more"
                )),
                _ => {}
            }
        }
    }
    differences
}

/// All notes of the document in their order; a note's number is its place.
fn notes() -> Vec<&'static str> {
    let mut notes: Vec<_> = Excuse::ALL.into_iter().map(Excuse::says).collect();
    for point in FaultPoint::ALL {
        for why in Effect::ALL
            .into_iter()
            .filter_map(|effect| point.senseless(effect))
        {
            if !notes.contains(&why) {
                notes.push(why);
            }
        }
    }
    notes
}

fn numbers(whys: &[&'static str]) -> String {
    let notes = notes();
    let mut numbers: Vec<usize> = whys
        .iter()
        .map(|why| 1 + notes.iter().position(|note| note == why).unwrap())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<_> = numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect();
    format!("[{}]", numbers.join(", "))
}

/// Effects by their letters, with the notes that say why.
fn with_notes(effects: &[(Effect, &'static str)]) -> String {
    let letters: String = effects.iter().map(|(effect, _)| effect.letter()).collect();
    let whys: Vec<_> = effects.iter().map(|(_, why)| *why).collect();
    format!("{letters} {}", numbers(&whys))
}

/// What stands before the tables of the stores.
fn head() -> String {
    let mut text = String::from(
        "<!-- Generated by the tests: TOKENKEEP_WRITE_DOCS=1 cargo test -p tokenkeep-it --test it promises -- --include-ignored -->\n\n\
         # Promises under faults\n\n\
         What happens to a token refresh when something breaks in the middle of it? Below is one table for each store: a \
         row is the place where something breaks, a column is a promise, and a cell says whether the promise was kept.\n\n\
         | in a cell | it means |\n|---|---|\n\
         | held | kept, whatever the fault did |\n\
         | held, but FK [1] | kept, but not under the effects F and K; note 1 says why |\n\
         | not FDHK [3] | not kept under any effect; note 3 says why |\n\n\
         A fault has up to four effects at its place: **F** it fails there, **D** it is delayed by half a second, **H** it \
         hangs until whoever waits gives up, **K** the process is killed there. The column *not tried* has those that make \
         no sense there, and the note that says why.\n\n\
         Each cell was played: two processes share a store and a strict provider, at which a refresh token can be spent \
         once. One of them, the victim, refreshes for three callers and is hit; the other one wants the same refresh at \
         that moment, or does what the row says. Then the fault ends, each refreshes once more, and the user logs out. The \
         tests in `tests/it/promises` write this page, and fail if it differs from what they find.\n\n\
         ## The promises\n\n\
         | | promise | judged by |\n|---|---|---|\n",
    );
    for promise in Promise::ALL {
        let (says, judged) = promise.says();
        writeln!(text, "| {} | {says} | {judged} |", promise.title()).unwrap();
    }
    text.push_str(
        "\nTime is a clock that the tests put forward. Where processes share the store, the victim of K is a process of the \
         operating system, which aborts at the point or is killed; where they do not, it is a runtime that is dropped with \
         all its tasks. A shutdown and a vanishing task always have such a runtime.\n\n\
         ## Notes\n\n",
    );
    for (number, note) in (1..).zip(notes()) {
        writeln!(text, "{number}. {}", sentence(note)).unwrap();
    }
    text
}

fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{rest}{end}", first.to_uppercase())
}

fn heading(kind: Kind) -> String {
    format!("## Over {}\n", kind.name())
}

/// The table of one store.
fn section(kind: Kind, found: &Found) -> String {
    let mut text = heading(kind);
    let titles: Vec<_> = Promise::ALL.into_iter().map(Promise::title).collect();
    writeln!(
        text,
        "\n| fault point | tried | not tried | {} |",
        titles.join(" | ")
    )
    .unwrap();
    writeln!(text, "|{}", "---|".repeat(3 + titles.len())).unwrap();
    for point in FaultPoint::ALL {
        let tried: Vec<_> = found.iter().filter(|(at, ..)| *at == point).collect();
        let letters: String = tried.iter().map(|(_, effect, _)| effect.letter()).collect();
        let left_out: Vec<_> = Effect::ALL
            .into_iter()
            .filter_map(|effect| Some((effect, point.senseless(effect)?)))
            .collect();
        assert_eq!(
            tried.len() + left_out.len(),
            Effect::ALL.len(),
            "a hole at {point:?}"
        );
        let left_out = if left_out.is_empty() {
            String::new()
        } else {
            with_notes(&left_out)
        };
        write!(text, "| {} | {letters} | {left_out} |", point.title()).unwrap();
        for promise in Promise::ALL {
            let not: Vec<_> = tried
                .iter()
                .filter(|(.., broken)| broken.iter().any(|(other, _)| *other == promise))
                .map(|(_, effect, _)| (*effect, excuse(promise, point, *effect).unwrap().says()))
                .collect();
            let cell = match not.len() {
                0 => "held".to_owned(),
                all if all == tried.len() => format!("not {}", with_notes(&not)),
                _ => format!("held, but {}", with_notes(&not)),
            };
            write!(text, " {cell} |").unwrap();
        }
        text.push('\n');
    }
    text
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/promises.md")
}

/// The page as it is: what stands before the tables, and the tables by their headings.
fn parts(page: &str) -> (String, BTreeMap<String, String>) {
    let mut parts = page.split("\n## Over ");
    let head = parts.next().unwrap_or_default().to_owned();
    let tables = parts.map(|table| {
        let table = format!("## Over {}\n", table.trim_end());
        (
            format!("{}\n", table.lines().next().unwrap_or_default()),
            table,
        )
    });
    (head, tables.collect())
}

/// Of several tests one at a time has the page.
static PAGE: Mutex<()> = Mutex::new(());

/// Compares the page with what was found; with `TOKENKEEP_WRITE_DOCS` it is written instead. Of the tables only this
/// store's is looked at: not everybody has every server.
pub(super) fn check(kind: Kind, found: &Found) {
    let _one = PAGE.lock().unwrap();
    let page = std::fs::read_to_string(path()).unwrap_or_default();
    let (old_head, mut tables) = parts(&page);
    let (head, table) = (head(), section(kind, found));
    if std::env::var_os("TOKENKEEP_WRITE_DOCS").is_some() {
        tables.insert(heading(kind), table);
        let mut page = head;
        for kind in Kind::ALL {
            if let Some(table) = tables.get(&heading(kind)) {
                write!(page, "\n{table}").unwrap();
            }
        }
        std::fs::create_dir_all(path().parent().unwrap()).unwrap();
        std::fs::write(path(), page).unwrap();
        return;
    }
    let advice = "write docs/promises.md again: TOKENKEEP_WRITE_DOCS=1 cargo test -p tokenkeep-it --test it promises -- --include-ignored";
    assert!(
        old_head == head,
        "what stands before the tables differs; {advice}"
    );
    let old = tables
        .get(&heading(kind))
        .map(String::as_str)
        .unwrap_or_default();
    assert!(
        old == table,
        "the table of {kind:?} differs; {advice}\n{table}"
    );
}

/// The stores whose tables are on the page.
pub(super) fn has_a_table(kind: Kind) -> bool {
    let page = std::fs::read_to_string(path()).unwrap_or_default();
    parts(&page).1.contains_key(&heading(kind))
}
