//! What replicas on PostgreSQL tell each other: lines of text in notifications.
//!
//! A payload has less than 8,000 bytes (PostgreSQL, `NOTIFY`). Companies stand in it by their IDs,
//! numbers as keyed hashes only: a server may write statements into its log.

use super::{Change, Kind};
use crate::company_id::CompanyId;

/// The most bytes of a payload.
const MAX_BYTES: usize = 7_900;

/// What another replica says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Something changed.
    Changed(Change),
    /// It could not tell everything.
    Gap,
    /// It lives; somebody follows who waits there, or nobody.
    Lives { followed: bool },
}

/// A payload: who says it, and what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) from: String,
    pub(crate) lines: Vec<Line>,
}

/// Writes payloads.
pub(crate) fn write<'l>(from: &str, lines: impl IntoIterator<Item = &'l Line>) -> Vec<String> {
    let mut payloads: Vec<String> = vec![];
    for line in lines {
        let line = text(line);
        match payloads.last_mut() {
            Some(payload) if payload.len() + 1 + line.len() <= MAX_BYTES => {
                payload.push('\n');
                payload.push_str(&line);
            }
            _ => payloads.push(format!("{from}\n{line}")),
        }
    }
    payloads
}

fn text(line: &Line) -> String {
    match line {
        Line::Gap => "gap".to_owned(),
        Line::Lives { followed: true } => "followed".to_owned(),
        Line::Lives { followed: false } => "alone".to_owned(),
        Line::Changed(Change { company, kind }) => match kind {
            Kind::CallsWait => format!("calls {company}"),
            Kind::RingsWait => format!("rings {company}"),
            Kind::History => format!("history {company}"),
            Kind::Ring(hash) => format!("ring {company} {hash}"),
        },
    }
}

/// Reads a payload. Lines of a newer version are left out.
pub(crate) fn read(payload: &str) -> Message {
    let mut lines = payload.lines();
    let from = lines.next().unwrap_or_default().to_owned();
    let lines = lines.filter_map(line).collect();
    Message { from, lines }
}

fn line(text: &str) -> Option<Line> {
    let mut words = text.split(' ');
    let word = words.next()?;
    let mut company = || words.next()?.parse::<CompanyId>().ok();
    let kind = match word {
        "gap" => return Some(Line::Gap),
        "followed" => return Some(Line::Lives { followed: true }),
        "alone" => return Some(Line::Lives { followed: false }),
        "calls" => Kind::CallsWait,
        "rings" => Kind::RingsWait,
        "history" => Kind::History,
        "ring" => {
            let company = company()?;
            let kind = Kind::Ring(words.next()?.to_owned());
            return Some(Line::Changed(Change { company, kind }));
        }
        _ => return None,
    };
    let company = company()?;
    Some(Line::Changed(Change { company, kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_no_payload_is_too_large() {
        let kinds = |n: usize| match n % 4 {
            0 => Kind::CallsWait,
            1 => Kind::RingsWait,
            2 => Kind::History,
            _ => Kind::Ring(format!("{n:032x}")),
        };
        let mut lines: Vec<Line> = (0..3_000)
            .map(|n| {
                let company = format!("a{n:062}").parse().unwrap();
                let kind = kinds(n);
                Line::Changed(Change { company, kind })
            })
            .collect();
        lines.extend([
            Line::Gap,
            Line::Lives { followed: true },
            Line::Lives { followed: false },
        ]);
        let payloads = write("me", &lines);
        assert!(payloads.len() > 10);
        let mut read_again = vec![];
        for payload in &payloads {
            assert!(payload.len() < 8_000);
            let message = read(payload);
            assert_eq!(message.from, "me");
            read_again.extend(message.lines);
        }
        assert_eq!(read_again, lines);
    }

    #[test]
    fn what_another_version_or_another_program_says_is_left_out() {
        let message = read("other\ncalls acme\nsomething new\ncalls NOT-ONE\nring acme\n\nrings");
        let company = "acme".parse().unwrap();
        let kind = Kind::CallsWait;
        assert_eq!(message.lines, [Line::Changed(Change { company, kind })]);
        assert_eq!(read("").lines, []);
    }
}
