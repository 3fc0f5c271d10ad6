//! `/progress`, `/metrics` and `/healthz` over HTTP. Serves the network.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use lexigram_api::contract::Progress;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::{Tracker, metrics};

/// The media type of OpenMetrics, which is what the encoder writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Shared {
    tracker: Arc<Tracker>,
    registry: Arc<Registry>,
}

/// Serves until the process ends.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, tracker: Arc<Tracker>) -> std::io::Result<()> {
    let registry = Arc::new(metrics::registry(Arc::clone(&tracker)));
    let routes = Router::new()
        .route("/progress", get(progress))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(async || "ok"))
        .with_state(Shared { tracker, registry });
    axum::serve(listener, routes).await
}

async fn progress(State(shared): State<Shared>) -> Json<Progress> {
    Json(shared.tracker.progress())
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    match metrics::text(&shared.registry) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
