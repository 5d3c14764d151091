//! The status. The controller is its only writer, and it never holds a secret.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions::{self, CONNECTED, Truth};
use super::run_spec::RunWhere;
use crate::reason::Code;

/// The `observedGeneration` that the API server writes into a new resource. A record of a log-in
/// leaves it as it is.
pub(crate) const UNOBSERVED: i64 = -1;

/// What the controller found and did for an integration.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct SalesforceIntegrationStatus {
    /// The `metadata.generation` that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// CredentialsAvailable, Exclusive, Connected, Authorized, Synced, Ready, and Stalled while
    /// only a person can help; CallCentersVerified where the spec has call centers.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The Salesforce org behind the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Organization>,
    /// The log-in and when it was last proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// The value of the annotation `switchboard.dev/test-requested-at` that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_test_at: Option<String>,
    /// The value of the annotation `switchboard.dev/run-requested-at` that was last acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_run_at: Option<String>,
    /// The run that was last started on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_run: Option<RequestedRun>,
    /// The tokens for the directory that are revoked, as the annotation
    /// `switchboard.dev/tokens-not-before` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_tokens: Option<RevokedTokens>,
    /// What the directory keeps under the company ID, once it has said that it is this
    /// integration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<KeptData>,
    /// The org's API requests, as Salesforce last told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_usage: Option<ApiUsage>,
    /// What this integration may use of them, and when it used what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_budget: Option<ApiBudget>,
    /// The last run that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Where names come from, how far the address book is, and what each way costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_book: Option<AddressBook>,
    /// When the last run that succeeded ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// When the next run of the schedule is due. Where the controller looks up calls as they end,
    /// that is the sweep of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Time>,
    /// What was told by e-mail, and is not told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notified>,
    /// What works today and will not for ever, or works less well than it could.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What went wrong lately, newest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub errors: Vec<ErrorEntry>,
}

/// A run that was started on request.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RequestedRun {
    /// Name of the Job.
    pub job: String,
    /// When it was started. A request within 15 seconds is answered by it while it is under way.
    pub started_at: Time,
}

/// Tokens that the directory refuses.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RevokedTokens {
    /// The company ID that they are for.
    pub company_id: String,
    /// Those that were issued before are refused.
    pub not_before: Time,
}

/// What the directory keeps for an integration, as it last said.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KeptData {
    /// The company ID under which it is kept.
    pub company_id: String,
    /// Since when it is this integration's.
    pub since: Time,
    /// For how many days calls are kept: `spec.contacts.retainDays`, or the operator's maximum if
    /// that is shorter. Absent: without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_days: Option<u32>,
    /// What of `spec.contacts.retainDays` the directory was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_retain_days: Option<u32>,
    /// When the directory was last asked.
    pub asked_at: Time,
}

/// The Salesforce org behind the connection.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// The org's id, 18 characters.
    #[serde(default)]
    pub id: String,
    /// The org's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `Organization.OrganizationType` as Salesforce says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// `Organization.InstanceName`, such as `AP34`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Whether it is a sandbox.
    #[serde(default)]
    pub sandbox: bool,
    /// Whether person accounts are switched on; absent when Salesforce did not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_accounts: Option<bool>,
    /// Who else uses this org; absent when nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<SharedWith>,
    /// How long the URL of a query may be in this org, as far as runs have found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_url_length: Option<QueryUrlLength>,
}

/// Other integrations of one org.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct SharedWith {
    /// Names of those in this namespace, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub names: Vec<String>,
    /// How many there are in all, in this namespace and others.
    #[serde(default)]
    pub integrations: u32,
}

/// How long the URL of a query may be.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct QueryUrlLength {
    /// The longest that the org took, or that may be tried at once, in bytes.
    pub bytes: u64,
    /// The shortest that it refused, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// When that was found out; after a week longer URLs are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Time>,
}

/// The log-in and when it was last proved.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The Salesforce user that logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The API version that was spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// When the connection was last proved to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
    /// When a run last worked with this credential since then. It stands for a proof, so that the
    /// next one is later; six hours after a proof there is another one all the same. What the
    /// controller did with the credential for another integration does so, too, and is not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_succeeded_at: Option<Time>,
    /// Recognises the credential that was last tried: a keyed fingerprint that cannot be turned
    /// back or compared with another installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_version: Option<String>,
    /// How many log-ins Salesforce has refused with this credential since it last worked or
    /// changed.
    #[serde(default)]
    pub failed_logins: u32,
    /// When a log-in with this credential was sent whose answer is not known yet. It is on record
    /// before it is sent, so that no end of the controller makes it forget one; without an
    /// answer it counts as a refusal towards the hourly limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<Time>,
    /// When a log-in with this credential was sent that Salesforce refused or whose answer was
    /// never seen, newest first; at most the two that count towards the hourly limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub refused_at: Vec<Time>,
    /// Recognises the user of the credential that was last tried, whatever its password: a keyed
    /// fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_version: Option<String>,
    /// Log-ins that Salesforce refused this integration, with this credential and with earlier
    /// ones, newest first. They count towards the limit of two an hour for one user, and a
    /// credential among them is not tried again by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub refusals: Vec<LoginRefusal>,
    /// How many times in a row the proof failed for a passing reason.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub transient_failures: u32,
    /// When the next attempt is due; absent while only a change or a request brings one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
}

/// A log-in that Salesforce refused, or whose answer was never seen.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LoginRefusal {
    /// When it was sent.
    pub at: Time,
    /// Recognises the user, as `userVersion` does.
    pub user_version: String,
    /// Recognises the credential, as `credentialsVersion` does; absent when the credential has
    /// worked since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_version: Option<String>,
    /// Whether the answer was never seen. The log-in then counts, but the credential may be tried
    /// again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unanswered: bool,
    /// Whether only the report of a run says so. It then counts for this integration alone, until
    /// a log-in of the controller is refused, too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reported: bool,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// The org's API requests in the last 24 hours, by anyone.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiUsage {
    /// Requests used; may exceed the limit.
    pub used: u64,
    /// Requests allowed.
    pub limit: u64,
    /// `used` as a share of `limit`, in per cent.
    pub percent: u64,
    /// Requests of this integration alone, as the operator counts them: proofs of the connection
    /// and runs.
    #[serde(default)]
    pub by_this_integration: u64,
    /// When Salesforce told.
    pub observed_at: Time,
}

/// What an integration may use of an org's API requests, and what it has used.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ApiBudget {
    /// Requests that it may make within any 24 hours; absent before Salesforce has told the org's
    /// limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<u64>,
    /// From when on a run that waits for free requests may start, or since when it might; gone
    /// with the next run that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<Time>,
    /// Requests of the last 24 hours, by the hour, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 25))]
    pub spent: Vec<Spending>,
}

/// Requests of one hour.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Spending {
    /// When the last of them was made: 24 hours later they are forgotten.
    pub at: Time,
    /// Requests, those of proofs included.
    pub calls: u64,
    /// Requests that proofs of the connection made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub proofs: u64,
}

/// The last run that ended.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// `Sync` (daily) or `Lookup` (after calls).
    #[serde(default)]
    pub kind: String,
    /// Where it ran: `Pod`, or `Resident` in the controller.
    #[serde(default, rename = "where", skip_serializing_if = "is_zero")]
    pub where_: RunWhere,
    /// Name of the Job. Of runs of the controller a name that each of them has alone; what several
    /// of them did within a minute is counted together.
    #[serde(default)]
    pub job: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// `Succeeded`, or the code of what went wrong.
    #[serde(default)]
    pub outcome: String,
    /// Calls that the run took up.
    #[serde(default)]
    pub calls: u64,
    /// Different numbers that were asked for.
    #[serde(default)]
    pub numbers: u64,
    /// Numbers found, by Salesforce object.
    #[serde(default)]
    pub matched: Matched,
    /// Numbers that Salesforce does not know.
    #[serde(default)]
    pub unmatched: u64,
    /// Contacts written to the directory.
    #[serde(default)]
    pub written: u64,
    /// Calls or contacts left as they were: not a phone number, or a contact that may not be
    /// overwritten.
    #[serde(default)]
    pub skipped: u64,
    /// Numbers of earlier calls that were asked for again.
    #[serde(default)]
    pub asked_again: u64,
    /// Numbers found for which more than one record of the object that won has the number.
    #[serde(default)]
    pub ambiguous: u64,
    /// Numbers that a requested re-retrieval has still to ask for; the next run goes on with them.
    #[serde(default)]
    pub remaining: u64,
    /// Contacts that followed a change in Salesforce; absent where the run did not ask for
    /// changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// API requests that the run cost; of one that left no report, as many as it may have made.
    #[serde(default)]
    pub api_calls: u64,
}

/// Contacts that followed a change in Salesforce.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// Contacts that changed in any way, those below included.
    #[serde(default)]
    pub changed: u64,
    /// Contacts with another company or person than before.
    #[serde(default)]
    pub renamed: u64,
    /// Contacts that went because no record holds their number any more.
    #[serde(default)]
    pub removed: u64,
    /// Numbers without a name that got one.
    #[serde(default)]
    pub newly_named: u64,
}

/// Where names come from, and how far the address book is.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct AddressBook {
    /// `Full` where the address book answers; `OnDemand` where Salesforce is asked for the numbers
    /// of calls, as also while the book is filled for the first time and where the org has more
    /// records than `spec.contacts.maxRecords`.
    #[serde(default)]
    pub mode: BookMode,
    /// Records that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Numbers that these hold; one that is on two records counts twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<u64>,
    /// About how many bytes they take up in the directory's database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When the last fill that ended had begun; absent while none has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filled_at: Option<Time>,
    /// Until when changes in Salesforce are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Time>,
    /// How far the watermark was behind when it was last told, such as `16m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<String>,
    /// The fill that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filling: Option<Filling>,
    /// Whether the org has more records than `spec.contacts.maxRecords`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub over_limit: bool,
    /// Records with a phone number in the org, as last counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_records: Option<u64>,
    /// API requests that this integration made within the last 24 hours, proofs included: the
    /// truth beside the forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_calls: Option<u64>,
    /// What a day like the last ones costs with each `spec.contacts.addressBook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What the last days had, newest first, at most 8. The forecast is made from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub days: Vec<DayOfRuns>,
}

/// Where names come from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BookMode {
    /// From Salesforce, for the numbers of calls.
    #[default]
    OnDemand,
    /// From the address book.
    Full,
}

/// How far a fill of the address book is.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Filling {
    /// Records that were read.
    pub rows: u64,
    /// Records that there are, where Salesforce has told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

/// API requests of a day in each mode. They are estimates, proofs of the connection included.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// A day with `OnDemand`.
    pub on_demand: u64,
    /// A day with `Full`, with a reconciliation a week.
    pub full: u64,
    /// One fill of the address book, where the org's records were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<u64>,
}

/// What the runs of a day had to do.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DayOfRuns {
    /// When the day began.
    pub since: Time,
    /// Runs that looked numbers up.
    #[serde(default)]
    pub runs: u64,
    /// Different numbers of each run, added up.
    #[serde(default)]
    pub numbers: u64,
    /// Those of them that Salesforce does not know.
    #[serde(default)]
    pub unmatched: u64,
    /// Records that changed in Salesforce.
    #[serde(default)]
    pub changes: u64,
    /// In how many seconds they did, as far as changes were asked for.
    #[serde(default)]
    pub seconds: u64,
}

/// Numbers found, by Salesforce object.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Matched {
    /// As a Contact.
    #[serde(default)]
    pub contact: u64,
    /// As an Account, person accounts included.
    #[serde(default)]
    pub account: u64,
    /// As a Lead.
    #[serde(default)]
    pub lead: u64,
}

/// What was told by e-mail. It is on record before a mail is sent, so that no end of the controller
/// sends it twice.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Notified {
    /// The Message-ID of the first mail, to which the later ones refer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// How many mails the thread has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mails: u32,
    /// Why the integration was not ready since it was last ready for a while, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub causes: Vec<NotifiedCause>,
    /// When mails were sent within the last hour, for the ceiling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub sent_at: Vec<Time>,
}

/// One cause, and whether it was told.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NotifiedCause {
    /// The reason of the condition `Ready`, or the outcome of the run that failed.
    pub code: String,
    /// Since when.
    pub since: Time,
    /// When it was last told; absent while it has not lasted long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    /// How often it was told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u32,
    /// The Message-ID of the one mail that the platform team got instead, because many
    /// integrations had the same cause at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_platform: Option<String>,
}

/// Something to put right before it fails.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// CamelCase, for programs.
    pub code: String,
    /// What it is about, in plain words, with the date where there is one.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// One kind of failure, counted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEntry {
    /// The reason, as in the conditions.
    pub code: String,
    /// What happened, in plain words.
    pub message: String,
    /// What the tenant does next.
    pub remedy: String,
    /// Where it was seen: `Credentials`, `Connection`, `Permissions`, `Sync` or `Lookup`.
    pub source: String,
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// How often it was seen.
    pub count: u32,
}

// === impl SalesforceIntegrationStatus ===

impl SalesforceIntegrationStatus {
    /// Whether the connection is known not to work and is not tried again by itself: only a change
    /// or a request brings a log-in.
    pub fn is_login_withheld(&self) -> bool {
        let refused = conditions::find(&self.conditions, CONNECTED)
            .is_some_and(|connected| connected.status == Truth::False.as_str());
        let connection = self.connection.as_ref();
        refused && connection.is_none_or(|connection| connection.next_attempt_at.is_none())
    }
}

// === impl LastRun ===

impl LastRun {
    /// The outcome of the run as a code.
    pub fn code(&self) -> Code {
        Code::from(self.outcome.as_str())
    }

    /// How long it took; `None` where its start or its end is not known.
    pub fn duration(&self) -> Option<Duration> {
        let (began, ended) = (self.started_at.as_ref()?, self.finished_at.as_ref()?);
        ended.0.duration_since(began.0).try_into().ok()
    }
}

// === impl NotifiedCause ===

impl NotifiedCause {
    /// The cause as a code.
    pub fn code(&self) -> Code {
        Code::from(self.code.as_str())
    }
}

// === impl Warning ===

impl Warning {
    /// The code of the warning.
    pub fn code(&self) -> Code {
        Code::from(self.code.as_str())
    }
}

// === impl ErrorEntry ===

impl ErrorEntry {
    /// The code of the failure.
    pub fn code(&self) -> Code {
        Code::from(self.code.as_str())
    }
}
