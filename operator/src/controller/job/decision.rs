//! The decisions that a plan can come to. No I/O.

use jiff::Timestamp;
use lexigram_api::contract::{RunError, Selection};

use super::{recovery::request::Request, references::Obstacle, validate::Invalid};
use crate::{controller::pods::Trouble, names::RunNumber};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// The object is being deleted: its children go with it.
    Deleting {
        /// Whether a worker is still there.
        stopping: bool,
    },
    /// `ttlSecondsAfterFinished` has passed: the object goes.
    Expired,
    /// The job has ended, and says so: nothing is done, and nothing is done again if its Jobs go.
    Finished {
        /// When the object goes.
        expires: Option<Timestamp>,
    },
    /// The spec cannot be used.
    Invalid(Invalid),
    /// `suspend` is set: what runs is stopped.
    Suspended {
        /// How the run is stopped, if it is not yet.
        halt: Option<Halt>,
        /// Whether workers are still there.
        stopping: bool,
    },
    /// The operator is told to start nothing.
    Disabled,
    /// Something that the spec names does not exist, or cannot be looked for.
    Blocked(Obstacle),
    /// The job waits for a place.
    Queued {
        /// Its position; 1 is next.
        position: i32,
    },
    /// A run is started, or resumed.
    Start(Start),
    /// The run waits until Kueue admits it.
    AwaitingAdmission,
    /// A run is at work.
    Running {
        /// Which one.
        number: RunNumber,
        /// What keeps it from going on.
        trouble: Option<Trouble>,
    },
    /// A run has ended a moment ago; its report is not there yet.
    AwaitingReport,
    /// Failed items wait for their retry.
    RetryPending {
        /// When it is started.
        at: Timestamp,
        /// How many there are.
        retrying: i32,
    },
    /// The run failed as a whole, in a way that may pass.
    RunRetryPending {
        /// When it is made again.
        at: Timestamp,
        /// Attempts made so far.
        attempts: u32,
        /// Why it failed.
        error: RunError,
    },
    /// Failed items wait for a person.
    DeadLetters {
        /// How many there are.
        notified: i32,
    },
    /// Every item is done or archived.
    Completed {
        /// Archived ones.
        archived: i32,
    },
    /// The job as a whole failed.
    Failed(RunError),
}

/// How a run is stopped so that it can go on later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Its Job is suspended.
    Suspend(String),
    /// Its Job is deleted: Kueue owns its `suspend` field, and the next Job goes on where this one stopped.
    Delete(String),
}

/// A run to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which one.
    pub number: RunNumber,
    /// How.
    pub how: Launch,
    /// The request that it meets, if a person asked for it.
    pub request: Option<Request>,
}

/// How a run is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A Job is created.
    Create(Take),
    /// A suspended Job goes on.
    Resume,
}

/// Which items a run takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// All of them.
    Everything,
    /// Failed ones that were due at that time.
    Due(Timestamp),
    /// Dead letters that a person means, and that failed at that time or before: each begins anew.
    Again(Selection, Timestamp),
    /// Dead letters that a person gives up, and that failed at that time or before.
    GiveUp(Selection, Timestamp),
    /// None: `ai_workers.stub`.
    Nothing,
}

/// What a plan asks of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A place, if there is one.
    Request,
    /// The place that it has.
    Hold,
    /// Nothing.
    None,
}

impl Plan {
    /// What the plan asks of the queue. Kueue's jobs ask it for nothing.
    #[must_use]
    pub fn demand(&self, kueue: bool) -> Demand {
        match self {
            _ if kueue => Demand::None,
            Self::Start(_) | Self::Queued { .. } => Demand::Request,
            // a job that goes away, or is being stopped, is at work until its workers have ended
            Self::Deleting { stopping: true } | Self::Running { .. } | Self::Suspended { stopping: true, .. } => {
                Demand::Hold
            }
            Self::Deleting { stopping: false }
            | Self::Expired
            | Self::Finished { .. }
            | Self::Invalid(_)
            | Self::Suspended { stopping: false, .. }
            | Self::Disabled
            | Self::Blocked(_)
            | Self::AwaitingAdmission
            | Self::AwaitingReport
            | Self::RetryPending { .. }
            | Self::RunRetryPending { .. }
            | Self::DeadLetters { .. }
            | Self::Completed { .. }
            | Self::Failed(_) => Demand::None,
        }
    }
}
