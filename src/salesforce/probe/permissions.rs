//! Whether a user sees all records of an object, by permissions, sharing model and the result of a
//! query.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::findings::{Visibility, Warning};
use super::warnings;
use crate::salesforce::answers::error::Error;
use crate::salesforce::answers::is_about_rights;
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::rest::Subresponse;

/// The permissions of the user's permission sets (profiles appear as permission sets;
/// facts: Salesforce 4.2).
#[derive(Hash)]
pub(crate) struct Grants {
    objects: Result<Vec<ObjectRow>, String>,
    sets: Result<Vec<SetRow>, String>,
}

/// The organization-wide sharing defaults.
#[derive(Default, Hash, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Sharing {
    default_contact_access: Option<String>,
    default_account_access: Option<String>,
    default_lead_access: Option<String>,
}

#[derive(Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectRow {
    sobject_type: String,
    permissions_read: Option<bool>,
    permissions_view_all_records: Option<bool>,
    permissions_create: Option<bool>,
    permissions_edit: Option<bool>,
    permissions_delete: Option<bool>,
    permissions_modify_all_records: Option<bool>,
}

#[derive(Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetRow {
    permissions_view_all_data: Option<bool>,
    permissions_modify_all_data: Option<bool>,
}

/// The objects that are looked up, in the order of their rank.
const OBJECTS: [&str; 3] = ["Contact", "Account", "Lead"];

// === impl Grants ===

impl Grants {
    pub(crate) fn read(objects: &Subresponse, sets: &Subresponse) -> Self {
        // Salesforce promises no order, and the next proof compares.
        fn sorted<R: Ord + DeserializeOwned>(answer: &Subresponse) -> Result<Vec<R>, String> {
            let mut rows: Vec<R> = answer.page().map_err(|error| error.message())?.records;
            rows.sort_unstable();
            Ok(rows)
        }
        Self {
            objects: sorted(objects),
            sets: sorted(sets),
        }
    }

    /// Whether any of the sets grants Modify All Data.
    pub(crate) fn modifies_all_data(&self) -> bool {
        let modifies = |set: &SetRow| set.permissions_modify_all_data == Some(true);
        self.sets.iter().flatten().any(modifies)
    }

    /// Whether any of the sets grants View All Data itself.
    pub(crate) fn views_all_data(&self) -> bool {
        let views = |set: &SetRow| set.permissions_view_all_data == Some(true);
        self.sets.iter().flatten().any(views)
    }

    /// Whether the user sees all data of the org.
    fn all_data(&self) -> Result<bool, &String> {
        self.sets.as_ref()?;
        Ok(self.views_all_data() || self.modifies_all_data())
    }

    /// The rights to change the objects that are only read: `Edit/Delete on Contact`.
    pub(crate) fn writes(&self) -> impl Iterator<Item = String> {
        OBJECTS.into_iter().filter_map(|object| {
            let rows = self.rows(object).ok()?;
            let any = |right: fn(&ObjectRow) -> Option<bool>| {
                rows.iter().any(|row| right(row) == Some(true))
            };
            let rights = [
                (any(|row| row.permissions_create), "Create"),
                (any(|row| row.permissions_edit), "Edit"),
                (any(|row| row.permissions_delete), "Delete"),
                (any(|row| row.permissions_modify_all_records), "Modify All"),
            ];
            let rights: Vec<&str> = rights
                .into_iter()
                .filter_map(|(is, name)| is.then_some(name))
                .collect();
            (!rights.is_empty()).then(|| format!("{} on {object}", rights.join("/")))
        })
    }

    fn rows(&self, object: &str) -> Result<Vec<&ObjectRow>, &String> {
        let rows = self.objects.as_ref()?;
        Ok(rows
            .iter()
            .filter(|row| row.sobject_type.eq_ignore_ascii_case(object))
            .collect())
    }
}

// === impl Sharing ===

impl Sharing {
    pub(crate) fn read(answer: &Subresponse) -> Self {
        answer
            .page()
            .ok()
            .and_then(|page| page.records.into_iter().next())
            .unwrap_or_default()
    }

    /// Whether the sharing defaults let everybody read every record of the object.
    fn is_public(&self, object: &str) -> bool {
        let access = match object {
            "Contact" => &self.default_contact_access,
            "Account" => &self.default_account_access,
            _ => &self.default_lead_access,
        };
        match access.as_deref() {
            // A contact without a default of its own follows its account.
            Some("ControlledByParent") => object != "Account" && self.is_public("Account"),
            Some(access) => {
                let access = access.to_ascii_lowercase();
                access.contains("read") || matches!(access.as_str(), "edit" | "all" | "fullaccess")
            }
            None => false,
        }
    }
}

/// Whether the user sees all records of the object. `queried` is the response to a query of the
/// object.
pub(crate) fn sees_all(
    object: &str,
    queried: &Subresponse,
    grants: &Grants,
    sharing: &Sharing,
    warnings: &mut Vec<Warning>,
) -> Result<Visibility, Error> {
    match queried.success() {
        Ok(()) => {}
        Err(error)
            if matches!(
                error.meaning(),
                Meaning::ObjectUnavailable | Meaning::NotFound
            ) =>
        {
            warnings.push(warnings::object_absent(object));
            return Ok(Visibility::Absent);
        }
        Err(error) if error.meaning() == Meaning::FieldUnavailable => {
            warnings.push(warnings::field_hidden(object, &error.message()));
        }
        Err(error) if is_about_rights(error.meaning()) => {}
        Err(error) => return Err(error),
    }
    let answer = decide(object, grants, sharing);
    match &answer {
        Visibility::Yes if !has_view_all(object, grants) => {
            warnings.push(warnings::view_all_missing(object))
        }
        Visibility::Unknown(reason) => warnings.push(warnings::access_unknown(object, reason)),
        _ => {}
    }
    Ok(answer)
}

fn has_view_all(object: &str, grants: &Grants) -> bool {
    let by_object = grants.rows(object).is_ok_and(|rows| {
        rows.iter()
            .any(|row| row.permissions_view_all_records == Some(true))
    });
    by_object || grants.all_data() == Ok(true)
}

fn decide(object: &str, grants: &Grants, sharing: &Sharing) -> Visibility {
    if has_view_all(object, grants) {
        return Visibility::Yes;
    }
    let unknown = |reason: &str| {
        Visibility::Unknown(format!("the user's permissions cannot be read: {reason}"))
    };
    match grants.rows(object) {
        // Everybody reads every record, provided that the user may read the object at all.
        Ok(rows)
            if sharing.is_public(object)
                && rows.iter().any(|row| row.permissions_read == Some(true)) =>
        {
            Visibility::Yes
        }
        // A missing row means no access (facts: Salesforce 4.2), but View All Data could still
        // replace it.
        Ok(_) => match grants.all_data() {
            Ok(_) => Visibility::No,
            Err(reason) => unknown(reason),
        },
        Err(reason) => unknown(reason),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows(rows: Value) -> Subresponse {
        Subresponse::played("r", 200, &json!({"records": rows}))
    }

    fn error(code: &str) -> Subresponse {
        Subresponse::played("r", 400, &json!([{"errorCode": code, "message": "…"}]))
    }

    fn contact(read: bool, view_all: bool) -> Value {
        json!({"SobjectType": "Contact", "PermissionsRead": read, "PermissionsViewAllRecords": view_all})
    }

    fn public(access: &str, account: &str) -> Subresponse {
        rows(json!([{"DefaultContactAccess": access, "DefaultAccountAccess": account}]))
    }

    #[test]
    fn view_all_is_proved_by_any_of_its_ways() {
        let none = json!([{"PermissionsViewAllData": false, "PermissionsModifyAllData": false}]);
        let private = || public("None", "None");
        let unreadable = || error("INVALID_TYPE");
        let ok = || rows(json!([]));
        // query of the object, object permissions, permission sets, sharing => result, warning
        let table = [
            (
                ok(),
                rows(json!([contact(true, true)])),
                rows(none.clone()),
                private(),
                "yes",
                None,
            ),
            (
                ok(),
                rows(json!([contact(true, false), contact(false, true)])),
                rows(none.clone()),
                private(),
                "yes",
                None,
            ),
            (
                ok(),
                rows(json!([])),
                rows(json!([{"PermissionsViewAllData": true}])),
                private(),
                "yes",
                None,
            ),
            (
                ok(),
                rows(json!([])),
                rows(json!([{"PermissionsModifyAllData": true}])),
                private(),
                "yes",
                None,
            ),
            (
                ok(),
                unreadable(),
                rows(json!([{"PermissionsModifyAllData": true}])),
                private(),
                "yes",
                None,
            ),
            (
                ok(),
                rows(json!([contact(true, false)])),
                rows(none.clone()),
                private(),
                "no",
                None,
            ),
            (
                ok(),
                rows(json!([])),
                rows(none.clone()),
                private(),
                "no",
                None,
            ),
            (
                ok(),
                rows(json!([contact(true, false)])),
                rows(none.clone()),
                public("Read", "None"),
                "yes",
                Some("ViewAllMissing"),
            ),
            (
                ok(),
                rows(json!([contact(true, false)])),
                rows(none.clone()),
                public("ControlledByParent", "Edit"),
                "yes",
                Some("ViewAllMissing"),
            ),
            (
                ok(),
                rows(json!([contact(true, false)])),
                rows(none.clone()),
                public("ControlledByParent", "None"),
                "no",
                None,
            ),
            (
                ok(),
                rows(json!([])),
                rows(none.clone()),
                public("Read", "None"),
                "no",
                None,
            ),
            (
                ok(),
                unreadable(),
                rows(none.clone()),
                private(),
                "unknown",
                Some("AccessUnknown"),
            ),
            (
                ok(),
                rows(json!([contact(true, false)])),
                error("INSUFFICIENT_ACCESS"),
                private(),
                "unknown",
                Some("AccessUnknown"),
            ),
            (
                error("INVALID_TYPE"),
                rows(json!([])),
                rows(none.clone()),
                private(),
                "absent",
                Some("ObjectAbsent"),
            ),
            (
                error("INVALID_FIELD"),
                rows(json!([contact(true, true)])),
                rows(none),
                private(),
                "yes",
                Some("FieldHidden"),
            ),
        ];
        for (place, (queried, objects, sets, sharing, expected, warning)) in
            table.into_iter().enumerate()
        {
            let mut warnings = Vec::new();
            let grants = Grants::read(&objects, &sets);
            let answer = sees_all(
                "Contact",
                &queried,
                &grants,
                &Sharing::read(&sharing),
                &mut warnings,
            )
            .unwrap();
            let name = match answer {
                Visibility::Yes => "yes",
                Visibility::No => "no",
                Visibility::Unknown(_) => "unknown",
                Visibility::Absent => "absent",
            };
            assert_eq!(name, expected, "row {place}");
            assert_eq!(
                warnings.first().map(|warning| warning.code.code()),
                warning,
                "row {place}"
            );
        }
    }

    #[test]
    fn a_failure_of_the_connection_is_no_answer() {
        let mut warnings = Vec::new();
        let grants = Grants::read(&rows(json!([])), &rows(json!([])));
        let failed = error("REQUEST_LIMIT_EXCEEDED");
        let error = sees_all(
            "Contact",
            &failed,
            &grants,
            &Sharing::default(),
            &mut warnings,
        )
        .unwrap_err();
        assert_eq!(error.meaning(), Meaning::RequestLimitExceeded);
    }
}
