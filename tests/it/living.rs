//! Living with what is kept: looking at it, forgetting it, keeping it alive, sealing it anew, measuring it.

mod forget;
mod inspect;
mod keys;
pub(crate) mod measure;
mod upkeep;

use tokenkeep::{OAuth, TokenKey};

use crate::world::{CLIENT, World};

fn key_of(owner: &str) -> TokenKey {
    TokenKey::new(CLIENT, owner).unwrap()
}

/// A registry over the store whose process has a name.
fn named(world: &World, name: &str) -> OAuth {
    let builder = world.builder().process_name(name);
    builder.build().unwrap()
}
