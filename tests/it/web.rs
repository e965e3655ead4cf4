//! A small application that listens, by either framework: each test of the routes runs on both.

mod by_actix;
mod by_axum;

use std::{pin::Pin, sync::Arc};

use tokenkeep::{Login, OAuth, OAuthBuilder, Registration, Session};
use tokenkeep_testing::Browser;

use crate::world::World;

/// What the application is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    Axum,
    Actix,
}

/// Runs tests once for each framework, whose name stands in theirs.
macro_rules! on_each_framework {
    ($($test:ident),+ $(,)?) => {
        mod axum {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::web::Framework::Axum).await;
            })+
        }

        mod actix {
            $(#[tokio::test]
            async fn $test() {
                super::$test($crate::web::Framework::Actix).await;
            })+
        }
    };
}
pub(crate) use on_each_framework;

type OwnerOf = dyn Fn(Arc<Login>) -> Pin<Box<dyn Future<Output = std::io::Result<String>> + Send>>
    + Send
    + Sync;

type Shown = dyn Fn(&Session, &str) -> bool + Send + Sync;

/// What a test says of the routes, in the words of either hook.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    prefix: Option<String>,
    owner: Option<Arc<OwnerOf>>,
    shown: Option<Arc<Shown>>,
    after_login: Option<String>,
    after_logout: Option<String>,
    own_page: bool,
}

impl Routes {
    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    pub(crate) fn owner<F, Fut>(mut self, owner: F) -> Self
    where
        F: Fn(Arc<Login>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::io::Result<String>> + Send + 'static,
    {
        self.owner = Some(Arc::new(move |login| Box::pin(owner(login))));
        self
    }

    pub(crate) fn connections(
        mut self,
        shown: impl Fn(&Session, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.shown = Some(Arc::new(shown));
        self
    }

    pub(crate) fn after_login(mut self, path: &str) -> Self {
        self.after_login = Some(path.to_owned());
        self
    }

    pub(crate) fn after_logout(mut self, path: &str) -> Self {
        self.after_logout = Some(path.to_owned());
        self
    }

    /// The application draws the page of `GET /logout`.
    pub(crate) fn own_log_out_page(mut self) -> Self {
        self.own_page = true;
        self
    }
}

/// The same, said to a hook.
macro_rules! say {
    ($said:expr, $routes:expr, $page:expr) => {{
        let (said, mut routes): (&crate::web::Routes, _) = ($said, $routes);
        if let Some(prefix) = &said.prefix {
            routes = routes.prefix(prefix);
        }
        if let Some(owner) = said.owner.clone() {
            routes = routes.owner(move |login| owner(login));
        }
        if let Some(shown) = said.shown.clone() {
            routes = routes.connections(move |user, client| shown(user, client));
        }
        if let Some(path) = &said.after_login {
            routes = routes.after_login(path);
        }
        if let Some(path) = &said.after_logout {
            routes = routes.after_logout(path);
        }
        if said.own_page {
            routes = routes.log_out_page($page);
        }
        routes
    }};
}
use say;

/// An application that listens, and browsers of its own.
pub(crate) struct App {
    pub(crate) world: World,
    pub(crate) base: String,
    pub(crate) oauth: OAuth,
    _serves: Serves,
}

/// Lets the application listen: its address, its registry, and what ends it when it is dropped.
pub(crate) fn serve(
    framework: Framework,
    world: &World,
    build: impl FnOnce(OAuthBuilder) -> OAuthBuilder,
    routes: Routes,
) -> (String, OAuth, Serves) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let builder = build(world.bare(&world.store).base_url(&base));
    let oauth = builder.build().unwrap();
    let serves = match framework {
        Framework::Axum => {
            by_axum::serve(listener, &oauth, &routes);
            Serves::ByAxum
        }
        Framework::Actix => Serves::ByActix(by_actix::serve(listener, &oauth, routes)),
    };
    (base, oauth, serves)
}

/// Ends with the test.
pub(crate) enum Serves {
    ByAxum,
    ByActix(actix_web::dev::ServerHandle),
}

impl Drop for Serves {
    fn drop(&mut self) {
        if let Self::ByActix(server) = self {
            drop(server.stop(false));
        }
    }
}

impl App {
    pub(crate) async fn with(framework: Framework, routes: impl FnOnce(Routes) -> Routes) -> Self {
        Self::of(framework, |registration| registration, routes).await
    }

    pub(crate) async fn of(
        framework: Framework,
        client: impl FnOnce(Registration) -> Registration,
        routes: impl FnOnce(Routes) -> Routes,
    ) -> Self {
        let world = World::new().await;
        let registration = client(world.registration());
        Self::serving(
            framework,
            world,
            |builder| builder.register(registration),
            routes,
        )
    }

    /// With more than the one client.
    pub(crate) fn built(
        framework: Framework,
        world: World,
        build: impl FnOnce(OAuthBuilder) -> OAuthBuilder,
        routes: impl FnOnce(Routes) -> Routes,
    ) -> Self {
        let registration = world.registration();
        let build = |builder: OAuthBuilder| build(builder.register(registration));
        Self::serving(framework, world, build, routes)
    }

    fn serving(
        framework: Framework,
        world: World,
        build: impl FnOnce(OAuthBuilder) -> OAuthBuilder,
        routes: impl FnOnce(Routes) -> Routes,
    ) -> Self {
        let routes = routes(Routes::default());
        let (base, oauth, serves) = serve(framework, &world, build, routes);
        Self {
            world,
            base,
            oauth,
            _serves: serves,
        }
    }

    pub(crate) fn browser(&self) -> Browser {
        self.world.provider.browser()
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// A form of the application's own.
#[derive(serde::Deserialize)]
struct Note {
    note: String,
}

/// Whose tokens go out where a handler names nobody, asked several times with others in between.
async fn mine(oauth: &OAuth) -> tokenkeep::Result<String> {
    let client = oauth.client("op")?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let me = client.get("me").await?;
        let me: serde_json::Value = me.json().await.unwrap();
        seen.push(me["sub"].as_str().unwrap().to_owned());
        tokio::task::yield_now().await;
    }
    seen.dedup();
    Ok(seen.join(" "))
}

/// The same by an HTTP client with a middleware.
async fn mine_through(oauth: &OAuth) -> tokenkeep::Result<String> {
    let client = oauth.client("op")?;
    let me = client.api_base_url().await?.unwrap().join("me").unwrap();
    let token = tokenkeep::middleware::KeptToken::at(client);
    let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(token);
    let me = http.build().get(me).send().await.unwrap();
    let me: serde_json::Value = me.json().await.unwrap();
    Ok(me["sub"].as_str().unwrap().to_owned())
}

fn cookie() -> tokenkeep::Cookie {
    tokenkeep::Cookie::new("own", "1")
}
