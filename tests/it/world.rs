//! The Salesforce orgs that the tests log in to.

use salesforce_simulator::{Fault, Org, Record, Simulator, User, World};
use switchboard_testbed::wait_for;

use crate::stage::SOON;

/// Password of the integration user. It is also a marker that must not appear anywhere.
pub(crate) const PASSWORD: &str = "marker&<right>password";
/// Security token of the integration user.
pub(crate) const TOKEN: &str = "markerRightToken";
/// The integration user.
pub(crate) const USER: &str = "integration@acme.example";

/// Number of the Contact Hanako Sato of Acme Trading, stored with hyphens.
pub(crate) const ON_CONTACT: &str = "0312345678";
/// Number of the Lead Taro Lead of Lead Works, stored as +81.
pub(crate) const ON_LEAD: &str = "09011112222";
/// Number of the Contact Jiro Contact of Both Inc and of a Lead.
pub(crate) const ON_TWO: &str = "0312340000";
/// A number of no record.
pub(crate) const NOWHERE: &str = "0600000000";

/// An Enterprise org with one integration user.
pub(crate) fn acme() -> World {
    World::new().org(org())
}

/// The same org, but the user's profile lacks View All on Contact.
pub(crate) fn acme_without_view_all_on_contact() -> World {
    World::new().org(org().grants("Integration", |grants| grants.without_view_all("Contact")))
}

/// The org of [`acme`].
pub(crate) fn org() -> Org {
    Org::enterprise("Acme")
        .user(User::integration(USER).password(PASSWORD).token(TOKEN))
        .account(Record::account("Acme Trading"))
        .account(Record::account("Both Inc"))
        .contact(
            Record::person("Sato")
                .first("Hanako")
                .phone("03-1234-5678")
                .of_account("Acme Trading"),
        )
        .contact(
            Record::person("Contact")
                .first("Jiro")
                .mobile("03-1234-0000")
                .of_account("Both Inc"),
        )
        .lead(
            Record::person("Lead")
                .first("Taro")
                .set("Company", "Lead Works")
                .phone("+81 90-1111-2222"),
        )
        .lead(
            Record::person("Other")
                .first("Saburo")
                .set("Company", "Never Shown")
                .phone("0312340000"),
        )
}

/// Deactivates the user and ends its sessions.
pub(crate) fn deactivate(simulator: &Simulator) {
    simulator
        .edit_user(USER, |user| user.active = false)
        .unwrap();
    simulator.revoke_sessions(USER);
}

/// Makes composite requests hang from now on.
pub(crate) fn never_answer_composites(simulator: &Simulator) {
    simulator.fault(Fault::delay(600_000).on_path("*/composite"));
}

/// Waits until a composite request hangs.
pub(crate) async fn until_a_composite_waits(simulator: &Simulator) {
    wait_for("a composite request to hang", SOON, async || {
        let faults = simulator.counters().faults;
        if faults > 0 {
            Ok(())
        } else {
            Err(format!("{faults} faults struck"))
        }
    })
    .await;
}

/// Removes all faults.
pub(crate) fn answer_at_once(simulator: &Simulator) {
    simulator.clear_faults();
}
