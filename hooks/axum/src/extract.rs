//! What handlers ask for.

use axum::{
    extract::{
        FromRef, FromRequest, FromRequestParts, OptionalFromRequestParts, RawPathParams, Request,
    },
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use tokenkeep_core::OAuth;
use tokenkeep_web as web;

use crate::{ClientName, Error, Result, SignedIn, SignedInForm};

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    OAuth: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let oauth = OAuth::from_ref(state);
        let user = web::SignedIn::required(&oauth, &parts.method, &parts.headers);
        Ok(Self(user.await?))
    }
}

impl<S> OptionalFromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    OAuth: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        let oauth = OAuth::from_ref(state);
        let user = web::SignedIn::optional(&oauth, &parts.method, &parts.headers);
        Ok(user.await?.map(Self))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientName {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let found = params.as_ref().and_then(|params| {
            let client = params.iter().find(|(name, _)| *name == "client");
            // In the middle of a path the router lets it be empty.
            let client = client.filter(|(_, value)| !value.is_empty());
            client.map(|(_, value)| Self(value.to_owned()))
        });
        found.ok_or_else(|| web::no_client().answering(&parts.headers).into())
    }
}

impl<S, T> FromRequest<S> for SignedInForm<T>
where
    S: Send + Sync,
    OAuth: FromRef<S>,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let oauth = OAuth::from_ref(state);
        let (parts, body) = request.into_parts();
        let body = web::read_body(body.into_data_stream());
        let (user, form) = web::read_form(&oauth, &parts.headers, body).await?;
        Ok(Self {
            user: SignedIn(user),
            form,
        })
    }
}
