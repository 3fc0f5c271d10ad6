//! What a worker says of itself on `/progress`. No I/O.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CONTRACT_VERSION,
    counts::{Counts, ItemFailure, OpenCircuit, RECENT_FAILURES},
    provider::ProviderRequests,
    stages::StageBusyness,
};

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Phase {
    /// Loading the model, opening the store.
    #[default]
    Starting,
    /// Embedding what a collection of another model holds (`onModelChange: Rebuild`).
    Rebuilding,
    /// Listing the source; the total is not known yet.
    Listing,
    /// Embedding, and everything that comes before and after it.
    Working,
    /// Removing what is gone, writing the report.
    Finishing,
}

/// The answer to `GET /progress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// `v1alpha1`: the version of this contract.
    #[schemars(extend("const" = CONTRACT_VERSION))]
    pub contract_version: String,
    /// Name of the run: the Kubernetes Job.
    pub run: String,
    /// What the run is doing.
    pub phase: Phase,
    /// When the worker last made a step: listed, fetched, parsed, embedded or stored something.
    pub heartbeat: Timestamp,
    /// When this worker process began to work on documents.
    pub started: Timestamp,
    /// What the run has come to so far.
    pub counts: Counts,
    /// When the embedding provider is asked again, while it has told the worker to slow down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited_until: Option<Timestamp>,
    /// The provider or store that is left alone for now, because most attempts failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<OpenCircuit>,
    /// How busy each stage has been so far, those left out that were not yet; the busiest one is the bottleneck.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageBusyness>,
    /// How this process has asked its embedding server so far; absent for a model of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderRequests>,
    /// The newest failures, ten at most, newest first.
    #[schemars(length(max = RECENT_FAILURES))]
    pub recent_failures: Vec<ItemFailure>,
}
