//! What is there beside the reader: Salesforce, another tenant, and what a cluster has already.

use salesforce_simulator::{ConnectedApp, Org, User, World};
use serde_json::{Value, json};

use super::operator::NAMESPACE;
use super::reader::WRONG;
use crate::bed;
use crate::world::{self, PASSWORD, TOKEN, USER};

/// The org of the documents with its app, and its sandbox.
pub(super) fn salesforce() -> World {
    let app = ConnectedApp::new("consumer", "app+secret").run_as(USER);
    let trial = User::integration("integration@acme.example.uat");
    let trial = trial.password(PASSWORD).token(TOKEN);
    World::new()
        .org(world::org().app(app))
        .org(Org::sandbox("Acme UAT").user(trial))
}

/// Another tenant, who has not noticed yet that the password is wrong, and the authorities and the
/// certificate that runbooks look at.
pub(super) fn wrong_tenant(login_url: &str, authority: &str) -> [Value; 5] {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": WRONG}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": format!("{WRONG}-salesforce"), "namespace": WRONG},
        "stringData": {"password": "not-the-password"},
    });
    let mut integration = bed::integration(WRONG, WRONG);
    integration["spec"]["salesforce"]["loginUrl"] = login_url.into();
    // What a runbook looks at.
    let bundle = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "gateway-ca", "namespace": NAMESPACE},
        "data": {"ca.crt": authority},
    });
    let certificate = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "switchboard-directory-tls", "namespace": NAMESPACE},
        "stringData": {"tls.crt": authority},
    });
    [namespace, secret, integration, bundle, certificate]
}

/// The Prometheus operator's kinds, and the namespaces of Argo CD and Prometheus.
pub(super) fn others_have() -> Vec<Value> {
    let namespace =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let kind = |kind: &str, plural: &str| {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{plural}.monitoring.coreos.com"),
                "annotations": {"api-approved.kubernetes.io": "unapproved, of a test"},
            },
            "spec": {
                "group": "monitoring.coreos.com", "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                }],
            },
        })
    };
    vec![
        namespace("argocd"),
        namespace("monitoring"),
        kind("ServiceMonitor", "servicemonitors"),
        kind("PrometheusRule", "prometheusrules"),
    ]
}
