//! One line of the log: a JSON object with the fields of an event, and those of the spans around it. No I/O.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// Lines that all have these fields. Where two have the same name, that of the event goes before that of a span, and an
/// inner span before those around it: a name is there once.
pub(crate) struct Line(pub(crate) Map<String, Value>);

impl<S> FormatEvent<S, JsonFields> for Line
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = self.0.clone();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>() {
                line.extend(read(fields));
            }
        }
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        line.extend(read(&fields));
        let metadata = event.metadata();
        for (name, value) in [
            ("timestamp", Timestamp::now().to_string()),
            ("level", metadata.level().to_string()),
            ("target", metadata.target().to_owned()),
        ] {
            line.insert(name.to_owned(), Value::String(value));
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Fields as [`JsonFields`] writes them.
fn read(fields: &str) -> Map<String, Value> {
    serde_json::from_str(fields).unwrap_or_default()
}
