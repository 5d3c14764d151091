//! The main story: an integration becomes ready, a call comes in, and a CronJob's pod adds the
//! name; and one that rings for the first time has its name while it does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard::directory::client::Caller;

use crate::bed::Bed;
use crate::{Failure, Progress, tenant};

/// A number that nobody has called from before it rings, and the company that has it.
const FIRST_TIME: (&str, &str) = ("0398765432", "Kaede Foods KK");
/// How long the call screen waits for a name.
const RINGING: Duration = Duration::from_secs(10);

/// The calling number, and the company and person that the example's Salesforce has for it.
pub(crate) const CALLER: &str = "0312345678";
const KNOWN_AS: (&str, &str) = ("Sakura Trading KK", "Hanako Sato");

pub(crate) async fn tell(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    progress
        .must("an example applied becomes Ready", async {
            bed.apply(&tenant::example(bed)?).await?;
            tenant::ready(bed).await?;
            bed.kubectl(&["get", "sfi", "-n", tenant::NAMESPACE, "--no-headers"])
                .await
                .map(|row| row.trim().to_owned())
        })
        .await?;
    progress.must("a call comes in and gets its name by a CronJob's pod", async {
        let every_minute = json!({"spec": {"contacts": {"retrieval": "AfterCall", "lookupEvery": "1m", "dailyAt": null}, "run": {"where": "Pod"}}});
        tenant::patch(bed, &every_minute).await?;
        tenant::call(bed, "1", CALLER).await?;
        let run = bed.until("a run that took up the call", tenant::NEXT_MINUTES, async || {
            let run = tenant::integration(bed).await?["status"]["lastRun"].take();
            if run["calls"].as_u64() > Some(0) { Ok(run) } else { Err(run.to_string().into()) }
        }).await?;
        expect("outcome", &run["outcome"], "Succeeded")?;
        has_name(bed).await?;
        let job = run["job"].as_str().unwrap_or_default();
        let owner = bed.json(&["get", "job", job, "-n", tenant::NAMESPACE]).await?["metadata"]["ownerReferences"][0]["kind"].take();
        expect("owner of the Job", &owner, "CronJob")?;
        // From here on, runs start only on request.
        tenant::patch(bed, &json!({"spec": {"contacts": {"retrieval": "Daily", "dailyAt": "23:00", "lookupEvery": null}, "run": null}})).await?;
        Ok(format!("{} {} by job {job}", KNOWN_AS.0, KNOWN_AS.1))
    }).await?;
    progress
        .must("a first-time caller has a name while it rings", async {
            let (_forward, directory) = tenant::directory(bed, "lookup").await?;
            let began = Instant::now();
            let caller = directory.caller(FIRST_TIME.0, RINGING).await?;
            let took = began.elapsed().as_millis();
            let Caller::Known(contact) = caller else {
                return Err(format!("the call screen shows {caller:?}").into());
            };
            expect("company", &json!(contact.company_name), FIRST_TIME.1)?;
            Ok(format!("{} after {took} ms", FIRST_TIME.1))
        })
        .await
}

/// Checks that the call screen shows the caller.
pub(crate) async fn has_name(bed: &Bed) -> Result<(), Failure> {
    let found = tenant::caller(bed, "03-1234-5678").await?;
    match &found {
        Some((company, person)) if (company.as_str(), person.as_str()) == KNOWN_AS => Ok(()),
        other => Err(format!("the call screen shows {other:?} instead of {KNOWN_AS:?}").into()),
    }
}

/// Fails unless the value is as expected.
pub(crate) fn expect(what: &str, found: &Value, wanted: &str) -> Result<(), Failure> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{what} is {found}, not {wanted:?}").into())
    }
}
