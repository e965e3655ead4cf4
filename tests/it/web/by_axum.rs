//! The application in axum.

use std::net::TcpListener;

use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse},
    routing::{get, post},
};
use tokenkeep::{
    OAuth, Session,
    axum::{ClientName, Result, SetCookies, SignedIn, SignedInForm, routes},
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
    let app = Router::new()
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
