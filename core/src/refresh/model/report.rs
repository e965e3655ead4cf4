//! What the check found, as a page of the documentation.

use std::fmt::Write as _;

use super::{
    RULES, Run,
    laws::Law,
    search::{Found, Violation},
    words,
};

const INTRODUCTION: &str = "\
# The refresh protocol, checked

`core/src/refresh/model` drives the transitions that the product runs through every order of events within bounds: three
processes on one key; loads and writes as steps of their own; lost answers of writes and of the provider; crashes; leases
that end in time and before; logins with and without a refresh token, logouts, reseals, purges, deleted rows, fail-overs of
the store that lose acknowledged writes. What each rule is stands in ARCHITECTURE.md.

This page is written by that test, and the test fails if it is not what it finds. `TOKENKEEP_WRITE_DOCS=1` writes it anew;
`TOKENKEEP_LONG=1` searches further: two actions or two faults beside two refreshes, three refreshes beside one of each,
and two refreshes beside one of each with fail-overs, or with two targets and other identities.

Simplified are: a process has one task for the key at a time; a request is sent and processed in one step, so is a look that
writes again what a fail-over lost; pauses have no length. Not in it are snapshots, the change feed, and keys that a process
lacks.

## Every rule kept

No promise is broken in any of these states. Each search is complete within its bounds: so many refreshes that begin;
actions (login, logout, reseal, purge, deletion); faults (crash, lost answer, lease cut short, refused request, another
identity, fail-over). Time is free: leases, grace, cool-downs, replay windows and access tokens end whenever they may.

| Provider | Bounds | States |
|---|---|---|
";

const RULES_BROKEN: &str = "
## One rule broken

The shortest way to a broken promise, if all rules are kept but one. A, B and C are processes; the row holds a grant at the
start. A step of a process that looks at the row decides by what it sees; what it writes comes later, and only over the very
row that it saw.

| Rule | Without it | Shortest trace |
|---|---|---|
";

const LIMITS: &str = "
## What cannot be promised

- A provider that revokes a family on reuse revokes it if two leases overlap, or if an answer was lost and the refresh token
  is tried again: the search reaches that, and asks only that neither a lease within its time nor a lost write leads there.
- A rotation whose answer was lost is lost at a strict provider, and so is one whose process crashed before the commit.
- A grant may be declared dead while a process holds a good answer for longer than the grace; its commit repairs that.
- A refresh token whose answer comes after the logout is revoked. Where a revocation ends the user's whole grant, it ends a
  login that came in between, too.
- After a fail-over, a login that is written before the processes that knew more of its grant have looked keeps what the
  fail-over brought back; leases that the store forgot may overlap; a token whose revocation was right may be back for a while.
- A request that a process gave up is taken as processed by then or never.
";

/// The page.
pub(super) fn page(kept: &[(Run, Found)], broken: &[(Run, Found)]) -> String {
    let mut page = String::from(INTRODUCTION);
    for (run, found) in kept {
        let (provider, bounds) = (run.provider.name(), run.bounds());
        let _ = writeln!(
            page,
            "| {provider} | {bounds} | {} |",
            grouped(found.states)
        );
    }
    page.push_str(RULES_BROKEN);
    for (run, found) in broken {
        let name = RULES
            .iter()
            .find(|(rule, _)| Some(*rule) == run.broken)
            .map_or("", |(_, name)| name);
        let violation = found.violation.as_ref();
        let law = violation.map_or("nothing was found", |violation| text(violation.law));
        let trace = violation.map_or_else(String::new, trace);
        let provider = run.provider.name();
        let _ = writeln!(page, "| {name} | {law} | {provider}: {trace} |");
    }
    page.push_str(LIMITS);
    page
}

fn text(law: Law) -> &'static str {
    law.text()
}

fn trace(violation: &Violation) -> String {
    let steps = violation.trace.iter().map(words::step);
    let numbered: Vec<String> = steps
        .enumerate()
        .map(|(number, step)| format!("{}. {step}", number + 1))
        .collect();
    numbered.join("; ")
}

/// 1234567 as 1,234,567.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
