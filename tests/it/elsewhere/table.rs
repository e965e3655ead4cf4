//! A table of the application's own, as closures reach it, with faults to turn on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokenkeep::{OAuth, OAuthBuilder, Registration, Replaced, Timestamp, Token, TokenKey};

use crate::{
    faulty::StoreFault,
    world::{BASE, CLIENT, Handle, World},
};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Fetch,
    Update,
    Delete,
}

/// What was written last under a key, and what it replaced.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) token: Token,
    pub(super) replaced: Replaced,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<TokenKey, Token>,
    faults: Vec<(Call, StoreFault, u64)>,
    calls: Vec<(Call, TokenKey)>,
    written: Vec<Written>,
    panics: bool,
}

/// A table with four columns. A clone is the same one.
#[derive(Clone, Default)]
pub(super) struct Table(Arc<Mutex<State>>);

impl Table {
    pub(super) fn on(&self, call: Call, fault: StoreFault) {
        self.times(call, fault, u64::MAX);
    }

    pub(super) fn times(&self, call: Call, fault: StoreFault, times: u64) {
        self.0.lock().unwrap().faults.push((call, fault, times));
    }

    /// From now on, writing panics.
    pub(super) fn panics(&self, on: bool) {
        self.0.lock().unwrap().panics = on;
    }

    pub(super) fn clear_faults(&self) {
        self.0.lock().unwrap().faults.clear();
    }

    pub(super) fn calls(&self, call: Call) -> usize {
        let state = self.0.lock().unwrap();
        state.calls.iter().filter(|(of, _)| *of == call).count()
    }

    pub(super) fn called_for(&self) -> Vec<(Call, TokenKey)> {
        self.0.lock().unwrap().calls.clone()
    }

    pub(super) fn last_written(&self) -> Written {
        let state = self.0.lock().unwrap();
        state.written.last().expect("something was written").clone()
    }

    /// The row as old code sees it.
    pub(super) fn row(&self, key: &TokenKey) -> Option<Token> {
        self.0.lock().unwrap().rows.get(key).cloned()
    }

    /// Old code writes a row.
    pub(super) fn put(&self, key: &TokenKey, token: &Token) {
        self.0
            .lock()
            .unwrap()
            .rows
            .insert(key.clone(), columns(token));
    }

    pub(super) fn remove(&self, key: &TokenKey) {
        self.0.lock().unwrap().rows.remove(key);
    }

    async fn call<T>(
        &self,
        call: Call,
        key: TokenKey,
        work: impl FnOnce(&mut State) -> T,
    ) -> Result<T, BoxError> {
        let (fault, panics) = {
            let mut state = self.0.lock().unwrap();
            state.calls.push((call, key));
            let fault = state
                .faults
                .iter_mut()
                .find(|(of, _, left)| *of == call && *left > 0);
            let fault = fault.map(|(_, fault, left)| {
                *left -= 1;
                fault.clone()
            });
            (fault, state.panics && call == Call::Update)
        };
        assert!(!panics, "a closure of the test panics");
        let work = || work(&mut self.0.lock().unwrap());
        match fault {
            None => Ok(work()),
            Some(StoreFault::Hold(gate)) => {
                gate.pass().await;
                Ok(work())
            }
            Some(StoreFault::Fail) => Err("a fault of the test".into()),
            Some(StoreFault::Hang) => std::future::pending().await,
            Some(StoreFault::LateAnswer(by)) => {
                let done = work();
                tokio::time::sleep(by).await;
                Ok(done)
            }
            Some(StoreFault::HoldAnswer(gate)) => {
                let done = work();
                gate.pass().await;
                Ok(done)
            }
            Some(StoreFault::LoseAnswerBehind(gate)) => {
                work();
                gate.pass().await;
                Err("a fault of the test".into())
            }
            Some(StoreFault::LoseAnswer | StoreFault::LoseAnswerAsConflict) => {
                work();
                Err("a fault of the test".into())
            }
        }
    }

    pub(super) async fn fetch(self, key: TokenKey) -> Result<Option<Token>, BoxError> {
        let of = key.clone();
        let work = move |state: &mut State| state.rows.get(&of).cloned();
        self.call(Call::Fetch, key, work).await
    }

    pub(super) async fn update(
        self,
        key: TokenKey,
        token: Token,
        replaced: Replaced,
    ) -> Result<(), BoxError> {
        let of = key.clone();
        let work = move |state: &mut State| {
            state.rows.insert(of, columns(&token));
            state.written.push(Written { token, replaced });
        };
        self.call(Call::Update, key, work).await
    }

    pub(super) async fn delete(self, key: TokenKey) -> Result<(), BoxError> {
        let of = key.clone();
        let work = move |state: &mut State| {
            state.rows.remove(&of);
        };
        self.call(Call::Delete, key, work).await
    }

    /// Registers the closures for every client.
    pub(super) fn behind(&self, builder: OAuthBuilder) -> OAuthBuilder {
        let (fetch, update, delete) = (self.clone(), self.clone(), self.clone());
        builder
            .fetch_token(move |key| fetch.clone().fetch(key))
            .update_token(move |key, token, replaced| update.clone().update(key, token, replaced))
            .delete_token(move |key| delete.clone().delete(key))
    }

    /// Registers them for one client.
    pub(super) fn behind_client(&self, registration: Registration) -> Registration {
        let (fetch, update, delete) = (self.clone(), self.clone(), self.clone());
        registration
            .fetch_token(move |key| fetch.clone().fetch(key))
            .update_token(move |key, token, replaced| update.clone().update(key, token, replaced))
            .delete_token(move |key| delete.clone().delete(key))
    }
}

/// What four columns keep of a token: whole seconds, no scopes, no ID token.
fn columns(token: &Token) -> Token {
    let secs = token
        .expires_at()
        .map(|at| Timestamp::from_secs(at.as_secs()));
    Token::builder(token.access_token().clone())
        .maybe_refresh(token.refresh_token().cloned())
        .expires_at(secs)
        .token_type(token.credential().token_type())
        .build()
        .unwrap()
}

pub(super) fn any_token() -> Token {
    Token::builder("of nobody").build().unwrap()
}

/// A registry without any store.
pub(super) fn bare(world: &World) -> OAuthBuilder {
    OAuth::builder()
        .clock(Handle(Arc::clone(&world.clock)))
        .base_url(BASE)
}

/// An application that keeps its tokens in the table, and has no other store.
pub(super) fn over(world: &World, table: &Table) -> OAuth {
    let builder = bare(world).register(world.registration());
    table.behind(builder).build().unwrap()
}

pub(super) fn key_of_alice() -> TokenKey {
    TokenKey::new(CLIENT, "alice").unwrap()
}

/// Alice has logged in once, by old code: her token stands in the table.
pub(super) async fn alice_in(world: &World, table: &Table, oauth: &OAuth) -> Token {
    let token = world.login(oauth, "alice").await.unwrap().token;
    table.put(&key_of_alice(), &token);
    token
}
