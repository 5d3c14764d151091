use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;
use switchboard_testbed::{
    ControlPlane, try_wait_for, wait_for, wait_for_condition, wait_for_object,
};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_namespace_is_the_tests_own_and_is_gone_afterwards() {
    let control_plane = ControlPlane::shared().await;
    let client = control_plane.client();
    let namespaces: Api<v1::Namespace> = Api::all(client.clone());
    let (first, second) = (
        control_plane.namespace("room").await.unwrap(),
        control_plane.namespace("room").await.unwrap(),
    );
    assert_ne!(first.name(), second.name());
    let labels = namespaces
        .get(first.name())
        .await
        .unwrap()
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");

    let dropped = first.name().to_owned();
    drop(first);
    let deleted = second.name().to_owned();
    second.delete().await.unwrap();
    assert!(namespaces.get_opt(&deleted).await.unwrap().is_none());
    wait_for_object(&namespaces, &dropped, "to be gone", SOON, |object| {
        object.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn kubectl_is_the_real_one_and_uses_the_test_cluster() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("kubectl").await.unwrap();
    let version = control_plane
        .kubectl(["version"])
        .await
        .unwrap()
        .expect_success();
    assert!(
        version.contains(&format!(
            "Server Version: {}",
            control_plane.apiserver_version()
        )),
        "{version}"
    );

    let manifest = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "colours", "namespace": namespace.name()}, "data": {"sky": "blue"},
    });
    control_plane
        .kubectl_apply(&manifest.to_string())
        .await
        .unwrap()
        .expect_success();
    let args = [
        "get",
        "configmap",
        "colours",
        "-n",
        namespace.name(),
        "-o",
        "jsonpath={.data.sky}",
    ];
    assert_eq!(
        control_plane.kubectl(args).await.unwrap().expect_success(),
        "blue"
    );

    let refused = control_plane.kubectl(["get", "nonsense"]).await.unwrap();
    assert!(
        !refused.success() && refused.stderr.contains("nonsense"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_service_account_has_the_rights_it_was_given_and_the_audit_log_tells() {
    let control_plane = ControlPlane::shared().await;
    let namespace = control_plane.namespace("rights").await.unwrap();
    let name = namespace.name();
    let manifests = format!(
        r#"
apiVersion: v1
kind: ServiceAccount
metadata: {{name: reader, namespace: {name}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader, namespace: {name}}}
rules: [{{apiGroups: [""], resources: [configmaps], verbs: [list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader, namespace: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: {name}}}]
"#
    );
    control_plane
        .kubectl_apply(&manifests)
        .await
        .unwrap()
        .expect_success();
    let mark = control_plane.audit_mark().unwrap();

    let reader = control_plane
        .client_for_service_account(name, "reader")
        .await
        .unwrap();
    let config_maps: Api<v1::ConfigMap> = Api::namespaced(reader.clone(), name);
    wait_for("the role to count", SOON, || async {
        config_maps.list(&ListParams::default()).await
    })
    .await;
    let secrets: Api<v1::Secret> = Api::namespaced(reader, name);
    let refused = secrets
        .create(&PostParams::default(), &v1::Secret::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.is_forbidden()));

    let user = format!("system:serviceaccount:{name}:reader");
    let forbidden = wait_for("the refusal in the audit log", SOON, || async {
        let events = control_plane.audit_since(mark).unwrap();
        events
            .into_iter()
            .find(|event| event.user == user && event.resource == "secrets")
    })
    .await;
    assert!(
        forbidden.is_forbidden() && forbidden.is_write() && forbidden.namespace == name,
        "{forbidden:?}"
    );
    let listed = control_plane.audit_since(mark).unwrap();
    assert!(listed.iter().any(|e| e.user == user
        && e.verb == "list"
        && e.resource == "configmaps"
        && e.code == 200));
}

#[tokio::test]
async fn a_wait_in_vain_tells_what_it_saw() {
    let error = try_wait_for("the moon", Duration::from_millis(50), || async {
        Err::<(), _>("only clouds")
    })
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("in vain for the moon; last seen: only clouds"),
        "{error}"
    );

    let control_plane = ControlPlane::shared().await;
    let namespaces: Api<v1::Namespace> = Api::all(control_plane.client());
    let waiting = tokio::spawn(async move {
        wait_for_condition(
            &namespaces,
            "default",
            "Famous",
            "True",
            Duration::from_millis(300),
        )
        .await
    });
    let panic = waiting.await.unwrap_err().into_panic();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("default: condition Famous=True")
            && message.contains("\"phase\": \"Active\""),
        "{message}"
    );
}

#[tokio::test]
async fn an_api_server_that_restarts_keeps_its_data_and_its_address() {
    if std::env::var_os("SWITCHBOARD_TEST_KUBECONFIG").is_some() {
        return; // tests must not disturb an existing cluster
    }
    let control_plane = ControlPlane::start().await.unwrap();
    let namespace = control_plane.namespace("lasting").await.unwrap();
    let namespaces: Api<v1::Namespace> = Api::all(control_plane.client());

    control_plane.kill_apiserver().await.unwrap();
    assert!(namespaces.get(namespace.name()).await.is_err());
    control_plane.start_apiserver().await.unwrap();
    control_plane.wait_until_ready(SOON).await.unwrap();
    assert!(namespaces.get(namespace.name()).await.is_ok());

    let dir = control_plane.dir().to_owned();
    namespace.delete().await.unwrap();
    drop(control_plane);
    assert!(!dir.exists(), "{} is left", dir.display());
}
