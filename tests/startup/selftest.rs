//! `switchboard selftest` when it cannot reach what it tests.

use std::process::Command;

use crate::program::{Ended, Files, closed_port, run, switchboard, unknown_authority};

pub(crate) fn command(kubeconfig: &str, directory: &str) -> Command {
    let mut command = switchboard(&format!(
        "selftest --namespace=acme --directory-url={directory} --timeout=1ms"
    ));
    command.env("KUBECONFIG", kubeconfig);
    command
}

fn test(kubeconfig: &str, directory: &str) -> Ended {
    run(&mut command(kubeconfig, directory))
}

#[test]
fn a_kubeconfig_that_is_missing_or_no_yaml() {
    let files = Files::new();
    let missing = files.missing();
    let parts = ["no way to the API server", "KUBECONFIG", "No such file"];
    test(&missing, "http://directory").tells(2, "selftest", &parts);
    let broken = files.broken_kubeconfig();
    let parts = [broken.as_str(), "not a kubeconfig", "line "];
    test(&broken, "http://directory").tells(2, "selftest", &parts);
}

#[test]
fn an_api_server_and_a_directory_that_are_not_there() {
    let files = Files::new();
    let kubeconfig = files.kubeconfig(&format!("http://127.0.0.1:{}", closed_port()));
    let directory = format!("http://127.0.0.1:{}", closed_port());
    let ended = test(&kubeconfig, &directory);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines.len(), 4, "{ended:?}");
    let parts = [
        "the API server does not serve",
        "the address in the kubeconfig",
        "look at the controller's log",
        directory.as_str(),
        "look at its pod, its address (--directory-url)",
    ];
    ended.says(1, &parts);
    for line in lines {
        let refused = line.matches("Connection refused").count();
        assert!(line.starts_with("FAIL ") && refused == 1, "{line}");
    }
    let ended = test(&kubeconfig, "http://nowhere.invalid");
    let parts = ["http://nowhere.invalid", "failed to lookup address"];
    ended.says(1, &parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_and_a_directory_of_an_unknown_authority() {
    let server = unknown_authority().await;
    let files = Files::new();
    let ended = test(&files.kubeconfig(&server.url()), &server.url());
    ended.says(1, &[]);
    for line in ended.out.lines() {
        assert_eq!(line.matches("UnknownIssuer").count(), 1, "{line}");
    }
}
