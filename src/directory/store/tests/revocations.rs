//! What is revoked stays so: over restarts, for every replica, and for this company only.

use super::*;

on_each_database! {
    a_time_only_goes_forward_and_holds_for_one_company,
    a_restart_and_another_replica_know_what_is_revoked,
}

async fn a_time_only_goes_forward_and_holds_for_one_company(on: Backend) {
    let (store, _folder) = store(on).await;
    assert_eq!(store.revocations().await.unwrap(), []);
    for (told, holds) in [(100, 100), (50, 100), (100, 100), (200, 200)] {
        let answered = store.refuse_tokens_before(&acme(), at(told)).await;
        assert_eq!(answered.unwrap(), at(holds), "{told}");
    }
    assert_eq!(store.revocations().await.unwrap(), [(acme(), at(200))]);
    store.purge(Some(&acme()), at(1_000)).await.unwrap();
    assert_eq!(store.revocations().await.unwrap(), [(acme(), at(200))]);
}

async fn a_restart_and_another_replica_know_what_is_revoked(on: Backend) {
    let folder = TempDir::new().unwrap();
    let address = on.fresh(&folder);
    let first = Store::open(&address).await.unwrap();
    first.refuse_tokens_before(&acme(), at(7)).await.unwrap();
    let known = [(acme(), at(7))];
    if on == Backend::Postgres {
        let replica = Store::open(&address).await.unwrap();
        assert_eq!(replica.revocations().await.unwrap(), known);
        replica.close().await;
    }
    first.close().await;
    let again = Store::open(&address).await.unwrap();
    assert_eq!(again.revocations().await.unwrap(), known);
}
