//! The base of all tests: the control plane with our CRD, and manifests with valid defaults.

use serde_json::{Value, json};
use switchboard_testbed::ControlPlane;
use tokio::sync::OnceCell;

/// The shared control plane, which serves the CRD of this commit.
pub(crate) async fn control_plane() -> &'static ControlPlane {
    static READY: OnceCell<()> = OnceCell::const_new();
    // The whole program uses one TLS provider; the first test installs it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let control_plane = ControlPlane::shared().await;
    READY
        .get_or_init(async || {
            serve_crd(control_plane).await;
        })
        .await;
    control_plane
}

/// A separate control plane for one test, which may disturb it. It ends with the program.
pub(crate) async fn own_control_plane() -> &'static ControlPlane {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let control_plane = Box::leak(Box::new(ControlPlane::start().await.unwrap()));
    serve_crd(control_plane).await;
    control_plane
}

async fn serve_crd(control_plane: &ControlPlane) {
    let crd = switchboard::api::crd::yaml().unwrap();
    control_plane
        .kubectl_apply(&crd)
        .await
        .unwrap()
        .expect_success();
    let wait = [
        "wait",
        "--for=condition=Established",
        "crd/salesforceintegrations.switchboard.dev",
        "--timeout=30s",
    ];
    control_plane.kubectl(wait).await.unwrap().expect_success();
}

/// A manifest that the schema accepts; each test changes the fields under test.
pub(crate) fn integration(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "SalesforceIntegration",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "companyId": name,
            "salesforce": {
                "auth": {"password": {"username": format!("integration@{name}.example"), "secretRef": {"name": format!("{name}-salesforce")}}}
            }
        }
    })
}
