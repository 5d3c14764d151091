//! The story of the product document, for the sentences that no other test tells by itself. The
//! table in docs/miitel.md names the test of every sentence (facts: phone platform 1.1 to 1.11).

use salesforce_simulator::{Org, Record, User, World};
use serde_json::{Value, json};
use switchboard::directory::model::CallsQuery;
use switchboard_testbed::incoming_call;

use crate::stage::{Stage, condition};
use crate::world::{self, ON_CONTACT, ON_TWO, PASSWORD, TOKEN};

/// The user of an integration with this name.
fn user(name: &str) -> User {
    User::integration(&format!("integration@{name}.example"))
        .password(PASSWORD)
        .token(TOKEN)
}

/// Applies the Secret and the integration.
async fn link(stage: &Stage, name: &str, change: impl FnOnce(&mut Value)) {
    stage.apply(&stage.secret(name, PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration(name);
    change(&mut manifest);
    stage.apply(&manifest).await;
}

/// Tells the directory of one call from each number.
async fn calls(stage: &Stage, name: &str, numbers: &[&str]) {
    let ingest = stage.directory(name, "ingest").await;
    for (number, from) in numbers.iter().enumerate() {
        let call = incoming_call(name, &(number + 1).to_string(), from);
        ingest.ingest(&call).await.unwrap();
    }
}

/// Company and person that the call screen shows for a number.
async fn shown(stage: &Stage, name: &str, number: &str) -> Option<(String, String)> {
    let lookup = stage.directory(name, "lookup").await;
    let contact = lookup.contact(number).await.unwrap()?;
    Some((
        contact.company_name.unwrap_or_default(),
        contact.person_name.unwrap_or_default(),
    ))
}

fn names(company: &str, person: &str) -> Option<(String, String)> {
    Some((company.to_owned(), person.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_goes_before_an_account_before_a_lead_and_the_latest_change_wins() {
    let lead = |company: &str, phone: &str, modified: &str| {
        Record::person("Lead")
            .set("Company", company)
            .phone(phone)
            .modified(modified)
    };
    let account = |name: &str, phone: &str, modified: &str| {
        Record::account(name).phone(phone).modified(modified)
    };
    let contact = |name: &str, phone: &str, modified: &str| {
        Record::person(name)
            .of_account("Employer")
            .phone(phone)
            .modified(modified)
    };
    let org = Org::enterprise("Acme")
        .user(user("acme"))
        .account(Record::account("Employer"))
        // On all three objects, the Contact changed longest ago.
        .contact(contact("Contact", "03-1111-0001", "2026-01-01T00:00:00Z"))
        .account(account(
            "Account",
            "03-1111-0001",
            "2026-02-01T00:00:00Z",
        ))
        .lead(lead("Lead", "03-1111-0001", "2026-03-01T00:00:00Z"))
        // On an Account and on a Lead that changed later.
        .account(account(
            "Account",
            "03-1111-0002",
            "2026-01-01T00:00:00Z",
        ))
        .lead(lead("Lead", "03-1111-0002", "2026-02-01T00:00:00Z"))
        // On two records of each object.
        .contact(contact("Older", "03-1111-0003", "2026-01-01T00:00:00Z"))
        .contact(contact("Newer", "03-1111-0003", "2026-02-01T00:00:00Z"))
        .account(account("Newer", "03-1111-0004", "2026-02-01T00:00:00Z"))
        .account(account("Older", "03-1111-0004", "2026-01-01T00:00:00Z"))
        .lead(lead("Older", "03-1111-0005", "2026-01-01T00:00:00Z"))
        .lead(lead("Newer", "03-1111-0005", "2026-02-01T00:00:00Z"));
    let stage = Stage::start("order", World::new().org(org)).await;
    link(&stage, "acme", |_| {}).await;
    stage.ready("acme").await;
    let expected = [
        ("0311110001", names("Employer", "Contact")),
        ("0311110002", names("Account", "")),
        ("0311110003", names("Employer", "Newer")),
        ("0311110004", names("Newer", "")),
        ("0311110005", names("Newer", "Lead")),
    ];
    let numbers = expected.each_ref().map(|(number, _)| *number);
    calls(&stage, "acme", &numbers).await;
    stage.run_now("acme", "now").await;
    for (number, names) in expected {
        assert_eq!(shown(&stage, "acme", number).await, names, "{number}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_daily_run_a_call_has_no_name_and_the_run_names_only_who_has_none() {
    let stage = Stage::start("daily", world::acme()).await;
    link(&stage, "acme", |_| {}).await;
    let object = stage.ready("acme").await;
    // 23:00 in Japan unless the tenant says otherwise, spread over the half hour before.
    let next: jiff::Timestamp = object["status"]["nextRun"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let next = next.in_tz("Asia/Tokyo").unwrap();
    let minute = i32::from(next.hour()) * 60 + i32::from(next.minute());
    assert!((22 * 60 + 30..=23 * 60).contains(&minute), "{next}");

    let admin = stage.directory("acme", "admin").await;
    let edit = serde_json::from_value(json!({"companyName": "Known", "personName": "Already"}));
    admin.put_contact(ON_TWO, &edit.unwrap()).await.unwrap();
    calls(&stage, "acme", &[ON_CONTACT, ON_TWO]).await;
    assert_eq!(shown(&stage, "acme", ON_CONTACT).await, None);
    stage.run_now("acme", "now").await;
    assert_eq!(
        shown(&stage, "acme", ON_CONTACT).await,
        names("Acme Trading", "Hanako Sato")
    );
    assert_eq!(
        shown(&stage, "acme", ON_TWO).await,
        names("Known", "Already")
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_contacts_are_not_retrieved_none_is_registered_and_nothing_runs() {
    let stage = Stage::start("disabled", world::acme()).await;
    link(&stage, "acme", |manifest| {
        manifest["spec"]["contacts"] = json!({"retrieval": "Disabled"});
    })
    .await;
    let object = stage.ready("acme").await;
    assert_eq!(
        condition(&object, "Synced").unwrap()["reason"],
        "RetrievalDisabled"
    );
    calls(&stage, "acme", &[ON_CONTACT]).await;
    let asked = stage.simulator.counters().api_calls();
    // Not even a run that is asked for.
    stage.look("acme", "a run, please").await;
    let made = stage
        .kubectl(&["get", "cronjobs,jobs,pods", "-o", "name"])
        .await;
    assert_eq!(made, "");
    assert_eq!(stage.simulator.counters().api_calls(), asked);
    assert_eq!(shown(&stage, "acme", ON_CONTACT).await, None);
    let lookup = stage.directory("acme", "lookup").await;
    let history = lookup.calls(&CallsQuery::default()).await.unwrap().calls;
    assert_eq!(history.len(), 1, "the call itself is kept");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_costs_far_less_than_three_requests_a_call() {
    const CALLS: usize = 60;
    let numbers: Vec<String> = (0..CALLS).map(|n| format!("0322{n:06}")).collect();
    let leads = numbers.iter().map(|number| {
        Record::person("Lead")
            .set("Company", "Lead Works")
            .phone(number)
    });
    let org = Org::enterprise("Acme")
        .user(user("acme"))
        .records("Lead", leads);
    let stage = Stage::start("cost", World::new().org(org)).await;
    link(&stage, "acme", |_| {}).await;
    stage.ready("acme").await;
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    calls(&stage, "acme", &numbers).await;
    let before = stage.simulator.counters().api_calls();
    let run = stage.run_now("acme", "now").await;
    assert_eq!(run["matched"]["lead"], CALLS, "{run}");
    // The document's three a call, because all are on Leads, would be 180.
    let cost = run["apiCalls"].as_u64().unwrap();
    assert!(cost > 0 && cost <= CALLS as u64 / 10, "{run}");
    let counted = stage.simulator.counters().api_calls() - before;
    assert!(counted >= cost && counted < CALLS as u64, "{counted}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_edition_of_the_document_can_be_linked_and_the_others_are_told_why_not() {
    let plus = |name: &str| {
        Org::platform_starter(name)
            .with(|org| org.licenses[0].name = "Lightning Platform Plus".into())
    };
    let essentials =
        |name: &str| Org::professional(name).with(|org| org.edition = "Essentials Edition".into());
    let editions: [(&str, Org, Option<&str>); 7] = [
        (
            "enterprise",
            Org::enterprise("enterprise"),
            Some("Enterprise Edition"),
        ),
        (
            "unlimited",
            Org::unlimited("unlimited"),
            Some("Unlimited Edition"),
        ),
        (
            "developer",
            Org::developer("developer"),
            Some("Developer Edition"),
        ),
        (
            "starter",
            Org::platform_starter("starter"),
            Some("Enterprise Edition"),
        ),
        ("plus", plus("plus"), Some("Enterprise Edition")),
        ("professional", Org::professional("professional"), None),
        ("essentials", essentials("essentials"), None),
    ];
    let world = editions.iter().fold(World::new(), |world, (name, org, _)| {
        world.org(org.clone().user(user(name)))
    });
    let stage = Stage::start("editions", world).await;
    for (name, ..) in &editions {
        link(&stage, name, |_| {}).await;
    }
    for (name, _, edition) in &editions {
        let Some(edition) = edition else {
            let refused = stage
                .condition(name, "Ready", "False", "ApiDisabledForOrg")
                .await;
            assert!(!refused["message"].as_str().unwrap().is_empty());
            continue;
        };
        let object = stage.ready(name).await;
        assert_eq!(
            object["status"]["organization"]["edition"], *edition,
            "{name}"
        );
        let leads = condition(&object, "Authorized").unwrap()["message"]
            .as_str()
            .unwrap();
        let without = ["starter", "plus"].contains(name);
        assert_eq!(leads.contains("no Leads"), without, "{name}: {leads}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_token_is_needed_unless_salesforce_trusts_the_address() {
    let org = |name: &str| Org::enterprise(name).user(user(name));
    let world = World::new()
        .org(org("strict"))
        .org(org("trusting").with(|org| org.trusted_ip_ranges = vec!["127.0.0.0/8".into()]));
    let stage = Stage::start("token", world).await;
    for name in ["strict", "trusting"] {
        let mut secret = stage.secret(name, PASSWORD, TOKEN);
        secret["stringData"]
            .as_object_mut()
            .unwrap()
            .remove("securityToken");
        stage.apply(&secret).await;
        stage.apply(&stage.integration(name)).await;
    }
    stage.ready("trusting").await;
    stage
        .condition("strict", "Ready", "False", "SecurityTokenRequired")
        .await;
    stage.apply(&stage.secret("strict", PASSWORD, TOKEN)).await;
    stage.ready("strict").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_has_its_own_user_and_developer_edition_is_no_sandbox() {
    let world = World::new()
        .org(Org::sandbox("sandbox").user(user("sandbox")))
        .org(Org::developer("developer").user(user("developer")));
    let stage = Stage::start("sandbox", world).await;
    for (name, environment, sandbox) in [
        ("sandbox", "Sandbox", true),
        ("developer", "Production", false),
    ] {
        link(&stage, name, |manifest| {
            manifest["spec"]["salesforce"]["environment"] = environment.into();
        })
        .await;
        let object = stage.ready(name).await;
        let status = &object["status"];
        assert_eq!(status["organization"]["sandbox"], sandbox, "{name}");
        assert_eq!(
            status["connection"]["username"],
            format!("integration@{name}.example")
        );
    }
    stage.end().await;
}
