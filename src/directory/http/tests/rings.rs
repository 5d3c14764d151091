//! A phone rings: its name, or why there is none, within the time.

use std::time::Instant;

use secrecy::ExposeSecret as _;

use super::waiting::next;
use super::*;
use crate::directory::client::{Caller, WaitingEvent};
use crate::directory::model::Problem;
use crate::directory::model::rings::{
    ClaimRingsRequest, ClaimedRing, NotAsked, RingRequest, SettleRingsRequest,
};

on_each_database! {
    a_first_time_caller_has_a_name_while_it_rings,
    a_number_that_salesforce_does_not_know_is_asked_once,
    whoever_has_no_name_learns_why_within_the_time,
    many_who_ask_for_one_number_are_one_ring,
    requests_that_wait_hold_up_nobody,
    what_may_not_be_kept_is_not_asked,
    a_platform_can_say_that_it_rings,
}

const LONG: Duration = Duration::from_secs(10);

impl Directory {
    async fn claims(&self, holder: &str) -> Vec<ClaimedRing> {
        let (worker, request) = (self.worker(), ClaimRingsRequest::new(holder));
        worker.claim_rings(&request).await.unwrap().rings
    }

    /// Takes the rings that are there, once there are any.
    async fn takes(&self, holder: &str) -> Vec<String> {
        let taken = std::cell::RefCell::new(vec![]);
        eventually(async || {
            *taken.borrow_mut() = self.claims(holder).await;
            !taken.borrow().is_empty()
        })
        .await;
        let taken = taken.into_inner();
        taken
            .into_iter()
            .map(|ring| ring.number.as_str().to_owned())
            .collect()
    }

    async fn knows_nobody(&self, numbers: &[&str]) {
        let request = WriteContactsRequest {
            not_found: numbers
                .iter()
                .map(|number| number.parse().unwrap())
                .collect(),
            ..WriteContactsRequest::new(WritePolicy::Overwrite, vec![])
        };
        self.worker().write_contacts(&request).await.unwrap();
    }

    async fn settles(&self, holder: &str, number: &str, why: NotAsked) -> u32 {
        let request = SettleRingsRequest {
            holder: holder.to_owned(),
            numbers: vec![number.parse().unwrap()],
            why,
        };
        self.worker().settle_rings(&request).await.unwrap().settled
    }

    async fn caller(&self, number: &str, wait: Duration) -> Caller {
        self.lookup().caller(number, wait).await.unwrap()
    }

    async fn nobody(&self, number: &str, wait: Duration) -> Problem {
        match self.caller(number, wait).await {
            Caller::Nobody(problem) => *problem,
            known => panic!("{known:?}"),
        }
    }
}

async fn a_first_time_caller_has_a_name_while_it_rings(on: Backend) {
    let directory = Directory::start(on).await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    let asks = async {
        let Some(WaitingEvent::Waits(waiting)) = next(&mut stream).await else {
            panic!("a ring waits");
        };
        assert_eq!(
            (waiting.company_id.as_str(), waiting.rings, waiting.calls),
            ("acme", true, false)
        );
        let rings = directory.claims("controller").await;
        assert_eq!(rings.len(), 1);
        assert!(!rings[0].missed);
        let contact = found(rings[0].number.as_str(), "Sato");
        let request = write(WritePolicy::Overwrite, contact);
        directory.worker().write_contacts(&request).await.unwrap();
    };
    let began = Instant::now();
    let (caller, ()) = tokio::join!(directory.caller("03-1234-5678", LONG), asks);
    let Caller::Known(contact) = caller else {
        panic!("{caller:?}");
    };
    assert_eq!(contact.person_name.as_deref(), Some("Sato"));
    assert!(
        began.elapsed() < LONG,
        "it did not wait for the end of its time"
    );
    assert_eq!(directory.claims("controller").await, [], "it is answered");
    let again = directory.caller("0312345678", LONG).await;
    assert!(matches!(again, Caller::Known(_)));
    let metrics = directory.raw("GET", "/metrics", None, "").await.body;
    let line = r#"switchboard_directory_rings_total{from="screen",outcome="found"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}

async fn a_number_that_salesforce_does_not_know_is_asked_once(on: Backend) {
    let directory = Directory::start(on).await;
    let _stream = directory.follow(None).await;
    let asks = async {
        assert_eq!(directory.takes("controller").await, ["+81312345678"]);
        directory.knows_nobody(&["+81312345678"]).await;
    };
    let (problem, ()) = tokio::join!(directory.nobody("0312345678", LONG), asks);
    assert_eq!(problem.code, "not-found-in-salesforce");
    let asked_at = problem.asked_at.expect("when it was asked");
    let again = directory.nobody("0312345678", LONG).await;
    assert_eq!(
        (again.code.as_str(), again.asked_at),
        ("not-found-in-salesforce", Some(asked_at))
    );
    assert_eq!(
        directory.claims("controller").await,
        [],
        "it costs nothing more"
    );
}

async fn whoever_has_no_name_learns_why_within_the_time(on: Backend) {
    let directory = Directory::start(on).await;
    // Nobody follows who waits, and those of before the start do not come back.
    let code = async |number: &str, wait| directory.nobody(number, wait).await.code;
    eventually(async || code("0311110000", Duration::from_millis(1)).await == "nobody-asks").await;
    let began = Instant::now();
    assert_eq!(code("0311110001", LONG).await, "nobody-asks");
    assert!(began.elapsed() < LONG, "there is nothing to wait for");
    assert_eq!(
        directory.takes("late").await.len(),
        2,
        "the names arrive later"
    );
    let _stream = directory.follow(None).await;
    let problem = directory
        .nobody("0311110002", Duration::from_millis(50))
        .await;
    assert_eq!(
        (problem.code.as_str(), problem.asked_at),
        ("salesforce-slow", None)
    );
    directory.takes("controller").await;
    let reasons = [
        (NotAsked::BudgetExhausted, "budget-exhausted"),
        (NotAsked::Unreachable, "salesforce-unreachable"),
        (NotAsked::Withheld, "withheld"),
        (NotAsked::Failed, "ring-failed"),
    ];
    for (n, (why, expected)) in reasons.into_iter().enumerate() {
        let (national, number) = (format!("031111100{n}"), format!("+8131111100{n}"));
        let settles = async {
            while !directory.takes("controller").await.contains(&number) {}
            assert_eq!(directory.settles("another", &number, why).await, 0);
            assert_eq!(directory.settles("controller", &number, why).await, 1);
        };
        let (told, ()) = tokio::join!(code(&national, LONG), settles);
        assert_eq!(told, expected);
        let again = code(&national, LONG).await;
        assert_eq!(again, expected, "until it is tried again");
        let left = directory.claims("another").await;
        assert!(left.iter().all(|ring| ring.number.as_str() != number));
    }
    for (number, expected) in [
        ("110", "not-a-phone-number"),
        ("Anonymous", "not-a-phone-number"),
    ] {
        assert_eq!(code(number, LONG).await, expected);
    }
    let lookup = token("acme", Purpose::Lookup);
    let path = "/v1/contacts/0312345678?wait=11s";
    let reply = directory
        .raw("GET", path, Some(lookup.expose_secret()), "")
        .await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.json()["detail"].as_str().unwrap().contains("3s"),
        "{}",
        reply.body
    );
}

async fn many_who_ask_for_one_number_are_one_ring(on: Backend) {
    let directory = Directory::start(on).await;
    let _stream = directory.follow(None).await;
    let asks = async {
        assert_eq!(directory.takes("controller").await, ["+81312345678"]);
        let request = write(WritePolicy::Overwrite, found("+81312345678", "Sato"));
        directory.worker().write_contacts(&request).await.unwrap();
    };
    let spellings = [
        "0312345678",
        "03-1234-5678",
        "+81312345678",
        "+81 3 1234 5678",
    ];
    let callers = spellings.iter().cycle().take(12);
    let callers = futures::future::join_all(callers.map(|number| directory.caller(number, LONG)));
    let (callers, ()) = tokio::join!(callers, asks);
    assert!(
        callers
            .iter()
            .all(|caller| matches!(caller, Caller::Known(_))),
        "{callers:?}"
    );
    assert_eq!(directory.claims("controller").await, []);
}

/// A softphone whose requests all wait neither takes the turns of its company nor the places of
/// another one, and what it can cost is bounded.
async fn requests_that_wait_hold_up_nobody(on: Backend) {
    let folder = TempDir::new().unwrap();
    let database = on.fresh(&folder);
    let args = Args {
        tenant_concurrency: 1,
        max_connections: 64,
        ring_rate: 5,
        database: database.clone().into(),
        ..args(&folder)
    };
    let directory = Directory::start_with(args, folder, database).await;
    let _stream = directory.follow(None).await;
    let request = write(WritePolicy::Overwrite, found("+81300000000", "Sato"));
    directory.worker().write_contacts(&request).await.unwrap();
    let shared = &directory;
    // 64 connections: 16 may wait, and 2 of one company.
    let hostile = futures::future::join_all((0..9).map(|n| async move {
        let wait = Duration::from_millis(1_500);
        shared.nobody(&format!("031234567{n}"), wait).await.code
    }));
    let others = async {
        eventually(async || {
            let metrics = shared.raw("GET", "/metrics", None, "").await.body;
            metrics.contains("switchboard_directory_ring_waiters 2\n")
        })
        .await;
        // The company's only turn is free.
        let known = shared.caller("0300000000", LONG).await;
        assert!(matches!(known, Caller::Known(_)));
        let birch = shared.client("birch", Purpose::Lookup);
        let wait = Duration::from_millis(1);
        let Caller::Nobody(problem) = birch.caller("0312345678", wait).await.unwrap() else {
            panic!("nobody knows it");
        };
        assert_eq!(
            problem.code, "salesforce-slow",
            "another company's places are free"
        );
    };
    let (mut codes, ()) = tokio::join!(hostile, others);
    codes.sort();
    let count = |code: &str| codes.iter().filter(|told| *told == code).count();
    assert_eq!(count("salesforce-slow"), 2, "{codes:?}");
    assert_eq!(count("too-many-waiting"), 3, "{codes:?}");
    assert_eq!(count("ring-rate"), 4, "{codes:?}");
    assert_eq!(
        directory.claims("controller").await.len(),
        5,
        "what Salesforce is asked is bounded"
    );
    let metrics = directory.raw("GET", "/metrics", None, "").await.body;
    assert!(
        metrics.contains("switchboard_directory_ring_waiters 0\n"),
        "{metrics}"
    );
}

async fn what_may_not_be_kept_is_not_asked(on: Backend) {
    let directory = Directory::start(on).await;
    let _stream = directory.follow(None).await;
    directory
        .nobody("0312345678", Duration::from_millis(1))
        .await;
    let privacy = directory.client("acme", Purpose::Privacy);
    let request = crate::directory::model::privacy::NumberRequest {
        number: "0312345678".to_owned(),
        region: None,
    };
    let held = privacy.export_number(&request).await.unwrap();
    let ring = held.ring.expect("that it rang is held");
    assert_eq!((ring.answered_at, ring.not_asked), (None, None));
    let erased = privacy.erase_number(&request).await.unwrap();
    assert_eq!(erased.others, 1, "the ring");
    assert_eq!(privacy.export_number(&request).await.unwrap().ring, None);
    assert_eq!(directory.nobody("0312345678", LONG).await.code, "erased");
    let ring = directory.ingest().ring(&rings("0312345678")).await.unwrap();
    assert!(
        ring.accepted,
        "whether it was erased is not the platform's to know"
    );
    assert_eq!(directory.claims("controller").await, []);
}

fn rings(number: &str) -> RingRequest {
    RingRequest {
        number: number.to_owned(),
        region: None,
        direction: None,
        at: None,
    }
}

async fn a_platform_can_say_that_it_rings(on: Backend) {
    let folder = TempDir::new().unwrap();
    let database = on.fresh(&folder);
    let args = Args {
        ring_rate: 2,
        database: database.clone().into(),
        ..args(&folder)
    };
    let directory = Directory::start_with(args, folder, database).await;
    let mut stream = directory.follow(None).await;
    assert_eq!(next(&mut stream).await, Some(WaitingEvent::CaughtUp));
    let push = async |request: RingRequest| directory.ingest().ring(&request).await.unwrap();
    for _ in 0..3 {
        assert!(push(rings("0312345678")).await.accepted);
    }
    let told = next(&mut stream).await;
    assert!(matches!(told, Some(WaitingEvent::Waits(waiting)) if waiting.rings));
    assert_eq!(directory.takes("controller").await, ["+81312345678"]);
    let now = Timestamp::now();
    let direction = Some(crate::directory::model::Direction::Internal);
    for (request, code) in [
        (rings("Anonymous"), "not-a-phone-number"),
        (rings("119"), "not-a-phone-number"),
        (
            RingRequest {
                direction,
                ..rings("0312345679")
            },
            "internal",
        ),
        (
            RingRequest {
                at: Some(now - Duration::from_secs(660)),
                ..rings("0312345679")
            },
            "too-old",
        ),
    ] {
        let receipt = push(request).await;
        assert_eq!(
            (receipt.accepted, receipt.code.as_deref()),
            (false, Some(code))
        );
        assert!(receipt.detail.is_some());
    }
    let abroad = RingRequest {
        region: Some("US".parse().unwrap()),
        at: Some(now - Duration::from_secs(5)),
        ..rings("(415) 555-0132")
    };
    assert!(push(abroad).await.accepted);
    let over = push(rings("0312345670")).await;
    assert_eq!(
        (over.accepted, over.code.as_deref()),
        (false, Some("ring-rate"))
    );
    let ingest = token("acme", Purpose::Ingest);
    let ahead = now + Duration::from_secs(3_600);
    for (body, names) in [
        ("{}".to_owned(), "number"),
        (
            json!({"number": "0".repeat(201)}).to_string(),
            "number is too long",
        ),
        (
            json!({"number": "0312345678", "at": ahead.to_string()}).to_string(),
            "at lies",
        ),
        (
            json!({"number": "0312345678", "at": "soon"}).to_string(),
            "at",
        ),
    ] {
        let reply = directory.raw("POST", "/v1/rings", Some(ingest.expose_secret()), &body);
        let reply = reply.await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(
            reply.json()["detail"].to_string().contains(names),
            "{}",
            reply.body
        );
    }
    let more = json!({"number": "0312345678", "callId": "c1", "employee": "sato@acme.example"});
    let (ingest, body) = (Some(ingest.expose_secret()), more.to_string());
    let reply = directory.raw("POST", "/v1/rings", ingest, &body).await;
    assert_eq!(reply.status, 200, "a platform may send what it has");
}

#[tokio::test]
async fn a_ring_on_one_replica_is_answered_through_another_one() {
    let directory = Directory::start(Backend::Postgres).await;
    let other = Directory::start_on(TempDir::new().unwrap(), directory.database.clone()).await;
    let mut stream = directory.follow(None).await;
    let asks = async {
        while let Some(event) = next(&mut stream).await {
            if matches!(event, WaitingEvent::Waits(waiting) if waiting.rings) {
                for ring in directory.claims("controller").await {
                    let contact = found(ring.number.as_str(), "Sato");
                    let request = write(WritePolicy::Overwrite, contact);
                    directory.worker().write_contacts(&request).await.unwrap();
                }
            }
        }
    };
    let wait = Duration::from_secs(2);
    let tries = std::cell::Cell::new(0);
    // Until the replicas hear each other, the name is there at the end of the time only.
    let rings = eventually(async || {
        tries.set(tries.get() + 1);
        let began = Instant::now();
        let number = format!("03123400{:02}", tries.get());
        let caller = other.caller(&number, wait).await;
        matches!(caller, Caller::Known(_)) && began.elapsed() < wait
    });
    tokio::select! {
        () = rings => {}
        () = asks => panic!("the stream ended"),
    }
}
