//! What a store's author can lend the kit.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokenkeep_core::store::{DynTokenStore, TokenStore};

pub(super) type Hook<A, T> =
    Arc<dyn Fn(A) -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync>;

/// How time passes for the store, in the trials of expiry.
#[derive(Clone)]
pub(super) enum Passing {
    Moved(Hook<Duration, ()>),
    Real,
}

/// A hand for the trials that cannot do with a store alone.
///
/// ```
/// # use std::time::Duration;
/// # use tokenkeep_memory::MemoryStore as MyStore;
/// # use tokenkeep_testing::conformance::{Options, check_with};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = MyStore::new();
/// let twin = store.clone();
/// let options = Options::new()
///     .second_handle(move || { let twin = twin.clone(); async move { twin } })
///     .wait(Duration::from_secs(20));
/// check_with(options, || async { store }).await.assert();
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    pub(super) second_handle: Option<Hook<(), DynTokenStore>>,
    pub(super) time: Option<Passing>,
    pub(super) only: String,
    /// How many further ones, and the name of the test that they run.
    pub(super) processes: Option<(usize, String)>,
    pub(super) location: Option<String>,
    pub(super) wait: Duration,
    pub(super) patience: Duration,
}

impl Options {
    /// No hand at all.
    #[must_use]
    pub fn new() -> Self {
        Self {
            second_handle: None,
            time: None,
            only: String::new(),
            processes: None,
            location: None,
            wait: Duration::from_secs(10),
            patience: Duration::from_secs(60),
        }
    }

    /// Makes another handle to the same data, over connections and caches of its own, as another process would have it.
    /// Where a process can open the data only once (LMDB, redb), a clone will do; [`processes`](Self::processes) tries
    /// the rest.
    #[must_use]
    pub fn second_handle<S, F>(mut self, make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        S: TokenStore,
        F: Future<Output = S> + Send + 'static,
    {
        self.second_handle = Some(Arc::new(move |()| {
            let made = make();
            Box::pin(async move { Arc::new(made.await) as DynTokenStore })
        }));
        self
    }

    /// Moves the store's time on, for the trials of expiry: by some hours, and never back. For a store whose clock is
    /// the author's to set. It is the time of this handle and of the second one; further processes are not asked for
    /// theirs.
    #[must_use]
    pub fn fast_forward<F>(mut self, by: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.time = Some(Passing::Moved(Arc::new(move |time| Box::pin(by(time)))));
        self
    }

    /// Lets the trials of expiry wait for real, for 3 s each at most: for a store whose time is its server's, which
    /// nobody can move. The last of `fast_forward` and this one counts.
    #[must_use]
    pub fn real_time(mut self) -> Self {
        self.time = Some(Passing::Real);
        self
    }

    /// Lets as many further processes use the store beside this one, for the trials of `processes/`: between 1 and 16.
    ///
    /// `test` is the full name of the test that makes this call, as `cargo test` prints it, such as
    /// `stores::mine_conforms`. Each further process is this program again, running this test alone. What the test does
    /// before it calls [`check_with`](super::check_with) is done in each of them, too; there, the call makes a store by
    /// the same closure, serves the first process, and never returns. A further process ends with the first one.
    ///
    /// If the data's place is made up anew by each run, such as a fresh database, the first process says where it is by
    /// [`location`](Self::location). The environment is passed on as it is. What a further process prints is shown if it
    /// ends too early.
    ///
    /// The module's [example](super#for-a-store-that-a-fleet-uses) shows a whole test. A store that does not claim
    /// [`shared`](tokenkeep_core::store::Capabilities::shared) is not tried so.
    #[must_use]
    pub fn processes(mut self, further: usize, test: impl Into<String>) -> Self {
        self.processes = Some((further.clamp(1, 16), test.into()));
        self
    }

    /// Tells further [`processes`](Self::processes) where the data is: a path, a URL, a prefix, or whatever the test
    /// makes of it. They get it from [`location`](super::location). It is passed by the environment and printed
    /// nowhere.
    #[must_use]
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Runs only the trials whose name begins so, such as `race/` or `keys/case`: for looking into one that fails.
    #[must_use]
    pub fn only(mut self, names: impl Into<String>) -> Self {
        self.only = names.into();
        self
    }

    /// How long to wait for an entry of the change feed before it counts as lost: 10 s unless told.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.wait = time;
        self
    }

    /// How long one trial may take before it counts as failed: 60 s unless told.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }
}

impl Passing {
    fn name(&self) -> &'static str {
        match self {
            Self::Moved(_) => "moved",
            Self::Real => "real",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("second_handle", &self.second_handle.is_some())
            .field("time", &self.time.as_ref().map(Passing::name))
            .field("only", &self.only)
            .field("processes", &self.processes)
            // It may hold a password.
            .field("location", &self.location.is_some())
            .field("wait", &self.wait)
            .field("patience", &self.patience)
            .finish()
    }
}
