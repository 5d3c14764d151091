//! What a cluster does to the pods of runs: sidecars that go on, pods and Jobs that it does not
//! make, pods that only look like ours.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::fates::{BEGAN, ENDED, container, labels, later, pod, terminated, waiting};
use super::*;
use crate::decide::runs::stuck::judge_pending;
use crate::decide::runs::{Runs, judge_pod, lingering, stuck};

/// A pod whose worker ended, with another container in this state.
fn beside_the_worker(state: Value) -> Pod {
    let mut status = terminated(0, "Completed", "");
    status["phase"] = "Running".into();
    let mut other = container(state);
    other["name"] = "proxy".into();
    let all = status["containerStatuses"].as_array_mut().unwrap();
    all.insert(0, other);
    pod(status)
}

#[test]
fn the_report_counts_when_the_worker_ended_whatever_the_other_containers_do() {
    for state in [json!({"running": {}}), json!({"waiting": {}}), json!({})] {
        let pod = beside_the_worker(state);
        assert!(judge_pod(&pod, later()).is_some());
        let lingering = lingering::judge(&pod).unwrap();
        assert_eq!(lingering.containers, ["proxy"]);
        assert_eq!(lingering.since, ENDED.parse::<Timestamp>().unwrap());
    }
    let ended = json!({"terminated": {"exitCode": 0}});
    assert_eq!(lingering::judge(&beside_the_worker(ended)), None);
    let mut deleted = beside_the_worker(json!({"running": {}}));
    deleted.metadata.deletion_timestamp = Some(Time(at(0)));
    assert_eq!(lingering::judge(&deleted), None);
    assert_eq!(lingering::judge(&pod(terminated(0, "Completed", ""))), None);
}

#[test]
fn a_container_that_goes_on_gets_half_a_minute_and_is_named_until_a_run_ends_without_it() {
    let mut world = World::healthy();
    world.now = 100;
    world.ended_runs = vec![ended("acme-lookup-1", 100, "Succeeded")];
    world.lingering = vec![Lingering {
        job: "acme-lookup-1".into(),
        job_uid: Some("u".into()),
        kind: RunKind::Lookup,
        since: at(100),
        containers: vec!["proxy".into()],
    }];
    let plan = world.step(Ok(findings()));
    assert_eq!((plan.end_jobs.len(), plan.status.warnings.len()), (0, 0));
    assert_eq!(plan.status.last_run.as_ref().unwrap().outcome, "Succeeded");
    assert!(plan.requeue_after <= Duration::from_secs(31));
    world.now = 130;
    let plan = world.step(Ok(findings()));
    assert_eq!(
        plan.end_jobs,
        [EndJob {
            name: "acme-lookup-1".into(),
            uid: Some("u".into())
        }]
    );
    let warning = &plan.status.warnings[0];
    assert_eq!(warning.code, "ContainerStillRuns");
    assert!(warning.message.contains("\"proxy\""), "{}", warning.message);
    assert!(warning.remedy.contains("worker.podTemplate.annotations"));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);

    world.lingering.clear();
    world.ended_runs.clear();
    world.now = 150;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.warnings.len(), 1, "the Job is gone");
    world.ended_runs = vec![ended("acme-lookup-2", 200, "Succeeded")];
    world.settled_jobs = BTreeSet::from(["acme-lookup-2".to_owned()]);
    world.now = 200;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.status.warnings, []);
}

#[test]
fn the_clusters_own_words_on_a_pod_that_it_does_not_make_are_told_at_once() {
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "acme-lookup-1", "labels": labels(), "creationTimestamp": BEGAN},
        "status": {"startTime": BEGAN},
    }))
    .unwrap();
    let stuck = stuck::judge_without_pod(&job).unwrap();
    let began: Timestamp = BEGAN.parse().unwrap();
    let after = |seconds| began + Duration::from_secs(seconds);
    assert!(!stuck.is_in_question(after(2)), "every Job is young once");
    assert_eq!(stuck.next_question(after(0)), Some(after(3)));
    assert!(stuck.is_in_question(after(3)));
    assert_eq!(stuck.next_question(after(3)), Some(after(15)));
    assert_eq!(stuck.next_question(after(60)), None);
    let words = "pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: worker";
    let told = stuck.explained(&format!("{words}\u{1b}[2J"));
    assert_eq!(told.due, began);
    assert!(told.message.contains(words), "{}", told.message);
    assert!(!told.message.contains('\u{1b}'));
}

#[test]
fn a_container_before_the_worker_that_hangs_is_named() {
    let initializing = |state: Value| {
        let mut status = waiting("PodInitializing");
        let mut before = container(state);
        before["name"] = "mesh-init".into();
        status["initContainerStatuses"] = json!([before]);
        judge_pending(&pod(status))
    };
    for state in [
        json!({"running": {}}),
        json!({"terminated": {"exitCode": 1}}),
    ] {
        let stuck = initializing(state).unwrap();
        assert_eq!(stuck.code, Reason::WorkerNotStarted);
        assert!(stuck.message.contains("\"mesh-init\""), "{}", stuck.message);
    }
    assert_eq!(initializing(json!({"terminated": {"exitCode": 0}})), None);
}

#[test]
fn a_pod_that_others_labelled_reports_nothing() {
    let mut owned = pod(terminated(0, "Completed", ""));
    let job = |uid: &str| -> Arc<Job> {
        let metadata = json!({"name": "acme-lookup-1", "uid": uid, "labels": labels(), "creationTimestamp": BEGAN});
        Arc::new(serde_json::from_value(json!({"metadata": metadata})).unwrap())
    };
    let ended = |pod: &Pod| {
        let pods = [Arc::new(pod.clone())];
        let runs = Runs::sort(vec![job("u")], &pods, &[], None, |_| false, later());
        let lost = [judge_pod(pod, later()).unwrap()];
        let again = Runs::sort(vec![job("u")], &[], &lost, None, |_| false, later());
        assert_eq!(runs.ended.len(), again.ended.len());
        runs.ended.len()
    };
    assert_eq!(ended(&owned), 0);
    let owner =
        json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "acme-lookup-1", "uid": "u"}]);
    owned.metadata.owner_references = serde_json::from_value(owner).unwrap();
    assert_eq!(ended(&owned), 1);
}

#[test]
fn a_job_that_gets_no_pod_goes_when_other_things_are_set_for_its_pods() {
    let mut world = World::healthy();
    let plan = world.step(Ok(findings()));
    let template = plan.cron_job.unwrap().spec.unwrap().job_template;
    let mut job = Job {
        metadata: template.metadata.unwrap(),
        ..Job::default()
    };
    job.metadata.name = Some("acme-lookup-1".into());
    job.metadata.uid = Some("u".into());
    world.active_jobs = vec![Arc::new(job)];
    world.stuck_runs = vec![StuckRun {
        job: "acme-lookup-1".into(),
        kind: RunKind::Lookup,
        due: at(10),
        code: Reason::PodNotCreated,
        message: "must specify limits.cpu".into(),
    }];
    world.now = 20;
    let status = world.resource.status.as_mut().unwrap();
    status.last_handled_run_at = Some("now".into());
    status.requested_run = Some(crate::api::status::RequestedRun {
        job: "acme-lookup-1".into(),
        started_at: Time(at(5)),
    });
    world.ask(RUN_REQUESTED_AT, "now");
    assert_eq!(world.step(Ok(findings())).end_jobs, []);
    world.config.worker_memory = "64Mi".into();
    let ended = world.step(Ok(findings())).end_jobs;
    assert_eq!(ended[0].name, "acme-lookup-1");
    world.active_jobs.clear();
    world.stuck_runs.clear();
    assert!(world.step(Ok(findings())).run.is_some(), "asked for still");
}
