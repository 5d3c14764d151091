//! Tests of rights that the roles must not grant, for any values.

use serde_json::json;

use crate::{matrix, objects, of_kind, text};

#[tokio::test]
async fn with_named_namespaces_nothing_is_granted_for_the_cluster() {
    for flags in [
        vec![
            "--set",
            "scope.namespaces={acme,birch}",
            "--set",
            "rbac.aggregate=false",
        ],
        vec!["--set", "scope.namespaces={acme}"],
    ] {
        let objects = objects(&flags).await;
        assert_eq!(of_kind(&objects, &["ClusterRoleBinding"]).count(), 0);
        // The roles for tenants have no binding in the chart.
        for role in of_kind(&objects, &["ClusterRole"]) {
            let aggregated = role["metadata"]["labels"]
                .as_object()
                .unwrap()
                .keys()
                .any(|label| label.starts_with("rbac.authorization.k8s.io/aggregate-to-"));
            assert!(aggregated, "{role}");
        }
    }
}

#[tokio::test]
async fn no_rule_has_a_wildcard_and_tenants_never_write_a_status() {
    for (name, values) in matrix() {
        let objects = objects(&["--values", text(&values)]).await;
        for role in of_kind(&objects, &["Role", "ClusterRole"]) {
            for rule in role["rules"].as_array().unwrap() {
                assert!(!rule.to_string().contains('*'), "{name}: {role}");
                let aggregated = role["metadata"]["labels"]
                    .to_string()
                    .contains("aggregate-to-");
                if aggregated && rule["resources"] != json!(["salesforceintegrations"]) {
                    assert_eq!(rule["resources"], json!(["salesforceintegrations/status"]));
                    assert_eq!(rule["verbs"], json!(["get"]));
                }
            }
        }
    }
}

#[tokio::test]
async fn every_pod_is_restricted_and_only_who_needs_one_gets_a_token() {
    for (name, values) in matrix() {
        let objects = objects(&["--values", text(&values)]).await;
        let mut seen = 0;
        for object in of_kind(&objects, &["Deployment", "Pod"]) {
            let spec = object
                .pointer("/spec/template/spec")
                .unwrap_or(&object["spec"]);
            seen += 1;
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(
                spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            let container = &spec["containers"][0]["securityContext"];
            assert_eq!(container["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(container["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(container["capabilities"]["drop"][0], "ALL", "{name}");
            let directory =
                object["metadata"]["labels"]["app.kubernetes.io/component"] == "directory";
            assert_eq!(spec["automountServiceAccountToken"], !directory, "{name}");
        }
        let controllers = if name == "shards" { 3 } else { 1 };
        assert_eq!(seen, controllers + 2, "directory and the test's pod");
    }
}
