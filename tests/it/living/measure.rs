//! What is counted and traced, and that nobody's name is in it.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokenkeep::{ErrorCode, KeyRing, Reseal, TokenKey};
use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

use super::named;
use crate::{
    faulty::{Method, StoreFault},
    world::{CLIENT, World, alice, key, next_of, on_every_store, refused, soon, until},
};

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Adds up what is counted, by name and labels.
#[derive(Clone, Default)]
pub(crate) struct Sums(Values);

struct Sum(Values, String);

impl Sum {
    fn add(&self, by: f64) {
        *self.0.lock().unwrap().entry(self.1.clone()).or_default() += by;
    }
}

impl CounterFn for Sum {
    fn increment(&self, by: u64) {
        self.add(by as f64);
    }

    fn absolute(&self, _: u64) {
        panic!("nothing is set");
    }
}

impl GaugeFn for Sum {
    fn increment(&self, by: f64) {
        self.add(by);
    }

    fn decrement(&self, by: f64) {
        self.add(-by);
    }

    fn set(&self, _: f64) {
        panic!("nothing is set");
    }
}

impl HistogramFn for Sum {
    fn record(&self, _: f64) {
        self.add(1.0);
    }
}

impl Sums {
    fn of(&self, key: &Key) -> Arc<Sum> {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Sum(Arc::clone(&self.0), name))
    }

    fn get(&self, name: &str) -> f64 {
        let all = self.0.lock().unwrap();
        all.get(&format!("tokenkeep_{name}"))
            .copied()
            .unwrap_or(0.0)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(key))
    }
}

/// The runtime of a test is one thread: everything in it counts by this recorder, and nothing else does.
#[tokio::test]
async fn what_the_coordinator_does_is_counted() {
    on_every_store(Provider::builder, async |world| {
        let sums = Sums::default();
        let _counted = metrics::set_default_local_recorder(&sums);
        let oauth = world.oauth();
        let (second, store) = world.second().await;
        let grant = world.alice(&oauth).await;
        grant.refresh().await.unwrap();
        assert_eq!(
            sums.get("refreshes_total{client=op,outcome=refreshed}"),
            1.0
        );
        assert_eq!(
            sums.get("token_requests_total{client=op,outcome=answered}"),
            1.0
        );
        assert_eq!(sums.get("token_request_seconds{client=op}"), 1.0);

        // Another process waits for the lease.
        let gate = Gate::new();
        let faults = world.provider.faults();
        let rule = faults
            .on(Endpoint::Token, Fault::Hold(gate.clone()))
            .for_grant_type("refresh_token");
        alice(&oauth).invalidate(None).await.unwrap();
        let callers = [&oauth, &second].map(|process| {
            let grant = alice(process);
            tokio::spawn(async move { grant.token().await })
        });
        soon(gate.arrived(1)).await;
        let looks = || store.calls(Method::Fetch) + world.store.calls(Method::Fetch);
        let before = looks();
        // It looks again and again, and takes no lease.
        until("the other one waits", async || looks() > before + 3).await;
        rule.off();
        gate.open();
        for caller in callers {
            soon(caller).await.unwrap().unwrap();
        }
        assert_eq!(
            sums.get("refreshes_total{client=op,outcome=refreshed}"),
            2.0
        );
        assert_eq!(
            sums.get("refreshes_total{client=op,outcome=elsewhere}"),
            1.0
        );
        assert_eq!(sums.get("lease_wait_seconds{client=op}"), 1.0);

        // The store takes no commit for a while.
        oauth.follow_changes().await.unwrap();
        let mut updates = oauth.token_updates().unwrap();
        world.store.on(Method::Write, StoreFault::Fail);
        grant.refresh().await.unwrap();
        next_of(&mut updates, "commit_pending").await;
        assert_eq!(sums.get("commits_pending{client=op}"), 1.0);
        assert!(sums.get("store_errors_total{operation=update}") >= 1.0);
        world.store.clear();
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(soon(oauth.drain(crate::world::PATIENCE)).await.unwrap(), 0);
        assert_eq!(sums.get("commits_pending{client=op}"), 0.0);

        // The provider is away; and nobody outside makes up a label.
        let rule = faults.on(Endpoint::Token, Fault::ServerError(503));
        grant.refresh().await.unwrap_err();
        rule.off();
        let outcome = "token_requests_total{client=op,outcome=unavailable}";
        assert_eq!(sums.get(outcome), 1.0);
        assert_eq!(
            sums.get("refreshes_total{client=op,outcome=provider_error}"),
            1.0
        );
        let made_up = TokenKey::app("made-up").unwrap();
        refused(oauth.header(&made_up).await, ErrorCode::UnknownClient);
        let unknown = "refreshes_total{client=unknown,outcome=unknown_client}";
        assert_eq!(sums.get(unknown), 1.0);

        oauth
            .set_key_ring(KeyRing::parse(&[key("b", 8), world.ring.clone()].join(",")).unwrap())
            .unwrap();
        let report = oauth.reseal(Reseal::new()).await.unwrap().finish().await;
        assert_eq!(
            sums.get("resealed_total{outcome=resealed}"),
            report.resealed as f64
        );
        world.advance(Duration::from_secs(121));
        let forgotten = oauth.forget("alice").await.unwrap();
        assert!(forgotten.is_complete());
        assert_eq!(sums.get("forgotten_total{}"), 2.0);
        assert_eq!(sums.get("purged_total{}"), 2.0);

        let gaps = sums.get("feed_gaps_total{}");
        world.store.break_feed();
        until("the gap is counted", async || {
            sums.get("feed_gaps_total{}") > gaps
        })
        .await;
        for name in sums.names() {
            assert!(
                !name.contains("alice") && !name.contains("made-up"),
                "{name}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_was_overtaken_is_counted_and_told() {
    let sums = Sums::default();
    let _counted = metrics::set_default_local_recorder(&sums);
    let spans = Spans::default();
    let _traced =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let world = World::new().await;
    let oauth = named(&world, "one");
    let grant = world.alice(&oauth).await;
    // It takes the lease, and its process dies.
    let store = world.another_store().await;
    let dying = world.bare(&store).register(world.registration());
    let dying = dying.build().unwrap();
    let gate = Gate::new();
    let faults = world.provider.faults();
    let rule = faults
        .on(Endpoint::Token, Fault::Hold(gate.clone()))
        .for_grant_type("refresh_token");
    let dead = tokio::spawn({
        let grant = alice(&dying);
        async move { grant.refresh().await }
    });
    soon(gate.arrived(1)).await;
    rule.off();
    store.on(Method::Lease, StoreFault::Hang);
    store.on(Method::Write, StoreFault::Hang);
    store.on(Method::Fetch, StoreFault::Hang);
    world.clock.advance(Duration::from_secs(31));
    // The provider is strict, and may have seen the refresh token: it is tried all the same.
    let _ = soon(grant.refresh()).await;
    dead.abort();
    assert_eq!(sums.get("lease_takeovers_total{client=op}"), 1.0);
    assert!(
        spans.text().contains("a lease was overtaken"),
        "{}",
        spans.text()
    );
    gate.open();
}

/// Every span with what is recorded in it, and every event.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<String>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Spans {
    fn say(&self, before: &str, record: impl FnOnce(&mut Line)) {
        let mut line = Line(before.to_owned());
        record(&mut line);
        let mut all = self.0.lock().unwrap();
        all.push_str(&line.0);
        all.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

fn ours(target: &str) -> bool {
    target.starts_with("tokenkeep")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if ours(attributes.metadata().target()) {
            let name = attributes.metadata().name();
            self.say(&format!("span {name}"), |line| attributes.record(line));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let span = context.span(id);
        if span.is_some_and(|span| ours(span.metadata().target())) {
            self.say("recorded", |line| values.record(line));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if ours(event.metadata().target()) {
            let level = event.metadata().level();
            self.say(&format!("{level}"), |line| event.record(line));
        }
    }
}

#[tokio::test]
async fn a_refresh_is_a_span_that_says_what_came_of_it_and_not_whose_it_is() {
    let spans = Spans::default();
    let _traced =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let world = World::new().await;
    let oauth = world.oauth();
    oauth.follow_changes().await.unwrap();
    let owner = "somebody@example.com";
    let login = world.login(&oauth, "alice").await.unwrap();
    let kept = oauth.keep_login(&login, owner, None).await.unwrap();
    let grant = oauth.client(CLIENT).unwrap().owner(owner);
    let before = grant.token().await.unwrap().generation();
    grant.refresh().await.unwrap();
    let text = spans.text();
    for expected in [
        "span refresh client=\"op\" key=op#",
        "attempt=",
        "recorded outcome=\"refreshed\"",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(
        text.contains(&format!("recorded generation={before}")),
        "{text}"
    );
    // The attempt's head leads to the record's trail.
    let told = oauth.explain(&TokenKey::new(CLIENT, owner).unwrap()).await;
    let told = told.unwrap();
    let attempt = &told.trail.last().unwrap().by;
    assert!(text.contains(&format!("attempt={attempt:?}")), "{text}");

    // Everything that goes wrong, with what it says.
    let faults = world.provider.faults();
    let rule = faults.on(Endpoint::Token, Fault::DropAfter);
    grant.refresh().await.unwrap_err();
    rule.off();
    world.advance(Duration::from_secs(600));
    world.store.on(Method::Write, StoreFault::Fail);
    let _ = grant.refresh().await;
    world.store.clear();
    world.clock.advance(Duration::from_secs(5));
    oauth.drain(crate::world::PATIENCE).await.unwrap();
    oauth.log_out(&kept.session.unwrap(), None).await.unwrap();
    grant.revoke().await.unwrap();
    let _ = oauth.forget(owner).await.unwrap();
    let text = spans.text();
    assert!(
        text.contains("it is not known whether the refresh token was spent"),
        "{text}"
    );
    assert!(
        text.contains("recorded outcome=\"provider_error\"")
            || text.contains("recorded outcome=\"provider_unavailable\""),
        "{text}"
    );
    assert!(text.contains("token update"), "{text}");
    assert!(!text.contains("somebody"), "{text}");
}
