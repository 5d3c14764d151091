//! `switchboard selftest`: tests whether an installation works from end to end. `helm test` runs it
//! as a pod of its own, because the image has no shell. It sends nothing to Salesforce: the
//! controller judges an integration without a Secret without asking Salesforce.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use crate::api::SalesforceIntegration;
use crate::cli::{ClusterError, client_of, cluster_config, duration, print, read};
use crate::controller::lease_of;
use crate::directory::Authorities;
use crate::error::{Chain, print_error};
use crate::exit::Exit;
use crate::shutdown::Shutdown;

/// Name and company ID of the integration that the test creates for a verdict.
const NAME: &str = "switchboard-selftest";
/// The API group and version that the API server must serve.
const SERVED: &str = "switchboard.dev/v1alpha1";
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Flags of `switchboard selftest`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Namespace that the controller works in; an integration is made there, and taken away again.
    #[arg(long)]
    pub namespace: String,
    /// Namespace of the Lease; the pod's own when not given.
    #[arg(long, env = "POD_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Where worker pods reach the directory.
    #[arg(long)]
    pub directory_url: Url,
    /// File with the authorities to trust for the directory, and no others, PEM. Those of the
    /// system when not given.
    #[arg(long, value_name = "FILE")]
    pub directory_ca_bundle: Option<PathBuf>,
    /// Number of the controller's shards, each of which has a Lease.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub shards: u32,
    /// How long to wait for each finding, such as 60s.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
}

/// The result for one part: a sentence in both cases.
type Finding = Result<String, String>;

/// Tests every part and prints one line for each. When a test is stopped, the next one removes what
/// it has left behind.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    let end = |error: &(dyn std::error::Error + 'static), exit| {
        print_error("selftest", error);
        exit
    };
    let findings = match shutdown.unless_requested(look(&args)).await {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(Err(error)) => return end(&error, Exit::Usage),
        Ok(Ok(findings)) => findings,
    };
    let mut text = String::new();
    for finding in &findings {
        let (mark, sentence) = match finding {
            Ok(found) => ("ok  ", found),
            Err(problem) => ("FAIL", problem),
        };
        text.push_str(&format!("{mark} {sentence}\n"));
    }
    match print(&text) {
        Err(error) => end(&error, Exit::Failed),
        Ok(()) if findings.iter().all(Result::is_ok) => Exit::Done,
        Ok(()) => Exit::Failed,
    }
}

async fn look(args: &Args) -> Result<[Finding; 4], ClusterError> {
    let client = client_of(cluster_config().await?)?;
    let leases = args
        .lease_namespace
        .clone()
        .unwrap_or_else(|| client.default_namespace().to_owned());
    let leases: Api<Lease> = Api::namespaced(client.clone(), &leases);
    let integrations = Api::namespaced(client.clone(), &args.namespace);
    Ok([
        persist(args.timeout, async || served(&client).await).await,
        persist(args.timeout, async || leads(&leases, args.shards).await).await,
        persist(args.timeout, async || answers(args).await).await,
        judged(&integrations, args.timeout).await,
    ])
}

/// Repeats a test until it succeeds or the time is over. Returns the last result.
async fn persist(timeout: Duration, look: impl AsyncFn() -> Finding) -> Finding {
    let end = Instant::now() + timeout;
    loop {
        let finding = look().await;
        if finding.is_ok() || Instant::now() >= end {
            return finding;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn served(client: &Client) -> Finding {
    client
        .list_api_group_resources(SERVED)
        .await
        .map(|_| format!("the API server serves {SERVED}"))
        .map_err(|error| {
            format!(
                "the API server does not serve {SERVED}; does it answer at the address in the kubeconfig, and is the CRD installed (crds.install)? {}",
                Chain(&error)
            )
        })
}

async fn leads(leases: &Api<Lease>, shards: u32) -> Finding {
    let mut holders = vec![];
    for name in (0..shards).map(lease_of) {
        let lease = leases.get(&name).await.map_err(|error| {
            format!(
                "the Lease {name} cannot be read; look at the controller's log: {}",
                Chain(&error)
            )
        })?;
        let holder = leader(&lease, Timestamp::now()).ok_or_else(|| {
            format!("no controller holds the Lease {name}; look at the controller's log")
        })?;
        holders.push(holder.to_owned());
    }
    Ok(format!("the controller leads: {}", holders.join(", ")))
}

/// The holder of a Lease that has not expired.
fn leader(lease: &Lease, now: Timestamp) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    let seconds = spec.lease_duration_seconds?;
    let renewed = spec.renew_time.as_ref()?.0;
    let holder = spec.holder_identity.as_deref()?;
    let alive = now.duration_since(renewed).as_secs() <= i64::from(seconds);
    (alive && !holder.is_empty()).then_some(holder)
}

async fn answers(args: &Args) -> Finding {
    let directory = &args.directory_url;
    let problem = |what: String| {
        format!(
            "the directory at {} does not answer; look at its pod, its address (--directory-url) and the NetworkPolicies: {what}",
            directory.origin().ascii_serialization()
        )
    };
    let url = directory
        .join("readyz")
        .map_err(|error| problem(Chain(&error).to_string()))?;
    let http = http_client(args.directory_ca_bundle.as_deref()).map_err(problem)?;
    let answer = http
        .get(url)
        .send()
        .await
        .map_err(|error| problem(Chain(&error.without_url()).to_string()))?;
    if answer.status().is_success() {
        Ok(format!(
            "the directory answers at {}",
            directory.origin().ascii_serialization()
        ))
    } else {
        Err(problem(format!("status {}", answer.status())))
    }
}

/// A client that trusts the directory as workers do.
fn http_client(authorities: Option<&Path>) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder();
    let builder = match authorities {
        Some(path) => {
            let pem = read(path, "--directory-ca-bundle");
            let pem = pem.map_err(|error| Chain(&error).to_string())?;
            let trusted = Authorities::parse(&pem)
                .map_err(|error| format!("--directory-ca-bundle {}: {error}", path.display()))?;
            trusted.for_client(builder)
        }
        None => builder,
    };
    builder.build().map_err(|error| Chain(&error).to_string())
}

/// Creates an integration whose Secret does not exist, waits for the controller's verdict, and
/// deletes it.
async fn judged(integrations: &Api<SalesforceIntegration>, timeout: Duration) -> Finding {
    let verdict = match create(integrations).await {
        Ok(()) => {
            persist(timeout, async || {
                integrations
                    .get(NAME)
                    .await
                    .map_err(|error| Chain(&error).to_string())
                    .and_then(|resource| verdict(&resource))
            })
            .await
        }
        Err(error) => Err(Chain(&error).to_string()),
    };
    // At the latest the next test removes what is left behind.
    let removed = remove(integrations).await;
    match (verdict, removed) {
        (Ok(reason), Ok(())) => Ok(format!("the controller judges integrations: {reason}")),
        (Err(problem), _) => Err(format!(
            "an integration was not judged; look at the controller's log: {problem}"
        )),
        (_, Err(error)) => Err(format!(
            "the integration {NAME} cannot be taken away: {}",
            Chain(&error)
        )),
    }
}

async fn create(integrations: &Api<SalesforceIntegration>) -> Result<(), kube::Error> {
    remove(integrations).await?;
    let resource = json!({
        "apiVersion": SERVED,
        "kind": "SalesforceIntegration",
        "metadata": {"name": NAME},
        "spec": {
            "companyId": NAME,
            "salesforce": {"auth": {"password": {"username": "selftest@example.com", "secretRef": {"name": NAME}}}},
            "contacts": {"retrieval": "Disabled"},
        },
    });
    let resource = serde_json::from_value(resource).map_err(kube::Error::SerdeError)?;
    integrations
        .create(&PostParams::default(), &resource)
        .await
        .map(drop)
}

async fn remove(integrations: &Api<SalesforceIntegration>) -> Result<(), kube::Error> {
    match integrations.delete(NAME, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => deleted.map(drop),
    }
}

/// Reads the controller's verdict. Any verdict will do, because the test is whether one arrives.
fn verdict(resource: &SalesforceIntegration) -> Finding {
    resource
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|condition| condition.type_ == "Ready")
        .map(|ready| ready.reason.clone())
        .ok_or_else(|| "it has no condition Ready".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lease_that_was_renewed_in_time_has_a_leader() {
        let lease = |holder: &str| -> Lease {
            serde_json::from_value(json!({"spec": {
                "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z",
            }}))
            .unwrap()
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (in_time, late) = (at("2026-01-01T00:00:15Z"), at("2026-01-01T00:00:16Z"));
        assert_eq!(leader(&lease("a"), in_time), Some("a"));
        assert_eq!(leader(&lease("a"), late), None);
        assert_eq!(leader(&lease(""), in_time), None, "it was given back");
        assert_eq!(leader(&Lease::default(), in_time), None);
    }
}
