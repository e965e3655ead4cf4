//! What is taken out, by where it stands in the source.

mod calls;
mod grants;
mod hooks;
mod login;
mod oauth1;
mod openid;
mod parts;
mod registration;
mod session;
mod tokens;

use crate::list::Group;

/// Every group.
pub(crate) fn groups() -> impl Iterator<Item = &'static Group> {
    [
        openid::GROUPS,
        oauth1::GROUPS,
        grants::GROUPS,
        calls::GROUPS,
        login::GROUPS,
        registration::GROUPS,
        session::GROUPS,
        hooks::GROUPS,
        tokens::GROUPS,
    ]
    .into_iter()
    .flatten()
}
