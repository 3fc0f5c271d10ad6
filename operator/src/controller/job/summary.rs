//! A plan in words: state, conditions, reason and message. No I/O.

use lexigram_api::{
    failure::FailureCategory,
    resource::{ConditionType, State},
};

use super::{
    kind::Words,
    plan::{Launch, Plan, Start, Take},
    recovery::request::{Request, Wish},
};
use crate::{
    controller::ControllerError,
    names::{ARCHIVE, RETRY, RUN, RunNumber},
};

/// A plan in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// One word.
    pub state: State,
    /// The conditions that are True; the others are False, for the same reason.
    pub holds: Vec<ConditionType>,
    /// One constant CamelCase word.
    pub reason: String,
    /// What happens, and what to do.
    pub message: String,
}

impl Summary {
    fn new(state: State, holds: &[ConditionType], reason: &str, message: impl Into<String>) -> Self {
        Self { state, holds: holds.to_vec(), reason: reason.to_owned(), message: message.into() }
    }
}

/// Says what an error in carrying out a plan means.
#[must_use]
pub fn of_error(error: &ControllerError, state: State) -> Summary {
    let message = format!("{error}; it is tried again");
    Summary::new(state, &[ConditionType::Reconciling], error.reason(), message)
}

/// Says what a plan means; nothing for those that leave the status as it is. `reporting` tells whether the worker of
/// the run has said how far it is.
#[must_use]
pub fn of_plan(plan: &Plan, reporting: bool, words: &Words) -> Option<Summary> {
    use ConditionType::{Complete, Failed, Reconciling, Stalled, Suspended};
    Some(match plan {
        Plan::Deleting { .. } | Plan::Expired | Plan::Finished { .. } => return None,
        Plan::Invalid(invalid) => Summary::new(State::Stalled, &[Stalled], "InvalidSpec", invalid.to_string()),
        Plan::Suspended { .. } => Summary::new(
            State::Suspended,
            &[Suspended],
            "Suspended",
            "spec.suspend is true; set it to false, and the job goes on where it stopped",
        ),
        Plan::Disabled => Summary::new(
            State::Suspended,
            &[Suspended],
            "WorkersDisabled",
            "ai_workers.enabled is false in the operator's configuration: nothing new is started until it is true",
        ),
        Plan::Blocked(obstacle) => Summary::new(State::Stalled, &[Stalled], obstacle.reason(), obstacle.to_string()),
        Plan::Queued { .. } => Summary::new(
            State::Queued,
            &[Reconciling],
            "Queued",
            format!("waits until fewer than {} run; status.queuePosition tells its place", words.concurrency),
        ),
        Plan::AwaitingAdmission => {
            Summary::new(State::Queued, &[Reconciling], "AwaitingAdmission", "waits until Kueue admits it to the queue")
        }
        Plan::Start(start) => of_start(start, words),
        Plan::Running { trouble: Some(trouble), .. } if trouble.needs_help => {
            Summary::new(State::Stalled, &[Stalled], trouble.reason, trouble.message.clone())
        }
        Plan::Running { number, trouble } => {
            let state = match number {
                RunNumber::Retry(_) => State::Recovering,
                RunNumber::Full(_) if reporting => State::Running,
                RunNumber::Full(_) => State::Starting,
            };
            let (reason, message) = match (trouble, number) {
                (Some(trouble), _) => (trouble.reason, trouble.message.clone()),
                (None, RunNumber::Full(_)) => ("Running", words.running.to_owned()),
                (None, RunNumber::Retry(_)) => ("RetryRunning", format!("{} that failed are tried again", words.items)),
            };
            Summary::new(state, &[Reconciling], reason, message)
        }
        Plan::AwaitingReport => Summary::new(
            State::Running,
            &[Reconciling],
            "AwaitingReport",
            "the run has ended; its report is being read",
        ),
        Plan::RetryPending { retrying, .. } => Summary::new(
            State::Recovering,
            &[Reconciling],
            "RetryPending",
            format!(
                "{} failed; status.deadLetters.nextRetryTime tells when the next attempt is made",
                words.count(*retrying)
            ),
        ),
        Plan::RunRetryPending { attempts, error, .. } => Summary::new(
            State::Recovering,
            &[Reconciling],
            "RunRetryPending",
            format!(
                "{}: {} (attempt {attempts}); status.deadLetters.nextRetryTime tells when the next one is made",
                constant(&error.reason),
                error.message
            ),
        ),
        Plan::DeadLetters { notified } => Summary::new(
            State::Stalled,
            &[Stalled],
            "DeadLettersNotified",
            format!("{} failed and need a person: see status.deadLetters", words.count(*notified)),
        ),
        Plan::Completed { archived: 0 } => {
            Summary::new(State::Complete, &[Complete], "Completed", format!("every {} {}", words.item, words.completed))
        }
        Plan::Completed { archived } => Summary::new(
            State::Complete,
            &[Complete],
            "CompletedWithFailures",
            format!(
                "every {} {} except for {} given up: see status.deadLetters",
                words.item,
                words.completed,
                words.count(*archived)
            ),
        ),
        Plan::Failed(error) => {
            let stalls = matches!(error.category, FailureCategory::Authentication | FailureCategory::Configuration);
            let holds: &[_] = if stalls { &[Failed, Stalled] } else { &[Failed] };
            Summary::new(State::Failed, holds, constant(&error.reason), error.message.clone())
        }
    })
}

fn of_start(start: &Start, words: &Words) -> Summary {
    let (state, reason, message) = match (&start.how, start.number) {
        (Launch::Resume, _) => (State::Starting, "Resumed", "the run goes on where it stopped".to_owned()),
        (Launch::Create(Take::Nothing), _) => {
            (State::Starting, "Started", "a stub run was started: it does nothing".to_owned())
        }
        (Launch::Create(Take::Again(..)), _) => (
            State::Recovering,
            "RetryStarted",
            match &start.request {
                Some(request) => format!("{} are tried again, as {RETRY} asks: {}", words.items, request.value),
                None => format!("what the spec names has changed: {} that waited for it are tried again", words.items),
            },
        ),
        (Launch::Create(Take::GiveUp(..)), _) => {
            let value = start.request.as_ref().map_or("", |request| &request.value);
            (State::Recovering, "ArchiveStarted", format!("{} are given up, as {ARCHIVE} asks: {value}", words.items))
        }
        (Launch::Create(_), RunNumber::Full(1)) => (State::Starting, "Started", "a run was started".to_owned()),
        (Launch::Create(_), RunNumber::Full(_)) => (
            State::Starting,
            "StartedAgain",
            match &start.request {
                Some(Request { wish: Wish::Run, value, .. }) => {
                    format!("everything is looked through again, as {RUN} asks: {value}; what is stored is skipped")
                }
                _ => "the run is made again; what is stored is skipped".to_owned(),
            },
        ),
        (Launch::Create(_), RunNumber::Retry(_)) => {
            (State::Recovering, "RetryStarted", format!("{} whose retry was due are tried again", words.items))
        }
    };
    Summary::new(state, &[ConditionType::Reconciling], reason, message)
}

/// A reason that a condition takes, whatever the worker has said.
fn constant(reason: &str) -> &str {
    let fits = reason.starts_with(|first: char| first.is_ascii_alphabetic())
        && reason.len() <= 128
        && reason.chars().all(|letter| letter.is_ascii_alphanumeric());
    if fits { reason } else { "WorkerFailed" }
}

impl Words {
    /// So many items.
    #[must_use]
    pub fn count(&self, count: i32) -> String {
        if count == 1 { format!("1 {}", self.item) } else { format!("{count} {}", self.items) }
    }
}
