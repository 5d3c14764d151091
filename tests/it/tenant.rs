//! A user with edit rights in one namespace, who uses the product with only these rights.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use switchboard::directory;
use switchboard_testbed::{CommandOutput, Namespace, wait_for};

use crate::rights::serve_tenant_roles;
use crate::stage::{SOON, Stage, condition};
use crate::world::{PASSWORD, TOKEN, USER};

/// Name of both tenants' integrations: equal names in two namespaces are unrelated.
pub(crate) const LINK: &str = "link";

/// A namespace, and a user who may edit it. The rights are the cluster role `edit`, which includes
/// the chart's part.
pub(crate) struct Tenant<'a> {
    stage: &'a Stage,
    /// The tenant's namespace.
    pub namespace: Namespace,
    /// The company ID that the tenant connects.
    pub company: String,
    kubeconfig: PathBuf,
}

// === impl Tenant ===

impl<'a> Tenant<'a> {
    /// Creates a tenant with its own namespace, in which the operator works.
    pub(crate) async fn new(stage: &'a Stage, prefix: &str) -> Tenant<'a> {
        let control_plane = stage.control_plane;
        serve_tenant_roles(control_plane).await;
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
            // The company ID is unique to this test, because company IDs are unique in the cluster.
            company: format!("company-{}", ns.rsplit('-').next().unwrap_or_default()),
            kubeconfig,
            namespace,
        }
    }

    /// Name of its namespace.
    pub(crate) fn ns(&self) -> &str {
        self.namespace.name()
    }

    /// The kubeconfig of this tenant's user.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl with this tenant's rights.
    pub(crate) async fn kubectl(&self, args: &[&str], input: &Value) -> CommandOutput {
        let control_plane = self.stage.control_plane;
        control_plane
            .kubectl_with(&self.kubeconfig, args, &input.to_string())
            .await
            .unwrap()
    }

    /// Applies a manifest with this tenant's rights, in its own namespace.
    pub(crate) async fn apply(&self, manifest: &Value) -> CommandOutput {
        self.kubectl(&["apply", "-n", self.ns(), "-f", "-"], manifest)
            .await
    }

    /// A Secret with the credential of the user of `world::acme`.
    pub(crate) fn secret(&self, name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
               "stringData": {"password": PASSWORD, "securityToken": TOKEN}})
    }

    /// An integration of the world's org.
    pub(crate) fn integration(&self, name: &str, company: &str, secret: &str) -> Value {
        json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration", "metadata": {"name": name},
            "spec": {"companyId": company, "salesforce": {
                "loginUrl": self.stage.login_url(),
                "auth": {"password": {"username": USER, "secretRef": {"name": secret}}},
            }},
        })
    }

    /// Creates the tenant's integration and waits until it is ready.
    pub(crate) async fn link(&self) {
        let secret = format!("{}-salesforce", self.company);
        self.apply(&self.secret(&secret)).await.expect_success();
        let manifest = self.integration(LINK, &self.company, &secret);
        self.apply(&manifest).await.expect_success();
        self.until(LINK, "Ready").await;
    }

    /// Waits until the integration's Ready has this reason, read with the tenant's rights.
    pub(crate) async fn until(&self, name: &str, reason: &str) -> Value {
        wait_for(format!("{name} to be {reason}"), SOON, async || {
            let shown = self.show(name).await;
            let ready = condition(&shown, "Ready").cloned();
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

    /// Reads the integration with the tenant's rights.
    pub(crate) async fn show(&self, name: &str) -> Value {
        let args = ["get", "sfi", name, "-n", self.ns(), "-o", "json"];
        let shown = self.kubectl(&args, &Value::Null).await.expect_success();
        serde_json::from_str(&shown).unwrap()
    }

    /// All content of the tenant's namespace that the tenant can read.
    pub(crate) async fn sees(&self) -> String {
        let kinds = "sfi,events,cronjobs,jobs,pods,secrets,configmaps";
        let args = ["get", kinds, "-n", self.ns(), "-o", "yaml"];
        self.kubectl(&args, &Value::Null).await.expect_success()
    }

    /// A directory client with this tenant's own token.
    pub(crate) async fn directory(&self, purpose: &str) -> directory::Client {
        let secret = format!("{LINK}-directory");
        self.stage.directory_of(self.ns(), &secret, purpose).await
    }
}
