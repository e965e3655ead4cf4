//! One attempt to refresh one key: from the lease to the commit or the failure.

use std::time::Duration;

use tokio::sync::watch;

use super::{
    circuit::{Pass, Sign},
    coordinator::Landing,
    decide::{self, AfterFailure, By},
    keeper::{Keeper, no_token},
    refusal::{cooling, key_missing, needs_login},
    snapshot::{Entry, Need, Snapshot},
    source::{Ask, ClientTerms},
    transact::Announce,
    transition::{self, Begin, Binding, Fail, Failure, Line, Login, OVERTOOK, Terms},
};
use crate::{
    Action, Error, NeedsLoginCause, Owner, Phase, Result, Target, Timestamp, TokenKey,
    events::TokenUpdate,
    measure,
    store::Index,
    token::{
        GrantId, Payload, Record, State, Step, TokenAnswer, TokenFailure, TrailEntry, Verdict,
    },
};

/// One attempt to refresh one key.
pub(super) struct Refresh<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) key: &'a TokenKey,
    pub(super) entry: &'a Entry,
    pub(super) target: &'a Target,
    pub(super) need: Need,
    pub(super) attempt: String,
    pub(super) landing: &'a watch::Sender<Landing>,
}

/// What the attempt holds once it has the lease.
struct Granted {
    record: Record,
    line: Line,
    terms: ClientTerms,
    /// Monotonic: all requests of the attempt, and its commit, end before it.
    deadline: Duration,
    /// The store's time at the monotonic time `at`.
    now: Timestamp,
    at: Duration,
}

impl Refresh<'_> {
    pub(super) async fn run(&self) -> Result<()> {
        let (client, shared) = (self.key.client(), &self.keeper.0);
        shared.breakers.check(
            client,
            self.target,
            self.key.hash_value(),
            shared.clock.monotonic(),
        )?;
        let pass = shared
            .circuits
            .pass(client, shared.clock.monotonic())
            .map_err(|wait| cooling(self.key, wait))?;
        shared.source.prepare(client).await?;
        let terms = shared.source.terms(client).await?;
        if self.is_of_the_app() {
            self.found_app_grant(&terms.binding).await?;
        }
        match self.begin(terms).await? {
            None => {
                measure::refresh_ended(client, "elsewhere");
                Ok(())
            }
            Some(granted) => self.send(granted, &pass).await,
        }
    }

    fn is_of_the_app(&self) -> bool {
        *self.key.owner() == Owner::App
    }

    /// The application's own grant is a row like any other: somebody has to insert it before a lease can be taken. One that
    /// no refresh can help begins anew, for nobody could log in: it is dead, or was issued to another registration.
    async fn found_app_grant(&self, binding: &Binding) -> Result<()> {
        let (look, _) = self.keeper.load(self.key, self.entry).await?;
        let first = match &look.record {
            None => None,
            Some(record) if record.header.state == State::Active && binding.fits(record) => {
                return Ok(());
            }
            Some(record) => Some(record.header.grant_id),
        };
        let login = Login {
            attempt: crate::seal::random_id(),
            grant_id: GrantId::random(),
            index: Index {
                issuer: Some(binding.issuer.published().to_owned()),
                ..Index::default()
            },
            client_id: Some(binding.client_id.clone()),
            payload: Payload::default(),
            never_rotates: true,
            step: Step::Login,
            client_credentials: true,
        };
        self.keeper
            .transact(self.key, Announce::Lease, |row, now| {
                transition::login(row, first, &login, now)
            })
            .await
            .map(drop)
    }

    /// Takes the lease, or waits for whoever has it. None: another process has refreshed meanwhile.
    async fn begin(&self, client: ClientTerms) -> Result<Option<Granted>> {
        let (keeper, clock, timing) = (self.keeper, &self.keeper.0.clock, self.keeper.0.timing);
        let began = clock.monotonic();
        let (give_up, mut waited) = (began + timing.lease * 3, false);
        loop {
            // Listen first: a change between the look and the wait must not be missed.
            let mut changed = std::pin::pin!(self.entry.changed.notified());
            let (look, snapshot) = keeper.load(self.key, self.entry).await?;
            changed.as_mut().enable();
            let now_usable = |snapshot: &Snapshot| {
                snapshot
                    .usable(self.target, self.need, clock.monotonic())
                    .is_some_and(|held| {
                        // A background renewal is done only by a token that does not want one.
                        self.need != Need::default() || !held.wants_refresh(clock.monotonic())
                    })
            };
            if snapshot.as_deref().is_some_and(now_usable) {
                if waited {
                    measure::waited(self.key.client(), clock.monotonic().saturating_sub(began));
                }
                return Ok(None);
            }
            let Some(record) = &look.record else {
                return Err(no_token(self.key));
            };
            let line = Line::of(record);
            let done = keeper
                .transact(self.key, Announce::Lease, |row, now| {
                    let terms = Terms {
                        now,
                        lease: timing.lease,
                        commit_budget: timing.commit_budget,
                        heed_cooling: true,
                    };
                    transition::begin(row, line, &self.attempt, &client.binding, terms)
                })
                .await?;
            let wait = match (done.outcome, done.record) {
                (Begin::Granted { until }, Some(record)) => {
                    let deadline = done.at + until.since(done.now);
                    self.note_grant(
                        &record,
                        waited.then(|| clock.monotonic().saturating_sub(began)),
                    );
                    return Ok(Some(Granted {
                        record,
                        line,
                        terms: client,
                        deadline,
                        now: done.now,
                        at: done.at,
                    }));
                }
                (Begin::Busy { until }, _) => {
                    waited = true;
                    until.since(done.now)
                }
                (Begin::Cooling { until }, _) => {
                    return Err(cooling(self.key, until.since(done.now)));
                }
                (Begin::NeedsLogin { cause }, _) => return Err(needs_login(self.key, cause)),
                (Begin::KeyMissing, _) => return Err(key_missing(self.key)),
                (Begin::Gone, _) => return Err(no_token(self.key)),
                (Begin::Moved | Begin::Granted { .. }, _) => Duration::ZERO,
            };
            if clock.monotonic() > give_up {
                return Err(cooling(self.key, Duration::from_secs(1)));
            }
            if !wait.is_zero() {
                let [random] = crate::seal::random::<1>();
                let poll = Duration::from_millis(50 + u64::from(random) * 200 / 255);
                tokio::select! {
                    () = changed => {}
                    () = clock.sleep(poll.min(wait + Duration::from_millis(1))) => {}
                }
            }
        }
    }

    /// Says in the span, and counts, how the lease was come by.
    fn note_grant(&self, record: &Record, waited: Option<Duration>) {
        tracing::Span::current().record("generation", record.header.generation);
        if let Some(waited) = waited {
            measure::waited(self.key.client(), waited);
        }
        let overtook = |entry: &TrailEntry| entry.step == Step::Begin && entry.note == OVERTOOK;
        if record.header.trail.last().is_some_and(overtook) {
            tracing::warn!("a lease was overtaken: its holder died, or was slow");
            measure::lease_overtaken(self.key.client());
        }
    }

    /// Sends the refresh token, as often as the provider's profile allows, and writes what comes of it.
    async fn send(&self, granted: Granted, pass: &Pass<'_>) -> Result<()> {
        let (keeper, clock, timing) = (self.keeper, &self.keeper.0.clock, self.keeper.0.timing);
        let profile = granted.terms.profile;
        let mut payload = granted.record.payload().cloned().unwrap_or_default();
        if payload.refresh_token.is_none() && !self.is_of_the_app() {
            // The plain header said that it can be renewed, and the sealed payload knows better. The client's own
            // credentials are no way to renew a user's token: it would become the application's.
            keeper
                .transact(self.key, Announce::Lease, |row, now| {
                    transition::release(row, &self.attempt, true, now)
                })
                .await?;
            return Err(needs_login(self.key, NeedsLoginCause::NotRefreshable));
        }
        let journal = granted.record.header.attempt.clone();
        let since = journal
            .as_ref()
            .map_or(granted.now, |journal| journal.since);
        let mut maybe_sent = decide::maybe_sent(journal.as_ref(), &self.attempt);
        if maybe_sent && let Some(until) = self.leave_until(&granted, since) {
            return self.leave(&granted, until).await;
        }
        let mut unprocessed = true;
        for round in 0.. {
            let started = clock.monotonic();
            if !decide::may_start(started, granted.deadline, &timing) {
                let done = keeper
                    .transact(self.key, Announce::Lease, |row, now| {
                        transition::release(row, &self.attempt, unprocessed, now)
                    })
                    .await;
                tracing::warn!(key = %self.key.mark(), released = done.is_ok(), "the lease was too short for a request");
                break;
            }
            let ask = Ask {
                key: self.key,
                refresh_token: payload.refresh_token.as_ref(),
                target: self.target,
                timeout: timing.request,
            };
            let asked = keeper.0.source.ask(ask).await;
            let failure = asked.as_ref().err().map(|failure| failure.verdict);
            let took = clock.monotonic().saturating_sub(started);
            // Whoever counts waits until a good answer is safe.
            let counted = || measure::token_request(self.key.client(), failure, took);
            match asked {
                Ok(answer) => {
                    let (client, grant) = (self.key.client(), self.key.hash_value());
                    keeper.0.breakers.accepted(client, self.target, grant);
                    self.heard(pass, Sign::Up, None);
                    let asked_at = granted.now + started.saturating_sub(granted.at);
                    let done = self.commit(granted, payload, answer, asked_at).await;
                    counted();
                    return done;
                }
                Err(failure) => {
                    counted();
                    let verdict = failure.verdict;
                    unprocessed &= verdict.proves_unprocessed();
                    if verdict == Verdict::Ambiguous {
                        let answer = failure.in_short();
                        tracing::warn!(
                            answer,
                            "it is not known whether the refresh token was spent"
                        );
                    }
                    // The client's own credentials are not spent.
                    let replays = payload.refresh_token.is_none()
                        || decide::replays(profile, since, self.now(&granted));
                    if !decide::again(verdict, round, replays) {
                        let by = By::of(self.is_of_the_app(), payload.refresh_token.is_some());
                        let next = decide::after_failure(
                            verdict,
                            by,
                            maybe_sent,
                            profile,
                            self.near_end(&granted),
                        );
                        if next == AfterFailure::AskByOwnGrant {
                            if !self.forsake(&granted, &failure.in_short()).await? {
                                return self.quicker().await;
                            }
                            payload.refresh_token = None;
                            continue;
                        }
                        let sign = Sign::of(verdict, &failure.error);
                        self.heard(pass, sign, Some(&failure.error));
                        return self.failed(granted, failure, unprocessed, next).await;
                    }
                    maybe_sent |= verdict == Verdict::Ambiguous;
                    keeper.pause(round + 4).await;
                }
            }
        }
        Err(cooling(self.key, Duration::from_secs(1)))
    }

    /// Whether the provider is there, for the other grants of the client.
    fn heard(&self, pass: &Pass<'_>, sign: Sign, error: Option<&Error>) {
        let [jitter] = crate::seal::random::<1>();
        let now = self.keeper.0.clock.monotonic();
        if pass.said(sign, self.key.hash_value(), now, jitter)
            && let Some(error) = error
        {
            self.keeper.events().send(TokenUpdate::ProviderDegraded {
                client: self.key.client().to_owned(),
                code: error.code(),
            });
        }
    }

    /// A refresh token that may have been spent by somebody who vanished is left alone until the access token is nearly
    /// over, unless the provider takes it again or an API refused the access token.
    fn leave_until(&self, granted: &Granted, since: Timestamp) -> Option<Timestamp> {
        if self.need.newer_than.is_some()
            || decide::replays(granted.terms.profile, since, granted.now)
        {
            return None;
        }
        self.near_end(granted)
    }

    /// The store's time.
    fn now(&self, granted: &Granted) -> Timestamp {
        granted.now + self.keeper.0.clock.monotonic().saturating_sub(granted.at)
    }

    /// When the access token is nearly over, if it is not over yet.
    fn near_end(&self, granted: &Granted) -> Option<Timestamp> {
        let snapshot = self.entry.latest()?;
        let held = snapshot.usable(
            self.target,
            Need::default(),
            self.keeper.0.clock.monotonic(),
        )?;
        Some(held.expires_at? - Duration::from_secs(30)).filter(|at| *at > granted.now)
    }

    /// Serves the access token that is there, and leaves the one try for the end of it.
    async fn leave(&self, granted: &Granted, until: Timestamp) -> Result<()> {
        let why = "not asked: the refresh token may have been spent";
        self.write_failure(granted, Failure::Cool { until }, true, why)
            .await?;
        measure::refresh_ended(self.key.client(), "postponed");
        Ok(())
    }

    /// Keeps an answer: nothing stands between parsing and commit.
    async fn commit(
        &self,
        granted: Granted,
        begun: Payload,
        answer: TokenAnswer,
        asked_at: Timestamp,
    ) -> Result<()> {
        super::commit::Commit {
            keeper: self.keeper,
            key: self.key,
            entry: self.entry,
            target: self.target,
            attempt: &self.attempt,
            line: granted.line,
            terms: &granted.terms,
            begun,
            issuer: granted
                .record
                .index
                .issuer
                .clone()
                .or_else(|| granted.terms.binding.issuer.only().map(str::to_owned)),
            subject: granted.record.index.subject.clone(),
        }
        .run(answer, asked_at, || {
            // The token can be served before the store has taken it.
            self.landing
                .send_if_modified(|landing| landing.replace(Ok(())).is_none());
        })
        .await
    }

    /// Writes a failure, and says what it means for the callers.
    async fn failed(
        &self,
        granted: Granted,
        failure: TokenFailure,
        unprocessed: bool,
        next: AfterFailure,
    ) -> Result<()> {
        let keeper = self.keeper;
        let header = &granted.record.header;
        let now = self.now(&granted);
        let in_short = failure.in_short();
        let error = failure
            .error
            .in_phase(Phase::Refresh)
            .with_client(self.key.client());
        let until = match next {
            AfterFailure::DeclareDead { cause } => {
                return self.declare_dead(&granted, cause, &in_short).await;
            }
            AfterFailure::Release | AfterFailure::AskByOwnGrant => {
                keeper
                    .transact(self.key, Announce::Lease, |row, now| {
                        transition::release(row, &self.attempt, unprocessed, now)
                            .answered(&in_short)
                    })
                    .await?;
                let (client, now) = (self.key.client(), keeper.0.clock.monotonic());
                let grant = self.key.hash_value();
                let breakers = &keeper.0.breakers;
                if breakers.refused(client, self.target, grant, &error, now) {
                    keeper.events().send(TokenUpdate::ProviderDegraded {
                        client: client.to_owned(),
                        code: error.code(),
                    });
                }
                return Err(error.with_action(Action::Configure));
            }
            AfterFailure::CoolFor { wait } => now + wait,
            AfterFailure::CoolUntil { until } => until,
            AfterFailure::BackOff => now + back_off(header.failures),
        };
        let wait = until.since(now);
        let written = self
            .write_failure(&granted, Failure::Cool { until }, unprocessed, &in_short)
            .await?;
        if written {
            keeper.tell(self.key, &granted.record, now, |grant| {
                TokenUpdate::RefreshFailed {
                    grant,
                    code: error.code(),
                    retry_at: Some(until),
                }
            });
        }
        Err(error.with_action(Action::Retry { after: Some(wait) }))
    }

    /// `invalid_grant`: not proof. Another look comes first, then the grace of an attempt that was overtaken.
    async fn declare_dead(
        &self,
        granted: &Granted,
        cause: NeedsLoginCause,
        answer: &str,
    ) -> Result<()> {
        let dead = Failure::NeedsLogin { cause };
        if self.write_failure(granted, dead, false, answer).await? {
            let now = self.now(granted);
            self.keeper.tell(self.key, &granted.record, now, |grant| {
                TokenUpdate::NeedsLogin { grant, cause }
            });
            return Err(needs_login(self.key, cause));
        }
        self.quicker().await
    }

    /// Drops a refresh token of the application's that the provider does not take, and keeps the lease. Answers whether it was
    /// this attempt's to drop.
    async fn forsake(&self, granted: &Granted, answer: &str) -> Result<bool> {
        tracing::info!(
            key = %self.key.mark(),
            "the provider does not take the application's refresh token: it is asked by the grant that gave it"
        );
        self.write_failure(granted, Failure::Forsaken, false, answer)
            .await
    }

    /// What there is, where the row is not this attempt's any more.
    async fn quicker(&self) -> Result<()> {
        // Somebody was quicker: if that helps, the callers find it in the snapshot.
        let (_, snapshot) = self.keeper.load(self.key, self.entry).await?;
        match snapshot.map(|snapshot| snapshot.state) {
            Some(State::Active) => {
                measure::refresh_ended(self.key.client(), "elsewhere");
                Ok(())
            }
            Some(State::NeedsLogin { cause }) => Err(needs_login(self.key, cause)),
            _ => Err(no_token(self.key)),
        }
    }

    /// Writes a failure once the grace is over. Answers whether it was this attempt's to write.
    async fn write_failure(
        &self,
        granted: &Granted,
        failure: Failure,
        unprocessed: bool,
        answer: &str,
    ) -> Result<bool> {
        loop {
            let done = self
                .keeper
                .transact(self.key, Announce::Yes, |row, now| {
                    transition::fail(row, granted.line, &self.attempt, failure, unprocessed, now)
                        .answered(answer)
                })
                .await?;
            match done.outcome {
                Fail::Written => return Ok(true),
                Fail::NotMine => return Ok(false),
                Fail::Grace { until } => {
                    let wait = until.since(done.now).min(Duration::from_millis(250));
                    self.keeper
                        .0
                        .clock
                        .sleep(wait + Duration::from_millis(1))
                        .await;
                }
            }
        }
    }
}

/// 1 s doubling to 5 min, with up to a quarter more, so that a fleet does not come back at once.
fn back_off(failures: u32) -> Duration {
    let base = Duration::from_secs(1 << failures.min(9)).min(Duration::from_secs(300));
    let [random] = crate::seal::random::<1>();
    base + base * u32::from(random) / (4 * 255)
}
