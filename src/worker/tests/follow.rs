//! Contacts follow Salesforce, against the simulator and a real directory.

use std::sync::Arc;

use jiff::SignedDuration;
use salesforce_simulator::{Fault, Org, Record, User};
use serde_json::json;

use super::bed::{Bed, PASSWORD, SECURITY_TOKEN, USER};
use super::fake_salesforce::Played;
use crate::directory::Purpose;
use crate::directory::model::{Contact, ContactEdit};
use crate::run::{Followed, Outcome, RunKind, RunReport};
use crate::shutdown::Shutdown;
use crate::worker::{Quiet, Run};

const PHONE: &str = "03-1234-5678";
const OTHER: &str = "03-5555-0001";
/// Before anything that a run sees as changed.
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

fn org() -> Org {
    let user = User::integration(USER)
        .password(PASSWORD)
        .token(SECURITY_TOKEN);
    Org::enterprise("acme")
        .user(user)
        .account(Record::account("Acme").modified(LONG_AGO))
        .account(Record::account("Umi").modified(LONG_AGO))
}

/// A lead with the same number.
fn ueda() -> Record {
    Record::person("Ueda")
        .set("Company", "Prospect")
        .phone(PHONE)
        .modified(LONG_AGO)
}

fn sato() -> Record {
    Record::person("Sato")
        .of_account("Acme")
        .phone(PHONE)
        .modified(LONG_AGO)
}

/// A tenant whose names all follow, and whose numbers have been looked up.
async fn followed(org: Org) -> (Bed, Played) {
    following(org, "All").await
}

async fn following(org: Org, mode: &str) -> (Bed, Played) {
    let played = Played::start(org).await;
    let mut bed = Bed::start(&played.url()).await;
    let ca = bed.folder().join("ca.pem");
    std::fs::write(&ca, played.ca_pem()).unwrap();
    bed.ca_bundle = Some(ca);
    bed.settings["follow"] = json!({"mode": mode, "everySeconds": 0});
    bed.settings["secondQuestion"] = true.into();
    bed.calls_from(0, &[PHONE, OTHER]).await;
    bed.succeed(RunKind::Lookup).await;
    (bed, played)
}

/// The Id of the only record with this name.
fn id(played: &Played, object: &str, name: &str) -> String {
    let ids: Vec<String> = played.edit(|org, _| {
        let all = org.all(object).into_iter();
        let named = all.filter(|record| record["Name"] == name);
        named
            .map(|record| record["Id"].as_str().unwrap().to_owned())
            .collect()
    });
    assert_eq!(ids.len(), 1, "{object} {name}");
    ids[0].clone()
}

async fn contact(bed: &Bed, number: &str) -> Option<Contact> {
    let directory = bed.directory(Purpose::Lookup);
    directory.contact(number).await.unwrap()
}

/// Company and person of a number, as `company/person`.
async fn who(bed: &Bed, number: &str) -> String {
    let Some((company, person)) = bed.who(number).await else {
        return "nobody".to_owned();
    };
    format!(
        "{}/{}",
        company.unwrap_or_default(),
        person.unwrap_or_default()
    )
}

/// A run that follows, and what it says it has done.
async fn follow(bed: &Bed) -> Followed {
    let report = bed.succeed(RunKind::Lookup).await;
    assert!(report.warnings.is_empty(), "{report:?}");
    report.followed.unwrap()
}

fn changed(changed: u64, renamed: u64, removed: u64, newly_named: u64) -> Followed {
    Followed {
        changed,
        renamed,
        removed,
        newly_named,
    }
}

#[tokio::test]
async fn a_record_that_changes_is_followed_by_one_call_and_no_look_up() {
    let (bed, played) = followed(org().contact(sato())).await;
    let sato = id(&played, "Contact", "Sato");
    let calls = played.api_calls();
    played.edit(|org, now| {
        let renamed = Record::person("Kato").set("Title", "CEO");
        org.at(now).update(&sato, renamed).unwrap();
    });
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Acme/Kato");
    let found = contact(&bed, PHONE).await.unwrap();
    assert_eq!(found.title.as_deref(), Some("CEO"));

    // What is read twice, and what only Salesforce touched, changes nothing.
    played.edit(|org, now| assert!(org.at(now).touch(&sato)));
    assert_eq!(follow(&bed).await, changed(0, 0, 0, 0));
    assert_eq!(contact(&bed, PHONE).await, Some(found));
    assert_eq!(played.api_calls() - calls, 2, "one call a window");
}

#[tokio::test]
async fn an_account_that_is_renamed_renames_the_contacts_whose_stamp_stays() {
    let (bed, played) = followed(org().contact(sato())).await;
    let acme = id(&played, "Account", "Acme");
    let calls = played.api_calls();
    played.edit(|org, now| {
        let renamed = Record::account("Acme Holdings");
        org.at(now).update(&acme, renamed).unwrap();
    });
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Acme Holdings/Sato");
    assert_eq!(played.api_calls() - calls, 1);
}

#[tokio::test]
async fn a_merge_of_accounts_moves_their_contacts_and_one_of_contacts_their_numbers() {
    let tanaka = Record::person("Tanaka").modified(LONG_AGO);
    let (bed, played) = followed(org().contact(sato()).contact(tanaka)).await;
    let (acme, umi) = (
        id(&played, "Account", "Acme"),
        id(&played, "Account", "Umi"),
    );
    played.edit(|org, now| assert!(org.at(now).merge(&umi, &acme, false)));
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Umi/Sato");
    let sato = id(&played, "Contact", "Sato");
    let tanaka = id(&played, "Contact", "Tanaka");
    played.edit(|org, now| assert!(org.at(now).merge(&tanaka, &sato, false)));
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "/Tanaka");
}

#[tokio::test]
async fn a_deleted_record_takes_its_name_along_and_brings_it_back() {
    let (bed, played) = followed(org().contact(sato()).lead(ueda())).await;
    let sato = id(&played, "Contact", "Sato");
    let calls = played.api_calls();
    played.edit(|org, now| assert!(org.at(now).delete(&sato)));
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Prospect/Ueda");
    assert_eq!(played.api_calls() - calls, 1, "the other holder was known");
    let ueda = id(&played, "Lead", "Ueda");
    played.edit(|org, now| assert!(org.at(now).delete(&ueda)));
    assert_eq!(follow(&bed).await, changed(1, 0, 1, 0));
    assert_eq!(who(&bed, PHONE).await, "nobody");
    played.edit(|org, now| assert!(org.at(now).undelete(&sato)));
    assert_eq!(follow(&bed).await, changed(1, 0, 0, 1));
    assert_eq!(who(&bed, PHONE).await, "Acme/Sato");
}

#[tokio::test]
async fn a_number_without_a_name_gets_one_and_a_number_moves() {
    let (bed, played) = followed(org().contact(sato())).await;
    assert_eq!(who(&bed, OTHER).await, "nobody");
    let umi = id(&played, "Account", "Umi");
    let calls = played.api_calls();
    played.edit(|org, now| {
        let phone = Record::new().phone(OTHER);
        org.at(now).update(&umi, phone).unwrap();
    });
    assert_eq!(follow(&bed).await, changed(1, 0, 0, 1));
    assert_eq!(who(&bed, OTHER).await, "Umi/");
    assert_eq!(played.api_calls() - calls, 1);
    let sato = id(&played, "Contact", "Sato");
    played.edit(|org, now| {
        let phone = Record::new().phone(OTHER);
        org.at(now).update(&sato, phone).unwrap();
    });
    assert_eq!(follow(&bed).await, changed(2, 1, 1, 0));
    assert_eq!(who(&bed, OTHER).await, "Acme/Sato");
    assert_eq!(who(&bed, PHONE).await, "nobody");
}

#[tokio::test]
async fn a_lead_that_is_converted_becomes_its_contact() {
    let lead = Record::person("Ueda")
        .set("Company", "Prospect")
        .phone(PHONE)
        .modified(LONG_AGO);
    let (bed, played) = followed(org().lead(lead)).await;
    let ueda = id(&played, "Lead", "Ueda");
    played.edit(|org, now| org.at(now).convert(&ueda, false).unwrap());
    assert_eq!(follow(&bed).await, changed(1, 0, 0, 0));
    let found = contact(&bed, PHONE).await.unwrap();
    assert!(found.record_id.unwrap().starts_with("003"));
    assert_eq!(who(&bed, PHONE).await, "Prospect/Ueda");
}

#[tokio::test]
async fn what_a_person_wrote_stays_and_new_only_names_what_has_no_name() {
    let (bed, played) = followed(org().contact(sato())).await;
    let edit = ContactEdit {
        person_name: Some("Our own".to_owned()),
        ..ContactEdit::default()
    };
    let admin = bed.directory(Purpose::Admin);
    admin.put_contact(PHONE, &edit).await.unwrap();
    let sato = id(&played, "Contact", "Sato");
    let rename = |played: &Played, name: &str| {
        played.edit(|org, now| {
            let renamed = Record::person(name).mobile(OTHER);
            org.at(now).update(&sato, renamed).unwrap();
        });
    };
    rename(&played, "Kato");
    assert_eq!(follow(&bed).await, changed(1, 0, 0, 1));
    assert_eq!(who(&bed, PHONE).await, "/Our own");
    assert_eq!(who(&bed, OTHER).await, "Acme/Kato");

    let (mut bed, played) = following(org().contact(self::sato()), "NewOnly").await;
    let sato = id(&played, "Contact", "Sato");
    played.edit(|org, now| {
        let renamed = Record::person("Kato").mobile(OTHER);
        org.at(now).update(&sato, renamed).unwrap();
    });
    assert_eq!(follow(&bed).await, changed(1, 0, 0, 1));
    assert_eq!(who(&bed, PHONE).await, "Acme/Sato");
    assert_eq!(who(&bed, OTHER).await, "Acme/Kato");
    // What stayed as it was is true as soon as all is followed.
    bed.settings["follow"]["mode"] = "All".into();
    bed.settings["follow"]["everySeconds"] = 86_400.into();
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Acme/Kato");
}

/// A row whose transaction commits after the window that its stamp belongs to.
#[tokio::test]
async fn a_change_that_commits_late_is_seen_by_a_later_window() {
    let (bed, played) = followed(org().contact(sato())).await;
    let sato = id(&played, "Contact", "Sato");
    let minutes = SignedDuration::from_mins;
    played.edit(|org, now| {
        let mut transaction = org.at(now).commits_at(now + minutes(9));
        transaction.update(&sato, Record::person("Kato")).unwrap();
    });
    played.advance(minutes(8));
    assert_eq!(follow(&bed).await, changed(0, 0, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Acme/Sato");
    played.advance(minutes(2));
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Acme/Kato");
}

#[tokio::test]
async fn a_window_older_than_the_recycle_bin_reads_every_known_record_again() {
    let (bed, played) = followed(org().contact(sato())).await;
    let sato = id(&played, "Contact", "Sato");
    played.edit(|org, now| {
        let mut edit = org.at(now);
        assert!(edit.delete(&sato));
    });
    played.advance(SignedDuration::from_hours(16 * 24));
    assert_eq!(follow(&bed).await, changed(1, 0, 1, 0));
    assert_eq!(who(&bed, PHONE).await, "nobody");
}

/// An import: the window has more pages than the allowance has calls.
#[tokio::test]
async fn a_window_that_the_allowance_does_not_suffice_for_takes_nothing_from_the_calls() {
    let (mut bed, played) = followed(org().contact(sato())).await;
    let sato = id(&played, "Contact", "Sato");
    played.edit(|org, now| {
        let mut edit = org.at(now);
        edit.update(&sato, Record::person("Kato")).unwrap();
        for at in 0..9_000 {
            let imported = Record::person(&format!("Imported {at}"));
            edit.insert("Contact", imported).unwrap();
        }
    });
    bed.settings["maxApiCalls"] = 6.into();
    bed.calls_from(10, &["03-7777-7777"]).await;
    let report = bed.succeed(RunKind::Lookup).await;
    assert_eq!(
        (report.calls, report.followed),
        (1, Some(changed(1, 1, 0, 0)))
    );
    assert!(report.api_calls <= 6, "{report:?}");
    assert_eq!(who(&bed, PHONE).await, "Acme/Kato");
}

/// Contacts whose records nobody told the directory.
#[tokio::test]
async fn contacts_of_an_earlier_version_follow_from_the_first_window_on() {
    let (bed, played) = followed(org().contact(sato()).lead(ueda())).await;
    let sato = id(&played, "Contact", "Sato");
    bed.never_followed().await;
    played.edit(|org, now| {
        let long_ago = now - SignedDuration::from_hours(9 * 24);
        let renamed = Record::person("Kato");
        org.at(long_ago).update(&sato, renamed).unwrap();
    });
    let calls = played.api_calls();
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Acme/Kato");
    assert_eq!(played.api_calls() - calls, 2, "a window, and Ids");
    // From now on both records are known.
    played.edit(|org, now| assert!(org.at(now).delete(&sato)));
    assert_eq!(follow(&bed).await, changed(1, 1, 0, 0));
    assert_eq!(who(&bed, PHONE).await, "Prospect/Ueda");
    assert_eq!(played.api_calls() - calls, 3);
}

#[tokio::test]
async fn a_question_that_salesforce_refuses_stops_no_look_up() {
    let (bed, played) = followed(org().contact(sato())).await;
    played.fault(Fault::part(0, 400, "MALFORMED_QUERY", "unexpected token").once());
    bed.calls_from(10, &["03-1234-5678", "03-7777-7777"]).await;
    let report = bed.run(RunKind::Lookup).await;
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
    assert_eq!(report.warnings[0].code.as_str(), "ChangesNotFollowed");
    assert_eq!(report.calls, 2);
}

#[tokio::test]
async fn companies_that_share_a_credential_ask_once_whether_anything_has_changed() {
    let (mut first, played) = followed(org().contact(sato())).await;
    let mut second = Bed::start(&played.url()).await;
    second.ca_bundle.clone_from(&first.ca_bundle);
    second.settings["follow"] = json!({"mode": "All", "everySeconds": 0});
    second.calls_from(0, &[PHONE]).await;
    second.succeed(RunKind::Lookup).await;
    for bed in [&mut first, &mut second] {
        // Their first windows, after which all is compared once.
        bed.succeed(RunKind::Lookup).await;
        bed.settings["follow"]["everySeconds"] = 3_600.into();
    }
    let quiet = Arc::new(Quiet::default());
    let run = async |bed: &Bed| -> RunReport {
        bed.clock_of_follow_back().await;
        let run = Run {
            quiet: Some(Arc::clone(&quiet)),
            ..bed.prepared(RunKind::Lookup)
        };
        let report = run.execute(&Shutdown::new()).await;
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:?}");
        report
    };
    // Its window began before the other's, by as much as the machine took, and so it tells both.
    assert_eq!(run(&first).await.api_calls, 1);
    let calls = played.api_calls();
    for bed in [&second, &first, &second] {
        assert_eq!(run(bed).await.api_calls, 0);
    }
    assert_eq!(played.api_calls(), calls);
    // A record changes, and what was known is old: one of them asks, and then the other one, too.
    let sato = id(&played, "Contact", "Sato");
    played.edit(|org, _| org.update(&sato, Record::person("Kato")).unwrap());
    let quiet = Arc::new(Quiet::default());
    for bed in [&first, &second] {
        bed.clock_of_follow_back().await;
        let run = Run {
            quiet: Some(Arc::clone(&quiet)),
            ..bed.prepared(RunKind::Lookup)
        };
        let report = run.execute(&Shutdown::new()).await;
        assert_eq!(report.api_calls, 1, "{report:?}");
        assert_eq!(who(bed, PHONE).await, "Acme/Kato");
    }
}
