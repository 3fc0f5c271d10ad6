//! What a worker is put through, and the work spec with which it is. No I/O.

use std::{fmt, path::Path};

use lexigram_api::{
    contract::{
        CONTRACT_VERSION, Embedding, IngestTask, InlineDocument, Mode, SourceLocation, StoreLocation, Task, WorkSpec,
    },
    document::{Chunking, Parsing, SyncMode},
    failure::FailurePolicy,
};
use serde_json::{Value, json};

/// Documents of the sample.
const DOCUMENTS: [(&str, &str); 3] = [
    ("tides.md", "# Tides\n\nThe moon pulls at the sea, and the sea follows twice a day."),
    ("bread.md", "# Bread\n\nFlour, water and salt, and most of all time."),
    ("index.txt", "Tides and bread."),
];

/// The model that the sample names: that of the operator's default.
const MODEL: &str = "all-MiniLM-L6-v2";

/// What a worker is put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A run that comes to its end.
    Whole,
    /// A run that is told to stop.
    Interrupted,
    /// A work spec of another version of the contract.
    OtherVersion,
}

impl Scenario {
    /// All of them, in the order in which their failures are best mended.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Interrupted, Self::OtherVersion];

    /// The work spec of the scenario, made of that of a whole run.
    pub(super) fn spec(self, spec: &Value) -> Value {
        let mut spec = spec.clone();
        if self == Self::OtherVersion {
            spec["contractVersion"] = json!("v0");
        }
        spec
    }

    /// Whether the worker is sent SIGTERM while it is at work.
    pub(super) fn interrupts(self) -> bool {
        self == Self::Interrupted
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "a whole run",
            Self::Interrupted => "a run that is told to stop by SIGTERM",
            Self::OtherVersion => "a work spec of another contract version",
        })
    }
}

/// A work spec as the operator writes it: three documents that stand in the spec itself, and a store in that folder.
pub(super) fn sample(folder: &Path) -> WorkSpec {
    let path = |name: &str| folder.join(name).display().to_string();
    let documents = DOCUMENTS.map(|(name, text)| InlineDocument { name: name.to_owned(), text: text.to_owned() });
    WorkSpec {
        contract_version: CONTRACT_VERSION.to_owned(),
        run: "sample-r1.0a1b2c3d".to_owned(),
        task: Task::Ingest(Box::new(IngestTask {
            collection: "sample".to_owned(),
            scope: "inline/sample".to_owned(),
            mode: Mode::Full,
            source: SourceLocation::Inline { documents: documents.into() },
            include: Vec::new(),
            exclude: Vec::new(),
            sync: SyncMode::default(),
            parsing: Parsing::default(),
            chunking: Chunking::default(),
            embedding: Embedding::local(MODEL),
            store: StoreLocation::Sqlite { path: path("sample.db"), cache: Some(path("cache.db")) },
            failure_policy: FailurePolicy::default(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::message;

    #[test]
    fn the_sample_is_a_good_work_spec() {
        let json = serde_json::to_vec(&sample(Path::new("/store"))).unwrap();
        assert_eq!(message::work_spec(&json), []);
    }
}
