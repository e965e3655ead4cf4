//! The exhaustive bounded check of the refresh protocol: every order of events within bounds, over the real transitions
//! and decisions.
//!
//! [`state`] is what is explored, in small numbers; [`rows`] makes real records of them and runs the real transitions;
//! [`world`] says what may happen next, and [`store`], [`provider`] and [`time`] how; [`laws`] says what must never happen;
//! [`search`] goes through all of it, breadth first; [`words`] and [`report`] write `docs/refresh-protocol.md`.

mod laws;
mod provider;
mod report;
mod rows;
mod search;
mod state;
mod store;
mod time;
mod words;
mod world;

use std::{
    env, fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{
    search::{Found, search},
    state::Budget,
    world::Setup,
};
use super::rules::Rule;
use crate::{ProviderProfile, Reuse, Revocation, Rotation};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/refresh-protocol.md");

/// The numbered rules, and the three that carry most.
const RULES: [(Rule, &str); 17] = [
    (
        Rule::FirstLook,
        "1. A login or logout replaces only what its first look showed",
    ),
    (
        Rule::TombstonesStay,
        "2. Only a login leaves a tombstone behind",
    ),
    (Rule::OwnLease, "3. A lease belongs to an attempt's id"),
    (
        Rule::OwnGrant,
        "4. Every step but login and logout names its grant",
    ),
    (
        Rule::FreshVersions,
        "5. Every write has a version that was never used",
    ),
    (
        Rule::PurgeTests,
        "6. Purging tests `purge_at` in the same step as it deletes",
    ),
    (
        Rule::Deadline,
        "7. No request starts unless it can end within the lease",
    ),
    (
        Rule::KeptUnderLease,
        "8. A login keeps the stored refresh token under the lease",
    ),
    (
        Rule::OtherTargets,
        "9. A commit keeps the access tokens of other targets",
    ),
    (
        Rule::Identity,
        "10. Another identity is committed without its access token",
    ),
    (
        Rule::Homeless,
        "11. A refresh token kept nowhere is revoked only where that ends nothing else",
    ),
    (
        Rule::Journal,
        "12. The journal stays until the token is replaced or surely was not processed",
    ),
    (
        Rule::Grace,
        "13. Nobody declares a grant dead before an overtaken attempt's time is over",
    ),
    (
        Rule::WriteAgain,
        "14. What a fail-over lost is written again",
    ),
    (
        Rule::CommitUnfenced,
        "A success commits on the generation alone",
    ),
    (
        Rule::FailFenced,
        "A failure is written by the holder of the lease only",
    ),
    (Rule::LogoutWins, "Logout always wins"),
];

/// The kinds of providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Never,
    Strict,
    RevokesFamily,
    Replay,
    BothValid,
}

impl Provider {
    const ALL: [Self; 5] = [
        Self::Never,
        Self::Strict,
        Self::RevokesFamily,
        Self::Replay,
        Self::BothValid,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Never => "never rotates",
            Self::Strict => "strict",
            Self::RevokesFamily => "revokes the family",
            Self::Replay => "replays",
            Self::BothValid => "both valid",
        }
    }

    /// Revocation is per token where that is the more dangerous of the two.
    fn profile(self) -> ProviderProfile {
        let rotates = ProviderProfile::new();
        match self {
            Self::Never => rotates.rotation(Rotation::Never),
            Self::Strict => rotates,
            Self::RevokesFamily => rotates.reuse(Reuse::RevokesFamily),
            Self::Replay => rotates
                .reuse(Reuse::Replay(rows::WINDOW))
                .revocation(Revocation::PerToken),
            Self::BothValid => rotates
                .reuse(Reuse::BothValid)
                .revocation(Revocation::PerToken),
        }
    }
}

/// What a search looks at beside the login's own access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Plain,
    /// Two targets, and answers that name another identity.
    Answers,
    FailOver,
}

/// One search.
#[derive(Clone, Copy, Debug)]
struct Run {
    provider: Provider,
    scene: Scene,
    budget: Budget,
    broken: Option<Rule>,
}

impl Run {
    fn new(provider: Provider, scene: Scene, [attempts, actions, faults]: [u8; 3]) -> Self {
        Self {
            provider,
            scene,
            budget: Budget {
                attempts,
                actions,
                faults,
            },
            broken: None,
        }
    }

    fn breaking(self, rule: Rule) -> Self {
        Self {
            broken: Some(rule),
            ..self
        }
    }

    fn bounds(&self) -> String {
        let Budget {
            attempts,
            actions,
            faults,
        } = self.budget;
        let scene = match self.scene {
            Scene::Plain => "",
            Scene::Answers => "; two targets, other identities",
            Scene::FailOver => "; fail-overs",
        };
        let many =
            |count: u8, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let refreshes = format!(
            "{attempts} refresh{}",
            if attempts == 1 { "" } else { "es" }
        );
        format!(
            "{refreshes}, {}, {}{scene}",
            many(actions, "action"),
            many(faults, "fault")
        )
    }

    fn search(&self, progress: bool) -> Found {
        let setup = Setup {
            profile: self.provider.profile(),
            budget: self.budget,
            targets: self.scene == Scene::Answers,
            identities: self.scene == Scene::Answers,
            fail_over: self.scene == Scene::FailOver,
        };
        let name = format!("{}, {}", self.provider.name(), self.bounds());
        search(&setup, self.broken, if progress { &name } else { "" })
    }
}

/// Runs searches side by side. Answers in their order.
fn all(runs: &[Run], progress: bool) -> Vec<(Run, Found)> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let workers = thread::available_parallelism()
        .map_or(2, usize::from)
        .min(runs.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run.search(progress);
                    let place = runs.iter().position(|other| std::ptr::eq(other, run));
                    found.lock().unwrap().push((place, *run, result));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(place, ..)| *place);
    found
        .into_iter()
        .map(|(_, run, found)| (run, found))
        .collect()
}

/// The bounds of every test run.
fn kept() -> Vec<Run> {
    let bounds = [
        (Scene::Plain, [2, 1, 1]),
        (Scene::Plain, [3, 0, 1]),
        (Scene::Plain, [1, 2, 1]),
        (Scene::Answers, [2, 0, 1]),
        (Scene::FailOver, [1, 1, 1]),
        (Scene::FailOver, [2, 0, 1]),
    ];
    Provider::ALL
        .into_iter()
        .flat_map(|provider| bounds.map(|(scene, budget)| Run::new(provider, scene, budget)))
        .collect()
}

/// The bounds of `TOKENKEEP_LONG=1`.
fn further() -> Vec<Run> {
    let bounds = [
        (Scene::Plain, [2, 2, 1]),
        (Scene::Plain, [2, 1, 2]),
        (Scene::Plain, [3, 1, 1]),
        (Scene::Answers, [2, 1, 1]),
        (Scene::FailOver, [2, 1, 1]),
    ];
    Provider::ALL
        .into_iter()
        .flat_map(|provider| bounds.map(|(scene, budget)| Run::new(provider, scene, budget)))
        .collect()
}

/// Where each rule is broken: the smallest bounds that show why it is there.
fn broken() -> Vec<Run> {
    use Provider::{RevokesFamily, Strict};
    use Scene::{Answers, FailOver, Plain};
    RULES
        .iter()
        .map(|(rule, _)| {
            let (provider, scene, budget) = match rule {
                Rule::FirstLook => (Strict, Plain, [0, 2, 0]),
                Rule::TombstonesStay => (Strict, Plain, [1, 1, 0]),
                Rule::OwnLease => (Strict, Plain, [2, 0, 0]),
                Rule::OwnGrant => (Strict, Plain, [1, 2, 1]),
                Rule::FreshVersions => (Strict, Plain, [1, 2, 0]),
                Rule::PurgeTests => (Strict, Plain, [0, 3, 0]),
                Rule::Deadline => (RevokesFamily, Plain, [2, 0, 0]),
                Rule::KeptUnderLease => (Strict, Plain, [1, 1, 0]),
                Rule::OtherTargets => (Strict, Answers, [1, 0, 0]),
                Rule::Identity => (Strict, Answers, [1, 0, 1]),
                Rule::Homeless => (Strict, Plain, [0, 2, 0]),
                Rule::Journal => (RevokesFamily, Plain, [2, 0, 1]),
                Rule::Grace | Rule::CommitUnfenced | Rule::FailFenced => (Strict, Plain, [2, 0, 1]),
                Rule::WriteAgain => (Strict, FailOver, [1, 1, 1]),
                Rule::LogoutWins => (Strict, Plain, [1, 1, 0]),
            };
            Run::new(provider, scene, budget).breaking(*rule)
        })
        .collect()
}

fn assert_kept(found: &[(Run, Found)]) {
    for (run, found) in found {
        if let Some(violation) = &found.violation {
            let steps: Vec<String> = violation.trace.iter().map(words::step).collect();
            panic!(
                "{}, {}: {}\n  {}",
                run.provider.name(),
                run.bounds(),
                violation.law.text(),
                steps.join("\n  ")
            );
        }
    }
}

#[test]
fn every_promise_is_kept_by_the_rules_and_none_of_them_can_be_left_out() {
    let (kept, broken) = (kept(), broken());
    let mut found = all(&[kept.clone(), broken].concat(), false);
    let broken = found.split_off(kept.len());
    assert_kept(&found);
    for (run, found) in &broken {
        assert!(found.violation.is_some(), "{run:?} finds nothing");
    }
    let family = |provider: Provider| {
        found
            .iter()
            .any(|(run, found)| run.provider == provider && found.family_lost)
    };
    assert!(
        family(Provider::RevokesFamily),
        "what cannot be promised is reached"
    );
    assert!(!family(Provider::Strict));

    let page = report::page(&found, &broken);
    if env::var_os("TOKENKEEP_WRITE_DOCS").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let written = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        written == page,
        "docs/refresh-protocol.md is not what was found; TOKENKEEP_WRITE_DOCS=1 writes it anew:\n{page}"
    );
}

#[test]
fn every_promise_is_kept_further_on_too() {
    if env::var_os("TOKENKEEP_LONG").is_none() {
        return;
    }
    let found = all(&further(), true);
    assert_kept(&found);
    for (run, found) in &found {
        eprintln!(
            "{}, {}: {} states",
            run.provider.name(),
            run.bounds(),
            found.states
        );
    }
}
