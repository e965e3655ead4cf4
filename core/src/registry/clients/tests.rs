use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{SystemClock, http::ReqwestTransport, token::Sealing};

/// Knows one tenant, and counts how often it is asked.
struct Tenants(Arc<AtomicUsize>);

#[async_trait]
impl ClientSource for Tenants {
    async fn registration(&self, name: &str) -> Result<Option<Registration>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let registration = || {
            Registration::oauth2(name, "https://op.example/a", "https://op.example/t")
                .client_id("id")
        };
        Ok((name == "tenant").then(registration))
    }
}

fn clients() -> (Clients, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let http = Http {
        transport: Arc::new(ReqwestTransport::new(reqwest::ClientBuilder::new()).unwrap()),
        clock: Arc::new(SystemClock),
        timeout: Duration::from_secs(1),
    };
    let source = Some(Arc::new(Tenants(Arc::clone(&asked))) as Arc<dyn ClientSource>);
    let config = Arc::new(Settings::from_iter([(
        "TENANT_CLIENT_SECRET",
        "another program's",
    )]));
    let sealing = Sealing {
        ring: None,
        accept_plain: true,
    };
    let clients = Clients::new(ClientParts {
        source,
        config,
        closures: Arc::new(ClosureStore::new(None, sealing, Arc::new(SystemClock), 1)),
        http,
        hooks: Hooks::default(),
        has_store: true,
        on_missing: None,
    });
    (clients, asked)
}

#[tokio::test]
async fn names_that_nobody_can_have_are_not_looked_up() {
    let (clients, asked) = clients();
    for name in ["", "a\nb", &"x".repeat(256)] {
        let error = clients.state(name).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnknownClient);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(clients.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tenant_is_given_nobody_s_settings() {
    let (clients, _) = clients();
    let tenant = clients.state("tenant").await.unwrap();
    assert_eq!(tenant.resolved.client_secret, None);
}

#[tokio::test]
async fn unknown_names_do_not_push_out_clients() {
    let (clients, asked) = clients();
    let tenant = clients.state("tenant").await.unwrap();
    for n in 0..MAX_FOUND + 10 {
        let error = clients.state(&format!("nobody {n}")).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnknownClient);
    }
    let before = asked.load(Ordering::Relaxed);
    assert!(Arc::ptr_eq(
        &clients.state("tenant").await.unwrap(),
        &tenant
    ));
    assert_eq!(asked.load(Ordering::Relaxed), before);
    assert!(clients.asked.lock().unwrap().len() <= MAX_FOUND);
}
