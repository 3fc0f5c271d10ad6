//! The routes. Serves HTTP.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Response, StatusCode, Uri},
    routing::{get, post},
};

use crate::{
    Counts, Fault, Script, State,
    answer::{Request, answer, refusal},
    locked,
};

type Shared = Arc<Mutex<State>>;

pub(crate) fn router(state: Shared) -> Router {
    Router::new()
        .route("/script", post(play))
        .route("/counts", get(counts))
        .fallback(embeddings)
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

async fn play(extract::State(state): extract::State<Shared>, Json(script): Json<Script>) -> StatusCode {
    *locked(&state) = State { script, ..State::default() };
    StatusCode::NO_CONTENT
}

async fn counts(extract::State(state): extract::State<Shared>) -> Json<Counts> {
    Json(locked(&state).counts.clone())
}

/// Whatever ends in `/embeddings`: Azure has its deployments before it.
async fn embeddings(
    extract::State(state): extract::State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if !uri.path().ends_with("/embeddings") {
        return refusal(404, None, None, "there is nothing here");
    }
    let request = serde_json::from_slice::<Request>(&body);
    let texts = request.as_ref().map_or(0, |request| request.texts().len());
    let (script, fault, open) = begin(&state, texts);
    let response = match &request {
        Err(error) => refusal(400, None, None, &error.to_string()),
        Ok(request) => match script.require.iter().all(|(name, value)| is(&headers, name, value)) {
            true => answer(&script, &fault, request),
            false => refusal(401, Some("invalid_api_key"), None, "a header is missing"),
        },
    };
    if let Fault::Slow { milliseconds } = fault {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let mut state = locked(&state);
    *state.counts.statuses.entry(response.status().as_u16()).or_default() += 1;
    if response.status().is_success() {
        state.counts.answered_texts += texts;
    }
    drop(state);
    drop(open);
    response
}

fn begin(state: &Shared, texts: usize) -> (Script, Fault, Open) {
    let mut guard = locked(state);
    let State { script, counts, bucket } = &mut *guard;
    let fault = match script.requests_per_minute.is_none_or(|limit| bucket.take(limit, Instant::now())) {
        true => script.fault(counts.requests),
        false => Fault::slow_down([("retry-after", "1")]),
    };
    counts.requests += 1;
    counts.texts += texts;
    counts.largest_request = counts.largest_request.max(texts);
    counts.open += 1;
    counts.most_open = counts.most_open.max(counts.open);
    (script.clone(), fault, Open(Arc::clone(state)))
}

/// A request that is open, until it is answered or its client goes away.
struct Open(Shared);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = locked(&self.0);
        // a new script begins to count at 0, whatever is open
        state.counts.open = state.counts.open.saturating_sub(1);
    }
}

fn is(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).is_some_and(|given| given.as_bytes() == value.as_bytes())
}
