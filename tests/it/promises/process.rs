//! One process of the fleet: a registry with probes at its seams, and somebody who listens.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokenkeep::{
    ErrorCode, KeyRing, OAuth, Registration, SystemClock, Token, TokenUpdate, TokenUpdates,
};
use tokio::{
    process::{Child, Command},
    runtime::{Handle, Runtime},
    task::JoinHandle,
};

use super::{
    history::History,
    point::Effect,
    probe::{Line, Looks, Probe, Seam},
};
use crate::{
    faulty::Faulty,
    kind,
    world::{BASE, CLIENT, World, alice, told},
};

/// What a caller of a refresh gets, as far as callers can compare it.
pub(super) type Got = Result<(u64, String), ErrorCode>;

pub(super) fn got(result: tokenkeep::Result<Token>) -> Got {
    let comparable = |token: Token| (token.generation(), token.access_token().expose().to_owned());
    result.map(comparable).map_err(|error| error.code())
}

pub(super) struct Process {
    pub(super) name: &'static str,
    pub(super) oauth: OAuth,
    pub(super) store: Faulty,
    pub(super) probe: Arc<Probe>,
    pub(super) runtime: Handle,
    updates: TokenUpdates,
    /// What its subscriber heard, session records left out.
    pub(super) heard: Vec<TokenUpdate>,
}

impl Process {
    /// Starts a process whose keys are `ring`, on this runtime.
    pub(super) async fn start(
        world: &World,
        name: &'static str,
        ring: &str,
        history: &Arc<History>,
        busy: &Arc<AtomicUsize>,
    ) -> Self {
        let probe = Probe::new(name, false, history, busy);
        let store = world.another_store().await.probed(Arc::clone(&probe) as _);
        let oauth = world
            .bare(&store)
            .key_ring(KeyRing::parse(ring).unwrap())
            .transport(Line::new(&probe))
            .hook(Looks(Arc::clone(&probe)))
            .register(world.registration())
            .build()
            .unwrap();
        oauth.follow_changes().await.unwrap();
        let updates = oauth.token_updates().unwrap();
        Self {
            name,
            oauth,
            store,
            probe,
            runtime: Handle::current(),
            updates,
            heard: Vec::new(),
        }
    }

    /// Starts a caller who wants a newer token than there is.
    pub(super) fn refresh(&self) -> JoinHandle<Got> {
        let (grant, probe) = (alice(&self.oauth), Arc::clone(&self.probe));
        self.runtime.spawn(async move {
            let asks = async { probe.asking.fetch_add(1, Ordering::SeqCst) };
            let (answer, _) = tokio::join!(biased; grant.refresh(), asks);
            got(answer)
        })
    }

    /// Starts a caller who wants any token that is good.
    pub(super) fn token(&self) -> JoinHandle<tokenkeep::Result<Token>> {
        let grant = alice(&self.oauth);
        self.runtime.spawn(async move { grant.token().await })
    }

    /// Starts to wait until nothing is under way.
    pub(super) fn drain(&self, timeout: std::time::Duration) -> JoinHandle<usize> {
        let oauth = self.oauth.clone();
        self.runtime
            .spawn(async move { oauth.drain(timeout).await.unwrap() })
    }

    /// Takes what its subscriber was sent meanwhile.
    pub(super) fn listen(&mut self) {
        let news = told(&mut self.updates);
        let of_a_grant = |update: &TokenUpdate| update.key().is_none_or(|key| key.is_account());
        self.heard.extend(news.into_iter().filter(of_a_grant));
    }
}

/// A runtime of its own, which can be ended with everything in it: a process that shares the test's memory.
pub(super) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    pub(super) fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(Some(
            builder.worker_threads(1).enable_all().build().unwrap(),
        ))
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.0.as_ref().unwrap().spawn(work).await.unwrap()
    }

    /// Drops every task at once, wherever it stands.
    pub(super) async fn end(&mut self) {
        let runtime = self.0.take().unwrap();
        tokio::task::spawn_blocking(move || drop(runtime))
            .await
            .unwrap();
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What turns the test [`victim`] into a process of the fleet, as fields separated by line breaks.
const VICTIM: &str = "TOKENKEEP_IT_VICTIM";

const SEAMS: [Seam; 12] = [
    Seam::Read,
    Seam::Begin,
    Seam::Begun,
    Seam::Send,
    Seam::Sent,
    Seam::Processed,
    Seam::Answer,
    Seam::Parsed,
    Seam::Commit,
    Seam::Committed,
    Seam::Hook,
    Seam::Feed,
];

/// Starts a process of its own that refreshes, and dies at the seam; without one it waits to be killed.
pub(super) fn spawn(world: &World, ring: &str, history: &History, seam: Option<Seam>) -> Child {
    let provider = &world.provider;
    let what = [
        world.url(),
        provider.issuer(),
        provider.client_id(),
        provider.client_secret(),
        ring,
        history.path(),
        &seam.map(|seam| format!("{seam:?}")).unwrap_or_default(),
    ];
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "promises::process::victim", "--nocapture"])
        .env(VICTIM, what.join("\n"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The process that dies; without its variable it has nothing to do.
#[test]
fn victim() {
    let Ok(what) = std::env::var(VICTIM) else {
        return;
    };
    let fields: Vec<&str> = what.split('\n').collect();
    let [url, issuer, id, secret, ring, history, seam] = fields[..] else {
        panic!("a victim has seven fields");
    };
    let seam = SEAMS.into_iter().find(|known| format!("{known:?}") == seam);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let history = Arc::new(History::at(history));
        let probe = Probe::new("victim", true, &history, &Arc::default());
        let store = Faulty::new(kind::open(url, Arc::new(SystemClock)).await);
        let oauth = OAuth::builder()
            .store(store.probed(Arc::clone(&probe) as _))
            .key_ring(KeyRing::parse(ring).unwrap())
            .base_url(BASE)
            .transport(Line::new(&probe))
            .hook(Looks(Arc::clone(&probe)))
            .register(
                Registration::openid(CLIENT, issuer)
                    .client_id(id)
                    .client_secret(secret),
            )
            .build()
            .unwrap();
        let grant = alice(&oauth);
        grant.token().await.unwrap();
        if let Some(seam) = seam {
            probe.arm(seam, Effect::Kill, false, false);
        }
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let grant = grant.clone();
                tokio::spawn(async move { grant.refresh().await })
            })
            .collect();
        for caller in callers {
            drop(caller.await);
        }
    });
    // It is over, and nobody killed it.
    std::process::exit(3);
}
