//! Tests of call centers: a Salesforce user stands in one of them over all integrations of an org,
//! and Salesforce has the users as the spec says.

use jiff::Timestamp;
use salesforce_simulator::{User, World};
use serde_json::{Value, json};
use switchboard_testbed::{Process, incoming_call, wait_for};

use crate::check::check;
use crate::stage::{SOON, Stage, condition};
use crate::tenant::{LINK, Tenant};
use crate::world::{self, PASSWORD, TOKEN, USER};

const SATO: &str = "sato@acme.example";
const ITO: &str = "ito@acme.example";
/// Name of the older tenant's call center, which nobody else may see.
const DESK: &str = "Desk of the Seventh Floor";

/// The org of all tests, with two users in a call center.
fn world() -> World {
    let mut world = world::acme();
    let users = [SATO, ITO].map(|name| User::standard(name).call_center("Support"));
    world.orgs[0].users.extend(users);
    world
}

fn centers(name: &str, users: &[&str]) -> Value {
    json!([{"name": name, "users": users}])
}

async fn apply(tenant: &Tenant<'_>, call_centers: Value) {
    let secret = format!("{}-salesforce", tenant.company);
    tenant.apply(&tenant.secret(&secret)).await.expect_success();
    let mut manifest = tenant.integration(LINK, &tenant.company, &secret);
    manifest["spec"]["callCenters"] = call_centers;
    tenant.apply(&manifest).await.expect_success();
}

/// Two tenants with the user Sato: first the older one, which is ready, then the younger one.
async fn clash<'a>(stage: &'a Stage, flag: &str) -> (Tenant<'a>, Tenant<'a>, Process) {
    let acme = Tenant::new(stage, "acme").await;
    let eve = Tenant::new(stage, "eve").await;
    let namespaces = format!("--watch-namespaces={},{}", acme.ns(), eve.ns());
    let controller = stage
        .another_controller("controller", &[&namespaces, flag])
        .await;
    apply(&acme, centers(DESK, &[SATO, ITO])).await;
    let shown = acme.until(LINK, "Ready").await;
    // Resources are as old as their second says.
    let born: Timestamp = shown["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    wait_for("the next second", SOON, async || {
        let now = Timestamp::now();
        if now.as_second() > born.as_second() {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
    apply(&eve, centers("support", &["Sato@Acme.example"])).await;
    (acme, eve, controller)
}

async fn is_suspended(tenant: &Tenant<'_>, suspended: bool) {
    wait_for("the CronJob to follow", SOON, async || {
        let args = ["get", "cronjobs", "-n", tenant.ns(), "-o", "json"];
        let list = tenant.kubectl(&args, &Value::Null).await.expect_success();
        let list: Value = serde_json::from_str(&list).unwrap();
        match &list["items"][0]["spec"]["suspend"] {
            Value::Bool(found) if *found == suspended => Ok(()),
            found => Err(format!("suspend: {found}")),
        }
    })
    .await;
}

fn message(shown: &Value, type_: &str) -> String {
    let found = condition(shown, type_).unwrap();
    format!(
        "{} {}: {}",
        found["status"].as_str().unwrap(),
        found["reason"].as_str().unwrap(),
        found["message"].as_str().unwrap()
    )
}

async fn end(stage: &Stage, tenants: [Tenant<'_>; 2], controller: Process) {
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.rights().nothing_was_refused(stage.control_plane);
    for tenant in tenants {
        tenant.namespace.delete().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_stands_in_one_call_center_and_the_younger_recovers_by_itself() {
    let stage = Stage::set("operator", world()).await;
    let (acme, eve, controller) = clash(&stage, "--call-center-conflicts=Block").await;
    let shown = eve.until(LINK, "UserInOtherCallCenter").await;
    assert!(message(&shown, "Exclusive").ends_with("of the same org: Sato@Acme.example."));
    assert!(message(&shown, "Connected").starts_with("True"));
    assert!(message(&shown, "CallCentersVerified").starts_with("True"));
    is_suspended(&eve, true).await;
    is_suspended(&acme, false).await;

    // By an edit of the older one, which takes the user back later.
    apply(&acme, centers(DESK, &[ITO])).await;
    eve.until(LINK, "Ready").await;
    is_suspended(&eve, false).await;
    apply(&acme, centers(DESK, &[SATO, ITO])).await;
    eve.until(LINK, "UserInOtherCallCenter").await;
    is_suspended(&eve, true).await;

    // By its suspension.
    let suspend = |suspend: bool| json!({"spec": {"suspend": suspend}}).to_string();
    let patch = |text: String| {
        let acme = &acme;
        async move {
            let args = [
                "patch",
                "sfi",
                LINK,
                "-n",
                acme.ns(),
                "--type=merge",
                "-p",
                &text,
            ];
            acme.kubectl(&args, &Value::Null).await.expect_success();
        }
    };
    patch(suspend(true)).await;
    eve.until(LINK, "Ready").await;
    patch(suspend(false)).await;
    eve.until(LINK, "UserInOtherCallCenter").await;

    // By its deletion.
    let args = ["delete", "sfi", LINK, "-n", acme.ns()];
    acme.kubectl(&args, &Value::Null).await.expect_success();
    eve.until(LINK, "Ready").await;
    is_suspended(&eve, false).await;
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_platform_team_only_warns_the_runs_go_on() {
    let stage = Stage::set("operator", world()).await;
    let (acme, eve, controller) = clash(&stage, "--call-center-conflicts=Warn").await;
    let shown = eve.until(LINK, "Ready").await;
    assert!(message(&shown, "Exclusive").starts_with("False UserInOtherCallCenter"));
    assert!(message(&shown, "Ready").ends_with("of the same org: Sato@Acme.example."));
    assert_eq!(condition(&shown, "Stalled"), None);
    is_suspended(&eve, false).await;
    wait_for("an Event to tell of the clash", SOON, async || {
        let args = ["get", "events", "-n", eve.ns(), "-o", "yaml"];
        let events = eve.kubectl(&args, &Value::Null).await.expect_success();
        if events.contains("UserInOtherCallCenter") {
            Ok(())
        } else {
            Err(events)
        }
    })
    .await;
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_users_clash_learns_nothing_of_the_other() {
    let stage = Stage::set("operator", world()).await;
    let (acme, eve, controller) = clash(&stage, "--call-center-conflicts=Block").await;
    eve.until(LINK, "UserInOtherCallCenter").await;
    let call = incoming_call(&acme.company, "1", world::ON_CONTACT);
    acme.directory("ingest").await.ingest(&call).await.unwrap();

    // With a password that is made up, no guess is answered: one user is acme's, one nobody's.
    let secret = "made-up";
    let mut made_up = eve.secret(secret);
    made_up["stringData"]["password"] = "wrong".into();
    eve.apply(&made_up).await.expect_success();
    let mut answers = vec![];
    for (name, user) in [("hit", ITO), ("miss", "nobody@acme.example")] {
        let company = format!("{}-{name}", eve.company);
        let mut guess = eve.integration(name, &company, secret);
        guess["spec"]["callCenters"] = centers("guess", &[user]);
        eve.apply(&guess).await.expect_success();
        let shown = eve.until(name, "InvalidLogin").await;
        answers.push(message(&shown, "Exclusive"));
        let args = ["delete", "sfi", name, "-n", eve.ns()];
        eve.kubectl(&args, &Value::Null).await.expect_success();
    }
    assert_eq!(answers[0], answers[1]);

    let directory = eve.directory("lookup").await;
    let calls = directory.calls(&Default::default()).await.unwrap();
    let contact = directory.contact(world::ON_CONTACT).await.unwrap();
    let seen = eve.sees().await + &format!("{calls:?}{contact:?}");
    assert!(seen.contains("Sato@Acme.example"), "{seen}");
    let uid = acme.show(LINK).await["metadata"]["uid"].to_string();
    for foreign in [acme.ns(), &acme.company, DESK, uid.trim_matches('"')] {
        assert!(
            !seen.contains(foreign),
            "{foreign} is in what eve sees:\n{seen}"
        );
    }
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_salesforce_has_otherwise_are_named_and_stop_nothing() {
    let stage = Stage::start("centers", world()).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = USER.into();
    manifest["spec"]["callCenters"] = json!([
        {"name": "support", "users": [SATO, "nobody@acme.example"]},
        {"name": "sales", "users": [ITO]},
    ]);
    let secret = stage.secret("acme", PASSWORD, TOKEN);
    stage.apply(&secret).await;
    stage.apply(&manifest).await;
    let shown = stage.ready("acme").await;
    let said = message(&shown, "CallCentersVerified");
    assert!(said.starts_with("False CallCentersDiffer"), "{said}");
    assert!(
        said.contains("nobody@acme.example") && !said.contains(ITO),
        "{said}"
    );

    let (exit, out, err) = check(&stage, &[&manifest, &secret], &["-o", "json"]);
    assert_eq!(exit, Some(0), "{out}{err}");
    let checked = json!({"status": serde_json::from_str::<Value>(&out).unwrap()});
    assert_eq!(message(&checked, "CallCentersVerified"), said);
    let (_, out, _) = check(&stage, &[&manifest, &secret], &[]);
    assert!(out.contains("CallCentersDiffer"), "{out}");

    let user = User::standard("nobody@acme.example").call_center("Support");
    stage
        .simulator
        .edit_org("Acme", |org| org.users.push(user))
        .unwrap();
    stage.test_now("acme", "1").await;
    let verified = ["CallCentersVerified", "True", "AsExpected"];
    stage
        .condition("acme", verified[0], verified[1], verified[2])
        .await;

    stage
        .simulator
        .edit(|world| world.switches.call_centers_need_permission = true)
        .unwrap();
    stage.test_now("acme", "2").await;
    stage
        .condition(
            "acme",
            "CallCentersVerified",
            "Unknown",
            "CallCentersUnreadable",
        )
        .await;
    stage.ready("acme").await;

    // A user of two call centers of one integration is told so without a cluster, too.
    manifest["spec"]["callCenters"][1]["users"] = json!(["SATO@acme.example"]);
    let (exit, out, _) = check(&stage, &[&manifest, &secret], &[]);
    assert_eq!(exit, Some(1), "{out}");
    assert!(out.contains("more than once: SATO@acme.example."), "{out}");
    stage.end().await;
}
