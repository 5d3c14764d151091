//! `switchboard lookup`: the workers' look-up for a person, on a laptop. Numbers in, names and cost
//! out; it writes nothing anywhere.

mod args;
mod output;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::args::{Args, Format};
pub use self::run::run;
use crate::phone::{E164, NotLookedUp};
use crate::resolve::{Match, Record, Rule};

/// One number of the input and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// As it was given.
    text: String,
    /// What it is read as.
    number: Result<E164, NotLookedUp>,
    answer: Answer,
    /// Why, where that was wanted.
    explanation: Option<Explanation>,
}

/// What became of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// It was not asked for.
    NotAsked,
    /// No record holds it.
    Unknown,
    /// This record holds it.
    Found(Match),
}

/// Why a number got its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Explanation {
    spellings: Vec<String>,
    records: Vec<Record>,
    rule: Rule,
}

/// All lines together, and what they cost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    lines: Vec<Line>,
    api_calls: u64,
    took: Duration,
}

// === impl Line ===

impl Line {
    /// The word for why it was not asked for; `None` if it was.
    fn reason(&self) -> Option<&'static str> {
        match (&self.number, &self.answer) {
            (Err(reason), _) => Some(reason.code()),
            (Ok(_), Answer::NotAsked) => Some("Interrupted"),
            (Ok(_), _) => None,
        }
    }

    /// The same in a sentence.
    fn reason_in_words(&self) -> Option<String> {
        match (&self.number, &self.answer) {
            (Err(reason), _) => Some(reason.to_string()),
            (Ok(_), Answer::NotAsked) => Some("the look-up ended before it was asked".to_owned()),
            (Ok(_), _) => None,
        }
    }

    fn found(&self) -> Option<&Match> {
        match &self.answer {
            Answer::Found(found) => Some(found),
            Answer::NotAsked | Answer::Unknown => None,
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn asked(&self) -> usize {
        let was_asked = |line: &&Line| line.answer != Answer::NotAsked;
        self.lines.iter().filter(was_asked).count()
    }

    fn matched(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line.found().is_some())
            .count()
    }
}
