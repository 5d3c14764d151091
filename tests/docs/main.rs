//! The documents say what the code says: generated pages are compared with the code (`make docs`
//! writes them), links lead somewhere, every fact that is cited is written down, and every manifest
//! that a reader may copy is one that the API server takes.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

mod errors;
mod exit_codes;
mod facts;
mod links;
mod manifests;
mod reasons;
mod reference;
mod rooms;

use std::path::{Path, PathBuf};

/// The top of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a page with what the code says, or writes it where asked to.
fn assert_generated(page: &str, text: &str) {
    let path = root().join(page);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{page} has drifted: run 'make docs'");
}

/// Every file below a folder of the repository with that ending; what is built or fetched is left
/// out.
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
