//! Exit codes of the worker, as `podFailurePolicy` understands them. No I/O.

use crate::failure::FailureCategory;

/// How a worker process ends. Codes follow `sysexits.h` where it has one that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// The run came to its end; the report says how its documents fared.
    Finished,
    /// Command line or work spec could not be understood; clap's own code. Trying again is useless.
    Usage,
    /// The run failed in a way that may pass (`EX_TEMPFAIL`): the Job tries again.
    Retryable,
    /// Credentials were refused (`EX_NOPERM`): trying again is useless.
    Authentication,
    /// Set up wrongly (`EX_CONFIG`): trying again is useless.
    Configuration,
    /// Stopped by SIGTERM (128 + 15) with everything acknowledged so far kept: not a failure.
    Interrupted,
}

impl ExitCode {
    /// The number that the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Finished => 0,
            Self::Usage => 2,
            Self::Retryable => 75,
            Self::Authentication => 77,
            Self::Configuration => 78,
            Self::Interrupted => 143,
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Finished, Self::Usage, Self::Retryable, Self::Authentication, Self::Configuration, Self::Interrupted];

    /// What a process that exits with that number says; nothing if the contract does not know it.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// How a run ends that failed as a whole for a reason of that category.
    #[must_use]
    pub const fn of_failure(category: FailureCategory) -> Self {
        match category {
            FailureCategory::Authentication => Self::Authentication,
            FailureCategory::Configuration => Self::Configuration,
            FailureCategory::Transient
            | FailureCategory::RateLimited
            | FailureCategory::Timeout
            | FailureCategory::ResourceExhausted
            | FailureCategory::InvalidInput
            | FailureCategory::Unknown => Self::Retryable,
        }
    }

    /// The codes after which the Job must not try again.
    pub const PERMANENT: [Self; 3] = [Self::Usage, Self::Authentication, Self::Configuration];
}
