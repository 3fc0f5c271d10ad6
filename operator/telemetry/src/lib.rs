//! What a process tells of its work while it is at it: logs, one JSON object a line, and traces by OTLP where that is
//! asked for.
//!
//! - `line`: a line of the log
//! - `traces`: spans on their way to a collector
//! - `parent`: a trace that goes on in another process

mod line;
mod parent;
mod traces;

use serde_json::{Map, Value};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use line::Line;
pub use parent::{follow, traceparent};
pub use traces::Traces;

/// How a process tells of itself.
pub struct Telemetry<'a> {
    /// Its name in traces.
    pub service: &'static str,
    /// What is logged.
    pub filter: EnvFilter,
    /// Fields of every line; those of an event or a span go before them.
    pub fields: Map<String, Value>,
    /// The base URL of a collector, as in `OTEL_EXPORTER_OTLP_ENDPOINT`; no traces are made where absent.
    pub collector: Option<&'a str>,
}

impl Telemetry<'_> {
    /// Begins to log, and to trace, in the whole process. Traces that cannot be made are told of in the log: work goes on
    /// without them.
    pub fn start<W>(self, output: W) -> Traces
    where
        W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    {
        let (subscriber, traces, problem) = self.build(output);
        subscriber.init();
        if let Some(problem) = problem {
            tracing::warn!("no traces are made: {problem}");
        }
        traces
    }

    /// As [`start`](Self::start), for whoever sets the subscriber, and says why no traces are made if they cannot be.
    pub fn build<W>(self, output: W) -> (impl Subscriber + Send + Sync + use<W>, Traces, Option<String>)
    where
        W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    {
        let (traces, problem) = match self.collector.map(|url| Traces::to(url, self.service)).transpose() {
            Ok(traces) => (traces.unwrap_or_default(), None),
            Err(problem) => (Traces::default(), Some(problem.to_string())),
        };
        let lines = fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(Line(self.fields))
            .with_writer(output)
            .with_filter(self.filter);
        let subscriber = tracing_subscriber::registry().with(lines).with(traces.layer(self.service));
        (subscriber, traces, problem)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use serde_json::json;
    use tempfile::NamedTempFile;
    use tracing::subscriber::with_default;

    use super::*;

    /// The lines that are logged meanwhile.
    fn lines(filter: &str, fields: Value, log: impl FnOnce()) -> Vec<Value> {
        let Value::Object(fields) = fields else { panic!("no fields") };
        let written = NamedTempFile::new().unwrap();
        let output = Arc::new(written.reopen().unwrap());
        let telemetry = Telemetry { service: "test", filter: EnvFilter::new(filter), fields, collector: None };
        let (subscriber, _traces, _problem) = telemetry.build(output);
        with_default(subscriber, log);
        let text = fs::read_to_string(&written).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_holds_what_the_event_and_the_spans_around_it_say() {
        let lines = lines("info", json!({"run": "a-r1"}), || {
            tracing::error_span!("outer", object = "docs/a", uid = "u1", step = 1).in_scope(|| {
                tracing::info_span!("inner", step = 2)
                    .in_scope(|| tracing::warn!(attempts = 3, "\"quoted\"\nand more"));
            });
            tracing::info!(run = "b-r1", "outside");
        });
        let [inner, outside] = &lines[..] else { panic!("{lines:?}") };
        for (field, value) in [
            ("level", json!("WARN")),
            ("target", json!("lexigram_telemetry::tests")),
            ("message", json!("\"quoted\"\nand more")),
            ("attempts", json!(3)),
            ("object", json!("docs/a")),
            ("uid", json!("u1")),
            ("run", json!("a-r1")),
            ("step", json!(2)),
        ] {
            assert_eq!(inner[field], value, "{field} of {inner}");
        }
        assert!(inner["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{inner}");
        assert_eq!((&outside["run"], outside.get("object")), (&json!("b-r1"), None));
    }

    #[test]
    fn fields_that_are_known_later_are_told_from_then_on() {
        let lines = lines("info", json!({}), || {
            let span = tracing::error_span!("outer", object = "docs/a", run = tracing::field::Empty);
            span.in_scope(|| {
                tracing::info!("before");
                span.record("run", "a-r1");
                tracing::info!("after");
            });
        });
        assert_eq!(
            (lines[0].get("run"), &lines[1]["run"], &lines[1]["object"]),
            (None, &json!("a-r1"), &json!("docs/a"))
        );
    }

    #[test]
    fn a_filter_for_warnings_leaves_the_fields_of_spans_at_the_level_of_errors() {
        let lines = lines("warn", json!({}), || {
            tracing::error_span!("outer", uid = "u1").in_scope(|| {
                tracing::info!("unheard");
                tracing::warn!("heard");
            });
        });
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["message"], &lines[0]["uid"]), (&json!("heard"), &json!("u1")));
    }
}
