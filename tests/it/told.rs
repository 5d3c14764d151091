//! Who looks at calls is told of the link, without kubectl: by the controller, over the directory.

use std::time::Duration;

use switchboard::directory::why::{Cause, Why};
use switchboard_testbed::{incoming_call, wait_for};

use crate::stage::Stage;
use crate::world::{self, PASSWORD, TOKEN};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_link_and_its_repair_are_told_where_calls_are_shown() {
    let stage = Stage::start("told", world::acme()).await;
    stage.apply(&stage.secret("acme", "wrong", TOKEN)).await;
    stage.apply(&stage.integration("acme")).await;
    stage
        .condition("acme", "Ready", "False", "InvalidLogin")
        .await;
    let ingest = stage.directory("acme", "ingest").await;
    let call = incoming_call("acme", "1", world::NOWHERE);
    ingest.ingest(&call).await.unwrap();
    let id = call["call"]["details"][0]["id"].as_str().unwrap();
    let lookup = stage.directory("acme", "lookup").await;
    let until = async |cause: Cause| -> Why {
        wait_for(format!("the cause to be {cause:?}"), SOON, || async {
            let why = lookup.why(id).await.map_err(|error| error.to_string())?;
            if why.cause == cause {
                Ok(why)
            } else {
                Err(format!("{why:?}"))
            }
        })
        .await
    };
    let broken = until(Cause::LinkBroken).await;
    let link = broken.link.unwrap();
    assert_eq!(
        (link.reason.as_str(), link.time_zone.as_str()),
        ("InvalidLogin", "Asia/Tokyo")
    );
    assert!(
        broken.remedy.unwrap().contains("password"),
        "{}",
        link.remedy
    );

    stage.apply(&stage.secret("acme", PASSWORD, TOKEN)).await;
    stage.ready("acme").await;
    let waits = until(Cause::NotAskedYet).await;
    assert!(waits.next_at.is_some() && waits.link.is_none(), "{waits:?}");
    stage.end().await;
}
