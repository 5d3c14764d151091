//! A real mail server, built from `tests/tools/mail`: it wants TLS and a log-in, keeps what it
//! gets, and shows it over HTTP.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::error::Context as _;
use crate::program::{built_by, target_dir};
use crate::{Authority, Error, Process, Result, try_wait_for};

/// The user that may send.
const USER: &str = "switchboard";
/// Its password; a marker that must not appear anywhere.
const PASSWORD: &str = "marker-mail-password";
/// Time limit for the start on a busy machine.
const STARTED: Duration = Duration::from_secs(60);

/// How clients encrypt their connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Plain first, then STARTTLS.
    StartTls,
    /// From the first byte.
    Wrapped,
}

/// A mail server that can be stopped and started again on its port. What it has got is gone then.
#[derive(Debug)]
pub struct MailServer {
    dir: TempDir,
    tls: MailTls,
    smtp: u16,
    http: u16,
    process: Option<Process>,
}

// === impl MailServer ===

impl MailServer {
    /// Starts a server with a certificate of its own authority. It is built first when it is absent
    /// or older than the version in `tests/tools/mail/go.mod`.
    pub async fn start(tls: MailTls) -> Result<Self> {
        built_by("tests/tools/mail/build.sh").await?;
        let dir = tempfile::tempdir().context(|| "make a folder for the mail server")?;
        let authority = Authority::new("mail server authority")?;
        let identity = authority.issue(&["localhost"])?;
        let authority = authority.pem();
        for (file, text) in [
            ("ca.pem", authority.as_str()),
            ("server.pem", &identity.certificate),
            ("server.key", &identity.key),
            ("username", USER),
            ("password", &format!("{PASSWORD}\n")),
            ("users", &format!("{USER}:{PASSWORD}\n")),
        ] {
            std::fs::write(dir.path().join(file), text).context(|| format!("write {file}"))?;
        }
        let mut server = Self {
            dir,
            tls,
            smtp: free_port()?,
            http: free_port()?,
            process: None,
        };
        server.restart().await?;
        Ok(server)
    }

    /// Starts it again after [`Self::stop`].
    pub async fn restart(&mut self) -> Result<()> {
        let required = match self.tls {
            MailTls::StartTls => "--smtp-require-starttls",
            MailTls::Wrapped => "--smtp-require-tls",
        };
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let process = Process::builder("mail server", target_dir().join("tools/mailpit"))
            .arg(format!("--smtp=127.0.0.1:{}", self.smtp))
            .arg(format!("--listen=127.0.0.1:{}", self.http))
            .arg(format!("--smtp-tls-cert={}", file("server.pem")))
            .arg(format!("--smtp-tls-key={}", file("server.key")))
            .arg(format!("--smtp-auth-file={}", file("users")))
            .arg("--smtp-allowed-recipients=^[^@]+@[^@]*example(\\.com)?$")
            .args([required, "--smtp-disable-rdns", "--disable-version-check"])
            .start()
            .await?;
        self.process = Some(process);
        let listening = try_wait_for("the mail server to answer", STARTED, async || {
            self.get("/api/v1/info").await
        });
        listening.await.map(drop).map_err(|error| {
            let said = self.process.as_ref().map(Process::text).unwrap_or_default();
            Error::Unsupported(format!("{error}; it said: {said}"))
        })
    }

    /// Ends it as a crash would: connections to its port are refused from now on.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// The flags with which a controller sends its mail here, as `switchboard@example.com`, and
    /// tells the platform team at `platform@example.com`.
    pub fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.path(name).display().to_string();
        let tls = match self.tls {
            MailTls::StartTls => "STARTTLS",
            MailTls::Wrapped => "TLS",
        };
        vec![
            format!("--smtp-server=localhost:{}", self.smtp),
            format!("--smtp-tls={tls}"),
            format!("--smtp-ca-file={}", file("ca.pem")),
            format!("--smtp-username-file={}", file("username")),
            format!("--smtp-password-file={}", file("password")),
            "--mail-from=switchboard@example.com".to_owned(),
            "--mail-to=platform@example.com".to_owned(),
        ]
    }

    /// A file of the server: `ca.pem`, `username`, `password`.
    pub fn path(&self, file: &str) -> std::path::PathBuf {
        Path::new(self.dir.path()).join(file)
    }

    /// The password of the log-in, to look for where it must not be.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// All mails that it got, oldest first, as its API shows them: `Subject`, `To`, `Text`, `HTML`,
    /// and all headers under `Headers`.
    pub async fn mails(&self) -> std::result::Result<Vec<Value>, String> {
        let list = self.get("/api/v1/messages?limit=500").await?;
        let mut mails = vec![];
        for listed in list["messages"].as_array().into_iter().flatten() {
            let id = listed["ID"].as_str().unwrap_or_default();
            let mut mail = self.get(&format!("/api/v1/message/{id}")).await?;
            mail["Headers"] = self.get(&format!("/api/v1/message/{id}/headers")).await?;
            mails.push(mail);
        }
        mails.reverse();
        Ok(mails)
    }

    async fn get(&self, path: &str) -> std::result::Result<Value, String> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let answer = reqwest::get(&url)
            .await
            .map_err(|error| error.to_string())?;
        let answer = answer
            .error_for_status()
            .map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context(|| "look for a free port")?;
    let address = listener.local_addr().context(|| "look for a free port")?;
    Ok(address.port())
}
