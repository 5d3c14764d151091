//! Writes one JSON object for each line: the fields of the event, and those of the spans around it.
//!
//! The library's own format is not used: it writes a span's name and a field called `name` under
//! the same key, and a reader keeps only one of them. Here the fields are on the top level, so that
//! `select(.name == "acme")` finds every line about acme.

use std::error::Error;
use std::fmt;
use std::fmt::Debug;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The log format. The fields of the spans must be formatted as JSON.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Line(Map::new());
        line.add("timestamp", timestamp);
        line.add("level", metadata.level().as_str());
        line.add("target", metadata.target());
        event.record(&mut line);
        let mut names = Vec::new();
        // From the innermost to the outermost span: the field closest to the event wins.
        for span in context.event_scope().into_iter().flatten() {
            names.push(span.name());
            let extensions = span.extensions();
            let fields = extensions
                .get::<FormattedFields<N>>()
                .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
            for (name, value) in fields.into_iter().flatten() {
                line.add(&name, value);
            }
        }
        if !names.is_empty() {
            names.reverse();
            line.add("span", names.join(":"));
        }
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// A line that is being written. The first value of a name wins.
struct Line(Map<String, Value>);

impl Line {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    fn add_field(&mut self, field: &Field, value: impl Into<Value>) {
        // A field whose name is a keyword is written as a raw identifier.
        let name = field.name();
        self.add(name.strip_prefix("r#").unwrap_or(name), value);
    }
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add_field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add_field(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_field(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add_field(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_field(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add_field(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add_field(field, format!("{value:?}"));
    }
}
