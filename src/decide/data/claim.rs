//! Whether the data that the directory keeps under a company ID is the integration's own.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::api::conditions::{self, EXCLUSIVE, Verdict};
use crate::api::status::KeptData;
use crate::api::{ADOPT_DATA, SalesforceIntegration, Settings};
use crate::reason::Reason;

/// The directory is asked again after this time, although nothing has changed: its database may be
/// another one, or the operator may keep data for another time.
const ASKED_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// What the directory is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Whose data is to be taken over, as the annotation says.
    pub adopt: Option<String>,
    /// Whether the integration held the company before anybody was on record.
    pub held_before: bool,
    /// The days for which the integration wants its calls kept.
    pub retain_days: Option<u32>,
}

/// What the directory answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was not asked: nothing has changed since it last said that the data is the integration's.
    #[default]
    NotAsked,
    /// The data is the integration's.
    Ours {
        /// Whose it was until now, if it was taken over.
        taken_from: Option<Other>,
        /// The days for which calls are kept; `None` for no end.
        retain_days: Option<u32>,
    },
    /// It is another integration's.
    Another(Other),
    /// There is data, and nobody is on record.
    Nobody,
    /// It could not be asked, for this reason.
    Unknown(String),
}

/// Another integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

/// Whether the integration may have the company's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// It may.
    Ours,
    /// It may not.
    NotOurs,
    /// It is not known yet.
    Unknown,
}

/// What the directory last said, if it was about this company ID.
pub(crate) fn told(resource: &SalesforceIntegration) -> Option<&KeptData> {
    let data = resource.status.as_ref()?.data.as_ref()?;
    (data.company_id == resource.spec.company_id).then_some(data)
}

/// Whether the integration held its company before the directory kept record of that: a controller
/// of that time has written so into the status. The present one does not, before it has asked.
pub(crate) fn held_before(resource: &SalesforceIntegration) -> bool {
    let status = resource.status.as_ref();
    status.is_some_and(|status| {
        status.data.is_none() && conditions::is_true(&status.conditions, EXCLUSIVE)
    })
}

/// What to ask the directory now. `None` while what it last said holds.
pub(crate) fn question(
    resource: &SalesforceIntegration,
    settings: &Settings,
    now: Timestamp,
) -> Option<Question> {
    let is_fresh = told(resource).is_some_and(|told| {
        told.asked_retain_days == settings.retain_days
            && now.duration_since(told.asked_at.0) < ASKED_EVERY
    });
    (!is_fresh).then(|| Question {
        adopt: resource.annotations().get(ADOPT_DATA).cloned(),
        held_before: held_before(resource),
        retain_days: settings.retain_days,
    })
}

/// Whether the integration may have the data. An integration that had it keeps it while the
/// directory cannot be asked; one that never had it gets no token before the directory has said
/// that it is not a stranger.
pub(crate) fn holding(resource: &SalesforceIntegration, answer: &Answer) -> Holding {
    match answer {
        Answer::NotAsked | Answer::Ours { .. } => Holding::Ours,
        Answer::Another(_) | Answer::Nobody => Holding::NotOurs,
        Answer::Unknown(_) if told(resource).is_some() || held_before(resource) => Holding::Ours,
        Answer::Unknown(_) => Holding::Unknown,
    }
}

/// The verdict on `Exclusive`, where the data is not known to be the integration's. Of another
/// namespace nothing is told.
pub(crate) fn verdict(resource: &SalesforceIntegration, answer: &Answer) -> Option<Verdict> {
    let company = &resource.spec.company_id;
    match (holding(resource, answer), answer) {
        (Holding::NotOurs, Answer::Another(other)) => {
            let whose = if Some(&other.namespace) == resource.namespace().as_ref() {
                format!(
                    "the SalesforceIntegration {:?} of this namespace, with the UID {}",
                    other.name, other.uid
                )
            } else {
                "a SalesforceIntegration of another namespace".to_owned()
            };
            Some(Verdict::fails(
                Reason::DataOfAnother,
                format!(
                    "The directory keeps data of the company {company:?} that belongs to {whose}."
                ),
            ))
        }
        (Holding::NotOurs, _) => Some(Verdict::fails(
            Reason::DataOfAnother,
            format!(
                "The directory keeps data of the company {company:?} from before it kept record of whose it is. If it is yours, set the annotation {ADOPT_DATA} to {company:?}."
            ),
        )),
        (Holding::Unknown, Answer::Unknown(problem)) => Some(Verdict::unknown(
            Reason::DirectoryNotAsked,
            format!(
                "Whether the directory keeps data of somebody else under the company ID is not known: {problem}"
            ),
        )),
        _ => None,
    }
}

/// What the status says of the data after this answer.
pub(crate) fn kept(
    resource: &SalesforceIntegration,
    answer: &Answer,
    asked: Option<u32>,
    now: Timestamp,
) -> Option<KeptData> {
    let before = told(resource);
    match answer {
        Answer::NotAsked | Answer::Unknown(_) => before.cloned(),
        Answer::Another(_) | Answer::Nobody => None,
        Answer::Ours { retain_days, .. } => {
            let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now);
            Some(KeptData {
                company_id: resource.spec.company_id.clone(),
                since: before.map_or_else(|| time.clone(), |before| before.since.clone()),
                retain_days: *retain_days,
                asked_retain_days: asked,
                asked_at: time,
            })
        }
    }
}
