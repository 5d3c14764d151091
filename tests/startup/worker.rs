//! `switchboard worker` when it cannot begin or cannot reach its directory. Its report contains the
//! error, too.

use std::process::Command;

use serde_json::{Value, json};
use switchboard::run::{Outcome, RunReport};

use crate::program::{
    Ended, Files, MARKER, USER, closed_port, run, switchboard, unknown_authority,
};

/// The files and the settings of a worker pod.
pub(crate) struct Bed {
    pub files: Files,
    pub settings: Value,
    pub token: String,
    pub ca_bundle: Option<String>,
    pub directory_ca_bundle: Option<String>,
}

impl Bed {
    pub(crate) fn new(directory: &str) -> Self {
        let files = Files::new();
        files.write("password", MARKER);
        let token = files.write("token", MARKER);
        Self {
            files,
            settings: json!({
                "version": "v1",
                "companyId": "acme",
                "salesforce": {
                    "environment": "Production",
                    "apiVersion": "50.0",
                    "auth": {"password": {"username": USER}},
                },
                "directory": {"url": directory},
                "region": "JP",
                "timeZone": "Asia/Tokyo",
            }),
            token,
            ca_bundle: None,
            directory_ca_bundle: None,
        }
    }

    pub(crate) fn report_path(&self) -> String {
        self.files.path("report").display().to_string()
    }

    pub(crate) fn command(&self) -> Command {
        self.command_reporting_to(&self.report_path())
    }

    pub(crate) fn command_reporting_to(&self, report: &str) -> Command {
        let mut command = switchboard(&format!(
            "worker sync --credentials-dir={} --directory-token-file={} --termination-log={report}",
            self.files.folder().display(),
            self.token,
        ));
        if let Some(bundle) = &self.ca_bundle {
            command.arg(format!("--ca-bundle={bundle}"));
        }
        if let Some(bundle) = &self.directory_ca_bundle {
            command.arg(format!("--directory-ca-bundle={bundle}"));
        }
        if !self.settings.is_null() {
            command.env("SWITCHBOARD_WORKER_SETTINGS", self.settings.to_string());
        }
        command
    }

    pub(crate) fn report(&self) -> RunReport {
        let text = std::fs::read_to_string(self.report_path()).unwrap();
        assert!(!text.contains(MARKER), "{text}");
        RunReport::parse(&text).unwrap()
    }

    /// Asserts the exit code and the code of the error. The output contains all parts, and the
    /// report's message contains each part once.
    #[track_caller]
    fn fails(&self, code: i32, word: &str, parts: &[&str]) -> Ended {
        let ended = run(&mut self.command());
        ended.says(code, parts);
        let report = self.report();
        let error = report.error.unwrap();
        assert_eq!(
            (report.outcome, error.code.as_str()),
            (Outcome::Failed, word)
        );
        for part in parts {
            let times = error.message.matches(part).count();
            assert_eq!(times, 1, "{part:?} in {}", error.message);
        }
        ended
    }
}

#[test]
fn settings_that_are_missing_or_none() {
    let mut bed = Bed::new("http://directory");
    bed.settings = Value::Null;
    let parts = ["SWITCHBOARD_WORKER_SETTINGS", "is not set", "worker.md"];
    bed.fails(2, "SettingsInvalid", &parts);
    bed.settings = json!({"version": "v1"});
    let parts = [
        "SWITCHBOARD_WORKER_SETTINGS",
        "docs/worker.md",
        "missing field `companyId`",
    ];
    bed.fails(2, "SettingsInvalid", &parts);
}

#[test]
fn a_token_file_that_is_missing_or_unreadable() {
    let mut bed = Bed::new("http://directory");
    bed.token = bed.files.missing();
    let missing = bed.token.clone();
    let parts = [
        missing.as_str(),
        "in the Secret that is mounted",
        "No such file",
    ];
    bed.fails(2, "SettingsInvalid", &parts);
    bed.token = bed.files.folder().display().to_string();
    bed.fails(2, "SettingsInvalid", &["Is a directory"]);
}

#[test]
fn a_credential_that_is_missing_or_empty() {
    let bed = Bed::new("http://directory");
    let password = bed.files.write("password", "\n");
    let parts = [
        "mounted credentials",
        "correct the tenant's Secret",
        "is empty",
    ];
    bed.fails(2, "SettingsInvalid", &parts);
    std::fs::remove_file(&password).unwrap();
    let parts = [password.as_str(), "No such file"];
    bed.fails(2, "SettingsInvalid", &parts);
}

#[test]
fn a_ca_bundle_that_is_missing_or_holds_no_certificate() {
    let mut bed = Bed::new("http://directory");
    bed.ca_bundle = Some(bed.files.missing());
    bed.fails(2, "SettingsInvalid", &["No such file"]);
    bed.ca_bundle = Some(bed.files.write("ca.pem", "no PEM"));
    let parts = ["--ca-bundle", "holds no certificate", "in PEM"];
    bed.fails(2, "SettingsInvalid", &parts);
}

#[test]
fn authorities_for_the_directory_that_are_missing_or_none() {
    let mut bed = Bed::new("https://directory");
    bed.directory_ca_bundle = Some(bed.files.missing());
    bed.fails(2, "SettingsInvalid", &["No such file"]);
    let wrong = bed.files.write("directory-ca.pem", "no PEM");
    bed.directory_ca_bundle = Some(wrong.clone());
    let parts = [wrong.as_str(), "holds no certificate", "in PEM"];
    bed.fails(2, "SettingsInvalid", &parts);
}

#[test]
fn a_directory_of_an_unknown_name() {
    let parts = [
        "http://nowhere.invalid",
        "check the host's name",
        "--directory-url",
        "failed to lookup address information",
    ];
    Bed::new("http://nowhere.invalid/").fails(1, "DirectoryUnavailable", &parts);
}

#[test]
fn a_directory_at_a_closed_port() {
    let address = format!("http://127.0.0.1:{}", closed_port());
    let parts = [
        address.as_str(),
        "check that it runs, the port",
        "Connection refused",
    ];
    Bed::new(&address).fails(1, "DirectoryUnavailable", &parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_an_unknown_authority() {
    let server = unknown_authority().await;
    let parts = [
        &server.url(),
        "is of none of the trusted authorities",
        "--directory-ca-bundle",
        "UnknownIssuer",
    ];
    Bed::new(&server.url()).fails(1, "DirectoryNotTrusted", &parts);
}
