//! The rights of a user, derived from profile, permission sets, sharing defaults and ownership.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::permissions::CRM_OBJECTS;
use super::{ObjectAccess, Org, Row, Sharing, User, system};
use crate::schema::{Field, ObjectType};
use crate::switches::Switches;

/// The rights of one user at one time.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) user_id: String,
    permissions: BTreeSet<String>,
    objects: BTreeMap<String, ObjectAccess>,
    hidden: HashSet<String>,
    read_only: HashSet<String>,
    permission_objects: bool,
    contact_is_person_account: bool,
    call_centers: bool,
    own_permissions: bool,
}

/// The object whose only row is that of the user who asks.
const OWN_PERMISSIONS: &str = "UserPermissionAccess";

const PERMISSION_OBJECTS: [&str; 3] = [
    "PermissionSet",
    "PermissionSetAssignment",
    "ObjectPermissions",
];

impl Access {
    /// Computes the rights of a user of this org.
    pub(crate) fn of(org: &Org, user: &User, switches: &Switches) -> Self {
        let profile = org
            .profiles
            .iter()
            .find(|p| p.name == user.profile)
            .map(|p| &p.grants);
        let sets = org
            .permission_sets
            .iter()
            .filter(|set| user.permission_sets.contains(&set.name))
            .map(|set| &set.grants);
        let mut access = Self {
            user_id: user.id.clone(),
            permissions: BTreeSet::new(),
            objects: BTreeMap::new(),
            hidden: HashSet::new(),
            read_only: HashSet::new(),
            permission_objects: true,
            contact_is_person_account: switches.contact_is_person_account,
            call_centers: true,
            own_permissions: switches.user_permission_access,
        };
        if let Some(profile) = profile {
            access
                .hidden
                .extend(profile.hidden_fields.iter().map(|f| f.to_ascii_lowercase()));
            access.read_only.extend(
                profile
                    .read_only_fields
                    .iter()
                    .map(|f| f.to_ascii_lowercase()),
            );
        }
        for grants in profile.into_iter().chain(sets) {
            access
                .permissions
                .extend(grants.permissions.iter().cloned());
            for (object, more) in &grants.objects {
                let so_far = access
                    .objects
                    .entry(object.to_ascii_lowercase())
                    .or_default();
                *so_far = so_far.or(*more);
            }
            for field in &grants.visible_fields {
                access.hidden.remove(&field.to_ascii_lowercase());
                access.read_only.remove(&field.to_ascii_lowercase());
            }
        }
        access.permission_objects =
            !switches.permission_objects_need_view_setup || access.may("ViewSetup");
        access.call_centers =
            !switches.call_centers_need_permission || access.may("ManageCallCenters");
        access
    }

    /// Whether the user has the user permission; Modify All Data implies View All Data.
    pub(crate) fn may(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
            || (permission == "ViewAllData" && self.permissions.contains("ModifyAllData"))
    }

    /// The rights on an object.
    pub(crate) fn on(&self, object: &str) -> ObjectAccess {
        let mut rights = match object {
            "Task" => {
                let write = self.may("EditTask");
                ObjectAccess {
                    read: true,
                    create: write,
                    edit: write,
                    delete: write,
                    ..ObjectAccess::default()
                }
            }
            name if CRM_OBJECTS.contains(&name) => self
                .objects
                .get(&name.to_ascii_lowercase())
                .copied()
                .unwrap_or_default(),
            "CallCenter" if !self.call_centers => ObjectAccess::default(),
            OWN_PERMISSIONS => {
                return ObjectAccess {
                    read: self.own_permissions,
                    ..ObjectAccess::default()
                };
            }
            name if PERMISSION_OBJECTS.contains(&name) && !self.permission_objects => {
                ObjectAccess::default()
            }
            _ => {
                return ObjectAccess {
                    read: true,
                    view_all: true,
                    ..ObjectAccess::default()
                };
            }
        };
        if self.may("ViewAllData")
            && object != "CallCenter"
            && !PERMISSION_OBJECTS.contains(&object)
        {
            rights.read = true;
            rights.view_all = true;
        }
        if self.permissions.contains("ModifyAllData") && CRM_OBJECTS.contains(&object) {
            rights = ObjectAccess::ALL;
        }
        rights.view_all |= rights.modify_all;
        rights
    }

    /// Whether the object exists for the user.
    pub(crate) fn sees_object(&self, org: &Org, object: &ObjectType) -> bool {
        !org.missing_objects
            .iter()
            .any(|name| name.eq_ignore_ascii_case(object.name))
            && self.on(object.name).read
    }

    /// Whether the field exists for the user.
    pub(crate) fn sees_field(&self, org: &Org, object: &ObjectType, field: &Field) -> bool {
        if field.person && !org.person_accounts {
            return false;
        }
        if object.name == "Contact"
            && field.name == "IsPersonAccount"
            && !self.contact_is_person_account
        {
            return false;
        }
        if field.name == "CallCenterId"
            && !org
                .schema
                .object("CallCenter")
                .is_some_and(|center| self.sees_object(org, center))
        {
            return false;
        }
        self.hidden.is_empty() || !self.hidden.contains(&key(object, field))
    }

    /// Whether field-level security lets the user write the field.
    pub(crate) fn writes_field(&self, object: &ObjectType, field: &Field) -> bool {
        let key = key(object, field);
        !self.hidden.contains(&key) && !self.read_only.contains(&key)
    }

    /// Whether every row of the object is visible, so that no check of single rows is needed.
    pub(crate) fn sees_all_rows(&self, org: &Org, object: &ObjectType) -> bool {
        let rights = self.on(object.name);
        rights.view_all
            || matches!(
                org.sharing_of(object.name),
                Sharing::Read | Sharing::ReadWrite
            )
            || !(object.stored || object.name == OWN_PERMISSIONS)
    }

    /// Whether this row is shared with the user.
    pub(crate) fn sees_row(&self, org: &Org, object: &ObjectType, row: &Row) -> bool {
        if object.name == OWN_PERMISSIONS {
            return row.id() == self.user_id;
        }
        if self.sees_all_rows(org, object) || self.owns(row) {
            return true;
        }
        if org.sharing_of(object.name) != Sharing::ControlledByParent {
            return false;
        }
        let parent = object
            .field("AccountId")
            .and_then(|ix| row.get(ix).as_text());
        let accounts = org.schema.object("Account").zip(org.table("Account"));
        match (parent, accounts) {
            (Some(id), Some((account, table))) => table
                .by_id(id)
                .is_some_and(|row| self.sees_row(org, account, row)),
            _ => false,
        }
    }

    /// Whether the user may change this row, which must be visible to the user.
    pub(crate) fn edits_row(&self, org: &Org, object: &ObjectType, row: &Row) -> bool {
        let rights = self.on(object.name);
        rights.edit
            && (rights.modify_all
                || self.owns(row)
                || org.sharing_of(object.name) == Sharing::ReadWrite)
    }

    fn owns(&self, row: &Row) -> bool {
        row.get(system::OWNER).as_text() == Some(&self.user_id)
    }
}

fn key(object: &ObjectType, field: &Field) -> String {
    format!("{}.{}", object.name, field.name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::org::{Grants, PermissionSet, Profile};

    fn access(org: &Org, user: &User) -> Access {
        Access::of(org, user, &Switches::default())
    }

    #[test]
    fn rights_add_up_over_profile_and_permission_sets() {
        let org = Org::enterprise("a")
            .grants("Standard User", |g| g.hide("Contact.Phone"))
            .permission_set(PermissionSet::new(
                "see",
                Grants::default().object("Contact", ObjectAccess::VIEW_ALL),
            ));
        let plain = access(&org, &User::standard("u"));
        assert!(!plain.on("Contact").view_all);
        let contact = org.schema.object("Contact").unwrap();
        let phone = contact.at(contact.field("Phone").unwrap()).unwrap();
        assert!(!plain.sees_field(&org, contact, phone));
        let more = access(&org, &User::standard("u").permission_set("see"));
        assert!(more.on("Contact").view_all && !more.on("Lead").view_all);
    }

    #[test]
    fn view_all_data_and_modify_all_data_count_for_every_object() {
        let org =
            Org::enterprise("a").profile(Profile::new("V", Grants::default().allow("ViewAllData")));
        assert!(access(&org, &User::new("u", "V")).on("Lead").view_all);
        assert!(!access(&org, &User::new("u", "V")).on("Lead").edit);
        assert!(
            access(&org, &User::administrator("u"))
                .on("Lead")
                .modify_all
        );
        assert!(
            !access(&org, &User::new("u", "Minimum Access"))
                .on("Lead")
                .read
        );
    }

    #[test]
    fn tasks_go_by_edit_tasks() {
        let org = Org::enterprise("a").grants("Integration", |g| g.deny("EditTask"));
        assert!(!access(&org, &User::integration("u")).on("Task").create);
        assert!(access(&org, &User::standard("u")).on("Task").create);
    }
}
