//! What tells one kind of job from another: its fields, its words, its work. No I/O.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use lexigram_api::{
    contract::{Mode, Task},
    resource::{JobOptions, JobStatus},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{observe::Observation, references::Reference, validate::Invalid};
use crate::{
    config::AiWorkers,
    controller::worker_pod::{Mount, Owner},
};

/// How messages speak of the kind.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// One item.
    pub item: &'static str,
    /// Several items.
    pub items: &'static str,
    /// What a run does, as a sentence.
    pub running: &'static str,
    /// What has been done in the end, as half a sentence.
    pub completed: &'static str,
    /// The key of the operator's configuration that bounds how many run at once.
    pub concurrency: &'static str,
}

/// A kind of job: an object for which workers run until every item is done, or given up.
pub trait JobKind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + PartialEq
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Its status.
    type Status: Clone + Debug + Default + PartialEq + Serialize + Send + Sync;
    /// Name of the kind.
    const KIND: &'static str;
    /// What the names of its runs begin with, so that objects of two kinds may have one name: empty, or a letter.
    const RUN_PREFIX: &'static str;
    /// How messages speak of it.
    const WORDS: Words;

    /// The part of the spec that every kind has.
    fn options(&self) -> &JobOptions;
    /// The status, if there is one.
    fn status(&self) -> Option<&Self::Status>;
    /// The part of a status that every kind has.
    fn job_status(status: &Self::Status) -> &JobStatus;
    /// As [`job_status`](Self::job_status), to be changed.
    fn job_status_mut(status: &mut Self::Status) -> &mut JobStatus;
    /// Fills in the part of the status that only this kind has.
    fn tell(&self, status: &mut Self::Status, seen: &Observation);
    /// How many objects may run at once.
    fn concurrency(config: &AiWorkers) -> u32;
    /// Checks what the API server cannot check.
    ///
    /// # Errors
    /// The first field that cannot be used.
    fn validate(&self) -> Result<(), Invalid>;
    /// What the spec names in its namespace and cannot do without, besides what its options name.
    fn references(&self) -> Vec<Reference>;
    /// What a worker is told to do.
    fn task(&self, owner: &Owner, mode: Mode) -> Task;
    /// Volumes that a worker needs, besides those that its options ask for.
    fn mounts(&self) -> Vec<Mount>;
}

/// The part of the object's status that every kind has, if there is one.
pub fn status_of<K: JobKind>(object: &K) -> Option<&JobStatus> {
    object.status().map(K::job_status)
}
