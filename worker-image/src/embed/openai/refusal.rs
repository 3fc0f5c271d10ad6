//! What follows from an answer that is no success. Pure.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{ProviderError, limits::wait_of_refusal};

/// Longest message of a provider that is repeated, in characters.
const MESSAGE_CHARS: usize = 300;

/// Codes of an account that may ask no more until somebody pays.
const QUOTA_CODES: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];

/// Parameters that are the same for every text.
const SETTINGS: [&str; 3] = ["model", "dimensions", "encoding_format"];

/// What to do about a request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Wait, for that long if the provider says so, and ask again.
    SlowDown(Option<Duration>),
    /// Ask again, but not for ever.
    Passing(ProviderError),
    /// A text, or all of them together, are not to the provider's liking: ask for fewer of them.
    Split {
        /// What the provider says.
        message: String,
        /// Whether it says that there is too much text.
        too_long: bool,
    },
    /// Asking again is useless.
    Final(ProviderError),
}

/// Who refuses, and what may not be repeated.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    pub(super) model: &'a str,
    /// Keys and header values.
    pub(super) secrets: &'a [String],
}

/// What follows from an answer with this status, which is not 2xx.
pub(super) fn fault(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp, asked: Asked<'_>) -> Fault {
    let complaint = Complaint::read(body);
    let message = match complaint.message.as_deref().unwrap_or_default() {
        "" => format!("HTTP {status}"),
        message => format!("HTTP {status}: {}", repeatable(message, asked.secrets)),
    };
    if status == 402 || complaint.names(&QUOTA_CODES) {
        return Fault::Final(ProviderError::QuotaExhausted(message));
    }
    match status {
        // what is said of a wrong key often repeats a part of the key
        401 => Fault::Final(ProviderError::AccessDenied { status, detail: String::new() }),
        403 => {
            let detail = message.strip_prefix("HTTP 403").unwrap_or_default().to_owned();
            Fault::Final(ProviderError::AccessDenied { status, detail })
        }
        429 => Fault::SlowDown(wait_of_refusal(headers, now)),
        503 if headers.contains_key("retry-after") => Fault::SlowDown(wait_of_refusal(headers, now)),
        408 | 409 | 423..=425 | 499 | 500..=599 => Fault::Passing(ProviderError::Unavailable(message)),
        300..=399 => Fault::Final(ProviderError::Setting {
            field: "url",
            problem: format!(
                "the server redirects (HTTP {status}), which is not followed; give the URL that it redirects to"
            ),
        }),
        404 | 405 | 410 => Fault::Final(ProviderError::NotFound {
            host: asked.host.to_owned(),
            model: asked.model.to_owned(),
            detail: message,
        }),
        400 | 422 if complaint.param.as_deref().is_some_and(|param| SETTINGS.contains(&param)) => {
            Fault::Final(ProviderError::RequestRefused(message))
        }
        400 | 413 | 422 => Fault::Split { too_long: status == 413 || complaint.is_too_long(), message },
        _ => Fault::Final(ProviderError::RequestRefused(message)),
    }
}

/// The error in an answer's body, as far as there is one. OpenAI: `{"error": {"message", "type", "param", "code"}}`;
/// vLLM leaves out `error`, TEI and Ollama write a text in its place, FastAPI `{"detail": …}`.
#[derive(Debug, Default)]
struct Complaint {
    message: Option<String>,
    codes: Vec<String>,
    param: Option<String>,
}

impl Complaint {
    fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(&body);
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        Self {
            message: error
                .as_str()
                .map(str::to_owned)
                .or_else(|| text(error, "message"))
                .or_else(|| text(&body, "message"))
                .or_else(|| text(&body, "detail")),
            codes: ["code", "type", "error_type"].iter().filter_map(|&name| text(error, name)).collect(),
            param: text(error, "param"),
        }
    }

    fn names(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    /// Providers agree on no code for this.
    fn is_too_long(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_lowercase();
        self.names(&["context_length_exceeded"])
            || ["context length", "too long", "too large", "tokens"].iter().any(|words| message.contains(words))
    }
}

/// One line without secrets, cut.
fn repeatable(message: &str, secrets: &[String]) -> String {
    let mut message = message.to_owned();
    for secret in secrets {
        message = message.replace(secret, "…");
    }
    let one_line = message.chars().map(|character| if character.is_control() { ' ' } else { character });
    one_line.take(MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> Fault {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let secrets = ["sk-s3cret".to_owned()];
        let asked = Asked { host: "api.example", model: "m", secrets: &secrets };
        fault(status, &headers, body.as_bytes(), Timestamp::UNIX_EPOCH, asked)
    }

    #[rstest]
    #[case::key(401, r#"{"error":{"message":"Incorrect key sk-s3cret"}}"#, "ProviderAccessDenied", "")]
    #[case::country(
        403,
        r#"{"error":{"message":"not for sk-s3cret in your country"}}"#,
        "ProviderAccessDenied",
        "(HTTP 403: not for … in your country)"
    )]
    #[case::quota(
        429,
        r#"{"error":{"code":"insufficient_quota","message":"pay"}}"#,
        "ProviderQuotaExhausted",
        "(HTTP 429: pay)"
    )]
    #[case::quota_by_type(403, r#"{"error":{"type":"insufficient_quota"}}"#, "ProviderQuotaExhausted", "(HTTP 403)")]
    #[case::unpaid(402, "", "ProviderQuotaExhausted", "(HTTP 402)")]
    #[case::no_model(
        404,
        r#"{"error":{"message":"no model m"}}"#,
        "ProviderModelNotFound",
        "at api.example knows no model 'm'"
    )]
    #[case::parameter(
        400,
        r#"{"error":{"message":"no","param":"dimensions"}}"#,
        "ProviderRequestRefused",
        "(HTTP 400: no)"
    )]
    #[case::moved(308, "", "ProviderSettingInvalid", "spec.embedding.openAI.url: the server redirects")]
    #[case::proxy(407, "", "ProviderRequestRefused", "(HTTP 407)")]
    fn some_end_the_run(#[case] status: u16, #[case] body: &str, #[case] reason: &str, #[case] message: &str) {
        let Fault::Final(error) = of(status, &[("retry-after", "1")], body) else { panic!("not final") };
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains(message) && !error.to_string().contains("s3cret"), "{error}");
        assert!(super::super::super::EmbedError::from(error).ends_run());
    }

    #[rstest]
    #[case(429, &[], None)]
    #[case(429, &[("retry-after", "5")], Some(5))]
    #[case(503, &[("retry-after", "5")], Some(5))]
    fn some_are_waited_for(#[case] status: u16, #[case] headers: &[(&'static str, &str)], #[case] wait: Option<u64>) {
        assert_eq!(of(status, headers, "<html>"), Fault::SlowDown(wait.map(Duration::from_secs)));
    }

    #[rstest]
    #[case(408)]
    #[case(409)]
    #[case(424)]
    #[case(500)]
    #[case(503)]
    #[case(529)]
    fn some_may_pass(#[case] status: u16) {
        let Fault::Passing(error) = of(status, &[], "<html>") else { panic!("does not pass") };
        assert_eq!(error.to_string(), format!("the embedding provider cannot answer at the moment (HTTP {status})"));
    }

    #[rstest]
    #[case::openai(400, r#"{"error":{"message":"maximum context length is 8192","param":null,"code":null}}"#, true)]
    #[case::by_code(400, r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#, true)]
    #[case::vllm(400, r#"{"object":"error","message":"maximum context length","code":400}"#, true)]
    #[case::tei(422, r#"{"error":"`inputs` must have less than 512 tokens","error_type":"Validation"}"#, true)]
    #[case::by_status(413, "", true)]
    #[case::input(400, r#"{"error":{"message":"bad input","param":"input"}}"#, false)]
    #[case::silent(400, "", false)]
    fn some_are_about_the_texts(#[case] status: u16, #[case] body: &str, #[case] expected: bool) {
        let Fault::Split { too_long, message } = of(status, &[], body) else { panic!("does not split") };
        assert_eq!(too_long, expected, "{message}");
    }

    #[test]
    fn messages_are_cut() {
        let body = format!(r#"{{"error":"{}"}}"#, "long\\n".repeat(1000));
        let Fault::Split { message, .. } = of(400, &[], &body) else { panic!("does not split") };
        assert!(message.chars().count() < 320 && !message.contains('\n'), "{message}");
    }
}
