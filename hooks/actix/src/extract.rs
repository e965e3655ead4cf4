//! What handlers ask for.

use std::{borrow::Cow, future::Ready, ops::Range};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use tokenkeep_core::{self as core, ErrorCode, OAuth, Phase};
use tokenkeep_web as web;

use crate::{ClientName, Error, Result, SignedIn, SignedInForm, convert};

/// The registry of the application.
pub(crate) fn registry(request: &HttpRequest, headers: &http::HeaderMap) -> Result<OAuth> {
    let data = request.app_data::<Data<OAuth>>();
    let oauth = data.map(|oauth| OAuth::clone(oauth));
    oauth.ok_or_else(|| {
        let error = core::Error::new(
            ErrorCode::InvalidConfiguration,
            Phase::Configure,
            "the application has no registry: add .app_data(web::Data::new(oauth.clone())) to App::new()",
        );
        web::Error::from(error).answering(headers).into()
    })
}

async fn optional(request: HttpRequest) -> Result<(Option<SignedIn>, http::HeaderMap)> {
    let headers = convert::headers(request.headers());
    let oauth = registry(&request, &headers)?;
    let method = convert::method(request.method());
    let user = web::SignedIn::optional(&oauth, &method, &headers).await?;
    Ok((user.map(SignedIn), headers))
}

impl FromRequest for SignedIn {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (user, headers) = optional(request).await?;
            user.ok_or_else(|| web::SignedIn::nobody(&headers).into())
        })
    }
}

/// Who is signed in, if anybody is. Unlike `Option<SignedIn>` it answers with the error where that cannot be found out: a store
/// that is away, or a request that may change something and lacks the session's CSRF token.
#[derive(Clone, Debug)]
pub struct MaybeSignedIn(pub Option<SignedIn>);

impl FromRequest for MaybeSignedIn {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(optional(request).await?.0)) })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for SignedInForm<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let headers = convert::headers(request.headers());
            let oauth = registry(&request, &headers)?;
            let body = web::read_body(payload);
            let (user, form) = web::read_form(&oauth, &headers, body).await?;
            Ok(Self {
                user: SignedIn(user),
                form,
            })
        })
    }
}

impl FromRequest for ClientName {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let no_client = || {
            let headers = convert::headers(request.headers());
            web::no_client().answering(&headers).into()
        };
        std::future::ready(client_of(request).map(Self).ok_or_else(no_client))
    }
}

/// The path parameter `client`, read from the path as it was sent: the router's own text is decoded in part already, and
/// what was not UTF-8 is lost in it.
pub(crate) fn client_of(request: &HttpRequest) -> Option<String> {
    let matched = request.match_info();
    let value = matched.get("client")?;
    let Some(place) = place_in(matched.as_str(), value) else {
        // Set by hand, as tests do.
        return Some(value.to_owned());
    };
    let (before, after) = (
        &matched.as_str()[..place.start],
        &matched.as_str()[place.end..],
    );
    let sent = segments_at(request.uri().path(), before, value)?;
    // What a pattern says around the parameter in the same segments.
    let sent = sent.strip_prefix(before.rsplit('/').next()?)?;
    let sent = sent.strip_suffix(after.split('/').next()?)?;
    percent_decode_str(sent)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}

/// Where a part stands in its text.
fn place_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    (text.get(place.clone())? == part).then_some(place)
}

/// The segments of a path that come after as many as stand in `before`, and are as many as in `value`: the router leaves
/// each `/` where it is.
fn segments_at<'a>(path: &'a str, before: &str, value: &str) -> Option<&'a str> {
    let slash = |number: usize| path.match_indices('/').nth(number).map(|(at, _)| at);
    let first = before.matches('/').count();
    let start = match first.checked_sub(1) {
        None => 0,
        Some(last) => slash(last)? + 1,
    };
    let end = slash(first + value.matches('/').count()).unwrap_or(path.len());
    path.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::{place_in, segments_at};

    #[test]
    fn a_parameter_is_found_in_the_path_as_it_was_sent() {
        let routed = "/a b/x/c d/e";
        for (part, sent) in [
            ("a b", "a%20b"),
            ("x", "%78"),
            ("c d/e", "c%20d/%65"),
            ("e", "%65"),
        ] {
            let start = routed.find(part).unwrap();
            let value = &routed[start..start + part.len()];
            assert_eq!(place_in(routed, value), Some(start..start + part.len()));
            let found = segments_at("/a%20b/%78/c%20d/%65", &routed[..start], value);
            assert_eq!(found, Some(sent));
        }
        assert_eq!(place_in(routed, "x"), None);
    }
}
