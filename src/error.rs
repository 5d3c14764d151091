//! Errors and their causes: one convention, and one place that prints them.
//!
//! An error's own sentence states what could not be done and, where its cause does not show it,
//! what to do about it. It never contains the text of its cause: the cause is its `source()`, and
//! [`Chain`] prints both.

use std::error::Error;
use std::fmt;

use crate::plain_text::escaped;

/// Prints an error with all its causes, separated by colons. The causes are on one line, and each
/// is printed once.
///
/// Many libraries repeat the text of a cause in their own message and also return the cause as
/// their source. Text that is already printed is not printed again.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

/// The text of a cause that cannot be kept itself: its type cannot be copied or compared, or it
/// contains something that nobody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseText(String);

// === impl Chain ===

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The first sentence is ours and may be a list; it keeps its lines.
        let mut printed = self.0.to_string().trim().to_owned();
        let mut cause = self.0.source();
        while let Some(current) = cause {
            let text = one_line(&current.to_string());
            if !contains(&printed, &text) {
                printed.truncate(printed.trim_end_matches(['.', ':', ' ']).len());
                printed.push_str(": ");
                printed.push_str(&text);
            }
            cause = current.source();
        }
        f.write_str(&printed)
    }
}

// === impl CauseText ===

impl CauseText {
    /// The text of an error and its causes.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self(Chain(error).to_string())
    }
}

impl From<String> for CauseText {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for CauseText {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl fmt::Display for CauseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CauseText {}

/// Prints to standard error why a role ends: for the user of a terminal, or the reader of a pod's
/// log.
pub fn print_error(role: &str, error: &(dyn Error + 'static)) {
    // There is no other place to report to when standard error cannot be written.
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        escaped(&format!("switchboard {role}: {}\n", Chain(error))).as_bytes(),
    );
}

/// The first error of this type: the error itself, or one of its causes.
pub fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` displays its inner error and does not return it as its source.
        let inside = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => current.source(),
        };
    }
    None
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `printed` contains the text as whole words. It always contains an empty text.
fn contains(printed: &str, text: &str) -> bool {
    let in_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let printed = one_line(printed);
    text.is_empty()
        || printed.match_indices(text).any(|(at, _)| {
            let before = printed[..at].chars().next_back();
            let after = printed[at + text.len()..].chars().next();
            !in_word(before) && !in_word(after)
        })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Level {
        words: &'static str,
        #[source]
        cause: Option<Box<dyn Error + Send + Sync>>,
    }

    /// An error with these sentences and causes, the outermost first.
    fn levels(sentences: &[&'static str]) -> Level {
        let (words, causes) = sentences.split_first().unwrap();
        Level {
            words,
            cause: (!causes.is_empty()).then(|| Box::new(levels(causes)) as _),
        }
    }

    fn told(sentences: &[&'static str]) -> String {
        Chain(&levels(sentences)).to_string()
    }

    #[test]
    fn every_cause_is_told_in_its_order() {
        assert_eq!(told(&["cannot listen"]), "cannot listen");
        assert_eq!(
            told(&["cannot start", "cannot listen", "Address in use"]),
            "cannot start: cannot listen: Address in use"
        );
    }

    #[test]
    fn what_a_library_repeats_is_told_once() {
        assert_eq!(
            told(&[
                "HTTP error: connect: refused",
                "connect: refused",
                "refused"
            ]),
            "HTTP error: connect: refused"
        );
        assert_eq!(told(&["a", "", "b"]), "a: b");
        assert_eq!(
            told(&["the database refused", "use", "refused"]),
            "the database refused: use",
            "a part of a word was not told"
        );
    }

    #[test]
    fn causes_stand_on_one_line_and_sentences_have_one_end() {
        assert_eq!(
            told(&["the answer is no report.", "line 1\n  column 2 \n"]),
            "the answer is no report: line 1 column 2"
        );
        assert_eq!(
            told(&["two problems:\n  a\n  b\n"]),
            "two problems:\n  a\n  b"
        );
    }

    #[test]
    fn what_an_io_error_carries_is_told_and_found() {
        #[derive(Debug, thiserror::Error)]
        #[error("no session")]
        struct Session(#[source] io::Error);

        let carries = io::Error::other(levels(&["no certificate", "unknown issuer"]));
        let error = Session(carries);
        assert_eq!(
            Chain(&error).to_string(),
            "no session: no certificate: unknown issuer"
        );
        assert_eq!(cause::<Level>(&error).unwrap().words, "no certificate");
        let inner = io::Error::other(io::Error::from(io::ErrorKind::TimedOut));
        let found: &io::Error = cause(&inner).unwrap();
        assert_eq!(found.kind(), io::ErrorKind::Other);
        assert!(cause::<fmt::Error>(&inner).is_none());
    }

    #[test]
    fn words_that_were_kept_are_told_as_a_cause() {
        let said = CauseText::of(&levels(&["a", "b"]));
        let error = Level {
            words: "c",
            cause: Some(Box::new(said)),
        };
        assert_eq!(Chain(&error).to_string(), "c: a: b");
    }
}
