//! What can happen to a worker's pod and Job: one category and one constant reason for each. No I/O.
//!
//! A new outcome without a category does not compile.

use lexigram_api::{contract::ExitCode, failure::FailureCategory};

use super::pods::Trouble;

/// What ended a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process ended with that exit code.
    Exited(i32),
    /// It was told to stop, by a deletion or a drain, and has kept what it had done.
    Interrupted,
    /// The kernel killed it because it used more memory than its limit.
    OutOfMemory,
    /// The node, or somebody through the eviction API, put it out; the message says why.
    Evicted(String),
    /// A pod of a higher priority took its place.
    Preempted(String),
    /// Its node went away, or the pod was collected as garbage.
    NodeLost(String),
    /// The pod was active longer than it may.
    DeadlineExceeded,
    /// The pod failed in another way: its reason and message.
    Other(String),
}

impl Cause {
    /// What ended a pod, by its reason, that of its disruption, its container's exit code and reason, and a message.
    #[must_use]
    pub fn of(
        reason: Option<&str>,
        disruption: Option<&str>,
        exit: Option<(i32, Option<&str>)>,
        message: String,
    ) -> Self {
        match (reason, disruption, exit) {
            (Some("DeadlineExceeded"), ..) => Self::DeadlineExceeded,
            // a report may have been left all the same: whoever was told to stop in time has kept everything
            (.., Some((0, _))) => Self::Exited(0),
            (.., Some((code, _))) if code == i32::from(ExitCode::Interrupted.code()) => Self::Interrupted,
            (Some("Preempting"), ..) | (_, Some("PreemptionByScheduler"), _) => Self::Preempted(message),
            (Some("NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated"), ..)
            | (_, Some("DeletionByTaintManager" | "DeletionByPodGC"), _) => Self::NodeLost(message),
            (Some("Evicted"), ..) | (_, Some("EvictionByEvictionAPI" | "TerminationByKubelet"), _) => {
                Self::Evicted(message)
            }
            (.., Some((_, Some("OOMKilled")))) => Self::OutOfMemory,
            (.., Some((code, _))) => Self::Exited(code),
            (Some(reason), _, None) => Self::Other(format!("{reason}: {message}")),
            (None, _, None) => Self::Other(message),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn category(&self) -> FailureCategory {
        match self {
            Self::Exited(code) => of_exit_code(*code),
            Self::Interrupted | Self::Evicted(_) | Self::Preempted(_) | Self::NodeLost(_) => FailureCategory::Transient,
            Self::OutOfMemory => FailureCategory::ResourceExhausted,
            Self::DeadlineExceeded => FailureCategory::Timeout,
            Self::Other(_) => FailureCategory::Unknown,
        }
    }

    /// The cause as one constant CamelCase word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Exited(_) => "WorkerFailed",
            Self::Interrupted => "WorkerInterrupted",
            Self::OutOfMemory => "OOMKilled",
            Self::Evicted(_) => "Evicted",
            Self::Preempted(_) => "Preempted",
            Self::NodeLost(_) => "NodeLost",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::Other(_) => "PodFailed",
        }
    }

    /// The cause as half a sentence that follows "the worker".
    #[must_use]
    pub fn story(&self) -> String {
        match self {
            Self::Exited(code) => format!("ended with exit code {code}"),
            Self::Interrupted => "was told to stop, and kept what it had done".to_owned(),
            Self::OutOfMemory => {
                "was killed because it used more memory than its limit (OOMKilled); raise spec.worker.resources.limits.memory"
                    .to_owned()
            }
            Self::Evicted(message) => format!("was evicted from its node: {message}"),
            Self::Preempted(message) => format!("made room for a pod of a higher priority: {message}"),
            Self::NodeLost(message) => format!("went with its node: {message}"),
            Self::DeadlineExceeded => "was active longer than it may".to_owned(),
            Self::Other(message) => format!("failed: {message}"),
        }
    }
}

/// A worker that says nothing but its exit code.
fn of_exit_code(code: i32) -> FailureCategory {
    let is = |exit: ExitCode| code == i32::from(exit.code());
    match code {
        _ if is(ExitCode::Usage) || is(ExitCode::Configuration) => FailureCategory::Configuration,
        _ if is(ExitCode::Authentication) => FailureCategory::Authentication,
        _ if is(ExitCode::Retryable) => FailureCategory::Transient,
        _ => FailureCategory::Unknown,
    }
}

/// What keeps a worker from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// No node takes it.
    Unschedulable,
    /// Its image cannot be pulled.
    ImagePull,
    /// Its container cannot be created: a key that a Secret lacks, for instance.
    CreateContainer,
}

impl Hindrance {
    /// What the reason of a waiting container means; nothing if it is no hindrance.
    #[must_use]
    pub fn of_waiting(reason: &str) -> Option<Self> {
        match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable" => Some(Self::ImagePull),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Some(Self::CreateContainer),
            _ => None,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn category(self) -> FailureCategory {
        match self {
            Self::Unschedulable => FailureCategory::ResourceExhausted,
            Self::ImagePull | Self::CreateContainer => FailureCategory::Configuration,
        }
    }

    /// The hindrance as one constant CamelCase word.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::ImagePull => "ImagePullFailed",
            Self::CreateContainer => "CreateContainerFailed",
        }
    }

    /// It in words. What is set up wrongly needs help; a place on a node may come free by itself.
    #[must_use]
    pub fn trouble(self, message: String) -> Trouble {
        let needs_help = self.category() == FailureCategory::Configuration;
        Trouble { reason: self.reason(), message, needs_help }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usage(None, None, Some((2, Some("Error"))), FailureCategory::Configuration, "WorkerFailed")]
    #[case::retryable(None, None, Some((75, Some("Error"))), FailureCategory::Transient, "WorkerFailed")]
    #[case::authentication(None, None, Some((77, Some("Error"))), FailureCategory::Authentication, "WorkerFailed")]
    #[case::configuration(None, None, Some((78, Some("Error"))), FailureCategory::Configuration, "WorkerFailed")]
    #[case::crash(None, None, Some((139, Some("Error"))), FailureCategory::Unknown, "WorkerFailed")]
    #[case::interrupted(None, None, Some((143, Some("Error"))), FailureCategory::Transient, "WorkerInterrupted")]
    #[case::oom(None, None, Some((137, Some("OOMKilled"))), FailureCategory::ResourceExhausted, "OOMKilled")]
    #[case::evicted(Some("Evicted"), Some("TerminationByKubelet"), None, FailureCategory::Transient, "Evicted")]
    #[case::evicted_and_killed(Some("Evicted"), None, Some((137, Some("Error"))), FailureCategory::Transient, "Evicted")]
    #[case::drained(None, Some("EvictionByEvictionAPI"), Some((137, Some("Error"))), FailureCategory::Transient, "Evicted")]
    #[case::drained_in_time(None, Some("EvictionByEvictionAPI"), Some((143, Some("Error"))), FailureCategory::Transient, "WorkerInterrupted")]
    #[case::preempted(None, Some("PreemptionByScheduler"), Some((137, Some("Error"))), FailureCategory::Transient, "Preempted")]
    #[case::tainted(None, Some("DeletionByTaintManager"), None, FailureCategory::Transient, "NodeLost")]
    #[case::collected(None, Some("DeletionByPodGC"), None, FailureCategory::Transient, "NodeLost")]
    #[case::node_lost(Some("NodeLost"), None, None, FailureCategory::Transient, "NodeLost")]
    #[case::shutdown(Some("Terminated"), Some("TerminationByKubelet"), None, FailureCategory::Transient, "NodeLost")]
    #[case::deadline(Some("DeadlineExceeded"), None, Some((137, Some("Error"))), FailureCategory::Timeout, "DeadlineExceeded")]
    #[case::admission(Some("UnexpectedAdmissionError"), None, None, FailureCategory::Unknown, "PodFailed")]
    #[case::no_word(None, None, None, FailureCategory::Unknown, "PodFailed")]
    fn every_end_has_a_category_and_a_reason(
        #[case] reason: Option<&str>,
        #[case] disruption: Option<&str>,
        #[case] exit: Option<(i32, Option<&str>)>,
        #[case] category: FailureCategory,
        #[case] expected: &str,
    ) {
        let cause = Cause::of(reason, disruption, exit, "said Kubernetes".to_owned());
        assert_eq!((cause.category(), cause.reason()), (category, expected));
    }

    #[rstest]
    #[case("ImagePullBackOff", Some((FailureCategory::Configuration, "ImagePullFailed", true)))]
    #[case("CreateContainerConfigError", Some((FailureCategory::Configuration, "CreateContainerFailed", true)))]
    #[case("ContainerCreating", None)]
    fn what_waits_has_one_too(#[case] waiting: &str, #[case] expected: Option<(FailureCategory, &'static str, bool)>) {
        let of = Hindrance::of_waiting(waiting);
        let said = of.map(|of| (of.category(), of.reason(), of.trouble(String::new()).needs_help));
        assert_eq!(said, expected);
    }

    #[test]
    fn a_full_cluster_may_empty_itself() {
        let of = Hindrance::Unschedulable;
        assert_eq!((of.category(), of.trouble(String::new()).needs_help), (FailureCategory::ResourceExhausted, false));
    }
}
