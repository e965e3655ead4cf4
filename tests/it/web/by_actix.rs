//! The application in actix-web.

use std::net::TcpListener;

use actix_web::{
    App, Either, HttpRequest, HttpServer, Responder,
    dev::ServerHandle,
    middleware::from_fn,
    web::{Data, Html, Redirect, get, post, resource},
};
use tokenkeep::{
    OAuth, Session,
    actix::{
        ClientName, Error, MaybeSignedIn, Result, SetCookies, SignedIn, SignedInForm, as_signed_in,
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

/// Names no owner.
async fn mine(oauth: Data<OAuth>) -> Result<String> {
    super::mine(&oauth).await.map_err(Into::into)
}

async fn mine_through(oauth: Data<OAuth>) -> Result<String> {
    Ok(super::mine_through(&oauth).await?)
}

/// Leads into the login that the API asks for.
async fn step_up(user: SignedIn) -> Result<Either<String, Redirect>> {
    match user.grant("op")?.get("step-up").await {
        Ok(answer) => Ok(Either::Left(answer.text().await?)),
        Err(error) => match error.connect_url_to("/step-up") {
            Some(url) => Ok(Either::Right(Redirect::to(url).see_other())),
            None => Err(error.into()),
        },
    }
}

async fn refused(user: SignedIn, request: HttpRequest) -> Result<String> {
    let asked = user.grant("op")?.get("scope/invoices").await;
    let answer = asked.map_err(|error| Error::from(error).answering(request.headers()))?;
    Ok(answer.text().await?)
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
            .service(
                resource("/mine")
                    .wrap(from_fn(as_signed_in))
                    .get(mine)
                    .post(mine),
            )
            .service(
                resource("/mine/through")
                    .wrap(from_fn(as_signed_in))
                    .get(mine_through),
            )
            .service(
                resource("/only/mine")
                    .wrap(from_fn(as_signed_in_only))
                    .get(mine)
                    .post(mine),
            )
            .route("/not/mine", get().to(mine))
            .route("/step-up", get().to(step_up))
            .route("/refused", get().to(refused))
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
