//! Names of a schedule's children, from which one can read which run a Job is. No I/O.

use jiff::Timestamp;

use crate::names::{MAX_NAME, child};

/// What the names of a schedule's children begin with, after its own: `x-m60` is not the run `x-r60` of an
/// IngestionJob `x`.
const PREFIX: &str = "-m";
/// Longest name of a CronJob: its Jobs get eleven characters more.
const MAX_CRON_NAME: usize = 52;
/// Seconds in the unit in which the CronJob controller numbers its Jobs.
const MINUTE: i64 = 60;

/// Which run of a schedule a Kubernetes Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunName {
    /// The one that was due then, by the interval.
    Interval(Timestamp),
    /// The one that was due then, by the cron schedule: its CronJob has started it.
    Cron(Timestamp),
    /// The one that somebody asked for with that time.
    Asked(Timestamp),
    /// The one that tries again at that tick of the sweep what has failed.
    Retry(Timestamp),
}

impl RunName {
    /// Name of the Kubernetes Job, for the object `name`. A time has one name, so that two operators cannot start one
    /// run twice.
    #[must_use]
    pub fn job_name(self, name: &str) -> String {
        match self {
            Self::Interval(time) => child(name, &format!("{PREFIX}{}", time.as_second()), MAX_NAME),
            Self::Cron(time) => format!("{}-{}", cron_job_name(name), time.as_second() / MINUTE),
            Self::Asked(time) => child(name, &format!("{PREFIX}run{}", time.as_second()), MAX_NAME),
            Self::Retry(time) => child(name, &format!("{PREFIX}retry{}", time.as_second()), MAX_NAME),
        }
    }

    /// The run that a Kubernetes Job of that name is.
    #[must_use]
    pub fn parse(job_name: &str) -> Option<Self> {
        let (head, tail) = job_name.rsplit_once('-')?;
        let time = |text: &str, unit: i64| Timestamp::from_second(text.parse::<i64>().ok()?.checked_mul(unit)?).ok();
        if head.ends_with(PREFIX) && tail.starts_with(|first: char| first.is_ascii_digit()) {
            return time(tail, MINUTE).map(Self::Cron);
        }
        let tail = tail.strip_prefix('m')?;
        match (tail.strip_prefix("run"), tail.strip_prefix("retry")) {
            (Some(second), _) => time(second, 1).map(Self::Asked),
            (_, Some(second)) => time(second, 1).map(Self::Retry),
            (None, None) => time(tail, 1).map(Self::Interval),
        }
    }

    /// When it was due, or asked for.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        match self {
            Self::Interval(time) | Self::Cron(time) | Self::Asked(time) | Self::Retry(time) => time,
        }
    }

    /// Whether the schedule itself brought it.
    #[must_use]
    pub const fn is_scheduled(self) -> bool {
        matches!(self, Self::Interval(_) | Self::Cron(_))
    }

    /// Whether it tries again what failed before.
    #[must_use]
    pub const fn is_retry(self) -> bool {
        matches!(self, Self::Retry(_))
    }
}

/// Name of the CronJob of the object `name`.
#[must_use]
pub fn cron_job_name(name: &str) -> String {
    child(name, PREFIX, MAX_CRON_NAME)
}

/// What every run of the object `name` is called in its work spec, given its uid: the Jobs of a CronJob share one.
#[must_use]
pub fn work_spec_run(name: &str, uid: &str) -> String {
    crate::names::ledger_run(&cron_job_name(name), uid)
}

/// Name of the ConfigMap with a work spec, given a digest of that.
#[must_use]
pub fn config_map_name(name: &str, digest: &str) -> String {
    child(name, &format!("{PREFIX}-{digest}"), MAX_NAME)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[rstest]
    #[case::interval(RunName::Interval(at(1_800_000_060)), "nightly-m1800000060")]
    #[case::cron(RunName::Cron(at(1_800_000_060)), "nightly-m-30000001")]
    #[case::asked(RunName::Asked(at(1_800_000_061)), "nightly-mrun1800000061")]
    #[case::retry(RunName::Retry(at(1_800_000_062)), "nightly-mretry1800000062")]
    fn a_time_has_one_name(#[case] run: RunName, #[case] expected: &str) {
        assert_eq!(run.job_name("nightly"), expected);
        assert_eq!(RunName::parse(expected), Some(run));
    }

    #[test]
    fn long_names_are_cut_and_can_be_read() {
        let name = "x".repeat(200);
        for run in [RunName::Interval(at(60)), RunName::Cron(at(60)), RunName::Asked(at(60)), RunName::Retry(at(60))] {
            let job = run.job_name(&name);
            assert!(job.len() <= MAX_NAME, "{job}");
            assert_eq!(RunName::parse(&job), Some(run));
        }
    }

    #[rstest]
    #[case("nightly-r1")]
    #[case("nightly-m")]
    #[case("nightly-mrunning")]
    fn other_names_are_no_runs(#[case] name: &str) {
        assert_eq!(RunName::parse(name), None);
    }
}
