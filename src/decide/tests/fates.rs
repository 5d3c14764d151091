//! The ends of pods, as the cluster reports them, and the status that the tenant reads: each end
//! has its own code and remedy.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::api::status::LastRun;
use crate::decide::runs::stuck::judge_pending;
use crate::decide::runs::{Runs, judge_job_without_pod, judge_pod, lingering, stuck};

const BEGAN: &str = "2027-01-15T08:00:00Z";
const ENDED: &str = "2027-01-15T08:00:05Z";

fn labels() -> Value {
    json!({"switchboard.dev/run": "lookup", "batch.kubernetes.io/job-name": "acme-lookup-1"})
}

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "labels": labels(), "creationTimestamp": BEGAN},
        "status": status,
    }))
    .unwrap()
}

/// A pod whose container ended.
fn terminated(exit_code: i32, reason: &str, message: &str) -> Value {
    json!({"phase": "Failed", "containerStatuses": [container(json!({"terminated": {
        "exitCode": exit_code, "reason": reason, "message": message, "startedAt": BEGAN, "finishedAt": ENDED,
    }}))]})
}

/// A pod whose container waits.
fn waiting(reason: &str) -> Value {
    json!({"phase": "Pending", "startTime": BEGAN, "containerStatuses": [container(json!({"waiting": {
        "reason": reason, "message": "the cluster's words",
    }}))]})
}

fn container(state: Value) -> Value {
    json!({"name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn with(mut status: Value, key: &str, value: Value) -> Value {
    status[key] = value;
    status
}

#[test]
fn every_end_of_a_pod_is_told_apart() {
    let late = |status| {
        let status = with(status, "reason", "DeadlineExceeded".into());
        with(status, "phase", "Failed".into())
    };
    let disrupted = json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "preempted"}]);
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    let cases = [
        ("WorkerOutOfMemory", terminated(137, "OOMKilled", "")),
        ("WorkerEvicted", evicted),
        (
            "WorkerEvicted",
            with(terminated(143, "Error", ""), "conditions", disrupted),
        ),
        ("RunDeadlineExceeded", late(terminated(143, "Error", ""))),
        ("WorkerImageNotPulled", late(waiting("ImagePullBackOff"))),
        (
            "WorkerNotCreated",
            late(waiting("CreateContainerConfigError")),
        ),
        ("WorkerNotStarted", late(json!({"startTime": BEGAN}))),
        ("WorkerKilled", terminated(137, "Error", "")),
        ("ReportMissing", terminated(0, "Completed", "")),
        ("ReportMissing", terminated(1, "Error", "")),
        (
            "ReportInvalid",
            terminated(0, "Completed", "{\"version\": \"v1\""),
        ),
        ("PodLost", json!({"phase": "Failed"})),
    ];
    let mut remedies = HashSet::new();
    let mut codes = HashSet::new();
    for (code, status) in cases {
        let judged = judge_pod(&pod(status.clone())).unwrap_or_else(|| panic!("{status}"));
        assert_eq!(judged.outcome, code, "{status}: {}", judged.message);
        assert!(
            judged.message.ends_with('.') || code == "WorkerEvicted",
            "{}",
            judged.message
        );
        codes.insert(code);
        remedies.insert(Code::from(code).remedy());
    }
    // A container that was not created and one that did not start have the same remedy.
    assert_eq!(remedies.len(), codes.len() - 1);
    assert!(!remedies.contains(Code::from("no such code").remedy()));
}

#[test]
fn a_code_that_only_a_newer_worker_knows_reaches_the_tenant_as_it_is() {
    let note = |code: &str| Note {
        code: code.into(),
        message: "Said the newer worker.".into(),
    };
    let mut report = RunReport::begin(RunKind::Lookup, at(0));
    report.outcome = Outcome::Failed;
    report.error = Some(note("QuantumLinkLost"));
    report.api_calls = 1;
    report.warnings = vec![note("PhotonsFew")];
    let mut world = World::healthy();
    for (now, job) in [(60, "acme-lookup-1"), (120, "acme-lookup-2")] {
        let run = judge_pod(&pod(terminated(1, "Error", &report.to_json()))).unwrap();
        world.ended_runs = vec![EndedRun {
            job: job.into(),
            finished_at: at(now),
            ..run
        }];
        world.now = now;
        let plan = world.step(Ok(findings()));
        let status = plan.status;
        let general = Code::from("no such code").remedy();
        let error = &status.errors[0];
        assert_eq!(
            (error.code.as_str(), error.remedy.as_str()),
            ("QuantumLinkLost", general)
        );
        let synced = conditions::verdict(&status.conditions, SYNCED).unwrap();
        assert_eq!(synced.reason, Reason::RunFailed);
        assert_eq!(synced.message, "QuantumLinkLost: Said the newer worker.");
        assert_eq!(status.last_run.unwrap().outcome, "QuantumLinkLost");
        assert!(
            plan.notices
                .iter()
                .any(|notice| notice.reason == "QuantumLinkLost")
        );
        let warnings: Vec<(&str, &str)> = status
            .warnings
            .iter()
            .map(|warning| (warning.code.as_str(), warning.remedy.as_str()))
            .collect();
        assert_eq!(warnings, [("PhotonsFew", general)], "after {job}");
    }
}

#[test]
fn a_job_without_a_pod_never_started_or_lost_it() {
    let judged = |reason: &str| {
        let job: Job = serde_json::from_value(json!({
            "metadata": {"name": "acme-lookup-1", "labels": labels()},
            "status": {"startTime": BEGAN, "conditions": [
                {"type": "Failed", "status": "True", "reason": reason, "lastTransitionTime": ENDED},
            ]},
        }))
        .unwrap();
        let run = judge_job_without_pod(&job).unwrap();
        (
            run.outcome.clone(),
            run.started_at.is_some(),
            run.api_calls(),
        )
    };
    assert_eq!(
        judged("DeadlineExceeded"),
        ("WorkerNotStarted".into(), false, 0)
    );
    assert_eq!(judged("BackoffLimitExceeded"), ("PodLost".into(), true, 60));
}

#[test]
fn a_pod_that_does_not_start_is_told_from_one_that_is_about_to() {
    let unscheduled = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": BEGAN,
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    }]});
    for (code, patience, status) in [
        ("WorkerUnschedulable", 60, unscheduled),
        ("WorkerImageNotPulled", 60, waiting("ErrImagePull")),
        ("WorkerImageNotPulled", 60, waiting("ImagePullBackOff")),
        ("WorkerImageNotPulled", 60, waiting("InvalidImageName")),
        (
            "WorkerNotCreated",
            60,
            waiting("CreateContainerConfigError"),
        ),
        ("WorkerNotStarted", 180, waiting("ContainerCreating")),
    ] {
        let stuck = judge_pending(&pod(status)).unwrap();
        assert_eq!(stuck.code.code(), code);
        let began: Timestamp = BEGAN.parse().unwrap();
        assert_eq!(stuck.due, began + Duration::from_secs(patience), "{code}");
        assert!(stuck.message.ends_with('.'), "{}", stuck.message);
        assert_ne!(
            Code::from(code).remedy(),
            Code::from("no such code").remedy()
        );
    }
    for status in [
        json!({"phase": "Pending"}),
        json!({"phase": "Running", "containerStatuses": [container(json!({"running": {}}))]}),
        waiting("PodInitializing"),
        terminated(0, "Completed", ""),
    ] {
        assert_eq!(judge_pending(&pod(status.clone())), None, "{status}");
    }
}

#[test]
fn a_run_that_was_taken_in_is_over_although_its_job_does_not_say_so_yet() {
    let job = |conditions: Value| -> Vec<Arc<Job>> {
        let job = json!({
            "metadata": {"name": "acme-lookup-1", "labels": labels(), "creationTimestamp": BEGAN},
            "status": {"startTime": BEGAN, "conditions": conditions},
        });
        vec![Arc::new(serde_json::from_value(job).unwrap())]
    };
    let failed =
        json!([{"type": "Failed", "status": "True", "lastTransitionTime": "2027-01-15T08:00:09Z"}]);
    let killed = [Arc::new(pod(terminated(137, "Error", "")))];
    let names = |runs: &Runs| (runs.ended.len(), runs.active.len(), runs.over.len());
    let none_recorded = |_: &str| false;

    let runs = Runs::sort(job(json!([])), &[], &[], None, none_recorded);
    assert_eq!(names(&runs), (0, 1, 0), "its pod is yet to come");
    let late = runs.stuck[0].due.duration_since(BEGAN.parse().unwrap());
    assert_eq!(
        (runs.stuck[0].code.code(), late.as_secs()),
        ("PodNotCreated", 180),
        "if it never comes, a quota is in the way"
    );
    let coming = [Arc::new(pod(json!({"phase": "Pending"})))];
    assert_eq!(
        Runs::sort(job(json!([])), &coming, &[], None, none_recorded).stuck,
        []
    );
    let runs = Runs::sort(job(json!([])), &killed, &[], None, none_recorded);
    assert_eq!(names(&runs), (1, 0, 1));
    let last = runs.ended[0].as_last_run();
    for conditions in [json!([]), failed.clone()] {
        let is_recorded = |job: &str| runs.over.contains(job);
        let runs = Runs::sort(job(conditions.clone()), &[], &[], None, is_recorded);
        assert_eq!(names(&runs), (0, 0, 1), "{conditions}");
    }
    let runs = Runs::sort(job(json!([])), &[], &[], Some(&last), none_recorded);
    assert_eq!(names(&runs), (0, 0, 1), "after a restart");
    let runs = Runs::sort(job(failed), &[], &[], None, none_recorded);
    assert_eq!(runs.ended[0].outcome, "PodLost");
    let results = [judge_pod(&killed[0]).unwrap()];
    for conditions in [json!([]), json!([{"type": "Failed", "status": "True"}])] {
        let runs = Runs::sort(job(conditions), &[], &results, None, none_recorded);
        assert_eq!(
            (runs.ended.as_slice(), runs.active.len()),
            (&results[..], 0),
            "its pod went after it had said so"
        );
    }
    let earlier = [EndedRun {
        finished_at: at(-100_000_000),
        ..results[0].clone()
    }];
    let runs = Runs::sort(job(json!([])), &[], &earlier, None, none_recorded);
    assert_eq!(names(&runs), (0, 1, 0), "another of the same name said so");
    let running = [Arc::new(pod(json!({"phase": "Running"})))];
    let failed = json!([{"type": "Failed", "status": "True"}]);
    let runs = Runs::sort(job(failed), &running, &[], None, none_recorded);
    assert_eq!(names(&runs), (0, 0, 0), "its pod has yet to report");
    let namesake = LastRun {
        finished_at: Some(Time(at(-100_000_000))),
        ..last.clone()
    };
    let runs = Runs::sort(job(json!([])), &[], &[], Some(&namesake), none_recorded);
    assert_eq!(names(&runs), (0, 1, 0), "another of the same name was last");
    let mut had_one = job(json!([]));
    let status = json!({"startTime": BEGAN, "active": 1, "uncountedTerminatedPods": {}});
    Arc::make_mut(&mut had_one[0]).status = serde_json::from_value(status).unwrap();
    let runs = Runs::sort(had_one, &[], &[], None, none_recorded);
    assert_eq!(
        (runs.active.len(), runs.stuck.len()),
        (1, 0),
        "its pod went"
    );
    let complete = json!([{"type": "Complete", "status": "True"}]);
    let runs = Runs::sort(job(complete), &[], &[], None, none_recorded);
    assert_eq!(
        names(&runs),
        (0, 0, 0),
        "nobody has heard what its pod reports"
    );
}

#[test]
fn a_run_that_goes_on_is_looked_at_in_case_its_pod_says_nothing() {
    let mut world = World::healthy();
    let mut job = Job::default();
    job.metadata.creation_timestamp = Some(Time(at(10)));
    world.active_jobs = vec![Arc::new(job)];
    world.now = 12;
    let plan = world.step(Ok(findings()));
    assert_eq!(plan.requeue_after, Duration::from_secs(179));
}

#[test]
fn a_pod_that_hangs_is_told_after_a_minute_once_and_the_run_after_it_makes_up_for_it() {
    let mut world = World::healthy();
    world.stuck_runs = vec![StuckRun {
        job: "acme-lookup-1".into(),
        kind: RunKind::Lookup,
        due: at(90),
        code: Reason::WorkerImageNotPulled,
        message: "The node cannot pull the image.".into(),
    }];
    world.now = 40;
    let plan = world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
    assert!(
        plan.requeue_after <= Duration::from_secs(51),
        "{:?}",
        plan.requeue_after
    );
    for now in [91, 200] {
        world.now = now;
        let plan = world.step(Ok(findings()));
        assert_eq!(
            (world.condition(SYNCED), world.condition(STALLED)),
            (Some((Truth::False, "RunFailed".into())), None)
        );
        let error = &plan.status.errors[0];
        assert_eq!(
            (error.code.as_str(), error.count),
            ("WorkerImageNotPulled", 1)
        );
        assert_eq!(plan.notices.is_empty(), now == 200, "told once");
    }
    world.stuck_runs.clear();
    world.ended_runs = vec![ended("acme-lookup-1", 290, "Succeeded")];
    world.now = 300;
    world.step(Ok(findings()));
    assert_eq!(world.condition(READY).unwrap().0, Truth::True);
}

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
        assert!(judge_pod(&pod).is_some());
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
        let runs = Runs::sort(vec![job("u")], &pods, &[], None, |_| false);
        let lost = [judge_pod(pod).unwrap()];
        let later = Runs::sort(vec![job("u")], &[], &lost, None, |_| false);
        assert_eq!(runs.ended.len(), later.ended.len());
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
