//! Changes single lines of the rules, as cargo-mutants lists them, and says which changes no unit
//! test notices (docs/testing.md).
//!
//! cargo-mutants compiles once for each change. Here all are compiled at once, each behind a
//! question whether it is the one that is played, and each is played by the tests that come by it.

mod compile;
mod mutant;
mod play;
#[cfg(test)]
mod tests;
mod weave;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::mutant::Mutant;
use crate::play::{Fate, Tests};
use crate::weave::Number;

#[derive(Debug, Parser)]
struct Arguments {
    /// The source: a tree of its own, which is changed.
    tree: PathBuf,
    /// What `cargo mutants --list --json` says of it.
    #[arg(long)]
    list: PathBuf,
    /// Play those alone whose names hold this text.
    #[arg(long)]
    only: Option<String>,
    /// Play those alone that were not noticed the last time, by the report.
    #[arg(long)]
    again: bool,
    /// Play this many, drawn from the seed; those that are drawn for a smaller number are among
    /// them.
    #[arg(long)]
    sample: Option<usize>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that a test may take alone to be asked. Few histories take most of the time.
    #[arg(long, default_value_t = 2.0)]
    at_most: f64,
    /// Changes played at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Where the fate of each change is written, one a line.
    #[arg(long)]
    report: PathBuf,
    /// The tests that are asked: how their names begin. All where none is named.
    #[arg(last = true)]
    rooms: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0} cannot be read or written: {1}")]
    File(PathBuf, #[source] std::io::Error),
    #[error("the list of changes is not what cargo-mutants writes: {0}")]
    List(#[source] serde_json::Error),
    #[error("{0} is no Rust: {1}")]
    Parse(String, #[source] syn::Error),
    #[error("cargo does not start: {0}")]
    Cargo(#[source] std::io::Error),
    #[error("the source does not compile, for a reason that is no change's:\n{0}")]
    Compile(String),
    #[error("the tests do not start: {0}")]
    Tests(#[source] std::io::Error),
    #[error("without a change, and each alone, these tests fail: {}", .0.join(", "))]
    FailsUnchanged(Vec<String>),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let file = |error| Error::File(arguments.list.clone(), error);
    let listed = std::fs::read_to_string(&arguments.list).map_err(file)?;
    let mutants: Vec<Mutant> = serde_json::from_str(&listed).map_err(Error::List)?;
    let mutants: BTreeMap<Number, Mutant> = (1..).zip(mutants).collect();
    let refused = arguments.report.with_extension("refused");
    let compiled = compile::compile(&arguments.tree, &mutants, &refused)?;
    let earlier = std::fs::read_to_string(&arguments.report).unwrap_or_default();
    let before: BTreeMap<&str, Fate> = earlier.lines().filter_map(read_line).collect();
    let scratch = tempfile::tempdir().map_err(file)?;
    let tests = Tests::record(
        &compiled.program,
        &arguments.tree,
        scratch.path(),
        &arguments.rooms,
        arguments.jobs,
        Duration::try_from_secs_f64(arguments.at_most).unwrap_or(Duration::MAX),
    )?;
    let mut played: Vec<(Number, String)> = mutants
        .iter()
        .filter(|(number, _)| {
            !compiled.left_out.contains(*number) && !compiled.unviable.contains(*number)
        })
        .filter(|(_, mutant)| {
            let only = arguments.only.as_ref();
            only.is_none_or(|only| mutant.name.contains(only))
        })
        .filter(|(_, mutant)| {
            let fate = before.get(mutant.name.as_str());
            !arguments.again || matches!(fate, Some(Fate::NotNoticed | Fate::NotReached))
        })
        .map(|(number, mutant)| (*number, mutant.file.clone()))
        .collect();
    played.sort_by_cached_key(|(number, _)| {
        let mut hasher = DefaultHasher::new();
        (arguments.seed, &mutants[number].name).hash(&mut hasher);
        hasher.finish()
    });
    played.truncate(arguments.sample.unwrap_or(usize::MAX));
    println!("{} changes are played", played.len());
    let mut fates = tests.play(
        &arguments.tree,
        &played,
        arguments.jobs,
        |number, fate, by| {
            let name = &mutants[&number].name;
            println!("{fate:?}\t{name}\t{}", by.unwrap_or(""));
        },
    );
    if arguments.again {
        for (number, mutant) in &mutants {
            if let Some(fate) = before.get(mutant.name.as_str()) {
                fates.entry(*number).or_insert(*fate);
            }
        }
    }
    let mut report = String::new();
    for (number, mutant) in &mutants {
        let fate = match fates.get(number) {
            Some(fate) => format!("{fate:?}"),
            None if compiled.unviable.contains(number) => "DoesNotCompile".to_owned(),
            None if compiled.left_out.contains(number) => "LeftOut".to_owned(),
            None => continue,
        };
        report.push_str(&format!("{fate}\t{}\n", mutant.name));
    }
    std::fs::write(&arguments.report, &report)
        .map_err(|error| Error::File(arguments.report.clone(), error))?;
    print!("{}", summary(&fates, &mutants));
    Ok(())
}

/// A line of a report: fate and name. What was not played is no fate.
fn read_line(line: &str) -> Option<(&str, Fate)> {
    let (fate, name) = line.split_once('\t')?;
    let fate = Fate::ALL
        .into_iter()
        .find(|known| format!("{known:?}") == fate)?;
    Some((name, fate))
}

/// How many of each room were noticed.
fn summary(fates: &BTreeMap<Number, Fate>, mutants: &BTreeMap<Number, Mutant>) -> String {
    let mut rooms: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (number, fate) in fates {
        let file = mutants[number].file.as_str();
        let room = file.rsplit_once('/').map_or(file, |(room, _)| room);
        for room in [room, "all"] {
            let (noticed, all) = rooms.entry(room).or_default();
            *all += 1;
            *noticed += usize::from(matches!(fate, Fate::Noticed | Fate::NeverEnded));
        }
    }
    let line = |(room, (noticed, all)): (&str, (usize, usize))| {
        let share = 100.0 * noticed as f64 / all as f64;
        format!("{room}: {noticed} of {all} noticed, {share:.1} %\n")
    };
    rooms.into_iter().map(line).collect()
}
