//! Tests of the alerts with promtool: of the rules as the chart renders them, not as they stand in
//! the file. And of the pages that they name.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use switchboard_testbed::promtool;

use crate::{objects, of_kind, repository};

/// The sets of values with which the rule is rendered although no cluster knows its kind.
const ALWAYS: &[&str] = &["--set", "metrics.prometheusRule.create=Always"];

const RUNBOOKS: &str = "https://github.com/switchboard/switchboard/blob/main/docs/runbooks";

/// The kind, as a cluster with the Prometheus operator tells helm of it.
const KNOWN: &str = "--api-versions=monitoring.coreos.com/v1/PrometheusRule";

async fn spec(flags: &[&str]) -> Option<Value> {
    let objects = objects(flags).await;
    let mut rules = of_kind(&objects, &["PrometheusRule"]);
    rules.next().map(|rule| rule["spec"].clone())
}

fn alerts(spec: &Value) -> Vec<&Value> {
    let groups = spec["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect()
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_else_does_not() {
    let spec = spec(ALWAYS).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alerts.yaml"), spec.to_string()).unwrap();
    let tests = repository().join("tests/chart/alerts/tests.yaml");
    std::fs::copy(&tests, folder.path().join("tests.yaml")).unwrap();
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "tests.yaml"],
    ] {
        let output = promtool(folder.path(), &arguments).await.unwrap();
        assert!(output.success(), "{}{}", output.stdout, output.stderr);
    }
    // Each has a moment at which it fires, and one at which it does not.
    let tests: Value = serde_yaml::from_str(&std::fs::read_to_string(tests).unwrap()).unwrap();
    let moments: Vec<&Value> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .collect();
    for alert in alerts(&spec) {
        for fires in [true, false] {
            let tested = moments.iter().any(|moment| {
                let quiet = moment["exp_alerts"].as_array().unwrap().is_empty();
                moment["alertname"] == alert["alert"] && quiet != fires
            });
            assert!(
                tested,
                "{}: no test in which it fires: {fires}",
                alert["alert"]
            );
        }
    }
}

#[tokio::test]
async fn an_alert_that_does_not_fire_any_more_would_be_noticed() {
    let spec = spec(ALWAYS).await.unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("alerts.yaml"),
        spec.replace("> 900", "> 90000"),
    )
    .unwrap();
    let tests = repository().join("tests/chart/alerts/tests.yaml");
    std::fs::copy(&tests, folder.path().join("tests.yaml")).unwrap();
    let output = promtool(folder.path(), &["test", "rules", "tests.yaml"])
        .await
        .unwrap();
    assert!(!output.success(), "{}", output.stdout);
}

#[tokio::test]
async fn every_alert_says_how_bad_it_is_and_leads_to_its_own_page() {
    let spec = spec(ALWAYS).await.unwrap();
    let operations = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let mut named = BTreeSet::new();
    for alert in alerts(&spec) {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["warning", "critical"].contains(&severity), "{name}");
        for text in ["summary", "description"] {
            assert!(alert["annotations"][text].is_string(), "{name}: {text}");
        }
        let page = format!("{RUNBOOKS}/{name}.md");
        assert_eq!(alert["annotations"]["runbook_url"], page, "{name}");
        let row = format!("| [{name}](runbooks/{name}.md) | {severity}");
        let told = operations.contains(&row)
            || operations.contains(&format!("{name}.md) | warning, critical"));
        assert!(told, "docs/operations.md has no row {row}");
        named.insert(format!("{name}.md"));
    }
    let pages: BTreeSet<String> = std::fs::read_dir(repository().join("docs/runbooks"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .filter(|page| page != "README.md")
        .collect();
    assert_eq!(
        named, pages,
        "every alert has a page and every page an alert"
    );
}

#[tokio::test]
async fn pages_of_one_s_own_are_named_instead() {
    let own = [
        ALWAYS,
        &[
            "--set",
            "metrics.prometheusRule.runbookUrl=https://wiki.example/sb/",
        ],
    ];
    let spec = spec(&own.concat()).await.unwrap();
    for alert in alerts(&spec) {
        let name = alert["alert"].as_str().unwrap();
        let page = format!("https://wiki.example/sb/{name}.md");
        assert_eq!(alert["annotations"]["runbook_url"], page);
    }
}

#[tokio::test]
async fn the_rule_comes_where_it_is_known_and_the_metrics_are_scraped() {
    const SCRAPED: &str = "metrics.scrapeAnnotations=true";
    const LET_IN: &str = "networkPolicy.metricsFrom={monitoring}";
    for (flags, comes) in [
        (vec![], false),
        (vec![KNOWN], false),
        (vec![KNOWN, "--set", SCRAPED], false),
        (vec!["--set", SCRAPED, "--set", LET_IN], false),
        (vec![KNOWN, "--set", SCRAPED, "--set", LET_IN], true),
        (
            vec![
                KNOWN,
                "--set",
                SCRAPED,
                "--set",
                "networkPolicy.enabled=false",
            ],
            true,
        ),
        (
            vec![
                KNOWN,
                "--set",
                SCRAPED,
                "--set",
                LET_IN,
                "--set",
                "metrics.prometheusRule.create=Never",
            ],
            false,
        ),
    ] {
        assert_eq!(spec(&flags).await.is_some(), comes, "{flags:?}");
    }
}

#[tokio::test]
async fn every_dashboard_comes_as_it_stands_in_its_file() {
    let objects = objects(&["--set", "metrics.dashboards.enabled=true"]).await;
    let mut found = BTreeSet::new();
    for map in of_kind(&objects, &["ConfigMap"]) {
        if map["metadata"]["labels"]["grafana_dashboard"] != "1" {
            continue;
        }
        for (file, text) in map["data"].as_object().unwrap() {
            let file = file.strip_prefix("switchboard-").unwrap();
            let path = Path::new("charts/switchboard/dashboards").join(file);
            let written = std::fs::read_to_string(repository().join(path)).unwrap();
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(read(text.as_str().unwrap()), read(&written), "{file}");
            found.insert(file.to_owned());
        }
    }
    let wanted = [
        "directory.json",
        "fleet.json",
        "integration.json",
        "org.json",
    ];
    assert_eq!(Vec::from_iter(found), wanted);
}
