//! The objects that every org has, with the standard fields that a phone integration may use.

use super::{Field, Kind, ObjectType};

fn field(name: &str, kind: Kind) -> Field {
    let length = match kind {
        Kind::Id | Kind::Reference => 18,
        Kind::Phone => 40,
        Kind::Email => 80,
        Kind::TextArea => 32_000,
        Kind::String | Kind::Url | Kind::Picklist => 255,
        _ => 0,
    };
    Field {
        name: name.to_owned(),
        label: label(name),
        kind,
        length,
        createable: true,
        updateable: true,
        required: false,
        person: false,
        relationship: None,
        targets: Vec::new(),
    }
}

/// Label of a field: `MobilePhone` becomes "Mobile Phone".
fn label(name: &str) -> String {
    let bare = name.trim_end_matches("__c").replace('_', " ");
    let mut out = String::with_capacity(bare.len() + 4);
    let mut before = ' ';
    for c in bare.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            out.push(' ');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A custom field of an org.
pub(super) fn custom(name: &str, kind: Kind) -> Field {
    field(name, kind)
}

fn fixed(name: &str, kind: Kind) -> Field {
    Field {
        createable: false,
        updateable: false,
        ..field(name, kind)
    }
}

fn required(name: &str, length: usize) -> Field {
    Field {
        required: true,
        length,
        ..field(name, Kind::String)
    }
}

fn sized(name: &str, length: usize) -> Field {
    Field {
        length,
        ..field(name, Kind::String)
    }
}

fn person(name: &str, kind: Kind) -> Field {
    Field {
        person: true,
        ..field(name, kind)
    }
}

fn reference(name: &str, relationship: &str, targets: &[&'static str]) -> Field {
    Field {
        relationship: Some(relationship.to_owned()),
        targets: targets.to_vec(),
        ..field(name, Kind::Reference)
    }
}

fn fixed_reference(name: &str, relationship: &str, targets: &[&'static str]) -> Field {
    Field {
        createable: false,
        updateable: false,
        ..reference(name, relationship, targets)
    }
}

/// The audit fields. Their positions are fixed, so that every write can set them: see
/// `org::table::system`.
fn system() -> Vec<Field> {
    vec![
        fixed("Id", Kind::Id),
        fixed("IsDeleted", Kind::Boolean),
        fixed("CreatedDate", Kind::DateTime),
        fixed_reference("CreatedById", "CreatedBy", &["User"]),
        fixed("LastModifiedDate", Kind::DateTime),
        fixed_reference("LastModifiedById", "LastModifiedBy", &["User"]),
        fixed("SystemModstamp", Kind::DateTime),
        reference("OwnerId", "Owner", &["User"]),
    ]
}

fn stored(
    name: &'static str,
    plural: &'static str,
    prefix: &'static str,
    fields: impl IntoIterator<Item = Field>,
) -> ObjectType {
    let mut all = system();
    all.extend(fields);
    ObjectType::new(name, name, plural, prefix, true, all)
}

fn derived(
    name: &'static str,
    label: &'static str,
    prefix: &'static str,
    fields: impl IntoIterator<Item = Field>,
) -> ObjectType {
    let all = std::iter::once(fixed("Id", Kind::Id))
        .chain(fields)
        .collect();
    ObjectType::new(name, label, label, prefix, false, all)
}

fn address(prefix: &str) -> Vec<Field> {
    ["Street", "City", "State", "PostalCode", "Country"]
        .iter()
        .map(|part| sized(&format!("{prefix}{part}"), 80))
        .collect()
}

/// All objects of the catalogue.
pub(super) fn objects() -> Vec<ObjectType> {
    vec![
        account(),
        contact(),
        lead(),
        task(),
        organization(),
        user(),
        profile(),
        permission_set(),
        assignment(),
        object_permissions(),
        user_permission_access(),
        user_license(),
        call_center(),
    ]
}

fn account() -> ObjectType {
    let mut fields = vec![
        required("Name", 255),
        field("Phone", Kind::Phone),
        field("Fax", Kind::Phone),
        field("AccountNumber", Kind::String),
        field("Website", Kind::Url),
        field("Industry", Kind::Picklist),
        field("Type", Kind::Picklist),
        field("Description", Kind::TextArea),
        fixed("LastActivityDate", Kind::Date),
        reference("ParentId", "Parent", &["Account"]),
        fixed_reference("MasterRecordId", "MasterRecord", &["Account"]),
        Field {
            updateable: false,
            createable: false,
            ..person("IsPersonAccount", Kind::Boolean)
        },
        Field {
            person: true,
            ..fixed_reference("PersonContactId", "PersonContact", &["Contact"])
        },
        person("FirstName", Kind::String),
        person("LastName", Kind::String),
        person("PersonMobilePhone", Kind::Phone),
        person("PersonHomePhone", Kind::Phone),
        person("PersonOtherPhone", Kind::Phone),
        person("PersonEmail", Kind::Email),
        person("PersonTitle", Kind::String),
    ];
    fields.extend(address("Billing"));
    stored("Account", "Accounts", "001", fields)
}

fn contact() -> ObjectType {
    let mut fields = vec![
        Field {
            createable: false,
            updateable: false,
            ..sized("Name", 121)
        },
        sized("FirstName", 40),
        required("LastName", 80),
        sized("Salutation", 40),
        reference("AccountId", "Account", &["Account"]),
        field("Phone", Kind::Phone),
        field("MobilePhone", Kind::Phone),
        field("HomePhone", Kind::Phone),
        field("OtherPhone", Kind::Phone),
        field("AssistantPhone", Kind::Phone),
        field("Fax", Kind::Phone),
        field("Email", Kind::Email),
        sized("Title", 128),
        sized("Department", 80),
        field("Description", Kind::TextArea),
        fixed("LastActivityDate", Kind::Date),
        reference("ReportsToId", "ReportsTo", &["Contact"]),
        fixed_reference("MasterRecordId", "MasterRecord", &["Contact"]),
        Field {
            createable: false,
            updateable: false,
            ..person("IsPersonAccount", Kind::Boolean)
        },
    ];
    fields.extend(address("Mailing"));
    stored("Contact", "Contacts", "003", fields)
}

fn lead() -> ObjectType {
    let mut fields = vec![
        Field {
            createable: false,
            updateable: false,
            ..sized("Name", 121)
        },
        sized("FirstName", 40),
        required("LastName", 80),
        required("Company", 255),
        field("Phone", Kind::Phone),
        field("MobilePhone", Kind::Phone),
        field("Fax", Kind::Phone),
        field("Email", Kind::Email),
        sized("Title", 128),
        field("Status", Kind::Picklist),
        field("LeadSource", Kind::Picklist),
        field("Description", Kind::TextArea),
        fixed("LastActivityDate", Kind::Date),
        fixed_reference("MasterRecordId", "MasterRecord", &["Lead"]),
        fixed("IsConverted", Kind::Boolean),
        fixed("ConvertedDate", Kind::Date),
        fixed_reference("ConvertedAccountId", "ConvertedAccount", &["Account"]),
        fixed_reference("ConvertedContactId", "ConvertedContact", &["Contact"]),
    ];
    fields.extend(["Street", "City", "State", "PostalCode", "Country"].map(|part| sized(part, 80)));
    stored("Lead", "Leads", "00Q", fields)
}

fn task() -> ObjectType {
    stored(
        "Task",
        "Tasks",
        "00T",
        [
            reference("WhoId", "Who", &["Contact", "Lead"]),
            reference("WhatId", "What", &["Account"]),
            field("Subject", Kind::String),
            field("ActivityDate", Kind::Date),
            field("Status", Kind::Picklist),
            field("Priority", Kind::Picklist),
            field("Description", Kind::TextArea),
            field("TaskSubtype", Kind::Picklist),
            field("CallType", Kind::Picklist),
            field("CallDurationInSeconds", Kind::Int),
            field("CallDisposition", Kind::String),
            field("CallObject", Kind::String),
            fixed("IsClosed", Kind::Boolean),
            fixed_reference("AccountId", "Account", &["Account"]),
        ],
    )
}

fn organization() -> ObjectType {
    derived(
        "Organization",
        "Organization",
        "00D",
        [
            fixed("Name", Kind::String),
            fixed("OrganizationType", Kind::Picklist),
            fixed("IsSandbox", Kind::Boolean),
            fixed("InstanceName", Kind::String),
            fixed("TrialExpirationDate", Kind::DateTime),
            fixed("NamespacePrefix", Kind::String),
            fixed("DefaultAccountAccess", Kind::Picklist),
            fixed("DefaultContactAccess", Kind::Picklist),
            fixed("DefaultLeadAccess", Kind::Picklist),
            fixed("LanguageLocaleKey", Kind::Picklist),
            fixed("DefaultLocaleSidKey", Kind::Picklist),
            fixed("TimeZoneSidKey", Kind::Picklist),
            fixed("CreatedDate", Kind::DateTime),
        ],
    )
}

fn user() -> ObjectType {
    derived(
        "User",
        "User",
        "005",
        [
            fixed("Username", Kind::String),
            fixed("Name", Kind::String),
            fixed("FirstName", Kind::String),
            fixed("LastName", Kind::String),
            fixed("Email", Kind::Email),
            fixed("Alias", Kind::String),
            fixed("IsActive", Kind::Boolean),
            fixed("UserType", Kind::Picklist),
            fixed_reference("ProfileId", "Profile", &["Profile"]),
            // No relationship name is documented (facts: Salesforce changes G2).
            fixed("CallCenterId", Kind::Reference),
            fixed("TimeZoneSidKey", Kind::Picklist),
            fixed("LocaleSidKey", Kind::Picklist),
            fixed("LanguageLocaleKey", Kind::Picklist),
            fixed("Phone", Kind::Phone),
            fixed("MobilePhone", Kind::Phone),
            fixed("CreatedDate", Kind::DateTime),
            fixed("LastModifiedDate", Kind::DateTime),
        ],
    )
}

fn call_center() -> ObjectType {
    derived(
        "CallCenter",
        "Call Center",
        "04v",
        [
            fixed("Name", Kind::String),
            fixed("InternalName", Kind::String),
            fixed("Version", Kind::Double),
        ],
    )
}

/// The user permissions that have a column on Profile, PermissionSet and UserPermissionAccess.
pub(crate) const USER_PERMISSIONS: [&str; 11] = [
    "ApiEnabled",
    "ViewAllData",
    "ModifyAllData",
    "EditTask",
    "ViewSetup",
    "UseAnyApiAuth",
    "ManageCallCenters",
    "AuthorApex",
    "CustomizeApplication",
    "ManageUsers",
    "PasswordNeverExpires",
];

fn permission_columns() -> impl Iterator<Item = Field> {
    USER_PERMISSIONS
        .into_iter()
        .map(|name| fixed(&format!("Permissions{name}"), Kind::Boolean))
}

fn profile() -> ObjectType {
    derived(
        "Profile",
        "Profile",
        "00e",
        [
            fixed("Name", Kind::String),
            fixed("UserType", Kind::Picklist),
            fixed_reference("UserLicenseId", "UserLicense", &["UserLicense"]),
        ]
        .into_iter()
        .chain(permission_columns()),
    )
}

fn permission_set() -> ObjectType {
    derived(
        "PermissionSet",
        "Permission Set",
        "0PS",
        [
            fixed("Name", Kind::String),
            fixed("Label", Kind::String),
            fixed("IsOwnedByProfile", Kind::Boolean),
            fixed("IsCustom", Kind::Boolean),
            fixed("Type", Kind::Picklist),
            fixed_reference("ProfileId", "Profile", &["Profile"]),
        ]
        .into_iter()
        .chain(permission_columns()),
    )
}

fn assignment() -> ObjectType {
    derived(
        "PermissionSetAssignment",
        "Permission Set Assignment",
        "0Pa",
        [
            fixed_reference("PermissionSetId", "PermissionSet", &["PermissionSet"]),
            fixed_reference("AssigneeId", "Assignee", &["User"]),
            fixed("PermissionSetGroupId", Kind::Reference),
            fixed("IsActive", Kind::Boolean),
        ],
    )
}

fn object_permissions() -> ObjectType {
    derived(
        "ObjectPermissions",
        "Object Permissions",
        "110",
        [
            fixed_reference("ParentId", "Parent", &["PermissionSet"]),
            fixed("SobjectType", Kind::Picklist),
            fixed("PermissionsRead", Kind::Boolean),
            fixed("PermissionsCreate", Kind::Boolean),
            fixed("PermissionsEdit", Kind::Boolean),
            fixed("PermissionsDelete", Kind::Boolean),
            fixed("PermissionsViewAllRecords", Kind::Boolean),
            fixed("PermissionsModifyAllRecords", Kind::Boolean),
        ],
    )
}

/// The permissions of the user who asks, in one row (facts: Salesforce 4.5).
fn user_permission_access() -> ObjectType {
    derived(
        "UserPermissionAccess",
        "User Permission Access",
        "0UP",
        permission_columns(),
    )
}

fn user_license() -> ObjectType {
    derived(
        "UserLicense",
        "User License",
        "100",
        [
            fixed("LicenseDefinitionKey", Kind::String),
            fixed("MasterLabel", Kind::String),
            fixed("Name", Kind::String),
            fixed("Status", Kind::Picklist),
            fixed("TotalLicenses", Kind::Int),
            fixed("UsedLicenses", Kind::Int),
        ],
    )
}
