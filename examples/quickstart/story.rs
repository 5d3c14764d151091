//! The tenants' view: which integrations are ready, the reasons of the others, names on calls, and
//! the remedy.

use std::time::{Duration, Instant};

use base64::Engine;
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard::directory::Client;
use switchboard::directory::client::Caller;
use switchboard::directory::model::CallsQuery;
use switchboard::directory::model::rings::MAX_WAIT;
use switchboard_testbed::{incoming_call, repository, try_wait_for};

use crate::installation::{Installation, kubectl};
use crate::{Failure, Progress};

const SOON: Duration = Duration::from_secs(90);

/// Namespace, name, and status and reason of Ready.
const TENANTS: [(&str, &str, &str, &str); 4] = [
    ("acme", "acme-tokyo", "True", "Ready"),
    ("acme-sandbox", "acme-sandbox", "True", "Ready"),
    ("birch", "birch", "False", "InvalidLogin"),
    ("cedar", "cedar", "False", "MissingViewAll"),
];

/// Calling numbers, and the company that the call must show.
const CALLS: [(&str, Option<&str>); 5] = [
    ("0312345678", Some("Sakura Trading KK")),
    ("+819012345678", Some("Fuji Logistics KK")),
    ("06-6123-4567", Some("Momiji GmbH")),
    ("0311112222", Some("Sakura Trading KK")),
    ("0450000000", None),
];

/// Who has never called before, and the company that the call screen must show while it rings.
const FIRST_TIME: (&str, &str) = ("03-9876-5432", "Kaede Foods KK");

pub(crate) async fn tell(installation: &Installation, progress: &Progress) -> Result<(), Failure> {
    for (namespace, name, status, reason) in TENANTS {
        until(installation, namespace, name, |object| {
            let ready = condition(object, "Ready")?;
            (ready["status"] == status && ready["reason"] == reason).then_some(())
        })
        .await?;
        progress.step(&format!("{namespace}/{name}: Ready={status} {reason}"));
    }
    let daily = play(
        installation,
        progress,
        "acme",
        "acme-tokyo",
        When::OnRequest,
    )
    .await?;
    let sandbox = play(
        installation,
        progress,
        "acme-sandbox",
        "acme-sandbox",
        When::AfterCalls,
    )
    .await?;

    ring(installation, progress).await?;

    show(
        "kubectl get sfi -A",
        &kubectl(&installation.control_plane, &["get", "sfi", "-A"]).await?,
    );
    let failing = kubectl(
        &installation.control_plane,
        &["describe", "sfi", "birch", "-n", "birch"],
    )
    .await?;
    show(
        "kubectl describe sfi birch -n birch",
        failing
            .split_once("Status:")
            .map_or(failing.as_str(), |(_, status)| status),
    );
    let lookup = directory(installation, "acme", "acme-tokyo", "lookup").await?;
    let history = history(&lookup).await?;
    show("call history of acme-tokyo (GET /v1/calls)", &history);
    for (kind, run) in [("daily", &daily), ("after calls", &sandbox)] {
        let numbers = run["numbers"].as_u64().unwrap_or_default();
        println!(
            "cost, {kind}: {} API calls for {numbers} numbers; at 3 for each number it would be {}",
            run["apiCalls"],
            numbers * 3
        );
    }
    assert_names(&lookup).await?;
    let wrong = installation
        .salesforce
        .counters()
        .logins_of("integration@birch.example");
    if wrong != 1 {
        return Err(format!("the wrong password was tried {wrong} times instead of once").into());
    }
    Ok(())
}

/// When contacts are retrieved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Once a day by a pod, and when somebody asks for it.
    OnRequest,
    /// As calls end, by the controller.
    AfterCalls,
}

/// Sends calls as the platform's webhook does, requests a run where calls are not looked up as they
/// end, and returns the run's results.
async fn play(
    installation: &Installation,
    progress: &Progress,
    namespace: &str,
    name: &str,
    when: When,
) -> Result<Value, Failure> {
    let ingest = directory(installation, namespace, name, "ingest").await?;
    for (number, (from, _)) in CALLS.iter().enumerate() {
        let call = incoming(name, number, from);
        // The platform reports the same call more than once.
        ingest.ingest(&call).await?;
        ingest.ingest(&call).await?;
    }
    progress.step(&format!(
        "{name}: {} calls came in by webhook, each told twice; contacts {}",
        CALLS.len(),
        match when {
            When::OnRequest => "once a day, for numbers without a contact",
            When::AfterCalls => "as calls end",
        }
    ));
    if when == When::OnRequest {
        let wish = "switchboard.dev/run-requested-at=quick start";
        kubectl(
            &installation.control_plane,
            &["annotate", "sfi", name, "-n", namespace, wish],
        )
        .await?;
    }
    let run = until(installation, namespace, name, |object| {
        let run = object.pointer("/status/lastRun")?;
        (run["calls"].as_u64() > Some(0)).then(|| run.clone())
    })
    .await?;
    let all = when == When::AfterCalls || run["calls"] == json!(CALLS.len());
    if run["outcome"] != "Succeeded" || !all {
        return Err(format!("{name}: the run did not do what it should: {run}").into());
    }
    progress.step(&format!(
        "{name}: {} looked {} numbers up in {} API call(s)",
        match when {
            When::OnRequest => "a pod",
            When::AfterCalls => "the controller",
        },
        run["numbers"],
        run["apiCalls"]
    ));
    Ok(run)
}

/// A phone rings, of somebody who has never called: a screen waits for the name.
async fn ring(installation: &Installation, progress: &Progress) -> Result<(), Failure> {
    let (number, company) = FIRST_TIME;
    let screen = directory(installation, "acme", "acme-tokyo", "lookup").await?;
    if screen.contact(number).await?.is_some() {
        return Err(format!("{number} has a name before it rings").into());
    }
    let rings = Instant::now();
    let shown = match screen.caller(number, MAX_WAIT).await? {
        Caller::Known(contact) => contact.company_name,
        Caller::Nobody(why) => return Err(format!("{number} has no name: {}", why.detail).into()),
    };
    let after = rings.elapsed();
    if shown.as_deref() != Some(company) {
        return Err(format!("{number} shows {shown:?} instead of {company}").into());
    }
    progress.step(&format!(
        "acme-tokyo: {number} rings, a first-time caller; {} ms later the screen shows {company}",
        after.as_millis()
    ));
    Ok(())
}

async fn assert_names(lookup: &Client) -> Result<(), Failure> {
    for (number, expected) in CALLS {
        let contact = lookup.contact(number).await?;
        let company = contact.and_then(|contact| contact.company_name);
        if company.as_deref() != expected {
            return Err(format!("{number} shows {company:?} instead of {expected:?}").into());
        }
    }
    Ok(())
}

async fn history(lookup: &Client) -> Result<String, Failure> {
    let mut table = format!(
        "{:<18} {:<22} {:<18} {}\n",
        "NUMBER", "COMPANY", "PERSON", "OBJECT"
    );
    for call in lookup.calls(&CallsQuery::default()).await?.calls {
        let contact = call.contact;
        let text = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
        let company = text(
            contact
                .as_ref()
                .and_then(|contact| contact.company_name.as_ref()),
        );
        let person = text(
            contact
                .as_ref()
                .and_then(|contact| contact.person_name.as_ref()),
        );
        let object = contact
            .and_then(|contact| contact.object)
            .map_or("-".into(), |object| format!("{object:?}"));
        table += &format!(
            "{:<18} {company:<22} {person:<18} {object}\n",
            call.number.unwrap_or_default()
        );
    }
    Ok(table)
}

/// Each call begins a minute after the one before.
fn incoming(company: &str, number: usize, from: &str) -> Value {
    let mut told = incoming_call(company, &number.to_string(), from);
    let leg = &mut told["call"]["details"][0];
    for (key, second) in [
        ("dial_starts_at", "06"),
        ("dial_answered_at", "09"),
        ("dial_ends_at", "50"),
    ] {
        leg[key] = format!("2026-11-23T07:2{number}:{second}+00:00").into();
    }
    told
}

async fn directory(
    installation: &Installation,
    namespace: &str,
    name: &str,
    purpose: &str,
) -> Result<Client, Failure> {
    let secret = format!("{name}-directory");
    let key = format!("jsonpath={{.data.{purpose}}}");
    let token = kubectl(
        &installation.control_plane,
        &["get", "secret", &secret, "-n", namespace, "-o", &key],
    )
    .await?;
    let token = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(token)?)?;
    Ok(Client::new(
        &installation.directory_url,
        SecretString::from(token),
    )?)
}

async fn until<T>(
    installation: &Installation,
    namespace: &str,
    name: &str,
    check: impl Fn(&Value) -> Option<T>,
) -> Result<T, Failure> {
    let look = async || {
        let text = kubectl(
            &installation.control_plane,
            &["get", "sfi", name, "-n", namespace, "-o", "json"],
        )
        .await
        .map_err(|error| error.to_string())?;
        let object: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        check(&object).ok_or_else(|| object["status"].to_string())
    };
    try_wait_for(format!("{namespace}/{name}"), SOON, look)
        .await
        .map_err(|late| {
            format!(
                "{} did not come to what it should; last seen: {}",
                late.description, late.last
            )
            .into()
        })
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == type_)
}

fn show(title: &str, text: &str) {
    println!("\n$ {title}\n{}\n", text.trim_end());
}

pub(crate) fn how_to_go_on(installation: &Installation) {
    let kubeconfig = installation.control_plane.kubeconfig_path().display();
    let alias = match installation.guest {
        true => String::new(),
        false => format!(
            "alias kubectl='{} kubectl'\n  ",
            repository().join("target/cluster/cluster").display()
        ),
    };
    println!(
        "\nIt goes on until Ctrl-C. In another terminal:\n\n  \
         export KUBECONFIG={kubeconfig}\n  \
         {alias}kubectl get sfi -A -o wide\n  \
         kubectl -n birch patch secret birch-salesforce -p '{{\"stringData\":{{\"password\":\"correct-horse-3\"}}}}'   # the right password\n  \
         kubectl -n birch get sfi birch -w\n  \
         kubectl -n acme annotate sfi acme-tokyo --overwrite switchboard.dev/run-requested-at=\"$(date)\"\n  \
         target/debug/switchboard check -f examples/quickstart/cedar.yaml --ca-bundle {} \\\n    \
           --salesforce-hosts=localhost --allow-private-networks\n\n\
         Salesforce, played: {}/__admin/   directory: {}\n\n\
         In a browser, while calls come in:  {}/pages\n  \
         the token to sign in with:  kubectl -n acme get secret acme-tokyo-directory -o jsonpath='{{.data.lookup}}' | base64 -d\n  \
         with that of birch the pages say what is wrong with its link",
        installation.ca_file().display(),
        installation.salesforce.url(),
        installation.directory_url,
        installation.directory_url,
    );
}

/// Plays one call after the other for who looks at the pages: it rings, somebody answers, it ends.
pub(crate) async fn play_on(installation: &Installation) -> Result<(), Failure> {
    const RINGS: Duration = Duration::from_secs(4);
    const LASTS: Duration = Duration::from_secs(6);
    let ingest = directory(installation, "acme", "acme-tokyo", "ingest").await?;
    for number in 100.. {
        let (from, _) = CALLS[number % CALLS.len()];
        let mut told = incoming_call("acme-tokyo", &number.to_string(), from);
        let leg = &mut told["call"]["details"][0];
        let times = ["dial_starts_at", "dial_answered_at", "dial_ends_at"];
        for time in times {
            leg[time] = Value::Null;
        }
        for (time, pause) in times.into_iter().zip([RINGS, LASTS, LASTS]) {
            told["call"]["details"][0][time] = jiff::Timestamp::now().to_string().into();
            ingest.ingest(&told).await?;
            tokio::time::sleep(pause).await;
        }
    }
    Ok(())
}
