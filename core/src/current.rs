//! Whose tokens are meant where nobody says so: an opt-in, for one task at a time.

use std::future::Future;

tokio::task_local! {
    static CURRENT: String;
}

/// Runs a future on behalf of an owner: within it, [`Client::get`](crate::Client::get) and its siblings carry that owner's token,
/// and [`Client::current`](crate::Client::current) is the grant. Within another one the inner owner counts.
///
/// Whose a request is, is settled where it is made, not where it is awaited.
///
/// # Where it does not reach
/// The owner belongs to this future, and to nothing that goes on without it: tasks and threads that are spawned within it
/// (`tokio::spawn`, `JoinSet`, `spawn_blocking`), bodies that are streamed once a handler has returned (a server polls them by
/// itself, as it does server-sent events), hooks behind a commit. There a request is refused as `owner_missing`, and nobody
/// else's token is sent. Take the owner along:
///
/// ```
/// use tokenkeep_core::{as_owner, current_owner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// as_owner("42", async {
///     let owner = current_owner().expect("within as_owner");
///     let there = tokio::spawn(async { current_owner() });
///     assert_eq!(there.await.unwrap(), None);
///     let there = tokio::spawn(as_owner(owner, async { current_owner() }));
///     assert_eq!(there.await.unwrap().as_deref(), Some("42"));
/// })
/// .await;
/// # }
/// ```
///
/// # Cancel safety
/// That of the future.
pub fn as_owner<F: Future>(owner: impl Into<String>, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(owner.into(), future)
}

/// The owner that this runs on behalf of, if [`as_owner`] said so.
#[must_use]
pub fn current_owner() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}
