//! What must not stand in a log: secrets and phone numbers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Digits of a number without its prefix.
const SIGNIFICANT: usize = 9;

/// Reads the logs of a node's pods as they grow.
pub(super) struct Logs {
    folder: PathBuf,
    /// How much of each file has been read.
    read: BTreeMap<PathBuf, u64>,
    needles: Needles,
    /// What was found, without saying it.
    pub found: BTreeSet<String>,
    /// How many bytes were read.
    pub bytes: u64,
}

/// What is looked for.
#[derive(Default)]
pub(super) struct Needles {
    /// Passwords and tokens.
    pub secrets: BTreeSet<String>,
    /// The last nine digits of phone numbers.
    pub numbers: HashSet<String>,
}

// === impl Logs ===

impl Logs {
    /// Reads the logs below this folder, `NAMESPACE_POD_UID/CONTAINER/0.log`.
    pub(super) fn new(folder: PathBuf, needles: Needles) -> Self {
        Self {
            folder,
            read: BTreeMap::new(),
            needles,
            found: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Looks for these tokens from now on, too.
    pub(super) fn also(&mut self, secret: String) {
        self.needles.secrets.insert(secret);
    }

    /// Reads what has been written since the last time.
    pub(super) fn read(&mut self) {
        for pod in entries(&self.folder) {
            let name = pod.file_name().unwrap_or_default().to_string_lossy();
            // The played Salesforce may say what it likes.
            if name.starts_with(&format!("{}_", crate::salesforce::NAMESPACE)) {
                continue;
            }
            let name = name.rsplit_once('_').map_or(&*name, |(pod, _)| pod);
            for file in entries(&pod).iter().flat_map(|folder| entries(folder)) {
                let from = self.read.entry(file.clone()).or_default();
                let Ok(text) = since(&file, from) else {
                    continue; // It went with its pod.
                };
                self.bytes += text.len() as u64;
                for what in self.needles.in_text(&text) {
                    self.found.insert(format!("{what} in the log of {name}"));
                }
            }
        }
    }
}

// === impl Needles ===

impl Needles {
    /// Which kinds of things stand in a text.
    fn in_text(&self, text: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        if self
            .secrets
            .iter()
            .any(|secret| text.contains(secret.as_str()))
        {
            found.push("a secret");
        }
        if text.lines().any(|line| self.has_number(line)) {
            found.push("a phone number");
        }
        found
    }

    /// Whether a line has one of the numbers, in any spelling with hyphens.
    fn has_number(&self, line: &str) -> bool {
        line.split(|sign: char| !sign.is_ascii_digit() && sign != '-')
            .any(|run| {
                let digits: String = run.chars().filter(char::is_ascii_digit).collect();
                (SIGNIFICANT..=digits.len())
                    .any(|end| self.numbers.contains(&digits[end - SIGNIFICANT..end]))
            })
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The whole lines of a file since a position, which moves on. A file that is shorter than that has
/// been begun anew.
fn since(file: &Path, from: &mut u64) -> std::io::Result<String> {
    let mut file = fs::File::open(file)?;
    if file.metadata()?.len() < *from {
        *from = 0;
    }
    file.seek(SeekFrom::Start(*from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    bytes.truncate(end.map_or(0, |end| end + 1));
    *from += bytes.len() as u64;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(folder: &Path) -> Logs {
        let needles = Needles {
            secrets: BTreeSet::from(["horse-01-".to_owned()]),
            numbers: HashSet::from(["340070012".to_owned()]),
        };
        Logs::new(folder.to_owned(), needles)
    }

    #[test]
    fn secrets_and_numbers_in_any_spelling_are_found_and_not_repeated() {
        let needles = logs(Path::new("/nowhere")).needles;
        for text in [
            "from +81340070012.",
            "0340070012",
            "\"03-4007-0012\"",
            "id=10340070012",
        ] {
            assert_eq!(needles.in_text(text), ["a phone number"], "{text}");
        }
        assert_eq!(needles.in_text("password horse-01-3-battery"), ["a secret"]);
        for text in ["34007001", "340070013", "3400 70012", ""] {
            assert!(needles.in_text(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_log_is_read_once_and_the_played_salesforce_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let write = |pod: &str, text: &str| {
            let folder = dir.path().join(pod).join("c");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("0.log"), text).unwrap();
        };
        let mut logs = logs(dir.path());
        write("salesforce_sim_1", "horse-01-0\n");
        write("soak-0_worker_2", "well\nhalf a line horse-");
        logs.read();
        assert!(logs.found.is_empty() && logs.bytes == 5);
        let whole = "well\nhalf a line horse-01-0\n";
        write("soak-0_worker_2", whole);
        logs.read();
        assert_eq!(logs.bytes, whole.len() as u64);
        assert_eq!(
            Vec::from_iter(logs.found),
            ["a secret in the log of soak-0_worker"]
        );
    }
}
