//! An application in actix-web: people log in, handlers call an API as them, and a page shows what they have connected.

use std::{error::Error, net::TcpListener};

use actix_web::{App, HttpServer, Responder, web};
use tokenkeep::actix::{MaybeSignedIn, Result, SignedIn, routes};
use tokenkeep::{KeyRing, MemoryStore, OAuth};
use tokenkeep_testing::{Provider, registration};

async fn home(MaybeSignedIn(user): MaybeSignedIn) -> impl Responder {
    match user {
        Some(user) => format!("hello {}", user.owner()),
        None => "log in at /login/drive".to_owned(),
    }
}

/// The token is found, renewed if it is over, and sent.
async fn files(user: SignedIn) -> Result<impl Responder> {
    let files = user.grant("drive")?.get("me").await?;
    Ok(files.error_for_status()?.text().await?)
}

#[tokio::main]
pub(crate) async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let provider = Provider::start().await?; // stands in for yours
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let base = format!("http://{}", listener.local_addr()?);

    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .key_ring(KeyRing::ephemeral())
        .register(registration("drive", &provider))
        .base_url(&base)
        .build()?;
    let routes = routes(&oauth)
        .owner(async |login| Ok::<_, tokenkeep::Error>(format!("user of {}", login.client)))
        .connections(|_user, _client| true);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(oauth.clone()))
            .route("/", web::get().to(home))
            .route("/files", web::get().to(files))
            .service(routes.clone())
    });
    let server = server.workers(1).listen(listener)?.run();
    let handle = server.handle();
    tokio::spawn(server);

    // Somebody comes along.
    let browser = provider.browser();
    for path in ["/login/drive", "/", "/files", "/connections"] {
        let visit = browser.log_in(&format!("{base}{path}"), "alice").await?;
        println!("{path}: {}", visit.last().body);
        assert_eq!(visit.last().status, 200);
    }
    handle.stop(true).await;
    Ok(())
}
