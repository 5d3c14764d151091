//! Conversions from a fact to a condition, one small function each.

use super::Credentials;
use super::rules::company_claim::Claim;
use super::rules::user_claim::Users;
use crate::api::conditions::{CONNECTED, SYNCED, Verdict};
use crate::api::status;
use crate::reason::{Code, Reason};
use crate::salesforce;
use crate::salesforce::{Access, Meaning, Organization, Retry, Visibility};

pub(crate) fn credentials(credentials: &Credentials) -> Verdict {
    match credentials {
        Credentials::NotRead => Verdict::unknown(Reason::Pending, "The Secret was not read yet."),
        Credentials::NotFound { secret } => Verdict::fails(
            Reason::SecretNotFound,
            format!("There is no Secret {secret:?} in this namespace."),
        ),
        Credentials::KeyMissing { secret, key } => Verdict::fails(
            Reason::SecretKeyMissing,
            format!("The Secret {secret:?} has no key {key:?}."),
        ),
        Credentials::KeyMisspelt { secret, key, meant } => Verdict::fails(
            Reason::SecretKeyMissing,
            format!("The Secret {secret:?} has a key {key:?}; the key is {meant:?}."),
        ),
        Credentials::KeyInvalid {
            secret,
            key,
            problem,
        } => Verdict::fails(
            Reason::SecretKeyInvalid,
            format!("The key {key:?} of the Secret {secret:?} {problem}."),
        ),
        Credentials::Available { .. } => Verdict::holds(
            Reason::AsExpected,
            "The Secret has the keys that the log-in method needs.",
        ),
    }
}

pub(crate) fn exclusive(claim: &Claim, company_id: &str) -> Verdict {
    match claim {
        Claim::Held => Verdict::holds(
            Reason::AsExpected,
            "No other resource claims the company ID.",
        ),
        Claim::TakenBy(name) => Verdict::fails(
            Reason::CompanyIdTaken,
            format!(
                "The company ID {company_id:?} belongs to the older SalesforceIntegration {name:?} in this namespace."
            ),
        ),
        Claim::TakenElsewhere => Verdict::fails(
            Reason::CompanyIdTaken,
            format!(
                "The company ID {company_id:?} belongs to an older SalesforceIntegration in another namespace."
            ),
        ),
    }
}

/// The verdict on the users of the call centers, for an integration that holds its company ID.
/// `own` are those that stand in the spec twice, `taken` those that older integrations hold. A
/// clash with others is told only to who has proved that it may log in.
pub(crate) fn exclusive_users(own: &Users, taken: &Users, is_proved: bool) -> Verdict {
    let mut problems = vec![];
    if own.count > 0 {
        problems.push(format!(
            "spec.callCenters names these users more than once: {}.",
            own.listed()
        ));
    }
    if is_proved && taken.count > 0 {
        problems.push(format!(
            "These users stand in a call center of an older SalesforceIntegration of the same org: {}.",
            taken.listed()
        ));
    }
    if !problems.is_empty() {
        Verdict::fails(Reason::UserInOtherCallCenter, problems.join(" "))
    } else if is_proved {
        Verdict::holds(
            Reason::AsExpected,
            "No other resource claims the company ID or a user of the call centers.",
        )
    } else {
        Verdict::unknown(
            Reason::Pending,
            "No other resource claims the company ID. Whether a user of the call centers stands in another one shows when the connection works.",
        )
    }
}

pub(crate) fn organization(found: &Organization) -> status::Organization {
    status::Organization {
        id: found.id.clone(),
        name: Some(found.name.clone()).filter(|name| !name.is_empty()),
        edition: found.edition.clone(),
        instance: found.instance.clone(),
        sandbox: found.sandbox,
        person_accounts: found.person_accounts,
        shared_with: None,
        query_url_length: None,
    }
}

pub(crate) fn warning(found: &salesforce::Warning) -> status::Warning {
    status::Warning {
        code: found.code.to_string(),
        message: found.message.clone(),
        remedy: found.remedy.clone(),
    }
}

/// Checks View All on Contact, Account and Lead. Lead may be absent, because Platform licences do
/// not include it (facts: phone platform 1.6).
pub(crate) fn authorized(access: &Access) -> Verdict {
    let answers = [
        ("Contact", &access.contact),
        ("Account", &access.account),
        ("Lead", &access.lead),
    ];
    let those = |wanted: fn(&Visibility) -> bool| -> Vec<&str> {
        answers
            .iter()
            .filter(|(_, answer)| wanted(answer))
            .map(|(object, _)| *object)
            .collect()
    };
    let absent: Vec<&str> = those(|answer| matches!(answer, Visibility::Absent))
        .into_iter()
        .filter(|object| *object != "Lead")
        .collect();
    let hidden = those(|answer| matches!(answer, Visibility::No));
    let unknown = those(|answer| matches!(answer, Visibility::Unknown(_)));
    if !absent.is_empty() {
        Verdict::fails(
            Meaning::ObjectUnavailable,
            format!(
                "The user cannot see the object {} at all.",
                absent.join(" and ")
            ),
        )
    } else if !hidden.is_empty() {
        Verdict::fails(
            Reason::MissingViewAll,
            format!(
                "The user does not see all records of {}: \"View All\" is missing.",
                hidden.join(" and ")
            ),
        )
    } else if !unknown.is_empty() {
        let why = answers.iter().find_map(|(_, answer)| match answer {
            Visibility::Unknown(why) => Some(why.as_str()),
            _ => None,
        });
        Verdict::unknown(
            Reason::RightsUnknown,
            format!(
                "Whether the user sees all records of {} could not be found out: {}",
                unknown.join(" and "),
                why.unwrap_or_default()
            ),
        )
    } else if matches!(access.lead, Visibility::Absent) {
        Verdict::holds(
            Reason::AsExpected,
            "The user sees all Contacts and Accounts. The org or the user's licence has no Leads.",
        )
    } else {
        Verdict::holds(
            Reason::AsExpected,
            "The user sees all Contacts, Accounts and Leads.",
        )
    }
}

pub(crate) fn synced(outcome: &Code, message: &str) -> Verdict {
    match outcome.reason() {
        Some(Reason::Succeeded) => Verdict::holds(Reason::RunSucceeded, message),
        Some(Reason::BudgetExhausted) => Verdict::fails(Reason::BudgetExhausted, message),
        // The kind comes first, so that two failures of one reason can be distinguished.
        _ => Verdict::fails(Reason::RunFailed, format!("{outcome}: {message}")),
    }
}

/// Whether a condition that is False stays so until a human acts.
pub(crate) fn needs_a_person(type_: &str, code: &Code) -> bool {
    match type_ {
        SYNCED => *code == Reason::ObjectNotOurs,
        CONNECTED => code
            .meaning()
            .is_none_or(|meaning| meaning.retry() == Retry::Never),
        _ => true,
    }
}
