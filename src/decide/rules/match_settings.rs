//! The settings that decide whether a record matches a number. When they change, what Salesforce
//! did not know may be known, so a number that was asked in vain is asked again at once.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::api::Settings;
use crate::api::status::{SalesforceIntegrationStatus, Warning};
use crate::reason::Reason;
use crate::resolve::{Object, PhoneField};
use crate::salesforce::{Meaning, WarningCode};

/// Returns a fingerprint of the region, the org, the user, and the objects and phone fields that
/// are not there for the user.
pub(crate) fn fingerprint(settings: &Settings, status: &SalesforceIntegrationStatus) -> String {
    let organization = status.organization.as_ref();
    let connection = status.connection.as_ref();
    let known = connection.and_then(|connection| connection.username.as_deref());
    let user = settings.auth.username.as_deref().or(known);
    let mut digest = Sha256::new();
    let hidden: BTreeSet<String> = status.warnings.iter().filter_map(hidden).collect();
    let parts = [
        settings.region.to_string(),
        organization.map_or_else(String::new, |organization| organization.id.clone()),
        user.unwrap_or_default().to_lowercase(),
    ];
    for part in parts.into_iter().chain(hidden) {
        digest.update(part);
        digest.update([0]);
    }
    let digest = digest.finalize();
    let bytes = digest.iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the object or the phone field that a warning says is hidden. A proof and a run report
/// the same fact in different words, and it must not look like two.
fn hidden(warning: &Warning) -> Option<String> {
    match warning.code().reason()? {
        Reason::Salesforce(Meaning::ObjectUnavailable)
        | Reason::Warning(WarningCode::ObjectAbsent) => {
            let position = |object: &Object| warning.message.find(object.as_str());
            let named = Object::ALL.into_iter().filter(|o| position(o).is_some());
            named.min_by_key(position).map(|object| object.to_string())
        }
        Reason::Warning(WarningCode::FieldHidden) => PhoneField::all()
            .map(|field| field.to_string())
            .find(|field| warning.message.contains(field.as_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixtures;
    use crate::api::status::Organization;
    use crate::resolve::Finding;

    fn print(region: &str, org: &str, warnings: &[(&str, &str)]) -> String {
        let mut resource = fixtures::integration("acme");
        resource.spec.contacts.region = region.to_owned();
        let settings = Settings::read(&resource.spec).unwrap();
        let status = SalesforceIntegrationStatus {
            organization: Some(Organization {
                id: org.to_owned(),
                ..Organization::default()
            }),
            warnings: warnings
                .iter()
                .map(|(code, message)| Warning {
                    code: (*code).to_owned(),
                    message: (*message).to_owned(),
                    remedy: String::new(),
                })
                .collect(),
            ..SalesforceIntegrationStatus::default()
        };
        fingerprint(&settings, &status)
    }

    #[test]
    fn what_decides_a_match_is_in_the_fingerprint_and_nothing_else() {
        let before = print("JP", "00D1", &[]);
        assert_eq!(
            before,
            print("JP", "00D1", &[("SoapLoginRetiring", "Contact")])
        );
        let field = Finding::FieldHidden {
            object: Object::Contact,
            field: "MobilePhone",
        };
        let object = Finding::ObjectUnavailable(Object::Contact);
        let others = [
            print("US", "00D1", &[]),
            print("JP", "00D2", &[]),
            print("JP", "00D1", &[("FieldHidden", &field.to_string())]),
            print("JP", "00D1", &[("ObjectUnavailable", &object.to_string())]),
        ];
        let all: BTreeSet<&String> = others.iter().chain([&before]).collect();
        assert_eq!(all.len(), 5, "{others:?}");
    }

    #[test]
    fn a_hidden_field_told_by_a_proof_and_by_a_run_is_one_fact() {
        let field = Finding::FieldHidden {
            object: Object::Lead,
            field: "Phone",
        };
        let by_run = field.to_string();
        let by_proof = "Lead.Phone is hidden from the user.";
        let both = [("FieldHidden", by_proof), ("FieldHidden", by_run.as_str())];
        assert_eq!(print("JP", "00D1", &both), print("JP", "00D1", &both[..1]));
    }
}
