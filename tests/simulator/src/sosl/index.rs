//! The words of a text, and whether they have what is searched.

use serde::{Deserialize, Serialize};

/// How phone text is split into words. No official rule was found (facts: Salesforce changes F2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Index {
    /// At blanks, punctuation and where letters and digits meet.
    Split,
    /// The digits of a number are one word, whatever groups them.
    Digits,
    /// Both.
    #[default]
    Both,
}

/// What must be in a text: words that follow each other. The last may have wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    words: Vec<String>,
}

impl Term {
    /// Reads a term. Reserved characters are escaped by a backslash; wildcards stand in the middle
    /// or at the end.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        const RESERVED: &str = "&|!{}[]()^~:\"'+-";
        let mut plain = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.extend(
                    chars
                        .next()
                        .map(|c| if c.is_alphanumeric() { c } else { ' ' }),
                ),
                '*' | '?' if plain.is_empty() => return Err(format!("unexpected token: '{c}'")),
                c if RESERVED.contains(c) => return Err(format!("unexpected token: '{c}'")),
                c => plain.push(c),
            }
        }
        let words = split(&plain, true);
        if words.concat().chars().count() < 2 {
            return Err("search term must be longer than one character".to_owned());
        }
        Ok(Self { words })
    }

    /// Whether a text has the term.
    pub(crate) fn is_in(&self, text: &str, index: Index, folds_width: bool) -> bool {
        let text = if folds_width {
            narrow(text)
        } else {
            text.to_owned()
        };
        let in_order = |words: &[String]| {
            words.windows(self.words.len()).any(|window| {
                window
                    .iter()
                    .zip(&self.words)
                    .all(|(word, pattern)| fits(word, pattern))
            })
        };
        let split_words = || in_order(&split(&text, false));
        let digit_words = || {
            let wanted = self.words.concat();
            digits(&text).iter().any(|word| fits(word, &wanted))
        };
        match index {
            Index::Split => split_words(),
            Index::Digits => digit_words(),
            Index::Both => split_words() || digit_words(),
        }
    }
}

/// Full-width characters as half-width ones.
fn narrow(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{2212}' | '\u{30FC}' | '\u{2010}'..='\u{2015}' => '-',
        '\u{3000}' => ' ',
        c => c,
    };
    text.chars().map(narrow).collect()
}

/// The words of a text, split where the kind of character changes.
fn split(text: &str, wildcards: bool) -> Vec<String> {
    let kind = |c: char| match c {
        '*' | '?' if wildcards => 1,
        c if c.is_ascii_digit() => 1,
        c if c.is_alphabetic() => 2,
        c if c.is_numeric() => 3,
        _ => 0,
    };
    let mut words: Vec<String> = Vec::new();
    let mut last = 0;
    for c in text.chars() {
        let kind = kind(c);
        if kind != 0 {
            match words.last_mut() {
                Some(word) if kind == last => word.extend(c.to_lowercase()),
                _ => words.push(c.to_lowercase().collect()),
            }
        }
        last = kind;
    }
    words
}

/// The numbers of a text: digits with the marks that group them, as one word each.
fn digits(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_digit() => word.push(c),
            ' ' | '-' | '.' | '(' | ')' | '+' => {}
            _ => words.push(std::mem::take(&mut word)),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn fits(word: &str, pattern: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    let Some(first) = pattern_chars.next() else {
        return word.is_empty();
    };
    match first {
        '*' => (0..=word.len())
            .filter(|at| word.is_char_boundary(*at))
            .any(|at| fits(&word[at..], pattern_chars.as_str())),
        '?' => {
            let mut chars = word.chars();
            chars.next().is_some() && fits(chars.as_str(), pattern_chars.as_str())
        }
        first => word
            .strip_prefix(first)
            .is_some_and(|rest| fits(rest, pattern_chars.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_groups_or_by_its_digits() {
        let has =
            |text: &str, term: &str, index| Term::read(term).unwrap().is_in(text, index, true);
        for text in [
            "03-1234-5678",
            "TEL 03-1234-5678 内線12",
            "０３－１２３４－５６７８",
            "+81 3 1234 5678",
        ] {
            assert!(has(text, "1234 5678", Index::Split), "{text}");
            assert!(!has(text, "0312345678", Index::Split), "{text}");
        }
        for text in ["03-1234-5678", "(03) 1234-5678 内線12"] {
            assert!(has(text, "0312345678", Index::Digits), "{text}");
            assert!(has(text, "0312*", Index::Digits), "{text}");
            assert!(!has(text, "5678", Index::Digits), "{text}");
        }
        assert!(!has("5678 1234", "1234 5678", Index::Both), "another order");
        assert!(
            !Term::read("1234")
                .unwrap()
                .is_in("０３－１２３４", Index::Split, false)
        );
    }
}
