//! Writes SOSL, the language of Salesforce's search.

use std::fmt;

/// The characters that have a meaning in a search text (facts: Salesforce 2.6).
const RESERVED: &str = "?&|!{}[]()^~*:\\\"'+-";

/// A SOSL statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sosl(String);

// === impl Sosl ===

impl Sosl {
    /// Words that must follow each other, in quotes, with every reserved character escaped.
    pub fn phrase(words: &str) -> String {
        let mut text = String::with_capacity(words.len() + 2);
        text.push('"');
        for char in words.chars() {
            if RESERVED.contains(char) {
                text.push('\\');
            }
            text.push(if char.is_control() { ' ' } else { char });
        }
        text.push('"');
        text
    }

    /// Searches the phone fields of these objects and returns Ids. `text` is made of
    /// [`phrase`](Self::phrase)s and operators; the objects are constants of our own. Spelling
    /// correction is on unless it is switched off (facts: Salesforce 2.6).
    pub fn in_phone_fields(text: &str, objects: &[&str]) -> Self {
        let returning: Vec<String> = objects.iter().map(|name| format!("{name}(Id)")).collect();
        Self(format!(
            "FIND {{{text}}} IN PHONE FIELDS RETURNING {} WITH SPELL_CORRECTION = false",
            returning.join(", ")
        ))
    }

    /// The text of the statement, without URL encoding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sosl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_in_a_phrase_ends_it_or_is_an_operator(words in any::<String>()) {
            let phrase = Sosl::phrase(&words);
            let inner = phrase.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
            let mut chars = inner.chars();
            let mut read = String::new();
            while let Some(char) = chars.next() {
                prop_assert!(char == '\\' || !RESERVED.contains(char));
                read.extend(if char == '\\' { chars.next() } else { Some(char) });
            }
            let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(read, plain);
        }
    }
}
