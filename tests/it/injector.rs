//! A mutating webhook that puts a sidecar into pods, as service meshes do: unless the pod carries
//! the annotation that keeps it out.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::stage::Stage;

/// Name of the container that is put into pods.
pub(crate) const SIDECAR: &str = "mesh-proxy";
/// The annotation that keeps it out, with the value `false`.
pub(crate) const OPT_OUT: &str = "mesh.example/inject";

/// A webhook for the pods of one namespace. It goes with this value.
pub(crate) struct Injector {
    name: String,
}

// === impl Injector ===

impl Injector {
    /// Serves the webhook and has the API server call it for pods of the stage's namespace.
    pub(crate) async fn start(stage: &Stage) -> Self {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(config);
        // The thread ends with the program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || answer(config, stream));
            }
        });
        let name = format!("injector-{}", stage.ns());
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": "injector.mesh.example",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.ns()}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"),
                    "caBundle": STANDARD.encode(certificate.pem()),
                },
            }],
        });
        stage.apply(&webhook).await;
        Self { name }
    }

    /// Takes the webhook away.
    pub(crate) async fn end(self, stage: &Stage) {
        let name = format!("mutatingwebhookconfiguration/{}", self.name);
        let delete = ["delete", &name];
        let deleted = stage.control_plane.kubectl(delete).await.unwrap();
        deleted.expect_success();
    }
}

/// Answers the requests of one connection.
fn answer(config: Arc<ServerConfig>, stream: TcpStream) {
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(body) = request(&mut stream) {
        let review: Value = serde_json::from_slice(&body).unwrap();
        let pod = &review["request"]["object"];
        let out = pod["metadata"]["annotations"][OPT_OUT] == "false";
        let sidecar = json!({
            "name": SIDECAR, "image": "switchboard-testbed/sidecar",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        });
        // In front, as meshes do that let the program wait for the proxy.
        let patch = json!([{"op": "add", "path": "/spec/containers/0", "value": sidecar}]);
        let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
        if !out {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = STANDARD.encode(patch.to_string()).into();
        }
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        let text = review.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let stream = stream.get_mut();
        if stream.write_all((head + &text).as_bytes()).is_err() || stream.flush().is_err() {
            return;
        }
    }
}

/// The body of the next request; `None` at the end of the connection.
fn request(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}
