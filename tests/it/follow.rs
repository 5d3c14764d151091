//! Names follow Salesforce: a record that changes there changes the contact, when the tenant wants
//! it.

use salesforce_simulator::Record;
use serde_json::json;
use switchboard_testbed::incoming_call;

use crate::stage::Stage;
use crate::world::{self, PASSWORD, TOKEN};

/// Renames Hanako Sato, whose number is [`world::ON_CONTACT`].
fn rename(stage: &Stage, name: &str) {
    let renamed = stage.simulator.edit_org("Acme", |org| {
        let contacts = org.all("Contact");
        let sato = contacts.iter().find(|row| row["Phone"] == "03-1234-5678");
        let id = sato.unwrap()["Id"].as_str().unwrap().to_owned();
        org.update(&id, Record::person(name))
    });
    renamed.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_stay_with_the_daily_way_until_the_tenant_lets_all_of_them_follow() {
    let stage = Stage::start("follow", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    let call = incoming_call("acme", "0", world::ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
    let run = stage.run_now("acme", "one").await;
    assert_eq!(run["written"], 1, "{run}");
    assert_eq!(run.get("followed"), None, "nothing was known yet: {run}");
    let lookup = stage.directory("acme", "lookup").await;
    let person = async || {
        let contact = lookup.contact(world::ON_CONTACT).await.unwrap();
        contact.unwrap().person_name.unwrap()
    };
    rename(&stage, "Kato");
    stage.run_now("acme", "two").await;
    assert_eq!(person().await, "Hanako Sato");

    manifest["spec"]["contacts"]["follow"] = "All".into();
    stage.apply(&manifest).await;
    let run = stage.run_now("acme", "three").await;
    let expected = json!({"changed": 1, "renamed": 1, "removed": 0, "newlyNamed": 0});
    assert_eq!(run["followed"], expected, "{run}");
    assert_eq!(person().await, "Hanako Kato");
    let text = stage.kubectl(&["get", "sfi", "acme", "-o", "yaml"]).await;
    assert!(text.contains("newlyNamed: 0"), "{text}");
    stage.end().await;
}
