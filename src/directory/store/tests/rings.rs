//! Rings on record, the list of who waits, and replicas that tell each other.

use std::time::Duration;

use switchboard_testbed::Postgres;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::directory::model::company::{CompanySettings, Owner};
use crate::directory::model::rings::{ClaimRingsRequest, NotAsked, SettleRingsRequest};
use crate::directory::store::changes::News;
use crate::directory::store::database::{Transaction, args, row};
use crate::phone::E164;

on_each_database! {
    no_two_get_the_same_ring_and_a_dead_ones_comes_again,
    the_newest_ring_comes_first_and_an_old_one_not_at_all,
    what_could_not_be_asked_comes_again_later,
    the_rate_of_a_company_holds_over_all_requests,
    a_company_waits_as_long_as_something_can_be_taken,
    a_ring_that_is_only_shown_is_answered_at_once_and_counts_for_nothing,
    more_old_rings_go_than_one_step_takes,
    the_namespace_is_that_of_who_claimed_the_company,
    old_rings_go_and_so_do_those_of_an_erased_company,
    a_write_answers_rings_and_tells_of_it_after_its_commit,
    only_what_is_over_in_minutes_does_not_wait_for_the_disk,
}

const LIMITS: RingLimits = RingLimits {
    per_minute: 50,
    asked_within: Duration::from_secs(600),
};

fn number(n: usize) -> E164 {
    format!("+8131234{n:04}").parse().unwrap()
}

async fn ring(store: &Store, n: usize, second: i64) -> Ring {
    let (company, number) = (acme(), number(n));
    let ring = store.ring(&company, &number, at(second), &LIMITS, at(second));
    ring.await.unwrap()
}

async fn take(store: &Store, holder: &str, limit: u32, second: i64) -> Vec<String> {
    let request = ClaimRingsRequest {
        limit,
        ..ClaimRingsRequest::new(holder)
    };
    let claimed = store
        .claim_rings(&acme(), &request, at(second))
        .await
        .unwrap();
    let rings = claimed.rings.into_iter();
    rings.map(|ring| ring.number.as_str().to_owned()).collect()
}

fn texts(numbers: &[usize]) -> Vec<String> {
    let texts = numbers.iter().map(|n| number(*n).as_str().to_owned());
    texts.collect()
}

async fn no_two_get_the_same_ring_and_a_dead_ones_comes_again(on: Backend) {
    let (store, _folder) = store(on).await;
    for n in 0..40 {
        ring(&store, n, 0).await;
    }
    let holders: Vec<String> = (0..8).map(|n| format!("h{n}")).collect();
    let takes = holders.iter().map(|holder| take(&store, holder, 5, 1));
    let mut taken = futures::future::join_all(takes).await.concat();
    taken.sort();
    assert_eq!(taken, texts(&(0..40).collect::<Vec<_>>()));
    assert_eq!(take(&store, "other", 50, 15).await, texts(&[]));
    assert_eq!(
        take(&store, "h0", 50, 15).await.len(),
        5,
        "it gets its own again"
    );
    assert_eq!(take(&store, "other", 50, 16).await.len(), 35);
}

async fn the_newest_ring_comes_first_and_an_old_one_not_at_all(on: Backend) {
    let (store, _folder) = store(on).await;
    for n in 0..3 {
        ring(&store, n, n as i64 * 100).await;
    }
    assert_eq!(take(&store, "h", 2, 200).await, texts(&[2, 1]));
    assert_eq!(take(&store, "h", 3, 201).await, texts(&[2, 1, 0]));
    // It rings on, and is the newest now.
    ring(&store, 0, 240).await;
    assert_eq!(take(&store, "h", 3, 241).await, texts(&[0, 2, 1]));
    assert_eq!(
        take(&store, "x", 3, 840).await,
        texts(&[]),
        "these are no rings any more"
    );
}

async fn what_could_not_be_asked_comes_again_later(on: Backend) {
    let (store, _folder) = store(on).await;
    ring(&store, 1, 0).await;
    assert_eq!(take(&store, "h", 9, 1).await, texts(&[1]));
    let request = SettleRingsRequest {
        holder: "h".to_owned(),
        numbers: vec![number(1), number(2)],
        why: NotAsked::Unreachable,
    };
    assert_eq!(
        store.settle_rings(&acme(), &request, at(2)).await.unwrap(),
        1
    );
    assert_eq!(
        store.settle_rings(&acme(), &request, at(2)).await.unwrap(),
        0
    );
    let told = Ring::NotAsked(NotAsked::Unreachable);
    assert_eq!(ring(&store, 1, 61).await, told);
    assert_eq!(take(&store, "h", 9, 61).await, texts(&[]));
    assert_eq!(take(&store, "h", 9, 62).await, texts(&[1]));
}

async fn the_rate_of_a_company_holds_over_all_requests(on: Backend) {
    let (store, _folder) = store(on).await;
    let rings = futures::future::join_all((0..80).map(|n| ring(&store, n, n as i64 / 10)));
    let rings = rings.await;
    let over = rings.iter().filter(|ring| **ring == Ring::OverRate).count();
    assert_eq!(over, 30);
    // Answered or not, it was asked.
    let request = WriteContactsRequest {
        not_found: (0..80).map(number).collect(),
        ..WriteContactsRequest::new(WritePolicy::Overwrite, vec![])
    };
    store
        .write_contacts(&acme(), &request, at(10))
        .await
        .unwrap();
    assert_eq!(ring(&store, 100, 20).await, Ring::OverRate);
    let birch = "birch".parse().unwrap();
    let one = number(1);
    let other = store.ring(&birch, &one, at(20), &LIMITS, at(20));
    assert!(
        matches!(other.await.unwrap(), Ring::Waits { .. }),
        "it has its own"
    );
    assert!(matches!(ring(&store, 100, 90).await, Ring::Waits { .. }));
}

async fn a_company_waits_as_long_as_something_can_be_taken(on: Backend) {
    let (store, _folder) = store(on).await;
    let waits = async |second| {
        let listed = store.who_waits(at(second)).await.unwrap();
        let told = listed.into_iter();
        told.map(|one| (one.company.to_string(), one.calls, one.rings))
            .collect::<Vec<_>>()
    };
    let of = |company: &str, calls, rings| (company.to_owned(), calls, rings);
    assert_eq!(waits(0).await, []);
    let lasts = Leg {
        ended_at: None,
        ..leg("lasts", "0312345678", 0)
    };
    record(&store, &[lasts]).await;
    assert_eq!(waits(1).await, [], "it lasts");
    assert_eq!(
        waits(4 * 3_600 + 1).await,
        [of("acme", true, false)],
        "its end was never told"
    );
    record(&store, &[leg("a", "0398765432", 10)]).await;
    let birch: CompanyId = "birch".parse().unwrap();
    let earlier = [leg("b", "0398765432", 5)];
    store
        .record_calls(&birch, Region::JAPAN, &earlier, at(0))
        .await
        .unwrap();
    let both = [of("birch", true, false), of("acme", true, false)];
    assert_eq!(waits(100).await, both, "the oldest first");
    ring(&store, 1, 100).await;
    assert_eq!(
        waits(100).await,
        [of("acme", true, true), of("birch", true, false)]
    );
    assert_eq!(claim(&store, "w", 9, 100).await, ["a"]);
    take(&store, "h", 9, 100).await;
    assert_eq!(
        waits(100).await,
        [of("birch", true, false)],
        "both are held"
    );
    assert_eq!(
        waits(115).await[0],
        of("acme", false, true),
        "the ring's lease is over"
    );
    assert_eq!(waits(160).await[0], of("acme", true, true));
    assert_eq!(waits(700).await, both, "it is no ring any more");
}

async fn a_ring_that_is_only_shown_is_answered_at_once_and_counts_for_nothing(on: Backend) {
    let (store, _folder) = store(on).await;
    let mut news = store.changes().subscribe();
    let company = acme();
    let show = async |n: usize, rang_at: i64, now: i64| {
        let number = number(n);
        let shown = store.show_ring(&company, &number, at(rang_at), at(now));
        shown.await.unwrap();
    };
    let held = async |n: usize| {
        let held = store.held_ring(&acme(), &number(n)).await.unwrap().unwrap();
        assert_eq!(held.not_asked, None);
        (held.rang_at, held.answered_at)
    };
    show(1, 0, 2).await;
    assert_eq!(held(1).await, (at(0), Some(at(2))));
    let (company, kind) = (acme(), Kind::History);
    assert_eq!(news.next().await, News::Changed(Change { company, kind }));
    show(1, 5, 6).await;
    assert_eq!(held(1).await, (at(5), Some(at(6))), "it rings again");
    show(1, 4, 7).await;
    assert_eq!(held(1).await, (at(5), Some(at(6))), "an older ring is late");
    // One about which Salesforce is to be asked stays open.
    ring(&store, 2, 8).await;
    show(2, 9, 9).await;
    assert_eq!(held(2).await, (at(8), None));
    let ringing = store.ringing(&acme(), at(0), 9).await.unwrap();
    let told = ringing.into_iter();
    let told = told.map(|one| (one.number, one.rang_at, one.answered, one.not_asked));
    let expected = [
        (number(2), at(8), false, None),
        (number(1), at(5), true, None),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected, "the newest first");
    assert_eq!(take(&store, "w", 9, 10).await, texts(&[2]));
    for n in 10..70 {
        show(n, 10, 10).await;
    }
    assert!(
        matches!(ring(&store, 100, 11).await, Ring::Waits { .. }),
        "none of them was asked about"
    );
    store.erase_any(&acme(), at(20)).await.unwrap();
    show(1, 30, 30).await;
    assert_eq!(store.ringing(&acme(), at(0), 9).await.unwrap().len(), 0);
}

async fn more_old_rings_go_than_one_step_takes(on: Backend) {
    let (store, _folder) = store(on).await;
    let mut transaction = store.database.begin().await.unwrap();
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) \
                INSERT INTO rings (company, number, rang_at, recorded_at, next_at) \
                SELECT 'acme', '+8131234' || (i + 1000), 5, 5, 5 FROM n";
    assert_eq!(transaction.execute(many, args![]).await.unwrap(), 1_001);
    transaction.commit().await.unwrap();
    let first = "+81312341001".parse().unwrap();
    let last = "+81312342001".parse().unwrap();
    assert!(store.held_ring(&acme(), &first).await.unwrap().is_some());
    store.purge_rings(at(0)).await.unwrap();
    for number in [first, last] {
        assert_eq!(store.held_ring(&acme(), &number).await.unwrap(), None);
    }
    row! {
        struct Left {
            rings: i64,
        }
    }
    let left = "SELECT COUNT(*) AS rings FROM rings";
    let left: Option<Left> = store.database.optional(left, args![]).await.unwrap();
    assert_eq!(left.unwrap().rings, 0);
}

async fn the_namespace_is_that_of_who_claimed_the_company(on: Backend) {
    let (store, _folder) = store(on).await;
    assert_eq!(store.namespace(&acme()).await.unwrap(), None);
    let settings = CompanySettings {
        owner: Owner {
            uid: "u1".to_owned(),
            namespace: "tenant-7".to_owned(),
            name: "link".to_owned(),
        },
        adopt: None,
        had_tokens: false,
        retain_days: None,
    };
    let actor = crate::directory::store::audit::Actor::operator();
    store
        .claim_company(&acme(), &settings, None, &actor, at(0))
        .await
        .unwrap();
    let of = |text: &str| text.parse::<CompanyId>().unwrap();
    let found = store.namespace(&acme()).await.unwrap();
    assert_eq!(found.as_deref(), Some("tenant-7"));
    assert_eq!(store.namespace(&of("birch")).await.unwrap(), None);
    record(&store, &[leg("a", "0398765432", 10)]).await;
    let listed = store.who_waits(at(100)).await.unwrap();
    assert_eq!(listed[0].namespace.as_deref(), Some("tenant-7"));
}

async fn old_rings_go_and_so_do_those_of_an_erased_company(on: Backend) {
    let (store, _folder) = store(on).await;
    for n in 0..3 {
        ring(&store, n, n as i64 * 100).await;
    }
    store.purge_rings(at(150)).await.unwrap();
    for (n, is_there) in [(0, false), (1, false), (2, true)] {
        let held = store.held_ring(&acme(), &number(n)).await.unwrap();
        assert_eq!(held.is_some(), is_there, "{n}");
    }
    store.erase_any(&acme(), at(300)).await.unwrap();
    assert_eq!(store.held_ring(&acme(), &number(2)).await.unwrap(), None);
    assert_eq!(
        ring(&store, 5, 301).await,
        Ring::Erased,
        "nothing is taken in"
    );
}

async fn a_write_answers_rings_and_tells_of_it_after_its_commit(on: Backend) {
    let (store, _folder) = store(on).await;
    let mut news = store.changes().subscribe();
    let mut told = async |wanted: Kind| {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), news.next());
            if let News::Changed(change) = next.await.unwrap()
                && change.kind == wanted
            {
                assert_eq!(change.company, acme());
                return;
            }
        }
    };
    let hash = |n| Kind::Ring(store.number_hash(&acme(), number(n).as_str()));
    ring(&store, 1, 0).await;
    told(Kind::RingsWait).await;
    ring(&store, 2, 0).await;
    record(&store, &[leg("a", "0312345678", 0)]).await;
    told(Kind::CallsWait).await;
    let mut request = writes(WritePolicy::Overwrite, &[found(number(1).as_str())]);
    request.not_found = vec![number(2), number(3)];
    store
        .write_contacts(&acme(), &request, at(5))
        .await
        .unwrap();
    told(hash(1)).await;
    told(hash(2)).await;
    told(Kind::History).await;
    for n in [1, 2] {
        let held = store.held_ring(&acme(), &number(n)).await.unwrap().unwrap();
        assert_eq!(held.answered_at, Some(at(5)), "{n}");
    }
    assert_eq!(ring(&store, 1, 6).await, Ring::Known);
    assert_eq!(ring(&store, 2, 6).await, Ring::Asked);
}

#[tokio::test]
async fn replicas_tell_each_other_also_after_the_server_was_gone() {
    let mut server = Postgres::start(true).unwrap();
    let address = server.new_database().unwrap();
    let (one, two) = (
        Store::open(&address).await.unwrap(),
        Store::open(&address).await.unwrap(),
    );
    let shutdown = CancellationToken::new();
    for store in [&one, &two] {
        tokio::spawn(store.clone().keep_in_touch(shutdown.clone()));
    }
    let mut news = two.changes().subscribe();
    let _follower = one.changes().follow().unwrap();
    let mut hears = async |n: usize| {
        let company: CompanyId = format!("company-{n}").parse().unwrap();
        let wanted = News::Changed(Change {
            company: company.clone(),
            kind: Kind::CallsWait,
        });
        let mut tries = 0;
        loop {
            tries += 1;
            // Until both are connected, what is told may not be heard.
            let legs = [leg(&format!("d{tries}"), "0312345678", 0)];
            let recorded = one
                .record_calls(&company, Region::JAPAN, &legs, at(0))
                .await;
            let heard = async { while news.next().await != wanted {} };
            let soon = Duration::from_millis(500);
            if recorded.is_ok() && tokio::time::timeout(soon, heard).await.is_ok() {
                return;
            }
            assert!(tries < 100, "it is never heard");
        }
    };
    hears(0).await;
    assert!(
        two.changes().is_followed(),
        "who follows there is known here"
    );
    server.kill().unwrap();
    server.restart().unwrap();
    hears(1).await;
    // Each change that is told from now on is heard.
    for n in 2..30 {
        let company: CompanyId = format!("company-{n}").parse().unwrap();
        let legs = [leg("d", "0312345678", 0)];
        one.record_calls(&company, Region::JAPAN, &legs, at(0))
            .await
            .unwrap();
        let kind = Kind::CallsWait;
        let wanted = News::Changed(Change { company, kind });
        let heard = async { while news.next().await != wanted {} };
        tokio::time::timeout(Duration::from_secs(30), heard)
            .await
            .unwrap();
    }
    shutdown.cancel();
}

/// Prints what the list of who waits costs: `cargo test --lib -- --ignored --nocapture the_list`.
#[tokio::test]
#[ignore = "a measurement"]
async fn the_list_of_who_waits_is_short_work() {
    for on in [Backend::Sqlite, Backend::Postgres] {
        let (store, _folder) = store(on).await;
        for n in 0..1_000 {
            let company = format!("company-{n}").parse().unwrap();
            // One in ten keeps its calls for the night.
            let calls = if n % 10 == 0 { 300 } else { 3 };
            let legs: Vec<Leg> = (0..calls)
                .map(|call| leg(&format!("d{call}"), &format!("0312{call:06}"), call))
                .collect();
            let recorded = store.record_calls(&company, Region::JAPAN, &legs, at(0));
            recorded.await.unwrap();
        }
        let mut took = vec![];
        for _ in 0..10 {
            let began = std::time::Instant::now();
            assert_eq!(store.who_waits(at(1_000)).await.unwrap().len(), 1_000);
            took.push(began.elapsed());
        }
        took.sort();
        println!("{on:?}: {:?}, at most {:?}", took[5], took[9]);
    }
}

async fn only_what_is_over_in_minutes_does_not_wait_for_the_disk(on: Backend) {
    row! {
        struct Waits {
            mode: String,
        }
    }
    let (store, _folder) = store(on).await;
    let (sql, waits, does_not) = match on {
        Backend::Sqlite => (
            "SELECT CAST(synchronous AS TEXT) AS mode FROM pragma_synchronous",
            "2",
            "1",
        ),
        Backend::Postgres => (
            "SELECT current_setting('synchronous_commit') AS mode",
            "on",
            "off",
        ),
    };
    let mode = async |mut transaction: Transaction| {
        let mode: Option<Waits> = transaction.optional(sql, args![]).await.unwrap();
        (transaction, mode.unwrap().mode)
    };
    for commits in [true, false] {
        let (fleeting, found) = mode(store.database.begin_fleeting().await.unwrap()).await;
        assert_eq!(found, does_not);
        if commits {
            fleeting.commit().await.unwrap();
        } else {
            drop(fleeting);
        }
        let (_lasting, found) = mode(store.database.begin().await.unwrap()).await;
        assert_eq!(
            found, waits,
            "a fleeting one before it that commits: {commits}"
        );
    }
}
