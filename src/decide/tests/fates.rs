//! The ends of pods, as the cluster reports them, and the status that the tenant reads: each end
//! has its own code and remedy.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::api::status::LastRun;
use crate::decide::runs::stuck::judge_pending;
use crate::decide::runs::{Runs, judge_job_without_pod, judge_pod};

pub(super) const BEGAN: &str = "2027-01-15T08:00:00Z";
pub(super) const ENDED: &str = "2027-01-15T08:00:05Z";

/// A time after all ends in this file.
pub(super) fn later() -> Timestamp {
    at(3_600)
}

pub(super) fn labels() -> Value {
    json!({"switchboard.dev/run": "lookup", "batch.kubernetes.io/job-name": "acme-lookup-1"})
}

pub(super) fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "labels": labels(), "creationTimestamp": BEGAN},
        "status": status,
    }))
    .unwrap()
}

/// A pod whose container ended.
pub(super) fn terminated(exit_code: i32, reason: &str, message: &str) -> Value {
    json!({"phase": "Failed", "containerStatuses": [container(json!({"terminated": {
        "exitCode": exit_code, "reason": reason, "message": message, "startedAt": BEGAN, "finishedAt": ENDED,
    }}))]})
}

/// A pod whose container waits.
pub(super) fn waiting(reason: &str) -> Value {
    json!({"phase": "Pending", "startTime": BEGAN, "containerStatuses": [container(json!({"waiting": {
        "reason": reason, "message": "the cluster's words",
    }}))]})
}

pub(super) fn container(state: Value) -> Value {
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
        let judged = judge_pod(&pod(status.clone()), later()).unwrap_or_else(|| panic!("{status}"));
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

/// The kubelet tells of the container first, and of the pod and the reason a moment later.
#[test]
fn a_container_that_was_ended_after_its_pods_deadline_was_ended_by_it() {
    let interrupted = RunReport {
        outcome: Outcome::Interrupted,
        ..RunReport::begin(RunKind::Lookup, at(0))
    };
    let interrupted = interrupted.to_json();
    let began: Timestamp = BEGAN.parse().unwrap();
    let ended: Timestamp = ENDED.parse().unwrap();
    let lasted = ended.duration_since(began).as_secs();
    for (code, deadline, status) in [
        (
            "RunDeadlineExceeded",
            lasted - 1,
            terminated(4, "Error", &interrupted),
        ),
        ("RunDeadlineExceeded", lasted, terminated(137, "Error", "")),
        (
            "WorkerKilled",
            lasted + 1,
            terminated(4, "Error", &interrupted),
        ),
        ("WorkerKilled", lasted + 1, terminated(137, "Error", "")),
        (
            "WorkerOutOfMemory",
            lasted - 1,
            terminated(137, "OOMKilled", ""),
        ),
        ("ReportMissing", lasted - 1, terminated(1, "Error", "")),
    ] {
        let status = with(status, "phase", "Running".into());
        let mut pod = pod(with(status, "startTime", BEGAN.into()));
        pod.spec.get_or_insert_default().active_deadline_seconds = Some(deadline);
        let judged = judge_pod(&pod, later()).unwrap();
        assert_eq!(judged.outcome, code, "{deadline}: {}", judged.message);
    }
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
        let run = judge_pod(&pod(terminated(1, "Error", &report.to_json())), later()).unwrap();
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

    let runs = Runs::sort(job(json!([])), &[], &[], None, none_recorded, later());
    assert_eq!(names(&runs), (0, 1, 0), "its pod is yet to come");
    let late = runs.stuck[0].due.duration_since(BEGAN.parse().unwrap());
    assert_eq!(
        (runs.stuck[0].code.code(), late.as_secs()),
        ("PodNotCreated", 180),
        "if it never comes, a quota is in the way"
    );
    let coming = [Arc::new(pod(json!({"phase": "Pending"})))];
    assert_eq!(
        Runs::sort(job(json!([])), &coming, &[], None, none_recorded, later()).stuck,
        []
    );
    let runs = Runs::sort(job(json!([])), &killed, &[], None, none_recorded, later());
    assert_eq!(names(&runs), (1, 0, 1));
    let last = runs.ended[0].as_last_run();
    for conditions in [json!([]), failed.clone()] {
        let is_recorded = |job: &str| runs.over.contains(job);
        let runs = Runs::sort(
            job(conditions.clone()),
            &[],
            &[],
            None,
            is_recorded,
            later(),
        );
        assert_eq!(names(&runs), (0, 0, 1), "{conditions}");
    }
    let runs = Runs::sort(
        job(json!([])),
        &[],
        &[],
        Some(&last),
        none_recorded,
        later(),
    );
    assert_eq!(names(&runs), (0, 0, 1), "after a restart");
    let runs = Runs::sort(job(failed), &[], &[], None, none_recorded, later());
    assert_eq!(runs.ended[0].outcome, "PodLost");
    let results = [judge_pod(&killed[0], later()).unwrap()];
    for conditions in [json!([]), json!([{"type": "Failed", "status": "True"}])] {
        let runs = Runs::sort(job(conditions), &[], &results, None, none_recorded, later());
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
    let runs = Runs::sort(job(json!([])), &[], &earlier, None, none_recorded, later());
    assert_eq!(names(&runs), (0, 1, 0), "another of the same name said so");
    let running = [Arc::new(pod(json!({"phase": "Running"})))];
    let failed = json!([{"type": "Failed", "status": "True"}]);
    let runs = Runs::sort(job(failed), &running, &[], None, none_recorded, later());
    assert_eq!(names(&runs), (0, 0, 0), "its pod has yet to report");
    let namesake = LastRun {
        finished_at: Some(Time(at(-100_000_000))),
        ..last.clone()
    };
    let runs = Runs::sort(
        job(json!([])),
        &[],
        &[],
        Some(&namesake),
        none_recorded,
        later(),
    );
    assert_eq!(names(&runs), (0, 1, 0), "another of the same name was last");
    let mut had_one = job(json!([]));
    let status = json!({"startTime": BEGAN, "active": 1, "uncountedTerminatedPods": {}});
    Arc::make_mut(&mut had_one[0]).status = serde_json::from_value(status).unwrap();
    let runs = Runs::sort(had_one, &[], &[], None, none_recorded, later());
    assert_eq!(
        (runs.active.len(), runs.stuck.len()),
        (1, 0),
        "its pod went"
    );
    let complete = json!([{"type": "Complete", "status": "True"}]);
    let runs = Runs::sort(job(complete), &[], &[], None, none_recorded, later());
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

/// A pod that ran for five seconds and left this report, changed by `change`.
fn reported(change: impl FnOnce(&mut Value)) -> EndedRun {
    let report = RunReport::begin(RunKind::Lookup, at(0));
    let mut report = serde_json::to_value(&report).unwrap();
    change(&mut report);
    judge_pod(
        &pod(terminated(0, "Completed", &report.to_string())),
        later(),
    )
    .unwrap()
}

#[test]
fn a_report_is_believed_as_far_as_it_can_be_true() {
    let usage = |used: u64, limit: u64, second: i64| json!({"used": used, "limit": limit, "observedAt": at(second)});
    let honest = reported(|report| {
        report["usage"] = usage(16_000, 15_000, 5);
        report["urlLength"] = json!({"bytes": 16_384, "refused": 65_536});
        report["apiCalls"] = 60.into();
    });
    let report = honest.report.unwrap();
    assert_eq!(report.warnings, []);
    assert_eq!((report.api_calls, report.usage.unwrap().used), (60, 16_000));
    assert_eq!(report.url_length.unwrap().refused, Some(65_536));

    let forged: [(&str, Value, &str); 9] = [
        (
            "apiCalls",
            1_000_000.into(),
            "apiCalls 1000000 (at most 600)",
        ),
        ("remaining", u64::MAX.into(), "calls, numbers, remaining"),
        (
            "usage",
            usage(1, 1_000_000_000_000_000_000, 5),
            "usage 1 of 1000000000000000000",
        ),
        (
            "usage",
            usage(u64::MAX, 15_000, 5),
            "usage 18446744073709551615 of 15000",
        ),
        ("usage", usage(1, 0, 5), "usage 1 of 0"),
        (
            "usage",
            usage(1, 15_000, 400_000_000),
            "usage 1 of 15000 at 2039",
        ),
        ("usage", usage(1, 15_000, -60), "usage 1 of 15000 at 2027"),
        (
            "urlLength",
            json!({"bytes": 1}),
            "urlLength 1 (from 2000 to 200000)",
        ),
        (
            "urlLength",
            json!({"bytes": 16_384, "refused": 1}),
            "urlLength 1 (from 2000 to 200000)",
        ),
    ];
    for (field, value, said) in forged {
        let run = reported(|report| report[field] = value.clone());
        assert_eq!(run.outcome, "Succeeded", "{field}: the report is kept");
        let report = run.report.unwrap();
        let [warning] = report.warnings.as_slice() else {
            panic!("{field}: {:?}", report.warnings)
        };
        assert_eq!(warning.code, Reason::ReportValueRefused);
        assert!(warning.message.contains(said), "{}", warning.message);
        assert_eq!((report.usage, report.url_length), (None, None), "{field}");
        assert!(report.api_calls <= 600 && report.remaining <= 120_000);
    }
}

#[test]
fn the_warning_about_a_report_stands_in_the_status_until_the_next_one() {
    let mut world = World::healthy();
    let codes = |world: &World| -> Vec<String> {
        let warnings = &world.resource.status.as_ref().unwrap().warnings;
        warnings
            .iter()
            .map(|warning| warning.code.clone())
            .collect()
    };
    let run = |job: &str, now, change: &dyn Fn(&mut Value)| EndedRun {
        job: job.into(),
        finished_at: at(now),
        ..reported(|report| change(report))
    };
    world.now = 60;
    world.ended_runs = vec![run("one", 50, &|report| {
        report["urlLength"] = json!({"bytes": 1})
    })];
    world.step(Ok(findings()));
    assert_eq!(codes(&world), ["ReportValueRefused"]);
    world.now = 120;
    world.ended_runs = vec![run("two", 110, &|report| report["apiCalls"] = 1.into())];
    world.step(Ok(findings()));
    assert_eq!(codes(&world), [""; 0]);
}

#[test]
fn the_times_of_a_pod_lie_between_its_creation_and_now() {
    let ended = |started: &str, finished: &str| {
        let mut status = terminated(137, "Error", "");
        let times = &mut status["containerStatuses"][0]["state"]["terminated"];
        times["startedAt"] = started.into();
        times["finishedAt"] = finished.into();
        let run = judge_pod(&pod(status), later()).unwrap();
        (run.started_at.unwrap(), run.finished_at)
    };
    let began: Timestamp = BEGAN.parse().unwrap();
    assert_eq!(ended(BEGAN, ENDED), (began, ENDED.parse().unwrap()));
    assert_eq!(ended(BEGAN, "9999-12-30T00:00:00Z"), (began, later()));
    assert_eq!(
        ended("2038-01-19T03:14:07Z", "2038-01-19T03:14:07Z"),
        (later(), later())
    );
    assert_eq!(
        ended("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        (began, began)
    );
}
