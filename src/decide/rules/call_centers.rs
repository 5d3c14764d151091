//! Whether Salesforce has the users of the call centers as the spec says: each exists, is active,
//! and stands in the one call center of its group.

use std::collections::BTreeMap;

use super::user_claim::Users;
use crate::api::conditions::Verdict;
use crate::api::{CallCenter, canonical_user};
use crate::reason::Reason;
use crate::salesforce::{UserRow, UsersFound};

/// The verdict on the call centers; `None` if no user was asked for.
pub(crate) fn verdict(call_centers: &[CallCenter], found: &UsersFound) -> Option<Verdict> {
    match found {
        UsersFound::NotAsked => None,
        UsersFound::Unreadable(why) => Some(Verdict::unknown(
            Reason::CallCentersUnreadable,
            format!("Whether Salesforce has these users and call centers cannot be told: {why}"),
        )),
        UsersFound::Rows(rows) => Some(compared(call_centers, rows)),
    }
}

fn compared(call_centers: &[CallCenter], rows: &[UserRow]) -> Verdict {
    let rows: BTreeMap<String, &UserRow> = rows
        .iter()
        .map(|row| (canonical_user(&row.username), row))
        .collect();
    let row = |user: &str| rows.get(&canonical_user(user)).copied();
    let all = || call_centers.iter().flat_map(|center| &center.users);
    let those = |wanted: fn(Option<&UserRow>) -> bool| -> Users {
        all().filter(|user| wanted(row(user))).collect()
    };
    let mut problems = vec![];
    let absent = those(|row| row.is_none());
    if absent.count > 0 {
        problems.push(format!(
            "Salesforce shows no user {} to the integration user.",
            absent.listed()
        ));
    }
    let inactive = those(|row| row.is_some_and(|row| !row.is_active));
    if inactive.count > 0 {
        problems.push(format!("Not active in Salesforce: {}.", inactive.listed()));
    }
    let without = those(|row| row.is_some_and(|row| row.is_active && row.call_center_id.is_none()));
    if without.count > 0 {
        problems.push(format!(
            "In no call center of Salesforce: {}.",
            without.listed()
        ));
    }
    let center_of = |user: &String| row(user)?.call_center_id.as_deref();
    problems.extend(
        call_centers
            .iter()
            .filter_map(|group| strays(group, center_of)),
    );
    if problems.is_empty() {
        return Verdict::holds(
            Reason::AsExpected,
            "Every user exists, is active and stands in the one call center of its group.",
        );
    }
    Verdict::fails(Reason::CallCentersDiffer, problems.join(" "))
}

/// The sentence about the users of a group that stand in another call center than most of it.
fn strays<'a>(
    group: &'a CallCenter,
    center_of: impl Fn(&'a String) -> Option<&'a str>,
) -> Option<String> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for center in group.users.iter().filter_map(&center_of) {
        let size = sizes.entry(center).or_default();
        *size = size.saturating_add(1);
    }
    let (&main, _) = sizes.iter().max_by_key(|(_, size)| **size)?;
    let strays: Users = group
        .users
        .iter()
        .filter(|user| center_of(user).is_some_and(|center| center != main))
        .collect();
    (strays.count > 0).then(|| {
        format!(
            "Most users of {:?} stand in the call center {main} of Salesforce; these stand in another one: {}.",
            group.name,
            strays.listed()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Truth;

    fn row(username: &str, is_active: bool, call_center_id: Option<&str>) -> UserRow {
        UserRow {
            username: username.into(),
            is_active,
            call_center_id: call_center_id.map(Into::into),
        }
    }

    fn group(name: &str, users: &[&str]) -> CallCenter {
        CallCenter {
            name: name.into(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
        }
    }

    fn said(groups: &[CallCenter], rows: Vec<UserRow>) -> (Truth, String) {
        let verdict = verdict(groups, &UsersFound::Rows(rows)).unwrap();
        (verdict.truth, verdict.message)
    }

    #[test]
    fn capitals_do_not_matter_and_each_group_has_a_call_center_of_its_own() {
        let groups = [group("support", &["A@x", "b@x"]), group("sales", &["c@x"])];
        let (truth, _) = said(
            &groups,
            vec![
                row("a@X", true, Some("04v1")),
                row("b@x", true, Some("04v1")),
                row("c@x", true, Some("04v2")),
            ],
        );
        assert_eq!(truth, Truth::True);
    }

    #[test]
    fn each_problem_names_its_users() {
        let groups = [group(
            "support",
            &["a@x", "b@x", "c@x", "d@x", "e@x", "f@x"],
        )];
        let (truth, message) = said(
            &groups,
            vec![
                row("a@x", true, Some("04v1")),
                row("b@x", true, Some("04v1")),
                row("c@x", true, Some("04v2")),
                row("d@x", false, None),
                row("e@x", true, None),
            ],
        );
        assert_eq!(truth, Truth::False);
        for part in [
            "no user f@x to",
            "Not active in Salesforce: d@x.",
            "In no call center of Salesforce: e@x.",
            "\"support\" stand in the call center 04v1 of Salesforce; these stand in another one: c@x.",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_and_does_not_fail() {
        let found = UsersFound::Unreadable("no such column".into());
        let verdict = verdict(&[group("support", &["a@x"])], &found).unwrap();
        assert_eq!(verdict.truth, Truth::Unknown);
        assert!(verdict.message.ends_with("no such column"));
    }
}
