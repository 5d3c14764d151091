//! Tests of several shards: each tenant is served by one, whatever becomes of the others, and also
//! when their number changes.

use std::collections::BTreeSet;
use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use salesforce_simulator::{User, World};
use serde_json::{Value, json};
use switchboard::shard::Shard;
use switchboard_testbed::{Process, Select, incoming_call, metric_sum, wait_for};

use crate::leaders::leads;
use crate::resident;
use crate::rights::{NAMESPACE, template};
use crate::stage::{SOON, Stage, metrics_of};
use crate::tenant::{LINK, Tenant};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Tenants in namespaces, so many that each of two and of three shards has one.
async fn tenants(stage: &Stage) -> Vec<Tenant<'_>> {
    let rights = template(&[
        &format!("--set=scope.namespaces={{{NAMESPACE}}}"),
        "--set=controller.shards=3",
        "--show-only=templates/rbac.yaml",
    ])
    .await;
    let rights = rights.replace(NAMESPACE, stage.ns());
    let applied = stage.control_plane.kubectl_apply(&rights).await;
    applied.unwrap().expect_success();
    let mut tenants: Vec<Tenant<'_>> = vec![];
    while !is_spread(&tenants, 2) || !is_spread(&tenants, 3) {
        let tenant = Tenant::new(stage, &format!("shard{}", tenants.len())).await;
        tenants.push(tenant);
    }
    tenants
}

fn is_spread(tenants: &[Tenant<'_>], count: u32) -> bool {
    let mut shards = (0..count).map(|index| shard(index, count));
    shards.all(|shard| tenants.iter().any(|tenant| shard.holds(tenant.ns())))
}

fn shard(index: u32, count: u32) -> Shard {
    format!("{index}/{count}").parse().unwrap()
}

fn of<'a>(tenants: &'a [Tenant<'a>], shard: Shard) -> &'a Tenant<'a> {
    let mut tenants = tenants.iter();
    tenants.find(|tenant| shard.holds(tenant.ns())).unwrap()
}

/// Starts a replica of a shard.
async fn replica(stage: &Stage, tenants: &[Tenant<'_>], name: &str, shard: Shard) -> Process {
    let namespaces: Vec<&str> = tenants.iter().map(Tenant::ns).collect();
    let flags = [
        format!("--watch-namespaces={}", namespaces.join(",")),
        format!("--lease-namespace={}", stage.ns()),
        format!("--identity={name}"),
        format!("--shard={shard}"),
        "--leader-elect".into(),
        "--lease-duration=6s".into(),
        "--lease-renew=2s".into(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    stage.another_controller(name, &flags).await
}

/// A user, and an integration that logs in as it after calls.
async fn link(tenant: &Tenant<'_>, user: &str, password: &str) {
    let secret = format!("{}-salesforce", tenant.company);
    let mut credential = tenant.secret(&secret);
    credential["stringData"]["password"] = password.into();
    tenant.apply(&credential).await.expect_success();
    let mut manifest = tenant.integration(LINK, &tenant.company, &secret);
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = user.into();
    manifest["spec"]["contacts"] = json!({"retrieval": "AfterCall"});
    tenant.apply(&manifest).await.expect_success();
}

/// The user of the tenant at this place.
fn user_of(at: usize) -> String {
    format!("integration{at}@acme.example")
}

/// The org of the other tests with a user for each of many tenants.
fn world_of_many() -> World {
    let user = |at| {
        User::integration(&user_of(at))
            .password(PASSWORD)
            .token(TOKEN)
    };
    World::new().org((0..100).fold(world::org(), |org, at| org.user(user(at))))
}

/// A call ends, and has its name.
async fn named(tenant: &Tenant<'_>, id: &str, number: &str, person: &str) {
    let ingest = tenant.directory("ingest").await;
    let call = incoming_call(&tenant.company, id, number);
    ingest.ingest(&call).await.unwrap();
    let lookup = tenant.directory("lookup").await;
    resident::named(&lookup, number, person).await;
}

/// Ends the controllers, none of which wanted more than its rights, and removes the tenants.
async fn cleared(stage: &Stage, controllers: Vec<Process>, tenants: Vec<Tenant<'_>>) {
    for process in controllers {
        assert_eq!(
            process.terminate(SOON).await.unwrap(),
            0,
            "{}",
            process.text()
        );
    }
    stage.rights().nothing_was_refused(stage.control_plane);
    for tenant in tenants {
        tenant.namespace.delete().await.unwrap();
    }
}

/// How many integrations the controller says it has.
async fn has(controller: &Process) -> i64 {
    metric_sum(&metrics_of(controller).await, "switchboard_integrations") as i64
}

async fn holders(stage: &Stage) -> BTreeSet<String> {
    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), stage.ns());
    let leases = leases.list(&Default::default()).await.unwrap();
    let holders = leases.items.into_iter().filter_map(|lease| {
        let holder = lease.spec?.holder_identity?;
        (!holder.is_empty()).then_some(holder)
    });
    holders.collect()
}

/// Asks for a test of the connection, and waits until it was made or refused.
async fn tested(tenant: &Tenant<'_>, wish: &str) -> Value {
    let annotation = format!("{}={wish}", switchboard::api::TEST_REQUESTED_AT);
    let args = [
        "annotate",
        "sfi",
        LINK,
        "-n",
        tenant.ns(),
        "--overwrite",
        &annotation,
    ];
    tenant.kubectl(&args, &Value::Null).await.expect_success();
    wait_for("the test to be handled", SOON, async || {
        let shown = tenant.show(LINK).await;
        match shown["status"]["lastHandledTestAt"] == wish {
            true => Ok(shown),
            false => Err(shown["status"]["lastHandledTestAt"].to_string()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_is_served_by_one_shard_and_moves_when_their_number_changes() {
    let stage = Stage::set("shards", world_of_many()).await;
    let tenants = tenants(&stage).await;
    let users: Vec<String> = (0..tenants.len()).map(user_of).collect();
    let logins = || -> Vec<usize> {
        let counters = stage.simulator.counters();
        let of = |user: &String| counters.logins_of(user);
        users.iter().map(of).collect()
    };
    let [zero, one] = [shard(0, 2), shard(1, 2)];
    let first = replica(&stage, &tenants, "first", zero).await;
    leads(&first).await;
    for (tenant, user) in tenants.iter().zip(&users) {
        link(tenant, user, PASSWORD).await;
    }
    let (here, there) = (of(&tenants, zero), of(&tenants, one));
    here.until(LINK, "Ready").await;
    // Nobody works for the other shard, and what the first one has it names alone.
    named(here, "0", world::ON_CONTACT, "Hanako Sato").await;
    let untouched = there.show(LINK).await;
    assert_eq!(untouched["status"]["conditions"], json!([]), "{untouched}");
    let second = replica(&stage, &tenants, "second", one).await;
    for tenant in &tenants {
        tenant.until(LINK, "Ready").await;
    }
    named(there, "1", world::ON_LEAD, "Taro Lead").await;
    let once = vec![1; tenants.len()];
    assert_eq!(logins(), once, "one log-in for each");
    let counts = [has(&first).await, has(&second).await];
    let held = |shard: Shard| tenants.iter().filter(|one| shard.holds(one.ns())).count() as i64;
    assert_eq!(counts, [held(zero), held(one)]);
    let holders_of_two = holders(&stage).await;
    assert_eq!(
        Vec::from_iter(&holders_of_two),
        ["first@0/2", "second@1/2"],
        "{holders_of_two:?}"
    );

    // The leader of one shard dies: the other one goes on meanwhile.
    first.kill().await.unwrap();
    named(there, "2", world::ON_TWO, "Jiro Contact").await;
    let again = replica(&stage, &tenants, "again", zero).await;
    leads(&again).await;
    named(here, "3", world::ON_LEAD, "Taro Lead").await;
    let after_kill = logins();
    // Who had calls needed a session again, and nobody else did.
    for (at, tenant) in tenants.iter().enumerate() {
        let renewed = tenant.ns() == here.ns();
        assert_eq!(after_kill[at], 1 + usize::from(renewed), "{after_kill:?}");
    }

    // Another number: the new ones wait until the last of the old ones has ended.
    let mut three = vec![];
    for index in 0..3 {
        let name = format!("new-{index}");
        three.push(replica(&stage, &tenants, &name, shard(index, 3)).await);
    }
    three[2]
        .wait_for_text("waits for its Lease", SOON)
        .await
        .unwrap();
    assert_eq!(again.terminate(SOON).await.unwrap(), 0, "{}", again.text());
    leads(&three[0]).await;
    three[0]
        .wait_for_text("waits for its Lease", SOON)
        .await
        .unwrap();
    for process in &three {
        assert!(
            !process.text().contains("the controller starts"),
            "{}",
            process.text()
        );
    }
    let told = Instant::now();
    assert_eq!(
        second.terminate(SOON).await.unwrap(),
        0,
        "{}",
        second.text()
    );
    for process in &three {
        process
            .wait_for_text("the controller watches", SOON)
            .await
            .unwrap();
    }
    println!(
        "three shards worked {:?} after the last of two had ended",
        told.elapsed()
    );
    // Nobody is proved again because he has moved.
    for tenant in &tenants {
        tenant.until(LINK, "Ready").await;
    }
    assert_eq!(logins(), after_kill);
    let mut counts = vec![];
    for process in &three {
        counts.push(has(process).await);
    }
    let held: Vec<i64> = (0..3).map(|index| held(shard(index, 3))).collect();
    assert_eq!(counts, held);
    // Each is served where it is now, by one: a test is one log-in more.
    for (at, tenant) in tenants.iter().enumerate() {
        tested(tenant, "moved").await;
        assert_eq!(logins()[at], after_kill[at] + 1, "{}", tenant.ns());
        named(tenant, "4", world::ON_TWO, "Jiro Contact").await;
        assert_eq!(logins()[at], after_kill[at] + 1, "{}", tenant.ns());
    }
    assert!(stage.runner.pods(Select::all()).is_empty());
    cleared(&stage, three, tenants).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_two_shards_is_refused_as_often_as_in_one_and_a_company_has_one_owner() {
    let stage = Stage::set("shards-user", world::acme()).await;
    let tenants = tenants(&stage).await;
    let mut running = vec![];
    for index in 0..2 {
        let name = format!("shard-{index}");
        let replica = replica(&stage, &tenants, &name, shard(index, 2)).await;
        leads(&replica).await;
        running.push(replica);
    }
    let (here, there) = (of(&tenants, shard(0, 2)), of(&tenants, shard(1, 2)));
    // The same wrong password in both namespaces, at the same time.
    tokio::join!(
        link(here, USER, "not-the-password"),
        link(there, USER, "not-the-password"),
    );
    here.until(LINK, "InvalidLogin").await;
    there.until(LINK, "InvalidLogin").await;
    assert_eq!(stage.simulator.counters().logins_of(USER), 1);
    // Wrong ones again and again, in turn: a controller alone sends two in all.
    for round in 0..4 {
        for tenant in [here, there] {
            let wrong = format!("wrong-{round}-{}", tenant.ns());
            link(tenant, USER, &wrong).await;
        }
    }
    for tenant in [here, there] {
        tested(tenant, "after-all").await;
    }
    let refused = stage.simulator.counters().logins_of(USER);
    println!("{refused} log-ins with wrong passwords, one of them asked for at most");
    assert!(refused <= 3, "{refused} log-ins, one of them asked for");
    assert!(!stage.simulator.is_locked(USER));

    // The company of an older integration, in the namespace of the other shard.
    let secret = format!("{}-salesforce", there.company);
    let rival = there.integration("rival", &here.company, &secret);
    there.apply(&rival).await.expect_success();
    there.until("rival", "CompanyIdTaken").await;
    let args = ["delete", "sfi", LINK, "-n", here.ns()];
    here.kubectl(&args, &Value::Null).await.expect_success();
    wait_for("the company to be the younger's", SOON, async || {
        let shown = there.show("rival").await;
        let exclusive = crate::stage::condition(&shown, "Exclusive").cloned();
        match exclusive
            .as_ref()
            .is_some_and(|one| one["status"] == "True")
        {
            true => Ok(()),
            false => Err(format!("{exclusive:?}")),
        }
    })
    .await;
    cleared(&stage, running, tenants).await;
    stage.clear().await;
}
