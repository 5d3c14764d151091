//! What a cluster does by itself in a played world: CronJobs start Jobs, Jobs have pods, pods run a
//! worker that logs in and reports, and what has lost its owner goes.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

use super::cluster::{Kind, Place, now, owner_uid, seconds, text, time, written};
use super::salesforce::LogIn;
use super::world::{Task, World};
use crate::api::{API_CALLS, INTEGRATION_LABEL, RUN_LABEL};
use crate::decide::runs::labels::{CONTAINER, JOB_NAME};
use crate::run::{Note, Outcome, RunKind, RunReport};
use crate::salesforce::Meaning;

/// The next time after `after` at which a schedule of the operator's fires.
pub(super) fn fires_after(schedule: &str, zone: &TimeZone, after: Timestamp) -> Timestamp {
    let fields: Vec<&str> = schedule.split(' ').collect();
    let minutes: Vec<i8> = match fields[0].split_once("-59/") {
        Some((offset, period)) => {
            let (offset, period): (i8, usize) = (offset.parse().unwrap(), period.parse().unwrap());
            (offset..60).step_by(period).collect()
        }
        None if fields[0] == "*" => (0..60).collect(),
        None => vec![fields[0].parse().unwrap()],
    };
    let hour: Option<i8> = fields[1].parse().ok();
    let Some(hour) = hour else {
        let minute = after.as_second().div_euclid(60) * 60;
        return (1..=120)
            .map(|ahead| Timestamp::from_second(minute + 60 * ahead).unwrap())
            .find(|at| minutes.contains(&zone.to_datetime(*at).minute()))
            .unwrap();
    };
    let today = zone.to_datetime(after).date();
    (0..=3)
        .filter_map(|days| {
            let day = today.checked_add(days.days()).ok()?;
            let clock = day.at(hour, minutes[0], 0, 0);
            Some(clock.to_zoned(zone.clone()).ok()?.timestamp())
        })
        .find(|at| *at > after)
        .unwrap()
}

fn has(object: &Value, condition: &str) -> bool {
    let conditions = object.pointer("/status/conditions");
    let all = conditions.and_then(Value::as_array);
    all.is_some_and(|all| all.iter().any(|one| text(one, "/type") == condition))
}

fn is_over(job: &Value) -> bool {
    has(job, "Complete") || has(job, "Failed")
}

fn owner(kind: &str, object: &Value) -> Value {
    json!([{"apiVersion": "batch/v1", "kind": kind, "controller": true,
        "name": text(object, "/metadata/name"), "uid": text(object, "/metadata/uid")}])
}

// === impl World ===

impl World {
    /// Follows what was written since the last look.
    pub(super) fn follow(&mut self) {
        let changes = self.cluster.since(self.seen);
        self.seen = self.cluster.version();
        for change in changes {
            let object = change.after.as_ref().or(change.before.as_ref()).unwrap();
            let namespace = text(object, "/metadata/namespace");
            let place = Place::new(change.kind, namespace, text(object, "/metadata/name"));
            match (change.kind, &change.after) {
                (Kind::Job, Some(job)) if change.before.is_none() => {
                    self.runs_begun += 1;
                    self.note_allowance(job);
                    self.at(now() + seconds(1), Task::MakePod(place));
                }
                (Kind::CronJob | Kind::Secret, Some(made))
                    if change.before.is_none() && !self.owner_is_there(made) =>
                {
                    let uid = owner_uid(made).unwrap_or_default().to_owned();
                    self.at(now() + seconds(2), Task::Collect(uid));
                }
                (Kind::CronJob, Some(_)) => self.at(now(), Task::Cron(place)),
                (Kind::Integration | Kind::CronJob | Kind::Job, None) => {
                    let uid = text(object, "/metadata/uid").to_owned();
                    self.at(now() + seconds(2), Task::Collect(uid));
                }
                _ => {}
            }
        }
    }

    /// Whether the integration that owns an object exists, if one does.
    fn owner_is_there(&self, object: &Value) -> bool {
        let all = self.cluster.all(Kind::Integration);
        owner_uid(object).is_none_or(|uid| all.iter().any(|one| text(one, "/metadata/uid") == uid))
    }

    /// Deletes what an object owned that is gone.
    pub(super) fn collect(&mut self, uid: &str) {
        for kind in [Kind::CronJob, Kind::Job, Kind::Pod, Kind::Secret] {
            for object in self.cluster.all(kind) {
                if owner_uid(&object) == Some(uid) {
                    self.cluster.delete(&place_of(kind, &object));
                }
            }
        }
    }

    /// Starts the run of a CronJob that is due, as Kubernetes does: none while one is active, none
    /// after the starting deadline, and the last one that was missed within it.
    pub(super) fn cron(&mut self, place: &Place) {
        let Some(cron_job) = self.cluster.get(place) else {
            return;
        };
        if now() < self.no_crons_until {
            self.at(self.no_crons_until, Task::Cron(place.clone()));
            return;
        }
        let zone = TimeZone::get(text(&cron_job, "/spec/timeZone")).unwrap();
        let schedule = text(&cron_job, "/spec/schedule").to_owned();
        let next = fires_after(&schedule, &zone, now());
        self.at(next, Task::Cron(place.clone()));
        if cron_job["spec"]["suspend"] == true {
            return;
        }
        let deadline = cron_job["spec"]["startingDeadlineSeconds"].as_u64();
        let earliest = [
            time(&cron_job, "/metadata/creationTimestamp"),
            time(&cron_job, "/status/lastScheduleTime"),
            deadline.map(|deadline| now() - seconds(deadline)),
        ];
        let mut due = None;
        let mut at = earliest.into_iter().flatten().max().unwrap();
        loop {
            at = fires_after(&schedule, &zone, at);
            if at > now() {
                break;
            }
            due = Some(at);
        }
        let Some(due) = due else {
            return;
        };
        let active = self.jobs_of(&cron_job).any(|job| !is_over(&job));
        if active {
            // It is looked at again when the active one has ended.
            return;
        }
        let template = &cron_job["spec"]["jobTemplate"];
        let name = format!("{}-{}", place.name, due.as_second() / 60);
        let job = json!({
            "metadata": {
                "name": name, "namespace": place.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": owner("CronJob", &cron_job),
            },
            "spec": template["spec"],
            "status": {"startTime": written(now()), "active": 1},
        });
        self.cluster.put(Kind::Job, job);
        self.cluster.edit(place, |cron_job| {
            cron_job["status"] = json!({"lastScheduleTime": written(due), "active": [{"kind": "Job", "name": name}]});
        });
    }

    fn jobs_of(&self, cron_job: &Value) -> impl Iterator<Item = Arc<Value>> + use<> {
        let uid = text(cron_job, "/metadata/uid").to_owned();
        let jobs = self.cluster.all(Kind::Job);
        jobs.into_iter()
            .filter(move |job| owner_uid(job) == Some(&uid))
    }

    pub(super) fn make_pod(&mut self, place: &Place) {
        let Some(job) = self.cluster.get(place) else {
            return;
        };
        let template = &job["spec"]["template"];
        let name = format!("{}-pod", place.name);
        let mut labels = template["metadata"]["labels"].clone();
        labels[JOB_NAME] = place.name.clone().into();
        let pod = json!({
            "metadata": {"name": name, "namespace": place.namespace, "labels": labels,
                "annotations": template["metadata"]["annotations"], "ownerReferences": owner("Job", &job)},
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        });
        self.cluster.put(Kind::Pod, pod);
        let wait = 2 + self.dice.below(5);
        let pod = Place::new(Kind::Pod, &place.namespace, &name);
        self.at(now() + seconds(wait), Task::BeginPod(pod));
    }

    /// Starts the container of a pod once its Secrets are there and the node has room.
    pub(super) fn begin_pod(&mut self, place: &Place) {
        let Some(pod) = self.cluster.get(place) else {
            return;
        };
        let created = time(&pod, "/metadata/creationTimestamp").unwrap();
        let deadline = pod["spec"]["activeDeadlineSeconds"].as_u64().unwrap();
        if now() > created + seconds(deadline) {
            let status = json!({"phase": "Failed", "reason": "DeadlineExceeded", "conditions":
                [{"type": "PodScheduled", "status": "True", "lastTransitionTime": written(now())}]});
            self.end_pod_with(place, status);
            return;
        }
        let mut secrets = pod["spec"]["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| {
                let name = text(volume, "/secret/secretName");
                self.cluster
                    .get(&Place::new(Kind::Secret, &place.namespace, name))
            });
        let credentials = secrets.next().flatten();
        let tokens = secrets.next().flatten();
        drop(secrets);
        let (Some(credentials), Some(_)) = (credentials, tokens) else {
            self.at(now() + seconds(60), Task::BeginPod(place.clone()));
            return;
        };
        if now() < self.no_pods_until {
            self.at(now() + seconds(60), Task::BeginPod(place.clone()));
            return;
        }
        self.cluster.edit(place, |pod| {
            pod["status"] = json!({"phase": "Running", "startTime": written(now())});
        });
        let lasts = 3 + self.dice.below(40);
        let password = self.password_in(&credentials);
        let task = Task::EndPod(place.clone(), now(), password);
        self.at(now() + seconds(lasts), task);
    }

    /// Ends the worker of a pod: it has logged in with what its Secret had, and reports.
    pub(super) fn end_pod(&mut self, place: &Place, began: Timestamp, password: &str) {
        let Some(pod) = self.cluster.get(place) else {
            return;
        };
        if now() < self.evicts_until {
            let status = json!({"phase": "Failed", "reason": "Evicted", "message": "the node is short of memory",
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": written(now())}]});
            self.end_pod_with(place, status);
            self.cluster.delete(place);
            return;
        }
        let labels = &pod["metadata"]["labels"];
        let kind = match labels[RUN_LABEL].as_str() {
            Some("sync") => RunKind::Sync,
            _ => RunKind::Lookup,
        };
        let settings: Value = pod["spec"]["containers"][0]["env"]
            .as_array()
            .and_then(|all| {
                all.iter()
                    .find(|one| one["name"] == crate::run::SETTINGS_ENV)
            })
            .and_then(|one| serde_json::from_str(one["value"].as_str()?).ok())
            .unwrap();
        let user = text(&settings, "/salesforce/auth/password/username").to_owned();
        let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap();
        let mut report = RunReport::begin(kind, whole(began));
        report.finished_at = whole(now());
        let fails = |report: &mut RunReport, meaning: Meaning, refused: bool| {
            report.outcome = Outcome::Failed;
            report.login_refused = refused;
            report.error = Some(Note {
                code: meaning.into(),
                message: meaning.cause().into(),
            });
        };
        match self.salesforce.log_in(&user, password, false) {
            LogIn::Failed(meaning) => fails(&mut report, meaning, meaning.refuses_login()),
            LogIn::Good => {
                let org = self.salesforce.user(&user).org;
                let state = self.salesforce.org(org);
                let work = 1 + self.dice.below(self.work);
                let allowance = pod["metadata"]["annotations"][API_CALLS].as_str();
                let allowance = allowance.map_or(u64::MAX, |text| text.parse().unwrap());
                report.api_calls = work.min(allowance);
                report.usage = Some(self.salesforce.spend(org, report.api_calls));
                if now() < state.no_quota_until {
                    fails(&mut report, Meaning::RequestLimitExceeded, false);
                } else if work > allowance {
                    report.outcome = Outcome::BudgetExhausted;
                }
            }
        }
        let code = i32::from(report.outcome != Outcome::Succeeded);
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status = json!({"phase": phase, "containerStatuses": [{
            "name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "message": report.to_json(),
                "startedAt": written(began), "finishedAt": written(now())}}}]});
        self.end_pod_with(place, status);
    }

    fn end_pod_with(&mut self, place: &Place, status: Value) {
        let good = status["phase"] == "Succeeded";
        self.cluster.edit(place, |pod| pod["status"] = status);
        let job = place.name.trim_end_matches("-pod").to_owned();
        let job = Place::new(Kind::Job, &place.namespace, &job);
        self.at(now() + seconds(1), Task::EndJob(job, good));
    }

    pub(super) fn end_job(&mut self, place: &Place, good: bool) {
        let type_ = if good { "Complete" } else { "Failed" };
        self.cluster.edit(place, |job| {
            job["status"] = json!({"startTime": job["status"]["startTime"], "conditions": [{"type": type_,
                "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": written(now())}]});
        });
        let Some(job) = self.cluster.get(place) else {
            return;
        };
        if let Some(kept) = job["spec"]["ttlSecondsAfterFinished"].as_u64() {
            self.at(now() + seconds(kept), Task::Delete(place.clone()));
            return;
        }
        let owner = owner_uid(&job).unwrap_or_default().to_owned();
        let cron_jobs = self.cluster.all(Kind::CronJob);
        let cron_job = cron_jobs
            .into_iter()
            .find(|one| text(one, "/metadata/uid") == owner);
        let Some(cron_job) = cron_job else {
            return;
        };
        let mut ended: Vec<Arc<Value>> = self
            .jobs_of(&cron_job)
            .filter(|job| has(job, type_))
            .collect();
        ended.sort_by_key(|job| time(job, "/metadata/creationTimestamp"));
        let kept = if good { 1 } else { 3 };
        let too_many = ended.len().saturating_sub(kept);
        for job in &ended[..too_many] {
            self.cluster.delete(&place_of(Kind::Job, job));
        }
        self.cluster
            .edit(&place_of(Kind::CronJob, &cron_job), |cron_job| {
                cron_job["status"]["active"] = json!([]);
            });
    }

    fn note_allowance(&mut self, job: &Value) {
        let name = job["metadata"]["labels"][INTEGRATION_LABEL].as_str();
        let (Some(name), Some(calls)) = (name, job["metadata"]["annotations"][API_CALLS].as_str())
        else {
            return;
        };
        let key = (text(job, "/metadata/namespace").to_owned(), name.to_owned());
        let calls: u64 = calls.parse().unwrap();
        self.allowed.push((now(), key, calls));
        let day = SignedDuration::from_hours(24);
        self.allowed
            .retain(|(at, _, _)| now().duration_since(*at) < day);
    }
}

pub(super) fn place_of(kind: Kind, object: &Value) -> Place {
    Place::new(
        kind,
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    )
}
