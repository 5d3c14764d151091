//! Tests of the pages in docs/runbooks: kubectl knows each of their commands, and a command that is
//! shown with its output prints that, on a fleet in which one tenant's runs fail, one's log-in is
//! withheld and one's Secret is missing. `UPDATE_GENERATED=1` writes the outputs.

use std::path::PathBuf;

use switchboard_testbed::{Process, Prometheus, Select, promtool, repository, wait_for};

use crate::stage::{HEALTH, SOON, Stage, listening};
use crate::world::{self, PASSWORD, TOKEN};

/// How the pages call Prometheus.
const PROMETHEUS: &str = "http://prometheus.example:9090";

/// The pages with their texts.
fn pages() -> Vec<(PathBuf, String)> {
    let folder = std::fs::read_dir(repository().join("docs/runbooks")).unwrap();
    let paths = folder.map(|page| page.unwrap().path());
    let mut pages: Vec<_> = paths
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    pages.sort();
    assert!(pages.len() > 10);
    pages
}

/// The words of a command line, as a shell splits them: only single and double quotes are used.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// Replaces what differs from run to run: times, ages, ports and made-up names.
pub(crate) fn masked(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut line = line.to_owned();
            if let Ok(log) = serde_json::from_str::<serde_json::Value>(&line) {
                line = log["fields"]["message"].to_string() + &log["message"].to_string();
            }
            let tokens = line.split_whitespace().map(|token| {
                let made_up = token.bytes().any(|byte| byte.is_ascii_digit());
                if made_up { "?" } else { token }
            });
            tokens.collect::<Vec<_>>().join(" ")
        })
        .collect();
    lines.sort();
    lines
}

/// A command of a page that is shown with its output.
struct Shown<'a> {
    command: &'a str,
    output: &'a str,
}

fn shown(page: &str) -> Vec<Shown<'_>> {
    let blocks = page.split("```console\n$ ").skip(1);
    blocks
        .map(|rest| {
            let block = rest.split_once("```").unwrap().0;
            let (command, output) = block.split_once('\n').unwrap();
            Shown { command, output }
        })
        .collect()
}

/// The commands of a page that are shown without an output.
fn others(page: &str) -> Vec<&str> {
    let blocks = page.split("```sh\n").skip(1);
    blocks
        .flat_map(|rest| rest.split_once("```").unwrap().0.lines())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_knows_every_command_of_the_pages() {
    let control_plane = crate::bed::control_plane().await;
    let mut asked = 0;
    for (page, text) in pages() {
        let shown = shown(&text).into_iter().map(|shown| shown.command);
        for command in shown.chain(others(&text)) {
            let mut words = words(command);
            if words[0] != "kubectl" {
                assert_eq!(words[0], "promtool", "{command}");
                continue;
            }
            // kubectl reads all flags before it helps. Behind `--` they are another program's.
            let end = words.iter().position(|word| word == "--");
            words.insert(end.unwrap_or(words.len()), "--help".into());
            let output = control_plane.kubectl(&words[1..]).await.unwrap();
            assert!(
                output.success(),
                "{}: {command}: {}",
                page.display(),
                output.stderr
            );
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
    let wrong = control_plane
        .kubectl(["get", "sfi", "--outputs=yaml", "--help"])
        .await;
    assert!(
        !wrong.unwrap().success(),
        "a flag that is wrong would be noticed"
    );
}

/// A fleet whose tenants are in the states of the pages.
async fn fleet() -> Stage {
    let mut stage = Stage::set("runbooks", world::acme()).await;
    let lease = format!("--lease-namespace={}", stage.ns());
    let flags = [
        "--leader-elect",
        &lease,
        "--identity=switchboard-controller-0",
    ];
    let controller = stage.another_controller("controller", &flags).await;
    stage.controller = Some(controller);
    stage
        .apply(&stage.secret("acme-tokyo", PASSWORD, TOKEN))
        .await;
    let mut manifest = stage.integration("acme-tokyo");
    manifest["spec"]["salesforce"]["auth"]["password"]["username"] = world::USER.into();
    stage.apply(&manifest).await;
    stage.apply(&stage.secret("birch", "wrong", TOKEN)).await;
    stage.apply(&stage.integration("birch")).await;
    stage.apply(&stage.integration("cedar")).await;
    stage.ready("acme-tokyo").await;
    let ingest = stage.directory("acme-tokyo", "ingest").await;
    let call = switchboard_testbed::incoming_call("acme-tokyo", "1", world::ON_CONTACT);
    ingest.ingest(&call).await.unwrap();
    let _silence = stage.runner.replace_message(Select::all(), "");
    stage.run_now("acme-tokyo", "to say nothing").await;
    for (name, reason) in [
        ("acme-tokyo", "RunFailed"),
        ("birch", "InvalidLogin"),
        ("cedar", "SecretNotFound"),
    ] {
        stage.condition(name, "Ready", "False", reason).await;
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn every_output_in_the_pages_is_what_the_program_makes_of_it() {
    let stage = fleet().await;
    let controller = listening(stage.controller.as_ref().unwrap(), HEALTH).await;
    let directory = stage.directory_url().strip_prefix("http://").unwrap();
    let jobs = [
        ("controller", controller.as_str()),
        ("directory", directory),
    ];
    let prometheus = Prometheus::start(&jobs).await.unwrap();
    wait_for("both to be scraped", SOON, async || {
        // The last request of a run, and those of the controller.
        let both = "switchboard_leader and on () switchboard_directory_database_bytes and on () \
                    switchboard_directory_requests_total{route='/v1/worker/book'} and on () \
                    switchboard_directory_requests_total{route='/v1/waiting'} and on () \
                    switchboard_directory_requests_total{route='/v1/company/health'}";
        match prometheus.query(both).await?.is_empty() {
            true => Err("one is missing".to_owned()),
            false => Ok(()),
        }
    })
    .await;
    let write = std::env::var_os("UPDATE_GENERATED").is_some();
    for (path, text) in pages() {
        let mut written = text.clone();
        for Shown { command, output } in shown(&text) {
            let printed = run(&stage, &prometheus, command).await;
            let printed = printed.replace(stage.ns(), "acme");
            assert!(!printed.trim().is_empty(), "{command}");
            if write {
                let block = |output: &str| format!("$ {command}\n{output}```");
                let printed = printed.trim_end().to_owned() + "\n";
                written = written.replace(&block(output), &block(&printed));
            } else {
                assert_eq!(
                    masked(&printed),
                    masked(output),
                    "{}: {command}",
                    path.display()
                );
            }
        }
        if write {
            std::fs::write(path, written).unwrap();
        }
    }
    drop(prometheus);
    stage.end().await;
}

/// Runs a command of a page on this fleet.
async fn run(stage: &Stage, prometheus: &Prometheus, command: &str) -> String {
    let words = words(command);
    if words[0] == "promtool" {
        let arguments: Vec<&str> = words[1..]
            .iter()
            .map(|word| {
                if word == PROMETHEUS {
                    prometheus.url()
                } else {
                    word
                }
            })
            .collect();
        let output = promtool(&repository(), &arguments).await.unwrap();
        return output.expect_success();
    }
    // The pods of Deployments are processes here.
    let log = |process: &Process| {
        let tail = words.iter().find_map(|word| word.strip_prefix("--tail="));
        let tail: usize = tail.unwrap().parse().unwrap();
        let lines = process.lines();
        let last = lines.iter().take(tail).map(|line| line.text.as_str());
        last.collect::<Vec<_>>().join("\n")
    };
    if command.contains("deploy/switchboard-controller") {
        return log(stage.controller.as_ref().unwrap());
    }
    if command.contains("deploy/switchboard-directory") {
        return log(&stage.directory);
    }
    assert!(
        ["acme", "switchboard-system"].contains(&words[2].as_str()),
        "{command}"
    );
    let arguments: Vec<&str> = words[3..].iter().map(String::as_str).collect();
    stage.kubectl(&arguments).await
}
