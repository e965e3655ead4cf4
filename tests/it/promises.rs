//! The promises of the refresh protocol, with a fault at each of its points: G1 to G8 over each kind of store.
//!
//! Two processes share a store and a provider. One of them, the victim, is held at a point of its refresh; what it does
//! there (fail, wait, hang, die) is the fault's effect. Meanwhile the other one wants the same refresh, or logs out, or
//! whatever the point says. Then the fault ends, life goes on, and the oracles judge each promise. What they find is the
//! page docs/promises.md.
//!
//! A new kind of store needs its arms in [`Kind`] and a test of one line here; `TOKENKEEP_WRITE_DOCS=1` writes its table.

mod aftermath;
mod history;
mod oracle;
mod point;
mod probe;
mod process;
mod scenario;
mod stage;
mod table;

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{
    point::{Effect, FaultPoint},
    table::Found,
};
use crate::kind::Kind;

#[test]
fn memory_keeps_its_promises() {
    keeps_its_promises(Kind::Memory);
}

#[test]
fn sqlite_keeps_its_promises() {
    keeps_its_promises(Kind::Sqlite);
}

#[test]
#[ignore = "needs PostgreSQL; tests/run brings it"]
fn postgres_keeps_its_promises() {
    keeps_its_promises(Kind::Postgres);
}

#[test]
#[ignore = "needs MariaDB; tests/run brings it"]
fn mariadb_keeps_its_promises() {
    keeps_its_promises(Kind::MariaDb);
}

#[test]
#[ignore = "needs Redis; tests/run brings it"]
fn redis_keeps_its_promises() {
    keeps_its_promises(Kind::Redis);
}

#[test]
fn every_store_has_its_table() {
    for kind in Kind::ALL {
        let writes = std::env::var_os("TOKENKEEP_WRITE_DOCS").is_some();
        assert!(writes || table::has_a_table(kind), "{kind:?} has none");
    }
}

/// Plays everything that can go wrong over a store. Scenarios share nothing, and most of their time is waiting: some run
/// at once, each on a runtime of one thread, where it can be told that nothing more happens before time passes.
fn keeps_its_promises(kind: Kind) {
    const AT_ONCE: usize = 4;
    let all: Vec<_> = FaultPoint::ALL
        .into_iter()
        .flat_map(|point| Effect::ALL.map(|effect| (point, effect)))
        .filter(|(point, effect)| point.senseless(*effect).is_none())
        .collect();
    let next = AtomicUsize::new(0);
    let (found, stuck) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let play = || {
        while let Some((point, effect)) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            let play = || runtime.block_on(scenario::play(kind, *point, *effect));
            match panic::catch_unwind(AssertUnwindSafe(play)) {
                Ok(broken) => found.lock().unwrap().push((*point, *effect, broken)),
                // What it says stands above, among what was printed.
                Err(_) => stuck
                    .lock()
                    .unwrap()
                    .push(format!("{point:?}/{effect:?} panicked")),
            }
        }
    };
    thread::scope(|scope| {
        for number in 0..AT_ONCE {
            let thread = thread::Builder::new().name(format!("{kind:?} {number}"));
            thread.spawn_scoped(scope, play).unwrap();
        }
    });
    let mut found: Found = found.into_inner().unwrap();
    let place = |(point, effect, _): &(FaultPoint, Effect, _)| {
        all.iter()
            .position(|(at, does)| at == point && does == effect)
    };
    found.sort_by_key(place);
    let mut differences = stuck.into_inner().unwrap();
    differences.extend(table::differences(&found));
    assert!(
        differences.is_empty(),
        "over {kind:?}:\n{}",
        differences.join("\n")
    );
    table::check(kind, &found);
}
