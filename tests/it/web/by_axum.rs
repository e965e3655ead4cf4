//! The application in axum.

use std::net::TcpListener;

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    middleware::from_fn_with_state,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokenkeep::{
    OAuth, Session,
    axum::{
        ClientName, Error, Result, SetCookies, SignedIn, SignedInForm, as_signed_in,
        as_signed_in_only, routes,
    },
};

use super::{Note, Routes, cookie, say};

async fn me(user: SignedIn) -> String {
    user.owner().to_owned()
}

async fn debug(user: SignedIn) -> String {
    format!("{user:?} {:?}", user.session().claims())
}

async fn change(user: SignedIn) -> String {
    format!("changed by {}", user.owner())
}

async fn change_by_form(form: SignedInForm) -> String {
    format!("changed by {}", form.user.owner())
}

async fn take_note(form: SignedInForm<Note>) -> String {
    format!("{} notes {}", form.user.owner(), form.form.note)
}

async fn maybe(user: Option<SignedIn>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.owner().to_owned())
}

async fn call(user: SignedIn) -> Result<String> {
    let answer = user.grant("op")?.get("me").await?;
    Ok(answer.text().await?)
}

async fn explain(State(oauth): State<OAuth>, user: SignedIn) -> Result<String> {
    let told = oauth.explain(user.grant("op")?.key()?).await?;
    Ok(format!("{told}\n{told:?}"))
}

/// Names no owner.
async fn mine(State(oauth): State<OAuth>) -> Result<String> {
    super::mine(&oauth).await.map_err(Into::into)
}

async fn mine_through(State(oauth): State<OAuth>) -> Result<String> {
    Ok(super::mine_through(&oauth).await?)
}

/// Leads into the login that the API asks for.
async fn step_up(user: SignedIn) -> Result<Response> {
    match user.grant("op")?.get("step-up").await {
        Ok(answer) => Ok(answer.text().await?.into_response()),
        Err(error) => match error.connect_url_to("/step-up") {
            Some(url) => Ok(Redirect::to(&url).into_response()),
            None => Err(error.into()),
        },
    }
}

async fn refused(user: SignedIn, headers: HeaderMap) -> Result<String> {
    let asked = user.grant("op")?.get("scope/invoices").await;
    let answer = asked.map_err(|error| Error::from(error).answering(&headers))?;
    Ok(answer.text().await?)
}

async fn name(ClientName(client): ClientName) -> String {
    client
}

async fn set() -> impl IntoResponse {
    (SetCookies(vec![cookie(), cookie().removal()]), "set")
}

fn page(session: Option<&Session>) -> Html<String> {
    Html(session.map_or_else(|| "nobody".to_owned(), |session| session.csrf().to_owned()))
}

pub(super) fn serve(listener: TcpListener, oauth: &OAuth, said: &Routes) {
    let layer = from_fn_with_state(oauth.clone(), as_signed_in);
    let mine = Router::new()
        .route("/mine", get(mine).post(mine))
        .route("/mine/through", get(mine_through))
        .layer(layer);
    let layer = from_fn_with_state(oauth.clone(), as_signed_in_only);
    let only = Router::new()
        .route("/only/mine", get(self::mine).post(self::mine))
        .layer(layer);
    let app = Router::new()
        .merge(mine)
        .merge(only)
        .route("/not/mine", get(self::mine))
        .route("/step-up", get(step_up))
        .route("/refused", get(refused))
        .route("/", get(async || "the start"))
        .route("/me", get(me).post(change))
        .route("/debug", get(debug))
        .route("/form", post(change_by_form))
        .route("/note", post(take_note))
        .route("/maybe", get(maybe).post(maybe))
        .route("/call", get(call))
        .route("/explain", get(explain))
        .route("/of/{client}/name", get(name))
        .route("/cookies", get(set))
        .merge(say!(said, routes(oauth), page))
        .with_state(oauth.clone());
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
}
