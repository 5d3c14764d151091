//! Tests of what changes: deletes and their end, merges, conversions, late commits.

use jiff::SignedDuration;
use salesforce_simulator::Record;
use serde_json::{Value as Json, json};

use crate::*;

const SINCE: &str = "SELECT Id,Name,IsDeleted,MasterRecordId,Account.Name FROM Contact WHERE \
                     SystemModstamp>=2026-01-01T00:00:00.900Z ORDER BY SystemModstamp,Id";

async fn all(sim: &Simulator, token: &str, soql: &str) -> Vec<Json> {
    let url = format!("{}/services/data/v60.0/queryAll", sim.url());
    let request = client(sim)
        .get(url)
        .query(&[("q", soql)])
        .bearer_auth(token);
    let body: Json = request.send().await.unwrap().json().await.unwrap();
    body["records"].as_array().unwrap().clone()
}

fn contact(sim: &Simulator, name: &str) -> String {
    let found = sim.edit_org("Acme", |org| {
        let all = org.all("Contact").into_iter();
        let mut named = all.filter(|row| row["Name"] == name);
        named.next().unwrap()["Id"].as_str().unwrap().to_owned()
    });
    found.unwrap()
}

#[tokio::test]
async fn a_merged_record_names_its_winner_until_it_leaves_the_bin() {
    let sim = start().await;
    let token = session(&sim).await;
    let sato = contact(&sim, "Sato");
    let now = sim.now();
    let kato = sim.edit_org("Acme", |org| {
        let mut edit = org.at(now);
        let kato = edit.insert("Contact", Record::person("Kato")).unwrap();
        assert!(edit.merge(&kato, &sato, false));
        assert!(!edit.merge(&kato, &sato, false), "it is deleted");
        kato
    });
    let kato = kato.unwrap();
    let rows = all(&sim, &token, SINCE).await;
    let [winner, loser] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let (winner, loser) = match winner["Id"] == kato.as_str() {
        true => (winner, loser),
        false => (loser, winner),
    };
    assert_eq!(
        (&loser["IsDeleted"], &winner["IsDeleted"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(loser["MasterRecordId"], kato.as_str());
    let (_, live) = query(&sim, &token, SINCE).await;
    assert_eq!(live["totalSize"], 1);
    let written = client(&sim)
        .patch(format!(
            "{}/services/data/v60.0/sobjects/Contact/{sato}",
            sim.url()
        ))
        .bearer_auth(login(&sim, "admin@acme.example", "a").await)
        .json(&json!({"Title": "CEO"}));
    let refused = written.send().await.unwrap();
    assert_eq!(refused.status(), 404);
    let refused: Json = refused.json().await.unwrap();
    assert_eq!(refused[0]["errorCode"], "ENTITY_IS_DELETED");
    sim.advance(SignedDuration::from_hours(15 * 24 + 1));
    let token = session(&sim).await;
    assert_eq!(all(&sim, &token, SINCE).await.len(), 1);
}

#[tokio::test]
async fn a_transaction_that_lasts_shows_its_rows_with_an_older_stamp() {
    let sim = start().await;
    let token = session(&sim).await;
    let (sato, now) = (contact(&sim, "Sato"), sim.now());
    let until = now + SignedDuration::from_mins(5);
    sim.edit_org("Acme", |org| {
        let mut edit = org.at(now).commits_at(until);
        edit.update(&sato, Record::person("Kato")).unwrap();
        edit.insert("Contact", Record::person("New")).unwrap();
    })
    .unwrap();
    let names = async || {
        let rows = all(&sim, &token, SINCE).await.into_iter();
        rows.map(|row| row["Name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["Sato"]);
    sim.advance(SignedDuration::from_mins(5));
    assert_eq!(names().await, ["Kato", "New"]);
    let soql = format!(
        "SELECT Id FROM Contact WHERE SystemModstamp<={}",
        now.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    assert_eq!(query(&sim, &token, &soql).await.1["totalSize"], 2);
}

#[tokio::test]
async fn an_account_moves_its_contacts_without_a_stamp_and_takes_them_into_the_bin() {
    let sim = start().await;
    let token = session(&sim).await;
    let account = sim
        .edit_org("Acme", |org| org.ids("Account", false).remove(0))
        .unwrap();
    let before = all(&sim, &token, "SELECT SystemModstamp FROM Contact").await;
    sim.advance(SignedDuration::from_mins(1));
    let now = sim.now();
    let renamed = sim.edit_org("Acme", |org| {
        org.at(now).update(&account, Record::account("Umi"))
    });
    renamed.unwrap().unwrap();
    let rows = all(&sim, &token, SINCE).await;
    assert_eq!(rows[0]["Account"]["Name"], "Umi");
    let after = all(&sim, &token, "SELECT SystemModstamp FROM Contact").await;
    assert_eq!(before[0]["SystemModstamp"], after[0]["SystemModstamp"]);
    let deleted = sim
        .edit_org("Acme", |org| org.at(now).delete(&account))
        .unwrap();
    assert!(deleted);
    assert_eq!(all(&sim, &token, SINCE).await[0]["IsDeleted"], true);
    let contact = sim
        .edit_org("Acme", |org| org.ids("Contact", true).remove(0))
        .unwrap();
    sim.edit_org("Acme", |org| {
        let mut edit = org.at(now);
        assert!(!edit.undelete(&contact), "not without its account");
        assert!(edit.undelete(&account));
    })
    .unwrap();
    assert_eq!(all(&sim, &token, SINCE).await[0]["IsDeleted"], false);
}

#[tokio::test]
async fn updated_and_deleted_tell_ids_by_the_minute() {
    let sim = start().await;
    let token = session(&sim).await;
    let (sato, now) = (contact(&sim, "Sato"), sim.now());
    let at = |minutes: i64| {
        let at = now + SignedDuration::from_mins(minutes);
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    let ask = async |kind: &str, from: i64, to: i64| {
        let path = format!("sobjects/Contact/{kind}/?start={}&end={}", at(from), at(to));
        let response = get(&sim, &token, &path).await;
        (
            response.status().as_u16(),
            response.json::<Json>().await.unwrap(),
        )
    };
    let (status, body) = ask("updated", -5, 5).await;
    assert_eq!((status, &body["ids"]), (200, &json!([sato])));
    sim.edit_org("Acme", |org| assert!(org.at(now).delete(&sato)))
        .unwrap();
    let (_, body) = ask("deleted", -5, 5).await;
    assert_eq!(body["deletedRecords"][0]["id"], json!(sato));
    assert_eq!(ask("updated", -5, 5).await.1["ids"], json!([]));
    for (from, to) in [(0, 1), (5, 0), (-44_640, 0)] {
        let (status, body) = ask("deleted", from, to).await;
        assert_eq!(status, 400);
        assert_eq!(body[0]["errorCode"], "INVALID_REPLICATION_DATE");
    }
}
