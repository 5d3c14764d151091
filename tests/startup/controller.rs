//! `switchboard controller` when it cannot start.

use std::process::Command;

use crate::program::{
    Ended, Files, KEY, closed_port, run, silent_port, start, switchboard, unknown_authority,
};

const ROLE: &str = "controller";

struct Bed {
    files: Files,
    keys: String,
    kubeconfig: String,
    flags: String,
}

impl Bed {
    fn new() -> Self {
        let files = Files::new();
        let keys = files.write("keys", KEY);
        let server = format!("http://127.0.0.1:{}", closed_port());
        let kubeconfig = files.kubeconfig(&server);
        Self {
            files,
            keys,
            kubeconfig,
            flags: String::new(),
        }
    }

    fn command(&self) -> Command {
        let listen = if self.flags.contains("--listen") {
            ""
        } else {
            "--listen=127.0.0.1:0"
        };
        let url = if self.flags.contains("--directory-url") {
            ""
        } else {
            "--directory-url=http://directory"
        };
        let mut command = switchboard(&format!(
            "controller --worker-image=i {url} --token-keys={} {listen} {}",
            self.keys, self.flags
        ));
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    fn run(&self) -> Ended {
        run(&mut self.command())
    }
}

#[test]
fn a_key_file_that_is_missing_or_broken() {
    let mut bed = Bed::new();
    bed.keys = bed.files.missing();
    let parts = [
        "--token-keys",
        bed.keys.as_str(),
        "check that it is there",
        "No such file",
    ];
    bed.run().tells(2, ROLE, &parts);
    bed.keys = bed.files.write("keys", &format!("{KEY}\nnot base64!"));
    let parts = [
        bed.keys.as_str(),
        "cannot be used",
        "line 2",
        "is not base64",
        "write one base64 key",
    ];
    bed.run().tells(2, ROLE, &parts);
}

#[test]
fn a_key_for_fingerprints_that_is_too_short() {
    let mut bed = Bed::new();
    bed.flags = format!(
        "--fingerprint-key-file={}",
        bed.files.write("short", "short")
    );
    let parts = ["--fingerprint-key-file", "32 bytes or more"];
    bed.run().tells(2, ROLE, &parts);
}

#[test]
fn a_ca_bundle_that_is_missing_or_holds_no_certificate() {
    let mut bed = Bed::new();
    bed.flags = format!("--ca-bundle={}", bed.files.missing());
    bed.run().tells(2, ROLE, &["--ca-bundle", "No such file"]);
    bed.flags = format!("--ca-bundle={}", bed.files.write("ca.pem", "no PEM"));
    let parts = ["--ca-bundle", "holds no certificate", "in PEM"];
    bed.run().tells(2, ROLE, &parts);
}

#[test]
fn authorities_for_the_directory_that_are_missing_or_none_or_for_plain_http() {
    let mut bed = Bed::new();
    let with =
        |url: &str, bundle: &str| format!("--directory-url={url} --directory-ca-bundle={bundle}");
    let bundle = bed.files.missing();
    bed.flags = with("https://directory", &bundle);
    let parts = ["--directory-ca-bundle", &bundle, "No such file"];
    bed.run().tells(2, ROLE, &parts);
    let bundle = bed.files.write("directory-ca.pem", "no PEM");
    bed.flags = with("https://directory", &bundle);
    let parts = ["--directory-ca-bundle", &bundle, "holds no certificate"];
    bed.run().tells(2, ROLE, &parts);
    bed.flags = with("http://directory", &bundle);
    let parts = ["--directory-ca-bundle", "is not https", "write https://"];
    bed.run().tells(2, ROLE, &parts);
}

#[test]
fn a_kubeconfig_that_is_missing_or_no_yaml() {
    let mut bed = Bed::new();
    bed.kubeconfig = bed.files.missing();
    let parts = ["no way to the API server", "KUBECONFIG", "No such file"];
    bed.run().tells(2, ROLE, &parts);
    bed.kubeconfig = bed.files.broken_kubeconfig();
    let parts = [bed.kubeconfig.as_str(), "not a kubeconfig", "line "];
    bed.run().tells(2, ROLE, &parts);
}

#[test]
fn a_port_that_is_taken() {
    let (_listener, port) = silent_port();
    let mut bed = Bed::new();
    let address = format!("127.0.0.1:{port}");
    bed.flags = format!("--listen={address}");
    let parts = [
        &address,
        "choose another with --listen",
        "Address already in use",
    ];
    bed.run().tells(1, ROLE, &parts);
}

#[test]
fn an_api_server_that_is_not_there() {
    let mut bed = Bed::new();
    bed.flags = "--leader-elect".to_owned();
    let parts = [
        "the Lease for leader election",
        "check that the API server answers",
        "Connection refused",
    ];
    bed.run().tells(1, ROLE, &parts);
    bed.kubeconfig = bed.files.kubeconfig("http://nowhere.invalid");
    let parts = ["the Lease", "failed to lookup address information"];
    bed.run().tells(1, ROLE, &parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_of_an_unknown_authority() {
    let server = unknown_authority().await;
    let mut bed = Bed::new();
    bed.flags = "--leader-elect".to_owned();
    bed.kubeconfig = bed.files.kubeconfig(&server.url());
    bed.run().tells(1, ROLE, &["the Lease", "UnknownIssuer"]);
}

#[test]
fn without_a_lease_it_goes_on_asking_and_says_why_it_must() {
    let bed = Bed::new();
    let mut running = start(&mut bed.command());
    running.says("the record of log-ins could not be read; it is tried again");
    running.says("Connection refused");
    running.signal("TERM");
    assert_eq!(running.ended().code, Some(0));
}

#[test]
fn a_file_for_pods_that_is_missing_or_wrong() {
    let mut bed = Bed::new();
    let missing = bed.files.missing();
    bed.flags = format!("--worker-pods={missing}");
    let parts = ["--worker-pods", missing.as_str(), "No such file"];
    bed.run().tells(2, ROLE, &parts);
    for (text, said) in [
        (
            "podTemplate: {hostNetwork: true}",
            "podTemplate.hostNetwork: there is no such field; correct its name or take it out",
        ),
        (
            "podTemplate: {tolerations: [{effect: Never, operator: Exists}]}",
            "podTemplate.tolerations: effect \"Never\"",
        ),
    ] {
        let file = bed.files.write("pods", text);
        bed.flags = format!("--worker-pods={file}");
        bed.run().tells(2, ROLE, &["--worker-pods", said]);
    }
}
