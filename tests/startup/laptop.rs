//! `switchboard check` and `switchboard lookup` with files that cannot be used, or without a
//! connection to Salesforce.

use std::process::Command;

use serde_json::json;

use crate::program::{Files, MARKER, USER, closed_port, run, switchboard, unknown_authority};

/// The files of a user with a laptop.
pub(crate) struct Laptop {
    pub files: Files,
    host: String,
}

impl Laptop {
    /// The files for an org with this log-in URL.
    pub(crate) fn new(login_url: &str, host: &str) -> Self {
        let files = Files::new();
        let manifest = json!({
            "apiVersion": "switchboard.dev/v1alpha1", "kind": "SalesforceIntegration",
            "metadata": {"name": "acme", "namespace": "acme"},
            "spec": {
                "companyId": "acme",
                "salesforce": {
                    "environment": "Production", "loginUrl": login_url, "apiVersion": "50.0",
                    "auth": {"password": {"username": USER, "secretRef": {"name": "s"}}},
                },
                "contacts": {"retrieval": "Daily", "timeZone": "Asia/Tokyo", "region": "JP"},
            },
        });
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"password": MARKER, "securityToken": format!("{MARKER}-token")},
        });
        files.write("acme.yaml", &manifest.to_string());
        files.write("secret.yaml", &secret.to_string());
        Self {
            files,
            host: host.to_owned(),
        }
    }

    pub(crate) fn command(&self, role: &str, flags: &str) -> Command {
        let number = if role == "lookup" { "0312345678" } else { "" };
        self.asking(role, flags, number)
    }

    /// The command that looks this number up; `check` takes no number.
    pub(crate) fn asking(&self, role: &str, flags: &str, number: &str) -> Command {
        switchboard(&format!(
            "{role} -f {} --secret-file={} --salesforce-hosts={} --allow-private-networks {flags} {number}",
            self.files.path("acme.yaml").display(),
            self.files.path("secret.yaml").display(),
            self.host,
        ))
    }
}

const ROLES: [&str; 2] = ["check", "lookup"];

#[test]
fn files_that_are_missing_or_no_yaml() {
    for role in ROLES {
        let laptop = Laptop::new("https://localhost", "localhost");
        let file = laptop.files.path("acme.yaml");
        std::fs::write(&file, format!("a: [{MARKER}\nb: }}")).unwrap();
        let name = file.display().to_string();
        let parts = [name.as_str(), "not YAML", "as kubectl takes them", "line "];
        run(&mut laptop.command(role, "")).tells(2, role, &parts);
        std::fs::remove_file(&file).unwrap();
        let parts = [name.as_str(), "check that it is there", "No such file"];
        run(&mut laptop.command(role, "")).tells(2, role, &parts);
    }
}

#[test]
fn a_ca_bundle_that_is_missing_or_holds_no_certificate() {
    for role in ROLES {
        let laptop = Laptop::new("https://localhost", "localhost");
        let missing = laptop.files.missing();
        let ended = run(&mut laptop.command(role, &format!("--ca-bundle={missing}")));
        let parts = ["--ca-bundle", missing.as_str(), "No such file"];
        ended.tells(2, role, &parts);
        let broken = laptop.files.write("ca.pem", "no PEM");
        let ended = run(&mut laptop.command(role, &format!("--ca-bundle={broken}")));
        let parts = ["--ca-bundle", "holds no certificate", "in PEM"];
        ended.tells(2, role, &parts);
    }
}

#[test]
fn a_salesforce_of_an_unknown_name_or_at_a_closed_port() {
    for role in ROLES {
        let laptop = Laptop::new("https://nowhere.invalid", "nowhere.invalid");
        let parts = ["nowhere.invalid", "cannot be resolved"];
        run(&mut laptop.command(role, "")).says(1, &parts);
        let url = format!("https://localhost:{}", closed_port());
        let laptop = Laptop::new(&url, "localhost");
        let parts = ["localhost", "refuses the connection"];
        run(&mut laptop.command(role, "")).says(1, &parts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salesforce_of_an_unknown_authority() {
    let server = unknown_authority().await;
    for role in ROLES {
        let laptop = Laptop::new(&server.url(), "localhost");
        let parts = ["the certificate of localhost", "UnknownIssuer"];
        run(&mut laptop.command(role, "")).says(1, &parts);
    }
}
