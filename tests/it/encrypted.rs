//! Tests of TLS between workers and the directory: a private authority, a renewal, an authority
//! that workers do not trust, and a new one that reaches them without a restart.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use switchboard_testbed::{Authority, wait_for};

use crate::stage::{SOON, Stage};
use crate::world::{self, PASSWORD, TOKEN};

/// A key of the Secret with the tokens, as it is now.
async fn in_secret(stage: &Stage, key: &str) -> String {
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), stage.ns());
    let secret = secrets.get("acme-directory").await.unwrap();
    String::from_utf8(secret.data.unwrap()[key].0.clone()).unwrap()
}

async fn call(stage: &Stage, id: &str) {
    let ingest = stage.directory("acme", "ingest").await;
    let call = switchboard_testbed::incoming_call("acme", id, world::ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_reach_the_directory_over_tls_through_renewals_and_a_change_of_the_authority() {
    let stage = Stage::start_encrypted("encrypted", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    call(&stage, "1").await;
    let run = stage.run_now("acme", "over TLS").await;
    assert_eq!(
        (&run["outcome"], &run["written"]),
        (&json!("Succeeded"), &json!(1)),
        "{run}"
    );
    let lookup = stage.directory("acme", "lookup").await;
    let contact = lookup.contact(world::ON_CONTACT).await.unwrap().unwrap();
    assert_eq!(contact.company_name.as_deref(), Some("Acme Trading"));

    // A renewal by the same authority.
    let renewed = stage.tls().authority.issue(&["localhost"]).unwrap();
    stage.tls().pair.swap_pair(&renewed).unwrap();
    let changed = "the certificate changed, the new one is in use";
    stage.directory.wait_for_text(changed, SOON).await.unwrap();
    call(&stage, "2").await;
    let run = stage.run_now("acme", "after a renewal").await;
    assert_eq!(run["outcome"], "Succeeded", "{run}");

    // One by an authority that nobody trusts yet.
    let another = Authority::new("another authority").unwrap();
    let issued = another.issue(&["localhost"]).unwrap();
    let token = in_secret(&stage, "ingest").await;
    call(&stage, "3").await;
    stage.tls().pair.swap_pair(&issued).unwrap();
    wait_for("the other certificate", SOON, async || {
        let times = stage.directory.text().matches(changed).count();
        (times == 2).then_some(()).ok_or(times)
    })
    .await;
    let run = stage.run_now("acme", "not trusted").await;
    assert_eq!(run["outcome"], "DirectoryNotTrusted", "{run}");
    let synced = stage
        .condition("acme", "Synced", "False", "RunFailed")
        .await;
    let message = synced["message"].as_str().unwrap();
    for part in [
        "DirectoryNotTrusted: ",
        "the certificate of the directory at https://localhost:",
        "directory.tls.caBundle.configMap",
        "UnknownIssuer",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let object = stage.get("acme").await;
    assert_eq!(object["status"]["errors"][0]["code"], "DirectoryNotTrusted");

    // The controller reads the other authority, and hands it on; tokens stay.
    let both = stage.tls().authority.pem() + &another.pem();
    stage.tls().trusted.swap(&[("ca.crt", &both)]).unwrap();
    wait_for("the authorities in the tenant's Secret", SOON, async || {
        let trusted = in_secret(&stage, "directory-ca.crt").await;
        (trusted == both).then_some(()).ok_or(trusted)
    })
    .await;
    assert_eq!(in_secret(&stage, "ingest").await, token);
    let run = stage.run_now("acme", "trusted again").await;
    assert_eq!(
        (&run["outcome"], &run["calls"]),
        (&json!("Succeeded"), &json!(1)),
        "{run}"
    );
    stage.ready("acme").await;
    stage.end().await;
}
