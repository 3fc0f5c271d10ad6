//! Exit codes of the worker, as `podFailurePolicy` understands them. No I/O.

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

    /// The codes after which the Job must not try again.
    pub const PERMANENT: [Self; 3] = [Self::Usage, Self::Authentication, Self::Configuration];
}
