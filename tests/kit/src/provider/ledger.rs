//! Every secret that went through the provider, for a test that searches for them where they must not be.

use std::collections::HashSet;

use super::{Provider, request::Parameters};

/// A secret that a provider gave or was sent, and what it is: `access_token`, `refresh_token`, `id_token`, `code`, `state`,
/// `nonce`, `code_verifier`, `client_secret`, `client_assertion`, `assertion`, `password`, `device_code`.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KnownSecret {
    /// Its name in the protocol.
    pub what: &'static str,
    /// The secret itself.
    pub value: String,
}

impl std::fmt::Debug for KnownSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownSecret({})", self.what)
    }
}

/// Nothing is written down unless the test asked for it: long runs would grow without end.
#[derive(Default)]
pub(super) struct Ledger {
    is_kept: bool,
    all: HashSet<KnownSecret>,
}

impl Ledger {
    pub(super) fn new(is_kept: bool) -> Self {
        Self {
            is_kept,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, what: &'static str, value: &str) {
        if self.is_kept && !value.is_empty() {
            self.all.insert(KnownSecret {
                what,
                value: value.to_owned(),
            });
        }
    }

    /// What stands in a request.
    pub(super) fn request(&mut self, parameters: &Parameters) {
        for name in [
            "state",
            "nonce",
            "code",
            "code_verifier",
            "client_secret",
            "client_assertion",
            "assertion",
            "password",
            "device_code",
        ] {
            for value in parameters.all(name) {
                self.note(name, value);
            }
        }
    }
}

impl Provider {
    /// Every secret that this provider gave or was sent, if it was built with
    /// [`remember_secrets`](super::ProviderBuilder::remember_secrets); else none. In no order.
    #[must_use]
    pub fn secrets(&self) -> Vec<KnownSecret> {
        let memory = self.shared.lock();
        if !memory.ledger.is_kept {
            return Vec::new();
        }
        let clients = self.shared.settings.clients.iter();
        let of_clients = clients.filter_map(|client| {
            Some(KnownSecret {
                what: "client_secret",
                value: client.secret()?.to_owned(),
            })
        });
        memory
            .ledger
            .all
            .iter()
            .cloned()
            .chain(of_clients)
            .collect()
    }
}
