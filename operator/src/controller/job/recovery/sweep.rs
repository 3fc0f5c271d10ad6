//! When what is due is tried again: at the ticks of a clock that all operators share. No I/O, no clock of its own.

use jiff::{SignedDuration, Timestamp};

use crate::{
    config::AiWorkers,
    controller::{job::counts::Tally, runs::Run},
};

/// The first tick of the sweep's clock at which an item that is due then has become so.
#[must_use]
pub fn sweep_at(due: Timestamp, interval_seconds: u32) -> Timestamp {
    let interval = i64::from(interval_seconds.max(1));
    let second = due.as_second() + i64::from(due.subsec_nanosecond() > 0);
    let tick = second.div_euclid(interval) + i64::from(second.rem_euclid(interval) > 0);
    Timestamp::from_second(tick * interval).unwrap_or(due)
}

/// The tick at which the items that wait for a retry are swept up, given the run that ended last and when. A report
/// that names no time waits for the policy's first backoff; a circuit that is open, for its next probe.
#[must_use]
pub fn next_sweep(tally: &Tally, run: &Run, ended: Timestamp, first_backoff: i32, config: &AiWorkers) -> Timestamp {
    let wait = SignedDuration::from_secs(first_backoff.into());
    let due = tally.next_retry.or_else(|| ended.checked_add(wait).ok()).unwrap_or(ended);
    let probe = run.last_report().and_then(|report| report.circuit.as_ref()).map(|circuit| circuit.until);
    sweep_at(probe.map_or(due, |probe| due.max(probe)), config.dlq_check_interval)
}
