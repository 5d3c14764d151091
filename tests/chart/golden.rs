//! Compares the rendered chart with files that somebody can review.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use switchboard_testbed::Helm;

use crate::{MAKE_KEYS, chart, matrix, render, repository, same_as_file, text};

/// Removes keys, which are random when there is no cluster with existing ones.
fn without_random(rendered: &str) -> String {
    let mut lines: Vec<String> = rendered
        .lines()
        .map(
            |line| match line.split_once("-key: ").or(line.split_once("-keys: ")) {
                Some((_, value)) if value.len() >= 44 => {
                    let name = line.split(": ").next().unwrap_or_default();
                    format!("{name}: MADE-AT-RANDOM")
                }
                _ => line.to_owned(),
            },
        )
        .collect();
    lines.push(String::new());
    lines.join("\n")
}

/// Removes the CRD and the dashboards, which are reviewed in their own files and would only hide
/// other changes here.
fn without_files(rendered: &str) -> String {
    rendered
        .split("---\n")
        .map(|document| {
            if document.contains("\n    grafana_dashboard: ") {
                let metadata = document.split("\ndata:").next().unwrap_or_default();
                format!("{metadata}\ndata: AS-IN-DASHBOARDS\n")
            } else if document.contains("\nkind: CustomResourceDefinition\n") {
                let metadata = document.split("\nspec:").next().unwrap_or_default();
                format!("{metadata}\nspec: AS-IN-CRDS\n")
            } else {
                document.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("---\n")
}

#[tokio::test]
async fn each_set_of_values_renders_what_was_reviewed() {
    for (name, values) in matrix() {
        let rendered = render(&["--values", text(&values)]).await.expect_success();
        let golden = repository().join(format!("tests/chart/golden/{name}.yaml"));
        same_as_file(&golden, &without_random(&without_files(&rendered)));
    }
}

#[tokio::test]
async fn lint_has_nothing_to_say() {
    let helm = Helm::ready().await.unwrap();
    for (name, values) in matrix() {
        let chart = chart();
        let arguments = [
            "lint",
            "--strict",
            "--quiet",
            text(&chart),
            "--values",
            text(&values),
        ];
        let output = helm.run(arguments).await.unwrap();
        assert!(
            output.success(),
            "{name}: {}{}",
            output.stdout,
            output.stderr
        );
    }
}

#[tokio::test]
async fn the_crd_is_the_code_s_own_and_is_kept() {
    let rendered = render(&["--show-only", "templates/crd.yaml"])
        .await
        .expect_success();
    let mut rendered: CustomResourceDefinition = serde_yaml::from_str(&rendered).unwrap();
    let code: CustomResourceDefinition =
        serde_yaml::from_str(&switchboard::api::crd::yaml().unwrap()).unwrap();
    rendered.metadata.labels = None;
    let annotations = rendered.metadata.annotations.take().unwrap();
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    assert!(rendered == code, "run 'make crds'");
}

#[tokio::test]
async fn what_was_installed_says_what_to_do_next() {
    let helm = Helm::ready().await.unwrap();
    for (name, values) in matrix() {
        let chart = chart();
        let arguments = [
            "install",
            "switchboard",
            text(&chart),
            "--namespace=switchboard",
            "--dry-run=client",
            MAKE_KEYS,
            "--values",
            text(&values),
        ];
        let output = helm.run(arguments).await.unwrap().expect_success();
        let notes = output.split("NOTES:").nth(1).unwrap();
        assert!(
            notes.contains("helm test switchboard --namespace switchboard"),
            "{name}: {notes}"
        );
        assert!(
            notes.contains("kind: SalesforceIntegration"),
            "{name}: {notes}"
        );
        // The method that Salesforce keeps; passwords go with Summer '27.
        assert!(
            notes.contains("clientCredentials:") && !notes.contains("password"),
            "{name}: {notes}"
        );
    }
}
