//! The connection test: three API calls (a fourth if the session had expired), or one where an
//! earlier test is known and the first call shows that user, organization and rights are as they
//! were. Every result is proved, not guessed. The users of call centers ride along, or cost the
//! second call; a list that is longer than the room costs one call more for each five pages.

pub(crate) mod findings;
pub(crate) mod permissions;
mod rights;
pub(crate) mod users;
pub(crate) mod warning_code;
pub(crate) mod warnings;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use self::findings::{Access, Findings, Organization, Visibility, Warning};
use self::permissions::{Grants, Sharing};
use self::users::Asked;
use super::answers::error::{Error, Phase};
use super::answers::is_about_rights;
use super::answers::meaning::Meaning;
use super::connection::Connection;
use super::credentials::Credentials;
use super::credentials::environment::ApiVersion;
use super::login::session::SessionInfo;
use super::rest::soql::SoqlLiteral;
use super::rest::{MAX_SUBQUERIES, Subrequest, Subresponse};
use crate::json;

/// The oldest version with composite requests, which the client requires (facts: Salesforce 2.7).
const OLDEST: ApiVersion = ApiVersion {
    major: 38,
    minor: 0,
};

/// The row of Organization, with the fields that the user may see.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct OrganizationRow {
    #[serde(deserialize_with = "json::short")]
    id: Option<String>,
    #[serde(deserialize_with = "json::short")]
    name: Option<String>,
    #[serde(deserialize_with = "json::short")]
    organization_type: Option<String>,
    is_sandbox: Option<bool>,
    #[serde(deserialize_with = "json::short")]
    instance_name: Option<String>,
    #[serde(deserialize_with = "json::short")]
    trial_expiration_date: Option<String>,
}

// === impl OrganizationRow ===

impl OrganizationRow {
    /// The row as it may be printed.
    fn redacted(self, connection: &Connection) -> Self {
        let clean = |text: Option<String>| text.map(|text| connection.clean(&text));
        Self {
            id: clean(self.id),
            name: clean(self.name),
            organization_type: clean(self.organization_type),
            instance_name: clean(self.instance_name),
            ..self
        }
    }
}

/// The row of User.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UsernameRow {
    #[serde(deserialize_with = "json::short")]
    username: Option<String>,
}

/// The most bytes of the answer to a composite request of the probe: some rows for each permission
/// set of the user, and up to a thousand users of call centers. Many proofs run at once.
const MOST_OF_AN_ANSWER: usize = 1 << 20;

/// What a connection test found.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The findings. A controller keeps them for each credential, so they are there once.
    pub findings: Arc<Findings>,
    /// Whether this test looked at all of it itself, and took nothing from an earlier one.
    pub looked_at_all: bool,
    /// Recognises the rights of the user and the sharing defaults, from which most follows.
    rights: u64,
    version: ApiVersion,
}

/// Runs the connection test. It costs at most four API calls, and a log-in if there is no session.
/// `users` are the user names of call centers; some hundreds of them cost nothing more.
pub async fn probe(connection: &Connection, users: &[String]) -> Result<Findings, Error> {
    let proved = probe_again(connection, users, None).await?;
    Ok(Arc::unwrap_or_clone(proved.findings))
}

/// Runs the connection test with what an earlier one of the same credential found. It costs one
/// call if user, organization, rights and sharing defaults are as they were, and one more for users
/// of call centers. Which objects there are, and whether Tasks may be created, is then taken from
/// the earlier test, so this must not be used for ever.
pub async fn probe_again(
    connection: &Connection,
    users: &[String],
    before: Option<&Proved>,
) -> Result<Proved, Error> {
    let version = connection.api_version();
    if version < OLDEST {
        let detail = format!(
            "version {version} has no composite requests; {OLDEST} is the oldest that does."
        );
        return Err(Error::new(
            Meaning::UnsupportedApiVersion,
            Phase::Request,
            detail,
        ));
    }
    let connection = &connection.composites_at_most(MOST_OF_AN_ANSWER);
    let session = connection.session().await?;
    // This call runs first and alone, so that an expired session is replaced once here and not
    // three times at the same moment.
    let about = about_user(&session.user_id, session.username.is_some());
    let about = match connection.composite(&about).await {
        Ok(about) => about,
        Err(error) => return Err(explain(connection, error).await),
    };
    let row = organization_row(&about[0])?.redacted(connection);
    let sharing = Sharing::read(&about[1]);
    let grants = Grants::read(&about[2], &about[3]);
    let method = connection.credentials().map(Credentials::method);
    let excess = method.and_then(|method| rights::of(&about[4], &grants, method));
    let username = about
        .get(5)
        .and_then(|answer| answer.record::<UsernameRow>().ok()?.username);
    drop(about);
    let rights = {
        let mut hasher = DefaultHasher::new();
        let excess = excess.as_ref().map(|excess| &excess.message);
        (&grants, &sharing, excess).hash(&mut hasher);
        hasher.finish()
    };
    let as_before = before.filter(|before| {
        let organization = row.id.as_deref().unwrap_or(&session.organization_id);
        before.rights == rights
            && before.version == version
            && before.findings.organization.id == organization
            && before.findings.session.user_id == session.user_id
    });
    if let Some(before) = as_before {
        let users = Asked::new(users, version, 0);
        let users = users.read(connection, &[]).await;
        // A new log-in may have replaced the session in the meantime.
        let mut session = connection.session().await?;
        session.username = session
            .username
            .or_else(|| before.findings.session.username.clone());
        let mut organization = organization(&session, row, None);
        organization.person_accounts = organization
            .person_accounts
            .or(before.findings.organization.person_accounts);
        return Ok(Proved {
            findings: Arc::new(Findings {
                session,
                organization,
                users,
                usage: connection.usage(),
                ..Findings::clone(&before.findings)
            }),
            looked_at_all: false,
            rights,
            version,
        });
    }
    let objects = [
        Subrequest::query(
            "contact",
            "SELECT Id, Phone, MobilePhone FROM Contact LIMIT 1",
        ),
        Subrequest::query("account", "SELECT Id, Phone FROM Account LIMIT 1"),
        Subrequest::query("lead", "SELECT Id, Phone, MobilePhone FROM Lead LIMIT 1"),
        Subrequest::query("person", "SELECT Id, IsPersonAccount FROM Account LIMIT 1"),
    ];
    let asked = if session.person_accounts.is_some() {
        &objects[..3]
    } else {
        &objects[..]
    };
    let users = Asked::new(users, version, MAX_SUBQUERIES - asked.len());
    let together = [asked, users.along()].concat();
    let (answers, task) = tokio::join!(
        connection.composite(&together),
        connection.may_create("Task")
    );
    let answers = answers?;
    let (objects, along) = answers.split_at(asked.len());
    let create_task = may_create_task(task)?;
    // A new log-in may have replaced the session in the meantime.
    let mut session = connection.session().await?;
    session.username = session
        .username
        .or_else(|| username.map(|name| connection.clean(&name)));

    let organization = organization(&session, row, objects.get(3));
    let mut warnings: Vec<Warning> = method.into_iter().flat_map(warnings::of_method).collect();
    warnings.extend(warnings::of_version(version));
    let access = Access {
        contact: permissions::sees_all("Contact", &objects[0], &grants, &sharing, &mut warnings)?,
        account: permissions::sees_all("Account", &objects[1], &grants, &sharing, &mut warnings)?,
        lead: permissions::sees_all("Lead", &objects[2], &grants, &sharing, &mut warnings)?,
    };
    warnings.extend(warnings::of_create_task(&create_task));
    warnings.extend(excess);
    let users = users.read(connection, along).await;
    Ok(Proved {
        looked_at_all: true,
        rights,
        version,
        findings: Arc::new(Findings {
            session,
            organization,
            access,
            create_task,
            users,
            usage: connection.usage(),
            warnings,
        }),
    })
}

/// The first call: it reads the user and the organization. Five queries are the maximum for one
/// call; the user's name is a record and no query, and is asked for where the log-in did not tell
/// it.
fn about_user(user_id: &str, is_named: bool) -> Vec<Subrequest> {
    let user = SoqlLiteral::new(user_id);
    let assigned =
        format!("SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = {user}");
    let organization = "SELECT Id, Name, OrganizationType, IsSandbox, InstanceName, TrialExpirationDate FROM Organization";
    // This is a query of its own, so that a missing field fails only this response.
    let sharing =
        "SELECT DefaultContactAccess, DefaultAccountAccess, DefaultLeadAccess FROM Organization";
    let objects = format!(
        "SELECT SobjectType, PermissionsRead, PermissionsViewAllRecords, PermissionsCreate, PermissionsEdit, PermissionsDelete, PermissionsModifyAllRecords FROM ObjectPermissions WHERE SobjectType IN ('Contact', 'Account', 'Lead') AND ParentId IN ({assigned})"
    );
    let sets = format!(
        "SELECT PermissionsViewAllData, PermissionsModifyAllData FROM PermissionSet WHERE Id IN ({assigned})"
    );
    let mut requests = vec![
        Subrequest::query("organization", organization),
        Subrequest::query("sharing", sharing),
        Subrequest::query("objectPermissions", &objects),
        Subrequest::query("permissionSets", &sets),
        Subrequest::query("rights", rights::QUERY),
    ];
    let is_id = !user_id.is_empty() && user_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id && !is_named {
        let name = Subrequest::record("user", "User", user_id, &["Username"]);
        requests.push(name);
    }
    requests
}

/// Checks an error for an API version that the instance does not know. Salesforce answers it like a
/// wrong path, so the free list of versions is read to distinguish the two.
async fn explain(connection: &Connection, error: Error) -> Error {
    let version = connection.api_version();
    if error.phase() != Phase::Request
        || !matches!(
            error.meaning(),
            Meaning::NotFound | Meaning::UnsupportedApiVersion
        )
    {
        return error;
    }
    let Ok(versions) = connection.versions().await else {
        return error;
    };
    let (Some(oldest), Some(newest)) = (
        versions.iter().map(|known| known.version).min(),
        versions.iter().map(|known| known.version).max(),
    ) else {
        return error;
    };
    if versions.iter().any(|known| known.version == version) {
        return error;
    }
    let detail = format!("this organization supports {oldest} to {newest}, not {version}.");
    Error::new(Meaning::UnsupportedApiVersion, Phase::Request, detail)
}

fn organization_row(answer: &Subresponse) -> Result<OrganizationRow, Error> {
    match answer.page::<OrganizationRow>() {
        Ok(page) => Ok(page.records.into_iter().next().unwrap_or_default()),
        // The row is hidden from this user: the data from the log-in must suffice.
        Err(error) if is_about_rights(error.meaning()) => Ok(OrganizationRow::default()),
        Err(error) => Err(error),
    }
}

fn organization(
    session: &SessionInfo,
    row: OrganizationRow,
    person: Option<&Subresponse>,
) -> Organization {
    let trial_ends = row.trial_expiration_date.as_deref().and_then(timestamp);
    let sandbox = row.is_sandbox.or(session.sandbox).unwrap_or(false);
    let person_accounts = session.person_accounts.or_else(|| match person?.success() {
        Ok(()) => Some(true),
        // The field exists only where the feature is on (facts: Salesforce 5.4).
        Err(error) if error.meaning() == Meaning::FieldUnavailable => Some(false),
        Err(_) => None,
    });
    Organization {
        id: row.id.unwrap_or_else(|| session.organization_id.clone()),
        name: row
            .name
            .or_else(|| session.organization_name.clone())
            .unwrap_or_default(),
        edition: row.organization_type,
        instance: row.instance_name,
        sandbox,
        scratch: sandbox && trial_ends.is_some(),
        person_accounts,
        trial_ends,
    }
}

/// `createable` of the describe is the value that the platform itself decides by, independent of
/// the permission that grants it (facts: Salesforce 4.3).
fn may_create_task(createable: Result<Option<bool>, Error>) -> Result<Visibility, Error> {
    match createable {
        Ok(Some(true)) => Ok(Visibility::Yes),
        Ok(Some(false)) => Ok(Visibility::No),
        Ok(None) => {
            let reason = "the description of Task does not say whether it is createable";
            Ok(Visibility::Unknown(reason.to_owned()))
        }
        Err(error)
            if matches!(
                error.meaning(),
                Meaning::NotFound | Meaning::ObjectUnavailable
            ) =>
        {
            Ok(Visibility::Absent)
        }
        Err(error) if is_about_rights(error.meaning()) => Ok(Visibility::Unknown(error.message())),
        Err(error) => Err(error),
    }
}

/// Salesforce writes `2026-12-01T00:00:00.000+0000`, without the colon that RFC 3339 requires.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_spellings() {
        let expected: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        for text in [
            "2026-12-01T00:00:00.000+0000",
            "2026-12-01T00:00:00Z",
            "2026-12-01T09:00:00.000+0900",
        ] {
            assert_eq!(timestamp(text), Some(expected), "{text}");
        }
        assert_eq!(timestamp("tomorrow"), None);
    }

    #[test]
    fn the_first_call_has_no_more_queries_than_it_may() {
        let requests = about_user("005' OR Id != '", false);
        let body = crate::salesforce::rest::composite_body(&requests, ApiVersion::DEFAULT);
        assert!(
            body.matches("/query?q=").count() <= MAX_SUBQUERIES,
            "{body}"
        );
        assert!(body.contains("'005%5C'+OR"), "the id is escaped: {body}");
        assert!(
            !body.contains("/sobjects/"),
            "what is no id is no path: {body}"
        );
        let requests = about_user("005A0000006Vm9rIAC", false);
        let body = crate::salesforce::rest::composite_body(&requests, ApiVersion::DEFAULT);
        assert!(
            body.contains("/sobjects/User/005A0000006Vm9rIAC?fields=Username\""),
            "{body}"
        );
        assert_eq!(about_user("005", true).len(), MAX_SUBQUERIES);
    }

    fn session(sandbox: Option<bool>) -> SessionInfo {
        SessionInfo {
            organization_id: "00D1".to_owned(),
            user_id: "0051".to_owned(),
            username: None,
            instance_url: "https://acme.my.salesforce.com".parse().unwrap(),
            organization_name: Some("Acme".to_owned()),
            sandbox,
            person_accounts: None,
            seconds_valid: None,
        }
    }

    #[test]
    fn a_scratch_organization_is_a_sandbox_that_ends() {
        let row = |is_sandbox, ends: Option<&str>| OrganizationRow {
            is_sandbox,
            trial_expiration_date: ends.map(str::to_owned),
            ..OrganizationRow::default()
        };
        let end = Some("2026-12-01T00:00:00.000+0000");
        for (row, logged_in, (sandbox, scratch)) in [
            (row(Some(true), end), None, (true, true)),
            (row(Some(true), None), None, (true, false)),
            // A trial of a production organization ends as well.
            (row(Some(false), end), None, (false, false)),
            (row(Some(false), None), None, (false, false)),
            // What the row does not tell, the log-in does.
            (row(None, end), Some(true), (true, true)),
            (row(Some(false), end), Some(true), (false, false)),
            (row(None, end), None, (false, false)),
            (row(Some(true), Some("soon")), None, (true, false)),
        ] {
            let said = format!("{row:?}");
            let found = organization(&session(logged_in), row, None);
            assert_eq!((found.sandbox, found.scratch), (sandbox, scratch), "{said}");
            // The log-in knows the name and the id that the row does not tell.
            assert_eq!((found.id.as_str(), found.name.as_str()), ("00D1", "Acme"));
        }
    }

    #[test]
    fn the_right_to_create_tasks_is_told_apart_from_a_failure() {
        let failed = |meaning| Err(Error::new(meaning, Phase::Request, "x".to_owned()));
        let read = |answer| may_create_task(answer).ok();
        assert_eq!(read(Ok(Some(true))), Some(Visibility::Yes));
        assert_eq!(read(Ok(Some(false))), Some(Visibility::No));
        assert!(matches!(read(Ok(None)), Some(Visibility::Unknown(_))));
        for meaning in [Meaning::NotFound, Meaning::ObjectUnavailable] {
            assert_eq!(
                read(failed(meaning)),
                Some(Visibility::Absent),
                "{meaning:?}"
            );
        }
        for meaning in [Meaning::InsufficientAccess, Meaning::FieldUnavailable] {
            let unknown = read(failed(meaning));
            assert!(
                matches!(unknown, Some(Visibility::Unknown(_))),
                "{meaning:?}"
            );
        }
        // A failure of the connection says nothing of the user's rights.
        for meaning in [
            Meaning::Unreachable,
            Meaning::SessionExpired,
            Meaning::RequestLimitExceeded,
        ] {
            let error = may_create_task(failed(meaning)).unwrap_err();
            assert_eq!(error.meaning(), meaning);
        }
    }
}
