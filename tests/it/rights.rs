//! The rights of the controller: the chart's own service account and roles. No test runs it as an
//! administrator, and each test fails when the API server has refused it a request.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use switchboard_testbed::{AuditEvent, AuditMark, ControlPlane, Helm, repository, wait_for_object};
use tokio::sync::OnceCell;

use crate::stage::SOON;

/// The namespace that `template` renders for; tests replace it with their own.
pub(crate) const NAMESPACE: &str = "namespace-of-the-test";
/// Selects the chart's objects for the controller.
const OF_CONTROLLER: &str =
    "app.kubernetes.io/part-of=switchboard,app.kubernetes.io/component=controller";

/// The extent of the controller's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One namespace: `scope.namespaces`.
    Namespace,
    /// The whole cluster, as by default. It needs a separate control plane, because the controller
    /// would work in every other test's namespace.
    Cluster,
}

/// The controller's account and its rights.
pub(crate) struct Rights {
    scope: Scope,
    namespace: String,
    kubeconfig: PathBuf,
    user: String,
    since: Option<AuditMark>,
}

// === impl Rights ===

impl Rights {
    /// Applies the chart's service account and roles for the controller, and logs in with that
    /// account.
    pub(crate) async fn grant(control_plane: &ControlPlane, namespace: &str, scope: Scope) -> Self {
        let manifests = rendered(scope).await.replace(NAMESPACE, namespace);
        control_plane
            .kubectl_apply(&manifests)
            .await
            .unwrap()
            .expect_success();
        let account = "switchboard-controller";
        Self {
            scope,
            namespace: namespace.to_owned(),
            kubeconfig: control_plane
                .kubeconfig_for_service_account(namespace, account)
                .await
                .unwrap(),
            user: format!("system:serviceaccount:{namespace}:{account}"),
            // A cluster that is already running may have no readable audit log.
            since: control_plane.audit_mark().ok(),
        }
    }

    /// Gives the controller rights in one more namespace, as the chart does when `scope.namespaces`
    /// names it.
    pub(crate) async fn reach_into(&self, control_plane: &ControlPlane, namespace: &str) {
        let manifests = rendered(Scope::Namespace)
            .await
            .replace(
                &format!("\"namespace\":\"{NAMESPACE}\""),
                &format!("\"namespace\":\"{}\"", self.namespace),
            )
            .replace(NAMESPACE, namespace);
        control_plane
            .kubectl_apply(&manifests)
            .await
            .unwrap()
            .expect_success();
    }

    /// The controller flags that match the rights.
    pub(crate) fn flags(&self) -> Vec<String> {
        match self.scope {
            Scope::Namespace => vec![format!("--watch-namespaces={}", self.namespace)],
            Scope::Cluster => vec![],
        }
    }

    /// The kubeconfig of the controller's account.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// All requests of the controller to the API server.
    pub(crate) fn requests(&self, control_plane: &ControlPlane) -> Vec<AuditEvent> {
        let since = self.since.unwrap_or_default();
        control_plane.audit_of(&self.user, since).unwrap()
    }

    /// Fails when requests were refused for lack of rights, and lists them. A starting API server
    /// has no roles for a moment, so the log proves nothing after a restart.
    pub(crate) fn nothing_was_refused(&self, control_plane: &ControlPlane) {
        self.refused_only_in("", control_plane);
    }

    /// Same check, except for one namespace in which the controller has no rights.
    pub(crate) fn refused_only_in(&self, namespace: &str, control_plane: &ControlPlane) {
        if self.since.is_none() || control_plane.restarts() > 0 {
            return;
        }
        let mut refused = self.requests(control_plane);
        refused.retain(|request| request.is_forbidden() && request.namespace != namespace);
        assert!(refused.is_empty(), "refused to {}: {refused:#?}", self.user);
    }

    /// The rights that the roles grant and no request has needed, as sentences.
    pub(crate) async fn unused(&self, control_plane: &ControlPlane) -> Vec<String> {
        let requests = self.requests(control_plane);
        let rules = self.rules(control_plane).await;
        assert!(rules.len() > 5, "{rules:?}");
        let grants = rules.iter().flat_map(grants);
        grants
            .filter(|grant| !requests.iter().any(|request| grant.needed_by(request)))
            .map(|grant| format!("{grant:?}"))
            .collect()
    }

    async fn rules(&self, control_plane: &ControlPlane) -> Vec<PolicyRule> {
        let client = control_plane.client();
        let ours = ListParams::default().labels(OF_CONTROLLER);
        let roles: Api<Role> = Api::namespaced(client.clone(), &self.namespace);
        let mut rules: Vec<PolicyRule> = vec![];
        for role in roles.list(&ours).await.unwrap() {
            rules.extend(role.rules.unwrap_or_default());
        }
        if self.scope == Scope::Cluster {
            for role in Api::<ClusterRole>::all(client).list(&ours).await.unwrap() {
                rules.extend(role.rules.unwrap_or_default());
            }
        }
        rules
    }
}

/// One action that a rule allows.
#[derive(Debug)]
struct Grant<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    name: Option<&'a str>,
}

fn grants(rule: &PolicyRule) -> Vec<Grant<'_>> {
    let mut found = vec![];
    let names: Vec<Option<&str>> = match rule.resource_names.as_deref() {
        None | Some([]) => vec![None],
        Some(names) => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                for name in &names {
                    found.push(Grant {
                        verb,
                        group,
                        resource,
                        name: *name,
                    });
                }
            }
        }
    }
    found
}

impl Grant<'_> {
    fn needed_by(&self, request: &AuditEvent) -> bool {
        let resource = match request.subresource.as_str() {
            "" => request.resource.clone(),
            subresource => format!("{}/{subresource}", request.resource),
        };
        // Server-side apply of a new object needs the right to create, but the log records a patch.
        let creates = request.verb == "patch" && request.code == 201;
        (request.verb == self.verb || (creates && self.verb == "create"))
            && request.code < 300
            && request.group == self.group
            && resource == self.resource
            && self.name.is_none_or(|name| name == request.name)
    }
}

/// Applies the chart's roles for tenants, and waits until the cluster's own roles include them.
pub(crate) async fn serve_tenant_roles(control_plane: &ControlPlane) {
    let manifests = template(&["--show-only=templates/tenants.yaml"]).await;
    control_plane
        .kubectl_apply(&manifests)
        .await
        .unwrap()
        .expect_success();
    let roles: Api<ClusterRole> = Api::all(control_plane.client());
    for role in ["admin", "edit", "view"] {
        wait_for_object(&roles, role, "our rules in it", SOON, |object| {
            object?["rules"]
                .to_string()
                .contains("switchboard.dev")
                .then_some(())
        })
        .await;
    }
}

/// The chart's service account and roles of the controller, for [`NAMESPACE`].
async fn rendered(scope: Scope) -> &'static str {
    static NARROW: OnceCell<String> = OnceCell::const_new();
    static WIDE: OnceCell<String> = OnceCell::const_new();
    let (cell, namespaces) = match scope {
        Scope::Namespace => (&NARROW, format!("--set=scope.namespaces={{{NAMESPACE}}}")),
        Scope::Cluster => (&WIDE, "--set=rbac.create=true".to_owned()),
    };
    cell.get_or_init(async || {
        template(&[
            &namespaces,
            "--show-only=templates/rbac.yaml",
            "--show-only=templates/serviceaccounts.yaml",
        ])
        .await
    })
    .await
}

/// Renders the chart for a release in [`NAMESPACE`].
pub(crate) async fn template(flags: &[&str]) -> String {
    let chart = repository().join("charts/switchboard");
    let namespace = format!("--namespace={NAMESPACE}");
    let mut arguments = vec![
        "template",
        "switchboard",
        chart.to_str().unwrap(),
        &namespace,
        "--set=keys.generate=true",
    ];
    arguments.extend(flags);
    let helm = Helm::ready().await.unwrap();
    helm.run(arguments).await.unwrap().expect_success()
}

/// Names of the cluster-wide roles and bindings for this account.
pub(crate) async fn cluster_wide(
    control_plane: &ControlPlane,
    namespace: &str,
) -> BTreeSet<String> {
    use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
    let bindings: Api<ClusterRoleBinding> = Api::all(control_plane.client());
    let list = bindings.list(&ListParams::default()).await.unwrap();
    list.into_iter()
        .filter(|binding| {
            binding
                .subjects
                .iter()
                .flatten()
                .any(|subject| subject.namespace.as_deref() == Some(namespace))
        })
        .map(|binding| binding.name_any())
        .collect()
}
