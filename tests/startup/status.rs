//! `switchboard status` when it cannot read the cluster, `switchboard explain`, and the program
//! under the name of a plugin of kubectl.

use std::process::Command;

use crate::program::{Ended, Files, closed_port, run, silent_port, switchboard, unknown_authority};

pub(crate) fn command(kubeconfig: &str, flags: &str) -> Command {
    let mut command = switchboard(&format!("status {flags}"));
    command.env("KUBECONFIG", kubeconfig);
    command
}

fn status(kubeconfig: &str, flags: &str) -> Ended {
    run(&mut command(kubeconfig, flags))
}

#[test]
fn a_kubeconfig_that_is_missing_no_yaml_or_without_the_context() {
    let files = Files::new();
    let missing = files.missing();
    let parts = ["no way to the API server", "KUBECONFIG", "No such file"];
    status(&missing, "").tells(2, "status", &parts);
    let flag = format!("--kubeconfig={missing}");
    let parts = [missing.as_str(), "--context", "No such file"];
    status("", &flag).tells(2, "status", &parts[1..]);
    let broken = files.broken_kubeconfig();
    for ended in [
        status(&broken, ""),
        status("", &format!("--kubeconfig={broken}")),
    ] {
        ended.tells(2, "status", &[&broken, "not a kubeconfig", "line "]);
    }
    let kubeconfig = files.kubeconfig("http://127.0.0.1:1");
    let parts = ["no way to the API server", "elsewhere"];
    status(&kubeconfig, "--context=elsewhere").tells(2, "status", &parts);
}

#[test]
fn an_api_server_that_is_not_there_or_never_answers() {
    let files = Files::new();
    let server = format!("http://127.0.0.1:{}", closed_port());
    let parts = [
        server.as_str(),
        "check the kubeconfig",
        "Connection refused",
    ];
    status(&files.kubeconfig(&server), "").tells(5, "status", &parts);
    let kubeconfig = files.kubeconfig("http://nowhere.invalid");
    let parts = ["nowhere.invalid", "failed to lookup address information"];
    status(&kubeconfig, "acme").tells(5, "status", &parts);
    let (_peer, port) = silent_port();
    let server = format!("http://127.0.0.1:{port}");
    let parts = [server.as_str(), "did not answer within 1s", "--timeout"];
    status(&files.kubeconfig(&server), "--timeout=1s").tells(5, "status", &parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_of_an_unknown_authority() {
    let server = unknown_authority().await;
    let files = Files::new();
    let kubeconfig = files.kubeconfig(&server.url());
    status(&kubeconfig, "-A").tells(5, "status", &["UnknownIssuer"]);
}

#[test]
fn explain_needs_no_cluster_and_takes_a_code_in_any_case() {
    let ended = run(&mut switchboard("explain invalidlogin"));
    let parts = [
        "InvalidLogin",
        "What to do: Check user name, password and security token",
        "docs/reasons.md#invalidlogin",
    ];
    ended.says(0, &parts);
    let ended = run(&mut switchboard("explain InvalidLogn"));
    ended.tells(
        2,
        "explain",
        &["no reason is called", "is it InvalidLogin?"],
    );
    let ended = run(&mut switchboard("explain"));
    ended.says(
        0,
        &["SoapLoginRetiring", "RunOverdue", "ApiBudgetNearlyUsed"],
    );
    let ended = run(&mut switchboard("explain RunOverdue -o json"));
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(told["reasons"][0]["code"], "RunOverdue", "{told}");
}

/// kubectl starts the file `kubectl-switchboard` for `kubectl switchboard`.
#[test]
fn as_a_plugin_it_calls_itself_as_one_types_it_and_shows_what_is_for_people() {
    let files = Files::new();
    let plugin = files.path("kubectl-switchboard");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_switchboard"), &plugin).unwrap();
    let plugin = |line: &str| {
        let mut command = Command::new(&plugin);
        run(command.args(line.split_whitespace()).env_clear())
    };
    let help = plugin("--help");
    help.says(
        0,
        &["Usage: kubectl switchboard", "status", "explain", "check"],
    );
    for service in ["controller", "directory", "worker", "selftest"] {
        assert!(!help.out.contains(&format!("  {service} ")), "{}", help.out);
    }
    plugin("status --nonsense").says(2, &["Usage: kubectl switchboard status"]);
    plugin("explain RunFailed").says(0, &["RunFailed"]);
    let own = run(&mut switchboard("--help"));
    own.says(0, &["Usage: switchboard", "  controller "]);
}
