//! One refresh for the whole fleet: callers join a flight, one flight a key, in a task that no caller can cancel.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderValue;
use tokio::sync::watch;
use tracing::{Instrument, field};

use super::{
    attempt::Refresh,
    keeper::{Keeper, no_token},
    refusal::{key_missing, needs_login},
    snapshot::{Entry, Need, Snapshot},
};
use crate::{
    Action, Error, ErrorCode, NeedsLoginCause, Owner, Phase, Result, Target, Token, TokenKey,
    measure, token::State,
};

/// The flights under way, by key.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<TokenKey, Flight>>);

pub(super) type Landing = Option<std::result::Result<(), Arc<Error>>>;

/// A refresh under way: its result is there before the task ends, if the commit is still pending.
#[derive(Clone, Debug)]
struct Flight {
    target: Target,
    landing: watch::Receiver<Landing>,
}

impl Flight {
    fn is(&self, other: &Self) -> bool {
        self.landing.same_channel(&other.landing)
    }

    /// Can somebody new wait for it? A failure is for those who asked before it.
    fn can_be_joined(&self) -> bool {
        self.landing.has_changed().is_ok() && !matches!(&*self.landing.borrow(), Some(Err(_)))
    }

    /// Waits until its task is over.
    async fn ended(mut self) {
        let _ = self.landing.wait_for(|_| false).await;
    }
}

/// How a snapshot's token is handed out.
pub(crate) type Held<T> = fn(&super::snapshot::Held) -> T;

impl Keeper {
    /// A token that fits the need: from the snapshot, from the store, or from the provider.
    ///
    /// Dropping the future changes nothing: whatever refresh it waited for goes on.
    pub(crate) async fn token<T>(
        &self,
        key: &TokenKey,
        target: &Target,
        need: Need,
        take: Held<T>,
    ) -> Result<T> {
        let entry = self.0.snapshots.entry(key);
        let mut last: Option<Arc<Error>> = None;
        let mut landed: Option<Flight> = None;
        // A flight for another target, or one that vanished, is no answer: join the next.
        for _ in 0..16 {
            let known = entry.latest();
            let held = |snapshot: &Snapshot| {
                snapshot
                    .usable(target, need, self.0.clock.monotonic())
                    .map(|held| (take(held), held.wants_refresh(self.0.clock.monotonic())))
            };
            match self.snapshot(key, &entry).await {
                Ok(snapshot) => {
                    if let Some(snapshot) = &snapshot
                        && let Some((token, wants_refresh)) = held(snapshot)
                    {
                        if wants_refresh && self.may_renew_in_background(key, snapshot) {
                            self.flight(key, &entry, target, Need::default());
                        }
                        return Ok(token);
                    }
                    if snapshot.is_none() && self.adopt_missing(key, &entry).await? {
                        continue;
                    }
                    self.cannot_refresh(key, snapshot.as_deref(), need)?;
                }
                // The store does not answer: an unexpired token is served all the same (G7).
                Err(error) => {
                    return known
                        .as_deref()
                        .and_then(held)
                        .map(|(token, _)| token)
                        .ok_or(error);
                }
            }
            if let Some(error) = last {
                return Err(error.duplicate());
            }
            let flight = self.flight(key, &entry, target, need);
            // It brought what it had to bring, and that does not fit: the next one starts when it is over.
            if landed.as_ref().is_some_and(|landed| landed.is(&flight)) {
                flight.ended().await;
                continue;
            }
            last = self.land(flight.clone(), target).await;
            landed = Some(flight);
        }
        Err(Error::new(
            ErrorCode::RefreshUnavailable,
            Phase::Refresh,
            "other refreshes of this key go on and on",
        )
        .with_client(key.client()))
    }

    /// The header of the login's own token, if it is ready in memory.
    pub(crate) fn ready_header(&self, key: &TokenKey) -> Option<HeaderValue> {
        self.0.snapshots.ready_login(key, self.0.clock.monotonic())
    }

    /// The header of a token that has to be looked up or renewed first.
    #[cold]
    pub(crate) async fn header(&self, key: &TokenKey, target: &Target) -> Result<HeaderValue> {
        self.token(key, target, Need::default(), |held| held.bearer().cloned())
            .await?
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::Unsupported,
                    Phase::Request,
                    "the token is no bearer token, and no header alone makes a request with it: call the API by get() and its siblings",
                )
                .with_client(key.client())
            })
    }

    /// Why no refresh can help, if that is certain from the snapshot alone.
    fn cannot_refresh(
        &self,
        key: &TokenKey,
        snapshot: Option<&Snapshot>,
        need: Need,
    ) -> Result<()> {
        let app = *key.owner() == Owner::App;
        match snapshot {
            _ if app => Ok(()),
            None => Err(no_token(key)),
            Some(snapshot) if snapshot.state == State::LoggedOut => Err(no_token(key)),
            Some(Snapshot {
                state: State::NeedsLogin { cause },
                ..
            }) => Err(needs_login(key, *cause)),
            Some(snapshot) if snapshot.key_missing => Err(key_missing(key)),
            Some(snapshot) if !snapshot.refreshable => {
                Err(needs_login(key, NeedsLoginCause::NotRefreshable))
            }
            Some(_) if need == Need::default() && !self.0.source.known(key.client()).automatic => {
                Err(Error::new(
                    ErrorCode::RefreshUnavailable,
                    Phase::Refresh,
                    "automatic refresh is turned off for this client, and its token is over; call refresh()",
                )
                .with_client(key.client())
                .with_action(Action::None))
            }
            Some(_) => Ok(()),
        }
    }

    fn may_renew_in_background(&self, key: &TokenKey, snapshot: &Snapshot) -> bool {
        snapshot.state == State::Active
            && !snapshot.key_missing
            && self.0.source.known(key.client()).automatic
            && snapshot
                .not_before
                .is_none_or(|at| at <= self.0.clock.monotonic())
    }

    /// Joins the flight of a key, or starts one.
    fn flight(&self, key: &TokenKey, entry: &Arc<Entry>, target: &Target, need: Need) -> Flight {
        let mut flights = self
            .0
            .flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key).filter(|flight| flight.can_be_joined()) {
            return flight.clone();
        }
        let (sender, landing) = watch::channel(None);
        let flight = Flight {
            target: target.clone(),
            landing,
        };
        flights.insert(key.clone(), flight.clone());
        drop(flights);
        let (keeper, key, entry, target) =
            (self.clone(), key.clone(), Arc::clone(entry), target.clone());
        let attempt = crate::seal::random_id();
        // Whose token it is stands in no log: the attempt's head stands in the record's trail, too.
        let span = tracing::info_span!(
            "refresh",
            client = key.client(),
            key = %key.mark(),
            attempt = attempt.get(..8),
            generation = field::Empty,
            waited_ms = field::Empty,
            outcome = field::Empty,
        );
        let work = async move {
            let ended = Ended {
                keeper: &keeper,
                key: &key,
                landing: sender,
            };
            let result = Refresh {
                keeper: &keeper,
                key: &key,
                entry: &entry,
                target: &target,
                need,
                attempt,
                landing: &ended.landing,
            }
            .run()
            .await;
            if let Err(error) = &result {
                measure::refresh_failed(key.client(), error);
            }
            ended.landing.send_if_modified(|landing| {
                let first = landing.is_none();
                landing.get_or_insert(result.map_err(Arc::new));
                first
            });
        };
        self.spawn(work.instrument(span));
        flight
    }

    /// Waits for a flight's result. None: look again.
    async fn land(&self, mut flight: Flight, target: &Target) -> Option<Arc<Error>> {
        let landed = match flight.landing.wait_for(Option::is_some).await {
            // The task vanished; the next round starts another.
            Err(_) => return None,
            Ok(landing) => landing.clone(),
        };
        match landed {
            Some(Err(error)) if flight.target == *target => Some(error),
            Some(Err(_)) => {
                // It was for another target: wait until it makes room.
                flight.ended().await;
                None
            }
            _ => {
                // Good news; a commit may still be pending. If the snapshot does not fit, the next flight is ours.
                if flight.target != *target {
                    flight.ended().await;
                }
                None
            }
        }
    }

    /// Refreshes now, whatever the expiry says, and answers the new token.
    pub(crate) async fn force(&self, key: &TokenKey, target: &Target) -> Result<Token> {
        let entry = self.0.snapshots.entry(key);
        let (_, mut snapshot) = self.load(key, &entry).await?;
        if snapshot.is_none() && self.adopt_missing(key, &entry).await? {
            snapshot = entry.latest();
        }
        let generation = snapshot.as_ref().map(|snapshot| snapshot.generation);
        self.token(
            key,
            target,
            Need {
                newer_than: generation,
                ..Need::default()
            },
            super::snapshot::Held::token,
        )
        .await
    }

    /// Is a forced refresh of this key paused, because the last ones did not help?
    pub(crate) fn forced_paused(&self, key: &TokenKey) -> bool {
        let entry = self.0.snapshots.entry(key);
        let forced = entry.forced.lock().unwrap_or_else(PoisonError::into_inner);
        forced.until > self.0.clock.monotonic()
    }

    /// A forced refresh did not help: the next ones pause 30 s, doubling to 10 min. One that helped ends that.
    pub(crate) fn forced_helped(&self, key: &TokenKey, helped: bool) {
        let entry = self.0.snapshots.entry(key);
        let mut forced = entry.forced.lock().unwrap_or_else(PoisonError::into_inner);
        if helped {
            *forced = super::snapshot::Forced::default();
        } else {
            forced.pause =
                (forced.pause * 2).clamp(Duration::from_secs(30), Duration::from_secs(600));
            forced.until = self.0.clock.monotonic() + forced.pause;
        }
    }
}

/// Takes a flight off the board when its task ends, however it ends.
struct Ended<'a> {
    keeper: &'a Keeper,
    key: &'a TokenKey,
    landing: watch::Sender<Landing>,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut flights = self
            .keeper
            .0
            .flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if flights
            .get(self.key)
            .is_some_and(|flight| self.landing.subscribe().same_channel(&flight.landing))
        {
            flights.remove(self.key);
        }
    }
}
