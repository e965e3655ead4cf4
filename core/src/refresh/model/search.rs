//! Breadth first through every state, so that the first violation has the shortest way to it.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, Hash, Hasher},
};

use super::{
    laws::Law,
    rows,
    state::{PROCESSES, Process, State},
    world::{Event, Setup},
};
use crate::refresh::rules::{Rule, breaking, holds};

/// A hash of 128 bits: two states with the same one are not to be expected in any number of runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixed {
    low: u64,
    high: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mixer;

impl BuildHasher for Mixer {
    type Hasher = Mixed;
    fn build_hasher(&self) -> Mixed {
        Mixed {
            low: 0x243f_6a88_85a3_08d3,
            high: 0x1319_8a2e_0370_7344,
        }
    }
}

impl Mixed {
    fn mix(&mut self, word: u64) {
        self.low = (self.low ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.low ^= self.low >> 29;
        self.high = (self.high ^ word.rotate_left(32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.high ^= self.high >> 32;
    }

    fn of(state: &State) -> u128 {
        let mut mixed = Mixer.build_hasher();
        state.hash(&mut mixed);
        (u128::from(mixed.high) << 64) | u128::from(mixed.low)
    }
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.low ^ self.high
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }
    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }
    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
    fn write_isize(&mut self, number: isize) {
        self.mix(number as u64);
    }
}

/// A state is already mixed.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        unreachable!("{} bytes", bytes.len());
    }
    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }
}

impl BuildHasher for AsIs {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) violation: Option<Violation>,
    /// Did a provider revoke the family of the grant that is stored, because a spent refresh token was sent?
    pub(super) family_lost: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) law: Law,
    /// From the start, with the processes' names kept.
    pub(super) trace: Vec<Told>,
}

/// One step of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// By its first name: 0 is A.
    pub(super) name: Option<u8>,
    pub(super) event: Event,
    pub(super) before: Process,
    pub(super) after: Process,
    /// Did the step change the row?
    pub(super) wrote: bool,
}

/// Searches every state that can be reached, or to the first violation, with one rule broken or none.
pub(super) fn search(setup: &Setup, rule: Option<Rule>, progress: &str) -> Found {
    rows::forget();
    let found = breaking(rule, || run(setup, progress));
    rows::forget();
    found
}

fn run(setup: &Setup, progress: &str) -> Found {
    let fresh = holds(Rule::FreshVersions);
    let mut start = setup.start();
    start.canonical(fresh);
    let mut seen: HashMap<u128, u32, AsIs> = HashMap::default();
    let mut parents: Vec<(u32, Event)> = vec![(0, Event::FailOver)];
    let mut family_lost = false;
    seen.insert(Mixed::of(&start), 0);
    let mut layer = vec![(start, 0_u32)];
    while !layer.is_empty() {
        let mut next_layer = Vec::new();
        let mut violation = None;
        for (state, index) in &layer {
            setup.each(state, |event, mut next, law| {
                family_lost |= matches!(event, Event::Ask { .. })
                    && state.row.is_some_and(|row| state.honours(row.token.family))
                    && next.row.is_some_and(|row| !next.honours(row.token.family));
                if let Some(law) = law {
                    violation.get_or_insert((law, *index, event));
                    return;
                }
                next.canonical(fresh);
                if let Entry::Vacant(place) = seen.entry(Mixed::of(&next)) {
                    let number = u32::try_from(parents.len()).expect("fewer states");
                    place.insert(number);
                    parents.push((*index, event));
                    next_layer.push((next, number));
                }
            });
            if violation.is_some() {
                break;
            }
        }
        if let Some((law, index, event)) = violation {
            return Found {
                states: parents.len(),
                violation: Some(Violation {
                    law,
                    trace: trace(setup, &parents, index, event),
                }),
                family_lost,
            };
        }
        if !progress.is_empty() {
            eprintln!(
                "{progress}: {} states, {} in the last layer",
                parents.len(),
                next_layer.len()
            );
        }
        layer = next_layer;
    }
    Found {
        states: parents.len(),
        violation: None,
        family_lost,
    }
}

/// Walks from the start once more. A state keeps its processes sorted; the trace gives each its first name.
fn trace(setup: &Setup, parents: &[(u32, Event)], last: u32, event: Event) -> Vec<Told> {
    let mut events = vec![event];
    let mut index = last;
    while index != 0 {
        let (parent, event) = parents[index as usize];
        events.push(event);
        index = parent;
    }
    events.reverse();
    let fresh = holds(Rule::FreshVersions);
    let mut state = setup.start();
    state.canonical(fresh);
    // Where the process with this name stands now.
    let mut names: [u8; PROCESSES] = std::array::from_fn(|name| name as u8);
    let mut trace = Vec::new();
    for event in events {
        let mut reached = None;
        setup.each(&state, |other, next, _| {
            if other == event {
                reached = Some(next);
            }
        });
        let mut next = reached.expect("it was reached before");
        let at = event.process().map(usize::from);
        let name = event.process().map(|place| {
            let named = names.iter().position(|at| *at == place);
            named.expect("a name") as u8
        });
        trace.push(Told {
            name,
            event,
            before: at.map_or_else(Process::default, |p| state.processes[p]),
            after: at.map_or_else(Process::default, |p| next.processes[p]),
            wrote: state.row != next.row,
        });
        let moved = next.canonical(fresh);
        names = names.map(|place| moved[place as usize]);
        state = next;
    }
    trace
}

impl Event {
    /// The process that takes the step.
    fn process(self) -> Option<u8> {
        match self {
            Self::StartRefresh { p, .. }
            | Self::StartLogin { p, .. }
            | Self::StartLogout { p }
            | Self::StartReseal { p }
            | Self::Load { p }
            | Self::LoadClockBack { p }
            | Self::Look { p }
            | Self::Write { p, .. }
            | Self::Ask { p, .. }
            | Self::Receive { p }
            | Self::Lose { p }
            | Self::Revoke { p }
            | Self::Crash { p }
            | Self::Late { p }
            | Self::PendingLeaseEnds { p }
            | Self::PurgeLook { p }
            | Self::PurgeDelete { p } => Some(p),
            _ => None,
        }
    }
}
