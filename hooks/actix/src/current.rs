//! Whose tokens handlers mean who do not say so: the signed-in user's.

use actix_web::{
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use tokenkeep_web as web;

use crate::{Error, convert, extract::registry};

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
/// use actix_web::{App, middleware::from_fn, web};
/// use tokenkeep_actix::{Result, as_signed_in};
/// use tokenkeep_core::OAuth;
///
/// async fn repos(oauth: web::Data<OAuth>) -> Result<String> {
///     Ok(oauth.client("github")?.get("user/repos").await?.text().await?)
/// }
///
/// # fn app(oauth: OAuth) {
/// let app = App::new()
///     .app_data(web::Data::new(oauth))
///     .service(web::resource("/repos").wrap(from_fn(as_signed_in)).get(repos));
/// # let _ = app;
/// # }
/// ```
///
/// # Errors
/// 403 `csrf_mismatch` for a wrong CSRF token; `store_unavailable`; 500 `invalid_configuration` without a registry in
/// `web::Data<OAuth>`.
pub async fn as_signed_in<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    run(request, next, false).await
}

/// The same, and nobody else gets through.
///
/// # Errors
/// As [`as_signed_in`]; 401 `not_signed_in`, and 403 `csrf_mismatch` also for a missing CSRF token.
pub async fn as_signed_in_only<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> actix_web::Result<ServiceResponse<B>> {
    run(request, next, true).await
}

async fn run<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
    is_required: bool,
) -> actix_web::Result<ServiceResponse<B>> {
    let headers = convert::headers(request.headers());
    let oauth = registry(request.request(), &headers)?;
    let method = convert::method(request.method());
    let user = web::SignedIn::current(&oauth, &method, &headers, is_required).await;
    web::SignedIn::run(user.map_err(Error::from)?, next.call(request)).await
}
