//! `spec.run`: what a tenant may change in the pods of its runs. The operator says which of it is
//! allowed (docs/operations.md); nothing here widens what a pod may do.

#![allow(
    unreachable_pub,
    reason = "`api` re-exports these types, which the lint does not see through the derives"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where runs happen, and what their pods have beside what the operator gives to all. Each of what
/// pods have needs the operator's permission; the refusal names the field.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RunSpec {
    /// Where calls are looked up as they end: `Resident`, by the controller itself, or `Pod`, in a
    /// process of your own, every `lookupEvery`. As the operator chose for all when not given;
    /// where it chose pods, there are only pods. What is big, scheduled daily or asked for is a
    /// pod in any case.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub where_: Option<RunWhere>,
    /// Labels of the pods, such as the one of a cost centre.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, such as the one that keeps a sidecar out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub annotations: BTreeMap<String, String>,
    /// Processor and memory of the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<RunResources>,
    /// Nodes that the pods may run on, by label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, each by its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<RunToleration>,
}

/// Where a run happens.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RunWhere {
    /// In a pod in the integration's own namespace.
    #[default]
    Pod,
    /// In the controller.
    Resident,
}

/// Processor and memory of the worker.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RunResources {
    /// What a node keeps for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RunAmounts>,
    /// What it may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RunAmounts>,
}

/// Amounts of processor and memory, as Kubernetes writes them, in quotes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RunAmounts {
    /// Processors, such as `"500m"` or `"1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]+([.][0-9]+)?m?$')")
            .message("must be an amount of processors such as \"500m\" or \"1\" (in quotes)"),
    )]
    #[schemars(length(max = 16))]
    pub cpu: Option<String>,
    /// Memory, such as `"256Mi"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$')")
            .message("must be an amount of memory such as \"256Mi\" (in quotes)"),
    )]
    #[schemars(length(max = 16))]
    pub memory: Option<String>,
}

/// A taint that the pods tolerate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RunToleration {
    /// Key of the taint.
    #[schemars(length(min = 1, max = 316))]
    pub key: String,
    /// `Equal` compares the value, `Exists` does not.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint; every one when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// How a toleration compares.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TolerationOperator {
    /// The value must be the same.
    #[default]
    Equal,
    /// Any value.
    Exists,
}

/// What a taint does.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintEffect {
    /// Keeps new pods away.
    NoSchedule,
    /// Keeps new pods away where that is possible.
    PreferNoSchedule,
    /// Drives pods away.
    NoExecute,
}
