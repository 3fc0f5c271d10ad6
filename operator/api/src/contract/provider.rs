//! How an embedding server was asked. No I/O.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How one worker process has asked its embedding server; a run may have several processes, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProviderRequests {
    /// Requests that were answered.
    pub answered: i64,
    /// Requests that were told to slow down, as by HTTP 429.
    pub rate_limited: i64,
    /// Requests that failed otherwise.
    pub failed: i64,
    /// Milliseconds from sending a request to the end of its answer, those of all requests together.
    pub milliseconds: i64,
}

impl AddAssign<&Self> for ProviderRequests {
    fn add_assign(&mut self, more: &Self) {
        let Self { answered, rate_limited, failed, milliseconds } = more;
        self.answered += answered;
        self.rate_limited += rate_limited;
        self.failed += failed;
        self.milliseconds += milliseconds;
    }
}
