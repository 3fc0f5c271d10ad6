//! Figures of a batch: throughput and cost. No I/O.

use crate::controller::{job::observe::Observation, runs::RunPhase};

/// Texts a second of the newest run, while its worker is at work and once it has ended: "41.5/s".
pub(super) fn throughput(seen: &Observation) -> Option<String> {
    let run = seen.runs.last()?;
    let (done, from, to) = match (&run.progress, &run.phase) {
        (Some(progress), _) => (progress.counts.items.done, progress.started, progress.heartbeat),
        (None, RunPhase::Succeeded { at }) => (run.last_report()?.counts.items.done, run.started?, *at),
        (None, _) => return None,
    };
    rate(done, to.duration_since(from).as_millis())
}

fn rate(done: i32, milliseconds: i128) -> Option<String> {
    if done <= 0 || milliseconds <= 0 {
        return None;
    }
    let tenths = i128::from(done) * 10_000 / milliseconds;
    Some(format!("{}.{}/s", tenths / 10, tenths % 10))
}

/// What so many tokens cost at this price of a million, to the ten-thousandth, rounded up: "0.1250". The price is a
/// decimal of up to six places, as the API server has checked.
pub(super) fn cost(tokens: i64, price: &str) -> Option<String> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let millionths: i128 = format!("{whole}{fraction:0<6}").parse().ok()?;
    // tokens × price / 1,000,000, in ten-thousandths
    let cost = (i128::from(tokens) * millionths + 99_999_999) / 100_000_000;
    Some(format!("{}.{:04}", cost / 10_000, cost % 10_000))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_yet(0, 1000, None)]
    #[case::no_time_yet(5, 0, None)]
    #[case::slow(1, 3000, Some("0.3/s"))]
    #[case::fast(10_000, 2500, Some("4000.0/s"))]
    fn rates(#[case] done: i32, #[case] milliseconds: i128, #[case] expected: Option<&str>) {
        assert_eq!(rate(done, milliseconds).as_deref(), expected);
    }

    #[rstest]
    #[case(1_000_000, "0.02", "0.0200")]
    #[case(6_250_000, "0.02", "0.1250")]
    #[case::rounded_up(1, "0.02", "0.0001")]
    #[case::whole(2_500_000, "3", "7.5000")]
    #[case::nothing(0, "0.13", "0.0000")]
    fn costs(#[case] tokens: i64, #[case] price: &str, #[case] expected: &str) {
        assert_eq!(cost(tokens, price).as_deref(), Some(expected));
    }
}
