//! The changed source compiled: what does not compile is taken out, until the rest does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::Error;
use crate::mutant::Mutant;
use crate::weave::{Number, Woven, weave};

/// What can be played, and what cannot.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The unit tests with all changes in them.
    pub program: PathBuf,
    /// Changes that the program cannot ask for: values of constants.
    pub left_out: BTreeSet<Number>,
    /// Changes that do not compile.
    pub unviable: BTreeSet<Number>,
}

/// One line of `cargo --message-format=json`.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line {
    CompilerMessage {
        message: Diagnostic,
    },
    CompilerArtifact {
        target: Target,
        executable: Option<PathBuf>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    level: String,
    spans: Vec<DiagnosticSpan>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

/// Weaves `mutants` into the crate in `tree` and compiles its unit tests. `refused` has the names
/// of those that did not compile before, and gets the others.
///
/// # Errors
///
/// A file cannot be read or written, is no Rust, or does not compile for a reason that is no
/// change's.
pub(crate) fn compile(
    tree: &Path,
    mutants: &BTreeMap<Number, Mutant>,
    refused: &Path,
) -> Result<Compiled, Error> {
    let root = tree.join("src/lib.rs");
    let text = read(&root)?;
    write(&root, &format!("{text}\nmod woven;\n"))?;
    write(&tree.join("src/woven.rs"), include_str!("woven.rs"))?;
    let mut sources = BTreeMap::new();
    for mutant in mutants.values() {
        if !sources.contains_key(&mutant.file) {
            sources.insert(mutant.file.clone(), read(&tree.join(&mutant.file))?);
        }
    }
    let mut left_out = BTreeSet::new();
    let before = std::fs::read_to_string(refused).unwrap_or_default();
    let before: BTreeSet<&str> = before.lines().collect();
    let mut unviable: BTreeSet<Number> = mutants
        .iter()
        .filter(|(_, mutant)| before.contains(mutant.name.as_str()))
        .map(|(number, _)| *number)
        .collect();
    loop {
        let mut woven: BTreeMap<&str, Woven> = BTreeMap::new();
        for (file, source) in &sources {
            let of_file: Vec<(Number, &Mutant)> = mutants
                .iter()
                .filter(|(number, mutant)| mutant.file == *file && !unviable.contains(*number))
                .map(|(number, mutant)| (*number, mutant))
                .collect();
            let text =
                weave(source, &of_file).map_err(|error| Error::Parse(file.clone(), error))?;
            write(&tree.join(file), &text.text)?;
            left_out.extend(&text.left_out);
            unviable.extend(&text.unviable);
            woven.insert(file, text);
        }
        let (program, errors) = cargo(tree)?;
        if let Some(program) = program {
            return Ok(Compiled {
                program,
                left_out,
                unviable,
            });
        }
        let blamed: BTreeSet<Number> = errors
            .iter()
            .filter_map(|error| blame(error, &woven))
            .collect();
        if blamed.is_empty() {
            let said = errors.into_iter().filter_map(|error| error.rendered);
            return Err(Error::Compile(said.collect()));
        }
        eprintln!("{} changes do not compile", unviable.len() + blamed.len());
        unviable.extend(blamed);
        let names: Vec<&str> = unviable
            .iter()
            .map(|number| mutants[number].name.as_str())
            .collect();
        write(refused, &names.join("\n"))?;
    }
}

/// The change whose text an error of the compiler is about.
fn blame(error: &Diagnostic, woven: &BTreeMap<&str, Woven>) -> Option<Number> {
    let mut spans: Vec<&DiagnosticSpan> = error.spans.iter().collect();
    spans.sort_by_key(|span| !span.is_primary);
    spans.into_iter().find_map(|span| {
        let places = &woven.get(span.file_name.as_str())?.places;
        places
            .iter()
            .filter(|(place, _)| place.start <= span.byte_start && span.byte_end <= place.end)
            .min_by_key(|(place, _)| place.len())
            .map(|(_, number)| *number)
    })
}

/// The program of the unit tests, or what the compiler said against it.
fn cargo(tree: &Path) -> Result<(Option<PathBuf>, Vec<Diagnostic>), Error> {
    let output = Command::new("cargo")
        .current_dir(tree)
        .args(["test", "--lib", "--no-run", "--message-format=json"])
        // Most of the time goes into tests that play histories.
        .args(["--config", "profile.dev.package.switchboard.opt-level=1"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::Cargo)?;
    let mut program = None;
    let mut errors = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Line::CompilerMessage { message }) if message.level == "error" => {
                errors.push(message);
            }
            Ok(Line::CompilerArtifact {
                target,
                executable: Some(executable),
            }) if target.name == "switchboard" && target.kind.iter().any(|kind| kind == "lib") => {
                program = Some(executable);
            }
            _ => {}
        }
    }
    Ok((program.filter(|_| output.status.success()), errors))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::File(path.to_owned(), error))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    // What is as it was keeps its time, for cargo.
    if std::fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| Error::File(path.to_owned(), error))
}
