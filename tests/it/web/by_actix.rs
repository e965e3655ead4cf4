//! The application in actix-web.

use std::net::TcpListener;

use actix_web::{
    App, HttpServer, Responder,
    dev::ServerHandle,
    web::{Data, Html, get, post, resource},
};
use tokenkeep::{
    OAuth, Session,
    actix::{ClientName, MaybeSignedIn, Result, SetCookies, SignedIn, SignedInForm, routes},
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

async fn maybe(MaybeSignedIn(user): MaybeSignedIn) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.owner().to_owned())
}

async fn call(user: SignedIn) -> Result<String> {
    let answer = user.grant("op")?.get("me").await?;
    Ok(answer.text().await?)
}

async fn explain(oauth: Data<OAuth>, user: SignedIn) -> Result<String> {
    let told = oauth.explain(user.grant("op")?.key()?).await?;
    Ok(format!("{told}\n{told:?}"))
}

async fn name(ClientName(client): ClientName) -> String {
    client
}

async fn set() -> impl Responder {
    SetCookies(vec![cookie(), cookie().removal()]).with("set")
}

fn page(session: Option<&Session>) -> Html {
    Html::new(session.map_or_else(|| "nobody".to_owned(), |session| session.csrf().to_owned()))
}

pub(super) fn serve(listener: TcpListener, oauth: &OAuth, said: Routes) -> ServerHandle {
    let oauth = oauth.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(oauth.clone()))
            .route("/", get().to(async || "the start"))
            .service(resource("/me").get(me).post(change))
            .route("/debug", get().to(debug))
            .service(resource("/form").post(change_by_form))
            .route("/note", post().to(take_note))
            .service(resource("/maybe").get(maybe).post(maybe))
            .route("/call", get().to(call))
            .route("/explain", get().to(explain))
            .route("/of/{client}/name", get().to(name))
            .route("/cookies", get().to(set))
            .service(say!(&said, routes(&oauth), page))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)
    .unwrap()
    .run();
    let handle = server.handle();
    // A runtime of its own, as it has when it runs by itself.
    std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
    handle
}
