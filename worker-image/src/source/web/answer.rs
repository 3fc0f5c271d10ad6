//! What a web server's answer means. Pure.

use jiff::Timestamp;
use reqwest::{
    StatusCode, Url,
    header::{ETAG, HeaderMap, LAST_MODIFIED, LOCATION, RETRY_AFTER},
};

use crate::{http::retry_after, source::SourceError};

/// Whether it is the same host and port, and no less protected.
pub(super) fn may_see_headers(own: &Url, target: &Url) -> bool {
    let as_protected = target.scheme() == own.scheme() || target.scheme() == "https";
    own.host() == target.host() && own.port() == target.port() && as_protected
}

/// Where an answer redirects to.
pub(in crate::source) fn redirection(from: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// What is wrong with an answer; nothing if it carries a document.
pub(in crate::source) fn refusal(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<SourceError> {
    let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let code = status.as_u16();
    let slow_down =
        || Some(SourceError::SlowDown { status: code, retry_after: wait.and_then(|value| retry_after(value, now)) });
    match code {
        200..=299 => None,
        401 | 403 => {
            Some(SourceError::Refused { answer: format!("HTTP {code}"), check: "spec.source.http.headersSecretRef" })
        }
        404 | 410 => Some(SourceError::Gone { detail: format!("HTTP {code}") }),
        429 => slow_down(),
        503 if wait.is_some() => slow_down(),
        408 | 425 | 500..=599 => Some(SourceError::ServerError { status: code }),
        _ => Some(SourceError::Rejected { answer: format!("HTTP {code}") }),
    }
}

/// What changes when the content does: the entity tag, or the time of the last change where there is none.
pub(super) fn version(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(ETAG).or_else(|| headers.get(LAST_MODIFIED))?;
    value.to_str().ok().filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    const NOW: &str = "2026-11-24T10:00:00Z";

    #[rstest]
    #[case(401, None, "SourceAccessDenied")]
    #[case(404, None, "SourceGone")]
    #[case(410, None, "SourceGone")]
    #[case(429, None, "SourceRateLimited")]
    #[case(503, Some("1"), "SourceRateLimited")]
    #[case(503, None, "SourceServerError")]
    #[case(418, None, "SourceRejected")]
    fn each_status_has_its_reason(#[case] status: u16, #[case] retry_after: Option<&str>, #[case] reason: &str) {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|value| (RETRY_AFTER, value.parse().unwrap())));
        let error = refusal(StatusCode::from_u16(status).unwrap(), &headers, NOW.parse().unwrap()).unwrap();
        assert_eq!(error.reason(), reason);
    }

    #[rstest]
    #[case("https://a.example/x", "https://a.example/y", true)]
    #[case("http://a.example/x", "https://a.example/x", true)]
    #[case("https://a.example/x", "http://a.example/x", false)]
    #[case("https://a.example/x", "https://b.example/x", false)]
    #[case("https://a.example/x", "https://a.example:8443/x", false)]
    fn headers_stay_with_the_host(#[case] own: &str, #[case] target: &str, #[case] expected: bool) {
        assert_eq!(may_see_headers(&own.parse().unwrap(), &target.parse().unwrap()), expected);
    }
}
