//! One content, written as plain text and as HTML. What comes from outside is made harmless here:
//! one line, no control characters, no telephone numbers.

use crate::plain_text::plain;
use crate::salesforce::escape_markup;

/// The longest value of a row, in characters.
const MAX_VALUE: usize = 1000;
/// Digits in a row from which a text counts as a telephone number. A date has eight.
const MIN_NUMBER: usize = 9;

/// The content of a mail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    pub subject: String,
    pub title: String,
    pub rows: Vec<Row>,
    pub command_title: &'static str,
    pub command: String,
    pub footer: &'static str,
    /// The language as a tag for HTML.
    pub language: &'static str,
}

/// A label and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    label: &'static str,
    value: String,
}

// === impl Row ===

impl Row {
    /// A row whose value is this program's own.
    pub(super) fn own(label: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self { label, value }
    }

    /// A row whose value comes from outside.
    pub(super) fn new(label: &'static str, value: impl AsRef<str>) -> Self {
        let value = without_numbers(&shorten(&clean(value.as_ref()), MAX_VALUE));
        Self { label, value }
    }
}

// === impl Page ===

impl Page {
    /// The plain text.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for row in &self.rows {
            text.push_str(&format!("\n{}:\n  {}\n", row.label, row.value));
        }
        text.push_str(&format!("\n{}:\n  {}\n", self.command_title, self.command));
        text.push_str(&format!("\n-- \n{}\n", self.footer));
        text
    }

    /// The HTML: no picture, no link, no script, so that nothing is fetched and nothing blocked.
    pub(super) fn html(&self) -> String {
        let rows: String = self
            .rows
            .iter()
            .map(|row| {
                format!(
                    "<tr><th scope=\"row\" style=\"text-align:left;vertical-align:top;padding:4px 16px 4px 0;white-space:nowrap\">{}</th><td style=\"padding:4px 0\">{}</td></tr>\n",
                    escape_markup(row.label),
                    escape_markup(&row.value)
                )
            })
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body style=\"font-family:sans-serif;font-size:14px;line-height:1.5\">\n<h1 style=\"font-size:18px\">{title}</h1>\n<table style=\"border-collapse:collapse\">\n{rows}</table>\n<p>{command_title}:</p>\n<pre style=\"padding:8px;background:#f4f4f4;white-space:pre-wrap\">{command}</pre>\n<p style=\"color:#595959\">{footer}</p>\n</body>\n</html>\n",
            language = self.language,
            title = escape_markup(&self.title),
            command_title = escape_markup(self.command_title),
            command = escape_markup(&self.command),
            footer = escape_markup(self.footer),
        )
    }
}

/// The text on one line, without characters that control a terminal, a header or the direction of
/// writing.
pub(super) fn clean(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first `most` characters.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept + "…"
}

/// The text with every run of digits that is long enough for a telephone number taken out. A
/// message of Salesforce may repeat what was looked up.
pub(super) fn without_numbers(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_numeric()) {
        let run = &rest[start..];
        let joins = |c: char| c.is_numeric() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/');
        let end = run.find(|c: char| !joins(c)).unwrap_or(run.len());
        // Trailing punctuation belongs to the sentence.
        let number = run[..end].trim_end_matches(|c: char| !c.is_numeric());
        cleaned.push_str(&rest[..start]);
        if number.chars().filter(|c| c.is_numeric()).count() >= MIN_NUMBER {
            cleaned.push('…');
        } else {
            cleaned.push_str(number);
        }
        rest = &run[number.len()..];
    }
    cleaned + rest
}
