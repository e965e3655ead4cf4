//! Where Authlib's client has a weak point, and what is promised here instead. The tables that name these tests are
//! `docs/authlib-openid.md` and `docs/authlib-weak-points.md`.

mod errors;
mod flows;
mod guide;
mod notes;
mod snippets;
mod weak_points;
