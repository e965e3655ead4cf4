//! The application in actix-web.

use std::{
    future::{Ready, ready},
    io,
    net::TcpListener,
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
};

use actix_web::{
    App as Actix, FromRequest, HttpRequest, HttpResponse, HttpServer, Resource, Responder,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServerHandle, ServiceRequest, ServiceResponse},
    http::{
        StatusCode as ActixStatus, Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::{Next, from_fn},
    web::{self, Data, Query, resource},
};
use axum_server::tls_rustls::RustlsConfig;
use futures_util::StreamExt;
use reqwest::{Method, StatusCode};
use tokenkeep::actix::{
    ClientName, Error, MaybeSignedIn, Result, SignedIn, SignedInForm, wants_page,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    answer::{self, Answer, NoSuch, Wants},
    api,
    app::{self, App},
    events, pages,
    serve::PATIENCE,
    setup::Failure,
};

impl FromRequest for Wants {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(wants_page(request.headers()))))
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let status = ActixStatus::from_u16(self.status.as_u16());
        let mut response = HttpResponse::build(status.unwrap_or(ActixStatus::OK));
        let mut response = match self.body {
            answer::Body::Whole(body) => response.body(body),
            answer::Body::Streamed(body) => response.streaming(body),
        };
        // actix-web says of whatever is streamed that it is bytes; what it is stands in our headers, or nowhere.
        response.headers_mut().remove(header::CONTENT_TYPE);
        // actix-web's types are those of an older generation of the crate http.
        for (name, value) in &self.headers {
            put(response.headers_mut(), name.as_str(), value.as_bytes());
        }
        if let Some(no_such) = self.no_such {
            response.extensions_mut().insert(no_such);
        }
        response
    }
}

fn put(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}

/// A place with its methods, whose other methods are answered in our form.
fn place(path: &str, methods: &'static str) -> Resource {
    let other = move || ready(Answer::not_allowed(methods));
    resource(path).default_service(web::to(other))
}

/// Registers a handler for GET and for HEAD.
macro_rules! get {
    ($path:literal, $handler:expr) => {
        get!($path, $handler, "GET,HEAD")
    };
    ($path:literal, $handler:expr, $methods:literal) => {
        place($path, $methods)
            .get($handler)
            .route(web::head().to($handler))
    };
}

fn routes(config: &mut web::ServiceConfig, app: &App) {
    let log_out = |session: Option<&_>| Answer::page(pages::log_out(session));
    config
        .app_data(Data::new(app.oauth.clone()))
        .app_data(Data::new(app.clone()))
        .service(get!("/", home))
        .service(get!("/tokens", tokens))
        .service(place("/tokens/{client}/refresh", "POST").post(refresh))
        .service(place("/tokens/{client}/expire", "POST").post(expire))
        .service(place("/tokens/{client}/revoke", "POST").post(revoke))
        .service(get!("/userinfo/{client}", userinfo))
        .service(get!("/call/{client}", choose))
        .service(get!("/api/{client}/{path:.*}", call, "GET,HEAD,POST").post(call))
        .service(get!("/events", feed))
        .service(get!("/healthz", health))
        .service(get!("/demo.css", async || app::style()))
        .service(get!("/live.js", async || app::script()))
        .service(
            tokenkeep::actix::routes(&app.oauth)
                .log_out_page(log_out)
                .connections(|_, _| true),
        )
        .default_service(web::to(async || Answer::no_such(StatusCode::NOT_FOUND)));
}

async fn home(app: Data<App>, user: MaybeSignedIn, wants: Wants) -> Result<Answer> {
    let session = user.0.as_ref().map(SignedIn::session);
    Ok(app.home(session, wants).await?)
}

async fn tokens(app: Data<App>, user: SignedIn, wants: Wants) -> Result<Answer> {
    Ok(app.tokens(user.session(), wants).await?)
}

async fn refresh(
    app: Data<App>,
    client: ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Answer> {
    Ok(app.refresh(form.user.grant(&client.0)?, wants).await?)
}

async fn expire(
    app: Data<App>,
    client: ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Answer> {
    Ok(app.expire(form.user.grant(&client.0)?, wants).await?)
}

async fn revoke(
    app: Data<App>,
    client: ClientName,
    wants: Wants,
    form: SignedInForm,
) -> Result<Answer> {
    Ok(app.revoke(form.user.grant(&client.0)?, wants).await?)
}

async fn userinfo(
    app: Data<App>,
    client: ClientName,
    user: SignedIn,
    wants: Wants,
) -> Result<Answer> {
    Ok(app.userinfo(user.grant(&client.0)?, wants).await?)
}

async fn health(app: Data<App>, wants: Wants) -> Result<Answer> {
    Ok(app.health(wants).await?)
}

async fn feed(app: Data<App>, user: SignedIn) -> Result<Answer> {
    Ok(events::events(user.token_updates()?, &app.stop))
}

async fn choose(
    client: ClientName,
    user: SignedIn,
    fields: Query<Vec<(String, String)>>,
) -> Result<Answer> {
    Ok(api::choose(&user.grant(&client.0)?, &fields).await?)
}

/// `GET, POST /api/{client}/{path}`
async fn call(
    user: SignedIn,
    wants: Wants,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<Answer> {
    let (client, path) = api::target(request.uri().path(), request.uri().query());
    let method = Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or_default();
    let call = user.grant(&client)?.request(method, &path);
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let media_type = media_type.map(HeaderValue::as_bytes);
    let call = api::passing(call, passable(&request, payload).await?, media_type);
    Ok(api::answer(&client, call.await?, wants).await?)
}

/// The request's body, if it has one.
async fn passable(
    request: &HttpRequest,
    mut payload: web::Payload,
) -> Result<Option<reqwest::Body>> {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let has_one = match length {
        Some(length) => length > 0,
        // In HTTP/2 only the end of the stream would tell.
        None => {
            headers.contains_key(header::TRANSFER_ENCODING)
                || (request.version() == Version::HTTP_2 && request.method() == "POST")
        }
    };
    if !has_one {
        return Ok(None);
    }
    if length.is_some_and(|length| length <= api::REPEATABLE) {
        let whole = payload.to_bytes_limited(api::REPEATABLE).await;
        let whole = whole.map_err(|_| api::broken("it is longer than it says"))?;
        let whole = whole.map_err(|error| api::broken(error.to_string()))?;
        return Ok(Some(whole.into()));
    }
    // A payload stays in its thread: what it brings is handed over piece by piece.
    let (pieces, body) = tokio::sync::mpsc::channel(1);
    actix_web::rt::spawn(async move {
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(|error| io::Error::other(error.to_string()));
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    });
    Ok(Some(reqwest::Body::wrap_stream(ReceiverStream::new(body))))
}

/// Gives an error a page where people asked, and every answer the headers that keep it to ourselves.
async fn dress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let wants_page = wants_page(request.headers());
    let mut response = next.call(request).await?.map_into_boxed_body();
    let page = {
        let extensions = response.response().extensions();
        answer::error_page(extensions.get(), extensions.get::<NoSuch>())
    };
    if let Some(page) = page.filter(|_| wants_page) {
        response = response.map_body(|_, _| BoxBody::new(page));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, html);
        // That of tokenkeep's own page knows another style sheet.
        headers.remove(header::CONTENT_SECURITY_POLICY);
    }
    let policy = response.headers().get(header::CONTENT_SECURITY_POLICY);
    for (name, value) in answer::security(policy.map(HeaderValue::as_bytes)) {
        if !response.headers().contains_key(name.as_str()) {
            put(response.headers_mut(), name.as_str(), value.as_bytes());
        }
    }
    Ok(response)
}

/// A server that listens. Until it is opened, another one is in its place, whose answer to everything is that the store is
/// not there yet: an application of actix-web cannot change once it is served.
pub(crate) struct Server {
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    running: Mutex<Option<Running>>,
}

struct Running {
    handle: ServerHandle,
    thread: JoinHandle<io::Result<()>>,
}

impl Running {
    fn start(
        listener: TcpListener,
        tls: Option<&RustlsConfig>,
        routes: impl Fn(&mut web::ServiceConfig) + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let server =
            HttpServer::new(move || Actix::new().wrap(from_fn(dress)).configure(routes.clone()))
                .workers(2)
                .disable_signals()
                .shutdown_timeout(PATIENCE.as_secs());
        let server = match tls {
            Some(tls) => {
                let config = (*tls.get_inner()).clone();
                server.listen_rustls_0_23(listener, config)?
            }
            None => server.listen(listener)?,
        };
        let server = server.run();
        let handle = server.handle();
        // A runtime of its own, as it has when it runs by itself.
        let thread = std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
        Ok(Self { handle, thread })
    }

    async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await;
        match ended {
            Ok(Ok(outcome)) => outcome,
            _ => Err(io::Error::other("the server panicked")),
        }
    }
}

impl Server {
    pub(crate) fn start(listener: TcpListener, tls: Option<RustlsConfig>) -> Result<Self, Failure> {
        let away = |config: &mut web::ServiceConfig| {
            let away = async || Err::<Answer, _>(Error::from(answer::store_is_away()));
            config.default_service(web::to(away));
        };
        let there = listener.try_clone().map_err(Failure::server)?;
        let running = Running::start(there, tls.as_ref(), away).map_err(Failure::server)?;
        Ok(Self {
            listener,
            tls,
            running: Mutex::new(Some(running)),
        })
    }

    pub(crate) async fn open(&self, app: App) -> Result<(), Failure> {
        let there = self.listener.try_clone().map_err(Failure::server)?;
        let routes = move |config: &mut web::ServiceConfig| routes(config, &app);
        let opened = Running::start(there, self.tls.as_ref(), routes).map_err(Failure::server)?;
        let away = self.put(Some(opened));
        // Whoever comes from now on finds the application.
        match away {
            Some(away) => away.stop().await.map_err(Failure::server),
            None => Ok(()),
        }
    }

    fn put(&self, running: Option<Running>) -> Option<Running> {
        let mut place = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut place, running)
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        match self.put(None) {
            Some(running) => running.stop().await.map_err(Failure::server),
            None => Ok(()),
        }
    }
}
