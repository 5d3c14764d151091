//! Log-in by four methods with one result type. A log-in is sent exactly once; nothing here repeats
//! one.

mod assertion;
pub(crate) mod gate;
mod oauth;
pub(crate) mod session;
mod soap;

use secrecy::{ExposeSecret, SecretString};
use tracing::debug;
use url::Url;

use self::gate::LoginGate;
use self::session::{Granted, SessionKeeper};
use super::answers::Incoming;
use super::answers::error::{Error, Phase};
use super::answers::meaning::Meaning;
use super::credentials::Credentials;
use super::credentials::environment::{ApiVersion, Environment};
use super::text::Redactor;
use super::transport::dial::DialPolicy;
use super::transport::{Outgoing, Transport, refused};

/// The parameters of one log-in.
pub(crate) struct Request<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) login_url: &'a Url,
    pub(crate) api_version: ApiVersion,
    pub(crate) environment: Environment,
    pub(crate) credentials: &'a Credentials,
    pub(crate) redactor: &'a Redactor,
    pub(crate) now: jiff::Timestamp,
    /// Checked immediately before a request is sent.
    pub(crate) gate: Option<&'a dyn LoginGate>,
    /// Counts the log-ins that are sent.
    pub(crate) keeper: &'a SessionKeeper,
}

// === impl Request ===

impl Request<'_> {
    /// Sends the prepared request if the gate permits it. Each request that is sent counts as one
    /// attempt.
    async fn send(&self, outgoing: Outgoing) -> Result<Incoming, Error> {
        if let Some(gate) = self.gate {
            gate.admit()
                .await
                .inspect_err(|withheld| debug!(%withheld, "no log-in is sent"))?;
        }
        self.keeper.count_login();
        self.transport
            .send(outgoing, Phase::Login, self.redactor)
            .await
    }
}

/// Logs in by the method of the credential.
pub(crate) async fn log_in(request: &Request<'_>) -> Result<Granted, Error> {
    request
        .transport
        .policy()
        .check(request.login_url)
        .map_err(|refusal| refused(&refusal, Phase::Login))?;
    match request.credentials {
        Credentials::Password {
            username,
            password,
            security_token,
        } => soap::log_in(request, username, password, security_token.as_ref()).await,
        _ => oauth::log_in(request).await,
    }
}

/// Reads the answer to a log-in: the entrance for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_answer(request: &Request<'_>, incoming: &Incoming) -> Result<Granted, Error> {
    match request.credentials {
        Credentials::Password { username, .. } => soap::read(request, username, incoming),
        _ => oauth::read(request, incoming),
    }
}

/// Appends a path to `login_url`. A path that the URL already has (an emulator's) is kept.
fn endpoint(login_url: &Url, path: &str) -> Result<Url, Error> {
    let base = login_url
        .as_str()
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    Url::parse(&format!("{base}{path}")).map_err(|_| {
        Error::new(
            Meaning::HostNotAllowed,
            Phase::Login,
            "the login URL is not a URL.",
        )
    })
}

/// The host for all further calls from the log-in response, if the dial guard permits it.
fn instance_url(named: &str, policy: &DialPolicy, redactor: &Redactor) -> Result<Url, Error> {
    let unexpected = || {
        Error::new(
            Meaning::UnexpectedAnswer,
            Phase::Login,
            "the log-in was answered with an instance that is no URL.",
        )
    };
    let url = Url::parse(named.trim()).map_err(|_| unexpected())?;
    policy.check(&url).map_err(|refusal| {
        let detail = format!("the log-in was answered with an instance elsewhere: {refusal}.");
        Error::new(Meaning::HostNotAllowed, Phase::Login, detail).redacted(redactor)
    })?;
    // A SOAP serverUrl ends in /services/Soap/…; the path before that belongs to an emulator.
    let prefix = url
        .path()
        .split("/services/")
        .next()
        .unwrap_or_default()
        .trim_end_matches('/')
        .to_owned();
    let mut url = url;
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&prefix);
    Ok(url)
}

/// The organization's id from the start of an opaque token: `00Dxxxxxxxxxxxx!…`
/// (facts: Salesforce 1.2).
fn organization_of_token(token: &SecretString) -> Option<String> {
    let (id, _) = token.expose_secret().split_once('!')?;
    let valid = id.starts_with("00D")
        && matches!(id.len(), 15 | 18)
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    valid.then(|| id18(id))
}

/// The 18-character form of an id. The three additional characters encode which of the 15 are upper
/// case; each of them covers five characters.
pub(crate) fn id18(id: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    if id.len() != 15 || !id.is_ascii() {
        return id.to_owned();
    }
    let suffix = id.as_bytes().chunks(5).map(|chunk| {
        let bits = chunk.iter().enumerate().fold(0, |bits, (place, byte)| {
            bits | usize::from(byte.is_ascii_uppercase()) << place
        });
        char::from(ALPHABET[bits])
    });
    id.chars().chain(suffix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_characters_become_eighteen() {
        assert_eq!(id18("001A0000006Vm9r"), "001A0000006Vm9rIAC");
        assert_eq!(id18("001A0000006Vm9rIAC"), "001A0000006Vm9rIAC");
        assert_eq!(
            organization_of_token(&"00DA0000006Vm9r!AQ".into())
                .unwrap()
                .len(),
            18
        );
        assert_eq!(organization_of_token(&"eyJ.x.y".into()), None);
    }

    #[test]
    fn an_instance_is_an_origin_that_the_guard_knows() {
        let policy = DialPolicy::new(&[], false, None).unwrap();
        let url = instance_url(
            "https://na1.salesforce.com/services/Soap/u/50.0/00Dx",
            &policy,
            &Redactor::default(),
        )
        .unwrap();
        assert_eq!(url.as_str(), "https://na1.salesforce.com/");
        for hostile in [
            "https://evil.example/",
            "http://na1.salesforce.com/",
            "https://na1.salesforce.com@evil.example/",
        ] {
            assert_eq!(
                instance_url(hostile, &policy, &Redactor::default())
                    .unwrap_err()
                    .meaning(),
                Meaning::HostNotAllowed,
                "{hostile}"
            );
        }
        assert_eq!(
            instance_url("na1", &policy, &Redactor::default())
                .unwrap_err()
                .meaning(),
            Meaning::UnexpectedAnswer
        );
    }
}
