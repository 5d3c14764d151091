//! The settings of a worker: one JSON document in the environment, and secrets in files.
//!
//! The controller writes the document into the CronJob, where everybody who may read Jobs can read
//! it. So it contains no secret. Its keys are those of the resource.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::company_id::CompanyId;
use crate::follow::Mode;
use crate::phone::Region;
use crate::resolve::UrlLength;
use crate::salesforce::{
    ApiVersion, Credentials, DialError, DialPolicy, Environment, Incomplete, Method, SecretKey,
    secret_text,
};
use crate::url_text;

/// The environment variable that holds the document.
pub const SETTINGS_ENV: &str = "SWITCHBOARD_WORKER_SETTINGS";
/// Version of the format that this program writes and reads.
pub const SETTINGS_VERSION: &str = "v1";
/// Maximum size of a file, in bytes. A Secret holds at most 1 MiB in all
/// (<https://kubernetes.io/docs/concepts/configuration/secret/>).
const MAX_SECRET_BYTES: u64 = 1024 * 1024;

/// The settings of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerSettings {
    /// Version of the format, [`SETTINGS_VERSION`].
    pub version: String,
    /// The company whose calls are resolved.
    pub company_id: CompanyId,
    /// The Salesforce org in which the numbers are looked up.
    pub salesforce: SalesforceSettings,
    /// The directory that provides the calls and receives the contacts.
    pub directory: DirectorySettings,
    /// Region with which national numbers are parsed.
    pub region: Region,
    /// The tenant's time zone (IANA).
    pub time_zone: String,
    /// Whether the org has person accounts; `None` if no probe has reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_accounts: Option<bool>,
    /// URL at which the org's records are opened. If it is missing, the URL from the log-in is
    /// used.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "url_text::optional"
    )]
    pub instance_url: Option<Url>,
    /// Maximum number of API calls of this run; `None` means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_api_calls: Option<u64>,
    /// Maximum length of a query URL in this org, from the last run's report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_length: Option<UrlLength>,
    /// Fingerprint of the settings that decide whether a record matches a number. Misses that were
    /// asked with another one are asked again at once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub match_settings: String,
    /// Whether the search index is asked for numbers that no query finds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_question: bool,
    /// Which names follow Salesforce; `None` means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<FollowSettings>,
    /// The address book that is kept in the directory; `None` means names on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_book: Option<BookSettings>,
    /// The re-retrieval that the tenant requested with this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re_retrieve: Option<ReRetrieve>,
    /// Name of this run in logs, for example `namespace/name` of its resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// How names follow Salesforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FollowSettings {
    /// Which names do.
    pub mode: Mode,
    /// How often changes are asked for, in seconds.
    pub every_seconds: u64,
}

/// The address book: every record with a phone number is kept in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BookSettings {
    /// The most records that it may have. An org with more has names on demand.
    pub max_records: u64,
}

/// A re-retrieval: the numbers of the call history are asked for again. The after-call run asks for
/// those that have a contact, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReRetrieve {
    /// Identifies the request. The same request is one re-retrieval, however many runs it takes.
    pub request: String,
    /// Days of the history.
    pub history_days: u32,
}

/// The Salesforce part of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SalesforceSettings {
    /// Production or Sandbox.
    pub environment: Environment,
    /// URL for the log-in, in place of the host that the environment implies.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "url_text::optional"
    )]
    pub login_url: Option<Url>,
    /// Version of the Salesforce API.
    pub api_version: ApiVersion,
    /// Method of the log-in.
    pub auth: AuthSettings,
    /// Hosts to which connections are allowed, in the operator's notation. If it is empty, the
    /// operator's default applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Whether Salesforce may be in a private network. This is for simulators only.
    #[serde(default)]
    pub allow_private_networks: bool,
}

/// The log-in method: exactly one of the four, as in the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthSettings {
    /// SOAP `login()`. Files: `password`, optionally `securityToken`.
    Password(UserSettings),
    /// The OAuth username-password flow. Files: `password`, optionally `securityToken`, `clientId`,
    /// `clientSecret`.
    OauthPassword(UserSettings),
    /// The OAuth JWT bearer flow. Files: `clientId`, `privateKey`.
    JwtBearer(UserSettings),
    /// The OAuth client-credentials flow. Files: `clientId`, `clientSecret`.
    ClientCredentials {},
}

/// The user that logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserSettings {
    /// The user's name in Salesforce.
    pub username: String,
}

/// The directory part of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectorySettings {
    /// URL of the directory.
    #[serde(with = "url_text")]
    pub url: Url,
}

/// The reason why a run cannot start. No variant holds a secret's value.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The variable is not set.
    #[error(
        "the environment variable {SETTINGS_ENV} is not set; the controller sets it in the CronJob, docs/worker.md tells what it holds"
    )]
    Missing,
    /// The document cannot be read.
    #[error("{SETTINGS_ENV} is not a settings document; docs/worker.md tells what one holds")]
    Malformed(#[source] serde_json::Error),
    /// The document has another version.
    #[error("{SETTINGS_ENV} has version {0:?}; this program reads {SETTINGS_VERSION}")]
    Version(String),
    /// A file cannot be read.
    #[error(
        "the file {path} cannot be read; check that the key is in the Secret that is mounted there, and that this process may read it"
    )]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The content of a file is invalid.
    #[error("the file {path} {problem}")]
    Content {
        /// Path of the file.
        path: PathBuf,
        /// Description of the problem.
        problem: String,
    },
    /// The hosts or certificate authorities for Salesforce are unusable.
    #[error(
        "the way to Salesforce cannot be set up; check salesforce.hosts in {SETTINGS_ENV}, and --ca-bundle"
    )]
    Dial(#[from] DialError),
    /// The mounted credentials do not fit the log-in method.
    #[error("the mounted credentials cannot be used; correct the tenant's Secret")]
    Credentials(#[from] Incomplete),
}

// === impl WorkerSettings ===

impl WorkerSettings {
    /// Parses the document and checks its version.
    pub fn parse(json: &str) -> Result<Self, SettingsError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: String,
        }
        let Versioned { version } = serde_json::from_str(json).map_err(SettingsError::Malformed)?;
        if version != SETTINGS_VERSION {
            return Err(SettingsError::Version(version));
        }
        serde_json::from_str(json).map_err(SettingsError::Malformed)
    }

    /// Returns the document for the CronJob. The same settings always give the same bytes.
    ///
    /// It becomes the value of an environment variable, in which Kubernetes replaces `$(NAME)` and
    /// `$$`. So it has no `$`: JSON has another way to write the character.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        json.replace('$', "\\u0024")
    }
}

// === impl SalesforceSettings ===

impl SalesforceSettings {
    /// Returns the URL for the log-in: the configured one, or that of the environment.
    pub fn login_url(&self) -> Url {
        self.login_url
            .clone()
            .unwrap_or_else(|| self.environment.login_url())
    }

    /// Returns the policy for the allowed connections. `ca_bundle` is a PEM file with an additional
    /// certificate authority.
    pub fn dial_policy(&self, ca_bundle: Option<&Path>) -> Result<DialPolicy, SettingsError> {
        let pem = ca_bundle
            .map(|path| read_file(path).map(|pem| pem.to_vec()))
            .transpose()?;
        DialPolicy::new(&self.hosts, self.allow_private_networks, pem).map_err(SettingsError::from)
    }

    /// Reads the credentials from the files of a mounted Secret.
    pub fn credentials(&self, directory: &Path) -> Result<Credentials, SettingsError> {
        let (method, username) = self.auth.method();
        let read = |key: SecretKey| {
            let path = directory.join(key.name);
            if !key.required && !path.exists() {
                return Ok(None);
            }
            read_file(&path).map(Some)
        };
        Credentials::read(method, username, read).map(|(credentials, _)| credentials)
    }
}

// === impl AuthSettings ===

impl AuthSettings {
    /// Returns the method, and the user that it logs in.
    fn method(&self) -> (Method, Option<&str>) {
        match self {
            Self::Password(user) => (Method::Password, Some(&user.username)),
            Self::OauthPassword(user) => (Method::OauthPassword, Some(&user.username)),
            Self::JwtBearer(user) => (Method::JwtBearer, Some(&user.username)),
            Self::ClientCredentials {} => (Method::ClientCredentials, None),
        }
    }
}

/// Reads a secret from a file, without the line end that editors and `echo` add.
pub(crate) fn read_secret(path: &Path) -> Result<SecretString, SettingsError> {
    secret_text(&read_file(path)?).map_err(|problem| content(path, problem.to_string()))
}

/// The error of a file that can be read and not used.
pub(crate) fn unusable(path: &Path, problem: &dyn std::error::Error) -> SettingsError {
    content(path, format!("cannot be used: {problem}"))
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SettingsError> {
    let file = |source| SettingsError::File {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(file)?.len() > MAX_SECRET_BYTES {
        return Err(content(path, "is larger than 1 MiB"));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(file)
}

fn content(path: &Path, problem: impl Into<String>) -> SettingsError {
    SettingsError::Content {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const DOCUMENT: &str = r#"{
        "version": "v1",
        "companyId": "acme-tokyo",
        "salesforce": {
            "environment": "Production",
            "apiVersion": "50.0",
            "auth": {"password": {"username": "integration@acme.example"}}
        },
        "directory": {"url": "http://directory.switchboard:8080"},
        "region": "JP",
        "timeZone": "Asia/Tokyo"
    }"#;

    #[test]
    fn nothing_in_the_document_is_expanded_as_an_environment_variable() {
        let mut settings = WorkerSettings::parse(DOCUMENT).unwrap();
        settings.time_zone = "$(HOME)$$Asia".into();
        let json = settings.to_json();
        assert!(!json.contains('$'), "{json}");
        assert_eq!(WorkerSettings::parse(&json).unwrap(), settings);
    }

    proptest::proptest! {
        #[test]
        fn an_environment_variable_reads_back_whatever_a_tenant_writes(text in "[$(){}A-Z\\\\\"\n\u{0}-\u{20}\u{202e}]{0,30}") {
            let mut settings = WorkerSettings::parse(DOCUMENT).unwrap();
            settings.salesforce.auth = AuthSettings::JwtBearer(UserSettings { username: text.clone() });
            settings.run = Some(text);
            let json = settings.to_json();
            proptest::prop_assert!(!json.contains(['$', '\n', '\u{0}']), "{}", json);
            proptest::prop_assert_eq!(WorkerSettings::parse(&json).unwrap(), settings);
        }
    }

    #[test]
    fn a_document_with_what_is_needed_is_read_and_comes_back() {
        let settings = WorkerSettings::parse(DOCUMENT).unwrap();
        assert_eq!(settings.company_id.as_str(), "acme-tokyo");
        assert_eq!(
            settings.salesforce.login_url().as_str(),
            "https://login.salesforce.com/"
        );
        assert_eq!(settings.max_api_calls, None);
        assert_eq!(
            WorkerSettings::parse(&settings.to_json()).unwrap(),
            settings
        );
    }

    #[test]
    fn a_document_of_another_shape_is_refused_with_what_is_wrong() {
        assert!(matches!(
            WorkerSettings::parse(&DOCUMENT.replace("\"v1\"", "\"v2\"")),
            Err(SettingsError::Version(_))
        ));
        for (from, to) in [
            ("\"JP\"", "\"ZZ\""),
            ("Production", "Staging"),
            ("acme-tokyo", "Acme Tokyo"),
            ("\"timeZone\"", "\"timezone\""),
            ("{\"password\": {", "{\"passwords\": {"),
        ] {
            let error = WorkerSettings::parse(&DOCUMENT.replace(from, to)).unwrap_err();
            assert!(
                matches!(error, SettingsError::Malformed(_)),
                "{from}: {error}"
            );
        }
    }

    #[test]
    fn the_four_ways_to_log_in_are_written_as_in_the_resource() {
        for auth in [
            r#"{"password":{"username":"a"}}"#,
            r#"{"oauthPassword":{"username":"a"}}"#,
            r#"{"jwtBearer":{"username":"a"}}"#,
            r#"{"clientCredentials":{}}"#,
        ] {
            let read: AuthSettings = serde_json::from_str(auth).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), auth);
        }
    }

    #[test]
    fn secrets_come_from_files_without_their_line_end_and_are_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let settings = WorkerSettings::parse(DOCUMENT).unwrap();
        let error = settings.salesforce.credentials(folder.path()).unwrap_err();
        assert!(error.to_string().contains("password"), "{error}");

        std::fs::write(folder.path().join("password"), "hunter2 \r\n").unwrap();
        std::fs::write(folder.path().join("securityToken"), "\n").unwrap();
        let credentials = settings.salesforce.credentials(folder.path()).unwrap();
        let Credentials::Password {
            password,
            security_token,
            ..
        } = &credentials
        else {
            panic!()
        };
        assert_eq!(password.expose_secret(), "hunter2 ");
        assert!(security_token.is_none());
        assert!(!format!("{credentials:?}").contains("hunter2"));

        std::fs::write(folder.path().join("password"), b"\xff\xfehunter2").unwrap();
        let error = settings.salesforce.credentials(folder.path()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        std::fs::write(folder.path().join("password"), "\n").unwrap();
        assert!(settings.salesforce.credentials(folder.path()).is_err());
    }
}
