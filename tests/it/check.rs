//! Tests that `switchboard check` reports without a cluster the same reasons and messages as the
//! controller in a cluster.

use std::process::Command;

use serde_json::Value;

use crate::stage::{Stage, condition, program};
use crate::world::{self, PASSWORD, TOKEN};

/// Runs `check` on the manifests. Returns exit code, standard output and standard error.
pub(crate) fn check(
    stage: &Stage,
    documents: &[&Value],
    flags: &[&str],
) -> (Option<i32>, String, String) {
    let file = stage.path("manifests.yaml");
    let text: Vec<String> = documents
        .iter()
        .map(|document| document.to_string())
        .collect();
    std::fs::write(&file, text.join("\n---\n")).unwrap();
    let output = Command::new(program())
        .args(["check", "-f"])
        .arg(&file)
        .arg("--ca-bundle")
        .arg(stage.path("salesforce-ca.pem"))
        .args([
            "--salesforce-hosts=localhost,127.0.0.1",
            "--allow-private-networks",
        ])
        .args(flags)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_controller_say_the_same() {
    let stage = Stage::start("check", world::acme()).await;
    for (name, password, reason, code) in [
        ("acme", PASSWORD, "Ready", 0),
        ("wrong", "not-the-password", "InvalidLogin", 1),
    ] {
        let mut manifest = stage.integration(name);
        manifest["spec"]["salesforce"]["auth"]["password"]["username"] =
            "integration@acme.example".into();
        let secret = stage.secret(name, password, TOKEN);
        stage.apply(&secret).await;
        stage.apply(&manifest).await;
        stage
            .condition(
                name,
                "Ready",
                if code == 0 { "True" } else { "False" },
                reason,
            )
            .await;
        let object = stage.get(name).await;

        let (exit, out, err) = check(&stage, &[&manifest, &secret], &["-o", "json"]);
        assert_eq!(exit, Some(code), "{out}{err}");
        let said = serde_json::json!({"status": serde_json::from_str::<Value>(&out).unwrap()});
        for type_ in ["CredentialsAvailable", "Connected", "Authorized", "Ready"] {
            let (ours, theirs) = (
                condition(&said, type_).unwrap(),
                condition(&object, type_).unwrap(),
            );
            for key in ["status", "reason", "message"] {
                assert_eq!(ours[key], theirs[key], "{type_} {key}");
            }
        }
        let (exit, out, _) = check(&stage, &[&manifest, &secret], &[]);
        assert_eq!(exit, Some(code));
        assert!(
            out.contains(reason) && (code == 0 || out.contains("What to do:")),
            "{out}"
        );
        assert!(!out.contains(password), "{out}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_takes_the_secret_from_a_file_of_its_own_and_refuses_what_it_cannot_use() {
    let stage = Stage::set("check-files", world::acme()).await;
    let manifest = stage.integration("acme");
    let secret = stage.path("secret.yaml");
    std::fs::write(&secret, stage.secret("acme", PASSWORD, TOKEN).to_string()).unwrap();
    let (exit, out, err) = check(
        &stage,
        &[&manifest],
        &["--secret-file", secret.to_str().unwrap()],
    );
    assert_eq!(exit, Some(0), "{out}{err}");
    let (exit, out, _) = check(&stage, &[&manifest], &[]);
    assert!(exit == Some(1) && out.contains("SecretNotFound"), "{out}");
    let (exit, _, err) = check(&stage, &[&stage.secret("acme", PASSWORD, TOKEN)], &[]);
    assert!(
        exit == Some(2) && err.contains("holds no SalesforceIntegration"),
        "{err}"
    );
    let (exit, _, err) = check(&stage, &[&manifest], &["--secret-file", "/no/such/file"]);
    assert!(exit == Some(2) && err.contains("cannot be read"), "{err}");
    stage.end().await;
}
