//! Tests of clusters of IPv6, and of both families.

use serde_json::{Value, json};

use crate::{chart, objects, of_kind, text};

fn dual_stack() -> String {
    let values = chart().join("ci/dual-stack-values.yaml");
    format!("--values={}", text(&values))
}

fn arguments(objects: &[Value]) -> Vec<&str> {
    of_kind(objects, &["Deployment"])
        .flat_map(|deployment| {
            deployment
                .pointer("/spec/template/spec/containers/0/args")
                .and_then(Value::as_array)
                .unwrap()
        })
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn both_parts_listen_for_both_families() {
    let objects = objects(&[]).await;
    let listening = arguments(&objects)
        .into_iter()
        .filter(|argument| argument.starts_with("--listen="));
    assert_eq!(Vec::from_iter(listening), ["--listen=[::]:8080"; 2]);
}

#[tokio::test]
async fn the_service_has_the_families_that_it_is_told() {
    let service = async |flags: &[&str]| {
        let objects = objects(flags).await;
        of_kind(&objects, &["Service"]).next().unwrap()["spec"].clone()
    };
    let plain = service(&[]).await;
    assert!(plain.get("ipFamilyPolicy").is_none() && plain.get("ipFamilies").is_none());
    let both = service(&[
        "--set=directory.service.ipFamilyPolicy=RequireDualStack",
        "--set=directory.service.ipFamilies={IPv6,IPv4}",
    ])
    .await;
    assert_eq!(both["ipFamilyPolicy"], "RequireDualStack");
    assert_eq!(both["ipFamilies"], json!(["IPv6", "IPv4"]));
}

/// The colons of an address were once taken for the one before the port.
#[tokio::test]
async fn a_directory_at_an_ipv6_address_is_reached_by_controller_and_workers() {
    for (url, port) in [
        ("http://[fd00:10::20]:8088", 8088),
        ("http://[fd00:10::20]", 80),
        ("https://[fd00:10::20]", 443),
        ("http://directory.example:8088/", 8088),
        ("https://directory.example", 443),
    ] {
        let flag = format!("--set=directory.url={url}");
        let objects = objects(&[&dual_stack(), &flag]).await;
        assert!(
            arguments(&objects).contains(&format!("--directory-url={url}").as_str()),
            "{url}"
        );
        let policy = of_kind(&objects, &["NetworkPolicy"])
            .find(|policy| policy["metadata"]["name"] == "switchboard-worker")
            .unwrap();
        let egress = policy["spec"]["egress"].as_array().unwrap();
        assert_eq!(
            egress.last().unwrap()["ports"],
            json!([{"protocol": "TCP", "port": port}]),
            "{url}"
        );
    }
    let objects = objects(&[&dual_stack()]).await;
    let rendered = Value::from(objects).to_string();
    assert!(
        rendered.contains("127.0.0.1,::1,.svc,fd00:10::20"),
        "the directory is not behind the proxy"
    );
    assert!(rendered.contains("fd00:10::1/128"));
}
