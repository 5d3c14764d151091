//! What the platform team and tenants may set for pods.

use super::*;
use crate::api::{RunResources, TolerationOperator};

fn rules(text: &str) -> PodRules {
    PodRules::read(text, "128Mi").unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_a_cluster_needs_can_be_said_and_nothing_need_be() {
    assert_eq!(rules(""), PodRules::default());
    let all = rules(
        "podTemplate:
  labels: {cost-center: '4711'}
  annotations: {sidecar.istio.io/inject: 'false'}
  imagePullSecrets: [registry]
  serviceAccountName: workers
  nodeSelector: {kubernetes.io/arch: arm64}
  tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}}}
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
  priorityClassName: low
  runtimeClassName: gvisor
  resources: {requests: {cpu: 0.02}, limits: {cpu: 1, ephemeral-storage: 1Gi}}
tenantsMay:
  labels: [cost-center, example.com/*]
  resources: {cpu: 2, memory: 1Gi}
",
    );
    let cpu = &all.pod_template.resources.limits["cpu"];
    assert_eq!(cpu, &Amount("1".into()));
    assert!(all.pod_template.affinity.is_some());
}

#[test]
fn a_wrong_field_is_named_with_what_to_do() {
    for (text, said) in [
        (
            "podTemplate: {nodeSelektor: {a: b}}",
            "podTemplate.nodeSelektor: there is no such field",
        ),
        (
            "podTemplate: {tolerations: [{key: a, efect: NoSchedule}]}",
            "podTemplate.tolerations.efect: there is no such field",
        ),
        (
            "podTemplate: {hostNetwork: true}",
            "podTemplate.hostNetwork: there is no such field",
        ),
        (
            "podTemplate: {volumes: [{name: a}]}",
            "podTemplate.volumes: there is no such field",
        ),
        (
            "podTemplate: {tolerations: [{key: a, effect: Never}]}",
            "effect \"Never\"",
        ),
        (
            "podTemplate: {tolerations: [{operator: Equal}]}",
            "without a key",
        ),
        (
            "podTemplate: {labels: {a b: c}}",
            "podTemplate.labels: \"a b\" is no key",
        ),
        (
            "podTemplate: {labels: {a: b c}}",
            "podTemplate.labels: \"b c\" is no value",
        ),
        (
            "podTemplate: {labels: {switchboard.dev/run: sync}}",
            "set by the operator itself",
        ),
        (
            "podTemplate: {labels: {app.kubernetes.io/managed-by: me}}",
            "set by the operator itself",
        ),
        (
            "podTemplate: {imagePullSecrets: [Registry]}",
            "podTemplate.imagePullSecrets: \"Registry\"",
        ),
        (
            "podTemplate: {imagePullSecrets: [{secret: a}]}",
            "as in [registry] or [{name: registry}]",
        ),
        (
            "podTemplate: {resources: {limits: {cpu: lots}}}",
            "podTemplate.resources.limits.cpu: \"lots\" is no amount",
        ),
        (
            "podTemplate: {resources: {limits: {memory: 16Mi}}}",
            "podTemplate.resources.limits.memory: 16Mi is less than the 32Mi",
        ),
        (
            "podTemplate: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: Never}]}",
            "whenUnsatisfiable DoNotSchedule or ScheduleAnyway",
        ),
        (
            "tenantsMay: {resources: {gpu: 1}}",
            "tenantsMay.resources.gpu",
        ),
        (
            "tenantsMay: {image: [a]}",
            "tenantsMay.image: there is no such field",
        ),
        ("{", "not YAML"),
        ("[]", "must be a map"),
    ] {
        let error = PodRules::read(text, "128Mi").unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn secrets_for_the_registry_are_named_alone_or_as_kubernetes_does() {
    let read = |names: &str| {
        let text = format!("podTemplate: {{imagePullSecrets: {names}}}");
        let rules = PodRules::read(&text, "128Mi").unwrap();
        rules.pod_template.image_pull_secrets
    };
    assert_eq!(read("[a, {name: b}]"), ["a", "b"]);
    assert_eq!(read("[]"), Vec::<String>::new());
}

fn tenant(change: impl FnOnce(&mut RunSpec), may: &str) -> Result<(), String> {
    let mut run = RunSpec::default();
    change(&mut run);
    let rules = rules(&format!(
        "podTemplate: {{labels: {{team: all}}, annotations: {{opt.example/out: 'true'}}, nodeSelector: {{pool: workers}}}}\ntenantsMay: {may}"
    ));
    check(&run, &rules.pod_template, &rules.tenants_may, "128Mi").map_err(|e| e.to_string())
}

#[test]
fn tenants_set_what_they_may_and_nothing_else() {
    let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let label = |key: &str, may: &str| {
        let label = pair(key, "x");
        tenant(|run| run.labels = label, may)
    };
    label("cost", "{labels: [cost]}").unwrap();
    label("a.example/b", "{labels: ['a.example/*']}").unwrap();
    for (key, may, said) in [
        ("cost", "{}", "lets no tenant set it"),
        ("cost", "{labels: [other]}", "only other"),
        (
            "team",
            "{labels: ['*']}",
            "set by the platform team for all",
        ),
        (
            "switchboard.dev/run",
            "{labels: ['*']}",
            "belongs to Kubernetes or to the operator",
        ),
        (
            "sub.switchboard.dev/run",
            "{labels: ['*']}",
            "belongs to Kubernetes",
        ),
        (
            "app.kubernetes.io/name",
            "{labels: ['*']}",
            "belongs to Kubernetes",
        ),
        (
            "b.a.example/b",
            "{labels: ['a.example/*']}",
            "only a.example/*",
        ),
    ] {
        let error = label(key, may).unwrap_err();
        assert!(
            error.contains("spec.run.labels: ") && error.contains(said),
            "{key}: {error}"
        );
    }
    let unconfined = "container.apparmor.security.beta.kubernetes.io/worker";
    let annotations = pair(unconfined, "unconfined");
    let error = tenant(|run| run.annotations = annotations, "{annotations: ['*']}");
    assert!(error.unwrap_err().contains("spec.run.annotations"));
    let pool = pair("pool", "other");
    let error = tenant(|run| run.node_selector = pool, "{nodeSelector: ['*']}");
    assert!(error.unwrap_err().contains("set by the platform team"));
    let arch = pair("kubernetes.io/arch", "arm64");
    tenant(
        |run| run.node_selector = arch,
        "{nodeSelector: [kubernetes.io/arch]}",
    )
    .unwrap();
    let taint = |key: &str, may: &str| {
        let toleration = RunToleration {
            key: key.into(),
            operator: TolerationOperator::Exists,
            value: None,
            effect: None,
        };
        tenant(|run| run.tolerations = vec![toleration], may)
    };
    taint("dedicated", "{tolerations: [dedicated]}").unwrap();
    assert!(taint("control-plane", "{tolerations: [dedicated]}").is_err());
}

#[test]
fn resources_stay_within_the_bound_and_make_a_pod_that_can_be() {
    let limit = |cpu: Option<&str>, memory: Option<&str>, may: &str| {
        let amounts = RunAmounts {
            cpu: cpu.map(Into::into),
            memory: memory.map(Into::into),
        };
        let resources = RunResources {
            requests: None,
            limits: Some(amounts),
        };
        tenant(|run| run.resources = Some(resources), may)
    };
    let may = "{resources: {cpu: 1, memory: 512Mi}}";
    limit(Some("1"), Some("0.5Gi"), may).unwrap();
    for (cpu, memory, may, said) in [
        (
            Some("1001m"),
            None,
            may,
            "above the 1 that the platform team allows",
        ),
        (None, Some("513Mi"), may, "above the 512Mi"),
        (None, Some("16Mi"), may, "less than the 32Mi"),
        (
            Some("1"),
            None,
            "{resources: {memory: 1Gi}}",
            "lets no tenant set cpu",
        ),
        (Some("1e9"), None, may, "above"),
    ] {
        let error = limit(cpu, memory, may).unwrap_err();
        assert!(
            error.contains("spec.run.resources") && error.contains(said),
            "{error}"
        );
    }
}
