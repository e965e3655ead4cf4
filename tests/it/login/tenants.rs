//! A provider with tenants, each an issuer of its own, and one metadata for all (Microsoft's `common`).

use serde_json::json;
use tokenkeep::{ErrorCode, OAuth, Phase, Registration};
use tokenkeep_testing::{Endpoint, Fault, IdTokenFault};

use super::{Begun, assert_nothing_kept, metadata::document, onward};
use crate::world::{CALLBACK, CLIENT, World, alice, refused};

const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const ANOTHER: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn template(world: &World) -> String {
    format!("{}/{{tenantid}}/v2.0", world.provider.issuer())
}

fn issuer(world: &World, tenant: &str) -> String {
    template(world).replace("{tenantid}", tenant)
}

/// A provider whose metadata names the template; its callbacks name no issuer, and its tokens this one.
async fn world(tenant: &str) -> World {
    let world = World::new().await;
    let metadata = document(
        &world,
        json!({"issuer": template(&world), "authorization_response_iss_parameter_supported": false}),
    );
    let faults = world.provider.faults();
    faults.on(Endpoint::Discovery, metadata.await);
    faults.on(Endpoint::Authorize, Fault::MissingIssuerInCallback);
    issued_by(&world, tenant, tenant);
    world
}

/// What the ID tokens of logins say from now on.
fn issued_by(world: &World, tenant: &str, tid: &str) -> tokenkeep_testing::FaultRule {
    let claims = json!({"iss": issuer(world, tenant), "tid": tid});
    let fault = Fault::IdToken(IdTokenFault::Claims(claims));
    world.provider.faults().on(Endpoint::Token, fault)
}

fn common(world: &World) -> Registration {
    Registration::new(CLIENT)
        .server_metadata_url(world.provider.metadata_url())
        .client_id(world.provider.client_id())
        .client_secret(world.provider.client_secret())
        .scopes(["openid", "offline_access"])
        .api_base_url(world.provider.api_base_url())
}

fn registered(world: &World, registration: Registration) -> OAuth {
    world
        .bare(&world.store)
        .register(registration)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_template_is_refused_unless_it_was_named() {
    let world = world(TENANT).await;
    for registration in [
        common(&world),
        world.registration(),
        common(&world).issuer_template(format!("{}/{{tenantid}}", world.provider.issuer())),
    ] {
        let oauth = registered(&world, registration);
        let start = oauth.client(CLIENT).unwrap().authorize_redirect(CALLBACK);
        let error = refused(start.await, ErrorCode::IssuerMismatch);
        assert_eq!(error.phase(), Phase::Discovery);
        assert!(error.message().contains("issuer_template"), "{error}");
    }
    assert_eq!(onward(&world.provider), [0, 0, 0]);
}

#[tokio::test]
async fn a_grant_belongs_to_the_tenant_that_its_id_token_names() {
    let world = world(TENANT).await;
    let oauth = registered(&world, common(&world).issuer_template(template(&world)));
    let login = world.login(&oauth, "alice").await.unwrap();
    assert_eq!(
        login.claims.as_ref().unwrap().issuer(),
        issuer(&world, TENANT)
    );
    let owner = login.default_owner().unwrap();
    assert_eq!(owner, format!("{}#alice", issuer(&world, TENANT)));
    oauth.keep_login(&login, "alice", None).await.unwrap();
    let grant = alice(&oauth);
    let info = grant.info().await.unwrap().unwrap();
    assert_eq!(info.issuer, Some(issuer(&world, TENANT)));

    // It is renewed, also in another process, and stays with its tenant.
    let elsewhere = registered(&world, common(&world).issuer_template(template(&world)));
    alice(&elsewhere).refresh().await.unwrap();
    grant.refresh().await.unwrap();
    assert_eq!(grant.get("me").await.unwrap().status(), 200);
    world.provider.faults().clear();
    issued_by(&world, ANOTHER, ANOTHER);
    // Also while it cannot be verified: what it says of itself is enough to refuse it.
    world.provider.rotate_keys();
    let away = Fault::ServerError(503);
    world.provider.faults().on(Endpoint::Jwks, away);
    refused(grant.refresh().await, ErrorCode::IdentityChanged);
}

#[tokio::test]
async fn an_id_token_of_no_tenant_or_of_another_one_is_refused() {
    let world = world(TENANT).await;
    let everybody = common(&world).issuer_template(template(&world));
    let oauth = registered(&world, everybody.clone());
    world.provider.faults().clear();
    let metadata = document(&world, json!({"issuer": template(&world)}));
    world
        .provider
        .faults()
        .on(Endpoint::Discovery, metadata.await);
    world
        .provider
        .faults()
        .on(Endpoint::Authorize, Fault::MissingIssuerInCallback);
    // The metadata says that callbacks name their issuer, and this one does not.
    let begun = Begun::new(&world, &oauth).await;
    refused(begun.come_back().await, ErrorCode::IssuerMismatch);
    world.provider.faults().clear();
    for (tenant, tid, code) in [
        (TENANT, ANOTHER, ErrorCode::IssuerMismatch),
        ("contoso", "contoso", ErrorCode::IssuerMismatch),
        ("{tenantid}", "{tenantid}", ErrorCode::IssuerMismatch),
    ] {
        let rule = issued_by(&world, tenant, tid);
        let begun = Begun::new(&world, &oauth).await;
        let query = as_if_from(&world, &begun, TENANT);
        let login = begun.come_back_with(&query, &begun.cookies()).await;
        assert_eq!(
            refused(login, code).phase(),
            Phase::IdToken,
            "{tenant} {tid}"
        );
        rule.off();
    }
    assert_nothing_kept(&world);
}

/// The callback as a provider sends it that names its tenants there.
fn as_if_from(world: &World, begun: &Begun, tenant: &str) -> String {
    let iss = |issuer: &str| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("iss", issuer).finish()
    };
    let (own, tenants) = (iss(world.provider.issuer()), iss(&issuer(world, tenant)));
    let query = begun.query().replace(&own, &tenants);
    assert!(query.contains(&tenants), "{query}");
    query
}

#[tokio::test]
async fn a_callback_names_a_tenant_and_the_id_token_the_same() {
    let world = world(TENANT).await;
    let oauth = registered(&world, common(&world).issuer_template(template(&world)));
    let begun = Begun::new(&world, &oauth).await;
    world.provider.faults().clear();
    issued_by(&world, TENANT, TENANT);
    drop(begun);

    let begun = Begun::new(&world, &oauth).await;
    // The provider's own name is not a tenant's.
    refused(begun.come_back().await, ErrorCode::IssuerMismatch);
    assert_eq!(onward(&world.provider), [0, 0, 0]);

    let begun = Begun::new(&world, &oauth).await;
    let query = as_if_from(&world, &begun, ANOTHER);
    let login = begun.come_back_with(&query, &begun.cookies()).await;
    assert_eq!(
        refused(login, ErrorCode::IssuerMismatch).phase(),
        Phase::IdToken
    );
    assert_nothing_kept(&world);

    let begun = Begun::new(&world, &oauth).await;
    let query = as_if_from(&world, &begun, TENANT);
    begun
        .come_back_with(&query, &begun.cookies())
        .await
        .unwrap();
}

#[tokio::test]
async fn only_the_tenants_that_were_named_log_in_and_a_grant_of_another_is_used_no_more() {
    let world = world(TENANT).await;
    let everybody = common(&world).issuer_template(template(&world));
    let oauth = registered(&world, everybody.clone());
    world.alice(&oauth).await.token().await.unwrap();

    let allowed = everybody.allow_tenants([ANOTHER]);
    let oauth = registered(&world, allowed);
    let error = refused(world.login(&oauth, "alice").await, ErrorCode::OwnerRefused);
    assert_eq!(error.code().http_status(), 403);
    assert!(error.message().contains("allow_tenants"), "{error}");
    refused(alice(&oauth).token().await, ErrorCode::LoginRequired);
    assert_eq!(world.refreshes(), 0);
}
