//! Two replicas on one PostgreSQL server, and a server that goes away.

use std::collections::BTreeMap;

use switchboard_testbed::Postgres;

use super::*;

#[tokio::test]
async fn replicas_that_start_together_bring_the_schema_up_once() {
    let address = Postgres::shared().unwrap().new_database().unwrap();
    let opened = futures::future::join_all((0..4).map(|_| Store::open(&address))).await;
    for store in opened {
        store.unwrap().ready().await.unwrap();
    }
}

on_each_database! {
    the_time_of_a_server_is_shared_and_a_file_has_that_of_its_directory,
    only_a_server_has_others_to_tell,
}

async fn the_time_of_a_server_is_shared_and_a_file_has_that_of_its_directory(on: Backend) {
    let (store, _folder) = store(on).await;
    let now = || Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap();
    let before = now();
    let shared = store.shared_time(at(7)).await.unwrap();
    match on {
        Backend::Sqlite => assert_eq!(shared, at(7)),
        Backend::Postgres => assert!(before <= shared && shared <= now(), "{shared}"),
    }
}

async fn only_a_server_has_others_to_tell(on: Backend) {
    let (store, _folder) = store(on).await;
    let (voice, ears) = (store.database.voice(), store.database.ears());
    if on == Backend::Sqlite {
        assert!(voice.is_none() && ears.is_none());
        return;
    }
    let (mut voice, ears) = (voice.unwrap(), ears.unwrap());
    let mut hears = ears.open("news").await.unwrap();
    for told in [["a", "b"], ["c", "d"]] {
        let payloads = told.map(str::to_owned);
        voice.say("news", &payloads).await.unwrap();
        voice.say("others", &["unheard".to_owned()]).await.unwrap();
        let next = async { [hears.next().await.unwrap(), hears.next().await.unwrap()] };
        let heard = tokio::time::timeout(std::time::Duration::from_secs(30), next).await;
        assert_eq!(heard.unwrap(), payloads);
    }
}

#[tokio::test]
async fn a_bulk_request_takes_few_of_the_servers_locks() {
    let address = Postgres::shared().unwrap().new_database().unwrap();
    let store = Store::open(&address).await.unwrap();
    let mut transaction = store.database.begin().await.unwrap();
    let names: Vec<_> = (0..1_000).map(|n| format!("d{n}")).collect();
    let names = names.iter().map(String::as_str);
    transaction.lock("call/acme", names).await.unwrap();
    let sql = "SELECT count(*) AS count FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let locks: Option<(i64,)> = transaction.optional(sql, Vec::new()).await.unwrap();
    assert_eq!(locks, Some((32,)));
}

#[tokio::test]
async fn two_workers_on_two_replicas_resolve_every_call_once_under_redelivery() {
    let address = Postgres::shared().unwrap().new_database().unwrap();
    let replicas = [
        Store::open(&address).await.unwrap(),
        Store::open(&address).await.unwrap(),
    ];
    let legs: Vec<_> = (0..120)
        .map(|n| leg(&format!("d{n:03}"), &format!("03123456{:02}", n % 40), n))
        .collect();
    // Both replicas receive every leg, in opposite orders and in batches of five.
    let delivers = |store: Store, legs: Vec<Leg>| async move {
        let mut added = 0;
        for batch in legs.chunks(5) {
            let receipt = store
                .record_calls(&acme(), Region::JAPAN, batch, at(0))
                .await
                .unwrap();
            added += receipt.added;
        }
        added
    };
    let works = |store: Store, holder: &'static str| async move {
        let mut resolved = Vec::new();
        let mut idle = 0;
        while idle < 20 {
            let request = ClaimRequest {
                limit: 3,
                ..ClaimRequest::new(holder)
            };
            let claimed = store.claim(&acme(), &request, at(1_000)).await.unwrap();
            idle = if claimed.calls.is_empty() {
                idle + 1
            } else {
                0
            };
            let done: Vec<_> = claimed
                .calls
                .iter()
                .map(|call| DoneCall {
                    id: call.id.clone(),
                    reading: Reading::E164(call.e164.clone().unwrap()),
                })
                .collect();
            store.done(&acme(), &done, at(1_001)).await.unwrap();
            resolved.extend(claimed.calls.into_iter().map(|call| call.id));
            tokio::task::yield_now().await;
        }
        resolved
    };
    let backwards: Vec<_> = legs.iter().rev().cloned().collect();
    let [one, two] = &replicas;
    let (added_one, added_two, first, second) = futures::join!(
        delivers(one.clone(), legs.clone()),
        delivers(two.clone(), backwards),
        works(one.clone(), "first"),
        works(two.clone(), "second"),
    );
    assert_eq!(added_one + added_two, 120, "no call is added twice");
    let rest = works(two.clone(), "last").await;
    let mut times = BTreeMap::new();
    for id in first.into_iter().chain(second).chain(rest) {
        *times.entry(id).or_insert(0) += 1;
    }
    assert_eq!(times.len(), 120, "no call is lost");
    assert!(
        times.values().all(|n| *n == 1),
        "none is handed out twice: {times:?}"
    );
}

/// Which of two daily runs names a number is open, but one does, and the other is told so.
#[tokio::test]
async fn two_workers_that_write_the_same_numbers_agree_on_who_wrote_each() {
    let address = Postgres::shared().unwrap().new_database().unwrap();
    let replicas = [
        Store::open(&address).await.unwrap(),
        Store::open(&address).await.unwrap(),
    ];
    for round in 0..10 {
        let number = |n: usize| format!("+81312{round:02}{n:04}");
        let writes = ["one", "two"].map(|name| {
            let contacts = (0..300).map(|n| FoundContact {
                person_name: Some(name.to_owned()),
                ..found(&number(n))
            });
            let contacts: Vec<_> = contacts.collect();
            writes(WritePolicy::OnlyMissing, &contacts)
        });
        let company = acme();
        let (one, two) = futures::join!(
            replicas[0].write_contacts(&company, &writes[0], at(0)),
            replicas[1].write_contacts(&company, &writes[1], at(0)),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.written() + two.written(), 300, "round {round}");
        let contacts = replicas[0].contacts_after(&acme(), &number(0), 299).await;
        for contact in contacts.unwrap() {
            let of = |receipt: &crate::directory::model::WriteContactsReceipt| {
                receipt.outcomes[&contact.number] == crate::directory::model::WriteOutcome::Written
            };
            let writer = if of(&one) { "one" } else { "two" };
            assert_ne!(of(&one), of(&two));
            assert_eq!(contact.person_name.as_deref(), Some(writer));
        }
    }
}

#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_that_was_answered() {
    let mut server = Postgres::start(true).unwrap();
    let address = server.new_database().unwrap();
    let store = Store::open(&address).await.unwrap();
    record(&store, &[leg("kept", "0312345678", 0)]).await;
    server.kill().unwrap();
    let refused = store
        .record_calls(
            &acme(),
            Region::JAPAN,
            &[leg("later", "0312345678", 1)],
            at(0),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::Unavailable(..)),
        "{refused:?}"
    );
    let asked = store.ready().await.unwrap_err();
    assert!(matches!(asked, StoreError::Unavailable(..)), "{asked:?}");
    server.restart().unwrap();
    record(&store, &[leg("later", "0312345678", 1)]).await;
    assert_eq!(claim(&store, "w", 9, 100).await, ["kept", "later"]);
}

#[tokio::test]
async fn an_address_with_a_password_never_shows_it() {
    let address = "postgres://switchboard:hunter2@127.0.0.1:1/directory";
    let refused = Store::open(address).await.unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(text.contains("directory on 127.0.0.1:1"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
