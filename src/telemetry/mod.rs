//! Logs: one line for each decision, as text on a terminal and as JSON in a pod. Both formats
//! contain the fields of the spans around the line.

mod json;
#[cfg(test)]
pub(crate) mod testing;

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::util::SubscriberInitExt;

use self::json::JsonLines;

/// Starts logging to standard error. `RUST_LOG` sets the filter; the default is `info`.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    if std::io::stderr().is_terminal() {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_target(false)
            .init();
    } else {
        json(filter, std::io::stderr).init();
    }
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines)
        .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tracing::field::Empty;
    use tracing::{debug, error_span, info, warn};

    use super::testing::Log;

    #[test]
    fn a_line_of_json_carries_the_fields_of_its_spans() {
        let log = Log::start("info");
        let outer = error_span!("run", company = "acme", attempt = 1, late = Empty);
        outer.in_scope(|| {
            let inner = error_span!("reconcile", namespace = "tenants", name = "acme");
            inner.in_scope(|| {
                outer.record("late", 7);
                info!(attempt = 2, target = "taken", level = true, "decided");
                debug!("not asked for");
            });
        });
        warn!(error = %"e", r#type = ?Some("t"), share = 0.5, "alone");
        let mut lines = log.lines();
        for line in &mut lines {
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        }
        let target = "switchboard::telemetry::tests";
        assert_eq!(
            lines,
            [
                json!({"level": "INFO", "target": target, "message": "decided", "attempt": 2, "namespace": "tenants", "name": "acme",
                    "company": "acme", "late": 7, "span": "run:reconcile"}),
                json!({"level": "WARN", "target": target, "message": "alone", "error": "e", "type": "Some(\"t\")", "share": 0.5}),
            ]
        );
    }

    #[test]
    fn a_span_shows_whatever_the_level_is() {
        let log = Log::start("error");
        error_span!("reconcile", name = "acme").in_scope(|| tracing::error!("failed"));
        assert_eq!(log.lines()[0]["name"], "acme");
    }
}
