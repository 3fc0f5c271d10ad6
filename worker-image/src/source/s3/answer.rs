//! What an S3 server's refusal means. Pure.

use jiff::Timestamp;
use quick_xml::{Reader, events::Event};
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use crate::{http::retry_after, source::SourceError};

/// The text of the first element of that name, whatever it stands in.
pub(super) fn text_of(xml: &str, element: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == element.as_bytes() => {
                let text = reader.read_text(start.name()).ok()?;
                let text = text.decode().ok()?;
                return quick_xml::escape::unescape(&text).ok().map(|text| text.trim().to_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// What a server says is wrong.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// A word, for instance `NoSuchKey`; empty where there is none.
    pub(super) code: String,
    /// The bucket's region, where the request went to another one.
    pub(super) region: Option<String>,
}

/// The complaint in the body of an answer.
pub(super) fn complaint(body: &[u8]) -> Complaint {
    let body = String::from_utf8_lossy(body);
    Complaint { code: text_of(&body, "Code").unwrap_or_default(), region: text_of(&body, "Region") }
}

/// What becomes of a request that was not answered with success. `signed` says whether it had credentials.
pub(super) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    complaint: &Complaint,
    bucket: &str,
    signed: bool,
) -> SourceError {
    let (code, number) = (complaint.code.as_str(), status.as_u16());
    let answer = format!("HTTP {number} {code}").trim_end().to_owned();
    let setting =
        |field: &str, problem: String| SourceError::Setting { field: format!("spec.source.s3.{field}"), problem };
    let region = || headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok()).map(str::to_owned);
    match (number, code) {
        (_, "NoSuchBucket") => setting("bucket", format!("there is no bucket '{bucket}' at this endpoint")),
        (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
        | (301 | 307, _) => {
            let region = complaint.region.clone().or_else(region);
            let region = region.map_or_else(String::new, |region| format!("; its region is '{region}'"));
            setting("region", format!("the bucket '{bucket}' is elsewhere ({answer}){region}"))
        }
        (404, _) => SourceError::Gone { detail: answer },
        (429, _) | (503, "SlowDown" | "ServiceUnavailable" | "") | (_, "SlowDown" | "TooManyRequests") => {
            let wait = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = wait.and_then(|value| retry_after(value, Timestamp::now()));
            SourceError::SlowDown { status: number, retry_after }
        }
        (500..=599, _) | (408, _) | (_, "RequestTimeout") => SourceError::ServerError { status: number },
        // its object lies in an archive: credentials would not help
        (_, "InvalidObjectState") => SourceError::Rejected { answer: format!("{answer}: restore the object first") },
        (_, "RequestTimeTooSkewed") => SourceError::Rejected { answer: format!("{answer}: set the node's clock") },
        (401 | 403, _) | (_, "InvalidToken" | "ExpiredToken" | "InvalidAccessKeyId") => {
            let check = match signed {
                true => "spec.source.s3.credentialsSecretRef, or the role of spec.worker.serviceAccountName",
                false => "spec.source.s3.credentialsSecretRef: the request had no credentials",
            };
            SourceError::Refused { answer, check }
        }
        _ => SourceError::Rejected { answer },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    #[rstest]
    #[case(404, "NoSuchKey", "SourceGone")]
    #[case(404, "NoSuchBucket", "InvalidSourceSetting")]
    #[case(301, "PermanentRedirect", "InvalidSourceSetting")]
    #[case(400, "AuthorizationHeaderMalformed", "InvalidSourceSetting")]
    #[case(403, "AccessDenied", "SourceAccessDenied")]
    #[case(403, "InvalidObjectState", "SourceRejected")]
    #[case(400, "ExpiredToken", "SourceAccessDenied")]
    #[case(503, "SlowDown", "SourceRateLimited")]
    #[case(500, "InternalError", "SourceServerError")]
    #[case(400, "InvalidArgument", "SourceRejected")]
    fn each_code_has_its_reason(#[case] status: u16, #[case] code: &str, #[case] reason: &str) {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
        let complaint = complaint(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        let error = refusal(status, &HeaderMap::new(), &complaint, "docs", true);
        assert_eq!(error.reason(), reason, "{error}");
    }

    #[test]
    fn the_region_of_a_bucket_elsewhere_is_told() {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        let error = refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), &complaint(body.as_bytes()), "docs", true);
        let expected = "spec.source.s3.region: the bucket 'docs' is elsewhere (HTTP 400 AuthorizationHeaderMalformed); its region is 'eu-west-1'";
        assert_eq!(error.to_string(), expected);
    }
}
