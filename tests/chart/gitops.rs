//! Tests of what Flux and Argo CD are given: the script and the expressions over recorded resources
//! (`tests/it/health.rs` records them), and the values of the examples.

use cel::{Context, Program};
use serde::Deserialize as _;
use serde_json::Value;
use switchboard_testbed::{argo_health, repository};

use crate::{chart, objects, objects_of, render_as_asked};

/// The recorded resources with the health that Argo CD is to give them.
fn recorded() -> Vec<(String, String, Value)> {
    let folder = std::fs::read_dir(repository().join("tests/chart/health")).unwrap();
    let mut found: Vec<_> = folder
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let (health, state) = name.split_once('-').unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let resource = serde_json::from_str(&text).unwrap();
            (health.to_owned(), state.to_owned(), resource)
        })
        .collect();
    found.sort_by(|one, other| one.1.cmp(&other.1));
    assert!(found.len() >= 8, "{}", found.len());
    found
}

fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join(file)).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn of_kind(file: &str, kind: &str) -> Value {
    let mut documents = documents(file).into_iter();
    documents.find(|document| document["kind"] == kind).unwrap()
}

#[tokio::test]
async fn argo_cd_s_script_gives_each_recorded_resource_its_health() {
    let script = chart().join("files/argocd-health.lua");
    for (health, state, resource) in recorded() {
        let (status, message) = argo_health(&script, &resource).await.unwrap();
        assert_eq!(status, health, "{state}: {message}");
    }
    // What a cluster without the controller, and without the CRD's default, may hold.
    for bare in [
        "{}",
        r#"{"conditions": []}"#,
        r#"{"observedGeneration": 1}"#,
    ] {
        let mut resource = recorded().remove(0).2;
        resource["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("deletionTimestamp");
        resource["status"] = serde_json::from_str(bare).unwrap();
        let (status, _) = argo_health(&script, &resource).await.unwrap();
        assert_eq!(status, "Progressing", "{bare}");
    }
}

#[test]
fn the_config_map_in_the_documents_has_the_script_as_the_chart_ships_it() {
    let page = std::fs::read_to_string(repository().join("docs/gitops.md")).unwrap();
    let blocks = page.split("\n```yaml\n").skip(1);
    let maps: Vec<Value> = blocks
        .map(|rest| {
            let block = rest.split_once("```").unwrap().0;
            serde_yaml::from_str(block).unwrap()
        })
        .filter(|object: &Value| object["kind"] == "ConfigMap")
        .collect();
    let [map] = maps.as_slice() else {
        panic!("{} ConfigMaps", maps.len());
    };
    assert_eq!(map["metadata"]["name"], "argocd-cm");
    let key = "resource.customizations.health.switchboard.dev_SalesforceIntegration";
    let script = std::fs::read_to_string(chart().join("files/argocd-health.lua")).unwrap();
    assert_eq!(map["data"][key], script);
}

#[test]
fn flux_s_expressions_read_each_recorded_resource() {
    let kustomization = of_kind("examples/flux/tenants.yaml", "Kustomization");
    let expressions = &kustomization["spec"]["healthCheckExprs"][0];
    assert_eq!(expressions["kind"], "SalesforceIntegration");
    for (health, state, resource) in recorded() {
        let holds = |name: &str| {
            let mut context = Context::default();
            for (field, value) in resource.as_object().unwrap() {
                context.add_variable(field.as_str(), value.clone()).unwrap();
            }
            let program = Program::compile(expressions[name].as_str().unwrap()).unwrap();
            matches!(program.execute(&context), Ok(cel::Value::Bool(true)))
        };
        let current = ["Healthy", "Suspended"].contains(&health.as_str());
        assert_eq!(holds("current"), current, "{state}");
        assert_eq!(holds("failed"), state == "stalled", "{state}");
    }
}

#[tokio::test]
async fn the_values_of_the_examples_are_values_of_the_chart() {
    let release = of_kind("examples/flux/switchboard.yaml", "HelmRelease");
    let application = of_kind("examples/argocd/application.yaml", "Application");
    for (example, values) in [
        ("flux", &release["spec"]["values"]),
        (
            "argocd",
            &application["spec"]["source"]["helm"]["valuesObject"],
        ),
    ] {
        assert!(values.is_object(), "{example}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), values.to_string()).unwrap();
        let values = ["--values", file.path().to_str().unwrap()];
        // Flux renders with a cluster, which this test has not.
        let objects = match example {
            "flux" => objects(&values).await,
            _ => objects_of(render_as_asked(&values).await),
        };
        let kinds = |kind: &str| {
            objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .count()
        };
        assert_eq!(kinds("ServiceMonitor"), 2, "{example}");
        // Four dashboards, and what is set for the pods of runs.
        assert_eq!(kinds("ConfigMap"), 5, "{example}");
        // Argo CD renders without a cluster, and keys that are made anew would lock everybody out.
        let made = objects
            .iter()
            .filter(|object| object["kind"] == "Secret")
            .count();
        assert_eq!(
            (made, kinds("PrometheusRule")),
            if example == "flux" { (1, 0) } else { (0, 1) }
        );
    }
}
