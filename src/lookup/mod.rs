//! `switchboard lookup`: the workers' lookup, for a human at a laptop. It reads numbers, prints
//! names and the cost, and writes nothing anywhere.

mod args;
mod org;
mod output;
mod plan;
mod preview;
mod report;
mod run;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::args::{Args, Format};
pub use self::run::run;
use crate::phone::{E164, NotLookedUp};
use crate::resolve::{Match, Record, Rule};

/// One number of the input, and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NumberResult {
    /// The number as it was given.
    text: String,
    /// The number as it is parsed.
    number: Result<E164, NotLookedUp>,
    answer: Resolution,
    /// The reasons for the answer, if they were requested.
    explanation: Option<Explanation>,
}

/// The result for a number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Resolution {
    /// The number was not queried.
    NotAsked,
    /// No record holds the number.
    Unknown,
    /// This record holds the number.
    Found(Match),
}

/// The reasons for the answer to a number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Explanation {
    spellings: Vec<String>,
    /// The best records, the chosen one first.
    records: Vec<Record>,
    /// How many records hold the number beside the chosen one.
    alternatives: u64,
    rule: Rule,
}

/// All lines and their cost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    lines: Vec<NumberResult>,
    api_calls: u64,
    /// What of it the second question was.
    second: Second,
    took: Duration,
}

/// The second question about numbers that the first did not find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Second {
    asked: usize,
    found: usize,
    api_calls: u64,
}

// === impl NumberResult ===

impl NumberResult {
    /// The code of the reason why the number was not queried; `None` if it was queried.
    fn reason(&self) -> Option<&'static str> {
        match (&self.number, &self.answer) {
            (Err(reason), _) => Some(reason.code()),
            (Ok(_), Resolution::NotAsked) => Some("Interrupted"),
            (Ok(_), _) => None,
        }
    }

    /// The same reason in words.
    fn reason_in_words(&self) -> Option<String> {
        match (&self.number, &self.answer) {
            (Err(reason), _) => Some(reason.to_string()),
            (Ok(_), Resolution::NotAsked) => {
                Some("the look-up ended before it was asked".to_owned())
            }
            (Ok(_), _) => None,
        }
    }

    fn found(&self) -> Option<&Match> {
        match &self.answer {
            Resolution::Found(found) => Some(found),
            Resolution::NotAsked | Resolution::Unknown => None,
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn asked(&self) -> usize {
        let was_asked = |line: &&NumberResult| line.answer != Resolution::NotAsked;
        self.lines.iter().filter(was_asked).count()
    }

    fn matched(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line.found().is_some())
            .count()
    }
}
