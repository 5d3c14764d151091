//! An upgrade from the version before, with calls, contacts and an integration of that version, on
//! SQLite and on PostgreSQL. `PREVIOUS=REVISION make e2e` builds that version's image.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use switchboard::directory::model::CallsQuery;
use switchboard_testbed::{Postgres, incoming_call};

use crate::bed::{Bed, OPERATOR, RELEASE, SOON};
use crate::story::{self, expect};
use crate::{Failure, Progress, installation, tenant};

/// Calls of the version before; one of them is the example's known caller.
const CALLS: u32 = 200;
/// Somebody whom the example's Salesforce knows and who never calls.
const NEVER_CALLED: (&str, &str) = ("+819012345678", "Jiro Suzuki");
/// The Secret with the address of PostgreSQL.
const DATABASE: &str = "database-of-versions";

/// Upgrades on both databases. Leaves an empty cluster and an empty directory.
pub(crate) async fn upgrade(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    if bed.args.previous_image.is_none() {
        return Ok(());
    }
    progress
        .step(
            "upgrade from the version before, with data in SQLite: all is there and goes on",
            upgrade_on(bed, &[]),
        )
        .await?;
    progress
        .step(
            "upgrade from the version before, with data in PostgreSQL: all is there and goes on",
            async {
                let node = node_address(bed).await?;
                let (_server, address) = Postgres::start_listening(&node)?;
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": DATABASE, "namespace": OPERATOR},
                    "stringData": {"url": address}
                });
                bed.apply(&secret.to_string()).await?;
                let port = address
                    .rsplit_once(':')
                    .and_then(|(_, rest)| rest.split_once('/'));
                let port = port.ok_or("a database without a port")?.0;
                let database = format!("directory.database.existingSecret={DATABASE}");
                let port = format!("directory.database.port={port}");
                upgrade_on(bed, &[&database, &port]).await
            },
        )
        .await
}

async fn upgrade_on(bed: &Bed, settings: &[&str]) -> Result<String, Failure> {
    let args = &bed.args;
    let (image, chart) = (&args.previous_image, &args.previous_chart);
    let (Some(image), Some(chart)) = (image, chart) else {
        return Err("--previous-image and --previous-chart belong together".into());
    };
    installation::write_values(bed, image)?;
    bed.release_of(chart, settings).await?;
    bed.apply(&tenant::example(bed)?).await?;
    tenant::ready(bed).await?;
    let (forward, ingest) = tenant::directory(bed, "ingest").await?;
    for id in 0..CALLS {
        let from = match id {
            0 => story::CALLER.to_owned(),
            id => tenant::stranger(&(5_000 + id).to_string()),
        };
        let id = (90_000 + id).to_string();
        ingest
            .ingest(&incoming_call(tenant::NAME, &id, &from))
            .await?;
    }
    drop(forward);
    tenant::ask_for_run(bed).await?;
    let run = tenant::next_run(bed, &Value::Null, SOON).await?;
    expect("outcome", &run["outcome"], "Succeeded")?;
    story::has_name(bed).await?;
    let calls = calls(bed).await?;
    if calls.len() != CALLS as usize {
        return Err(format!("{} calls of {CALLS} before the upgrade", calls.len()).into());
    }
    let before = tenant::integration(bed).await?;

    installation::write_values(bed, &args.image)?;
    bed.release(settings).await?;
    tenant::ready(bed).await?;
    let after = tenant::integration(bed).await?;
    for path in ["/metadata/uid", "/spec", "/status/lastRun/job"] {
        let (is, was) = (after.pointer(path), before.pointer(path));
        if !is.zip(was).is_some_and(|(is, was)| has_all(is, was)) {
            return Err(format!("the upgrade changed {path} of the integration").into());
        }
    }
    // The tenant's tokens of the version before are still good, and tell the same.
    story::has_name(bed).await?;
    let now = self::calls(bed).await?;
    if now != calls {
        let differ = now.iter().find(|(id, call)| calls.get(*id) != Some(call));
        return Err(format!("the upgrade changed calls, such as {differ:?}").into());
    }
    // What is new works with what is old.
    let book = json!({"spec": {"contacts": {"addressBook": "Full"}, "deletionPolicy": "Erase"}});
    tenant::patch(bed, &book).await?;
    tenant::call(bed, "95000", &tenant::stranger("9500")).await?;
    tenant::ask_for_run(bed).await?;
    let run = tenant::next_run(bed, &run["job"], SOON).await?;
    expect("outcome", &run["outcome"], "Succeeded")?;
    let (number, person) = NEVER_CALLED;
    bed.until(
        "the name of somebody who never called",
        tenant::NEXT_MINUTES,
        async || match tenant::caller(bed, number).await? {
            Some((_, found)) if found == person => Ok(()),
            found => {
                let status = tenant::integration(bed).await?["status"]["addressBook"].take();
                Err(format!("{found:?}, and the address book is {status}").into())
            }
        },
    )
    .await?;
    story::has_name(bed).await?;
    remove(bed).await?;
    Ok(format!("{} calls", calls.len()))
}

/// Whether a value has all that it had: defaults of new fields may have come.
fn has_all(is: &Value, was: &Value) -> bool {
    match (is, was) {
        (Value::Object(is), Value::Object(was)) => was
            .iter()
            .all(|(key, was)| is.get(key).is_some_and(|is| has_all(is, was))),
        (is, was) => is == was,
    }
}

/// What the directory says of each call: its number, company and person.
async fn calls(bed: &Bed) -> Result<BTreeMap<String, [Option<String>; 3]>, Failure> {
    let (_forward, directory) = tenant::directory(bed, "lookup").await?;
    let mut query = CallsQuery::default();
    let mut calls = BTreeMap::new();
    loop {
        let page = directory.calls(&query).await?;
        for call in page.calls {
            let who = call.contact.map(|who| (who.company_name, who.person_name));
            let (company, person) = who.unwrap_or_default();
            calls.insert(call.id, [call.number, company, person]);
        }
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(calls);
        }
    }
}

/// Removes the integration with its data, the release and the definition of the resource.
async fn remove(bed: &Bed) -> Result<(), Failure> {
    let namespace = tenant::NAMESPACE;
    bed.kubectl(&["delete", "sfi", "--all", "-n", namespace, "--timeout=90s"])
        .await?;
    bed.helm(&["uninstall", RELEASE, "--wait", "--timeout=120s"])
        .await?;
    bed.kubectl(&["delete", "namespace", namespace, "--timeout=90s"])
        .await?;
    let crd = "salesforceintegrations.switchboard.dev";
    bed.kubectl(&["delete", "crd", crd, "--timeout=60s"])
        .await?;
    bed.until("the pods to be gone", SOON, async || {
        let left = bed.pods("controller").await?.len() + bed.pods("directory").await?.len();
        match left {
            0 => Ok(()),
            left => Err(format!("{left} pods").into()),
        }
    })
    .await
}

/// The address of the node, where its pods reach a server of this machine.
async fn node_address(bed: &Bed) -> Result<String, Failure> {
    let nodes = bed.items(&["get", "nodes"]).await?;
    let addresses = nodes
        .first()
        .and_then(|node| node["status"]["addresses"].as_array());
    addresses
        .into_iter()
        .flatten()
        .find(|address| address["type"] == "InternalIP")
        .and_then(|address| address["address"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| "the node has no address".into())
}
