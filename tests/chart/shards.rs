//! Tests of several shards of the controller.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{objects, of_kind};

const COMPONENT: &str = "app.kubernetes.io/component";
const SHARD: &str = "switchboard.dev/shard";

async fn of(shards: u32) -> Vec<Value> {
    objects(&[&format!("--set=controller.shards={shards}")]).await
}

fn controllers(objects: &[Value]) -> Vec<&Value> {
    of_kind(objects, &["Deployment"])
        .filter(|one| one["metadata"]["labels"][COMPONENT] == "controller")
        .collect()
}

/// Whether a selector selects pods with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    wanted.iter().all(|(key, value)| labels[key] == *value)
}

#[tokio::test]
async fn each_shard_is_told_which_one_it_is_and_may_take_its_lease() {
    let objects = of(12).await;
    let controllers = controllers(&objects);
    let told: Vec<&str> = controllers
        .iter()
        .flat_map(|one| one["spec"]["template"]["spec"]["containers"][0]["args"].as_array())
        .flatten()
        .filter_map(|argument| argument.as_str()?.strip_prefix("--shard="))
        .collect();
    let wanted: Vec<String> = (0..12).map(|index| format!("{index}/12")).collect();
    assert_eq!(told, wanted);
    let leases: Vec<BTreeSet<&str>> = of_kind(&objects, &["Role"])
        .flat_map(|role| role["rules"].as_array().unwrap())
        .filter(|rule| rule["resources"] == json!(["leases"]))
        .filter_map(|rule| rule["resourceNames"].as_array())
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .collect();
    let named = (0..12).map(switchboard::controller::lease_of);
    let named: Vec<String> = named.collect();
    let named: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    assert_eq!(leases, [named.clone(), named], "controller and self-test");
    let test = of_kind(&objects, &["Pod"]).next().unwrap();
    let arguments = &test["spec"]["containers"][0]["args"];
    assert!(
        arguments
            .as_array()
            .unwrap()
            .contains(&json!("--shards=12"))
    );
}

#[tokio::test]
async fn no_two_shards_select_each_other_s_pods_and_what_is_for_all_selects_all() {
    let objects = of(3).await;
    let controllers = controllers(&objects);
    let labels = |one: &Value| one["spec"]["template"]["metadata"]["labels"].clone();
    for one in &controllers {
        let own = labels(one);
        let spec = &one["spec"]["template"]["spec"];
        for (index, spread) in spec["topologySpreadConstraints"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let selector = &spread["labelSelector"]["matchLabels"];
            assert!(selects(selector, &own), "{index}: {selector}");
            assert_eq!(selector[SHARD], own[SHARD]);
        }
        for other in &controllers {
            let selector = &one["spec"]["selector"]["matchLabels"];
            assert_eq!(
                selects(selector, &labels(other)),
                one == other,
                "{selector}"
            );
        }
    }
    let budgets: Vec<&Value> = of_kind(&objects, &["PodDisruptionBudget"])
        .filter(|one| one["metadata"]["labels"][COMPONENT] == "controller")
        .collect();
    assert_eq!(budgets.len(), 3);
    for one in &controllers {
        let of_it = budgets
            .iter()
            .filter(|budget| selects(&budget["spec"]["selector"]["matchLabels"], &labels(one)));
        assert_eq!(of_it.count(), 1);
    }
    let policy = of_kind(&objects, &["NetworkPolicy"])
        .find(|policy| policy["metadata"]["name"] == "switchboard-controller")
        .unwrap();
    let selector = &policy["spec"]["podSelector"]["matchLabels"];
    assert!(
        controllers
            .iter()
            .all(|one| selects(selector, &labels(one)))
    );
}

/// The selector of a Deployment cannot be changed, so another number of shards is other
/// Deployments.
#[tokio::test]
async fn a_shard_has_a_name_that_the_only_controller_never_has() {
    let names = |objects: &[Value]| -> BTreeSet<String> {
        let all = controllers(objects).into_iter();
        all.map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (one, two, three) = (
        names(&of(1).await),
        names(&of(2).await),
        names(&of(3).await),
    );
    assert_eq!(Vec::from_iter(&one), ["switchboard-controller"]);
    assert!(one.is_disjoint(&two));
    assert!(two.is_subset(&three) && three.len() == 3, "{three:?}");
}
