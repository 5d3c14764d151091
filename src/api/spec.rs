//! The spec, which a tenant writes. Doc comments become `kubectl explain`. Every rule that a schema
//! can state is stated here, with a sentence that names the field, so that `kubectl apply` refuses
//! a bad manifest.

#![allow(
    unreachable_pub,
    reason = "`api` re-exports these types, which the lint does not see through the derives"
)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunSpec, SalesforceIntegrationStatus};
use crate::salesforce::Method;

/// Links one tenant of the phone platform to its Salesforce org.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "switchboard.dev",
    version = "v1alpha1",
    kind = "SalesforceIntegration",
    shortname = "sfi",
    category = "switchboard",
    namespaced,
    status = "SalesforceIntegrationStatus",
    selectable = ".spec.companyId",
    selectable = ".status.organization.id",
    derive = "PartialEq",
    doc = "Links one tenant of the phone platform to its Salesforce org: proves the connection, runs the look-ups, and tells here what it found.",
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("metadata.name: must have at most 40 characters, because the names of the CronJobs and Jobs are made from it; choose a shorter name"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name: must consist of lower-case letters, digits and '-', without dots, because it becomes a label; choose another name"),
    validation = Rule::new("(has(self.status) && has(self.status.conditions) && self.status.conditions.size() > 0) || ((!has(self.spec.salesforce.auth.password) || self.spec.salesforce.auth.password.secretRef.name != self.metadata.name + '-directory') && (!has(self.spec.salesforce.auth.oauthPassword) || self.spec.salesforce.auth.oauthPassword.secretRef.name != self.metadata.name + '-directory') && (!has(self.spec.salesforce.auth.jwtBearer) || self.spec.salesforce.auth.jwtBearer.secretRef.name != self.metadata.name + '-directory') && (!has(self.spec.salesforce.auth.clientCredentials) || self.spec.salesforce.auth.clientCredentials.secretRef.name != self.metadata.name + '-directory'))")
        .message("spec.salesforce.auth: secretRef.name must not be metadata.name with -directory, because the operator makes a Secret of that name with the tokens for the directory; choose another name for the Secret with the credentials"),
    validation = Rule::new("((!has(self.spec.salesforce.auth.password) || self.spec.salesforce.auth.password.secretRef.name != self.metadata.name + '-directory') && (!has(self.spec.salesforce.auth.oauthPassword) || self.spec.salesforce.auth.oauthPassword.secretRef.name != self.metadata.name + '-directory') && (!has(self.spec.salesforce.auth.jwtBearer) || self.spec.salesforce.auth.jwtBearer.secretRef.name != self.metadata.name + '-directory') && (!has(self.spec.salesforce.auth.clientCredentials) || self.spec.salesforce.auth.clientCredentials.secretRef.name != self.metadata.name + '-directory')) || !((!has(oldSelf.spec.salesforce.auth.password) || oldSelf.spec.salesforce.auth.password.secretRef.name != oldSelf.metadata.name + '-directory') && (!has(oldSelf.spec.salesforce.auth.oauthPassword) || oldSelf.spec.salesforce.auth.oauthPassword.secretRef.name != oldSelf.metadata.name + '-directory') && (!has(oldSelf.spec.salesforce.auth.jwtBearer) || oldSelf.spec.salesforce.auth.jwtBearer.secretRef.name != oldSelf.metadata.name + '-directory') && (!has(oldSelf.spec.salesforce.auth.clientCredentials) || oldSelf.spec.salesforce.auth.clientCredentials.secretRef.name != oldSelf.metadata.name + '-directory'))")
        .message("spec.salesforce.auth: secretRef.name must not be metadata.name with -directory, because the operator makes a Secret of that name with the tokens for the directory; choose another name for the Secret with the credentials"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Whether everything that this integration asks for works"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, description = "Why it is ready, or not"),
    printcolumn(name = "Org", type_ = "string", json_path = ".status.organization.name", description = "Name of the Salesforce org"),
    printcolumn(name = "Edition", type_ = "string", json_path = ".status.organization.edition", description = "Edition of the org as Salesforce names it"),
    printcolumn(name = "Retrieval", type_ = "string", json_path = ".spec.contacts.retrieval", description = "When contacts are retrieved"),
    printcolumn(name = "Last Run", type_ = "date", json_path = ".status.lastRun.finishedAt", description = "When the last run ended"),
    printcolumn(name = "API %", type_ = "integer", json_path = ".status.apiUsage.percent", description = "Share of the org's daily API requests that is used, by anyone"),
    printcolumn(name = "User", type_ = "string", json_path = ".status.connection.username", description = "The Salesforce user that logs in", priority = "1"),
    printcolumn(name = "Instance", type_ = "string", json_path = ".status.organization.instance", description = "Salesforce instance of the org", priority = "1"),
    printcolumn(name = "Next Run", type_ = "string", json_path = ".status.nextRun", description = "When the next run is due", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SalesforceIntegrationSpec {
    /// The corporate identity of the tenant on the phone platform (MiiTel: the company ID, the
    /// `tenant_code` of its webhooks). It cannot be changed: calls and contacts are kept under
    /// it.
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')")
            .message("must be 1 to 63 lower-case letters, digits and '-', not beginning or ending with '-'; copy the company ID from the phone platform"),
        validation = Rule::new("self == oldSelf")
            .message("cannot be changed, because calls and contacts are kept under it; delete this resource and create one for the other company"),
    )]
    #[schemars(length(max = 63))]
    pub company_id: String,
    /// The Salesforce org and how to log in to it.
    pub salesforce: SalesforceSpec,
    /// Which contacts are retrieved, and when.
    #[serde(default)]
    pub contacts: Contacts,
    /// Who of this tenant uses Salesforce, and in which call center. A user stands in one call
    /// center, over all integrations of the org; the older integration keeps its users, and the
    /// condition `Exclusive` names the users that another one holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub call_centers: Vec<CallCenter>,
    /// What the pods of the runs have beside what the operator gives to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSpec>,
    /// How much of the org's API requests this integration may use.
    #[serde(default)]
    pub api_budget: ApiBudget,
    /// Who is told by e-mail when the integration is not ready for a while, and when it is again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
    /// What becomes of calls and contacts in the directory when this resource is deleted. `Retain`
    /// keeps them for an integration of the same namespace and name; `Erase` deletes all that is
    /// kept about the company, and the deletion waits for that, 10 minutes at most.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How often a healthy connection is proved again, as a duration from `1m` to `24h`. The
    /// controller spreads the proofs around it.
    #[serde(default = "default_interval")]
    #[x_kube(
        validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$') && self.size() > 1 && duration(self) >= duration('1m') && duration(self) <= duration('24h')")
            .message("must be a duration from 1m to 24h, such as 30m or 1h30m"),
    )]
    #[schemars(length(max = 18))]
    pub interval: String,
    /// Stops everything for this tenant without forgetting anything: no proof of the connection
    /// and no run until it is false again.
    #[serde(default)]
    pub suspend: bool,
}

/// The Salesforce org and how to log in to it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!has(self.auth.clientCredentials) || has(self.loginUrl)")
    .message("loginUrl: must be set to the org's My Domain (https://acme.my.salesforce.com) for auth.clientCredentials, which Salesforce takes nowhere else"),
    validation = Rule::new("!has(self.auth.clientCredentials) || !has(self.loginUrl) || !self.loginUrl.lowerAscii().matches('^https://(login|test)[.](salesforce[.](com|mil)|sfcrmproducts[.]cn)(:[0-9]+)?/?$')")
    .message("loginUrl: must be the org's My Domain (https://acme.my.salesforce.com) for auth.clientCredentials, which Salesforce takes neither at login.salesforce.com nor at test.salesforce.com"),
    validation = Rule::new("self.environment != 'Sandbox' || !has(self.loginUrl) || !self.loginUrl.lowerAscii().matches('^https://login[.](salesforce[.](com|mil)|sfcrmproducts[.]cn)(:[0-9]+)?/?$')")
    .message("loginUrl: takes no log-in of a sandbox; with environment: Sandbox leave loginUrl out (test.salesforce.com is used then), or write the sandbox's My Domain (https://acme--uat.sandbox.my.salesforce.com)"),
    validation = Rule::new("self.environment != 'Production' || !has(self.loginUrl) || !self.loginUrl.lowerAscii().matches('^https://(test|[a-z0-9-]+[.]sandbox[.]my|[a-z0-9-]+--[a-z0-9-]+([.][a-z0-9]+)?[.]my)[.](salesforce[.](com|mil)|sfcrmproducts[.]cn)(:[0-9]+)?/?$')")
    .message("environment: must be Sandbox, because loginUrl is the address of a sandbox"))]
#[serde(rename_all = "camelCase")]
pub struct SalesforceSpec {
    /// `Production` logs in at login.salesforce.com, `Sandbox` at test.salesforce.com. Developer
    /// Edition is `Production`.
    #[serde(default)]
    pub environment: Environment,
    /// The org's My Domain URL (`https://acme.my.salesforce.com`), used instead of the host that `environment` implies.
    /// The operator's list of allowed hosts must contain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.lowerAscii().startsWith('https://')")
            .message("must begin with https://, because credentials are sent to it"),
        validation = Rule::new("!self.lowerAscii().startsWith('https://') || self.matches('^(?i:https)://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?/?$') || self.lowerAscii().matches('^https://([a-z0-9.-]*([.](lightning[.]force[.]com|my[.]salesforce-setup[.]com|lightning[.]crmforce[.]mil|my[.]salesforce-setup[.]mil|lightning[.]sfcrmapps[.]cn)|[.]((vf|visual|file|content)[.]force[.]com|(vf|file)[.](crmforce[.]mil|sfcrmapps[.]cn)))|((www|welcome|help|status|trust|trailhead|developer|appexchange|setup|my)[.])?salesforce[.]com)(:[0-9]+)?/')")
            .message("must be https:// and a host, with a port at most: no user, path, query or fragment, as in https://acme.my.salesforce.com"),
        validation = Rule::new("!self.lowerAscii().matches('^https://[a-z0-9.-]*[.](lightning[.]force[.]com|my[.]salesforce-setup[.]com|lightning[.]crmforce[.]mil|my[.]salesforce-setup[.]mil|lightning[.]sfcrmapps[.]cn)(:[0-9]+)?(/.*)?$')")
            .message(Message::Expression("'is an address of pages for browsers, where nobody can log in by API; write https://' + self.lowerAscii().split('/')[2].replace('.lightning.force.com', '.my.salesforce.com').replace('.my.salesforce-setup.', '.my.salesforce.').replace('.lightning.crmforce.mil', '.my.salesforce.mil').replace('.lightning.sfcrmapps.cn', '.my.sfcrmproducts.cn')".to_owned())),
        validation = Rule::new("!self.lowerAscii().matches('^https://([a-z0-9.-]*[.]((vf|visual|file|content)[.]force[.]com|(vf|file)[.](crmforce[.]mil|sfcrmapps[.]cn))|((www|welcome|help|status|trust|trailhead|developer|appexchange|setup|my)[.])?salesforce[.]com)(:[0-9]+)?(/.*)?$')")
            .message("is an address of pages for browsers, where nobody can log in by API; write the org's My Domain (https://acme.my.salesforce.com), which Setup > My Domain shows"),
    )]
    #[schemars(length(max = 253))]
    pub login_url: Option<String>,
    /// Version of the Salesforce API to speak, such as `50.0`; 38.0 or newer, the first one in
    /// which one request asks for many numbers. Salesforce has retired the versions before
    /// 31.0.
    #[serde(default = "default_api_version")]
    #[x_kube(
        validation = Rule::new("self.matches('^[1-9][0-9]{1,2}[.]0$')")
            .message("must be a version of the Salesforce API such as \"50.0\" (in quotes, without a leading v)"),
        validation = Rule::new("!self.matches('^([1-9]|[12][0-9]|30)[.]0$')")
            .message("must be 31.0 or newer, because Salesforce has retired the versions before it; write \"50.0\""),
        // Composite requests came with 38.0 (facts: Salesforce 2.7).
        validation = Rule::new("!self.matches('^3[1-7][.]0$')")
            .message("must be 38.0 or newer, because older versions have no composite request, with which many numbers are asked for at once; write \"50.0\""),
    )]
    #[schemars(length(max = 5))]
    pub api_version: String,
    /// How to log in: exactly one method.
    pub auth: Auth,
}

/// How to log in: exactly one method.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("[has(self.password), has(self.oauthPassword), has(self.jwtBearer), has(self.clientCredentials)].filter(set, set).size() == 1")
    .message("set exactly one log-in method (password, oauthPassword, jwtBearer or clientCredentials)"))]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// User name, password and security token: SOAP `login()`. Salesforce retires it with Summer
    /// '27; prefer `jwtBearer` or `clientCredentials`. The Secret has the key `password` and,
    /// unless Salesforce trusts the operator's addresses, `securityToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<UserAuth>,
    /// The OAuth 2.0 username-password flow, which Salesforce blocks in newer orgs; prefer
    /// `jwtBearer` or `clientCredentials`. The Secret has the keys `password`, `clientId`,
    /// `clientSecret` and, unless Salesforce trusts the operator's addresses, `securityToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_password: Option<UserAuth>,
    /// The OAuth 2.0 JWT bearer flow. The Secret has the keys `clientId` and `privateKey` (RSA,
    /// PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt_bearer: Option<UserAuth>,
    /// The OAuth 2.0 client-credentials flow; the app names the user. It needs `loginUrl`, the
    /// org's My Domain. The Secret has the keys `clientId` and `clientSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<AppAuth>,
}

/// The one log-in method that is set, whichever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The method.
    pub method: Method,
    /// The user that logs in, where the method names one.
    pub username: Option<&'a str>,
    /// Name of the Secret with the credentials.
    pub secret: &'a str,
}

// === impl Chosen ===

impl<'a> Chosen<'a> {
    fn of_user(method: Method, auth: &'a Option<UserAuth>) -> Option<Self> {
        auth.as_ref().map(|auth| Chosen {
            method,
            username: Some(&auth.username),
            secret: &auth.secret_ref.name,
        })
    }

    fn of_app(method: Method, auth: &'a Option<AppAuth>) -> Option<Self> {
        auth.as_ref().map(|auth| Chosen {
            method,
            username: None,
            secret: &auth.secret_ref.name,
        })
    }
}

// === impl Auth ===

impl Auth {
    /// The log-in method that is set. `None` unless exactly one is set.
    pub fn chosen(&self) -> Option<Chosen<'_>> {
        // Without `..`, so that a new method that is missing here does not compile.
        let Self {
            password,
            oauth_password,
            jwt_bearer,
            client_credentials,
        } = self;
        let mut set = [
            Chosen::of_user(Method::Password, password),
            Chosen::of_user(Method::OauthPassword, oauth_password),
            Chosen::of_user(Method::JwtBearer, jwt_bearer),
            Chosen::of_app(Method::ClientCredentials, client_credentials),
        ]
        .into_iter()
        .flatten();
        let chosen = set.next()?;
        set.next().is_none().then_some(chosen)
    }
}

/// A log-in as a named user.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UserAuth {
    /// The Salesforce user name of the integration user, in the form of an e-mail address.
    #[x_kube(
        validation = Rule::new("self.matches('^[^@\\\\s]+@[^@\\\\s]+$')")
            .message("must be a Salesforce user name, in the form of an e-mail address"),
        validation = Rule::new("!self.matches('[\\\\p{Cc}\\\\p{Cf}\\\\p{Zl}\\\\p{Zp}\\\\x{2065}]')")
            .message("must not have control characters, nor characters that show nothing or turn the direction of writing; type it anew instead of pasting it"),
    )]
    #[schemars(length(max = 80))]
    pub username: String,
    /// The Secret with the credentials.
    pub secret_ref: SecretRef,
}

/// A log-in as the user that the app names.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AppAuth {
    /// The Secret with the credentials.
    pub secret_ref: SecretRef,
}

/// Names a Secret in the integration's own namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
            .message("must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    #[schemars(length(max = 253))]
    pub name: String,
}

/// Which contacts are retrieved, and when.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Contacts {
    /// `Daily` looks up once a day the numbers that have no contact yet; `AfterCall` looks up the
    /// numbers of calls as they end, or every `lookupEvery` where runs are pods, and overwrites;
    /// `Disabled` retrieves nothing.
    #[serde(default)]
    pub retrieval: Retrieval,
    /// Daily: by when the run is to have begun, as wall clock `HH:MM` in `timeZone`. The
    /// controller spreads tenants over the time before it, half an hour if the operator says
    /// nothing else. An hour that the clock of the zone skips or repeats when daylight saving
    /// begins or ends is left out all year: the run is before it, so that each day has one.
    #[x_kube(
        validation = Rule::new("self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')")
            .message("must be a time of day from 00:00 to 23:59, such as \"23:00\" (in quotes)"),
    )]
    #[schemars(length(max = 5))]
    #[serde(default = "default_daily_at")]
    pub daily_at: String,
    /// AfterCall, where runs are pods (`spec.run.where`): how often ended calls are looked up,
    /// from `1m` to `1h`; it must divide an hour. Elsewhere the controller looks them up as
    /// they end.
    #[x_kube(
        validation = Rule::new("self.matches('^((1|2|3|4|5|6|10|12|15|20|30|60)m|1h)$')")
            .message("must divide an hour: 1m, 2m, 3m, 4m, 5m, 6m, 10m, 12m, 15m, 20m, 30m or 1h"),
    )]
    #[schemars(length(max = 3))]
    #[serde(default = "default_lookup_every")]
    pub lookup_every: String,
    /// The time zone of `dailyAt`, by its IANA name, such as `Asia/Tokyo`.
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$') && self != 'Local'")
            .message("must be the IANA name of a time zone, such as Asia/Tokyo"),
        validation = Rule::new("self.contains('/') || self.lowerAscii() in ['cet', 'cst6cdt', 'cuba', 'eet', 'egypt', 'eire', 'est', 'est5edt', 'gb', 'gb-eire', 'gmt', 'gmt0', 'greenwich', 'hongkong', 'hst', 'iceland', 'iran', 'israel', 'jamaica', 'japan', 'kwajalein', 'libya', 'local', 'met', 'mst', 'mst7mdt', 'navajo', 'nz', 'nz-chat', 'poland', 'portugal', 'prc', 'pst8pdt', 'roc', 'rok', 'singapore', 'turkey', 'uct', 'universal', 'utc', 'w-su', 'wet', 'zulu']")
            .message(Message::Expression("'must be the IANA name of a time zone, of the form Asia/Tokyo' + (self.upperAscii() in {'JST': 1, 'KST': 1, 'SGT': 1, 'HKT': 1, 'IST': 1, 'CEST': 1, 'BST': 1, 'EDT': 1, 'CST': 1, 'CDT': 1, 'MDT': 1, 'PST': 1, 'PDT': 1, 'BRT': 1, 'AEST': 1, 'AEDT': 1} ? ' and not an abbreviation; write ' + {'JST': 'Asia/Tokyo', 'KST': 'Asia/Seoul', 'SGT': 'Asia/Singapore', 'HKT': 'Asia/Hong_Kong', 'IST': 'Asia/Kolkata', 'CEST': 'Europe/Berlin', 'BST': 'Europe/London', 'EDT': 'America/New_York', 'CST': 'America/Chicago', 'CDT': 'America/Chicago', 'MDT': 'America/Denver', 'PST': 'America/Los_Angeles', 'PDT': 'America/Los_Angeles', 'BRT': 'America/Sao_Paulo', 'AEST': 'Australia/Sydney', 'AEDT': 'Australia/Sydney'}[self.upperAscii()] : '')".to_owned())),
    )]
    #[schemars(length(max = 64))]
    #[serde(default = "default_time_zone")]
    pub time_zone: String,
    /// How national numbers are read: an ISO 3166-1 alpha-2 code, such as `JP`.
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Z]{2}$') && self != 'UK'")
            .message(Message::Expression("'must be an ISO 3166-1 code of two capital letters, such as JP' + (self.upperAscii() == 'UK' ? '; the code of the United Kingdom is GB' : self.matches('^[A-Za-z]{2}$') ? '; write ' + self.upperAscii() : ': the country whose rules national numbers follow, not its name')".to_owned())),
    )]
    #[schemars(length(max = 64))]
    #[serde(default = "default_region")]
    pub region: String,
    /// How far back a run on request (`switchboard.dev/run-requested-at`) asks again for the
    /// numbers of the call history, in days, such as `30d`: at least `1d`, at most what the
    /// directory keeps. Daily: for numbers that have no contact; AfterCall: for those that have
    /// one, too.
    #[x_kube(
        validation = Rule::new("self.matches('^[1-9][0-9]{0,3}d$')")
            .message("must be a number of days, at least 1d, such as 30d"),
    )]
    #[schemars(length(max = 5))]
    #[serde(default = "default_history")]
    pub history: String,
    /// For how many days the directory keeps calls, from 1 to 9999, with what Salesforce said
    /// about numbers that no call shows any more. The operator's own maximum holds beside it,
    /// and alone if nothing is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 9999")
            .message("must be a number of days from 1 to 9999; leave it out to keep calls as long as the operator does"),
    )]
    pub retain_days: Option<u32>,
    /// What becomes of numbers that no query finds. `Search`, which counts if nothing is said,
    /// asks Salesforce's search index, which finds numbers with extensions, labels and other
    /// numbers beside them, for some further API calls; `Disabled` asks no second time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_question: Option<SecondQuestion>,
    /// Which names follow changes in Salesforce: `All` names that came from there and numbers
    /// without a name; `NewOnly` numbers without a name, and names stay as they are; `Off`
    /// nothing. When not given: `All` with `AfterCall`, which overwrites, and `NewOnly` with
    /// `Daily`, which does not. A contact that was edited by hand stays. An address book follows
    /// in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "follow_schema")]
    pub follow: Option<Follow>,
    /// How often runs ask Salesforce what changed, from `5m` to `24h`; when not given, as often
    /// as the connection is proved (`interval`). The first run after that time asks, so with
    /// `Daily` it is once a day.
    #[x_kube(
        validation = Rule::new("self.matches('^([5-9]m|[1-5][0-9]m|([1-9]|1[0-9]|2[0-4])h)$')")
            .message("must be from 5m to 24h, in whole minutes below an hour and whole hours above, such as 30m"),
    )]
    #[schemars(length(max = 3))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_every: Option<String>,
    /// Where names come from. `OnDemand` asks Salesforce for the numbers of calls. `Full` keeps
    /// every record with a phone number in the directory and lets them follow Salesforce: a
    /// first-time caller has a name at the first ring, however the number is written there, and
    /// calls cost no API request. Until the first fill has ended, names come on demand.
    #[serde(default)]
    pub address_book: AddressBook,
    /// With `addressBook: Full`, the most records that are kept, from 1 to 10000000; 1000000 if
    /// nothing is said. An org with more has names on demand, and the condition `Synced` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 10000000")
            .message("must be a number of records from 1 to 10000000; leave it out for 1000000"),
    )]
    pub max_records: Option<u32>,
}

/// One call center and its users.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CallCenter {
    /// Name of the call center, for people. Salesforce's own name of it need not be the same.
    #[x_kube(
        validation = Rule::new("self.matches('^[^\\\\s]([^\\\\n\\\\r\\\\t]*[^\\\\s])?$')")
            .message("must be 1 to 80 characters on one line, not beginning or ending with a space"),
        validation = Rule::new("!self.matches('[\\\\p{Cc}\\\\p{Cf}\\\\p{Zl}\\\\p{Zp}\\\\x{2065}]')")
            .message("must not have control characters, nor characters that show nothing or turn the direction of writing; type it anew instead of pasting it"),
    )]
    #[schemars(length(max = 80))]
    pub name: String,
    /// The Salesforce user names of its users, at most 200. Capitals do not matter.
    #[x_kube(
        validation = Rule::new("self.all(user, user.matches('^[^@\\\\s]+@[^@\\\\s]+$'))")
            .message("must be Salesforce user names, in the form of e-mail addresses"),
        validation = Rule::new("self.all(user, !user.matches('[\\\\p{Cc}\\\\p{Cf}\\\\p{Zl}\\\\p{Zp}\\\\x{2065}]'))")
            .message("must not have control characters, nor characters that show nothing or turn the direction of writing; type it anew instead of pasting it"),
    )]
    #[schemars(length(max = 200), inner(length(max = 80)), extend("x-kubernetes-list-type" = "set"))]
    pub users: Vec<String>,
}

/// How much of the org's API requests an integration may use.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiBudget {
    /// Share of the org's API requests of 24 hours, in per cent, from 1 to 100. Proofs of the
    /// connection and runs count; a run that reaches the share stops, keeps what it has found,
    /// and the next one goes on when requests are free again. Where the shares of
    /// an org's integrations add up to more than 100, each gets that much less.
    #[serde(default = "default_daily_percent")]
    #[x_kube(
        validation = Rule::new("self >= 1 && self <= 100")
            .message("must be from 1 to 100: the share of the org's daily API requests, in per cent"),
    )]
    pub daily_percent: u32,
}

/// Who is told by e-mail, and in which language.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    /// Addresses that get one mail for each cause, one more a day while it lasts, and one when the
    /// integration is ready again; at most 10. The operator says to which domains it sends:
    /// `status.warnings` names the addresses that get nothing.
    #[x_kube(
        validation = Rule::new("self.all(a, a.matches('^[A-Za-z0-9!#$%&*+/=?^_{|}~-]+([.][A-Za-z0-9!#$%&*+/=?^_{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.])+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])$'))")
            .message("must be e-mail addresses such as it@acme.example: ASCII only, without a name, spaces or quotes"),
    )]
    #[schemars(length(min = 1, max = 10), inner(length(max = 254)), extend("x-kubernetes-list-type" = "set"))]
    pub email: Vec<String>,
    /// The language of the mails, `en` or `ja`; the operator's own when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// The language of a mail.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

/// When contacts are retrieved.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Retrieval {
    /// Once a day, for numbers that have no contact yet; never overwrites.
    #[default]
    Daily,
    /// After calls ended; overwrites.
    AfterCall,
    /// Never.
    Disabled,
}

/// What becomes of numbers that no query finds.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SecondQuestion {
    /// The search index is asked.
    #[default]
    Search,
    /// They stay unknown.
    Disabled,
}

/// What becomes of calls and contacts when the resource is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Retain,
    /// They go.
    Erase,
}

/// Where names come from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressBook {
    /// Salesforce is asked for the numbers of calls.
    #[default]
    OnDemand,
    /// All records with a phone number are kept in the directory.
    Full,
}

/// Which names follow changes in Salesforce.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(try_from = "FollowText")]
pub enum Follow {
    /// Names that came from Salesforce, and numbers without a name.
    All,
    /// Numbers without a name.
    NewOnly,
    /// Nothing.
    Off,
}

/// What may stand under `follow`: kubectl takes the bare word `Off` for `false`, as YAML 1.1 does.
#[derive(Deserialize)]
#[serde(untagged)]
enum FollowText {
    Word(String),
    Bare(bool),
}

impl TryFrom<FollowText> for Follow {
    type Error = &'static str;

    fn try_from(text: FollowText) -> Result<Self, Self::Error> {
        match text {
            FollowText::Bare(false) => Ok(Self::Off),
            FollowText::Word(word) => match word.as_str() {
                "All" => Ok(Self::All),
                "NewOnly" => Ok(Self::NewOnly),
                "Off" => Ok(Self::Off),
                _ => Err("must be All, NewOnly or Off"),
            },
            FollowText::Bare(true) => Err("must be All, NewOnly or Off"),
        }
    }
}

/// The schema of `follow`: three words, and what kubectl makes of one of them without quotes. A
/// schema of two types has none, and Kubernetes wants that to be said.
fn follow_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "enum": ["All", "NewOnly", "Off", false],
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// Which kind of org it is; it decides where to log in.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Environment {
    /// login.salesforce.com; Developer Edition too.
    #[default]
    Production,
    /// test.salesforce.com.
    Sandbox,
}

impl Default for Contacts {
    fn default() -> Self {
        Self {
            retrieval: Retrieval::default(),
            daily_at: default_daily_at(),
            lookup_every: default_lookup_every(),
            time_zone: default_time_zone(),
            region: default_region(),
            history: default_history(),
            retain_days: None,
            second_question: None,
            follow: None,
            follow_every: None,
            address_book: AddressBook::default(),
            max_records: None,
        }
    }
}

impl Default for ApiBudget {
    fn default() -> Self {
        Self {
            daily_percent: default_daily_percent(),
        }
    }
}

fn default_daily_percent() -> u32 {
    20
}

fn default_interval() -> String {
    "30m".into()
}

fn default_api_version() -> String {
    "50.0".into()
}

fn default_daily_at() -> String {
    "23:00".into()
}

fn default_lookup_every() -> String {
    "5m".into()
}

fn default_time_zone() -> String {
    "Asia/Tokyo".into()
}

fn default_history() -> String {
    "30d".into()
}

fn default_region() -> String {
    "JP".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_method_is_chosen_whichever_it_is() {
        let secret_ref = SecretRef { name: "s".into() };
        let user = || {
            Some(UserAuth {
                username: "u@acme.example".into(),
                secret_ref: secret_ref.clone(),
            })
        };
        let app = || {
            Some(AppAuth {
                secret_ref: secret_ref.clone(),
            })
        };
        let none = Auth::default;
        let each = [
            (
                Method::Password,
                Auth {
                    password: user(),
                    ..none()
                },
            ),
            (
                Method::OauthPassword,
                Auth {
                    oauth_password: user(),
                    ..none()
                },
            ),
            (
                Method::JwtBearer,
                Auth {
                    jwt_bearer: user(),
                    ..none()
                },
            ),
            (
                Method::ClientCredentials,
                Auth {
                    client_credentials: app(),
                    ..none()
                },
            ),
        ];
        for (method, auth) in each {
            let chosen = auth.chosen().unwrap();
            assert_eq!((chosen.method, chosen.secret), (method, "s"));
            let named = (method != Method::ClientCredentials).then_some("u@acme.example");
            assert_eq!(chosen.username, named, "{method}");
        }
        assert_eq!(none().chosen(), None);
        let two = Auth {
            jwt_bearer: user(),
            client_credentials: app(),
            ..none()
        };
        assert_eq!(two.chosen(), None);
    }
}
