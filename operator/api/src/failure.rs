//! The failure taxonomy: what went wrong, and what can be done about it; [`FailurePolicy`] decides. No I/O.

mod policy;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use policy::{ArchivePolicy, CategoryAction, FailurePolicy, FailureRule, Verdict};

/// What kind of failure it was: it decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum FailureCategory {
    /// May pass by itself: connection reset, 5xx, store conflict.
    Transient,
    /// The other side asked to slow down: 429. Spends no attempt.
    RateLimited,
    /// A document or request took longer than its deadline.
    Timeout,
    /// Memory or disk ran out.
    ResourceExhausted,
    /// The input itself is bad: corrupt, encrypted, unsupported, empty.
    InvalidInput,
    /// Credentials were refused: 401, 403.
    Authentication,
    /// The job is set up wrongly: missing secret, wrong dimension, image pull.
    Configuration,
    /// Anything else.
    Unknown,
}

impl FailureCategory {
    /// Every category, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Transient,
        Self::RateLimited,
        Self::Timeout,
        Self::ResourceExhausted,
        Self::InvalidInput,
        Self::Authentication,
        Self::Configuration,
        Self::Unknown,
    ];

    /// The name as it stands in manifests, status, events, metrics and ledgers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::RateLimited => "RateLimited",
            Self::Timeout => "Timeout",
            Self::ResourceExhausted => "ResourceExhausted",
            Self::InvalidInput => "InvalidInput",
            Self::Authentication => "Authentication",
            Self::Configuration => "Configuration",
            Self::Unknown => "Unknown",
        }
    }

    /// The category of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }

    /// What is done where the policy names no action for this category.
    #[must_use]
    pub const fn default_action(self) -> FailureAction {
        match self {
            Self::Transient | Self::RateLimited | Self::Timeout | Self::ResourceExhausted | Self::Unknown => {
                FailureAction::Retry
            }
            Self::InvalidInput => FailureAction::Archive,
            Self::Authentication | Self::Configuration => FailureAction::Notify,
        }
    }

    /// Whether a failed attempt counts against `maxAttempts`.
    #[must_use]
    pub const fn spends_attempt(self) -> bool {
        !matches!(self, Self::RateLimited)
    }

    /// What follows the last attempt where the policy does not say.
    const fn default_exhausted_action(self) -> ExhaustedAction {
        match self {
            Self::Unknown => ExhaustedAction::Notify,
            _ => ExhaustedAction::Archive,
        }
    }
}

impl fmt::Display for FailureCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done with a failed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum FailureAction {
    /// Try again after a backoff.
    Retry,
    /// Keep it in the ledger as given up; the job completes without it.
    Archive,
    /// Tell a person; the job stalls until somebody acts.
    Notify,
}

impl FailureAction {
    /// The name as it stands in manifests and ledgers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::Archive => "Archive",
            Self::Notify => "Notify",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Retry, Self::Archive, Self::Notify].into_iter().find(|action| action.as_str() == name)
    }
}

/// What follows the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ExhaustedAction {
    /// Give the item up.
    Archive,
    /// Tell a person.
    Notify,
}

impl From<ExhaustedAction> for FailureAction {
    fn from(action: ExhaustedAction) -> Self {
        match action {
            ExhaustedAction::Archive => Self::Archive,
            ExhaustedAction::Notify => Self::Notify,
        }
    }
}

/// A step of the pipeline in which an item can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Stage {
    /// Listing and fetching.
    Source,
    /// Turning bytes into text.
    Parse,
    /// Cutting text into chunks.
    Chunk,
    /// Turning chunks into vectors.
    Embed,
    /// Writing to the store.
    Store,
    /// Maintaining the store.
    Maintain,
}

impl Stage {
    /// The name as it stands in manifests and ledgers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "Source",
            Self::Parse => "Parse",
            Self::Chunk => "Chunk",
            Self::Embed => "Embed",
            Self::Store => "Store",
            Self::Maintain => "Maintain",
        }
    }

    /// The stage of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Source, Self::Parse, Self::Chunk, Self::Embed, Self::Store, Self::Maintain]
            .into_iter()
            .find(|stage| stage.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_serialised_form_agree() {
        for category in FailureCategory::ALL {
            assert_eq!(serde_json::to_value(category).unwrap(), category.as_str());
            assert_eq!(FailureCategory::from_name(category.as_str()), Some(category));
        }
    }
}
