//! Columns that other programs read, kept true by hooks.

use async_trait::async_trait;
use tokenkeep::{Hook, Result, TokenKey, TokenUpdate};
use tokenkeep_testing::Gate;

use super::table::{Call, Table, key_of_alice};
use crate::world::{PATIENCE, World, alice, soon};

/// Writes what is committed into a table of before.
struct Mirror {
    table: Table,
    /// Where the hook of a login waits.
    login: Gate,
}

#[async_trait]
impl Hook for Mirror {
    async fn after_update(&self, update: &TokenUpdate) -> Result<()> {
        if update.kind() == "issued" {
            self.login.pass().await;
        }
        if let Some(changed) = update.changed() {
            self.table.put(&changed.key, &*changed.token().await?);
        }
        Ok(())
    }

    async fn after_logout(&self, key: &TokenKey) -> Result<()> {
        let deleted = self.table.clone().delete(key.clone()).await;
        deleted.expect("no fault is on");
        Ok(())
    }
}

#[tokio::test]
async fn mirrored_columns_follow_the_commits_in_their_order() {
    let world = World::new().await;
    let (table, login) = (Table::default(), Gate::new());
    let mirror = Mirror {
        table: table.clone(),
        login: login.clone(),
    };
    let oauth = world.builder().hook(mirror).build().unwrap();
    let grant = world.alice(&oauth).await;
    soon(login.arrived(1)).await;
    // A refresh is through before the login's hook: its own waits, and nobody else does.
    let renewed = soon(grant.refresh()).await.unwrap();
    assert_eq!(table.row(&key_of_alice()), None);
    login.open();
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    let row = table.row(&key_of_alice()).unwrap();
    assert_eq!(row.access_token(), renewed.access_token());
    let live = world
        .provider
        .live_refresh_token("alice", world.provider.client_id());
    assert_eq!(
        row.refresh_token().map(|token| token.expose().to_owned()),
        live
    );

    // At a logout they are emptied, behind whatever was still to be written.
    let again = Gate::new();
    let mirror = Mirror {
        table: table.clone(),
        login: again.clone(),
    };
    let oauth = world.builder().hook(mirror).build().unwrap();
    world.log_in(&oauth, "alice").await;
    soon(again.arrived(1)).await;
    let logout = tokio::spawn({
        let grant = alice(&oauth);
        async move { grant.log_out().await }
    });
    tokio::task::yield_now().await;
    again.open();
    soon(logout).await.unwrap().unwrap();
    assert_eq!(soon(oauth.drain(PATIENCE)).await.unwrap(), 0);
    assert_eq!(table.row(&key_of_alice()), None);
    assert_eq!(table.calls(Call::Delete), 1);
}
