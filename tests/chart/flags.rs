//! Tests that the program accepts the command lines of the chart.

use std::process::Command;

use switchboard::decide::rules::pods::PodRules;

use crate::{matrix, objects, of_kind, text};

#[tokio::test]
async fn the_program_knows_every_flag_and_every_value() {
    let mut roles = std::collections::BTreeSet::new();
    for (name, values) in matrix() {
        let objects = objects(&["--values", text(&values)]).await;
        for object in of_kind(&objects, &["Deployment", "Pod"]) {
            let spec = object
                .pointer("/spec/template/spec")
                .unwrap_or(&object["spec"]);
            let arguments = spec["containers"][0]["args"].as_array().unwrap();
            let arguments: Vec<&str> = arguments.iter().filter_map(|text| text.as_str()).collect();
            // The program checks the arguments before `--help` first, and refuses invalid ones.
            let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
                .args(&arguments)
                .arg("--help")
                .env_clear()
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {arguments:?}: {said}");
            roles.insert(arguments[0].to_owned());
        }
    }
    assert_eq!(
        Vec::from_iter(roles),
        ["controller", "directory", "selftest"]
    );
}

#[test]
fn it_would_be_told_of_a_flag_or_a_value_that_is_wrong() {
    for wrong in [
        "--daily-windows=30m",
        "--daily-window=soon",
        "--concurrency=many",
        "--call-center-conflicts=Allow",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["controller", wrong, "--help"])
            .env_clear()
            .output()
            .unwrap();
        assert!(!output.status.success(), "{wrong}");
    }
}

#[tokio::test]
async fn the_program_takes_the_file_for_pods_that_the_chart_makes() {
    for (name, values) in matrix() {
        let objects = objects(&["--values", text(&values)]).await;
        let mut seen = 0;
        for map in of_kind(&objects, &["ConfigMap"]) {
            let Some(file) = map["data"]["pods.yaml"].as_str() else {
                continue;
            };
            seen += 1;
            let read = PodRules::read(file, "128Mi");
            assert!(read.is_ok(), "{name}: {}\n{file}", read.unwrap_err());
            let set = read.unwrap() != PodRules::default();
            assert_eq!(set, name == "everything", "{file}");
        }
        assert_eq!(seen, 1, "{name}");
    }
}
