//! The flags for e-mail and the files that they name.

use std::path::PathBuf;
use std::time::Duration;

use super::Error;
use crate::api::Language;
use crate::cli::{duration, read};
use crate::decide::notify::Rules;
use crate::mail::{Address, Domain, LoginFiles, Server, Tls};

/// Flags for e-mail. Without `--smtp-server` no mail is sent.
#[derive(Clone, Debug, clap::Args)]
pub struct MailArgs {
    /// Mail server that takes the mails of spec.notifications, as HOST or HOST:PORT (587, or 465
    /// with TLS); no mail is sent when not given.
    #[arg(long, env = "SWITCHBOARD_SMTP_SERVER", value_name = "HOST[:PORT]", requires_all = ["mail_from", "mail_to", "mail_recipient_domains"])]
    smtp_server: Option<String>,
    /// How the connection to the mail server is encrypted; Off only for a server on this machine.
    #[arg(long, env = "SWITCHBOARD_SMTP_TLS", value_enum, default_value_t = Tls::StartTls)]
    smtp_tls: Tls,
    /// File with the user for the mail server; no log-in when not given. It is read for each mail.
    #[arg(
        long,
        env = "SWITCHBOARD_SMTP_USERNAME_FILE",
        value_name = "FILE",
        requires = "smtp_password_file"
    )]
    smtp_username_file: Option<PathBuf>,
    /// File with the password for the mail server. It is read for each mail.
    #[arg(
        long,
        env = "SWITCHBOARD_SMTP_PASSWORD_FILE",
        value_name = "FILE",
        requires = "smtp_username_file"
    )]
    smtp_password_file: Option<PathBuf>,
    /// File with further certificate authorities for the mail server, PEM.
    #[arg(long, env = "SWITCHBOARD_SMTP_CA_FILE", value_name = "FILE")]
    smtp_ca_file: Option<PathBuf>,
    /// Address that sends the mails.
    #[arg(long, env = "SWITCHBOARD_MAIL_FROM", value_name = "ADDRESS")]
    mail_from: Option<Address>,
    /// The platform team's own addresses, separated by commas: they get one mail when many
    /// integrations fail of the same at once, and those get none.
    #[arg(
        long,
        env = "SWITCHBOARD_MAIL_TO",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    mail_to: Vec<Address>,
    /// Domains that tenants may name in spec.notifications.email, separated by commas; `*.` in
    /// front stands for any sub-domain, `*` alone for any domain at all.
    #[arg(
        long,
        env = "SWITCHBOARD_MAIL_RECIPIENT_DOMAINS",
        value_name = "DOMAIN",
        value_delimiter = ','
    )]
    mail_recipient_domains: Vec<Domain>,
    /// Language of the mails where spec.notifications.language names none, and of those to the
    /// platform team.
    #[arg(long, env = "SWITCHBOARD_MAIL_LANGUAGE", value_enum, default_value_t = Language::En)]
    mail_language: Language,
    /// How long an integration is not ready before it is told, and ready again before that is
    /// told.
    #[arg(long, env = "SWITCHBOARD_MAIL_AFTER", default_value = "5m", value_parser = duration)]
    mail_after: Duration,
    /// Most mails an hour about one integration, 1 to 60.
    #[arg(long, env = "SWITCHBOARD_MAIL_CEILING_INTEGRATION", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=60))]
    mail_ceiling_integration: u16,
    /// Most mails an hour to tenants altogether.
    #[arg(long, env = "SWITCHBOARD_MAIL_CEILING", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    mail_ceiling: u16,
    /// From this number of integrations that fail of the same at about the same time the platform
    /// team is told instead of each of them.
    #[arg(long, env = "SWITCHBOARD_MAIL_STORM_FROM", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..))]
    mail_storm_from: u16,
}

/// The values of the flags for e-mail.
pub(crate) struct MailSetup {
    pub rules: Rules,
    pub server: Server,
}

// === impl MailArgs ===

impl MailArgs {
    /// The values of the flags. `None` when no mail is sent.
    ///
    /// # Errors
    /// When a file cannot be read, or a flag does not fit the others.
    pub(crate) fn read(&self) -> Result<Option<MailSetup>, Error> {
        let (Some(address), Some(sender)) = (&self.smtp_server, &self.mail_from) else {
            return Ok(None);
        };
        let authorities = self
            .smtp_ca_file
            .as_deref()
            .map(|path| read(path, "--smtp-ca-file"))
            .transpose()?;
        let login = match (&self.smtp_username_file, &self.smtp_password_file) {
            (Some(username), Some(password)) => {
                // A file that is not there is noticed at the start, not at the first mail.
                read(username, "--smtp-username-file")?;
                read(password, "--smtp-password-file")?;
                Some(LoginFiles {
                    username: username.clone(),
                    password: password.clone(),
                })
            }
            _ => None,
        };
        let authorities = authorities.as_ref().map(|pem| pem.as_str());
        let server = Server::new(address, self.smtp_tls, authorities, login, sender)?;
        Ok(Some(MailSetup {
            server,
            rules: Rules {
                after: self.mail_after,
                per_integration: self.mail_ceiling_integration.into(),
                altogether: self.mail_ceiling.into(),
                storm_from: self.mail_storm_from.into(),
                domains: self.mail_recipient_domains.iter().cloned().collect(),
                language: self.mail_language,
                platform: self.mail_to.clone(),
                sender: sender.clone(),
            },
        }))
    }
}
