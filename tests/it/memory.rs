//! Tests of what the worst answers cost the controller, which runs with half of the memory that the
//! chart gives it (docs/security.md has the table). It neither dies of them nor takes them for
//! something else.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use salesforce_simulator::{Fault, Flood, Org, User, World};
use serde_json::json;
use switchboard_testbed::{Process, wait_for};

use crate::outage::{tenants, world};
use crate::stage::{SOON, Stage};
use crate::world::{PASSWORD, TOKEN};

const MIB: u64 = 1 << 20;
/// Half of the chart's limit, `controller.resources.limits.memory`.
const CONTROLLER: u64 = 256 * MIB;
/// As many tenants as proofs may run at once.
const TENANTS: usize = 64;

/// An org for each tenant: proofs of one org wait for each other.
fn orgs() -> World {
    (0..TENANTS).fold(World::new(), |world, number| {
        let name = format!("integration@tenant-{number}.example");
        let user = User::integration(&name).password(PASSWORD).token(TOKEN);
        world.org(Org::enterprise(&format!("Acme {number}")).user(user))
    })
}

/// The most memory that a program had, the pages of the program itself among it.
fn peak(controller: &Process) -> u64 {
    controller.usage().unwrap().peak_rss
}

async fn test_all(stage: &Stage, wish: &str) {
    let wish = format!("switchboard.dev/test-requested-at={wish}");
    stage
        .kubectl(&["annotate", "sfi", "--all", "--overwrite", &wish])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answers_of_salesforce_cost_the_controller_half_of_its_memory() {
    let stage = Stage::set("floods", orgs()).await;
    let stage = stage.bounded_to(CONTROLLER);
    let controller = stage.another_controller("controller", &[]).await;
    stage.apply(&tenants(&stage, TENANTS)).await;
    stage.all("True", "Ready", 3 * SOON).await;
    println!("{TENANTS} tenants: {} MiB", peak(&controller) / MIB);
    for (at, (what, of, megabytes, path)) in [
        ("31 MB of empty records", Flood::Records, 31, "*/composite"),
        ("1 MB of depth", Flood::Depth, 1, "*/composite"),
        ("8 MB in a description", Flood::Objects, 8, "*/describe"),
    ]
    .into_iter()
    .enumerate()
    {
        let flood = Fault::flood(of, megabytes).on_path(path);
        stage.simulator.fault(flood);
        test_all(&stage, &format!("flood-{at}")).await;
        stage.all("False", "UnexpectedAnswer", 4 * SOON).await;
        let most = peak(&controller);
        println!("{TENANTS} times {what}: {} MiB", most / MIB);
        assert!(most < CONTROLLER, "{what}: {} MiB", most / MIB);
        let one = stage.get("tenant-0").await.to_string();
        let words = ["sent more than", "of another shape", "neither JSON nor XML"];
        assert!(words.iter().any(|said| one.contains(said)), "{what}: {one}");
        stage.simulator.clear_faults();
        test_all(&stage, &format!("calm-{at}")).await;
        stage.all("True", "Ready", 4 * SOON).await;
    }
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_tenant_keeps_in_the_cluster_costs_the_controller_half_of_its_memory() {
    const SECRETS: usize = 100;
    let stage = Stage::set("hoard", world(1)).await;
    let secrets = Api::<Secret>::namespaced(stage.client.clone(), stage.ns());
    // All annotations of an object have 256 KiB, each character of which takes six in JSON.
    let note = "\u{1}".repeat(250 << 10);
    for at in 0..SECRETS {
        let secret = serde_json::from_value(json!({
            "metadata": {
                "name": format!("hoard-{at}"), "annotations": {"note": note},
                "labels": {"app.kubernetes.io/managed-by": "switchboard"}
            },
        }));
        let secret = secret.unwrap();
        let created = secrets.create(&PostParams::default(), &secret).await;
        created.unwrap();
    }
    let stage = stage.bounded_to(CONTROLLER);
    let controller = stage.another_controller("controller", &[]).await;
    stage.apply(&tenants(&stage, 1)).await;
    stage.all("True", "Ready", 2 * SOON).await;
    let most = peak(&controller);
    println!(
        "{SECRETS} Secrets with 256 KiB of annotations: {} MiB",
        most / MIB
    );
    assert!(most < CONTROLLER, "{} MiB", most / MIB);

    // A megabyte in the place of a password.
    let large = json!({"stringData": {"password": "x".repeat(900_000)}});
    let (name, params) = ("tenant-0-salesforce", PatchParams::default());
    let changed = secrets.patch(name, &params, &Patch::Merge(large)).await;
    changed.unwrap();
    let said = wait_for("the Secret to be refused", SOON, async || {
        let object = stage.get("tenant-0").await.to_string();
        match object.contains("no key, password or token has more than") {
            true => Ok(object),
            false => Err(object),
        }
    });
    assert!(said.await.contains("SecretKeyInvalid"));
    let most = peak(&controller);
    println!("a password of 900 kB: {} MiB", most / MIB);
    assert!(most < CONTROLLER, "{} MiB", most / MIB);
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.end().await;
}
