//! Writes SOQL. All external data goes through [`SoqlLiteral`], which is always quoted and escaped.
//! The rest of a statement is our own text.

use std::fmt;

use crate::salesforce::text::encode::{query_encode, query_encoded_len};

/// The longest statement that Salesforce accepts (facts: Salesforce 2.5: MALFORMED_QUERY beyond).
pub const MAX_STATEMENT_CHARS: usize = 100_000;

/// The longest string literal in a WHERE clause (facts: Salesforce 2.5).
pub const MAX_LITERAL_CHARS: usize = 4_000;

/// A quoted, escaped string literal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SoqlLiteral(String);

/// A SOQL statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soql(String);

// === impl SoqlLiteral ===

impl SoqlLiteral {
    /// Quotes a value. `'` and `\` must be escaped (SOQL reference, "Quoted String Escape
    /// Sequences"). Control characters get their escape or are written as `\uXXXX`.
    pub fn new(value: &str) -> Self {
        Self::quote(value, false)
    }

    /// Quotes a value for `LIKE`; `%` and `_` in the value are escaped, so that they are not
    /// wildcards.
    pub fn for_like(value: &str) -> Self {
        Self::quote(value, true)
    }

    /// The literal with its quotes, as it appears in the statement.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn quote(value: &str, like: bool) -> Self {
        let mut text = String::with_capacity(value.len() + 2);
        text.push('\'');
        for char in value.chars() {
            match char {
                '\'' => text.push_str("\\'"),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                '%' | '_' if like => {
                    text.push('\\');
                    text.push(char);
                }
                control if control.is_control() => {
                    text.push_str(&format!("\\u{:04X}", u32::from(control)));
                }
                other => text.push(other),
            }
        }
        text.push('\'');
        Self(text)
    }
}

impl fmt::Display for SoqlLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Soql ===

impl Soql {
    /// A statement from a constant text of our own, such as `SELECT Id FROM Organization`.
    pub fn text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Starts `SELECT <fields> FROM <object>`. Both are our own constants, never data.
    pub fn select(fields: &[&str], object: &str) -> Self {
        Self(format!("SELECT {} FROM {object}", fields.join(", ")))
    }

    /// Adds ` WHERE (field IN (…))`, or ` AND (…)` after the first condition.
    pub fn and_in<'a>(
        self,
        field: &str,
        values: impl IntoIterator<Item = &'a SoqlLiteral>,
    ) -> Self {
        let list: Vec<&str> = values.into_iter().map(SoqlLiteral::as_str).collect();
        self.and(&format!("{field} IN ({})", list.join(",")))
    }

    /// Adds ` WHERE (…)`, or ` AND (…)`. The parentheses matter: AND and OR at one level are
    /// MALFORMED_QUERY (facts: Salesforce 5.2a).
    pub fn and(mut self, condition: &str) -> Self {
        self.0.push_str(if self.0.contains(" WHERE ") {
            " AND ("
        } else {
            " WHERE ("
        });
        self.0.push_str(condition);
        self.0.push(')');
        self
    }

    /// Adds a clause that follows the conditions: ORDER BY, LIMIT.
    pub fn then(mut self, clause: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(clause);
        self
    }

    /// The text of the statement, without URL encoding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The statement as the value of `q=` in a URL. The plus sign of a number is encoded too,
    /// because otherwise it would arrive as a space (facts: Salesforce 5.2a).
    pub fn url_encoded(&self) -> String {
        query_encode(&self.0)
    }

    /// The length of [`Self::url_encoded`] in bytes.
    pub fn url_encoded_len(&self) -> usize {
        query_encoded_len(&self.0)
    }
}

impl fmt::Display for Soql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a literal as Salesforce does: no bare quote inside, every backslash starts an escape.
    fn unquote(text: &str) -> Option<String> {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut value = String::new();
        let mut chars = inner.chars();
        while let Some(char) = chars.next() {
            match char {
                '\'' => return None,
                '\\' => match chars.next()? {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    'b' => value.push('\u{8}'),
                    'f' => value.push('\u{c}'),
                    'u' => {
                        let hex: String = chars.by_ref().take(4).collect();
                        value.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
                    }
                    escaped @ ('\'' | '\\' | '%' | '_') => value.push(escaped),
                    _ => return None,
                },
                plain => value.push(plain),
            }
        }
        Some(value)
    }

    proptest! {
        #[test]
        fn a_literal_always_reads_back_as_its_value(value in any::<String>()) {
            prop_assert_eq!(unquote(SoqlLiteral::new(&value).as_str()), Some(value.clone()));
            prop_assert_eq!(unquote(SoqlLiteral::for_like(&value).as_str()), Some(value));
        }

        #[test]
        fn hostile_values_stay_inside_their_quotes(value in r"['\\%_\n a-z]{0,20}") {
            prop_assert_eq!(unquote(SoqlLiteral::new(&value).as_str()), Some(value));
        }

        #[test]
        fn an_encoded_statement_has_no_character_that_a_url_reads_otherwise(value in any::<String>()) {
            let encoded = Soql::text(&value).url_encoded();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%'()*!,:=/?@$".contains(&byte) || byte == b'+'));
            prop_assert_eq!(encoded.len(), Soql::text(&value).url_encoded_len());
            let url = url::Url::parse(&format!("https://x.example/?q={encoded}")).unwrap();
            let (_, read) = url.query_pairs().next().unwrap();
            prop_assert_eq!(read.into_owned(), value);
        }
    }

    #[test]
    fn conditions_are_joined_with_parentheses() {
        let soql = Soql::select(&["Id", "Name"], "Contact")
            .and_in(
                "Phone",
                [&SoqlLiteral::new("+8130"), &SoqlLiteral::new("O'Neil")],
            )
            .and("IsConverted = false OR Id = null")
            .then("LIMIT 10");
        assert_eq!(
            soql.as_str(),
            "SELECT Id, Name FROM Contact WHERE (Phone IN ('+8130','O\\'Neil')) AND (IsConverted = false OR Id = null) LIMIT 10"
        );
    }

    #[test]
    fn wildcards_are_escaped_where_they_are_ones() {
        for (value, equal, like) in [
            ("50%_", "'50%_'", "'50\\%\\_'"),
            ("O'Neil\\", "'O\\'Neil\\\\'", "'O\\'Neil\\\\'"),
            ("\n\r\t\u{8}\u{c}", "'\\n\\r\\t\\b\\f'", "'\\n\\r\\t\\b\\f'"),
            ("\u{1}\u{85}", "'\\u0001\\u0085'", "'\\u0001\\u0085'"),
            ("\u{3042}\"", "'\u{3042}\"'", "'\u{3042}\"'"),
        ] {
            assert_eq!(SoqlLiteral::new(value).as_str(), equal);
            assert_eq!(SoqlLiteral::for_like(value).as_str(), like);
        }
    }
}
