//! The way to the mail server: one connection for each mail, encrypted before the log-in.

use std::path::PathBuf;
use std::time::Duration;

use lettre::Message;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret, SecretString};

use super::Address;

/// The longest wait for one answer of the server.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The longest time that one mail may take, however slowly the server speaks.
const SENT_WITHIN: Duration = Duration::from_secs(60);
/// The longest wait for the end of a connection whose mail is settled.
const FAREWELL_WITHIN: Duration = Duration::from_secs(2);

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encryption {
    /// Plain at first, encrypted before anything is told; a server without STARTTLS gets nothing.
    #[value(name = "STARTTLS", alias = "starttls")]
    StartTls,
    /// From the first byte.
    #[value(name = "TLS", alias = "tls")]
    Wrapped,
    /// Never. Only for a server on this machine, for tests.
    #[value(name = "Off", alias = "off")]
    Off,
}

/// A mail server and how to log in.
pub(crate) struct Server {
    host: String,
    port: u16,
    tls: Encryption,
    parameters: TlsParameters,
    login: Option<LoginFiles>,
    hello: ClientId,
}

/// The files with user and password. They are read for each mail, so that a rotated Secret counts.
#[derive(Clone, Debug)]
pub(crate) struct LoginFiles {
    /// The file with the user name.
    pub username: PathBuf,
    /// The file with the password.
    pub password: PathBuf,
}

/// The mail server cannot be set up from what the flags say.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port is no number from 1 to 65535.
    #[error("{0:?} names no mail server; write HOST or HOST:PORT, such as smtp.example.com:587")]
    Address(String),
    /// Unencrypted mail would leave the machine.
    #[error(
        "mail to {0} would be sent unencrypted; use --smtp-tls=STARTTLS or TLS. Off is only for a server on this machine"
    )]
    Unencrypted(String),
    /// The authorities of the mail server cannot be used.
    #[error(
        "the certificate authorities for the mail server cannot be used; check the file for PEM"
    )]
    Authorities(#[source] lettre::transport::smtp::Error),
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// A file with the user or the password cannot be read.
    #[error("the file {} for the mail server's log-in cannot be read", .0.display())]
    Login(PathBuf, #[source] std::io::Error),
    /// The server cannot be reached, is not the one that it should be, or lets nobody in.
    #[error("the mail server cannot be used")]
    Server(#[source] lettre::transport::smtp::Error),
    /// The server took too long.
    #[error("the mail server did not take the mail within {} seconds", SENT_WITHIN.as_secs())]
    Slow,
    /// The server asks to try this mail again later.
    #[error("the mail server put the mail off")]
    Later(#[source] lettre::transport::smtp::Error),
    /// The server will never take this mail.
    #[error("the mail server refused the mail")]
    Refused(#[source] lettre::transport::smtp::Error),
}

// === impl SendError ===

impl SendError {
    /// Whether other mails would fail alike.
    pub(crate) fn is_of_server(&self) -> bool {
        matches!(self, Self::Login(..) | Self::Server(_) | Self::Slow)
    }
}

// === impl Server ===

impl Server {
    /// Describes a server. `address` is a host with an optional port; `authorities` is PEM, beside
    /// the system's own. `sender` gives the domain of the greeting.
    ///
    /// # Errors
    /// When the address, the encryption or the authorities cannot be used.
    pub(crate) fn new(
        address: &str,
        tls: Encryption,
        authorities: Option<&str>,
        login: Option<LoginFiles>,
        sender: &Address,
    ) -> Result<Self, ServerError> {
        let (host, port) = host_and_port(address, tls)?;
        if tls == Encryption::Off && !is_this_machine(&host) {
            return Err(ServerError::Unencrypted(host));
        }
        let mut parameters = TlsParameters::builder(host.clone());
        if let Some(pem) = authorities {
            let authority =
                Certificate::from_pem(pem.as_bytes()).map_err(ServerError::Authorities)?;
            parameters = parameters.add_root_certificate(authority);
        }
        Ok(Self {
            parameters: parameters.build().map_err(ServerError::Authorities)?,
            host,
            port,
            tls,
            login,
            hello: ClientId::Domain(sender.domain().to_owned()),
        })
    }

    /// Sends a message to these recipients: to all of them or to none.
    ///
    /// # Errors
    /// When the server did not say that it took the mail.
    pub(crate) async fn send(
        &self,
        message: &Message,
        sender: &Address,
        recipients: &[Address],
    ) -> Result<(), SendError> {
        let to = recipients.iter().map(|to| to.inner().clone()).collect();
        let Ok(envelope) = Envelope::new(Some(sender.inner().clone()), to) else {
            // A mail to nobody is sent.
            return Ok(());
        };
        let deliver = async {
            let mut connection = self.connect().await?;
            let sent = connection.send(&envelope, &message.formatted()).await;
            Ok((sent, connection))
        };
        let delivered = tokio::time::timeout(SENT_WITHIN, deliver).await;
        let (sent, mut connection) = delivered.map_err(|_| SendError::Slow)??;
        // The mail is taken or not, whatever becomes of the farewell.
        let _ = tokio::time::timeout(FAREWELL_WITHIN, connection.quit()).await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(SendError::Refused(error)),
            Err(error) if error.is_transient() => Err(SendError::Later(error)),
            Err(error) => Err(SendError::Server(error)),
        }
    }

    /// A connection that is encrypted as wanted and logged in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let credentials = match &self.login {
            Some(files) => Some(files.read().await?),
            None => None,
        };
        let wrapper = (self.tls == Encryption::Wrapped).then(|| self.parameters.clone());
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (self.host.as_str(), self.port),
            Some(ANSWER_WITHIN),
            &self.hello,
            wrapper,
            None,
        )
        .await
        .map_err(SendError::Server)?;
        if self.tls == Encryption::StartTls {
            connection
                .starttls(self.parameters.clone(), &self.hello)
                .await
                .map_err(SendError::Server)?;
        }
        if let Some((username, password)) = credentials {
            let credentials = Credentials::new(
                username.expose_secret().to_owned(),
                password.expose_secret().to_owned(),
            );
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(SendError::Server)?;
        }
        Ok(connection)
    }
}

// === impl LoginFiles ===

impl LoginFiles {
    /// User and password as they are now.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) async fn read(&self) -> Result<(SecretString, SecretString), SendError> {
        Ok((
            read_line(&self.username).await?,
            read_line(&self.password).await?,
        ))
    }
}

/// The content of a file, without the line break at its end.
async fn read_line(path: &PathBuf) -> Result<SecretString, SendError> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|error| SendError::Login(path.clone(), error))?;
    let text = zeroize::Zeroizing::new(text);
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

fn host_and_port(address: &str, tls: Encryption) -> Result<(String, u16), ServerError> {
    let invalid = || ServerError::Address(address.to_owned());
    let (host, port) = match address.rsplit_once(':') {
        // The last colon of an IPv6 address without a port stands within its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| invalid())?),
        _ => (
            address,
            match tls {
                Encryption::StartTls => 587,
                Encryption::Wrapped => 465,
                Encryption::Off => 25,
            },
        ),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Some(bare) = bare {
        let is_address = bare.parse::<std::net::Ipv6Addr>().is_ok();
        return if is_address && port != 0 {
            Ok((bare.to_owned(), port))
        } else {
            Err(invalid())
        };
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if host.is_empty() || port == 0 || !host.chars().all(plain) {
        return Err(invalid());
    }
    Ok((host.to_owned(), port))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Chain;

    fn server(address: &str, tls: Encryption) -> Result<Server, ServerError> {
        let sender = "switchboard@example.com".parse().unwrap();
        Server::new(address, tls, None, None, &sender)
    }

    #[test]
    fn the_port_is_that_of_the_encryption_unless_it_is_said() {
        let port = |address: &str, tls| server(address, tls).unwrap().port;
        assert_eq!(port("smtp.example.com", Encryption::StartTls), 587);
        assert_eq!(port("smtp.example.com", Encryption::Wrapped), 465);
        assert_eq!(port("smtp.example.com:2525", Encryption::Wrapped), 2525);
        for (address, port) in [("[fd00:10::25]:2525", 2525), ("[fd00:10::25]", 587)] {
            let server = server(address, Encryption::StartTls).unwrap();
            assert_eq!((server.host.as_str(), server.port), ("fd00:10::25", port));
        }
        for wrong in [
            "",
            ":25",
            "smtp.example.com:",
            "smtp.example.com:0",
            "smtp.example.com:70000",
            "smtp://x",
            "fd00:10::25",
            "[fd00:10::25",
            "[smtp.example.com]:25",
            "[::1]:0",
            "a b",
        ] {
            let said = server(wrong, Encryption::StartTls)
                .err()
                .unwrap()
                .to_string();
            assert!(said.contains("HOST:PORT"), "{wrong}: {said}");
        }
    }

    #[test]
    fn nothing_leaves_the_machine_unencrypted() {
        assert!(server("localhost:25", Encryption::Off).is_ok());
        assert!(server("127.0.0.1:25", Encryption::Off).is_ok());
        assert!(server("[::1]:25", Encryption::Off).is_ok());
        for elsewhere in ["smtp.example.com", "10.0.0.1:25", "localhost.example.com"] {
            let said = server(elsewhere, Encryption::Off)
                .err()
                .unwrap()
                .to_string();
            assert!(said.contains("unencrypted"), "{said}");
        }
    }

    #[test]
    fn authorities_that_are_no_pem_are_refused() {
        let sender = "switchboard@example.com".parse().unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n";
        let refused = Server::new(
            "smtp.example.com",
            Encryption::StartTls,
            Some(pem),
            None,
            &sender,
        );
        let said = Chain(&refused.err().unwrap()).to_string();
        assert!(
            said.starts_with("the certificate authorities for the mail server"),
            "{said}"
        );
    }
}
