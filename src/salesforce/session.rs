//! What a log-in tells.

use serde::{Deserialize, Serialize};
use url::Url;

/// What is known of a session; never its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// 18 characters where Salesforce gives them.
    pub organization_id: String,
    /// The user's id.
    pub user_id: String,
    /// The user's name; for client credentials the Run-As user, once it is known.
    pub username: Option<String>,
    /// Where all calls of the session go.
    #[serde(with = "url_text")]
    pub instance_url: Url,
    /// Told by SOAP login() only.
    pub organization_name: Option<String>,
    /// Told by SOAP login() only.
    pub sandbox: Option<bool>,
    /// Told by SOAP login() only.
    pub person_accounts: Option<bool>,
    /// For how long the session lives without use; told by SOAP login() only.
    pub seconds_valid: Option<u64>,
}

/// A URL as text: `url` itself is built without serde here.
mod url_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
