//! The workers' endpoints.

use super::*;
use crate::directory::model::{
    CallsQuery, Contact, ContactEdit, ContactSource, LookupState, ReleaseRequest, WriteOutcome,
};

const TOKYO: &str = "+81312345678";

fn ids(claimed: &crate::directory::model::ClaimedCalls) -> Vec<&str> {
    claimed.calls.iter().map(|call| call.id.as_str()).collect()
}

async fn with_calls(on: Backend, calls: &[(&str, &str, &str)]) -> Directory {
    let directory = Directory::start(on).await;
    let legs = calls
        .iter()
        .map(|(id, number, start)| call(id, number, start));
    directory.ingest().ingest(&payload(legs)).await.unwrap();
    directory
}

on_each_database! {
    a_call_is_claimed_resolved_and_shown_with_names,
    every_worker_request_may_be_repeated,
    the_daily_run_keeps_an_edit_and_the_after_call_run_overwrites_it,
    the_daily_run_is_handed_only_numbers_without_a_contact,
    the_after_call_run_is_handed_known_numbers_too_but_only_ended_calls,
    two_workers_share_by_number_and_a_released_one_is_free,
    a_number_that_calls_again_is_asked_again,
    what_the_worker_read_counts,
    a_bad_request_is_refused_with_the_fields_name,
}

async fn a_call_is_claimed_resolved_and_shown_with_names(on: Backend) {
    let directory = with_calls(on, &[("d1", "03-1234-5678", "2026-11-23T01:00:00Z")]).await;
    let worker = directory.worker();
    let claimed = worker.claim(&claim("w")).await.unwrap();
    assert_eq!(
        (ids(&claimed), claimed.calls[0].number.as_str()),
        (vec!["d1"], "03-1234-5678")
    );
    assert_eq!(claimed.calls[0].e164.as_ref().unwrap().as_str(), TOKYO);
    worker
        .write_contacts(&write(WritePolicy::OnlyMissing, found(TOKYO, "Sato Hana")))
        .await
        .unwrap();
    let receipt = worker.done(&done("d1", TOKYO)).await.unwrap();
    assert_eq!((receipt.done, receipt.unknown), (1, 0));
    assert_eq!(
        ids(&worker.claim(&claim("w")).await.unwrap()),
        [] as [&str; 0]
    );

    let call = directory
        .lookup()
        .calls(&CallsQuery::default())
        .await
        .unwrap()
        .calls
        .remove(0);
    assert_eq!(call.lookup, LookupState::Done);
    let contact = call.contact.unwrap();
    assert_eq!(
        (contact.person_name.as_deref(), contact.source),
        (Some("Sato Hana"), ContactSource::Salesforce)
    );
    for spelling in [
        "0312345678",
        "03-1234-5678",
        "+81 3 1234 5678",
        "+81312345678",
        "０３－１２３４－５６７８",
    ] {
        let contact = directory.lookup().contact(spelling).await.unwrap();
        assert_eq!(contact.unwrap().number.as_str(), TOKYO, "{spelling}");
    }
    assert_eq!(
        directory.lookup().contact("0398765432").await.unwrap(),
        None
    );
}

async fn every_worker_request_may_be_repeated(on: Backend) {
    let directory = with_calls(on, &[("d1", "0312345678", "2026-11-23T01:00:00Z")]).await;
    let worker = directory.worker();
    assert_eq!(ids(&worker.claim(&claim("w")).await.unwrap()), ["d1"]);
    assert_eq!(
        ids(&worker.claim(&claim("w")).await.unwrap()),
        ["d1"],
        "the answer may have got lost"
    );
    let request = write(WritePolicy::OnlyMissing, found(TOKYO, "Sato Hana"));
    let first = worker.write_contacts(&request).await.unwrap();
    assert_eq!(worker.write_contacts(&request).await.unwrap(), first);
    let first = worker.done(&done("d1", TOKYO)).await.unwrap();
    assert_eq!(worker.done(&done("d1", TOKYO)).await.unwrap(), first);
    assert_eq!(
        worker.done(&done("nobody", TOKYO)).await.unwrap().unknown,
        1
    );
}

async fn the_daily_run_keeps_an_edit_and_the_after_call_run_overwrites_it(on: Backend) {
    let directory = Directory::start(on).await;
    let edit = ContactEdit {
        person_name: Some(" Tanaka ".to_owned()),
        ..ContactEdit::default()
    };
    let by_hand = directory
        .admin()
        .put_contact("03-1234-5678", &edit)
        .await
        .unwrap();
    assert_eq!(
        (by_hand.source, by_hand.person_name.as_deref()),
        (ContactSource::Manual, Some("Tanaka"))
    );

    let worker = directory.worker();
    let receipt = worker
        .write_contacts(&write(WritePolicy::OnlyMissing, found(TOKYO, "Sato")))
        .await
        .unwrap();
    assert_eq!(
        receipt.outcomes[&TOKYO.parse().unwrap()],
        WriteOutcome::Kept
    );
    let kept = directory.lookup().contact(TOKYO).await.unwrap().unwrap();
    assert!(kept.asked_at.is_some());
    let kept = Contact {
        asked_at: None,
        ..kept
    };
    assert_eq!(kept, by_hand);

    let receipt = worker
        .write_contacts(&write(WritePolicy::Overwrite, found(TOKYO, "Sato")))
        .await
        .unwrap();
    assert_eq!((receipt.written(), receipt.kept()), (1, 0));
    let now = directory.lookup().contact(TOKYO).await.unwrap().unwrap();
    assert_eq!(
        (now.source, now.person_name.as_deref()),
        (ContactSource::Salesforce, Some("Sato"))
    );

    let by_hand = directory.admin().put_contact(TOKYO, &edit).await.unwrap();
    assert_eq!(
        (by_hand.record_id, by_hand.company_name),
        (None, None),
        "an edit replaces the whole contact"
    );
}

async fn the_daily_run_is_handed_only_numbers_without_a_contact(on: Backend) {
    let directory = with_calls(
        on,
        &[
            ("known", "0312345678", "2026-11-23T01:00:00Z"),
            ("yesterday", "0398765432", "2026-11-22T01:00:00Z"),
            ("unknown", "0398765432", "2026-11-23T02:00:00Z"),
            ("junk", "Anonymous", "2026-11-23T03:00:00Z"),
        ],
    )
    .await;
    let edit = ContactEdit {
        person_name: Some("Tanaka".to_owned()),
        ..ContactEdit::default()
    };
    directory.admin().put_contact(TOKYO, &edit).await.unwrap();
    let today = ClaimRequest {
        since: Some("2026-11-23T00:00:00Z".parse().unwrap()),
        until: Some("2026-11-24T00:00:00Z".parse().unwrap()),
        only_missing: true,
        ..claim("w")
    };
    let claimed = directory.worker().claim(&today).await.unwrap();
    assert_eq!(
        (ids(&claimed), claimed.settled),
        (vec!["unknown", "junk"], 1)
    );
    assert_eq!(
        (claimed.calls[1].number.as_str(), &claimed.calls[1].e164),
        ("Anonymous", &None)
    );
}

async fn the_after_call_run_is_handed_known_numbers_too_but_only_ended_calls(on: Backend) {
    let directory = with_calls(on, &[("ended", "0312345678", "2026-11-23T01:00:00Z")]).await;
    let mut rings = call("rings", "0312345678", &Timestamp::now().to_string());
    rings["dial_ends_at"] = json!(null);
    let mut silent = call("end-never-told", "0312345678", "2026-11-20T01:00:00Z");
    silent["dial_ends_at"] = json!(null);
    directory
        .ingest()
        .ingest(&payload([rings, silent]))
        .await
        .unwrap();
    directory
        .worker()
        .write_contacts(&write(WritePolicy::Overwrite, found(TOKYO, "Sato")))
        .await
        .unwrap();
    let claimed = directory.worker().claim(&claim("w")).await.unwrap();
    assert_eq!(
        (ids(&claimed), claimed.settled),
        (vec!["end-never-told", "ended"], 0)
    );
}

async fn two_workers_share_by_number_and_a_released_one_is_free(on: Backend) {
    let directory = with_calls(
        on,
        &[
            ("a1", "0312345678", "2026-11-23T01:00:00Z"),
            ("b1", "0398765432", "2026-11-23T02:00:00Z"),
            ("a2", "03-1234-5678", "2026-11-23T03:00:00Z"),
        ],
    )
    .await;
    let worker = directory.worker();
    let one = ClaimRequest {
        limit: 1,
        ..claim("first")
    };
    assert_eq!(
        ids(&worker.claim(&one).await.unwrap()),
        ["a1", "a2"],
        "one number, both its calls"
    );
    let late = call("a3", "0312345678", "2026-11-23T04:00:00Z");
    directory.ingest().ingest(&payload([late])).await.unwrap();
    assert_eq!(
        ids(&worker.claim(&claim("second")).await.unwrap()),
        ["b1"],
        "the number is the first one's"
    );
    let released = worker
        .release(&ReleaseRequest {
            holder: "first".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(released.released, 2);
    assert_eq!(
        ids(&worker.claim(&claim("third")).await.unwrap()),
        ["a1", "a2", "a3"]
    );
}

async fn a_number_that_calls_again_is_asked_again(on: Backend) {
    let directory = with_calls(on, &[("d1", "0312345678", "2026-11-23T01:00:00Z")]).await;
    let worker = directory.worker();
    worker.done(&done("d1", TOKYO)).await.unwrap();
    directory
        .ingest()
        .ingest(&payload([call("d2", "0312345678", "2026-11-23T02:00:00Z")]))
        .await
        .unwrap();
    assert_eq!(ids(&worker.claim(&claim("w")).await.unwrap()), ["d2"]);
}

async fn what_the_worker_read_counts(on: Backend) {
    let directory = with_calls(on, &[("d1", "3125550100", "2026-11-23T01:00:00Z")]).await;
    directory
        .worker()
        .done(&done("d1", "+13125550100"))
        .await
        .unwrap();
    let reason = DoneCall {
        id: "d1".to_owned(),
        reading: Reading::NotLookedUp("it is an emergency number".to_owned()),
    };
    let shown = || async {
        directory
            .lookup()
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls
            .remove(0)
    };
    assert_eq!(shown().await.e164.unwrap().as_str(), "+13125550100");
    directory
        .worker()
        .done(&DoneRequest {
            calls: vec![reason],
        })
        .await
        .unwrap();
    let call = shown().await;
    assert_eq!(
        (call.e164, call.not_looked_up.as_deref()),
        (None, Some("it is an emergency number"))
    );
}

async fn a_bad_request_is_refused_with_the_fields_name(on: Backend) {
    use secrecy::ExposeSecret as _;
    let directory = Directory::start(on).await;
    let contact = json!({"number": TOKYO, "object": "Lead", "recordId": "00Q"});
    let table = [
        ("calls/claim", json!({}), "missing field `holder`"),
        ("calls/claim", json!({"holder": "a b"}), "holder must be"),
        (
            "calls/claim",
            json!({"holder": "w", "limit": 0}),
            "limit is 0; write a number from 1 to 1000",
        ),
        (
            "calls/claim",
            json!({"holder": "w", "claimFor": 3601}),
            "claimFor is 3601",
        ),
        ("calls/release", json!({"holder": ""}), "holder must be"),
        (
            "calls/done",
            json!({"calls": [{"id": "x", "reading": {"notLookedUp": " "}}]}),
            "calls[0].reading.notLookedUp is empty",
        ),
        (
            "calls/done",
            json!({"calls": [{"id": "x", "reading": {"e164": "0312345678"}}]}),
            "not a phone number in E.164 form",
        ),
        (
            "contacts",
            json!({"policy": "sometimes", "contacts": []}),
            "unknown variant `sometimes`",
        ),
        (
            "contacts",
            json!({"policy": "overwrite", "contacts": [contact, contact]}),
            "contacts[1].number comes twice",
        ),
        (
            "contacts",
            json!({"policy": "overwrite", "contacts": [{"number": TOKYO, "object": "Lead", "recordId": ""}]}),
            "contacts[0].recordId is empty",
        ),
    ];
    let token = token("acme", Purpose::Worker);
    for (path, body, says) in table {
        let path = format!("/v1/worker/{path}");
        let reply = directory
            .raw(
                "POST",
                &path,
                Some(token.expose_secret()),
                &body.to_string(),
            )
            .await;
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            reply.status == 400 && detail.contains(says),
            "{body}: {} {detail}",
            reply.status
        );
    }
}
