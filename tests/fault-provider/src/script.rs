//! What the server is told, and what it tells: JSON. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What becomes of requests. By default all are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Script {
    /// Of the first requests, one after the other.
    pub requests: Vec<Fault>,
    /// Of every request after these.
    pub then: Fault,
    /// Every other request after these fails like this: a storm.
    pub storm: Option<Fault>,
    /// Headers without which a request gets 401.
    pub require: BTreeMap<String, String>,
    /// Most requests a minute, counted as providers do: more get 429.
    pub requests_per_minute: Option<u16>,
    /// Numbers in a vector where a request does not say.
    pub dimension: usize,
    /// Whether `dimensions` is heeded, as models of old do not.
    pub fixed_dimension: bool,
    /// Whether vectors are numbers, even where base64 is asked for.
    pub only_numbers: bool,
    /// Most texts that a request may have: more get 413.
    pub max_items: usize,
    /// Most words that a text may have: more get 400 with the code `context_length_exceeded`.
    pub max_words: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            then: Fault::None,
            storm: None,
            require: BTreeMap::new(),
            requests_per_minute: None,
            dimension: 8,
            fixed_dimension: false,
            only_numbers: false,
            max_items: usize::MAX,
            max_words: usize::MAX,
        }
    }
}

impl Script {
    /// Every request fails like this.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { then: fault, ..Self::default() }
    }

    /// The first requests fail like this, those after them are answered.
    #[must_use]
    pub fn first(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { requests: faults.into_iter().collect(), ..Self::default() }
    }

    /// What becomes of the `n`th request, counted from 0.
    pub(crate) fn fault(&self, n: usize) -> Fault {
        if let Some(fault) = self.requests.get(n) {
            return fault.clone();
        }
        match &self.storm {
            Some(storm) if (n - self.requests.len()).is_multiple_of(2) => storm.clone(),
            _ => self.then.clone(),
        }
    }
}

/// What becomes of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// It is answered.
    #[default]
    None,
    /// It is answered, with these headers.
    Headers {
        /// By name.
        headers: BTreeMap<String, String>,
    },
    /// It is refused.
    Status {
        /// The status.
        status: u16,
        /// `code` of the error.
        #[serde(default)]
        code: Option<String>,
        /// `param` of the error.
        #[serde(default)]
        param: Option<String>,
        /// `message` of the error.
        #[serde(default)]
        message: String,
        /// Headers by name.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// 429 with a `Retry-After` that is a date, so many seconds from now.
    RetryAfterDate {
        /// The seconds.
        seconds: i64,
    },
    /// The connection breaks off in the middle of the answer.
    Reset,
    /// The answer comes so much later.
    Slow {
        /// The time.
        milliseconds: u64,
    },
    /// The last vector is missing.
    WrongCount,
    /// Vectors stand in the opposite order, each with its index.
    Reversed,
    /// Every vector has index 0.
    SameIndex,
    /// Every vector holds a number that is not finite.
    NotFinite,
    /// Every vector has a number too many.
    WrongDimension,
    /// A web page.
    Page,
}

impl Fault {
    /// A refusal that says nothing but its status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, code: None, param: None, message: String::new(), headers: BTreeMap::new() }
    }

    /// A refusal with a code of OpenAI's.
    #[must_use]
    pub fn coded(status: u16, code: &str) -> Self {
        let message = format!("refused by script: {code}");
        Self::Status { status, code: Some(code.to_owned()), param: None, message, headers: BTreeMap::new() }
    }

    /// 429 with these headers.
    #[must_use]
    pub fn slow_down<const N: usize>(headers: [(&str, &str); N]) -> Self {
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (code, message) = (Some("rate_limit_exceeded".to_owned()), "slow down".to_owned());
        Self::Status { status: 429, code, param: None, message, headers }
    }
}

/// What the server was asked since its script began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Requests for embeddings.
    pub requests: usize,
    /// Texts in all of them.
    pub texts: usize,
    /// Texts whose vectors were given.
    pub answered_texts: usize,
    /// Most texts in one request.
    pub largest_request: usize,
    /// Requests by the status of their answer.
    pub statuses: BTreeMap<u16, usize>,
    /// Most requests that were open at once.
    pub most_open: usize,
    /// Requests that are open now.
    pub open: usize,
}
