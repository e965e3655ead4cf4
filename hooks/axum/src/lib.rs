//! Login routes, extractors and sealed sessions for axum.
//!
//! [`routes`] brings `/login/{client}`, `/connect/{client}`, `/callback/{client}`, `/logout` and `/logged-out/{client}`;
//! [`SignedIn`] is who is signed in; [`Error`] is what handlers answer when something goes wrong.
//!
//! ```no_run
//! use axum::{Router, response::IntoResponse, routing::get};
//! use tokenkeep_axum::{Result, SignedIn};
//! use tokenkeep_core::OAuth;
//!
//! async fn repos(user: SignedIn) -> Result<impl IntoResponse> {
//!     let repos = user.grant("github")?.get("user/repos").await?;
//!     Ok(repos.error_for_status()?.bytes().await?)
//! }
//!
//! fn app(oauth: OAuth) -> Router {
//!     Router::new()
//!         .route("/repos", get(repos))
//!         .merge(tokenkeep_axum::routes(&oauth))
//!         .with_state(oauth)
//! }
//! ```

mod cookies;
mod error;
mod extract;
mod page;
mod routes;
mod updates;

pub use cookies::SetCookies;
pub use error::{Error, Result};
pub use extract::{ClientName, SignedIn, SignedInForm};
pub use page::wants_page;
pub use routes::{Routes, routes};
