//! What is revoked stays so: over restarts, for every replica, and for this company only. The same
//! holds for sessions that somebody signed out of.

use super::*;
use crate::directory::model::revoked::{EndedSession, SESSIONS_LAST};

on_each_database! {
    a_time_only_goes_forward_and_holds_for_one_company,
    a_restart_and_another_replica_know_what_is_revoked,
    who_signs_out_without_end_fills_nothing_and_signs_all_out,
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

async fn who_signs_out_without_end_fills_nothing_and_signs_all_out(on: Backend) {
    let (store, _folder) = store(on).await;
    let ended = |company: &str, session: &str, second: i64| EndedSession {
        company: company.parse().unwrap(),
        session: session.to_owned(),
        ended_at: at(second),
        until: at(second + 60),
    };
    let other = ended("birch", "other", 0);
    assert_eq!(store.end_session(&other).await.unwrap(), other);
    for n in 0..1_000 {
        let one = ended("acme", &n.to_string(), n);
        assert_eq!(store.end_session(&one).await.unwrap(), one);
    }
    assert_eq!(store.ended_sessions(at(0)).await.unwrap().len(), 1_001);
    let all = EndedSession {
        session: String::new(),
        until: at(1_000) + SESSIONS_LAST,
        ..ended("acme", "", 1_000)
    };
    let told = store.end_session(&ended("acme", "more", 1_000)).await;
    assert_eq!(told.unwrap(), all, "in place of a thousand");
    assert_eq!(
        store.ended_sessions(at(0)).await.unwrap(),
        [all.clone(), other]
    );
    let left = store.ended_sessions(at(60)).await.unwrap();
    assert_eq!(left, std::slice::from_ref(&all));
    assert_eq!(store.purge_sessions(at(60)).await.unwrap(), 1);
    assert_eq!(store.ended_sessions(at(0)).await.unwrap(), [all]);
}
