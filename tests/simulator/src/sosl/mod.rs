//! SOSL, as far as a search in phone fields needs it: `FIND {…} IN … FIELDS RETURNING …`.

mod index;

pub use index::Index;
pub(crate) use index::Term;

use crate::soql::QueryError;

/// A parsed statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// The search text as it stands between the braces.
    pub(crate) text: String,
    /// `PHONE`, `ALL`, …
    pub(crate) fields: String,
    /// The objects, each with the fields and clauses in its parentheses.
    pub(crate) returning: Vec<(String, String)>,
}

/// Parses a statement.
pub(crate) fn parse(statement: &str) -> Result<Search, QueryError> {
    let malformed = |message: &str| QueryError::new("MALFORMED_SEARCH", message);
    let no_term = || malformed("No search term found. The search term must be enclosed in braces.");
    let rest = strip_word(statement, "FIND").ok_or_else(no_term)?;
    let rest = rest.strip_prefix('{').ok_or_else(no_term)?;
    let (text, rest) = split_unescaped(rest, '}').ok_or_else(no_term)?;
    let (fields, rest) = match strip_word(rest, "IN") {
        Some(rest) => {
            let (name, rest) = rest
                .split_once(' ')
                .ok_or_else(|| malformed("unexpected token: '<EOF>'"))?;
            let rest = strip_word(rest, "FIELDS").ok_or_else(|| malformed("expecting FIELDS"))?;
            (name.to_uppercase(), rest)
        }
        None => ("ALL".to_owned(), rest.trim_start()),
    };
    let mut returning = Vec::new();
    if let Some(mut list) = strip_word(rest, "RETURNING") {
        loop {
            let end = list
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(list.len());
            let (object, after) = list.split_at(end);
            if object.is_empty() {
                return Err(malformed("unexpected token in RETURNING"));
            }
            let (inner, after) = match after.trim_start().strip_prefix('(') {
                Some(inner) => closing(inner).ok_or_else(|| malformed("missing ')'"))?,
                None => ("Id", after),
            };
            returning.push((object.to_owned(), inner.trim().to_owned()));
            match after.trim_start().strip_prefix(',') {
                Some(next) => list = next.trim_start(),
                None => break,
            }
        }
    }
    Ok(Search {
        text: text.to_owned(),
        fields,
        returning,
    })
}

/// The text after a keyword and the blanks behind it.
fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let text = text.trim_start();
    let (begin, rest) = text.split_at_checked(word.len())?;
    let ends = rest.is_empty() || rest.starts_with(|c: char| !c.is_ascii_alphanumeric());
    (begin.eq_ignore_ascii_case(word) && ends).then(|| rest.trim_start())
}

fn split_unescaped(text: &str, end: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == end => return Some((&text[..at], &text[at + c.len_utf8()..])),
            _ => {}
        }
    }
    None
}

/// The text up to the parenthesis that closes, and the text after it.
fn closing(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

/// The alternatives of a search text, each a list of terms that must all be there.
///
/// Above the limit AND and OR are dropped and all terms must be there (facts: Salesforce 2.6).
pub(crate) fn alternatives(text: &str, limit: usize) -> Result<Vec<Vec<Term>>, QueryError> {
    let malformed = |message: &str| QueryError::new("MALFORMED_SEARCH", message);
    let mut found: Vec<Vec<Term>> = vec![Vec::new()];
    let joined = text.chars().count() > limit;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (term, after) = if let Some(quoted) = rest.strip_prefix('"') {
            split_unescaped(quoted, '"').ok_or_else(|| malformed("missing '\"'"))?
        } else {
            rest.split_once(' ').unwrap_or((rest, ""))
        };
        let is_quoted = rest.starts_with('"');
        rest = after.trim_start();
        match term {
            "OR" | "AND" if !is_quoted && joined => {}
            "OR" if !is_quoted => found.push(Vec::new()),
            "AND" if !is_quoted => {}
            term => {
                let term = Term::read(term).map_err(|message| malformed(&message))?;
                if let Some(last) = found.last_mut() {
                    last.push(term);
                }
            }
        }
    }
    if found.iter().any(Vec::is_empty) {
        return Err(malformed(
            "No search term found. The search term must be enclosed in braces.",
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_taken_apart() {
        let search = parse(
            "FIND {\"1234 5678\" OR 0312345678 OR a\\}b} IN PHONE FIELDS RETURNING Contact(Id, Name WHERE (Name != ')') LIMIT 3), Lead WITH SPELL_CORRECTION = false",
        )
        .unwrap();
        assert_eq!(search.fields, "PHONE");
        assert_eq!(
            search.returning,
            [
                (
                    "Contact".to_owned(),
                    "Id, Name WHERE (Name != ')') LIMIT 3".to_owned()
                ),
                ("Lead".to_owned(), "Id".to_owned())
            ]
        );
        assert_eq!(alternatives(&search.text, 4_000).unwrap().len(), 3);
        assert_eq!(
            alternatives(&search.text, 10).unwrap().len(),
            1,
            "OR is dropped"
        );
        for bad in [
            "FIND x",
            "FIND {}",
            "FIND {a OR }",
            "FIND {+81312345678}",
            "FIND {*12}",
            "FIND {1}",
        ] {
            let read = parse(bad).and_then(|search| alternatives(&search.text, 4_000));
            assert_eq!(read.unwrap_err().code, "MALFORMED_SEARCH", "{bad}");
        }
    }
}
