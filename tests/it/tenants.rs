//! Tenants are strangers to each other: what one may do with the chart's roles in its own namespace gets it nothing of another's Secret,
//! status, contacts or tokens, whichever part of the product it asks.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use switchboard::directory::model::{CallsQuery, ClaimRequest};
use switchboard_testbed::{CommandOutput, Namespace, Process, wait_for};

use crate::calls::incoming;
use crate::rights::serve_tenant_roles;
use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN, USER};

/// Both tenants call their integration so: equal names in two namespaces are no relation.
const LINK: &str = "link";

/// A namespace, and somebody who may edit it, as the cluster role `edit` says with the chart's part in it.
struct Tenant<'a> {
    stage: &'a Stage,
    namespace: Namespace,
    company: String,
    kubeconfig: PathBuf,
}

// === impl Tenant ===

impl<'a> Tenant<'a> {
    async fn new(stage: &'a Stage, prefix: &str) -> Tenant<'a> {
        let control_plane = stage.control_plane;
        let namespace = control_plane.namespace(prefix).await.unwrap();
        let ns = namespace.name();
        stage.rights().reach_into(control_plane, ns).await;
        stage
            .apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "editor", "namespace": ns}},
                {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "editor", "namespace": ns},
                 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
                 "subjects": [{"kind": "ServiceAccount", "name": "editor", "namespace": ns}]},
            ]}))
            .await;
        let kubeconfig = control_plane
            .kubeconfig_for_service_account(ns, "editor")
            .await
            .unwrap();
        Tenant {
            stage,
            // Its own, and no other test's: company IDs are one for the cluster.
            company: format!("company-{}", ns.rsplit('-').next().unwrap_or_default()),
            kubeconfig,
            namespace,
        }
    }

    fn ns(&self) -> &str {
        self.namespace.name()
    }

    /// Runs kubectl as this tenant.
    async fn kubectl(&self, args: &[&str], input: &Value) -> CommandOutput {
        let control_plane = self.stage.control_plane;
        control_plane
            .kubectl_with(&self.kubeconfig, args, &input.to_string())
            .await
            .unwrap()
    }

    /// Applies a manifest as this tenant, in its own namespace.
    async fn apply(&self, manifest: &Value) -> CommandOutput {
        self.kubectl(&["apply", "-n", self.ns(), "-f", "-"], manifest)
            .await
    }

    fn secret(&self, name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
               "stringData": {"password": PASSWORD, "securityToken": TOKEN}})
    }

    fn integration(&self, name: &str, company: &str, secret: &str) -> Value {
        json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration", "metadata": {"name": name},
            "spec": {"companyId": company, "salesforce": {
                "loginUrl": self.stage.login_url(),
                "auth": {"password": {"username": USER, "secretRef": {"name": secret}}},
            }},
        })
    }

    /// Links itself, and waits until it is ready.
    async fn link(&self) {
        let secret = format!("{}-salesforce", self.company);
        self.apply(&self.secret(&secret)).await.expect_success();
        let manifest = self.integration(LINK, &self.company, &secret);
        self.apply(&manifest).await.expect_success();
        self.until(LINK, "Ready").await;
    }

    /// Waits, with its own rights, until the integration's Ready has that reason.
    async fn until(&self, name: &str, reason: &str) -> Value {
        wait_for(format!("{name} to be {reason}"), SOON, async || {
            let shown = self.show(name).await;
            let ready = crate::stage::condition(&shown, "Ready").cloned();
            if ready
                .as_ref()
                .is_some_and(|ready| ready["reason"] == reason)
            {
                Ok(shown)
            } else {
                Err(format!("{ready:?}"))
            }
        })
        .await
    }

    async fn show(&self, name: &str) -> Value {
        let args = ["get", "sfi", name, "-n", self.ns(), "-o", "json"];
        let shown = self.kubectl(&args, &Value::Null).await.expect_success();
        serde_json::from_str(&shown).unwrap()
    }

    /// Everything that this tenant may see of its own namespace.
    async fn sees(&self) -> String {
        let kinds = "sfi,events,cronjobs,jobs,pods,secrets,configmaps";
        let args = ["get", kinds, "-n", self.ns(), "-o", "yaml"];
        self.kubectl(&args, &Value::Null).await.expect_success()
    }

    /// The directory with this tenant's own token.
    async fn directory(&self, purpose: &str) -> switchboard::directory::Client {
        let secret = format!("{LINK}-directory");
        self.stage.directory_of(self.ns(), &secret, purpose).await
    }
}

/// Two linked tenants and the operator in a third namespace.
async fn tenants(stage: &Stage) -> (Tenant<'_>, Tenant<'_>, Process) {
    serve_tenant_roles(stage.control_plane).await;
    let acme = Tenant::new(stage, "acme").await;
    let eve = Tenant::new(stage, "eve").await;
    let namespaces = format!("--watch-namespaces={},{}", acme.ns(), eve.ns());
    let controller = stage.another_controller("controller", &[&namespaces]).await;
    acme.link().await;
    eve.link().await;
    (acme, eve, controller)
}

async fn end(stage: &Stage, tenants: [Tenant<'_>; 2], controller: Process) {
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.rights().nothing_was_refused(stage.control_plane);
    for tenant in tenants {
        tenant.namespace.delete().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_shows_a_tenant_its_own_and_nothing_of_others() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let there = format!("--namespace={}", acme.ns());
    let secret = format!("secret/{}-salesforce", acme.company);
    let tokens = format!("secret/{LINK}-directory");
    let link = format!("sfi/{LINK}");
    let reads: &[&[&str]] = &[
        &["get", &secret, &there],
        &["get", &tokens, &there],
        &["get", "secrets", &there],
        &["get", &link, &there],
        &["get", &link, &there, "--subresource=status"],
        &["get", "sfi", &there],
        &["describe", &link, &there],
        &["get", "events", &there],
        &["get", "cronjobs,jobs,pods", &there],
        &[
            "annotate",
            &link,
            &there,
            "switchboard.dev/test-requested-at=now",
        ],
        &["label", &link, &there, "example.com/mine=yes"],
    ];
    for args in reads {
        acme.kubectl(args, &Value::Null).await.expect_success();
        refused(&eve, args).await;
    }
    let operator = format!("--namespace={}", stage.ns());
    let controller_account = format!(
        "--as=system:serviceaccount:{}:switchboard-controller",
        stage.ns()
    );
    for args in [
        &["get", "sfi", "--all-namespaces"][..],
        &["get", "secrets", "--all-namespaces"],
        &[
            "get",
            "sfi",
            "--all-namespaces",
            "--watch-only",
            "--request-timeout=5s",
        ],
        &["get", "secrets", &operator],
        &["get", "configmaps", &operator],
        &["get", "leases", &operator],
        &["get", "pods", &operator],
        &["create", "token", "switchboard-controller", &operator],
        &["create", "token", "editor", &there],
        &["get", &secret, &there, &controller_account],
        &["delete", &link, &there],
        &["create", "secret", "generic", "planted", &there],
        &[
            "create",
            "rolebinding",
            "mine",
            &there,
            "--clusterrole=edit",
            "--serviceaccount=a:b",
        ],
    ] {
        refused(&eve, args).await;
    }
    // Nobody but the controller writes a status, one's own included.
    let forged = r#"{"status":{"observedGeneration":99}}"#;
    let own = format!("--namespace={}", eve.ns());
    refused(
        &eve,
        &[
            "patch",
            &link,
            &own,
            "--subresource=status",
            "--type=merge",
            "-p",
            forged,
        ],
    )
    .await;

    let seen = eve.sees().await;
    for foreign in [acme.ns(), acme.company.as_str(), stage.ns()] {
        assert!(
            !seen.contains(foreign),
            "{foreign} is in what eve sees:\n{seen}"
        );
    }
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

async fn refused(tenant: &Tenant<'_>, args: &[&str]) {
    let output = tenant.kubectl(args, &Value::Null).await;
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!output.success(), "{args:?} was let through: {said}");
    assert!(
        said.contains("forbidden") || said.contains("Forbidden"),
        "{args:?}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_cannot_name_another_tenant_s_secret_or_company() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let theirs = format!("{}-salesforce", acme.company);

    // The Secret: by its name it is looked for at home, and there is no way to say another namespace.
    let company = |name: &str| format!("{}-{name}", eve.company);
    eve.apply(&eve.integration("named", &company("named"), &theirs))
        .await
        .expect_success();
    eve.until("named", "SecretNotFound").await;
    let mut afar = eve.integration("afar", &company("afar"), &theirs);
    afar["spec"]["salesforce"]["auth"]["password"]["secretRef"]["namespace"] = acme.ns().into();
    let output = eve.apply(&afar).await;
    assert!(
        !output.success() && output.stderr.contains("secretRef.namespace"),
        "{output:?}"
    );
    let lenient = ["apply", "--validate=false", "-n", eve.ns(), "-f", "-"];
    eve.kubectl(&lenient, &afar).await.expect_success();
    eve.until("afar", "SecretNotFound").await;
    for path in [
        format!("{}/{theirs}", acme.ns()),
        format!("../{}/{theirs}", acme.ns()),
    ] {
        let output = eve
            .apply(&eve.integration("path", &company("path"), &path))
            .await;
        assert!(
            !output.success() && output.stderr.contains("secretRef"),
            "{output:?}"
        );
    }

    // The company: the older claim holds it, and what is told of it names nobody.
    let own_secret = format!("{}-salesforce", eve.company);
    eve.apply(&eve.integration("claim", &acme.company, &own_secret))
        .await
        .expect_success();
    let claim = eve.until("claim", "CompanyIdTaken").await;
    let said = claim["status"].to_string();
    assert!(!said.contains(acme.ns()), "{said}");
    let moved = json!({"spec": {"companyId": acme.company}}).to_string();
    let args = [
        "patch",
        "sfi",
        LINK,
        "-n",
        eve.ns(),
        "--type=merge",
        "-p",
        &moved,
    ];
    let output = eve.kubectl(&args, &Value::Null).await;
    assert!(
        !output.success() && output.stderr.contains("companyId"),
        "{output:?}"
    );
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), eve.ns());
    let tokens = secrets.get_opt("claim-directory").await.unwrap();
    assert!(tokens.is_none(), "{tokens:?}");
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_gives_a_tenant_s_token_nothing_of_another() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let call = incoming(&acme.company, "1", world::ON_CONTACT);
    acme.directory("ingest").await.ingest(&call).await.unwrap();
    let by_hand = serde_json::from_value(json!({"companyName": "Acme's customer"})).unwrap();
    let admin = acme.directory("admin").await;
    admin
        .put_contact(world::ON_CONTACT, &by_hand)
        .await
        .unwrap();
    let shown = |contact: Option<switchboard::directory::model::Contact>| {
        contact.and_then(|contact| contact.company_name)
    };

    let lookup = eve.directory("lookup").await;
    assert_eq!(
        shown(lookup.contact(world::ON_CONTACT).await.unwrap()),
        None
    );
    assert!(
        lookup
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls
            .is_empty()
    );
    let all: ClaimRequest = serde_json::from_value(json!({"holder": "eve"})).unwrap();
    let claimed = eve.directory("worker").await.claim(&all).await.unwrap();
    assert!(
        serde_json::to_value(&claimed).unwrap()["calls"]
            .as_array()
            .unwrap()
            .is_empty(),
        "{claimed:?}"
    );
    let told = eve.directory("ingest").await.ingest(&call).await;
    assert!(told.unwrap_err().to_string().contains("tenant_code"));
    let by_eve = serde_json::from_value(json!({"companyName": "Eve's customer"})).unwrap();
    let admin = eve.directory("admin").await;
    admin.put_contact(world::ON_CONTACT, &by_eve).await.unwrap();

    // And acme still has what it had.
    let lookup = acme.directory("lookup").await;
    let contact = lookup.contact(world::ON_CONTACT).await.unwrap();
    assert_eq!(shown(contact).as_deref(), Some("Acme's customer"));
    assert_eq!(
        lookup
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls
            .len(),
        1
    );
    let claimed = acme.directory("worker").await.claim(&all).await.unwrap();
    assert_eq!(
        serde_json::to_value(&claimed).unwrap()["calls"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_look_like_another_tenant_s_change_nothing_for_it() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let before = acme.show(LINK).await["status"].clone();
    let labels = json!({
        "app.kubernetes.io/managed-by": "switchboard", "app.kubernetes.io/name": "switchboard",
        "switchboard.dev/integration": LINK, "switchboard.dev/run": "sync",
    });
    // Refused or not, a Job that says it was a run of acme's, and a Secret that says it is acme's tokens.
    let pod = json!({"metadata": {"labels": labels}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "worker", "image": "switchboard:forged"}],
    }});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "forged", "labels": labels},
                     "spec": {"template": pod, "backoffLimit": 0}});
    eve.apply(&job).await;
    let other = "other-directory";
    let mut secret = eve.secret(other);
    secret["metadata"]["labels"] = labels;
    secret["metadata"]["annotations"] = json!({"switchboard.dev/tokens-version": "0"});
    eve.apply(&secret).await.expect_success();
    eve.kubectl(
        &[
            "annotate",
            "sfi",
            LINK,
            "-n",
            eve.ns(),
            "switchboard.dev/run-requested-at=now",
        ],
        &Value::Null,
    )
    .await
    .expect_success();
    wait_for("eve's wish to be handled", SOON, async || {
        let shown = eve.show(LINK).await;
        if shown["status"]["lastHandledRunAt"] == "now" {
            Ok(())
        } else {
            Err(shown["status"].to_string())
        }
    })
    .await;
    assert_eq!(acme.show(LINK).await["status"], before);
    let kept: Secret = Api::namespaced(stage.client.clone(), eve.ns())
        .get(other)
        .await
        .unwrap();
    let mut keys: Vec<String> = kept.data.unwrap_or_default().into_keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        ["password", "securityToken"],
        "nothing was put into it"
    );
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}
