//! Whose an object is that stands under a name that the controller uses. What does not belong to
//! the integration is neither changed nor deleted (docs/adr/0025).

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use super::live::LiveCronJob;
use super::tokens::{CA_KEY, DIRECTORY_CA_KEY};
use crate::api::{ADOPT, INTEGRATION_LABEL, SalesforceIntegration};

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// The integration's: it has its owner reference.
    Ours,
    /// Somebody else's, who gives it to the integration by the annotation [`ADOPT`].
    Offered,
    /// That of a deleted integration of the same name. The cluster will delete it.
    OfPredecessor,
    /// Somebody else's. The value names the object that manages it, if there is one.
    Foreign(Option<String>),
}

/// Returns whose an object with this metadata is.
pub(crate) fn ownership(found: &ObjectMeta, resource: &SalesforceIntegration) -> Ownership {
    let owners = || found.owner_references.iter().flatten();
    if owns(found, resource) {
        return Ownership::Ours;
    }
    if owners().any(|owner| is_integration(owner) && owner.name == resource.name_any()) {
        return Ownership::OfPredecessor;
    }
    let manager = owners().find(|owner| owner.controller == Some(true));
    let offered = found.annotations.as_ref();
    let offered = offered.and_then(|annotations| annotations.get(ADOPT));
    match manager {
        Some(manager) => Ownership::Foreign(Some(format!("{} {:?}", manager.kind, manager.name))),
        None if offered == Some(&resource.name_any()) => Ownership::Offered,
        None => Ownership::Foreign(None),
    }
}

/// Whether an object has the integration's owner reference.
pub(crate) fn owns(found: &ObjectMeta, resource: &SalesforceIntegration) -> bool {
    integration_uid(found).is_some_and(|uid| resource.uid().as_deref() == Some(uid))
}

/// The UID of the integration that owns an object.
pub(crate) fn integration_uid(found: &ObjectMeta) -> Option<&str> {
    let owners = found.owner_references.iter().flatten();
    owners
        .filter(|owner| is_integration(owner))
        // At most one owner is the controller.
        .max_by_key(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.as_str())
}

fn is_integration(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split('/').next();
    owner.kind == SalesforceIntegration::kind(&())
        && group == Some(&*SalesforceIntegration::group(&()))
}

/// Whether a Job is a run of the integration: the integration owns it, or one of its CronJobs.
/// `cron_jobs` are all that carry the integration's label, whosever they are.
pub(crate) fn is_run_of(
    job: &Job,
    resource: &SalesforceIntegration,
    cron_jobs: &[impl AsRef<LiveCronJob>],
) -> bool {
    if owns(&job.metadata, resource) {
        return true;
    }
    let owners = job.owner_references().iter();
    let mut by_cron_job = owners.filter(|owner| owner.kind == "CronJob");
    by_cron_job.any(|owner| {
        let mut live = cron_jobs.iter().map(AsRef::as_ref);
        match live.find(|live| live.name == owner.name) {
            Some(live) => live.uid.as_ref() == Some(&owner.uid) && live.owner_uid == resource.uid(),
            // A CronJob that was just deleted leaves its last Job for a moment.
            None => {
                let integration = job.labels().get(INTEGRATION_LABEL);
                integration == Some(&resource.name_any())
            }
        }
    })
}

/// Gives an object that stands the desired metadata: labels, annotations and owner references of
/// others stay.
fn metadata_onto(found: &mut ObjectMeta, wanted: &ObjectMeta) {
    let labels = wanted.labels.clone().unwrap_or_default();
    found.labels.get_or_insert_default().extend(labels);
    if let Some(annotations) = wanted.annotations.clone() {
        let all = found.annotations.get_or_insert_default();
        all.extend(annotations);
    }
    let owners = found.owner_references.get_or_insert_default();
    for owner in wanted.owner_references.iter().flatten() {
        match owners.iter_mut().find(|other| other.uid == owner.uid) {
            Some(same) => *same = owner.clone(),
            None => owners.push(owner.clone()),
        }
    }
}

/// A CronJob that stands, as it should be: the spec is ours altogether, so that a container, a
/// volume or a node that others added is put back.
pub(crate) fn cron_job_onto(mut found: CronJob, wanted: &CronJob) -> CronJob {
    metadata_onto(&mut found.metadata, &wanted.metadata);
    found.spec.clone_from(&wanted.spec);
    found
}

/// The Secret with the tokens that stands, as it should be. Keys of others stay; a token that
/// `is_good` stays as well, so that it need not be given out again.
pub(crate) fn token_secret_onto(
    mut found: Secret,
    wanted: &Secret,
    is_good: impl Fn(&str, &[u8]) -> bool,
) -> Secret {
    metadata_onto(&mut found.metadata, &wanted.metadata);
    let data = found.data.get_or_insert_default();
    for authorities in [CA_KEY, DIRECTORY_CA_KEY] {
        if !wanted
            .data
            .iter()
            .flatten()
            .any(|(key, _)| key == authorities)
        {
            data.remove(authorities);
        }
    }
    for (key, value) in wanted.data.iter().flatten() {
        let stands = data.get(key).is_some_and(|stands| is_good(key, &stands.0));
        if !stands {
            data.insert(key.clone(), value.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    use super::super::owner;
    use super::*;
    use crate::api::fixtures;

    fn metadata(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn of(kind: &str, name: &str, uid: &str, controller: bool) -> Value {
        let group = match kind {
            "SalesforceIntegration" => "switchboard.dev/v1alpha1",
            _ => "example.com/v1",
        };
        json!({"apiVersion": group, "kind": kind, "name": name, "uid": uid, "controller": controller})
    }

    #[test]
    fn only_the_owner_reference_makes_an_object_ours_and_only_an_annotation_gives_it_away() {
        let acme = fixtures::integration("acme");
        let judged = |owners: Value, annotations: Value| {
            let found = json!({"name": "acme-directory", "ownerReferences": owners, "annotations": annotations});
            ownership(&metadata(found), &acme)
        };
        let adopt = json!({ADOPT: "acme"});
        assert_eq!(judged(json!([owner(&acme)]), json!({})), Ownership::Ours);
        assert_eq!(judged(json!([]), json!({})), Ownership::Foreign(None));
        assert_eq!(judged(json!([]), adopt.clone()), Ownership::Offered);
        assert_eq!(
            judged(json!([]), json!({ADOPT: "birch"})),
            Ownership::Foreign(None)
        );
        let before = of("SalesforceIntegration", "acme", "uid-before", true);
        assert_eq!(
            judged(json!([before]), adopt.clone()),
            Ownership::OfPredecessor
        );
        let managed = of("ExternalSecret", "vault", "e", true);
        assert_eq!(
            judged(json!([managed.clone()]), adopt.clone()),
            Ownership::Foreign(Some("ExternalSecret \"vault\"".into()))
        );
        assert_eq!(
            judged(json!([managed, owner(&acme)]), json!({})),
            Ownership::Ours
        );
        let another = of("SalesforceIntegration", "birch", "uid-birch", true);
        assert!(matches!(
            judged(json!([another]), adopt),
            Ownership::Foreign(Some(_))
        ));
    }

    #[test]
    fn labels_and_annotations_of_others_stay_and_the_spec_is_put_back() {
        let acme = fixtures::integration("acme");
        let wanted: CronJob = serde_json::from_value(json!({
            "metadata": {"name": "acme-sync", "labels": {"a": "ours"}, "ownerReferences": [owner(&acme)]},
            "spec": {"schedule": "0 1 * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "worker"}]}}}}},
        }))
        .unwrap();
        let found: CronJob = serde_json::from_value(json!({
            "metadata": {
                "name": "acme-sync", "resourceVersion": "7", "labels": {"a": "theirs", "team": "x"},
                "annotations": {"note": "y"}, "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"schedule": "1 1 * * *", "jobTemplate": {"spec": {"template": {"spec": {
                "hostNetwork": true, "containers": [{"name": "worker"}, {"name": "spy"}],
            }}}}},
        }))
        .unwrap();
        let next = cron_job_onto(found, &wanted);
        assert_eq!(next.spec, wanted.spec);
        assert_eq!(next.resource_version().as_deref(), Some("7"));
        let labels = [("a", "ours"), ("team", "x")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(*next.labels(), BTreeMap::from(labels));
        assert_eq!(next.annotations()["note"], "y");
        assert!(owns(&next.metadata, &acme));
        assert_eq!(cron_job_onto(next.clone(), &wanted), next, "once is enough");
    }

    #[test]
    fn a_good_token_is_not_made_anew_and_a_key_of_others_stays() {
        let data = |pairs: &[(&str, &str)]| -> Secret {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec())));
            Secret {
                data: Some(pairs.collect()),
                ..Secret::default()
            }
        };
        let found = data(&[("ingest", "good"), ("worker", "edited"), ("theirs", "x")]);
        let wanted = data(&[("ingest", "new"), ("worker", "new"), ("admin", "new")]);
        let next = token_secret_onto(found, &wanted, |_, value| value == b"good");
        let all = [
            ("admin", "new"),
            ("ingest", "good"),
            ("theirs", "x"),
            ("worker", "new"),
        ];
        assert_eq!(next.data, data(&all).data);
    }

    #[test]
    fn a_job_that_others_labelled_is_no_run() {
        let acme = fixtures::integration("acme");
        let cron_job = |name: &str, uid: &str, owner: &str| {
            std::sync::Arc::new(LiveCronJob {
                name: name.into(),
                uid: Some(uid.into()),
                owner_uid: Some(owner.into()),
                created_at: None,
                started_at: None,
                generation: None,
                suspended: false,
                busy: false,
                digest: 0,
            })
        };
        let live = [
            cron_job("acme-sync", "ours", "uid-acme"),
            cron_job("acme-lookup", "theirs", "uid-birch"),
        ];
        let is_run = |owners: Value| {
            let metadata =
                json!({"labels": {INTEGRATION_LABEL: "acme"}, "ownerReferences": owners});
            let job: Job = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            is_run_of(&job, &acme, &live)
        };
        assert!(is_run(json!([owner(&acme)])));
        assert!(is_run(json!([of("CronJob", "acme-sync", "ours", true)])));
        assert!(is_run(json!([of("CronJob", "acme-before", "gone", true)])));
        for foreign in [
            json!([]),
            json!([of("SalesforceIntegration", "acme", "uid-before", true)]),
            json!([of("CronJob", "acme-sync", "another", true)]),
            json!([of("CronJob", "acme-lookup", "theirs", true)]),
        ] {
            assert!(!is_run(foreign.clone()), "{foreign}");
        }
    }
}
