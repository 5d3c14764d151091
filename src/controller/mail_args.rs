//! The flags for e-mail and the files that they name.

use std::path::PathBuf;
use std::time::Duration;

use super::Error;
use crate::api::Language;
use crate::cli::{duration, read};
use crate::decide::notify::Rules;
use crate::mail::{Address, Domain, Encryption, LoginFiles, Server};

/// Flags for e-mail. Without `--smtp-server` no mail is sent.
#[derive(Clone, Debug, clap::Args)]
pub struct MailArgs {
    /// Mail server that takes the mails of spec.notifications, as HOST or HOST:PORT (587, or 465
    /// with TLS); no mail is sent when not given.
    #[arg(long, env = "SWITCHBOARD_SMTP_SERVER", value_name = "HOST[:PORT]", requires_all = ["mail_from", "mail_to", "mail_recipient_domains"])]
    smtp_server: Option<String>,
    /// How the connection to the mail server is encrypted; Off only for a server on this machine.
    #[arg(long, env = "SWITCHBOARD_SMTP_TLS", value_enum, default_value_t = Encryption::StartTls)]
    smtp_tls: Encryption,
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
    /// The values of the flags. `None` when no mail is sent. Each of several shards takes its part
    /// of what is counted over the whole fleet.
    ///
    /// # Errors
    /// When a file cannot be read, or a flag does not fit the others.
    pub(crate) fn read(&self, shards: u32) -> Result<Option<MailSetup>, Error> {
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
                altogether: part(self.mail_ceiling, shards),
                storm_from: part(self.mail_storm_from, shards).max(2),
                domains: self.mail_recipient_domains.iter().cloned().collect(),
                language: self.mail_language,
                platform: self.mail_to.clone(),
                sender: sender.clone(),
            },
        }))
    }
}

/// What is counted over the whole fleet, for one of so many shards.
fn part(whole: u16, shards: u32) -> usize {
    usize::try_from(u32::from(whole).div_ceil(shards)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::error::Chain;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mail: MailArgs,
    }

    const COMPLETE: [&str; 4] = [
        "--smtp-server=smtp.example.com",
        "--mail-from=switchboard@example.com",
        "--mail-to=platform@example.com,night@example.com",
        "--mail-recipient-domains=acme.example,*.birch.example",
    ];

    fn line(flags: &[&str]) -> Result<MailArgs, String> {
        Line::try_parse_from(["controller"].iter().chain(flags))
            .map(|line| line.mail)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_server_no_mail_is_sent_and_with_one_nothing_is_left_to_chance() {
        assert!(line(&[]).unwrap().read(1).unwrap().is_none());
        let setup = line(&COMPLETE).unwrap().read(1).unwrap().unwrap();
        assert_eq!(setup.rules.platform.len(), 2);
        assert_eq!(setup.rules.after, Duration::from_secs(300));
        let of_three = line(&COMPLETE).unwrap().read(3).unwrap().unwrap().rules;
        assert_eq!((of_three.altogether, of_three.storm_from), (67, 4));
        for missing in 1..COMPLETE.len() {
            let mut flags = COMPLETE.to_vec();
            let flag = flags.remove(missing);
            let said = line(&flags).unwrap_err();
            let name = flag.split('=').next().unwrap();
            assert!(said.contains(name), "{name}: {said}");
        }
    }

    #[test]
    fn a_flag_that_makes_no_sense_is_refused_with_a_sentence() {
        for (flag, sentence) in [
            ("--mail-to=it", "is no e-mail address"),
            ("--mail-recipient-domains=acme", "is no domain"),
            ("--mail-after=0s", "is no duration"),
            ("--mail-storm-from=1", "1 is not in 2.."),
            ("--mail-ceiling-integration=61", "61 is not in 1..=60"),
            ("--mail-language=fr", "possible values: en, ja"),
            ("--smtp-username-file=/user", "--smtp-password-file"),
        ] {
            let said = line(&[flag]).unwrap_err();
            assert!(said.contains(sentence), "{flag}: {said}");
        }
        let login = ["--smtp-username-file=/none", "--smtp-password-file=/none"];
        for (flags, sentence) in [
            (&["--smtp-tls=Off"][..], "would be sent unencrypted"),
            (
                &["--smtp-ca-file=/none"],
                "--smtp-ca-file /none: the file cannot be read",
            ),
            (
                &login,
                "--smtp-username-file /none: the file cannot be read",
            ),
        ] {
            let refused = line(&[&COMPLETE, flags].concat()).unwrap().read(1);
            let said = Chain(&refused.err().unwrap()).to_string();
            assert!(said.contains(sentence), "{flags:?}: {said}");
        }
    }
}
