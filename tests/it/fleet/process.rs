//! One process of a fleet: how it is started, and what it does.

use std::{process::Stdio, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokenkeep::{KeyRing, OAuth, ProviderProfile, Registration, Reuse, SystemClock};
use tokenkeep_testing::Provider;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{callback, kill, race};
use crate::{
    kind::{self, Place},
    world::{CLIENT, key},
};

/// What turns the test `process` into a process of a fleet.
const ORDER: &str = "TOKENKEEP_IT_FLEET";

/// What a process needs to know.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Order {
    pub(super) store: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) ring: String,
    /// Milliseconds of [`Reuse::Replay`]; none for a strict provider.
    pub(super) replay: Option<u64>,
    /// A request may take this many milliseconds; leases are three times as long.
    pub(super) request_timeout: u64,
    /// Where its dice begin.
    pub(super) seed: u64,
    pub(super) task: Task,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum Task {
    /// Refresh alice's token again and again, up to this generation.
    Race { last: u64 },
    /// Use and refresh everybody's tokens until told to end.
    Hammer { owners: u64 },
    /// Read the answer to a login, several times at once, when told to end.
    CallBack { query: String, cookies: String },
}

impl Order {
    /// A task over a place, at a strict provider.
    pub(super) fn over(place: &Place, provider: &Provider, task: Task) -> Self {
        Self {
            store: place.url().to_owned(),
            issuer: provider.issuer().to_owned(),
            client_id: provider.client_id().to_owned(),
            client_secret: provider.client_secret().to_owned(),
            ring: key("a", 7),
            replay: None,
            request_timeout: 10_000,
            seed: 0,
            task,
        }
    }

    pub(super) async fn oauth(&self) -> OAuth {
        let mut profile = ProviderProfile::new();
        if let Some(window) = self.replay {
            profile = profile.reuse(Reuse::Replay(Duration::from_millis(window)));
        }
        let timeout = Duration::from_millis(self.request_timeout);
        OAuth::builder()
            .shared_store(kind::open(&self.store, Arc::new(SystemClock)).await)
            .key_ring(KeyRing::parse(&self.ring).unwrap())
            .request_timeout(timeout)
            .commit_budget(timeout)
            .lease(timeout * 3)
            .base_url(crate::world::BASE)
            .register(
                Registration::openid(CLIENT, &self.issuer)
                    .client_id(&self.client_id)
                    .client_secret(self.client_secret.clone())
                    .scopes(["openid", "offline_access"])
                    .profile(profile),
            )
            .build()
            .unwrap()
    }
}

/// A running process, killed when it is dropped.
pub(super) struct Process {
    child: Child,
    said: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    pub(super) fn start(order: &Order) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fleet::process::process", "--nocapture"])
            .env(ORDER, serde_json::to_string(order).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            said: Some(said),
        }
    }

    /// The lines that it prints.
    pub(super) fn said(&mut self) -> Lines<BufReader<ChildStdout>> {
        self.said.take().unwrap()
    }

    /// Ends it in the middle of whatever it does.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to finish what it does.
    pub(super) fn ask_to_end(&mut self) {
        drop(self.child.stdin.take());
    }

    pub(super) async fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().await.unwrap()
    }
}

/// A process of a fleet; without an order it has nothing to do.
#[test]
fn process() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let order: Order = serde_json::from_str(&order).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let oauth = order.oauth().await;
        match &order.task {
            Task::Race { last } => race::run(&oauth, *last, order.seed).await,
            Task::Hammer { owners } => kill::run(&oauth, *owners, order.seed).await,
            Task::CallBack { query, cookies } => callback::run(&oauth, query, cookies).await,
        }
        assert_eq!(oauth.drain(crate::world::PATIENCE).await.unwrap(), 0);
        println!("drained");
    });
}
