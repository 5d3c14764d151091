//! A whole reconcile against a simulated API server.

use std::sync::Arc;

use http::{Method, Request, Response};
use k8s_openapi::api::batch::v1::CronJob;
use kube::Client;
use kube::client::Body;
use kube::runtime::reflector;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SetOnce};

use super::login_record::withheld;
use super::*;
use crate::api::fixtures::integration;
use crate::controller::cluster::events::Recorder;
use crate::controller::cluster::login_store::LoginStore;
use crate::controller::context::access::ScopeAccess;
use crate::controller::context::directory::DirectoryTrust;
use crate::controller::context::mail::Mail;
use crate::controller::context::metrics::Metrics;
use crate::controller::context::prover::Prover;
use crate::controller::context::stores::Stores;
use crate::controller::context::user_logins::UserLogins;
use crate::controller::memory::child_store::{ChildStore, owner};
use crate::controller::memory::index::WatchedKind;
use crate::controller::memory::{fingerprint_of, observed_write};
use crate::controller::queue::error_policy;
use crate::decide::children::summarize;
use crate::decide::rules::config::Config;
use crate::directory::TokenKeys;
use crate::salesforce::{DialPolicy, FingerprintKey, LoginWithheld, Transport};
use crate::shard::Shard;
use crate::telemetry::testing::Log;

const PASSWORD: &str = "marker-password";

fn failure(code: u16) -> Response<Body> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "m", "reason": "r"});
    answer(code, &body)
}

fn answer(code: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(code);
    answer
        .body(Body::from(body.to_string().into_bytes()))
        .unwrap()
}

/// A controller with one integration whose status cannot be written.
fn context(resource: SalesforceIntegration, refusal: u16) -> Arc<Context> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "acme-salesforce", "namespace": "tenant", "resourceVersion": "1"},
        "data": {"password": k8s_openapi::ByteString(PASSWORD.into())}
    });
    let newer = serde_json::to_value(&resource).unwrap();
    let service = tower::service_fn(move |request: Request<Body>| {
        let is_secret = request.uri().path().contains("/secrets/");
        let is_logbook = request.uri().path().contains("/configmaps");
        let answer = match *request.method() {
            _ if is_logbook => answer(200, &json!({"metadata": {"resourceVersion": "1"}})),
            Method::GET if is_secret => answer(200, &secret),
            Method::GET => answer(200, &newer),
            _ => failure(refusal),
        };
        async move { Ok::<_, std::io::Error>(answer) }
    });
    context_of(Client::new(service, "tenant"), resource)
}

/// A controller with one integration.
fn context_of(client: Client, resource: SalesforceIntegration) -> Arc<Context> {
    let metrics = Arc::new(Metrics::default());
    let (integrations, mut writer) = reflector::store();
    for event in [Event::Init, Event::InitApply(resource), Event::InitDone] {
        writer.apply_watcher_event(&event);
    }
    let stores = Stores {
        integrations,
        listed: Arc::new(SetOnce::new_with(Some(()))),
        cron_jobs: Arc::new(ChildStore::default()),
        jobs: Arc::new(ChildStore::default()),
        pods: Arc::new(ChildStore::default()),
        secrets: Arc::new(SetOnce::new_with(Some(()))),
        access: ScopeAccess::of(None, Arc::clone(&metrics)),
    };
    let done = Event::<Job>::InitDone;
    stores.cron_jobs.on_event(&done, |_| unreachable!());
    stores.jobs.on_event(&done, Job::clone);
    stores.pods.on_event(&done, |_| unreachable!());
    let policy = DialPolicy::new(&["127.0.0.1".to_owned()], true, None).unwrap();
    let transport = Transport::new(policy).unwrap();
    Arc::new(Context::new(
        client.clone(),
        Recorder::new(client.clone(), "test".into()),
        Config::default(),
        Shard::WHOLE,
        Prover::new(transport, Arc::clone(&metrics)),
        FingerprintKey::new([7; 32]),
        TokenKeys::parse("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=").unwrap(),
        DirectoryTrust::new(None),
        vec![stores],
        Mail::new(None, Arc::clone(&metrics)),
        UserLogins::new(
            LoginStore::new(client, "switchboard-system".into()),
            Shard::WHOLE,
        ),
        metrics,
    ))
}

#[tokio::test]
async fn of_an_integration_that_is_deleted_while_its_reconcile_fails_nothing_is_kept() {
    let here = integration("acme");
    let gone = integration("gone");
    let context = context(here.clone(), 500);
    let failed = || Error::Gone;
    error_policy(&here, &failed(), &context);
    assert!(!context.memory.is_empty(), "its back-off is kept");
    context.memory.forget(&Key::of(&here));
    error_policy(&gone, &failed(), &context);
    assert!(context.memory.is_empty());
}

#[tokio::test]
async fn a_log_in_that_cannot_be_put_on_record_is_not_sent_and_every_line_says_whose() {
    let salesforce = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut resource = integration("acme");
    resource.spec.salesforce.login_url =
        Some(format!("http://{}", salesforce.local_addr().unwrap()));
    let key = Key::of(&resource);
    let permits = Semaphore::new(1);
    for (refusal, why) in [
        (409, "another writes the record"),
        (500, "could not be put on record"),
    ] {
        let log = Log::start("switchboard=trace");
        let context = context(resource.clone(), refusal);
        let error = reconcile(&key, context, &permits).await.unwrap_err();
        let Error::Status(kube::Error::Api(status)) = &error else {
            panic!("the controller's own error is lost: {error:?}");
        };
        assert_eq!(status.code, refusal);
        assert!(futures::FutureExt::now_or_never(salesforce.accept()).is_none());

        assert_eq!(
            log.saying("proving the connection").len(),
            1,
            "{}",
            log.text()
        );
        let [not_sent] = log.saying("no log-in is sent").try_into().unwrap();
        let told = not_sent["withheld"].as_str().unwrap();
        assert!(told.contains(why), "{told}");
        for line in log.lines() {
            let of = (&line["span"], &line["namespace"], &line["name"]);
            assert_eq!(
                of,
                (&json!("reconcile"), &json!("tenant"), &json!("acme")),
                "{line}"
            );
        }
        assert!(!log.text().contains(PASSWORD), "{}", log.text());
    }
    assert_eq!(withheld(&Error::Gone), LoginWithheld::Overtaken);
}

/// A log-in that is on record and not sent would count for an hour.
#[tokio::test]
async fn a_status_whose_answer_is_lost_is_written_if_it_stands() {
    let resource = integration("acme");
    let mut status = resource.status.clone().unwrap_or_default();
    status.last_handled_test_at = Some("now".into());
    for (is_done, code) in [
        (true, None),
        (true, Some(500)),
        (false, None),
        (false, Some(500)),
        (true, Some(403)),
    ] {
        let mut stands = resource.clone();
        if is_done {
            stands.status = Some(status.clone());
        }
        stands.metadata.resource_version = Some("8".into());
        let stands = serde_json::to_value(&stands).unwrap();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = match (request.method(), code) {
                (&Method::GET, _) => Ok(answer(200, &stands)),
                (_, Some(code)) => Ok(failure(code)),
                (_, None) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            };
            async move { answer }
        });
        let context = context_of(Client::new(service, "tenant"), resource.clone());
        let written = super::status::write_status(&context, &resource, &status).await;
        match is_done && code != Some(403) {
            true => {
                let written = written.unwrap().unwrap();
                assert_eq!(written.resource_version().as_deref(), Some("8"));
            }
            false => assert!(matches!(written, Err(Error::Status(_))), "{written:?}"),
        }
    }
}

/// While the watch of CronJobs was silent the way to retrieve contacts changed twice, and a CronJob
/// of the way between stayed: its event came as that of an own write.
#[tokio::test]
async fn a_cron_job_that_shows_after_it_was_wanted_is_looked_at_and_one_that_shows_at_once_is_not()
{
    let acme = integration("acme");
    let context = context(acme.clone(), 500);
    let written: CronJob = serde_json::from_value(json!({
        "metadata": {
            "name": "acme-lookup", "namespace": "tenant", "generation": 1,
            "labels": {"switchboard.dev/integration": "acme"},
        },
        "spec": {"schedule": "0 1 * * *", "jobTemplate": {}},
    }))
    .unwrap();
    let brings_a_look = || {
        let key = Key::of(&written);
        let fingerprint = fingerprint_of(&written);
        let mut index = context.index();
        index.changed(WatchedKind::CronJob, key, owner(&written), &fingerprint)
    };
    observed_write(&mut context.index(), &written);
    assert!(!brings_a_look(), "it is an own write");
    observe::look_at_late_cron_jobs(&context, &acme);
    assert!(brings_a_look(), "it was not shown when it was decided");

    let shown = Event::Apply(written.clone());
    context.stores[0].cron_jobs.on_event(&shown, summarize);
    observe::look_at_late_cron_jobs(&context, &acme);
    assert!(!brings_a_look(), "the decision knew of it");
}
