//! The abuse cases of docs/security.md name the tests that show them, and those exist. The workflow
//! of a release keeps what SECURITY.md and the operations page promise.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{files, root};

/// Every test of the repository, by the name of its function.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in ["src", "tests"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        let mut is_test = false;
        // A test of both databases stands in a list of names.
        let lists = text.split("on_each_database! {").skip(1);
        for list in lists {
            let list = list.split('}').next().unwrap_or_default();
            tests.extend(list.split(',').map(|name| name.trim().to_owned()));
        }
        for line in text.lines().map(str::trim) {
            if line.contains("#[test]") || line.contains("#[tokio::test") {
                is_test = true;
            }
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            // A test of proptest begins like one.
            if let Some((name, _)) = name
                .filter(|_| is_test)
                .and_then(|rest| rest.split_once('('))
            {
                tests.insert(name.to_owned());
                is_test = false;
            }
        }
    }
    tests
}

#[test]
fn every_abuse_case_names_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (_, rest) = page.split_once("\n## Abuse cases\n").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| who |"))
        .collect();
    assert!(rows.len() > 20, "{} cases", rows.len());
    let tests = tests();
    let mut missing = vec![];
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, tries, _, shown] = cells[..] else {
            unreachable!("four cells: {row}")
        };
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test shows: {tries}");
        missing.extend(named.into_iter().filter(|name| !tests.contains(*name)));
    }
    assert_eq!(missing, Vec::<&str>::new(), "no such tests");
}

fn workflows() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(root().join(".github/workflows")).unwrap();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let workflow = serde_yaml::from_str(&text).unwrap();
        (path.display().to_string(), workflow)
    };
    folder.map(|entry| read(entry.unwrap().path())).collect()
}

/// The steps of every job, with the job's name.
fn steps(workflow: &Value) -> Vec<(&String, &Value)> {
    let jobs = workflow["jobs"].as_object().unwrap();
    jobs.iter()
        .flat_map(|(name, job)| {
            let steps = job["steps"].as_array();
            steps.into_iter().flatten().map(move |step| (name, step))
        })
        .collect()
}

fn is_pinned(action: &str) -> bool {
    let digest = action.split_once('@').map_or("", |(_, version)| version);
    digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn the_release_is_pinned_signed_and_has_the_least_rights() {
    let workflows = workflows();
    assert!(!workflows.is_empty());
    for (file, workflow) in &workflows {
        assert_eq!(
            workflow["permissions"],
            serde_json::json!({}),
            "{file}: no right by default"
        );
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            let rights = job["permissions"].as_object();
            assert!(rights.is_some(), "{file}: job {name} says no permissions");
            let no_limit = job["timeout-minutes"].is_null();
            assert!(!no_limit, "{file}: job {name} has no timeout-minutes");
            let sum = |right: &str| rights.unwrap().get(right).and_then(Value::as_str);
            for right in ["actions", "issues", "pull-requests", "deployments"] {
                assert_eq!(sum(right), None, "{file}: job {name} needs no {right}");
            }
        }
        for (job, step) in steps(workflow) {
            if let Some(action) = step["uses"].as_str() {
                assert!(
                    is_pinned(action),
                    "{file}: {job}: {action} has no digest of 40 digits"
                );
            }
            if step["uses"]
                .as_str()
                .is_some_and(|action| action.starts_with("actions/checkout@"))
            {
                let kept = &step["with"]["persist-credentials"];
                assert_eq!(kept, &Value::Bool(false), "{file}: {job} keeps the token");
            }
            // What somebody else chose (a branch, a title) must not become a part of a script.
            let script = step["run"].as_str().unwrap_or_default();
            assert!(
                !script.contains("${{"),
                "{file}: {job}: hand it in by env: {script}"
            );
        }
    }
    let (_, release) = workflows
        .iter()
        .find(|(file, _)| file.ends_with("release.yml"))
        .unwrap();
    let jobs = &release["jobs"];
    let text = |job: &str| jobs[job].to_string();
    // Nothing is built before the advisories were checked, nothing published without a signature.
    assert!(text("check").contains("deny.sh"), "{}", text("check"));
    assert_eq!(jobs["build"]["needs"], "check");
    for needs in [
        "cosign sign",
        "cosign attest",
        "attest-build-provenance",
        "syft",
    ] {
        let stands = text("image").contains(needs);
        assert!(stands, "{needs}: {}", text("image"));
    }
    for needs in ["helm push", "cosign sign", "attest-build-provenance"] {
        assert!(text("chart").contains(needs), "{needs}: {}", text("chart"));
    }
    for signing in ["image", "chart"] {
        assert_eq!(jobs[signing]["permissions"]["id-token"], "write");
    }
    assert!(jobs["build"]["permissions"]["id-token"].is_null());
}

#[test]
fn a_moving_version_is_no_pin() {
    for moving in [
        "a/b@v4",
        "a/b@main",
        "a/b",
        "a/b@08c6903cd8c0fde910a37f88322edcfb5dd907a",
        "a/b@sha256:00",
    ] {
        assert!(!is_pinned(moving), "{moving}");
    }
    assert!(is_pinned("a/b@08c6903cd8c0fde910a37f88322edcfb5dd907a8"));
}
