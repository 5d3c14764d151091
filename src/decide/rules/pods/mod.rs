//! Where and how the pods of runs go: what the platform team sets for all, and what it lets tenants
//! set. Neither reaches what a pod may do: users, volumes, the host, images.

mod quantity;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::api::{InvalidField, RunAmounts, RunSpec, RunToleration};

/// Domains of keys that belong to Kubernetes and to us.
const RESERVED: [&str; 3] = ["kubernetes.io", "k8s.io", "switchboard.dev"];
/// The amounts of a worker that nobody sets: what it takes at rest.
const REQUESTS: [(&str, &str); 2] = [("cpu", "10m"), ("memory", "32Mi")];

/// The file of `--worker-pods`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodRules {
    /// What the pods of all tenants have.
    pub pod_template: PodTemplate,
    /// What tenants may set in `spec.run`.
    pub tenants_may: TenantsMay,
}

/// What the pods of all tenants have, in the words of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Names of the Secrets for the registry, in the tenants' namespaces.
    #[serde(deserialize_with = "names_of_secrets")]
    pub image_pull_secrets: Vec<String>,
    /// Service account, in the tenants' namespaces. Its token is never mounted.
    pub service_account_name: String,
    /// Labels of the nodes.
    pub node_selector: BTreeMap<String, String>,
    /// Tolerated taints.
    pub tolerations: Vec<Toleration>,
    /// Affinity.
    pub affinity: Option<Affinity>,
    /// Spread over the cluster. Without a selector it is about all workers of the namespace.
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class.
    pub priority_class_name: String,
    /// Runtime class.
    pub runtime_class_name: String,
    /// Resources of the worker, over those that it has otherwise.
    pub resources: Resources,
}

/// The names of Secrets, each alone or as Kubernetes writes it.
fn names_of_secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "names of Secrets are wanted, as in [registry] or [{name: registry}]"
    )]
    enum Reference {
        Name(String),
        Object(Object),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Object {
        name: String,
    }
    let references = Vec::<Reference>::deserialize(deserializer)?;
    let name = |reference| match reference {
        Reference::Name(name) | Reference::Object(Object { name }) => name,
    };
    Ok(references.into_iter().map(name).collect())
}

/// Resources by name, as quantities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// What a node keeps for it.
    pub requests: BTreeMap<String, Amount>,
    /// What it may use at most.
    pub limits: BTreeMap<String, Amount>,
}

/// A quantity: a text, or a number as YAML has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RawAmount")]
pub struct Amount(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawAmount {
    Text(String),
    Number(serde_json::Number),
}

impl From<RawAmount> for Amount {
    fn from(raw: RawAmount) -> Self {
        Self(match raw {
            RawAmount::Text(text) => text,
            RawAmount::Number(number) => number.to_string(),
        })
    }
}

/// What tenants may set in `spec.run`. What is empty they may not set at all. Keys are whole keys,
/// `DOMAIN/*` or `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TenantsMay {
    /// Keys of labels.
    pub labels: Vec<String>,
    /// Keys of annotations.
    pub annotations: Vec<String>,
    /// The most of each resource, as request and as limit.
    pub resources: BTreeMap<String, Amount>,
    /// Keys of the labels of nodes.
    pub node_selector: Vec<String>,
    /// Keys of taints.
    pub tolerations: Vec<String>,
}

// === impl PodRules ===

impl PodRules {
    /// Reads the file.
    ///
    /// # Errors
    /// A sentence that names the first unusable field.
    pub fn read(text: &str, worker_memory: &str) -> Result<Self, String> {
        let value: Value = match serde_yaml::from_str(text) {
            Ok(Value::Null) => Value::Object(Default::default()),
            Ok(value @ Value::Object(_)) => value,
            Ok(_) => return Err("it must be a map with podTemplate and tenantsMay".into()),
            Err(error) => return Err(format!("it is not YAML: {error}")),
        };
        let mut path = Vec::new();
        let mut rules = Self::deserialize(&value).map_err(|error| {
            format!("{error}; write the fields as Kubernetes has them in a pod")
        })?;
        // The types of Kubernetes pass over what they do not know.
        let known = serde_json::to_value(&rules).unwrap_or_default();
        if unknown(&value, &known, &mut path) {
            return Err(format!(
                "{}: there is no such field; correct its name or take it out",
                path.join(".")
            ));
        }
        rules.check(worker_memory)?;
        // The chart writes every field.
        let empty = Affinity::default();
        rules.pod_template.affinity.take_if(|it| *it == empty);
        Ok(rules)
    }

    fn check(&self, worker_memory: &str) -> Result<(), String> {
        let template = &self.pod_template;
        let at = |field: &str| format!("podTemplate.{field}");
        let maps = [
            ("labels", &template.labels, true, true),
            ("annotations", &template.annotations, false, true),
            ("nodeSelector", &template.node_selector, true, false),
        ];
        for (field, map, values, ours) in maps {
            for (key, value) in map {
                check_key(key).map_err(|problem| format!("{}: {problem}", at(field)))?;
                if values {
                    check_value(value).map_err(|problem| format!("{}: {problem}", at(field)))?;
                }
                if ours && (is_in(key, "switchboard.dev") || is_our_label(key)) {
                    return Err(format!(
                        "{}: {key:?} is set by the operator itself",
                        at(field)
                    ));
                }
            }
        }
        let names = [
            ("serviceAccountName", &template.service_account_name),
            ("priorityClassName", &template.priority_class_name),
            ("runtimeClassName", &template.runtime_class_name),
        ];
        let secrets = template.image_pull_secrets.iter();
        let secrets = secrets.map(|name| ("imagePullSecrets", name));
        for (field, name) in names.into_iter().chain(secrets) {
            let may_be_empty = field != "imagePullSecrets";
            if !(is_name(name) || may_be_empty && name.is_empty()) {
                return Err(format!(
                    "{}: {name:?} is no name of an object; write lower-case letters, digits, '-' and '.'",
                    at(field)
                ));
            }
        }
        for toleration in &template.tolerations {
            check_toleration(toleration)
                .map_err(|problem| format!("{}: {problem}", at("tolerations")))?;
        }
        for constraint in &template.topology_spread_constraints {
            let when = constraint.when_unsatisfiable.as_str();
            let known = ["DoNotSchedule", "ScheduleAnyway"].contains(&when);
            if constraint.max_skew < 1 || constraint.topology_key.is_empty() || !known {
                return Err(format!(
                    "{}: each needs maxSkew of 1 or more, topologyKey, and whenUnsatisfiable DoNotSchedule or ScheduleAnyway",
                    at("topologySpreadConstraints")
                ));
            }
        }
        let resources = resources(template, &RunSpec::default(), worker_memory);
        check_resources(&resources).map_err(|problem| format!("{}.{problem}", at("resources")))?;
        let most = self.tenants_may.resources.iter();
        for (name, Amount(amount)) in most {
            if !["cpu", "memory"].contains(&name.as_str()) || quantity::read(amount).is_none() {
                return Err(format!(
                    "tenantsMay.resources.{name}: {amount:?} is no bound; write amounts of cpu and memory, such as {{cpu: \"1\", memory: 512Mi}}"
                ));
            }
        }
        Ok(())
    }
}

/// Finds a field of `given` that `known` has not. Its path is then in `path`.
fn unknown(given: &Value, known: &Value, path: &mut Vec<String>) -> bool {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().any(|(key, value)| {
            path.push(key.clone());
            let found = match known.get(key) {
                Some(known) => unknown(value, known, path),
                None => !is_empty(value),
            };
            if !found {
                path.pop();
            }
            found
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .any(|(given, known)| unknown(given, known, path)),
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Checks what a tenant sets against what the platform team allows.
///
/// # Errors
/// The first field that is not allowed, or that is no such thing.
pub(crate) fn check(
    run: &RunSpec,
    template: &PodTemplate,
    may: &TenantsMay,
    worker_memory: &str,
) -> Result<(), InvalidField> {
    let maps = [
        (
            "spec.run.labels",
            &run.labels,
            &template.labels,
            &may.labels,
        ),
        (
            "spec.run.annotations",
            &run.annotations,
            &template.annotations,
            &may.annotations,
        ),
        (
            "spec.run.nodeSelector",
            &run.node_selector,
            &template.node_selector,
            &may.node_selector,
        ),
    ];
    for (field, map, set, may) in maps {
        let refuse = |problem| Err(InvalidField { field, problem });
        let of_nodes = field == "spec.run.nodeSelector";
        for (key, value) in map {
            if let Err(problem) = check_key(key) {
                return refuse(problem);
            }
            if field != "spec.run.annotations"
                && let Err(problem) = check_value(value)
            {
                return refuse(problem);
            }
            if !of_nodes && RESERVED.iter().any(|domain| is_in(key, domain)) {
                return refuse(format!(
                    "{key:?} belongs to Kubernetes or to the operator; take it out"
                ));
            }
            if set.contains_key(key) {
                return refuse(format!(
                    "{key:?} is set by the platform team for all; take it out"
                ));
            }
            if !allows(may, key) {
                return refuse(not_allowed(key, may));
            }
        }
    }
    for toleration in &run.tolerations {
        let refuse = |problem| {
            let field = "spec.run.tolerations";
            Err(InvalidField { field, problem })
        };
        if let Err(problem) = check_toleration(&toleration_of(toleration)) {
            return refuse(problem);
        }
        if !allows(&may.tolerations, &toleration.key) {
            return refuse(not_allowed(&toleration.key, &may.tolerations));
        }
    }
    check_amounts(run, may)?;
    if run.resources.is_some() {
        check_resources(&resources(template, run, worker_memory)).map_err(|problem| {
            InvalidField {
                field: "spec.run.resources",
                problem,
            }
        })?;
    }
    Ok(())
}

fn not_allowed(key: &str, may: &[String]) -> String {
    if may.is_empty() {
        "the platform team lets no tenant set it; take it out, or ask the platform team".into()
    } else {
        format!(
            "the platform team does not let tenants set {key:?}, only {}; take it out, or ask the platform team",
            may.join(", ")
        )
    }
}

fn check_amounts(run: &RunSpec, may: &TenantsMay) -> Result<(), InvalidField> {
    let Some(wanted) = &run.resources else {
        return Ok(());
    };
    let groups = [
        ("spec.run.resources.requests", &wanted.requests),
        ("spec.run.resources.limits", &wanted.limits),
    ];
    for (field, amounts) in groups {
        let refuse = |problem| Err(InvalidField { field, problem });
        for (name, text) in amounts.iter().flat_map(of_amounts) {
            let Some(amount) = quantity::read(text) else {
                return refuse(format!(
                    "{name} {text:?} is no amount; write one such as \"500m\" or \"256Mi\""
                ));
            };
            let Some(Amount(most)) = may.resources.get(name) else {
                return refuse(format!(
                    "the platform team lets no tenant set {name}; take it out, or ask the platform team"
                ));
            };
            if quantity::read(most).is_some_and(|most| amount > most) {
                return refuse(format!(
                    "{name} {text:?} is above the {most} that the platform team allows; lower it, or ask the platform team"
                ));
            }
        }
    }
    Ok(())
}

fn of_amounts(amounts: &RunAmounts) -> impl Iterator<Item = (&'static str, &str)> {
    let RunAmounts { cpu, memory } = amounts;
    [("cpu", cpu), ("memory", memory)]
        .into_iter()
        .filter_map(|(name, amount)| Some((name, amount.as_deref()?)))
}

/// The resources of a worker: its own, those that the platform team sets over them, and those of
/// the tenant over both.
pub(crate) fn resources(template: &PodTemplate, run: &RunSpec, worker_memory: &str) -> Resources {
    let amount = |text: &str| Amount(text.to_owned());
    let mut all = Resources::default();
    for (name, text) in REQUESTS {
        all.requests.insert(name.to_owned(), amount(text));
    }
    all.limits
        .insert("memory".to_owned(), amount(worker_memory));
    all.requests.extend(template.resources.requests.clone());
    all.limits.extend(template.resources.limits.clone());
    if let Some(wanted) = &run.resources {
        let requests = wanted.requests.iter().flat_map(of_amounts);
        let limits = wanted.limits.iter().flat_map(of_amounts);
        for (name, text) in requests {
            all.requests.insert(name.to_owned(), amount(text));
        }
        for (name, text) in limits {
            all.limits.insert(name.to_owned(), amount(text));
        }
    }
    all
}

fn check_resources(resources: &Resources) -> Result<(), String> {
    let read = |group: &str, name: &str, Amount(text): &Amount| {
        quantity::read(text).ok_or_else(|| {
            format!("{group}.{name}: {text:?} is no amount; write one such as 500m or 128Mi")
        })
    };
    for (name, amount) in &resources.limits {
        read("limits", name, amount)?;
    }
    for (name, request) in &resources.requests {
        let asked = read("requests", name, request)?;
        if let Some(limit) = resources.limits.get(name)
            && asked > read("limits", name, limit)?
        {
            return Err(format!(
                "limits.{name}: {} is less than the {} that the pod asks for; raise it, or lower requests.{name}",
                limit.0, request.0
            ));
        }
    }
    Ok(())
}

/// A tenant's toleration in the type of Kubernetes.
pub(crate) fn toleration_of(toleration: &RunToleration) -> Toleration {
    Toleration {
        key: Some(toleration.key.clone()),
        operator: Some(format!("{:?}", toleration.operator)),
        value: toleration.value.clone(),
        effect: toleration.effect.map(|effect| format!("{effect:?}")),
        toleration_seconds: None,
    }
}

fn check_toleration(toleration: &Toleration) -> Result<(), String> {
    let operator = toleration.operator.as_deref().unwrap_or("Equal");
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !["Equal", "Exists"].contains(&operator) {
        return Err(format!("operator {operator:?} is neither Equal nor Exists"));
    }
    if !["", "NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(format!(
            "effect {effect:?} is none of NoSchedule, PreferNoSchedule and NoExecute"
        ));
    }
    if operator == "Exists" && toleration.value.as_ref().is_some_and(|v| !v.is_empty()) {
        return Err("operator Exists goes without a value; take the value out".into());
    }
    if key.is_empty() {
        return match operator {
            "Exists" => Ok(()),
            _ => Err("without a key the operator must be Exists".into()),
        };
    }
    check_key(key)?;
    check_value(toleration.value.as_deref().unwrap_or_default())
}

fn allows(patterns: &[String], key: &str) -> bool {
    patterns.iter().any(|pattern| {
        pattern == "*"
            || pattern == key
            || pattern
                .strip_suffix("/*")
                .is_some_and(|domain| key.split_once('/').is_some_and(|(of, _)| of == domain))
    })
}

/// Whether the domain of a key is this one, or below it.
fn is_in(key: &str, domain: &str) -> bool {
    let Some((of, _)) = key.split_once('/') else {
        return false;
    };
    of == domain
        || of
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

fn is_our_label(key: &str) -> bool {
    let ours = ["name", "managed-by", "component"];
    key.strip_prefix("app.kubernetes.io/")
        .is_some_and(|key| ours.contains(&key))
}

/// Checks the key of a label, an annotation or a taint, as the API server does.
fn check_key(key: &str) -> Result<(), String> {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    if domain.is_none_or(is_name) && is_label(name) && !name.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "{key:?} is no key; write one such as cost-center or example.com/team"
        ))
    }
}

fn check_value(value: &str) -> Result<(), String> {
    if is_label(value) {
        Ok(())
    } else {
        Err(format!(
            "{value:?} is no value of a label; write at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
        ))
    }
}

fn is_label(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63
        && text.chars().all(inside)
        && ends(text.chars().next())
        && ends(text.chars().next_back())
}

/// Whether a text may be the name of an object (a DNS subdomain).
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
