//! Users, and the connected apps that log in for them.

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

/// A user of an org.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct User {
    /// The user id; derived from org and user name when empty.
    pub id: String,
    /// User name, unique across all orgs.
    pub username: String,
    /// The password, without the security token.
    pub password: String,
    /// The security token; `None` means that the user's network is trusted.
    pub security_token: Option<String>,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address; the user name applies when it is empty.
    pub email: String,
    /// The name of the profile.
    pub profile: String,
    /// The names of the permission sets.
    pub permission_sets: Vec<String>,
    /// Whether the user may log in.
    pub active: bool,
    /// Whether an administrator has frozen the user.
    pub frozen: bool,
    /// Whether the user is locked until an administrator unlocks it, independent of the lockout
    /// interval.
    pub locked: bool,
    /// Whether `login()` answers 200 with `passwordExpired=true`; the session then allows nothing.
    pub password_expired: bool,
    /// Ranges from which the profile allows log-ins (`10.0.0.0/8`, `10.0.0.1-10.0.0.9`); empty:
    /// from everywhere.
    pub login_ip_ranges: Vec<String>,
    /// Hours in which the profile allows log-ins, in UTC; `None` for no limit.
    pub login_hours: Option<LoginHours>,
    /// Whether the REST API refuses the sessions of this user; another log-in does not help.
    pub rest_session_refused: bool,
    /// The name of the user's call center; `None` for a user in no call center.
    pub call_center: Option<String>,
    /// Time zone in Java notation.
    pub time_zone: String,
    /// Locale.
    pub locale: String,
    /// Language.
    pub language: String,
}

/// A time range in UTC, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginHours {
    /// Start of the range.
    pub from: Time,
    /// End of the range, excluded.
    pub to: Time,
}

impl Default for User {
    fn default() -> Self {
        Self {
            id: String::new(),
            username: String::new(),
            password: String::new(),
            security_token: None,
            first_name: String::new(),
            last_name: String::new(),
            email: String::new(),
            profile: "System Administrator".to_owned(),
            permission_sets: Vec::new(),
            active: true,
            frozen: false,
            locked: false,
            password_expired: false,
            login_ip_ranges: Vec::new(),
            login_hours: None,
            rest_session_refused: false,
            call_center: None,
            time_zone: "Asia/Tokyo".to_owned(),
            locale: "ja_JP".to_owned(),
            language: "ja".to_owned(),
        }
    }
}

impl User {
    /// A user with this profile and no password.
    pub fn new(username: &str, profile: &str) -> Self {
        let last_name = username.split('@').next().unwrap_or(username).to_owned();
        Self {
            username: username.to_owned(),
            last_name,
            profile: profile.to_owned(),
            ..Self::default()
        }
    }

    /// A user who can read all Contacts, Accounts and Leads and may create Tasks, and no more.
    pub fn integration(username: &str) -> Self {
        Self::new(username, "Integration")
    }

    /// A system administrator.
    pub fn administrator(username: &str) -> Self {
        Self::new(username, "System Administrator")
    }

    /// A user who can read shared records.
    pub fn standard(username: &str) -> Self {
        Self::new(username, "Standard User")
    }

    /// Sets the password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    /// Sets the security token, which must follow the password at every log-in.
    pub fn token(mut self, token: &str) -> Self {
        self.security_token = Some(token.to_owned());
        self
    }

    /// Sets the profile by name.
    pub fn profile(mut self, name: &str) -> Self {
        self.profile = name.to_owned();
        self
    }

    /// Assigns a permission set by name.
    pub fn permission_set(mut self, name: &str) -> Self {
        self.permission_sets.push(name.to_owned());
        self
    }

    /// Puts the user into a call center.
    pub fn call_center(mut self, name: &str) -> Self {
        self.call_center = Some(name.to_owned());
        self
    }

    /// Changes any other setting.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// First and last name, separated by a space.
    pub fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
            .trim()
            .to_owned()
    }

    /// The e-mail address; the user name when none is set.
    pub(crate) fn email(&self) -> &str {
        if self.email.is_empty() {
            &self.username
        } else {
            &self.email
        }
    }
}

/// A connected app, with the settings that OAuth flows use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectedApp {
    /// Consumer key.
    pub client_id: String,
    /// Consumer secret.
    pub client_secret: String,
    /// Name of the app.
    pub name: String,
    /// PEM of the RSA public key or of the certificate that verifies JWTs.
    pub certificate: Option<String>,
    /// Users who approved the app, or for whom an administrator did; `*` for all.
    pub approved_users: Vec<String>,
    /// The user that client credentials log in as.
    pub run_as: Option<String>,
    /// Whether the client-credentials flow is enabled.
    pub client_credentials: bool,
    /// Whether an administrator has blocked the app.
    pub blocked: bool,
    /// Whether the app is installed in the org of the user.
    pub installed: bool,
    /// The app's scopes. Without `api` or `full` its sessions are refused by REST.
    pub scopes: Vec<String>,
}

impl Default for ConnectedApp {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            client_secret: String::new(),
            name: "Switchboard".to_owned(),
            certificate: None,
            approved_users: vec!["*".to_owned()],
            run_as: None,
            client_credentials: true,
            blocked: false,
            installed: true,
            scopes: vec!["api".to_owned()],
        }
    }
}

impl ConnectedApp {
    /// An app with this consumer key and secret, approved for everyone.
    pub fn new(client_id: &str, client_secret: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            ..Self::default()
        }
    }

    /// Sets the PEM that verifies JWTs: an RSA public key or an X.509 certificate.
    pub fn certificate(mut self, pem: &str) -> Self {
        self.certificate = Some(pem.to_owned());
        self
    }

    /// Sets the user of the client-credentials flow.
    pub fn run_as(mut self, username: &str) -> Self {
        self.run_as = Some(username.to_owned());
        self
    }

    /// Approves the app for these users only.
    pub fn approved_for(mut self, usernames: &[&str]) -> Self {
        self.approved_users = usernames.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn approves(&self, username: &str) -> bool {
        self.approved_users
            .iter()
            .any(|name| name == "*" || name.eq_ignore_ascii_case(username))
    }
}
