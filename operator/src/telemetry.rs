//! Logs: one JSON object a line on standard output. Writes standard output.

use tracing_subscriber::{EnvFilter, fmt};

/// Begins to log. `filter` is a level, or a list of `target=level`, as in `RUST_LOG`.
///
/// # Errors
/// If the filter cannot be understood.
pub fn init(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    fmt().json().flatten_event(true).with_current_span(false).with_env_filter(filter).init();
    Ok(())
}
