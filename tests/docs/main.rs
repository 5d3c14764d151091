//! The documents agree with the code: generated pages are compared with it (`make docs` writes
//! them), links lead to something that exists, every cited fact is written down, and the API server
//! accepts every manifest that a reader may copy.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

mod errors;
mod exit_codes;
mod facts;
mod krew;
mod links;
mod manifests;
mod reasons;
mod reference;
mod rooms;
mod security;
mod story;
mod words;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a page with the generated text. With `UPDATE_GENERATED` set, it writes the page first.
fn assert_generated(page: &str, text: &str) {
    let path = root().join(page);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{page} has drifted: run 'make docs' (for the definition, 'make crds')"
    );
}

/// Every file with that ending below a folder of the repository, without built and fetched files.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// docs/install.md says with which versions the tests run.
#[test]
fn the_versions_on_the_page_are_those_of_the_tests() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let page = read("docs/install.md");
    for (file, module, sentence) in [
        (
            "tests/cluster/go.mod",
            "k8s.io/kubernetes v",
            "1.30 or newer; the tests run ",
        ),
        (
            "tests/tools/go.mod",
            "helm.sh/helm/v4 v",
            "3 or 4; the tests run ",
        ),
    ] {
        let versions = read(file);
        let (_, version) = versions.split_once(module).unwrap();
        let minor = version.split('.').take(2).collect::<Vec<_>>().join(".");
        assert!(page.contains(&format!("{sentence}{minor} |")), "{minor}");
    }
}
