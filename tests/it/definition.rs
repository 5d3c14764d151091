//! Tests of the CustomResourceDefinition on an API server that does not have it yet: no warning,
//! and the fields that one may select by.

use http::Request;
use kube::client::Body;
use serde_json::{Value, json};
use switchboard_testbed::{ControlPlane, repository, wait_for};

use crate::bed::{self, integration};
use crate::stage::{SOON, Stage, program};
use crate::world::{self, PASSWORD, TOKEN};

/// Creates an object, and returns the warnings of the API server.
async fn warnings(control_plane: &ControlPlane, path: &str, object: &Value) -> Vec<String> {
    let request = Request::post(format!("{path}?fieldValidation=Strict"))
        .header("Content-Type", "application/json")
        .body(Body::from(serde_json::to_vec(object).unwrap()))
        .unwrap();
    let response = control_plane.client().send(request).await.unwrap();
    let status = response.status();
    let told = response
        .headers()
        .get_all("Warning")
        .iter()
        .map(|warning| warning.to_str().unwrap().to_owned())
        .collect();
    let body = response.into_body().collect_bytes().await.unwrap();
    assert!(status.is_success(), "{status}: {body:?}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_definition_nor_an_integration_brings_a_warning() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let control_plane = ControlPlane::start().await.unwrap();
    // Before it is there, `status` says so.
    let status = std::process::Command::new(program())
        .arg("status")
        .env_clear()
        .env("KUBECONFIG", control_plane.kubeconfig_path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    assert_eq!(status.status.code(), Some(5), "{said}");
    assert!(said.contains("is Switchboard installed there?"), "{said}");

    let file = repository().join("crds/salesforceintegrations.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let definition: Value = serde_yaml::from_str(&text).unwrap();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut known_to_warn = definition.clone();
    known_to_warn["metadata"]["name"] = "salesforceintegrations.example.com".into();
    known_to_warn["spec"]["group"] = "example.com".into();
    known_to_warn["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        ["apiBudget"]["properties"]["dailyPercent"]["format"] = "uint32".into();
    let told = warnings(&control_plane, definitions, &known_to_warn).await;
    assert_eq!(told.len(), 1, "this API server warns: {told:?}");
    assert!(told[0].contains("unrecognized format"), "{told:?}");

    let told = warnings(&control_plane, definitions, &definition).await;
    assert_eq!(told, [""; 0]);
    // kubectl prints warnings to standard error. It replaces what was created without kubectl.
    let folder = repository().join("crds");
    let apply = ["replace", "-f", folder.to_str().unwrap()];
    let applied = control_plane.kubectl(apply).await.unwrap();
    assert_eq!((applied.code, applied.stderr.as_str()), (Some(0), ""));

    wait_for("the kind to be served", SOON, async || {
        let kinds = control_plane.kubectl(["get", "sfi"]).await.unwrap();
        if kinds.success() {
            Ok(())
        } else {
            Err(kinds.stderr)
        }
    })
    .await;
    let path = "/apis/switchboard.dev/v1alpha1/namespaces/default/salesforceintegrations";
    let told = warnings(&control_plane, path, &integration("default", "acme")).await;
    assert_eq!(told, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations_are_selected_by_company_and_by_org() {
    let stage = Stage::start("select", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    // Never linked, so it has no org.
    stage.apply(&stage.integration("birch")).await;
    let object = stage.ready("acme").await;
    let org = object["status"]["organization"]["id"].as_str().unwrap();
    stage
        .condition("birch", "Ready", "False", "SecretNotFound")
        .await;
    for (selector, wanted) in [
        ("spec.companyId=acme".to_owned(), "acme"),
        ("spec.companyId=birch".to_owned(), "birch"),
        ("spec.companyId=cedar".to_owned(), ""),
        (format!("status.organization.id={org}"), "acme"),
        (format!("status.organization.id!={org}"), "birch"),
        ("status.organization.id=".to_owned(), "birch"),
    ] {
        let flag = format!("--field-selector={selector}");
        let found = stage.kubectl(&["get", "sfi", &flag, "-o", "name"]).await;
        let name = found.trim().rsplit('/').next().unwrap_or_default();
        assert_eq!(name, wanted, "{selector}: {found}");
    }
    let control_plane = bed::control_plane().await;
    let other = "--field-selector=spec.suspend=true";
    let refused = control_plane.kubectl(["get", "sfi", other]).await.unwrap();
    assert!(
        refused.stderr.contains("not supported: spec.suspend"),
        "{refused:?}"
    );
    let selectable =
        json!([{"jsonPath": ".spec.companyId"}, {"jsonPath": ".status.organization.id"}]);
    let definition = control_plane
        .kubectl([
            "get",
            "crd/salesforceintegrations.switchboard.dev",
            "-o",
            "json",
        ])
        .await
        .unwrap()
        .expect_success();
    let definition: Value = serde_json::from_str(&definition).unwrap();
    assert_eq!(
        definition["spec"]["versions"][0]["selectableFields"],
        selectable
    );
    stage.end().await;
}
