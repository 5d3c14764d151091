//! Profiles and permission sets: who may see and do what.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a profile or permission set allows on one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ObjectAccess {
    /// Read what is shared.
    pub read: bool,
    /// Create records.
    pub create: bool,
    /// Edit what is shared.
    pub edit: bool,
    /// Delete what is shared.
    pub delete: bool,
    /// See every record.
    pub view_all: bool,
    /// Change every record.
    pub modify_all: bool,
}

impl ObjectAccess {
    /// Nothing withheld.
    pub const ALL: Self = Self {
        read: true,
        create: true,
        edit: true,
        delete: true,
        view_all: true,
        modify_all: true,
    };
    /// Create, read, edit and delete what is shared.
    pub const SHARED: Self = Self {
        read: true,
        create: true,
        edit: true,
        delete: true,
        view_all: false,
        modify_all: false,
    };
    /// Create, read, edit, delete, and see everything.
    pub const VIEW_ALL: Self = Self {
        view_all: true,
        ..Self::SHARED
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

/// A set of rights, as a profile or a permission set grants them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Grants {
    /// User permissions without their prefix: ApiEnabled, ViewAllData, ModifyAllData, EditTask, ViewSetup,
    /// UseAnyApiAuth.
    pub permissions: BTreeSet<String>,
    /// Rights by object.
    pub objects: BTreeMap<String, ObjectAccess>,
    /// Fields that a profile hides, as `Contact.MobilePhone`.
    pub hidden_fields: BTreeSet<String>,
    /// Fields that a profile lets read, not write.
    pub read_only_fields: BTreeSet<String>,
    /// Fields that a permission set opens again, for reading and writing.
    pub visible_fields: BTreeSet<String>,
}

impl Grants {
    /// Whether the user permission is in it.
    pub fn has(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }

    /// Adds a user permission.
    pub fn allow(mut self, permission: &str) -> Self {
        self.permissions.insert(permission.to_owned());
        self
    }

    /// Takes a user permission away.
    pub fn deny(mut self, permission: &str) -> Self {
        self.permissions.remove(permission);
        self
    }

    /// Sets the rights on an object.
    pub fn object(mut self, name: &str, access: ObjectAccess) -> Self {
        self.objects.insert(name.to_owned(), access);
        self
    }

    /// Takes every right on an object away, so that it does not exist for the user.
    pub fn without_object(mut self, name: &str) -> Self {
        self.objects.remove(name);
        self
    }

    /// Leaves the object readable and takes View All (and Modify All) on it away.
    pub fn without_view_all(mut self, name: &str) -> Self {
        if let Some(access) = self.objects.get_mut(name) {
            access.view_all = false;
            access.modify_all = false;
        }
        self
    }

    /// Hides a field: `Contact.MobilePhone`.
    pub fn hide(mut self, field: &str) -> Self {
        self.hidden_fields.insert(field.to_owned());
        self
    }
}

/// The objects that ObjectPermissions speaks of; tasks go by the user permission Edit Tasks.
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
    /// Its name; users refer to it.
    pub name: String,
    /// The name of the user licence that it belongs to.
    pub user_license: String,
    /// Its rights.
    pub grants: Grants,
}

impl Profile {
    /// A profile of this name on the Salesforce licence.
    pub fn new(name: &str, grants: Grants) -> Self {
        Self {
            name: name.to_owned(),
            user_license: "Salesforce".to_owned(),
            grants,
        }
    }

    /// `System Administrator`: everything.
    pub fn system_administrator() -> Self {
        let permissions = crate::schema::USER_PERMISSIONS
            .iter()
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

    /// `Integration`: the API, View All on the CRM objects and tasks, and nothing more.
    pub fn integration() -> Self {
        let grants = Grants {
            objects: on_all(ObjectAccess::VIEW_ALL),
            ..Grants::default()
        };
        Self::new("Integration", grants.allow("ApiEnabled").allow("EditTask"))
    }

    /// `Standard User`: the API and what is shared.
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

    /// `Minimum Access`: the API, and not one object.
    pub fn minimum_access() -> Self {
        Self::new("Minimum Access", Grants::default().allow("ApiEnabled"))
    }

    /// The profiles that every org starts with.
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
    /// Its name; users refer to it.
    pub name: String,
    /// Its rights.
    pub grants: Grants,
    /// The permission set group through which it is assigned, if any.
    pub group: Option<String>,
}

impl PermissionSet {
    /// A permission set of this name.
    pub fn new(name: &str, grants: Grants) -> Self {
        Self {
            name: name.to_owned(),
            grants,
            group: None,
        }
    }
}
