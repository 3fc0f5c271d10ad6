//! Everything that the operator, the worker and the tests have to agree on. No I/O.
//!
//! - [`annotation`]: by which a person asks for something
//! - [`duration`]: durations as people say them
//! - [`failure`]: what can go wrong (categories) and what is done about it (actions, policy)
//! - [`backoff`]: when a failed attempt is made again
//! - [`document`]: how documents are limited, parsed and chunked
//! - [`embedding`]: settings of embedding providers
//! - [`maintenance`]: settings of maintenance tasks
//! - [`postgres`]: settings of the Postgres store
//! - [`source`]: settings of sources that are reached over the network
//! - [`text`]: how texts are written in the input and the output of a batch
//! - [`contract`]: the JSON that passes between operator and worker
//! - [`resource`] (feature `kube`): the Kubernetes resource types
//! - [`pod`] (feature `kube`): the pod of a worker

pub mod annotation;
pub mod backoff;
pub mod contract;
pub mod document;
pub mod duration;
pub mod embedding;
pub mod failure;
pub mod maintenance;
#[cfg(feature = "kube")]
pub mod pod;
pub mod postgres;
#[cfg(feature = "kube")]
pub mod resource;
pub mod source;
pub mod text;

/// API group of every resource type.
pub const GROUP: &str = "workers.lexigram.dev";
/// Version of every resource type.
pub const VERSION: &str = "v1alpha1";
