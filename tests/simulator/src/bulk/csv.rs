//! The CSV of results: every value in quotes (facts: Salesforce changes E5).

use crate::clock::{json_datetime, xml_datetime};
use crate::schema::Value;

/// How a job wants its rows written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The delimiter and its name.
    pub(crate) delimiter: (&'static str, char),
    /// The line ending and its name.
    pub(crate) line_ending: (&'static str, &'static str),
    /// Whether stamps end with `Z`.
    pub(crate) zulu: bool,
}

impl Form {
    /// The form with these names, if there are such.
    pub(crate) fn named(delimiter: &str, line_ending: &str, zulu: bool) -> Option<Self> {
        let delimiters = [
            ("BACKQUOTE", '`'),
            ("CARET", '^'),
            ("COMMA", ','),
            ("PIPE", '|'),
            ("SEMICOLON", ';'),
            ("TAB", '\t'),
        ];
        let endings = [("LF", "\n"), ("CRLF", "\r\n")];
        Some(Self {
            delimiter: *delimiters.iter().find(|(name, _)| *name == delimiter)?,
            line_ending: *endings.iter().find(|(name, _)| *name == line_ending)?,
            zulu,
        })
    }

    /// Appends a line of texts.
    pub(crate) fn names<'t>(&self, out: &mut String, texts: impl Iterator<Item = &'t str>) {
        for (at, text) in texts.enumerate() {
            self.begin(out, at);
            quoted(out, text);
        }
        out.push_str(self.line_ending.1);
    }

    /// Appends a line of values.
    pub(crate) fn values<'v>(&self, out: &mut String, values: impl Iterator<Item = &'v Value>) {
        for (at, value) in values.enumerate() {
            self.begin(out, at);
            match value {
                // Nothing tells null from an empty text.
                Value::Null => out.push_str("\"\""),
                Value::Bool(true) => out.push_str("\"true\""),
                Value::Bool(false) => out.push_str("\"false\""),
                Value::Int(number) => quoted(out, &number.to_string()),
                Value::Double(number) => quoted(out, &number.to_string()),
                Value::Text(text) => quoted(out, text),
                Value::Date(day) => quoted(out, &day.to_string()),
                Value::DateTime(at) if self.zulu => quoted(out, &xml_datetime(*at)),
                Value::DateTime(at) => quoted(out, &json_datetime(*at)),
            }
        }
        out.push_str(self.line_ending.1);
    }

    fn begin(&self, out: &mut String, at: usize) {
        if at > 0 {
            out.push(self.delimiter.1);
        }
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_quotes_doubled() {
        let form = Form::named("COMMA", "LF", true).unwrap();
        let mut out = String::new();
        form.names(&mut out, ["Id", "Account.Name"].into_iter());
        let stamp = Value::DateTime("2026-11-23T10:35:14Z".parse().unwrap());
        let name = Value::text("a \"b\",\nc");
        form.values(&mut out, [&stamp, &name, &Value::Null].into_iter());
        assert_eq!(
            out,
            "\"Id\",\"Account.Name\"\n\"2026-11-23T10:35:14.000Z\",\"a \"\"b\"\",\nc\",\"\"\n"
        );
        assert_eq!(Form::named("COLON", "LF", true), None);
    }
}
