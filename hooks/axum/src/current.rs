//! Whose tokens handlers mean who do not say so: the signed-in user's.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokenkeep_core::OAuth;
use tokenkeep_web as web;

use crate::Result;

/// Runs the handlers behind it on behalf of who is signed in ([`as_owner`](tokenkeep_core::as_owner)): within them
/// [`Client::get`](tokenkeep_core::Client::get) and its siblings, and a middleware client, carry that user's token without naming the
/// owner.
///
/// Nobody signed in: no owner, and a call that names none is refused as `owner_missing`. The same holds for a request that may
/// change something (any but GET, HEAD, OPTIONS and TRACE) without the session's CSRF token in its header `x-csrf-token`: another
/// site could have sent it. A handler that takes a posted form asks for [`SignedInForm`](crate::SignedInForm), and names its owner.
///
/// The owner belongs to the handler: not to tasks that it spawns, nor to bodies that are streamed when it has returned.
///
/// ```no_run
/// use axum::{Router, extract::State, middleware::from_fn_with_state, routing::get};
/// use tokenkeep_axum::{Result, as_signed_in};
/// use tokenkeep_core::OAuth;
///
/// async fn repos(State(oauth): State<OAuth>) -> Result<String> {
///     Ok(oauth.client("github")?.get("user/repos").await?.text().await?)
/// }
///
/// fn app(oauth: OAuth) -> Router {
///     Router::new()
///         .route("/repos", get(repos))
///         .layer(from_fn_with_state(oauth.clone(), as_signed_in))
///         .with_state(oauth)
/// }
/// ```
///
/// # Errors
/// 403 `csrf_mismatch` for a wrong CSRF token; `store_unavailable`.
pub async fn as_signed_in(
    State(oauth): State<OAuth>,
    request: Request,
    next: Next,
) -> Result<Response> {
    run(&oauth, request, next, false).await
}

/// The same, and nobody else gets through.
///
/// # Errors
/// 401 `not_signed_in`; 403 `csrf_mismatch` also for a missing CSRF token; `store_unavailable`.
pub async fn as_signed_in_only(
    State(oauth): State<OAuth>,
    request: Request,
    next: Next,
) -> Result<Response> {
    run(&oauth, request, next, true).await
}

async fn run(oauth: &OAuth, request: Request, next: Next, is_required: bool) -> Result<Response> {
    let user = web::SignedIn::current(oauth, request.method(), request.headers(), is_required);
    let user = user.await?;
    Ok(web::SignedIn::run(user, next.run(request)).await)
}
