//! Tests that the resource behaves like any other in kubectl and in tools that use kstatus.

use serde_json::{Value, json};
use switchboard_testbed::{CommandOutput, wait_for};

use crate::bed;
use crate::kstatus::{Kstatus, kstatus};
use crate::stage::{SOON, Stage, condition};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Runs kubectl in the stage's namespace, with a manifest on its standard input.
async fn kubectl(stage: &Stage, args: &[&str], manifest: &Value) -> CommandOutput {
    let args = args.iter().copied().chain(["-n", stage.ns()]);
    let control_plane = stage.control_plane;
    control_plane
        .kubectl_with(control_plane.kubeconfig_path(), args, &manifest.to_string())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_describes_every_field() {
    let control_plane = bed::control_plane().await;
    // kubectl caches the kinds of a server for hours. `get` reads them again when it meets an
    // unknown name, `explain` does not.
    let look = control_plane.kubectl(["get", "sfi"]).await.unwrap();
    look.expect_success();
    // A server publishes the schema of a new kind some seconds after it serves the kind.
    wait_for("the API server to publish the schema", SOON, async || {
        let explained = control_plane.kubectl(["explain", "sfi"]).await.unwrap();
        if explained.success() {
            Ok(())
        } else {
            Err(explained.stderr)
        }
    })
    .await;
    let explain = async |path: &str| {
        let explained = control_plane.kubectl(["explain", path]).await.unwrap();
        explained.expect_success()
    };
    let mut paths = vec!["sfi.spec".to_owned(), "sfi.status".to_owned()];
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        let text = explain(&path).await;
        let Some((_, fields)) = text.split_once("FIELDS:\n") else {
            // It takes more than one type, and has none for that reason.
            assert_eq!(path, "sfi.spec.contacts.follow", "{text}");
            continue;
        };
        let mut name = "";
        let mut described = true;
        // The indentation is two spaces for a field and four for its description.
        let told = |line: &&str| !line.trim().is_empty() && !line.starts_with("  enum: ");
        for line in fields.lines().filter(told) {
            if line.starts_with("    ") {
                described |= !line.contains("<no description>");
            } else {
                assert!(described, "{path}.{name} has no description");
                described = false;
                seen += 1;
                name = line.split_whitespace().next().unwrap();
                if line.contains("<Object>") || line.contains("<[]Object>") {
                    paths.push(format!("{path}.{name}"));
                }
            }
        }
        assert!(described, "{path}.{name} has no description");
    }
    assert!(seen > 50, "{seen} fields");
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_diff_and_server_side_apply_see_no_difference_where_there_is_none() {
    let stage = Stage::start("apply", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    let apply = [
        "apply",
        "--server-side",
        "--field-manager=gitops",
        "-f",
        "-",
    ];
    kubectl(&stage, &apply, &manifest).await.expect_success();
    let wait = ["wait", "sfi/acme", "--for=condition=Ready", "--timeout=60s"];
    kubectl(&stage, &wait, &Value::Null).await.expect_success();

    // The controller's status and the server's defaults cause no difference and no conflict.
    let diff = ["diff", "--server-side", "--field-manager=gitops", "-f", "-"];
    let output = kubectl(&stage, &diff, &manifest).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (Some(0), ""),
        "{output:?}"
    );
    let before = stage.get("acme").await;
    kubectl(&stage, &apply, &manifest).await.expect_success();
    let after = stage.get("acme").await;
    assert_eq!(
        before["metadata"]["generation"],
        after["metadata"]["generation"]
    );
    assert_eq!(before["spec"], after["spec"]);

    manifest["spec"]["interval"] = "45m".into();
    let output = kubectl(&stage, &diff, &manifest).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let changed: Vec<&str> = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("+ ") || line.starts_with("- "))
        .map(|line| line[1..].trim())
        .filter(|line| !line.starts_with("generation:"))
        .collect();
    assert_eq!(changed, ["interval: 30m", "interval: 45m"]);

    // Another field manager gets a conflict that names the owner of the field.
    let other = [
        "apply",
        "--server-side",
        "--field-manager=somebody",
        "-f",
        "-",
    ];
    kubectl(&stage, &apply, &manifest).await.expect_success();
    manifest["spec"]["interval"] = "1h".into();
    let output = kubectl(&stage, &other, &manifest).await;
    assert!(!output.success(), "{output:?}");
    assert!(
        output.stderr.contains("\"gitops\"") && output.stderr.contains(".spec.interval"),
        "{output:?}"
    );
    stage.end().await;
}

/// The value of a column in a row of kubectl's table.
fn cell<'a>(header: &str, row: &'a str, column: &str) -> &'a str {
    let padded = format!("{header}   ");
    let at = padded
        .find(&format!("{column}   "))
        .unwrap_or_else(|| unreachable!("{column} in {header}"));
    let rest = row.get(at..).unwrap_or_default();
    rest.split("   ").next().unwrap_or_default().trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn get_answers_at_a_glance() {
    let stage = Stage::start("get", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    let mut manifest = stage.integration("acme");
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = USER.into();
    stage.apply(&manifest).await;
    stage.ready("acme").await;
    stage.run_now("acme", "now").await;
    let narrow = stage.kubectl(&["get", "sfi"]).await;
    let columns = [
        "NAME",
        "READY",
        "REASON",
        "ORG",
        "EDITION",
        "RETRIEVAL",
        "LAST RUN",
        "API %",
        "AGE",
    ];
    let header = narrow.lines().next().unwrap();
    let found: Vec<&str> = header
        .split("   ")
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(found, columns, "{narrow}");

    let wide = stage.kubectl(&["get", "sfi", "-o", "wide"]).await;
    let (header, row) = wide.trim_end().split_once('\n').unwrap();
    let object = stage.get("acme").await;
    let status = |path: &str| {
        object["status"]
            .pointer(path)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    for (column, value) in [
        ("NAME", "acme".to_owned()),
        ("READY", "True".to_owned()),
        ("REASON", "Ready".to_owned()),
        ("ORG", "Acme".to_owned()),
        ("EDITION", "Enterprise Edition".to_owned()),
        ("RETRIEVAL", "Daily".to_owned()),
        ("USER", USER.to_owned()),
        ("INSTANCE", status("/organization/instance")),
        ("NEXT RUN", status("/nextRun")),
    ] {
        assert_eq!(cell(header, row, column), value, "{wide}");
    }
    assert!(!cell(header, row, "LAST RUN").is_empty(), "{wide}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kstatus_reads_each_state_right() {
    let mut stage = Stage::set("kstatus", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    let now = async |stage: &Stage| kstatus(&stage.get("acme").await);
    assert_eq!(
        now(&stage).await,
        Kstatus::InProgress,
        "nobody has looked at it yet"
    );

    stage.start_controller().await;
    stage.ready("acme").await;
    assert_eq!(now(&stage).await, Kstatus::Current);

    // A change that no controller has reconciled yet.
    stage.stop_controller().await;
    let mut changed = stage.integration("acme");
    changed["spec"]["interval"] = "45m".into();
    stage.apply(&changed).await;
    assert_eq!(now(&stage).await, Kstatus::InProgress);
    stage.start_controller().await;
    let generation = stage.get("acme").await["metadata"]["generation"].clone();
    stage
        .until(
            "acme",
            "the change to be seen",
            crate::stage::SOON,
            |object| (object["status"]["observedGeneration"] == generation).then_some(()),
        )
        .await;
    assert_eq!(now(&stage).await, Kstatus::Current);

    // Salesforce is down; the integration recovers by itself.
    stage
        .simulator
        .edit_org("Acme", |org| org.maintenance = true)
        .unwrap();
    stage.simulator.revoke_sessions(USER);
    stage.test_now("acme", "down").await;
    stage
        .condition("acme", "Ready", "False", "Unreachable")
        .await;
    assert_eq!(now(&stage).await, Kstatus::InProgress);
    stage
        .simulator
        .edit_org("Acme", |org| org.maintenance = false)
        .unwrap();
    stage.test_now("acme", "up").await;
    stage.ready("acme").await;

    // A wrong password or a missing Secret needs human action.
    stage
        .apply(&stage.secret("acme", "not-the-password", TOKEN))
        .await;
    let wait = [
        "wait",
        "sfi/acme",
        "--for=condition=Stalled",
        "--timeout=60s",
    ];
    kubectl(&stage, &wait, &Value::Null).await.expect_success();
    assert_eq!(now(&stage).await, Kstatus::Failed);
    stage
        .kubectl(&["delete", "secret", "acme-salesforce"])
        .await;
    stage
        .condition("acme", "Ready", "False", "SecretNotFound")
        .await;
    assert_eq!(now(&stage).await, Kstatus::Failed);
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    assert_eq!(now(&stage).await, Kstatus::Current);
    assert!(condition(&stage.get("acme").await, "Stalled").is_none());

    // The resource is being deleted, as long as a finalizer holds it.
    let held = json!({"metadata": {"finalizers": ["example.com/hold"]}}).to_string();
    stage
        .kubectl(&["patch", "sfi/acme", "--type=merge", "-p", &held])
        .await;
    stage.kubectl(&["delete", "sfi/acme", "--wait=false"]).await;
    assert_eq!(now(&stage).await, Kstatus::Terminating);
    let free = json!({"metadata": {"finalizers": null}}).to_string();
    stage
        .kubectl(&["patch", "sfi/acme", "--type=merge", "-p", &free])
        .await;
    stage.end().await;
}
