//! The answers, good and bad. No I/O.

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Response, StatusCode, header::RETRY_AFTER},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::stream;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Fault, LONG, NOT_FINITE, POISON, Script, vector};

/// A request, as far as the server heeds it.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) input: Input,
    #[serde(default)]
    dimensions: Option<usize>,
    #[serde(default)]
    encoding_format: Option<String>,
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Input {
    One(String),
    Several(Vec<String>),
}

impl Request {
    pub(crate) fn texts(&self) -> &[String] {
        match &self.input {
            Input::One(text) => std::slice::from_ref(text),
            Input::Several(texts) => texts,
        }
    }
}

/// What a request gets.
pub(crate) fn answer(script: &Script, fault: &Fault, request: &Request) -> Response<Body> {
    match fault {
        Fault::Status { status, code, param, message, headers } => {
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            with_headers(refusal(*status, code.as_deref(), param.as_deref(), message), pairs)
        }
        Fault::RetryAfterDate { seconds } => {
            let time = Timestamp::now().saturating_add(SignedDuration::from_secs(*seconds)).unwrap_or(Timestamp::MAX);
            let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default();
            let refusal = refusal(429, Some("rate_limit_exceeded"), None, "slow down");
            with_headers(refusal, [(RETRY_AFTER.as_str(), date.as_str())])
        }
        Fault::Page => response(200, Body::from("<html><title>Welcome</title></html>")),
        _ => objection(script, request).unwrap_or_else(|| vectors(script, fault, request)),
    }
}

pub(crate) fn refusal(status: u16, code: Option<&str>, param: Option<&str>, message: &str) -> Response<Body> {
    let error = json!({ "error": { "message": message, "type": "by_script", "param": param, "code": code } });
    response(status, Body::from(error.to_string()))
}

/// What is wrong with the texts themselves.
fn objection(script: &Script, request: &Request) -> Option<Response<Body>> {
    let texts = request.texts();
    if texts.is_empty() || texts.iter().any(String::is_empty) {
        return Some(refusal(400, None, Some("input"), "input is empty"));
    }
    if texts.len() > script.max_items {
        return Some(refusal(413, None, None, "too many texts"));
    }
    if texts.iter().any(|text| text.contains(POISON)) {
        return Some(refusal(400, None, Some("input"), "one of the texts is poison"));
    }
    let long = |text: &String| text.contains(LONG) || text.split_whitespace().count() > script.max_words;
    texts.iter().any(long).then(|| {
        refusal(400, Some("context_length_exceeded"), Some("input"), "the maximum context length of this model is less")
    })
}

fn vectors(script: &Script, fault: &Fault, request: &Request) -> Response<Body> {
    let mut dimension = request.dimensions.filter(|_| !script.fixed_dimension).unwrap_or(script.dimension);
    if *fault == Fault::WrongDimension {
        dimension += 1;
    }
    let numbers = script.only_numbers || request.encoding_format.as_deref() != Some("base64");
    let datum = |(index, text): (usize, &String)| {
        let mut vector = vector(text, dimension);
        if *fault == Fault::NotFinite || text.contains(NOT_FINITE) {
            vector.fill(f32::NAN);
        }
        let index = if *fault == Fault::SameIndex { 0 } else { index };
        let embedding = match numbers {
            // JSON has null in place of what is not finite
            true => json!(vector),
            false => json!(STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())),
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    };
    let texts = request.texts();
    let mut data: Vec<Value> = texts.iter().enumerate().map(datum).collect();
    if *fault == Fault::Reversed {
        data.reverse();
    }
    if *fault == Fault::WrongCount {
        data.pop();
    }
    let tokens: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    let body = json!({ "object": "list", "data": data, "model": "by-script", "usage": usage }).to_string();
    match fault {
        Fault::Reset => {
            let half = Bytes::from(body.get(..body.len() / 2).unwrap_or_default().to_owned());
            let broken = std::io::Error::other("the script breaks off here");
            response(200, Body::from_stream(stream::iter([Ok(half), Err(broken)])))
        }
        Fault::Headers { headers } => {
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            with_headers(response(200, Body::from(body)), pairs)
        }
        _ => response(200, Body::from(body)),
    }
}

fn response(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn with_headers<'a>(
    mut response: Response<Body>,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Response<Body> {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
