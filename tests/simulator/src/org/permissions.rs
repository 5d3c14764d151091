//! Profiles and permission sets, which define the rights of users.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The rights that a profile or permission set grants on one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ObjectAccess {
    /// Read shared records.
    pub read: bool,
    /// Create records.
    pub create: bool,
    /// Edit shared records.
    pub edit: bool,
    /// Delete shared records.
    pub delete: bool,
    /// Read all records.
    pub view_all: bool,
    /// Change all records.
    pub modify_all: bool,
}

impl ObjectAccess {
    /// All rights.
    pub const ALL: Self = Self {
        read: true,
        create: true,
        edit: true,
        delete: true,
        view_all: true,
        modify_all: true,
    };
    /// Create records; read, edit and delete shared records.
    pub const SHARED: Self = Self {
        read: true,
        create: true,
        edit: true,
        delete: true,
        view_all: false,
        modify_all: false,
    };
    /// Read all records, and change none.
    pub const VIEW_ALL: Self = Self {
        read: true,
        create: false,
        edit: false,
        delete: false,
        view_all: true,
        modify_all: false,
    };

    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            create: self.create || other.create,
            edit: self.edit || other.edit,
            delete: self.delete || other.delete,
            view_all: self.view_all || other.view_all,
            modify_all: self.modify_all || other.modify_all,
        }
    }
}

/// The rights that a profile or a permission set grants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Grants {
    /// User permissions without their prefix: ApiEnabled, ViewAllData, ModifyAllData, EditTask,
    /// ViewSetup, UseAnyApiAuth, ManageCallCenters, AuthorApex, CustomizeApplication, ManageUsers,
    /// PasswordNeverExpires.
    pub permissions: BTreeSet<String>,
    /// Rights on objects; key: the object.
    pub objects: BTreeMap<String, ObjectAccess>,
    /// Fields that a profile hides, in the form `Contact.MobilePhone`.
    pub hidden_fields: BTreeSet<String>,
    /// Fields that a profile makes read-only.
    pub read_only_fields: BTreeSet<String>,
    /// Fields that a permission set makes readable and writable again.
    pub visible_fields: BTreeSet<String>,
}

impl Grants {
    /// Whether the user permission is granted.
    pub fn has(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }

    /// Adds a user permission.
    pub fn allow(mut self, permission: &str) -> Self {
        self.permissions.insert(permission.to_owned());
        self
    }

    /// Removes a user permission.
    pub fn deny(mut self, permission: &str) -> Self {
        self.permissions.remove(permission);
        self
    }

    /// Sets the rights on an object.
    pub fn object(mut self, name: &str, access: ObjectAccess) -> Self {
        self.objects.insert(name.to_owned(), access);
        self
    }

    /// Removes every right on an object, so that it does not exist for the user.
    pub fn without_object(mut self, name: &str) -> Self {
        self.objects.remove(name);
        self
    }

    /// Keeps the object readable, but removes View All and Modify All on it.
    pub fn without_view_all(mut self, name: &str) -> Self {
        if let Some(access) = self.objects.get_mut(name) {
            access.view_all = false;
            access.modify_all = false;
        }
        self
    }

    /// Hides a field, in the form `Contact.MobilePhone`.
    pub fn hide(mut self, field: &str) -> Self {
        self.hidden_fields.insert(field.to_owned());
        self
    }
}

/// The objects that ObjectPermissions covers; tasks depend on the user permission Edit Tasks.
pub(crate) const CRM_OBJECTS: [&str; 3] = ["Account", "Contact", "Lead"];

fn on_all(access: ObjectAccess) -> BTreeMap<String, ObjectAccess> {
    CRM_OBJECTS
        .iter()
        .map(|name| ((*name).to_owned(), access))
        .collect()
}

/// A profile; each user has one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Profile {
    /// Name of the profile; users refer to it.
    pub name: String,
    /// Name of the user licence that the profile belongs to.
    pub user_license: String,
    /// The rights that the profile grants.
    pub grants: Grants,
}

impl Profile {
    /// A profile with this name on the Salesforce licence.
    pub fn new(name: &str, grants: Grants) -> Self {
        Self {
            name: name.to_owned(),
            user_license: "Salesforce".to_owned(),
            grants,
        }
    }

    /// `System Administrator`: all rights, with a password that expires as everybody's does.
    pub fn system_administrator() -> Self {
        let permissions = crate::schema::USER_PERMISSIONS
            .iter()
            .filter(|permission| **permission != "PasswordNeverExpires")
            .map(|p| (*p).to_owned())
            .collect();
        Self::new(
            "System Administrator",
            Grants {
                permissions,
                objects: on_all(ObjectAccess::ALL),
                ..Grants::default()
            },
        )
    }

    /// `Integration`: the API, View All on the CRM objects, tasks, and nothing more.
    pub fn integration() -> Self {
        let grants = Grants {
            objects: on_all(ObjectAccess::VIEW_ALL),
            ..Grants::default()
        };
        Self::new("Integration", grants.allow("ApiEnabled").allow("EditTask"))
    }

    /// `Standard User`: the API and shared records.
    pub fn standard_user() -> Self {
        let grants = Grants {
            objects: on_all(ObjectAccess::SHARED),
            ..Grants::default()
        };
        Self::new(
            "Standard User",
            grants.allow("ApiEnabled").allow("EditTask"),
        )
    }

    /// `Minimum Access`: the API, without any object.
    pub fn minimum_access() -> Self {
        Self::new("Minimum Access", Grants::default().allow("ApiEnabled"))
    }

    /// The profiles that every org has at the start.
    pub fn stock() -> Vec<Self> {
        vec![
            Self::system_administrator(),
            Self::integration(),
            Self::standard_user(),
            Self::minimum_access(),
        ]
    }
}

/// A permission set; users may have any number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PermissionSet {
    /// Name of the permission set; users refer to it.
    pub name: String,
    /// The rights that the permission set grants.
    pub grants: Grants,
    /// The permission set group through which it is assigned, if any.
    pub group: Option<String>,
}

impl PermissionSet {
    /// A permission set with this name and these rights.
    pub fn new(name: &str, grants: Grants) -> Self {
        Self {
            name: name.to_owned(),
            grants,
            group: None,
        }
    }
}
