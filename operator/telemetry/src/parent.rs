//! A trace that goes on in another process, by the words of W3C's trace context. No I/O.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header, and in lower case the environment variable, that names the parent.
const TRACEPARENT: &str = "traceparent";

/// The current span, for a process that goes on with it; nothing where no traces are made.
#[must_use]
pub fn traceparent() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Has a span, which nothing was done in yet, go on with what another process has begun. Without traces, and with words
/// that say nothing, it stands for itself.
pub fn follow(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let _no_traces_are_made = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}
