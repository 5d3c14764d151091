//! Tests of `switchboard status` and `switchboard explain`, installed as a plugin of the real
//! kubectl and used with a tenant's own rights.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use switchboard_testbed::{CommandOutput, ControlPlane, PodRunner, incoming_call, wait_for};

use crate::bed;
use crate::stage::{SOON, Stage, program};
use crate::tenant::{LINK, Tenant};
use crate::world::{self, NOWHERE, ON_CONTACT};

/// A folder in which kubectl finds the program as its plugin.
struct Plugin {
    folder: tempfile::TempDir,
}

// === impl Plugin ===

impl Plugin {
    fn install() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("kubectl-switchboard");
        std::os::unix::fs::symlink(program(), name).unwrap();
        Self { folder }
    }

    /// Runs `kubectl switchboard` with these arguments.
    async fn run(
        &self,
        control_plane: &ControlPlane,
        kubeconfig: &Path,
        args: &[&str],
    ) -> CommandOutput {
        let args = ["switchboard"].into_iter().chain(args.iter().copied());
        control_plane
            .kubectl_in(self.folder.path().as_os_str(), kubeconfig, args, "")
            .await
            .unwrap()
    }
}

/// The only integration of an answer in JSON.
fn only(output: &CommandOutput) -> (Value, Value) {
    let answer: Value = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| unreachable!("{error}: {output:?}"));
    assert_eq!(answer["version"], 1, "{answer}");
    let all = answer["integrations"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{answer}");
    (all[0].clone(), answer["leftOut"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_in_kubectl_what_fails_and_what_to_do_with_its_own_rights() {
    let stage = Stage::set("operator", world::acme()).await;
    let tenant = Tenant::new(&stage, "acme").await;
    let watch = format!("--watch-namespaces={}", tenant.ns());
    let controller = stage.another_controller("controller", &[&watch]).await;
    let _runner = PodRunner::builder(stage.control_plane)
        .namespace(tenant.ns())
        .program("switchboard:test", program())
        .start()
        .await
        .unwrap();
    let plugin = Plugin::install();
    let run = async |args: &[&str]| {
        plugin
            .run(stage.control_plane, tenant.kubeconfig(), args)
            .await
    };

    // Without an integration, and without one of that name.
    let none = run(&["status"]).await;
    assert_eq!(none.code, Some(5), "{none:?}");
    assert!(none.stderr.contains(tenant.ns()), "{none:?}");
    tenant.link().await;
    let other = run(&["status", "other"]).await;
    assert_eq!(other.code, Some(5), "{other:?}");
    assert!(other.stderr.contains("no SalesforceIntegration \"other\""));

    // It works: the run's counts, the share of the org's requests, the CronJob.
    let ingest = tenant.directory("ingest").await;
    for (id, from) in [("1", ON_CONTACT), ("2", NOWHERE)] {
        let call = incoming_call(&tenant.company, id, from);
        ingest.ingest(&call).await.unwrap();
    }
    let asked = [
        "annotate",
        "sfi",
        LINK,
        "switchboard.dev/run-requested-at=now",
    ];
    tenant.kubectl(&asked, &Value::Null).await.expect_success();
    wait_for("the run to be told", SOON, async || {
        let told = tenant.show(LINK).await["status"]["lastRun"].clone();
        if told["calls"] == 2 {
            Ok(())
        } else {
            Err(told.to_string())
        }
    })
    .await;
    let well = run(&["status"]).await;
    assert_eq!(well.code, Some(0), "{well:?}");
    let shown = tenant.show(LINK).await;
    let id = shown["status"]["organization"]["id"].as_str().unwrap();
    for part in [
        &format!("{}/{LINK}: Ready\n", tenant.ns()),
        &format!("Acme ({id}), Enterprise Edition"),
        "Sync Succeeded, ended ",
        "calls 2, numbers 2, matched (contact 1, account 0, lead 0), unmatched 1, written 1",
        "Next run    ",
        "CronJob     link-sync at ",
        "Own share   ",
        "Whole org   ",
        "SoapLoginRetiring: ",
        "RunStarted (",
    ] {
        assert!(well.stdout.contains(part), "{part:?}:\n{}", well.stdout);
    }
    assert!(!well.stdout.contains("Left out"), "{}", well.stdout);

    // It does not: the first that fails, with the remedy that the controller wrote down.
    let mut secret = tenant.secret(&format!("{}-salesforce", tenant.company));
    secret["stringData"]["password"] = "not-the-password".into();
    tenant.apply(&secret).await.expect_success();
    let shown = tenant.until(LINK, "InvalidLogin").await;
    let error = &shown["status"]["errors"][0];
    let failed = run(&["status", LINK, "-n", tenant.ns()]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for part in [
        "not Ready (InvalidLogin); nothing changes until somebody acts",
        "First to put right: Connected is False since ",
        error["message"].as_str().unwrap(),
        &format!("What to do: {}", error["remedy"].as_str().unwrap()),
        "docs/reasons.md#invalidlogin",
        "Last errors, newest first\n  InvalidLogin, ",
    ] {
        assert!(failed.stdout.contains(part), "{part:?}:\n{}", failed.stdout);
    }
    let json = run(&["status", "-o", "json"]).await;
    assert_eq!(json.code, Some(1), "{json:?}");
    let (told, left_out) = only(&json);
    assert_eq!(left_out, json!([]));
    assert_eq!(
        (&told["state"], &told["failing"]["code"]),
        (&json!("NotReady"), &json!("InvalidLogin")),
        "{told}"
    );
    assert_eq!(told["failing"]["remedy"], error["remedy"], "{told}");
    assert_eq!(told["errors"], shown["status"]["errors"], "{told}");
    assert_eq!(told["lastRun"], shown["status"]["lastRun"], "{told}");

    let explained = run(&["explain", "INVALIDLOGIN"]).await.expect_success();
    assert!(explained.contains(error["remedy"].as_str().unwrap()));

    // A second integration: a table of both, and what fails.
    let mut second = tenant.integration("second", &format!("{}-2", tenant.company), "missing");
    second["spec"]["suspend"] = true.into();
    tenant.apply(&second).await.expect_success();
    tenant.until("second", "SecretNotFound").await;
    let both = run(&["status"]).await;
    assert_eq!(both.code, Some(1), "{both:?}");
    let lines: Vec<&str> = both.stdout.lines().take(3).collect();
    assert!(lines[0].starts_with("NAME "), "{both:?}");
    assert!(lines[1].starts_with("link ") && lines[1].contains("InvalidLogin"));
    assert!(lines[2].starts_with("second ") && lines[2].contains("SecretNotFound"));
    assert!(both.stdout.contains("2 of 2 are not Ready."), "{both:?}");
    assert!(both.stdout.contains("First to put right: Connected"));

    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    tenant.namespace.delete().await.unwrap();
    stage.clear().await;
}

/// The kubeconfig of an account that may do to integrations what `verbs` says, and nothing else.
async fn account(
    control_plane: &ControlPlane,
    namespace: &str,
    name: &str,
    verbs: &[&str],
) -> PathBuf {
    let mut items = vec![json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    })];
    if !verbs.is_empty() {
        items.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": [{"apiGroups": ["switchboard.dev"], "resources": ["salesforceintegrations"], "verbs": verbs}],
        }));
        items.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    control_plane
        .kubectl_apply(&list.to_string())
        .await
        .unwrap()
        .expect_success();
    control_plane
        .kubeconfig_for_service_account(namespace, name)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_and_extras_are_left_out() {
    let control_plane = bed::control_plane().await;
    let namespace = control_plane.namespace("status-rights").await.unwrap();
    let ns = namespace.name();
    control_plane
        .kubectl_apply(&bed::integration(ns, "acme").to_string())
        .await
        .unwrap()
        .expect_success();
    let plugin = Plugin::install();

    // Nobody has looked at it yet, and what may not be read is said.
    let reader = account(control_plane, ns, "reader", &["get", "list"]).await;
    let seen = plugin.run(control_plane, &reader, &["status"]).await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    for part in [
        "no controller has looked at it yet",
        &format!("Left out: you may not list events in the namespace \"{ns}\""),
        &format!("Left out: you may not list cronjobs.batch in the namespace \"{ns}\""),
    ] {
        assert!(seen.stdout.contains(part), "{part:?}:\n{}", seen.stdout);
    }
    let json = plugin
        .run(control_plane, &reader, &["status", "acme", "-o", "json"])
        .await;
    let (told, left_out) = only(&json);
    assert_eq!(told["state"], "NotSeen", "{told}");
    assert_eq!(
        (&told["events"], &told["cronJobs"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(left_out.as_array().unwrap().len(), 2, "{left_out}");

    // One integration needs no right to list.
    let getter = account(control_plane, ns, "getter", &["get"]).await;
    let seen = plugin
        .run(control_plane, &getter, &["status", "acme"])
        .await;
    assert_eq!(seen.code, Some(1), "{seen:?}");
    let nobody = account(control_plane, ns, "nobody", &[]).await;
    for (kubeconfig, args, verb, place) in [
        (
            &getter,
            &["status"][..],
            "list",
            format!("namespace \"{ns}\""),
        ),
        (
            &nobody,
            &["status", "acme"],
            "get",
            format!("namespace \"{ns}\""),
        ),
        (
            &reader,
            &["status", "-A"],
            "list",
            "all namespaces".to_owned(),
        ),
    ] {
        let refused = plugin.run(control_plane, kubeconfig, args).await;
        assert_eq!(refused.code, Some(5), "{refused:?}");
        let sentence = format!("you may not {verb} salesforceintegrations.switchboard.dev in ");
        for part in [
            &sentence,
            &place,
            "forbidden: User \"system:serviceaccount:",
        ] {
            assert!(refused.stderr.contains(part), "{part:?}: {refused:?}");
        }
    }

    // A token that the API server does not know.
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(&reader).unwrap()).unwrap();
    config["users"][0]["user"]["token"] = "marker-of-a-token".into();
    let stranger = plugin.folder.path().join("stranger.kubeconfig");
    std::fs::write(&stranger, config.to_string()).unwrap();
    let refused = plugin.run(control_plane, &stranger, &["status"]).await;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("does not know you"), "{refused:?}");
    assert!(!refused.stderr.contains("marker-of-a-token"), "{refused:?}");
    namespace.delete().await.unwrap();
}
