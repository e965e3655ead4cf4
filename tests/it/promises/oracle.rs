//! What the evidence of a scenario says of the promises.

use std::collections::HashMap;

use tokenkeep::TokenUpdate;

use super::{
    history::{self, Write},
    point::Promise,
    process::Got,
};

pub(super) struct Evidence<'a> {
    pub(super) chain: Result<Vec<Write>, String>,
    /// The most refreshes that any process had under way at once.
    pub(super) flights: Option<u64>,
    /// Good answers that live processes received.
    pub(super) good: u64,
    pub(super) refused: u64,
    pub(super) may_be_dropped: u64,
    /// What the callers of the victim got, who all asked at the same time.
    pub(super) got: &'a [Got],
    /// The fault delays their looks at the store: one that looks after the commit wants the next one, and rightly so.
    pub(super) looked_apart: bool,
    pub(super) spends: u64,
    pub(super) heard: Vec<(&'static str, &'a [TokenUpdate])>,
}

pub(super) fn judge(evidence: &Evidence<'_>) -> Vec<(Promise, String)> {
    let mut broken = Vec::new();
    let mut note = |promise, how: String| broken.push((promise, how));
    if evidence.flights > Some(1) {
        note(
            Promise::G1,
            format!("{:?} refreshes at once", evidence.flights),
        );
    }
    let differ = |one: &Got, other: &Got| match (one, other) {
        (Ok(one), Ok(other)) if evidence.looked_apart && one.0 != other.0 => false,
        _ => one != other,
    };
    let all = || evidence.got.iter();
    if all().any(|one| all().any(|other| differ(one, other))) {
        let got: Vec<_> = evidence
            .got
            .iter()
            .map(|got| got.as_ref().map(|got| got.0))
            .collect();
        note(
            Promise::G1,
            format!("callers got different things: {got:?}"),
        );
    }
    if evidence.spends > 1 {
        let spends = evidence.spends;
        note(
            Promise::G2,
            format!("a refresh token was spent {spends} times"),
        );
    }
    match &evidence.chain {
        Err(how) => note(Promise::G3, how.clone()),
        Ok(chain) => {
            if let Err(how) = history::in_order(chain) {
                note(Promise::G3, how);
            }
            if let Err(how) = history::stays_dead(chain) {
                note(Promise::G4, how);
            }
            let commits = history::commits(chain) + evidence.may_be_dropped;
            if evidence.good > commits {
                note(
                    Promise::G5,
                    format!("{} good answers, {commits} commits", evidence.good),
                );
            }
            let deaths = history::deaths(chain);
            if deaths > evidence.refused {
                let refused = evidence.refused;
                note(
                    Promise::G6,
                    format!("declared dead {deaths} times, refused {refused} times"),
                );
            }
        }
    }
    for (name, heard) in &evidence.heard {
        if let Err(how) = in_order(heard) {
            note(Promise::G8, format!("{name} heard {how}"));
        }
    }
    broken
}

fn generation(update: &TokenUpdate) -> Option<(String, u64)> {
    match update {
        TokenUpdate::Issued(changed) | TokenUpdate::Refreshed(changed) => {
            Some((changed.grant_id.to_string(), changed.generation))
        }
        _ => None,
    }
}

/// The newest generation that a subscriber heard of.
pub(super) fn newest(heard: &[TokenUpdate]) -> u64 {
    let generations = heard.iter().filter_map(generation);
    generations
        .map(|(_, generation)| generation)
        .max()
        .unwrap_or(0)
}

/// Per grant the generations of what is issued and refreshed strictly grow.
fn in_order(heard: &[TokenUpdate]) -> Result<(), String> {
    let mut newest: HashMap<String, u64> = HashMap::new();
    for (grant, generation) in heard.iter().filter_map(generation) {
        let last = newest.insert(grant, generation);
        if last.is_some_and(|last| last >= generation) {
            return Err(format!("generation {generation} after {last:?}"));
        }
    }
    Ok(())
}
