//! Tests that the deletion of a resource removes all its objects, and nothing else.

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, Secret};
use switchboard_testbed::wait_for;

use crate::stage::{SOON, Stage, names};
use crate::world::{self, PASSWORD, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn no_cron_job_job_pod_or_secret_of_ours_stays() {
    let stage = Stage::start("deleted", world::acme()).await;
    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage.ready("acme").await;
    stage.run_now("acme", "leave something behind").await;
    let ours = async || {
        let (client, namespace) = (&stage.client, stage.ns());
        let mut all = names::<CronJob>(client, namespace).await;
        all.extend(names::<Job>(client, namespace).await);
        all.extend(names::<Pod>(client, namespace).await);
        all.extend(names::<Secret>(client, namespace).await);
        all
    };
    assert!(
        ours().await.len() >= 5,
        "a CronJob, a Job, a pod and two Secrets: {:?}",
        ours().await
    );
    stage.kubectl(&["delete", "sfi", "acme"]).await;
    wait_for("all of ours to go", SOON, async || {
        let left = ours().await;
        if left == ["acme-salesforce"] {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    stage.end().await;
}
