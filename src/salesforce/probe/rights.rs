//! Rights that the user has and the integration does not need. Whoever gets hold of its credential
//! has them, too.

use serde::Deserialize;

use super::findings::Warning;
use super::permissions::Grants;
use super::warnings;
use crate::salesforce::credentials::Method;
use crate::salesforce::rest::Subresponse;

/// The user's own permissions, from whatever sets they come. It is readable without View Setup and
/// Configuration (facts: Salesforce 4.5).
pub(crate) const QUERY: &str = "SELECT PermissionsModifyAllData, PermissionsViewAllData, PermissionsAuthorApex, PermissionsCustomizeApplication, PermissionsManageUsers, PermissionsPasswordNeverExpires FROM UserPermissionAccess";

/// The permissions that matter, as Salesforce tells them. An org that lacks one lacks its field.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Row {
    permissions_modify_all_data: Option<bool>,
    permissions_view_all_data: Option<bool>,
    permissions_author_apex: Option<bool>,
    permissions_customize_application: Option<bool>,
    permissions_manage_users: Option<bool>,
    permissions_password_never_expires: Option<bool>,
}

/// The warning that the user may do more than the integration needs. What cannot be read is not
/// warned about: the integration works.
pub(crate) fn of(own: &Subresponse, grants: &Grants, method: Method) -> Option<Warning> {
    let page = own.page::<Row>().ok();
    let row = page.and_then(|page| page.records.into_iter().next());
    let row = row.unwrap_or_default();
    let is = |permission: Option<bool>| permission == Some(true);
    let modifies_all = is(row.permissions_modify_all_data) || grants.modifies_all_data();
    let views_all = is(row.permissions_view_all_data) || grants.views_all_data();
    // A password that ends stops an integration that logs in with it; the others have none.
    let has_password = matches!(method, Method::Password | Method::OauthPassword);
    let everywhere = [
        (modifies_all, "Modify All Data"),
        (views_all, "View All Data"),
        (is(row.permissions_author_apex), "Author Apex"),
        (
            is(row.permissions_customize_application),
            "Customize Application",
        ),
        (is(row.permissions_manage_users), "Manage Users"),
        (
            is(row.permissions_password_never_expires) && !has_password,
            "Password Never Expires",
        ),
    ];
    let mut rights: Vec<String> = everywhere
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| name.to_owned())
        .collect();
    // Modify All Data says it of every object.
    if !modifies_all {
        rights.extend(grants.writes());
    }
    (!rights.is_empty()).then(|| warnings::excess_rights(&rights))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, body: Value) -> Subresponse {
        Subresponse::played("r", status, &body)
    }

    fn rows(rows: Value) -> Subresponse {
        answer(200, json!({"records": rows}))
    }

    fn unreadable(code: &str) -> Subresponse {
        answer(400, json!([{"errorCode": code, "message": "no"}]))
    }

    fn told(own: &Subresponse, objects: Value, sets: Value, method: Method) -> Option<String> {
        let grants = Grants::read(&rows(objects), &rows(sets));
        of(own, &grants, method).map(|warning| warning.message)
    }

    #[test]
    fn each_right_that_is_not_needed_is_named() {
        let readable = json!([{"SobjectType": "Contact", "PermissionsRead": true, "PermissionsViewAllRecords": true}]);
        let none = json!([{"PermissionsViewAllData": false, "PermissionsModifyAllData": false}]);
        let least =
            rows(json!([{"PermissionsModifyAllData": false, "PermissionsAuthorApex": null}]));
        let say = |own: &Subresponse, method| told(own, readable.clone(), none.clone(), method);
        assert_eq!(say(&least, Method::JwtBearer), None);
        assert_eq!(say(&rows(json!([])), Method::JwtBearer), None);
        for (field, name) in [
            ("PermissionsModifyAllData", "Modify All Data"),
            ("PermissionsViewAllData", "View All Data"),
            ("PermissionsAuthorApex", "Author Apex"),
            ("PermissionsCustomizeApplication", "Customize Application"),
            ("PermissionsManageUsers", "Manage Users"),
            ("PermissionsPasswordNeverExpires", "Password Never Expires"),
        ] {
            let own = rows(json!([{field: true}]));
            let said = say(&own, Method::ClientCredentials).unwrap();
            assert!(said.ends_with(&format!(": {name}.")), "{said}");
            assert!(QUERY.contains(field), "{field} is asked for");
        }
        let for_ever = rows(json!([{"PermissionsPasswordNeverExpires": true}]));
        for method in [Method::Password, Method::OauthPassword] {
            assert_eq!(say(&for_ever, method), None, "a password must not end");
        }
    }

    #[test]
    fn rights_to_write_are_named_by_object() {
        let own = rows(json!([{"PermissionsModifyAllData": false}]));
        let objects = json!([
            {"SobjectType": "Contact", "PermissionsRead": true, "PermissionsEdit": true},
            {"SobjectType": "Contact", "PermissionsDelete": true, "PermissionsEdit": true},
            {"SobjectType": "Lead", "PermissionsCreate": true, "PermissionsModifyAllRecords": true},
        ]);
        let said = told(&own, objects.clone(), json!([]), Method::JwtBearer).unwrap();
        assert!(
            said.ends_with(": Edit/Delete on Contact, Create/Modify All on Lead."),
            "{said}"
        );
        let everything = rows(json!([{"PermissionsModifyAllData": true}]));
        let said = told(&everything, objects, json!([]), Method::JwtBearer).unwrap();
        assert!(said.ends_with(": Modify All Data."), "{said}");
    }

    #[test]
    fn what_cannot_be_read_is_not_warned_about_and_breaks_nothing() {
        for code in ["INVALID_TYPE", "INVALID_FIELD", "INSUFFICIENT_ACCESS"] {
            let own = unreadable(code);
            assert_eq!(told(&own, json!([]), json!([]), Method::JwtBearer), None);
            let grants = Grants::read(&unreadable(code), &unreadable(code));
            assert!(of(&own, &grants, Method::JwtBearer).is_none());
            // The permission sets tell the two that prove View All.
            let sets = json!([{"PermissionsModifyAllData": true}]);
            let said = told(&own, json!([]), sets, Method::JwtBearer).unwrap();
            assert!(said.ends_with(": Modify All Data."), "{said}");
        }
    }
}
