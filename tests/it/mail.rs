//! Tests of e-mail with a real mail server: what tenants and the platform team find in their
//! mailboxes, read back from the server.

use serde_json::{Value, json};
use switchboard_testbed::{MailServer, MailTls, Process, wait_for};

use crate::outage;
use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN};

/// How long a change lasts before it is told, in these tests.
const AFTER: &str = "--mail-after=2s";

/// A controller that sends its mail to this server.
async fn controller(stage: &Stage, server: &MailServer, flags: &[&str]) -> Process {
    let mut all = server.flags();
    if !flags
        .iter()
        .any(|flag| flag.starts_with("--mail-recipient-domains"))
    {
        all.push("--mail-recipient-domains=*.acme.example,acme.example".into());
    }
    all.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    stage.another_controller("controller", &all).await
}

/// An integration whose mails go to these addresses.
fn notifying(stage: &Stage, name: &str, email: &[&str]) -> Value {
    let mut manifest = stage.integration(name);
    manifest["spec"]["notifications"] = json!({"email": email});
    manifest
}

/// Waits until the server has this number of mails.
async fn mails(server: &MailServer, count: usize) -> Vec<Value> {
    wait_for(format!("{count} mails"), 2 * SOON, async || {
        let mails = server.mails().await?;
        if mails.len() == count {
            Ok(mails)
        } else {
            Err(format!("{:?}", subjects(&mails)))
        }
    })
    .await
}

fn subjects(mails: &[Value]) -> Vec<&str> {
    let subjects = mails.iter().filter_map(|mail| mail["Subject"].as_str());
    subjects.collect()
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    mail["Headers"][name][0].as_str().unwrap_or_default()
}

fn recipients(mail: &Value) -> Vec<&str> {
    let to = mail["To"].as_array().into_iter().flatten();
    to.filter_map(|to| to["Address"].as_str()).collect()
}

/// Waits until the controller's metrics hold this line.
async fn measured(controller: &Process, line: &str) {
    let told = controller.wait_for_text("health is told here", SOON).await;
    let told: Value = serde_json::from_str(&told.unwrap()).unwrap();
    let url = format!("http://{}/metrics", told["address"].as_str().unwrap());
    wait_for(format!("{line} in the metrics"), SOON, async || {
        let answer = reqwest::get(&url)
            .await
            .map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        match text.lines().any(|is| is == line) {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await;
}

/// Whether the status holds a mail about this cause.
fn is_told(object: &Value, code: &str) -> Option<()> {
    let causes = object.pointer("/status/notifications/causes")?.as_array()?;
    let told = |cause: &Value| cause["code"] == code && cause.get("sentAt").is_some();
    causes.iter().any(told).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_once_what_is_wrong_and_once_that_it_is_over() {
    let mut stage = Stage::set("mail", world::acme()).await;
    let server = MailServer::start(MailTls::StartTls).await.unwrap();
    stage.controller = Some(controller(&stage, &server, &[AFTER]).await);
    stage
        .apply(&stage.secret("acme", "marker-wrong-password", TOKEN))
        .await;
    stage
        .apply(&notifying(
            &stage,
            "acme",
            &["it@acme.example", "boss@hq.acme.example"],
        ))
        .await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    let first = mails(&server, 1).await.remove(0);
    let place = format!("{}/acme", stage.ns());
    assert_eq!(
        first["Subject"],
        format!("[Switchboard] {place}: not ready (InvalidLogin)")
    );
    assert_eq!(
        recipients(&first),
        ["it@acme.example", "boss@hq.acme.example"]
    );
    assert_eq!(first["From"]["Address"], "switchboard@example.com");
    assert_eq!(header(&first, "Auto-Submitted"), "auto-generated");
    let command = format!(
        "kubectl describe salesforceintegration acme --namespace {}",
        stage.ns()
    );
    for kind in ["Text", "HTML"] {
        let text = first[kind].as_str().unwrap();
        for wanted in [
            "InvalidLogin",
            "What to do",
            "Cause",
            "Since",
            "JST",
            &command,
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }

    // Another controller leads: it tells nothing twice, and goes on with the thread.
    stage.stop_controller().await;
    stage.controller = Some(controller(&stage, &server, &[AFTER]).await);
    stage.look("acme", "after the restart").await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    let both = mails(&server, 2).await;
    assert_eq!(
        both[1]["Subject"],
        format!("[Switchboard] {place}: ready again")
    );
    assert_eq!(
        header(&both[1], "References"),
        header(&both[0], "Message-Id")
    );
    assert_eq!(
        header(&both[1], "In-Reply-To"),
        header(&both[0], "Message-Id")
    );
    let everything = format!("{both:?}{}", stage.logs());
    for secret in ["marker-wrong-password", PASSWORD, TOKEN, server.password()] {
        assert!(!everything.contains(secret), "{secret}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_operator_does_not_send_to_gets_nothing_and_the_status_says_so() {
    let mut stage = Stage::set("mail-domains", world::acme()).await;
    let server = MailServer::start(MailTls::Wrapped).await.unwrap();
    stage.controller = Some(controller(&stage, &server, &[AFTER, "--mail-language=ja"]).await);
    let mut manifest = notifying(&stage, "acme", &["ceo@rival.example", "it@acme.example"]);
    stage.apply(&manifest).await;
    stage
        .condition("acme", "Ready", "False", "SecretNotFound")
        .await;
    let mail = mails(&server, 1).await.remove(0);
    assert_eq!(recipients(&mail), ["it@acme.example"]);
    let subject = mail["Subject"].as_str().unwrap();
    assert!(subject.contains("異常 (SecretNotFound)"), "{subject}");
    assert!(
        mail["Text"].as_str().unwrap().contains("対処方法"),
        "{mail}"
    );
    let warning = stage
        .until("acme", "a warning", SOON, |object| {
            let warnings = object.pointer("/status/warnings")?.as_array()?;
            let named = |warning: &&Value| warning["code"] == "MailRecipientRefused";
            warnings.iter().find(named).cloned()
        })
        .await;
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("ceo@rival.example"), "{message}");
    assert!(!message.contains("it@acme.example"), "{message}");

    // Suspended: nobody is told of it, and what was told is forgotten.
    manifest["spec"]["suspend"] = true.into();
    stage.apply(&manifest).await;
    stage
        .until("acme", "no cause on record", SOON, |object| {
            let causes = object.pointer("/status/notifications/causes");
            causes.is_none().then_some(())
        })
        .await;
    assert_eq!(server.mails().await.unwrap().len(), 1);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mail_server_delays_nothing_and_gets_the_mail_when_it_is_back() {
    let mut stage = Stage::set("mail-dead", world::acme()).await;
    let mut server = MailServer::start(MailTls::StartTls).await.unwrap();
    server.stop().await.unwrap();
    stage.controller = Some(controller(&stage, &server, &[AFTER]).await);
    stage
        .apply(&notifying(&stage, "late", &["it@acme.example"]))
        .await;
    stage
        .until("late", "a mail on record", SOON, |object| {
            is_told(object, "SecretNotFound")
        })
        .await;
    let controller = stage.controller.as_ref().unwrap();
    controller
        .wait_for_text("the mail server cannot be used", SOON)
        .await
        .unwrap();
    measured(controller, "switchboard_mails_queued 1").await;
    // Reconciles go on.
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    assert!(server.mails().await.is_err());
    server.restart().await.unwrap();
    let mail = mails(&server, 1).await.remove(0);
    assert!(
        mail["Subject"]
            .as_str()
            .unwrap()
            .contains("/late: not ready")
    );
    let controller = stage.controller.as_ref().unwrap();
    measured(controller, r#"switchboard_mails_total{outcome="sent"} 1"#).await;
    measured(controller, "switchboard_mails_queued 0").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_server_refuses_keeps_the_mail_from_nobody_else() {
    let mut stage = Stage::set("mail-refused", world::acme()).await;
    let server = MailServer::start(MailTls::StartTls).await.unwrap();
    let flags = [AFTER, "--mail-recipient-domains=*"];
    stage.controller = Some(controller(&stage, &server, &flags).await);
    let email = ["it@acme.example", "nobody@unknown.invalid"];
    stage.apply(&notifying(&stage, "acme", &email)).await;
    mails(&server, 1).await;
    wait_for("an Event about the other", SOON, async || {
        let events = stage.kubectl(&["get", "events", "-o", "json"]).await;
        if events.contains("MailNotDelivered") && events.contains("refused nobody@unknown.invalid")
        {
            Ok(())
        } else {
            Err(events)
        }
    })
    .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_one_mail_to_the_platform_team_and_none_to_the_tenants() {
    const TENANTS: usize = 12;
    let mut stage = Stage::set("mail-storm", outage::world(TENANTS)).await;
    let server = MailServer::start(MailTls::StartTls).await.unwrap();
    let flags = ["--mail-after=20s", "--mail-storm-from=5"];
    stage.controller = Some(controller(&stage, &server, &flags).await);
    let mut tenants = outage::tenants(&stage, TENANTS);
    for item in tenants["items"].as_array_mut().unwrap() {
        if item["kind"] == "SalesforceIntegration" {
            item["spec"]["notifications"] = json!({"email": ["it@acme.example"]});
        }
    }
    stage.apply(&tenants).await;
    stage.all("True", "Ready", 2 * SOON).await;
    stage.simulator.set_down(true).await;
    let now = "switchboard.dev/test-requested-at=now";
    stage.kubectl(&["annotate", "sfi", "--all", now]).await;
    stage.all("False", "Unreachable", 2 * SOON).await;
    for number in 0..TENANTS {
        let name = format!("tenant-{number}");
        stage
            .until(&name, "its cause on record", 2 * SOON, |object| {
                is_told(object, "Unreachable")
            })
            .await;
        // The leader changes in the middle of it.
        if number == 0 {
            stage.stop_controller().await;
            stage.controller = Some(controller(&stage, &server, &flags).await);
        }
    }
    let storm = mails(&server, 1).await.remove(0);
    assert_eq!(recipients(&storm), ["platform@example.com"]);
    let subject = storm["Subject"].as_str().unwrap();
    assert!(
        subject.contains("Salesforce integrations are not ready for the same reason"),
        "{subject}"
    );
    assert!(
        storm["Text"]
            .as_str()
            .unwrap()
            .contains(&format!("{}/tenant-", stage.ns()))
    );

    stage.simulator.set_down(false).await;
    stage.all("True", "Ready", 2 * SOON).await;
    let both = mails(&server, 2).await;
    assert_eq!(recipients(&both[1]), ["platform@example.com"]);
    assert_eq!(header(&both[1], "References"), header(&storm, "Message-Id"));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_is_told_by_its_own_code_and_without_a_callers_number() {
    let mut stage = Stage::set("mail-run", world::acme()).await;
    let server = MailServer::start(MailTls::StartTls).await.unwrap();
    stage.controller = Some(controller(&stage, &server, &[AFTER]).await);
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage
        .apply(&notifying(&stage, "acme", &["it@acme.example"]))
        .await;
    stage.ready("acme").await;
    let ingest = stage.directory("acme", "ingest").await;
    let call = switchboard_testbed::incoming_call("acme", "1", world::ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
    stage.simulator.fault(
        salesforce_simulator::Fault::status(500)
            .on_path("*/composite")
            .times(100),
    );
    let run = stage.run_now("acme", "fails").await;
    let outcome = run["outcome"].as_str().unwrap().to_owned();
    assert_ne!(outcome, "Succeeded");
    let object = stage.get("acme").await;
    assert_eq!(condition(&object, "Ready").unwrap()["reason"], "RunFailed");
    let mail = mails(&server, 1).await.remove(0);
    let subject = mail["Subject"].as_str().unwrap();
    assert!(
        subject.ends_with(&format!("not ready ({outcome})")),
        "{subject}"
    );
    for number in [world::ON_CONTACT, "312345678", "3-1234-5678"] {
        assert!(!mail.to_string().contains(number), "{number}: {mail}");
    }
    stage.end().await;
}
