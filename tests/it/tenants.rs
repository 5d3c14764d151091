//! Tests of the isolation of tenants: with the chart's roles in its own namespace, a tenant gets
//! nothing of another's Secret, status, contacts or tokens from any part of the product.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use switchboard::directory::model::{CallsQuery, ClaimRequest};
use switchboard_testbed::{Process, incoming_call, wait_for};

use crate::rights::{NAMESPACE, template};
use crate::stage::{SOON, Stage};
use crate::tenant::{LINK, Tenant};
use crate::world;

/// Creates two connected tenants, and the operator in a third namespace.
async fn tenants(stage: &Stage) -> (Tenant<'_>, Tenant<'_>, Process) {
    let acme = Tenant::new(stage, "acme").await;
    let eve = Tenant::new(stage, "eve").await;
    let namespaces = format!("--watch-namespaces={},{}", acme.ns(), eve.ns());
    let controller = stage.another_controller("controller", &[&namespaces]).await;
    acme.link().await;
    eve.link().await;
    (acme, eve, controller)
}

async fn end(stage: &Stage, tenants: [Tenant<'_>; 2], controller: Process) {
    assert_eq!(controller.terminate(SOON).await.unwrap(), 0);
    stage.rights().nothing_was_refused(stage.control_plane);
    for tenant in tenants {
        tenant.namespace.delete().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_shows_a_tenant_its_own_and_nothing_of_others() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let there = format!("--namespace={}", acme.ns());
    let secret = format!("secret/{}-salesforce", acme.company);
    let tokens = format!("secret/{LINK}-directory");
    let link = format!("sfi/{LINK}");
    let reads: &[&[&str]] = &[
        &["get", &secret, &there],
        &["get", &tokens, &there],
        &["get", "secrets", &there],
        &["get", &link, &there],
        &["get", &link, &there, "--subresource=status"],
        &["get", "sfi", &there],
        &["describe", &link, &there],
        &["get", "events", &there],
        &["get", "cronjobs,jobs,pods", &there],
        &[
            "annotate",
            &link,
            &there,
            "switchboard.dev/test-requested-at=now",
        ],
        &["label", &link, &there, "example.com/mine=yes"],
    ];
    for args in reads {
        acme.kubectl(args, &Value::Null).await.expect_success();
        refused(&eve, args).await;
    }
    let operator = format!("--namespace={}", stage.ns());
    let controller_account = format!(
        "--as=system:serviceaccount:{}:switchboard-controller",
        stage.ns()
    );
    for args in [
        &["get", "sfi", "--all-namespaces"][..],
        &["get", "secrets", "--all-namespaces"],
        &[
            "get",
            "sfi",
            "--all-namespaces",
            "--watch-only",
            "--request-timeout=5s",
        ],
        &["get", "secrets", &operator],
        &["get", "configmaps", &operator],
        &["get", "leases", &operator],
        &["get", "pods", &operator],
        &["create", "token", "switchboard-controller", &operator],
        &["create", "token", "editor", &there],
        &["get", &secret, &there, &controller_account],
        &["delete", &link, &there],
        &["create", "secret", "generic", "planted", &there],
        &[
            "create",
            "rolebinding",
            "mine",
            &there,
            "--clusterrole=edit",
            "--serviceaccount=a:b",
        ],
    ] {
        refused(&eve, args).await;
    }
    // Only the controller can write a status; a tenant cannot write its own.
    let forged = r#"{"status":{"observedGeneration":99}}"#;
    let own = format!("--namespace={}", eve.ns());
    refused(
        &eve,
        &[
            "patch",
            &link,
            &own,
            "--subresource=status",
            "--type=merge",
            "-p",
            forged,
        ],
    )
    .await;

    let seen = eve.sees().await;
    for foreign in [acme.ns(), acme.company.as_str(), stage.ns()] {
        assert!(
            !seen.contains(foreign),
            "{foreign} is in what eve sees:\n{seen}"
        );
    }
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

async fn refused(tenant: &Tenant<'_>, args: &[&str]) {
    let output = tenant.kubectl(args, &Value::Null).await;
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!output.success(), "{args:?} was let through: {said}");
    assert!(
        said.contains("forbidden") || said.contains("Forbidden"),
        "{args:?}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_cannot_name_another_tenant_s_secret_or_company() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let theirs = format!("{}-salesforce", acme.company);

    // The Secret: its name refers to the integration's own namespace, and no field can name another
    // one.
    let company = |name: &str| format!("{}-{name}", eve.company);
    eve.apply(&eve.integration("named", &company("named"), &theirs))
        .await
        .expect_success();
    eve.until("named", "SecretNotFound").await;
    let mut afar = eve.integration("afar", &company("afar"), &theirs);
    afar["spec"]["salesforce"]["auth"]["password"]["secretRef"]["namespace"] = acme.ns().into();
    let output = eve.apply(&afar).await;
    assert!(
        !output.success() && output.stderr.contains("secretRef.namespace"),
        "{output:?}"
    );
    let lenient = ["apply", "--validate=false", "-n", eve.ns(), "-f", "-"];
    eve.kubectl(&lenient, &afar).await.expect_success();
    eve.until("afar", "SecretNotFound").await;
    for path in [
        format!("{}/{theirs}", acme.ns()),
        format!("../{}/{theirs}", acme.ns()),
    ] {
        let output = eve
            .apply(&eve.integration("path", &company("path"), &path))
            .await;
        assert!(
            !output.success() && output.stderr.contains("secretRef"),
            "{output:?}"
        );
    }

    // The company ID: the older claim keeps it, and the message names nobody.
    let own_secret = format!("{}-salesforce", eve.company);
    eve.apply(&eve.integration("claim", &acme.company, &own_secret))
        .await
        .expect_success();
    let claim = eve.until("claim", "CompanyIdTaken").await;
    let said = claim["status"].to_string();
    assert!(!said.contains(acme.ns()), "{said}");
    let moved = json!({"spec": {"companyId": acme.company}}).to_string();
    let args = [
        "patch",
        "sfi",
        LINK,
        "-n",
        eve.ns(),
        "--type=merge",
        "-p",
        &moved,
    ];
    let output = eve.kubectl(&args, &Value::Null).await;
    assert!(
        !output.success() && output.stderr.contains("companyId"),
        "{output:?}"
    );
    let secrets: Api<Secret> = Api::namespaced(stage.client.clone(), eve.ns());
    let tokens = secrets.get_opt("claim-directory").await.unwrap();
    assert!(tokens.is_none(), "{tokens:?}");

    // When the holder is deleted, the next claimant gets the company ID, although it is in another
    // namespace.
    let args = ["delete", "sfi", LINK, "-n", acme.ns()];
    acme.kubectl(&args, &Value::Null).await.expect_success();
    eve.until("claim", "Ready").await;
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_gives_a_tenant_s_token_nothing_of_another() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let call = incoming_call(&acme.company, "1", world::ON_CONTACT);
    acme.directory("ingest").await.ingest(&call).await.unwrap();
    let by_hand = serde_json::from_value(json!({"companyName": "Acme's customer"})).unwrap();
    let admin = acme.directory("admin").await;
    admin
        .put_contact(world::ON_CONTACT, &by_hand)
        .await
        .unwrap();
    let shown = |contact: Option<switchboard::directory::model::Contact>| {
        contact.and_then(|contact| contact.company_name)
    };

    let lookup = eve.directory("lookup").await;
    assert_eq!(
        shown(lookup.contact(world::ON_CONTACT).await.unwrap()),
        None
    );
    assert!(
        lookup
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls
            .is_empty()
    );
    let all: ClaimRequest = serde_json::from_value(json!({"holder": "eve"})).unwrap();
    let claimed = eve.directory("worker").await.claim(&all).await.unwrap();
    assert!(
        serde_json::to_value(&claimed).unwrap()["calls"]
            .as_array()
            .unwrap()
            .is_empty(),
        "{claimed:?}"
    );
    let told = eve.directory("ingest").await.ingest(&call).await;
    assert!(told.unwrap_err().to_string().contains("tenant_code"));
    let by_eve = serde_json::from_value(json!({"companyName": "Eve's customer"})).unwrap();
    let admin = eve.directory("admin").await;
    admin.put_contact(world::ON_CONTACT, &by_eve).await.unwrap();

    // The data of acme is unchanged.
    let lookup = acme.directory("lookup").await;
    let contact = lookup.contact(world::ON_CONTACT).await.unwrap();
    assert_eq!(shown(contact).as_deref(), Some("Acme's customer"));
    assert_eq!(
        lookup
            .calls(&CallsQuery::default())
            .await
            .unwrap()
            .calls
            .len(),
        1
    );
    let claimed = acme.directory("worker").await.claim(&all).await.unwrap();
    assert_eq!(
        serde_json::to_value(&claimed).unwrap()["calls"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_look_like_another_tenant_s_change_nothing_for_it() {
    let stage = Stage::set("operator", world::acme()).await;
    let (acme, eve, controller) = tenants(&stage).await;
    let before = acme.show(LINK).await["status"].clone();
    let labels = json!({
        "app.kubernetes.io/managed-by": "switchboard", "app.kubernetes.io/name": "switchboard",
        "switchboard.dev/integration": LINK, "switchboard.dev/run": "sync",
    });
    // A Job with the labels of acme's run, and a Secret with the labels of acme's tokens. They have
    // no effect, whether refused or not.
    let pod = json!({"metadata": {"labels": labels}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "worker", "image": "switchboard:forged"}],
    }});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "forged", "labels": labels},
                     "spec": {"template": pod, "backoffLimit": 0}});
    eve.apply(&job).await;
    let other = "other-directory";
    let mut secret = eve.secret(other);
    secret["metadata"]["labels"] = labels;
    secret["metadata"]["annotations"] = json!({"switchboard.dev/tokens-version": "0"});
    eve.apply(&secret).await.expect_success();
    eve.kubectl(
        &[
            "annotate",
            "sfi",
            LINK,
            "-n",
            eve.ns(),
            "switchboard.dev/run-requested-at=now",
        ],
        &Value::Null,
    )
    .await
    .expect_success();
    wait_for("eve's wish to be handled", SOON, async || {
        let shown = eve.show(LINK).await;
        if shown["status"]["lastHandledRunAt"] == "now" {
            Ok(())
        } else {
            Err(shown["status"].to_string())
        }
    })
    .await;
    assert_eq!(acme.show(LINK).await["status"], before);
    let kept: Secret = Api::namespaced(stage.client.clone(), eve.ns())
        .get(other)
        .await
        .unwrap();
    let mut keys: Vec<String> = kept.data.unwrap_or_default().into_keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        ["password", "securityToken"],
        "nothing was put into it"
    );
    end(&stage, [acme, eve], controller).await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_links_only_the_companies_that_the_platform_team_gave_it() {
    let stage = Stage::set("operator", world::acme()).await;
    let eve = Tenant::new(&stage, "eve").await;
    let scope = format!("--set=scope.namespaces={{{}}}", eve.ns());
    let policy = template(&[
        "--show-only=templates/admission.yaml",
        "--set=admission.companyIds=true",
        &scope,
    ])
    .await;
    // Policies are cluster-wide, so this one has a unique name and applies to this namespace only.
    let policy = policy.replace(NAMESPACE, eve.ns());
    let applied = stage.control_plane.kubectl_apply(&policy).await;
    applied.unwrap().expect_success();
    let own = format!(
        "switchboard.dev/company-ids={}-a, {}-b",
        eve.company, eve.company
    );
    let annotate = ["annotate", "namespace", eve.ns(), &own];
    let refused = eve.kubectl(&annotate, &Value::Null).await;
    assert!(refused.stderr.contains("forbidden"), "{refused:?}");
    stage
        .control_plane
        .kubectl(annotate)
        .await
        .unwrap()
        .expect_success();

    // A policy takes effect some moments after its creation.
    let foreign = eve.integration("foreign", "acme-of-another", "any");
    let sentence = "spec.companyId: acme-of-another is not among the company IDs of this namespace";
    wait_for("the policy to hold", SOON, async || {
        let output = eve.apply(&foreign).await;
        let held = output.stderr.contains(sentence);
        let delete = [
            "delete",
            "sfi",
            "foreign",
            "-n",
            eve.ns(),
            "--ignore-not-found",
        ];
        eve.kubectl(&delete, &Value::Null).await;
        if held {
            Ok(())
        } else {
            Err(format!("{output:?}"))
        }
    })
    .await;
    for letter in ["a", "b"] {
        let company = format!("{}-{letter}", eve.company);
        eve.apply(&eve.integration(letter, &company, "any"))
            .await
            .expect_success();
    }
    let name = format!("switchboard-company-ids.{}", eve.ns());
    for kind in [
        "validatingadmissionpolicybinding",
        "validatingadmissionpolicy",
    ] {
        stage.kubectl(&["delete", kind, &name]).await;
    }
    eve.namespace.delete().await.unwrap();
    stage.clear().await;
}
