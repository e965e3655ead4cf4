//! The application: its routes, and what they answer.

use axum::{
    Json, Router,
    extract::{FromRef, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::json;
use tokenkeep::{
    Error, ErrorCode, Grant, OAuth, Phase,
    axum::{ClientName, Result, SignedIn, SignedInForm},
};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{self, Wants},
    api, events, pages,
    row::{self, Row},
};

/// What handlers know.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) oauth: OAuth,
    /// Ends what would go on for ever.
    pub(crate) stop: CancellationToken,
}

impl FromRef<App> for OAuth {
    fn from_ref(app: &App) -> Self {
        app.oauth.clone()
    }
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/tokens", get(home_of_user))
        .route("/tokens/{client}/refresh", post(refresh))
        .route("/tokens/{client}/expire", post(expire))
        .route("/tokens/{client}/revoke", post(revoke))
        .route("/userinfo/{client}", get(userinfo))
        .route("/call/{client}", get(api::choose))
        .route("/api/{client}/", get(api::call).post(api::call))
        .route("/api/{client}/{*path}", get(api::call).post(api::call))
        .route("/events", get(events::events))
        .route("/healthz", get(health))
        .route(
            "/demo.css",
            get(|| file("text/css", include_str!("demo.css"))),
        )
        .route(
            "/live.js",
            get(|| file("text/javascript", include_str!("live.js"))),
        )
        .merge(tokenkeep::axum::routes(&app.oauth).log_out_page(pages::log_out))
        .fallback(|| answer::no_such(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(|| answer::no_such(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::from_fn(answer::dress))
        .with_state(app)
}

async fn home(State(app): State<App>, user: Option<SignedIn>, wants: Wants) -> Result<Response> {
    match user {
        Some(user) => home_of_user(State(app), user, wants).await,
        None => Ok(wants.answer(
            || pages::signed_out(&app.oauth.client_names()),
            json!({"owner": null, "csrf": null, "tokens": []}),
        )),
    }
}

async fn home_of_user(State(app): State<App>, user: SignedIn, wants: Wants) -> Result<Response> {
    let rows = row::rows(&app.oauth, user.owner()).await?;
    let session = user.session();
    let json = json!({"owner": user.owner(), "csrf": session.csrf(), "tokens": rows});
    Ok(wants.answer(
        || pages::signed_in(session, &rows, &app.oauth.client_names()),
        json,
    ))
}

async fn refresh(
    State(app): State<App>,
    ClientName(client): ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Response> {
    let grant = form.user.grant(&client)?;
    grant.refresh().await?;
    changed(&app, &grant, wants).await
}

async fn expire(
    State(app): State<App>,
    ClientName(client): ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Response> {
    let grant = form.user.grant(&client)?;
    grant.invalidate(None).await?;
    changed(&app, &grant, wants).await
}

async fn revoke(
    State(app): State<App>,
    ClientName(client): ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Response> {
    let grant = form.user.grant(&client)?;
    grant.revoke().await?;
    changed(&app, &grant, wants).await
}

/// What became of a grant: people see it on the page they came from.
async fn changed(app: &App, grant: &Grant, wants: Wants) -> Result<Response> {
    let Some(info) = grant.info().await? else {
        let client = grant.client().name();
        let mut error = Error::new(
            ErrorCode::LoginRequired,
            Phase::Request,
            "nothing was ever granted here",
        )
        .with_client(client);
        if let Some(url) = app.oauth.connect_url(client) {
            error = error.with_connect_url(url);
        }
        return Err(error.into());
    };
    Ok(match wants {
        Wants::Page => Redirect::to("/").into_response(),
        Wants::Json => Json(Row::of(&info)).into_response(),
    })
}

async fn userinfo(
    ClientName(client): ClientName,
    user: SignedIn,
    wants: Wants,
) -> Result<Response> {
    let userinfo = user.grant(&client)?.userinfo().await?.to_value();
    Ok(wants.answer(
        || pages::result(&client, "What the provider says about you", &userinfo),
        json!({"userinfo": userinfo}),
    ))
}

async fn health(State(app): State<App>, wants: Wants) -> Result<Response> {
    app.oauth.check_store().await?;
    let health = json!({"status": "ok", "store": app.oauth.store_name()?});
    Ok(wants.answer(|| pages::health(&health), health.clone()))
}

async fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
