//! What web frameworks have in common: the routes of a login and a logout, from request to answer; who is signed in; errors as
//! answers; the pages. **Not for applications**: they take `tokenkeep-axum` or `tokenkeep-actix`, which are thin, and whose
//! types are written down here once ([`hook!`]).
//!
//! A hook gives each [`Route`] of [`Routes`] a place in its framework, hands a [`Request`] over, and sends the [`Response`]
//! as it is. Nothing here knows a framework; the types are those of the crate `http`.

mod answer;
mod body;
mod error;
#[macro_use]
mod hook;
mod page;
mod request;
mod routes;
mod updates;
mod user;

pub use answer::{Response, set_cookies};
pub use body::{BadBody, MAX_BODY, read_body};
pub use error::Error;
// What the types of `hook!` are written with.
#[doc(hidden)]
pub use futures_util::stream::BoxStream;
pub use page::wants_page;
pub use request::{Request, no_client};
pub use routes::{LogOutPage, Route, Routes};
#[doc(hidden)]
pub use serde_json::Value;
#[doc(hidden)]
pub use tokenkeep_core as core;
pub use user::{SignedIn, read_form};
