//! Links between the documents lead to files and headings that exist, and so do names of files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{files, root};

#[test]
fn every_link_leads_somewhere() {
    let mut broken = vec![];
    for page in files("", ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if let Err(why) = follow(&page, &target) {
                let page = page.strip_prefix(root()).unwrap().display().to_string();
                broken.push(format!("{page}: {target}: {why}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

fn follow(page: &Path, target: &str) -> Result<(), &'static str> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file: PathBuf = if path.is_empty() {
        page.to_owned()
    } else {
        page.parent().ok_or("no folder")?.join(path)
    };
    if !file.exists() {
        return Err("there is no such file");
    }
    if anchor.is_empty() || file.is_dir() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&file).map_err(|_| "it cannot be read")?;
    if headings(&text).contains(anchor) {
        Ok(())
    } else {
        Err("there is no such heading")
    }
}

/// The targets of links `[words](target)`, outside of code.
fn targets(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, after)) = after.split_once(')') else {
                break;
            };
            found.push(target.to_owned());
            rest = after;
        }
    }
    found
}

/// The anchors of a page, as GitHub makes them.
fn headings(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

/// What files of the repository end with.
const ENDINGS: [&str; 12] = [
    ".rs", ".md", ".yaml", ".sh", ".lua", ".json", ".toml", ".tsv", ".txt", ".go", ".db", ".tar",
];

/// Whether a word in backquotes names a file of the repository.
pub(crate) fn looks_like_a_file(word: &str) -> bool {
    ENDINGS.iter().any(|ending| {
        word.split("::")
            .next()
            .unwrap_or_default()
            .ends_with(ending)
    }) || ["src/", "tests/", "docs/", "charts/", "examples/", "image/"]
        .iter()
        .any(|folder| word.starts_with(folder))
}

/// A file of the repository, of the page's folder, of the chart, or one by its name alone; or a
/// file of the reader's.
pub(crate) fn is_file(word: &str, page: &str) -> bool {
    let name = word.split("::").next().unwrap_or_default();
    // Of a built tree, of another machine, or with a part that differs.
    if ["target/", "/", "~", "."]
        .iter()
        .any(|start| name.starts_with(start))
        || name.contains(['<', '*', '{'])
        || name
            .chars()
            .any(|c| c.is_ascii_uppercase() && name.contains("NAME"))
    {
        return true;
    }
    let beside = Path::new(page).parent().unwrap_or(Path::new(""));
    let places = [
        root().to_owned(),
        root().join(beside),
        root().join("charts/switchboard"),
    ];
    if places.iter().any(|place| place.join(name).exists()) {
        return true;
    }
    let by_name = !name.contains('/')
        && ["", "charts"].iter().any(|folder| {
            let ending = ENDINGS
                .iter()
                .find(|ending| name.ends_with(**ending))
                .unwrap_or(&"");
            files(folder, ending)
                .iter()
                .any(|file| file.ends_with(name))
        });
    by_name || READERS_FILES.contains(&name)
}

/// Files that a reader makes, or a program.
const READERS_FILES: [&str; 6] = [
    "acme.yaml",
    "integration.yaml",
    "secret.yaml",
    "directory.db",
    "key.pem",
    "out.db",
];
