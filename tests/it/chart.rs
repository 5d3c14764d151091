//! Tests of the chart on a real API server. Its objects match that server's own schema, and it
//! installs under the restricted pod-security standard. Data that a tenant would miss survives
//! upgrades, an uninstall and the next installation.

use std::path::Path;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use serde_json::{Value, json};
use switchboard_testbed::{CommandOutput, ControlPlane, Helm, Process, repository, wait_for};

use crate::leaders::{candidate, leads};
use crate::rights::template;
use crate::stage::{SOON, Stage, program};
use crate::{bed, world};

/// Kinds of the Prometheus operator and of cert-manager, which no test cluster has.
const FOREIGN: &str = "ServiceMonitor,PrometheusRule,Certificate";

/// Writes one JSON schema for each kind of the server, in the form that kubeconform needs; unknown
/// keys are refused.
fn write_schemas(openapi: &mut Value, folder: &Path) {
    let definitions = openapi["definitions"].as_object_mut().unwrap();
    for (name, definition) in definitions.iter_mut() {
        match name.rsplit('.').next().unwrap_or_default() {
            // Both are text or a number, which OpenAPI 2 cannot express.
            "IntOrString" | "Quantity" => *definition = json!({"type": ["string", "number"]}),
            _ if definition.get("properties").is_some() => {
                definition["additionalProperties"] = false.into();
            }
            _ => {}
        }
    }
    let all = folder.join("definitions.json");
    for (name, definition) in definitions.iter() {
        for kind in definition["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = |key: &str| kind[key].as_str().unwrap_or_default().to_lowercase();
            let group = text("group");
            let group = match group.split('.').next() {
                None | Some("") => String::new(),
                Some(first) => format!("{first}-"),
            };
            let file = format!("{}-{group}{}.json", text("kind"), text("version"));
            let schema = json!({"$ref": format!("file://{}#/definitions/{name}", all.display())});
            std::fs::write(folder.join(file), schema.to_string()).unwrap();
        }
    }
    std::fs::write(&all, openapi.to_string()).unwrap();
}

async fn kubeconform(folder: &Path, manifests: &str) -> (bool, String) {
    let file = folder.join("rendered.yaml");
    std::fs::write(&file, manifests).unwrap();
    let tool = Helm::ready().await.unwrap().tool("kubeconform");
    let output = tokio::process::Command::new(tool)
        .args(["-strict", "-summary", "-output=text"])
        .arg(format!("-skip={FOREIGN}"))
        .arg(format!(
            "-schema-location={}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
            folder.display()
        ))
        .arg(&file)
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The flags for each set of test values of the chart.
fn value_sets() -> Vec<String> {
    let folder = repository().join("charts/switchboard/ci");
    let files = std::fs::read_dir(folder).unwrap();
    let sets: Vec<String> = files
        .map(|file| format!("--values={}", file.unwrap().path().display()))
        .collect();
    assert!(sets.len() >= 4, "{sets:?}");
    sets
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rendered_is_of_the_api_server_s_own_schema() {
    let control_plane = bed::control_plane().await;
    let folder = tempfile::tempdir().unwrap();
    let openapi = control_plane
        .kubectl(["get", "--raw", "/openapi/v2"])
        .await
        .unwrap();
    let mut openapi = serde_json::from_str(&openapi.expect_success()).unwrap();
    write_schemas(&mut openapi, folder.path());
    for values in value_sets() {
        let rendered = template(&[&values]).await;
        let (valid, said) = kubeconform(folder.path(), &rendered).await;
        assert!(valid, "{values}: {said}");
    }
    // Proves that kubeconform reports an error.
    let rendered = template(&["--show-only=templates/controller.yaml"]).await;
    let wrong = rendered.replace("enableServiceLinks", "enableServiceLink");
    let (valid, said) = kubeconform(folder.path(), &wrong).await;
    assert!(!valid && said.contains("enableServiceLink"), "{said}");
}

/// A cluster without any trace of the product, and helm to install it.
struct Cluster {
    control_plane: ControlPlane,
    chart: String,
}

impl Cluster {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let cluster = Self {
            control_plane: ControlPlane::start().await.unwrap(),
            chart: repository()
                .join("charts/switchboard")
                .display()
                .to_string(),
        };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": "switchboard", "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }});
        cluster.apply(&namespace).await;
        cluster
    }

    async fn apply(&self, manifest: &Value) {
        let applied = self
            .control_plane
            .kubectl_apply(&manifest.to_string())
            .await;
        applied.unwrap().expect_success();
    }

    /// Runs `helm VERB switchboard …` in the namespace.
    async fn helm(&self, args: &[&str]) -> CommandOutput {
        let mut all = vec![args[0], "switchboard"];
        if args[0] != "uninstall" {
            all.push(&self.chart);
        }
        all.push("--namespace=switchboard");
        all.extend(&args[1..]);
        let helm = Helm::ready().await.unwrap();
        helm.run_with(self.control_plane.kubeconfig_path(), all)
            .await
            .unwrap()
    }

    /// Names of the objects of some kinds, as `kubectl get -o name` prints them.
    async fn names(&self, kinds: &str) -> Vec<String> {
        let args = ["get", kinds, "--namespace=switchboard", "-o", "name"];
        let names = self
            .control_plane
            .kubectl(args)
            .await
            .unwrap()
            .expect_success();
        names.lines().map(str::to_owned).collect()
    }

    async fn keys(&self) -> Secret {
        let secrets: Api<Secret> = Api::namespaced(self.control_plane.client(), "switchboard");
        let mut keys = secrets.get("switchboard-keys").await.unwrap();
        keys.metadata = Default::default();
        keys
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_integrations_and_data_survive_upgrade_uninstall_and_reinstall() {
    let cluster = Cluster::start().await;
    let installed = cluster.helm(&["install"]).await;
    assert!(
        !installed.stderr.contains("would violate PodSecurity"),
        "{}",
        installed.stderr
    );
    installed.expect_success();
    let pods: Api<Pod> = Api::namespaced(cluster.control_plane.client(), "switchboard");
    wait_for(
        "three pods that the namespace's standard lets in",
        SOON,
        async || {
            let found = pods
                .list(&Default::default())
                .await
                .map_err(|error| error.to_string())?;
            match found.items.len() {
                3 => Ok(()),
                other => Err(other.to_string()),
            }
        },
    )
    .await;
    let keys = cluster.keys().await;
    assert_eq!(keys.data.as_ref().unwrap().len(), 3);
    cluster
        .apply(&bed::integration("switchboard", "acme"))
        .await;

    cluster
        .helm(&[
            "upgrade",
            "--set=controller.replicas=1",
            "--set=worker.memory=64Mi",
        ])
        .await
        .expect_success();
    assert_eq!(
        cluster.keys().await,
        keys,
        "tokens that were given out stay good"
    );
    assert!(
        cluster.names("pdb").await.is_empty(),
        "nothing to protect where one replica is"
    );

    cluster
        .helm(&["uninstall", "--wait"])
        .await
        .expect_success();
    let mine = "deployments,services,pdb,networkpolicies,roles,rolebindings,clusterroles,clusterrolebindings";
    let mut left = cluster.names(mine).await;
    left.retain(|name| name.contains("switchboard"));
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        cluster.names("sfi,pvc,secrets").await,
        [
            "salesforceintegration.switchboard.dev/acme",
            "persistentvolumeclaim/switchboard-directory",
            "secret/switchboard-keys",
        ]
    );

    cluster.helm(&["install"]).await.expect_success();
    assert_eq!(cluster.keys().await, keys);
    assert_eq!(cluster.names("sfi").await.len(), 1);
    // An installation with its own keys creates no other keys.
    cluster
        .helm(&[
            "upgrade",
            "--set=keys.existingSecret=switchboard-own",
            "--set=rbac.aggregate=false",
        ])
        .await
        .expect_success();
    let args = [
        "get",
        "deployments",
        "--namespace=switchboard",
        "-o",
        "yaml",
    ];
    let deployments = cluster
        .control_plane
        .kubectl(args)
        .await
        .unwrap()
        .expect_success();
    assert_eq!(
        deployments.matches("secretName: switchboard-own").count(),
        2
    );
    assert_eq!(cluster.keys().await, keys, "what was made once is kept");
}

/// Other keys would void every token that was given out, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_gone_are_not_made_anew_unless_that_is_asked_for() {
    let cluster = Cluster::start().await;
    cluster.helm(&["install"]).await.expect_success();
    let keys = cluster.keys().await;
    let delete = [
        "delete",
        "secret",
        "switchboard-keys",
        "--namespace=switchboard",
    ];
    let deleted = cluster.control_plane.kubectl(delete).await.unwrap();
    deleted.expect_success();
    let upgrade = cluster.helm(&["upgrade"]).await;
    assert!(!upgrade.success());
    for part in [
        "the Secret switchboard-keys",
        "void every token",
        "keys.generate=true",
        "keys.existingSecret",
    ] {
        assert!(upgrade.stderr.contains(part), "{part}: {}", upgrade.stderr);
    }
    let asked = ["upgrade", "--set=keys.generate=true"];
    cluster.helm(&asked).await.expect_success();
    assert_ne!(cluster.keys().await, keys);
    let made = cluster.keys().await;
    cluster.helm(&asked).await.expect_success();
    assert_eq!(
        cluster.keys().await,
        made,
        "what is there is kept all the same"
    );
}

/// Whoever may install into one namespace only may read that namespace, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_of_one_namespace_sees_the_cluster_well_enough() {
    let cluster = Cluster::start().await;
    let crd = switchboard::api::crd::yaml().unwrap();
    let served = cluster.control_plane.kubectl_apply(&crd).await.unwrap();
    served.expect_success();
    for manifest in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "installer", "namespace": "switchboard"}}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "installer", "namespace": "switchboard"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "installer", "namespace": "switchboard"}],
        }),
    ] {
        cluster.apply(&manifest).await;
    }
    let installer = cluster
        .control_plane
        .kubeconfig_for_service_account("switchboard", "installer")
        .await
        .unwrap();
    let arguments = [
        "install",
        "switchboard",
        &cluster.chart,
        "--namespace=switchboard",
        "--dry-run=server",
        "--set=crds.install=false",
        "--set=rbac.aggregate=false",
        "--set=rbac.create=false",
        "--set=scope.namespaces={switchboard}",
    ];
    let helm = Helm::ready().await.unwrap();
    let tried = helm.run_with(&installer, arguments).await.unwrap();
    assert!(tried.success(), "{}", tried.stderr);
    assert!(tried.stdout.contains("name: switchboard-keys"));
}

/// The kind of cert-manager's that the chart can make, whatever is in it.
fn certificates() -> serde_json::Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "certificates.cert-manager.io"},
        "spec": {
            "group": "cert-manager.io",
            "names": {"kind": "Certificate", "plural": "certificates"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// Fields that a server defaulted and nobody owns can conflict with other values.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_may_change_any_value_and_change_it_back() {
    let cluster = Cluster::start().await;
    for name in ["acme", "birch", "trial"] {
        cluster
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .await;
    }
    cluster.apply(&certificates()).await;
    cluster.helm(&["install"]).await.expect_success();
    for values in value_sets() {
        // The test cluster has no Prometheus operator.
        let other = [
            "upgrade",
            "--reset-values",
            &values,
            "--set=metrics.serviceMonitor.enabled=false",
            "--set=metrics.prometheusRule.create=Auto",
        ];
        cluster.helm(&other).await.expect_success();
        cluster
            .helm(&["upgrade", "--reset-values"])
            .await
            .expect_success();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_missing_is_named_by_helm_too() {
    let cluster = Cluster::start().await;
    let output = cluster
        .helm(&["install", "--set=scope.namespaces={switchboard,absent}"])
        .await;
    assert!(!output.success());
    assert!(
        output.stderr.contains(r#"namespaces "absent" not found"#),
        "{}",
        output.stderr
    );
}

/// Runs `switchboard selftest` as the pod of `helm test` does. Returns the exit code and the
/// output.
async fn selftest(stage: &Stage, kubeconfig: &Path, timeout: &str) -> (i32, String) {
    let test = Process::builder("selftest", program())
        .arg("selftest")
        .arg(format!("--namespace={}", stage.ns()))
        .arg(format!("--lease-namespace={}", stage.ns()))
        .arg(format!("--directory-url={}", stage.directory_url()))
        .arg(format!("--timeout={timeout}"))
        .env("KUBECONFIG", kubeconfig.display())
        .start()
        .await
        .unwrap();
    let code = test.wait(SOON).await.unwrap();
    (code, test.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_self_test_finds_what_works_and_what_does_not_with_its_own_rights() {
    let stage = Stage::set("selftest", world::acme()).await;
    let manifests = template(&["--show-only=templates/tests/selftest.yaml"]).await;
    let rights: Vec<&str> = manifests
        .split("---\n")
        .filter(|document| !document.contains("\nkind: Pod\n"))
        .collect();
    let manifests = rights
        .join("---\n")
        .replace(crate::rights::NAMESPACE, stage.ns());
    let applied = stage.control_plane.kubectl_apply(&manifests).await;
    applied.unwrap().expect_success();
    let account = "switchboard-selftest";
    let control_plane = stage.control_plane;
    let kubeconfig = control_plane
        .kubeconfig_for_service_account(stage.ns(), account)
        .await
        .unwrap();

    // No controller leads, so nothing is reconciled.
    let (code, text) = selftest(&stage, &kubeconfig, "1s").await;
    assert_eq!(code, 1, "{text}");
    assert_eq!(text.matches("ok   ").count(), 2, "{text}");
    assert!(
        text.contains("FAIL the Lease") && text.contains("FAIL an integration was not judged"),
        "{text}"
    );

    let controller = candidate(&stage, "only").await;
    leads(&controller).await;
    let (code, text) = selftest(&stage, &kubeconfig, "30s").await;
    assert_eq!((code, text.matches("ok   ").count()), (0, 4), "{text}");
    for part in [
        "serves switchboard.dev/v1alpha1",
        "leads: only",
        "directory answers",
        "SecretNotFound",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let left = stage.kubectl(&["get", "sfi", "-o", "name"]).await;
    assert_eq!(left, "", "it takes away what it made");
    assert!(
        stage.simulator.counters().logins.is_empty(),
        "Salesforce hears nothing of it"
    );

    stage.directory.kill().await.unwrap();
    let (code, text) = selftest(&stage, &kubeconfig, "1s").await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("FAIL the directory at"), "{text}");
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.end().await;
}
