//! Tests of the chart without a cluster: lint, the rendered objects for a matrix of values
//! (`charts/switchboard/ci`), and refusals of its schema. `UPDATE_GENERATED=1` rewrites the golden
//! files and the table of values.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod alerts;
mod encrypted;
mod families;
mod flags;
mod gitops;
mod golden;
mod keys;
mod refusals;
mod rights;
mod shards;
mod table;

use std::path::{Path, PathBuf};

use serde_json::Value;
use switchboard_testbed::{CommandOutput, Helm, repository};

/// The chart's folder.
fn chart() -> PathBuf {
    repository().join("charts/switchboard")
}

/// The sets of values for the tests.
fn matrix() -> Vec<(String, PathBuf)> {
    let mut files: Vec<(String, PathBuf)> = std::fs::read_dir(chart().join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name.trim_end_matches("-values").to_owned(), path)
        })
        .collect();
    files.sort();
    assert!(files.len() > 1, "{files:?}");
    files
}

/// Asks for keys where there is no cluster that may have some.
const MAKE_KEYS: &str = "--set=keys.generate=true";

/// Renders the chart as release `switchboard` in the namespace `switchboard`, with keys of its own.
async fn render(flags: &[&str]) -> CommandOutput {
    render_as_asked(&[&[MAKE_KEYS], flags].concat()).await
}

/// Renders the chart with these flags and no other.
async fn render_as_asked(flags: &[&str]) -> CommandOutput {
    let chart = chart();
    let mut arguments = vec![
        "template",
        "switchboard",
        text(&chart),
        "--namespace=switchboard",
    ];
    arguments.extend(flags);
    Helm::ready().await.unwrap().run(arguments).await.unwrap()
}

/// The objects that the chart renders.
async fn objects(flags: &[&str]) -> Vec<Value> {
    objects_of(render(flags).await)
}

fn objects_of(rendered: CommandOutput) -> Vec<Value> {
    let rendered = rendered.expect_success();
    serde_yaml::Deserializer::from_str(&rendered)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .filter(|object: &Value| !object.is_null())
        .collect()
}

/// Selects objects of some kinds.
fn of_kind<'a>(objects: &'a [Value], kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    objects
        .iter()
        .filter(move |object| kinds.iter().any(|kind| object["kind"] == *kind))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Compares a generated file with the existing one, or writes it when `UPDATE_GENERATED` is set.
fn same_as_file(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found != wanted {
        let first = wanted
            .lines()
            .zip(found.lines())
            .find(|(wanted, found)| wanted != found);
        panic!(
            "{} has drifted, first at {first:?}: run 'make chart-golden' and look at the difference",
            path.display()
        );
    }
}
