//! Tests of the metrics: a real Prometheus reads what the real programs serve, and every expression
//! of the dashboards finds something in it. A series goes with its resource.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::Value;
use switchboard::shard::Shard;
use switchboard_testbed::{Prometheus, repository, wait_for};

use crate::stage::{HEALTH, SOON, Stage, listening};
use crate::world::{self, PASSWORD, TOKEN};

/// A tenant that runs and one that is refused, with series of each.
async fn fleet(prefix: &str) -> Stage {
    let mut stage = Stage::set(prefix, world::acme()).await;
    let flags = ["--metrics-per-integration"];
    stage.controller = Some(stage.another_controller("controller", &flags).await);
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.apply(&stage.secret("birch", "wrong", TOKEN)).await;
    stage.apply(&stage.integration("birch")).await;
    stage.ready("acme").await;
    stage
        .condition("birch", "Ready", "False", "InvalidLogin")
        .await;
    a_run(&stage, "first").await;
    stage
}

/// A call from a number with two records and one from a number of none, and their run.
async fn a_run(stage: &Stage, wish: &str) {
    let ingest = stage.directory("acme", "ingest").await;
    for (call, number) in [("two", world::ON_TWO), ("nowhere", world::NOWHERE)] {
        let id = format!("{call}-{wish}");
        let call = switchboard_testbed::incoming_call("acme", &id, number);
        ingest.ingest(&call).await.unwrap();
    }
    let run = stage.run_now("acme", wish).await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");
}

/// The expressions of a dashboard, and those that fill its variables.
fn expressions(dashboard: &Value) -> (Vec<String>, BTreeMap<String, String>) {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let asked = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queries = variables.filter(|variable| variable["type"] == "query");
    let filled = queries.map(|variable| {
        let name = variable["name"].as_str().unwrap().to_owned();
        (name, variable["query"].as_str().unwrap().to_owned())
    });
    (asked.collect(), filled.collect())
}

/// The series and the label of `label_values(SERIES, LABEL)`.
fn label_values(query: &str) -> (&str, &str) {
    let inner = query.strip_prefix("label_values(").unwrap();
    let (series, label) = inner.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
    (series, label)
}

/// The series that a text of rules asks for, each with any value of the labels that it selects by.
fn selectors(rules: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let parts = rules.match_indices("switchboard_").map(|(at, _)| {
        let rest = &rules[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap());
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels).split(',');
        let any = labels.filter_map(|label| label.split_once(['=', '!', '~']));
        let any: Vec<String> = any
            .map(|(label, _)| format!(r#"{}!="""#, label.trim()))
            .collect();
        format!("{name}{{{}}}", any.join(","))
    });
    let selectors: BTreeSet<String> = parts.collect();
    assert!(selectors.len() > 10, "{selectors:?}");
    selectors
}

#[tokio::test(flavor = "multi_thread")]
async fn every_expression_of_the_dashboards_and_alerts_finds_what_the_programs_serve() {
    let stage = fleet("dashboards").await;
    let controller = listening(stage.controller.as_ref().unwrap(), HEALTH).await;
    // Only where there are several shards do series tell of them. This one holds nobody.
    let mut shards = (0..2).map(|index| format!("{index}/2"));
    let holds = |shard: &String| shard.parse::<Shard>().unwrap().holds(stage.ns());
    let empty = shards.find(|shard| !holds(shard)).unwrap();
    let flag = format!("--shard={empty}");
    let of_shard = stage.another_controller("of-a-shard", &[&flag]).await;
    let of_shard = listening(&of_shard, HEALTH).await;
    let directory = stage.directory_url().strip_prefix("http://").unwrap();
    let jobs = [
        ("controller", controller.as_str()),
        ("controller-of-a-shard", of_shard.as_str()),
        ("directory", directory),
    ];
    let prometheus = Prometheus::start(&jobs).await.unwrap();
    let found = async |expression: &str| {
        wait_for(
            format!("{expression} to find something"),
            SOON,
            async || {
                let samples = prometheus.query(expression).await?;
                if samples.is_empty() {
                    return Err("nothing is found".to_owned());
                }
                Ok(samples)
            },
        )
        .await
    };
    found("switchboard_runs_total").await;
    // Rates need a change while Prometheus looks.
    a_run(&stage, "second").await;

    let organization = stage.get("acme").await["status"]["organization"]["id"].clone();
    let values = [
        ("$__rate_interval", "1m"),
        ("$organization", organization.as_str().unwrap()),
        ("$namespace", stage.ns()),
        ("$name", "acme"),
    ];
    let with_values = |text: &str| {
        let all = values.iter();
        all.fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    };
    let folder = repository().join("charts/switchboard/dashboards");
    let mut asked = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let (expressions, variables) = expressions(&serde_json::from_str(&text).unwrap());
        for (name, query) in &variables {
            let (series, label) = label_values(query);
            let samples = found(&with_values(series)).await;
            let value = with_values(&format!("${name}"));
            let offered = samples
                .iter()
                .any(|sample| sample["metric"][label] == value);
            assert!(offered, "{query}: {samples:?}");
        }
        for expression in expressions {
            let expression = with_values(&expression);
            assert!(!expression.contains('$'), "{expression}");
            found(&expression).await;
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked}");
    // What promtool is given in the tests of the alerts is served by this name, with these labels.
    let alerts = repository().join("charts/switchboard/files/alerts.yaml");
    let selectors = selectors(&std::fs::read_to_string(alerts).unwrap());
    // The directory here speaks plain HTTP; the test of its certificate's renewal reads the others.
    let tls = |selector: &&String| selector.starts_with("switchboard_directory_tls_");
    assert!(selectors.iter().any(|selector| tls(&selector)));
    for selector in selectors.iter().filter(|selector| !tls(selector)) {
        found(selector).await;
    }
    drop(prometheus);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_goes_with_its_resource_and_none_names_a_number_or_a_secret() {
    let stage = fleet("series").await;
    let text = stage.metrics().await;
    let acme = format!(r#"{{namespace="{}",name="acme""#, stage.ns());
    let birch = acme.replace("acme", "birch");
    for series in [
        format!("switchboard_integration_last_success_timestamp_seconds{acme}}}"),
        format!(r#"switchboard_integration_last_run_numbers{acme},result="none"}} 1"#),
        format!(r#"switchboard_integration_login_withheld{birch},reason="InvalidLogin"}} 1"#),
        r#"switchboard_runs_total{kind="Sync",outcome="Succeeded"} 1"#.into(),
        r#"switchboard_run_ambiguous_numbers_total{kind="Sync"}"#.into(),
        "switchboard_leader 1".into(),
        "switchboard_misses_waiting 0".into(),
    ] {
        assert!(text.contains(&series), "{series}: {text}");
    }
    for secret in [
        PASSWORD,
        TOKEN,
        "wrong",
        "0312340000",
        "312340000",
        "600000000",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let integration = stage.integrations().get("birch").await.unwrap();
    stage
        .integrations()
        .delete(&integration.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    wait_for("the series to be gone", SOON, async || {
        let text = stage.metrics().await;
        let left: Vec<&str> = text.lines().filter(|line| line.contains("birch")).collect();
        let withheld = text.contains("switchboard_logins_withheld{");
        match (left.is_empty(), withheld) {
            (true, false) => Ok(()),
            _ => Err(left.join("\n")),
        }
    })
    .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_by_says_so_and_tells_nothing_of_the_fleet() {
    let mut stage = Stage::set("standby", world::acme()).await;
    let lease = format!("--lease-namespace={}", stage.ns());
    let flags = ["--leader-elect", &lease];
    stage.controller = Some(stage.another_controller("first", &flags).await);
    wait_for("the first to lead", SOON, async || {
        match stage.metrics().await.contains("switchboard_leader 1") {
            true => Ok(()),
            false => Err("it stands by"),
        }
    })
    .await;
    let second = stage.another_controller("second", &flags).await;
    let first = stage.controller.replace(second);
    let text = stage.metrics().await;
    assert!(text.contains("switchboard_leader 0\n"), "{text}");
    assert!(text.contains("switchboard_build_info{version="), "{text}");
    assert!(!text.contains("switchboard_integrations"), "{text}");
    let ended = first.unwrap().terminate(Duration::from_secs(60)).await;
    assert_eq!(ended.unwrap(), 0);
    stage.end().await;
}
