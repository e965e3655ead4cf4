//! Wrong use of closures is refused when the registry is built.

use async_trait::async_trait;
use tokenkeep::{
    ClientSource, Credential, Error, ErrorCode, MemoryStore, OAuth, Phase, Registration, Replaced,
    Result, Timestamp, Token, TokenKey,
};

use crate::world::refused;

async fn nothing(_: TokenKey) -> Result<Option<Token>> {
    Ok(None)
}

async fn written(_: TokenKey, _: Token, _: Replaced) -> Result<()> {
    Ok(())
}

async fn deleted(_: TokenKey) -> Result<()> {
    Ok(())
}

fn client() -> Registration {
    Registration::oauth2("op", "https://op.example/a", "https://op.example/t").client_id("id")
}

#[track_caller]
fn wrong(built: Result<OAuth>, code: ErrorCode, says: &str) -> Error {
    let error = refused(built, code);
    assert!(error.message().contains(says), "{error}");
    assert_eq!(error.phase(), Phase::Configure);
    error
}

#[test]
fn half_of_the_closures_is_a_mistake_wherever_it_stands() {
    let memory = || OAuth::builder().store(MemoryStore::new());
    let code = ErrorCode::InvalidConfiguration;
    let builders = [
        (memory().fetch_token(nothing), ".update_token("),
        (memory().update_token(written), ".fetch_token("),
        (memory().delete_token(deleted), "after_logout"),
        (
            memory()
                .fetch_token(nothing)
                .update_token(written)
                .on_missing(nothing),
            "on_missing",
        ),
    ];
    for (builder, says) in builders {
        wrong(builder.build(), code, says);
    }
    let registrations = [
        (client().fetch_token(nothing), ".update_token("),
        (client().update_token(written), ".fetch_token("),
        (client().delete_token(deleted), "after_logout"),
        (
            client()
                .fetch_token(nothing)
                .update_token(written)
                .on_missing(nothing),
            "on_missing",
        ),
    ];
    for (registration, says) in registrations {
        let error = wrong(memory().register(registration).build(), code, says);
        assert_eq!(error.client(), Some("op"));
    }
    let for_all = memory().fetch_token(nothing).update_token(written);
    let built = for_all.register(client().on_missing(nothing)).build();
    let error = wrong(built, code, "on_missing");
    assert_eq!(error.client(), Some("op"));
}

/// Knows nobody, or somebody who brings closures.
struct Tenants(bool);

#[async_trait]
impl ClientSource for Tenants {
    async fn registration(&self, name: &str) -> Result<Option<Registration>> {
        let tenant = || {
            Registration::oauth2(name, "https://op.example/a", "https://op.example/t")
                .client_id("id")
        };
        Ok(self
            .0
            .then(|| tenant().fetch_token(nothing).update_token(written)))
    }
}

#[tokio::test]
async fn every_client_needs_a_place_for_its_tokens() {
    let kept = || client().fetch_token(nothing).update_token(written);
    let code = ErrorCode::MissingStore;
    let without = OAuth::builder().register(client()).build();
    wrong(without, code, ".fetch_token(");
    let other = Registration::oauth2("other", "https://op.example/a", "https://op.example/t");
    let two = OAuth::builder()
        .register(kept())
        .register(other.client_id("id"));
    let error = wrong(two.build(), code, "this client");
    assert_eq!(error.client(), Some("other"));
    let tenants = OAuth::builder()
        .register(kept())
        .client_source(Tenants(false));
    wrong(tenants.build(), code, "client source");

    // Good: closures alone, for all or for each, without a key ring.
    OAuth::builder().register(kept()).build().unwrap();
    let for_all = || {
        OAuth::builder()
            .fetch_token(nothing)
            .update_token(written)
            .client_source(Tenants(true))
    };
    let oauth = for_all().register(client()).build().unwrap();
    // But a registration that comes and goes cannot say where its tokens are.
    let tenant = oauth.client("tenant").unwrap();
    let error = refused(tenant.redirect_uri().await, ErrorCode::InvalidConfiguration);
    assert!(error.message().contains("client source"), "{error}");
}

#[test]
fn a_row_of_four_columns_becomes_a_token() {
    let at = Timestamp::from_secs(1_800_000_000);
    let token = Token::builder("access")
        .maybe_refresh(Some("refresh"))
        .expires_at(at)
        .token_type("bearer")
        .scope("openid  email")
        .id_token("an.id.token")
        .build()
        .unwrap();
    assert_eq!(token.refresh_token().unwrap().expose(), "refresh");
    assert_eq!(token.expires_at(), Some(at));
    assert_eq!(token.credential(), &Credential::Bearer);
    assert_eq!(token.scopes().unwrap(), ["openid", "email"]);
    assert_eq!(token.id_token().unwrap().expose(), "an.id.token");

    // Columns that are null or empty.
    let bare = Token::builder("access")
        .maybe_refresh(None::<String>)
        .expires_at(None)
        .token_type("")
        .scope(" ")
        .build()
        .unwrap();
    assert_eq!((bare.refresh_token(), bare.expires_at()), (None, None));
    assert_eq!(
        (bare.credential(), bare.scopes()),
        (&Credential::Bearer, None)
    );
    let empty = Token::builder("access").maybe_refresh(Some("")).build();
    assert_eq!(empty.unwrap().refresh_token(), None);
    let strange = Token::builder("access").token_type("mac").build().unwrap();
    assert_eq!(strange.credential().token_type(), "mac");

    for wrong in [
        Token::builder("").build(),
        Token::builder("a\nb").build(),
        Token::builder("access").refresh("").build(),
        Token::builder("access").id_token("a\0b").build(),
    ] {
        refused(wrong, ErrorCode::InvalidToken);
    }
}
