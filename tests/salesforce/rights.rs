//! What the user may do beyond the job is told, and the permission set of the repository is enough
//! for it.

use salesforce_simulator::{Grants, ObjectAccess, Org, PermissionSet, Profile, World};
use switchboard::phone::parse;
use switchboard::resolve::{Object, Resolver, permission_set};
use switchboard::salesforce::{Credentials, Visibility, WarningCode, probe};

use crate::{
    Simulator, USER, acme, client_credentials, connect, jwt, oauth_password, password, start,
};

/// The texts of an element, in order.
fn all<'a>(xml: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let pieces = xml.split(open.as_str()).skip(1);
    pieces
        .map(|piece| piece.split_once(close.as_str()).unwrap().0)
        .collect()
}

fn is(block: &str, element: &str) -> bool {
    all(block, element) == ["true"]
}

/// What the file grants, as the org reads it when it is deployed.
fn deployed() -> Grants {
    let xml = permission_set();
    let mut grants = Grants::default();
    for block in all(&xml, "objectPermissions") {
        let access = ObjectAccess {
            read: is(block, "allowRead"),
            create: is(block, "allowCreate"),
            edit: is(block, "allowEdit"),
            delete: is(block, "allowDelete"),
            view_all: is(block, "viewAllRecords"),
            modify_all: is(block, "modifyAllRecords"),
        };
        grants = grants.object(all(block, "object")[0], access);
    }
    for block in all(&xml, "userPermissions") {
        grants = grants.allow(all(block, "name")[0]);
    }
    for block in all(&xml, "fieldPermissions") {
        assert!(is(block, "readable"));
        let field = all(block, "field")[0];
        grants.visible_fields.insert(field.to_owned());
    }
    grants
}

/// A user whose profile gives nothing and hides every field that a profile can hide.
fn with_the_set_only(mut org: Org) -> Org {
    let set = deployed();
    let mut nothing = Grants::default();
    for field in [
        "Phone",
        "MobilePhone",
        "Title",
        "AccountId",
        "OtherPhone",
        "HomePhone",
        "Fax",
        "Email",
        "Department",
    ] {
        for object in ["Contact", "Account", "Lead"] {
            nothing = nothing.hide(&format!("{object}.{field}"));
        }
    }
    org = org
        .profile(Profile::new("Nothing", nothing))
        .permission_set(PermissionSet::new("Switchboard", set));
    let user = org.user_mut(USER).unwrap();
    user.profile = "Nothing".into();
    user.permission_sets = vec!["Switchboard".into()];
    org
}

async fn told(org: Org, credentials: Credentials) -> Option<String> {
    let simulator = start(org).await;
    let told = told_by(&simulator, credentials).await;
    simulator.shutdown().await;
    told
}

async fn told_by(simulator: &Simulator, credentials: Credentials) -> Option<String> {
    let connection = connect(simulator, credentials);
    let findings = probe(&connection, &[]).await.unwrap();
    assert_eq!(connection.spent().calls, 3, "no further call");
    assert_eq!(findings.session.username.as_deref(), Some(USER));
    assert_eq!(findings.access.contact, Visibility::Yes);
    let warnings = findings.warnings.into_iter();
    let mut excess = warnings.filter(|warning| warning.code == WarningCode::ExcessRights);
    let told = excess.next();
    assert_eq!(excess.next(), None, "one warning tells all");
    told.map(|warning| warning.message)
}

#[tokio::test]
async fn a_user_with_more_rights_than_the_job_needs_is_told_and_the_least_set_is_enough() {
    let methods: [fn() -> Credentials; 4] = [password, oauth_password, jwt, client_credentials];
    for method in methods {
        let least = with_the_set_only(acme());
        assert_eq!(told(least, method()).await, None);
        assert_eq!(told(acme(), method()).await, None);
        let administrator = acme().with(|org| {
            org.user_mut(USER).unwrap().profile = "System Administrator".into();
        });
        assert_eq!(
            told(administrator, method()).await.as_deref(),
            Some(
                "The user may do more than the integration needs: Modify All Data, View All Data, Author Apex, Customize Application, Manage Users."
            )
        );
    }
    let extra = |grants: Grants| {
        acme().with(|org| {
            let set = PermissionSet::new("Extra", grants);
            org.permission_sets.push(set);
            org.user_mut(USER).unwrap().permission_sets = vec!["Extra".into()];
        })
    };
    let for_ever = || extra(Grants::default().allow("PasswordNeverExpires"));
    assert_eq!(told(for_ever(), password()).await, None);
    let said = told(for_ever(), client_credentials()).await.unwrap();
    assert!(said.ends_with(": Password Never Expires."), "{said}");
    let shared = extra(Grants::default().object("Lead", ObjectAccess::SHARED));
    let said = told(shared, jwt()).await.unwrap();
    assert!(said.ends_with(": Create/Edit/Delete on Lead."), "{said}");
}

#[tokio::test]
async fn rights_that_cannot_be_read_break_nothing() {
    // Modify All Data is known from the permission sets, too.
    let administrator =
        || acme().with(|org| org.user_mut(USER).unwrap().profile = "System Administrator".into());
    let world = World::new()
        .org(administrator())
        .switches(|switches| switches.user_permission_access = false);
    let simulator = Simulator::start(world).await.unwrap();
    let said = told_by(&simulator, jwt()).await.unwrap();
    assert!(
        said.ends_with(": Modify All Data, View All Data."),
        "{said}"
    );
    simulator.shutdown().await;

    let hidden = "UserPermissionAccess.PermissionsAuthorApex";
    let without_apex = administrator().grants("System Administrator", |grants| grants.hide(hidden));
    let said = told(without_apex, jwt()).await.unwrap();
    assert!(
        said.ends_with(": Modify All Data, View All Data."),
        "{said}"
    );
    let least = acme().grants("Integration", |grants| grants.hide(hidden));
    assert_eq!(told(least, jwt()).await, None);
}

#[tokio::test]
async fn every_object_is_looked_up_with_the_least_set() {
    let org = with_the_set_only(
        acme()
            .account(salesforce_simulator::Record::account("Beta KK").phone("03-9999-0001"))
            .lead(
                salesforce_simulator::Record::person("Abe")
                    .set("Company", "Gamma")
                    .mobile("090-9999-0002"),
            ),
    );
    let simulator = start(org).await;
    let home = "JP".parse().unwrap();
    let numbers = ["+81312345678", "03-9999-0001", "090-9999-0002"];
    let numbers = numbers.map(|number| parse(number, &home).unwrap());
    let mut resolver = Resolver::new(connect(&simulator, jwt()), home);
    let batch = resolver.batch(&numbers);
    let found = resolver.resolve(&batch).await.unwrap().unwrap();
    assert_eq!(found.found.len(), 3, "{found:?}");
    let findings = resolver.findings();
    assert!(
        !findings
            .iter()
            .any(|finding| format!("{finding:?}").contains("FieldHidden")),
        "{findings:?}"
    );
    let searched: Vec<Object> = resolver.fully_searched().collect();
    assert_eq!(searched, Object::ALL);
    simulator.shutdown().await;
}
