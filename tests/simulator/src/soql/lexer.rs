//! The tokens of SOQL.

use jiff::Timestamp;
use jiff::civil::Date;

use super::QueryError;
use crate::schema::parse_datetime;

/// A token and its start position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

/// The kind of a token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name with its dots: `Account.Name`.
    Word(String),
    /// Quoted text with its escapes.
    Text(String),
    Int(i64),
    Double(f64),
    Date(Date),
    DateTime(Timestamp),
    /// A symbol: `(`, `,`, `<=`, ...
    Symbol(&'static str),
    End,
}

impl Kind {
    /// The token as an error message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Text(text) => format!("'{text}'"),
            Self::Int(number) => number.to_string(),
            Self::Double(number) => number.to_string(),
            Self::Date(date) => date.to_string(),
            Self::DateTime(at) => at.to_string(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
            Self::End => String::new(),
        }
    }
}

const SYMBOLS: [&str; 12] = [
    "<=", ">=", "!=", "<>", "(", ")", ",", "=", "<", ">", ":", "*",
];

/// Splits a statement into tokens; the last one is always [`Kind::End`].
pub(super) fn tokens(text: &str, literal_limit: usize) -> Result<Vec<Token>, QueryError> {
    let mut out = Vec::with_capacity(text.len() / 12);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, length) = match c {
            '\'' => quoted(&text[at..], at, literal_limit)?,
            '0'..='9' | '+' | '-' => number(&text[at..], at)?,
            c if c.is_alphabetic() || c == '_' => word(&text[at..]),
            _ => symbol(&text[at..]).ok_or_else(|| QueryError::unexpected(&c.to_string(), at))?,
        };
        out.push(Token { kind, at });
        at += length;
    }
    out.push(Token {
        kind: Kind::End,
        at,
    });
    Ok(out)
}

fn symbol(rest: &str) -> Option<(Kind, usize)> {
    SYMBOLS
        .iter()
        .find(|symbol| rest.starts_with(**symbol))
        .map(|symbol| (Kind::Symbol(symbol), symbol.len()))
}

fn word(rest: &str) -> (Kind, usize) {
    let length = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(rest.len());
    (Kind::Word(rest[..length].to_owned()), length)
}

fn number(rest: &str, at: usize) -> Result<(Kind, usize), QueryError> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '+');
    let length = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
    let token = &rest[..length];
    let kind = if let Ok(number) = token.parse() {
        Some(Kind::Int(number))
    } else if let Ok(number) = token.parse::<f64>() {
        number.is_finite().then_some(Kind::Double(number))
    } else if token.contains('T') || token.contains('t') {
        parse_datetime(token).map(Kind::DateTime)
    } else {
        token.parse().ok().map(Kind::Date)
    };
    kind.map(|kind| (kind, length))
        .ok_or_else(|| QueryError::unexpected(token, at))
}

fn quoted(rest: &str, at: usize, limit: usize) -> Result<(Kind, usize), QueryError> {
    let mut chars = rest.char_indices().skip(1);
    let mut count = 0;
    while let Some((position, c)) = chars.next() {
        match c {
            '\'' => {
                if count > limit {
                    let message =
                        format!("string literal is too long: {count} characters, at most {limit}");
                    return Err(QueryError::malformed(message, at));
                }
                return Ok((Kind::Text(rest[1..position].to_owned()), position + 1));
            }
            '\\' => {
                let escaped = chars.next().map_or(' ', |(_, c)| c);
                if !matches!(
                    escaped,
                    'n' | 'N'
                        | 'r'
                        | 'R'
                        | 't'
                        | 'T'
                        | 'b'
                        | 'B'
                        | 'f'
                        | 'F'
                        | '"'
                        | '\''
                        | '\\'
                        | '_'
                        | '%'
                        | 'u'
                ) {
                    return Err(QueryError::malformed(
                        format!("Illegal escape sequence: '\\{escaped}'"),
                        at + position,
                    ));
                }
                count += 1;
            }
            '\n' | '\r' => break,
            _ => count += 1,
        }
    }
    Err(QueryError::malformed(
        "line breaks not allowed in string literals or missing closing quote",
        at,
    ))
}

/// Resolves the escapes of a text literal.
pub(super) fn unescape(raw: &str) -> String {
    if !raw.contains('\\') {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => out.push('\n'),
            Some('r' | 'R') => out.push('\r'),
            Some('t' | 'T') => out.push('\t'),
            Some('b' | 'B') => out.push('\u{8}'),
            Some('f' | 'F') => out.push('\u{c}'),
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text, 4_000)
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    #[test]
    fn tokens_of_every_kind() {
        assert_eq!(
            kinds("a.B__c<=1 'x' 2026-01-02 2026-01-02T03:04:05Z -1.5"),
            [
                Kind::Word("a.B__c".into()),
                Kind::Symbol("<="),
                Kind::Int(1),
                Kind::Text("x".into()),
                Kind::Date("2026-01-02".parse().unwrap()),
                Kind::DateTime("2026-01-02T03:04:05Z".parse().unwrap()),
                Kind::Double(-1.5),
                Kind::End
            ]
        );
    }

    #[test]
    fn escapes() {
        let Kind::Text(raw) = &kinds(r"'O\'Neil \\ \n\u0041'")[0] else {
            panic!("no text")
        };
        assert_eq!(unescape(raw), "O'Neil \\ \nA");
        assert_eq!(tokens(r"'a\qb'", 10).unwrap_err().code, "MALFORMED_QUERY");
        assert_eq!(tokens("'open", 10).unwrap_err().code, "MALFORMED_QUERY");
        assert_eq!(tokens("'four'", 3).unwrap_err().code, "MALFORMED_QUERY");
        assert!(tokens("'four'", 4).is_ok());
    }

    proptest! {
        #[test]
        fn no_input_breaks_it(text in "\\PC{0,60}") {
            let _ = tokens(&text, 100);
        }

        #[test]
        fn what_is_escaped_comes_back(text in "[^\\r\\n]{0,40}") {
            let literal = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
            let tokens = tokens(&literal, 4_000).unwrap();
            let Kind::Text(raw) = &tokens[0].kind else { panic!("no text") };
            prop_assert_eq!(unescape(raw), text);
        }
    }
}
