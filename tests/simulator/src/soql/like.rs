//! LIKE patterns: `%` matches any characters, `_` one character; a backslash escapes both. Case is
//! ignored.

use crate::schema::fold;

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Char(char),
    One,
    Many,
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Compiles the text of a literal, which still has its escapes.
    pub(super) fn new(raw: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => pieces.push(Piece::Many),
                '_' => pieces.push(Piece::One),
                '\\' => {
                    let mut escaped = String::from('\\');
                    if let Some(next) = chars.next() {
                        escaped.push(next);
                        if next == 'u' {
                            escaped.extend(chars.by_ref().take(4));
                        }
                    }
                    pieces.extend(
                        fold(&super::lexer::unescape(&escaped))
                            .chars()
                            .map(Piece::Char),
                    );
                }
                c => pieces.extend(c.to_lowercase().map(Piece::Char)),
            }
        }
        Self(pieces)
    }

    /// Whether the text matches. The cost is linear in the text times the number of `%`, without
    /// recursion.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = fold(text).chars().collect();
        let (mut t, mut p) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.0.get(p) {
                Some(Piece::Many) => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(Piece::One) => {
                    t += 1;
                    p += 1;
                }
                Some(Piece::Char(c)) if *c == text[t] => {
                    t += 1;
                    p += 1;
                }
                _ => {
                    let Some((after, from)) = retry else {
                        return false;
                    };
                    retry = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
            }
        }
        self.0[p..].iter().all(|piece| *piece == Piece::Many)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
        assert!(fits("%3%1234%5678%", "+81 3-1234-5678"));
        assert!(fits("a_c", "AbC"));
        assert!(!fits("a_c", "ac"));
        assert!(fits("", "") && !fits("", "x") && fits("%", ""));
        assert!(fits(r"100\%", "100%") && !fits(r"100\%", "1000"));
        assert!(fits(r"a\_b", "a_b") && !fits(r"a\_b", "axb"));
        assert!(fits("%ab", "aab") && !fits("%ab", "aba"));
    }

    proptest! {
        #[test]
        fn a_pattern_without_wildcards_is_equality(text in "[a-z0-9]{0,12}", other in "[a-z0-9]{0,12}") {
            prop_assert_eq!(Pattern::new(&text).matches(&other), text == other);
        }

        #[test]
        fn surrounded_by_percent_is_contains(text in "[ab]{0,12}", needle in "[ab]{0,4}") {
            prop_assert_eq!(Pattern::new(&format!("%{needle}%")).matches(&text), text.contains(&needle));
        }
    }
}
