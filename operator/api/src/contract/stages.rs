//! How busy each stage of the pipeline was, so that the bottleneck can be seen. No I/O.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stage whose time is measured. They overlap: one fetches a document while another parses the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum StageName {
    /// Listing the source.
    List,
    /// Reading documents, or the rows of a batch.
    Fetch,
    /// Turning bytes into text.
    Parse,
    /// Cutting text into chunks.
    Chunk,
    /// Turning texts into vectors, the look into the cache included.
    Embed,
    /// Reading and writing the store.
    Store,
}

impl StageName {
    /// All of them, in the order in which a document comes through.
    pub const ALL: [Self; 6] = [Self::List, Self::Fetch, Self::Parse, Self::Chunk, Self::Embed, Self::Store];

    /// The name in lower case, as in metrics and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Fetch => "fetch",
            Self::Parse => "parse",
            Self::Chunk => "chunk",
            Self::Embed => "embed",
            Self::Store => "store",
        }
    }
}

/// How busy a stage was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageBusyness {
    /// The stage.
    pub name: StageName,
    /// Share of the time in which it was at work on one item at least, in percent: 0 to 100. The time counts from
    /// the first thing that any stage did.
    pub busy_percent: i32,
}

impl fmt::Display for StageBusyness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}%", self.name.as_str(), self.busy_percent)
    }
}

/// The stages in words, for instance `list 1%, fetch 4%, parse 97%`.
#[must_use]
pub fn busyness_in_words(stages: &[StageBusyness]) -> String {
    stages.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
