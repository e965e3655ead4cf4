//! The exhaustive bounded check of the refresh protocol, over the real transitions.

mod laws;
mod rows;
mod search;
mod state;
mod world;

#[test]
fn try_out() {
    use crate::{ProviderProfile, Reuse, Revocation, Rotation};
    use std::time::Duration;
    let number = |name: &str, other: u8| {
        std::env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(other)
    };
    let p = ProviderProfile::new();
    let profiles = [
        ("strict", p),
        ("family", p.reuse(Reuse::RevokesFamily)),
        (
            "replay",
            p.reuse(Reuse::Replay(rows::WINDOW))
                .revocation(Revocation::PerToken),
        ),
        (
            "both",
            p.reuse(Reuse::BothValid).revocation(Revocation::PerToken),
        ),
        ("never", p.rotation(Rotation::Never)),
    ];
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, profile) in profiles {
        if !only.is_empty() && only != name {
            continue;
        }
        let setup = world::Setup {
            profile,
            budget: state::Budget {
                attempts: number("AT", 2),
                actions: number("AC", 1),
                faults: number("FA", 1),
            },
            targets: number("TG", 0) == 1,
            identities: number("ID", 0) == 1,
            fail_over: number("FO", 0) == 1,
        };
        let start = std::time::Instant::now();
        let found = search::search(
            &setup,
            None,
            if number("PROGRESS", 0) == 1 { name } else { "" },
        );
        println!(
            "{name}: {} states {:?} family lost {}",
            found.states,
            start.elapsed(),
            found.family_lost
        );
        if let Some(v) = found.violation {
            println!("   {:?}", v.law);
            for (event, state) in v.trace {
                println!(
                    "    {event:?}   row {:?} procs {:?}",
                    state.row.map(|r| (
                        r.place,
                        r.state.word(),
                        r.lease,
                        r.lease_by,
                        r.token,
                        r.version,
                        r.commit_id
                    )),
                    state.processes.map(|p| (
                        p.at,
                        p.token,
                        p.answer,
                        p.first,
                        p.recent.map(|r| (r.row.place, r.row.state))
                    ))
                );
            }
        }
        let _ = Duration::ZERO;
    }
}
