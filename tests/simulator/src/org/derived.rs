//! The objects that describe the org itself: Organization, User, Profile, PermissionSet,
//! PermissionSetAssignment, ObjectPermissions, UserPermissionAccess, UserLicense and CallCenter.
//! Their rows are derived from the org's settings, users and permissions.

use std::collections::{BTreeMap, BTreeSet};

use super::permissions::CRM_OBJECTS;
use super::write::automated_process;
use super::{Grants, ObjectAccess, Org, Row, Table, ids};
use crate::schema::{ObjectType, USER_PERMISSIONS, Value};

/// All derived tables of an org.
pub(super) fn tables(org: &Org) -> BTreeMap<&'static str, Table> {
    let mut tables = BTreeMap::new();
    for object in org.schema.objects().filter(|object| !object.stored) {
        let mut table = Table::default();
        let mut add = |values: Vec<(&str, Value)>| table.insert(row(object, values));
        match object.name {
            "Organization" => add(organization(org)),
            "User" => users(org, add),
            "Profile" => profiles(org, add),
            "PermissionSet" => permission_sets(org, add),
            "PermissionSetAssignment" => assignments(org, add),
            "ObjectPermissions" => object_permissions(org, add),
            "UserPermissionAccess" => own_permissions(org, add),
            "UserLicense" => licenses(org, add),
            "CallCenter" => call_centers(org, add),
            _ => {}
        }
        tables.insert(object.name, table);
    }
    tables
}

fn row(object: &ObjectType, values: Vec<(&str, Value)>) -> Row {
    let mut row = Row::default();
    for (name, value) in values {
        if let Some(ix) = object.field(name) {
            row.set(ix, value);
        }
    }
    row
}

fn organization(org: &Org) -> Vec<(&'static str, Value)> {
    let access = |object: &str| Value::text(org.sharing_of(object).picklist_value());
    vec![
        ("Id", Value::text(org.id.as_str())),
        ("Name", Value::text(org.name.as_str())),
        (
            "OrganizationType",
            Value::text_or_null(org.edition.as_str()),
        ),
        ("IsSandbox", Value::Bool(org.sandbox)),
        ("InstanceName", Value::text_or_null(org.instance.as_str())),
        (
            "TrialExpirationDate",
            org.trial_expires.map_or(Value::Null, Value::DateTime),
        ),
        (
            "NamespacePrefix",
            Value::text_or_null(org.namespace_prefix.clone().unwrap_or_default()),
        ),
        ("DefaultAccountAccess", access("Account")),
        ("DefaultContactAccess", access("Contact")),
        ("DefaultLeadAccess", access("Lead")),
        ("LanguageLocaleKey", Value::text("ja")),
        ("DefaultLocaleSidKey", Value::text("ja_JP")),
        ("TimeZoneSidKey", Value::text("Asia/Tokyo")),
    ]
}

/// The call centers of the org are those that its users are in.
fn call_centers(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    let names: BTreeSet<&String> = org
        .users
        .iter()
        .filter_map(|user| user.call_center.as_ref())
        .collect();
    for name in names {
        add(vec![
            ("Id", Value::text(call_center_id(org, name))),
            ("Name", Value::text(name.as_str())),
            ("InternalName", Value::text(name.replace(' ', ""))),
        ]);
    }
}

fn call_center_id(org: &Org, name: &str) -> String {
    ids::named_id("04v", &[&org.id, name])
}

fn users(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    for user in &org.users {
        add(vec![
            ("Id", Value::text(user.id.as_str())),
            ("Username", Value::text(user.username.as_str())),
            ("Name", Value::text_or_null(user.full_name())),
            ("FirstName", Value::text_or_null(user.first_name.as_str())),
            ("LastName", Value::text_or_null(user.last_name.as_str())),
            ("Email", Value::text_or_null(user.email())),
            (
                "Alias",
                Value::text_or_null(user.username.chars().take(8).collect::<String>()),
            ),
            ("IsActive", Value::Bool(user.active)),
            ("UserType", Value::text("Standard")),
            ("ProfileId", Value::text(profile_id(org, &user.profile))),
            (
                "CallCenterId",
                user.call_center
                    .as_ref()
                    .map_or(Value::Null, |name| Value::text(call_center_id(org, name))),
            ),
            (
                "TimeZoneSidKey",
                Value::text_or_null(user.time_zone.as_str()),
            ),
            ("LocaleSidKey", Value::text_or_null(user.locale.as_str())),
            (
                "LanguageLocaleKey",
                Value::text_or_null(user.language.as_str()),
            ),
        ]);
    }
    add(vec![
        ("Id", Value::text(automated_process(org))),
        (
            "Username",
            Value::text(format!(
                "autoproc@{}",
                ids::shorten(&org.id).to_ascii_lowercase()
            )),
        ),
        ("Name", Value::text("Automated Process")),
        ("LastName", Value::text("Process")),
        ("IsActive", Value::Bool(true)),
        ("UserType", Value::text("AutomatedProcess")),
    ]);
}

/// The id of a profile.
pub(crate) fn profile_id(org: &Org, name: &str) -> String {
    ids::named_id("00e", &[&org.id, name])
}

/// The id of the permission set that holds a profile's permissions.
fn profile_set_id(org: &Org, profile: &str) -> String {
    ids::named_id("0PS", &[&org.id, "profile", profile])
}

fn set_id(org: &Org, name: &str) -> String {
    ids::named_id("0PS", &[&org.id, "set", name])
}

fn license_id(org: &Org, name: &str) -> String {
    ids::named_id("100", &[&org.id, name])
}

const PERMISSION_COLUMNS: [(&str, &str); 10] = [
    (USER_PERMISSIONS[0], "PermissionsApiEnabled"),
    (USER_PERMISSIONS[1], "PermissionsViewAllData"),
    (USER_PERMISSIONS[2], "PermissionsModifyAllData"),
    (USER_PERMISSIONS[3], "PermissionsEditTask"),
    (USER_PERMISSIONS[4], "PermissionsViewSetup"),
    (USER_PERMISSIONS[5], "PermissionsUseAnyApiAuth"),
    ("AuthorApex", "PermissionsAuthorApex"),
    ("CustomizeApplication", "PermissionsCustomizeApplication"),
    ("ManageUsers", "PermissionsManageUsers"),
    ("PasswordNeverExpires", "PermissionsPasswordNeverExpires"),
];

fn with_permissions(
    grants: &Grants,
    mut values: Vec<(&'static str, Value)>,
) -> Vec<(&'static str, Value)> {
    values.extend(PERMISSION_COLUMNS.iter().map(|(name, column)| {
        let implied = *name == "ViewAllData" && grants.has("ModifyAllData");
        (*column, Value::Bool(grants.has(name) || implied))
    }));
    values
}

fn profiles(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    for profile in &org.profiles {
        add(with_permissions(
            &profile.grants,
            vec![
                ("Id", Value::text(profile_id(org, &profile.name))),
                ("Name", Value::text(profile.name.as_str())),
                ("UserType", Value::text("Standard")),
                (
                    "UserLicenseId",
                    Value::text(license_id(org, &profile.user_license)),
                ),
            ],
        ));
    }
}

fn permission_sets(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    for profile in &org.profiles {
        let id = profile_set_id(org, &profile.name);
        add(with_permissions(
            &profile.grants,
            vec![
                ("Name", Value::text(format!("X{}", ids::shorten(&id)))),
                ("Id", Value::text(id)),
                ("Label", Value::text(profile.name.as_str())),
                ("IsOwnedByProfile", Value::Bool(true)),
                ("IsCustom", Value::Bool(false)),
                ("Type", Value::text("Profile")),
                ("ProfileId", Value::text(profile_id(org, &profile.name))),
            ],
        ));
    }
    for set in &org.permission_sets {
        add(with_permissions(
            &set.grants,
            vec![
                ("Id", Value::text(set_id(org, &set.name))),
                ("Name", Value::text(set.name.as_str())),
                ("Label", Value::text(set.name.as_str())),
                ("IsOwnedByProfile", Value::Bool(false)),
                ("IsCustom", Value::Bool(true)),
                (
                    "Type",
                    Value::text(if set.group.is_some() {
                        "Group"
                    } else {
                        "Regular"
                    }),
                ),
            ],
        ));
    }
}

/// A row for each user, who sees no other. Its id is that of the user.
fn own_permissions(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    for user in &org.users {
        let profile = org.profiles.iter().filter(|p| p.name == user.profile);
        let sets = org.permission_sets.iter();
        let sets = sets.filter(|set| user.permission_sets.contains(&set.name));
        let granted = profile
            .map(|p| &p.grants)
            .chain(sets.map(|set| &set.grants));
        let mut own = Grants::default();
        for grants in granted {
            own.permissions.extend(grants.permissions.iter().cloned());
        }
        if own.has("ModifyAllData") {
            own = own.allow("ViewAllData");
        }
        let id = vec![("Id", Value::text(user.id.as_str()))];
        add(with_permissions(&own, id));
    }
}

fn assignments(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    for user in &org.users {
        let mut assign = |set: String, group: Option<&String>| {
            add(vec![
                (
                    "Id",
                    Value::text(ids::named_id("0Pa", &[&org.id, &user.id, &set])),
                ),
                ("PermissionSetId", Value::text(set)),
                ("AssigneeId", Value::text(user.id.as_str())),
                (
                    "PermissionSetGroupId",
                    group.map_or(Value::Null, |g| {
                        Value::text(ids::named_id("0PG", &[&org.id, g]))
                    }),
                ),
                ("IsActive", Value::Bool(true)),
            ]);
        };
        assign(profile_set_id(org, &user.profile), None);
        for set in org
            .permission_sets
            .iter()
            .filter(|set| user.permission_sets.contains(&set.name))
        {
            assign(set_id(org, &set.name), set.group.as_ref());
        }
    }
}

fn object_permissions(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    let profiles = org
        .profiles
        .iter()
        .map(|p| (profile_set_id(org, &p.name), &p.grants));
    let sets = org
        .permission_sets
        .iter()
        .map(|s| (set_id(org, &s.name), &s.grants));
    for (parent, grants) in profiles.chain(sets) {
        let synthetic = grants.has("ModifyAllData");
        for object in CRM_OBJECTS.iter().copied().filter(|o| {
            !org.missing_objects
                .iter()
                .any(|m| m.eq_ignore_ascii_case(o))
        }) {
            let mut access = grants.objects.get(object).copied().unwrap_or_default();
            if grants.has("ViewAllData") {
                access = access.or(ObjectAccess {
                    read: true,
                    view_all: true,
                    ..ObjectAccess::default()
                });
            }
            if synthetic {
                access = ObjectAccess::ALL;
            }
            if access == ObjectAccess::default() {
                continue;
            }
            let prefix = if synthetic { "000" } else { "110" };
            add(vec![
                (
                    "Id",
                    Value::text(ids::named_id(prefix, &[&org.id, &parent, object])),
                ),
                ("ParentId", Value::text(parent.as_str())),
                ("SobjectType", Value::text(object)),
                ("PermissionsRead", Value::Bool(access.read)),
                ("PermissionsCreate", Value::Bool(access.create)),
                ("PermissionsEdit", Value::Bool(access.edit)),
                ("PermissionsDelete", Value::Bool(access.delete)),
                ("PermissionsViewAllRecords", Value::Bool(access.view_all)),
                (
                    "PermissionsModifyAllRecords",
                    Value::Bool(access.modify_all),
                ),
            ]);
        }
    }
}

fn licenses(org: &Org, mut add: impl FnMut(Vec<(&'static str, Value)>)) {
    for license in &org.licenses {
        let on_it = |profile: &str| {
            org.profiles
                .iter()
                .any(|p| p.name == profile && p.user_license == license.name)
        };
        let used = org
            .users
            .iter()
            .filter(|user| user.active && on_it(&user.profile))
            .count();
        add(vec![
            ("Id", Value::text(license_id(org, &license.name))),
            ("LicenseDefinitionKey", Value::text(license.key.as_str())),
            ("MasterLabel", Value::text(license.name.as_str())),
            ("Name", Value::text(license.name.as_str())),
            ("Status", Value::text("Active")),
            ("TotalLicenses", Value::Int(license.total)),
            (
                "UsedLicenses",
                Value::Int(i64::try_from(used).unwrap_or(i64::MAX)),
            ),
        ]);
    }
}
