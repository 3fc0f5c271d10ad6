//! A circuit: whether attempts may be made, or wait because most of the last ones failed. Pure: the clock is given.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use lexigram_api::failure::FailureCategory;

/// When a circuit opens, and how often it is then probed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Attempts that are looked at: the last so many.
    pub window: usize,
    /// Failed ones among them that open the circuit.
    pub most_failed: usize,
    /// Time until the first probe; doubles with each that fails.
    pub first_probe: SignedDuration,
    /// The longest time between two probes.
    pub longest_wait: SignedDuration,
    /// How long it may stand open until the run gives up.
    pub patience: SignedDuration,
}

/// For an embedding provider, which has been asked several times before an attempt fails.
impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 5,
            most_failed: 3,
            first_probe: SignedDuration::from_secs(5),
            longest_wait: SignedDuration::from_mins(5),
            patience: SignedDuration::from_mins(5),
        }
    }
}

/// What an attempt says of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It works.
    Works,
    /// It does not, for now; with what a person should read.
    Fails(String),
    /// Nothing: it was not asked, or what it said is no matter of being up or down.
    Nothing,
}

impl Evidence {
    /// Whether a failure of that category is one of the other side as a whole, which may pass.
    pub(crate) const fn is_outage(category: FailureCategory) -> bool {
        matches!(category, FailureCategory::Transient | FailureCategory::Timeout)
    }
}

/// What may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Attempts may be made.
    Go,
    /// One probe may be made, at that time or later.
    ProbeAt(Timestamp),
    /// The next probe, at that time, is too late for this run.
    GiveUp(Timestamp),
}

/// The attempts so far, and what follows from them.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    settings: Settings,
    /// Whether each of the last attempts failed, oldest first.
    failed: VecDeque<bool>,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    since: Timestamp,
    /// Probes that have failed.
    probes: u32,
    next_probe: Timestamp,
    message: String,
}

impl Circuit {
    /// A circuit that is closed.
    pub(crate) const fn new(settings: Settings) -> Self {
        Self { settings, failed: VecDeque::new(), open: None }
    }

    /// Opens it: a probe is due at once.
    pub(crate) fn open(&mut self, now: Timestamp, message: String) {
        self.failed.clear();
        self.open = Some(Open { since: now, probes: 0, next_probe: now, message });
    }

    /// What may be done.
    pub(crate) fn turn(&self) -> Turn {
        let Some(open) = &self.open else { return Turn::Go };
        match open.next_probe.duration_since(open.since) > self.settings.patience {
            true => Turn::GiveUp(open.next_probe),
            false => Turn::ProbeAt(open.next_probe),
        }
    }

    /// What the attempts failed of, while it is open.
    pub(crate) fn message(&self) -> Option<&str> {
        self.open.as_ref().map(|open| open.message.as_str())
    }

    /// An attempt was made; `probe` where it was one.
    pub(crate) fn attempted(&mut self, now: Timestamp, probe: bool, evidence: &Evidence) {
        match (evidence, &mut self.open) {
            // whatever it says to a probe, the provider answers
            (Evidence::Works, _) | (Evidence::Nothing, Some(_)) if probe => self.close(),
            (Evidence::Nothing, _) => {}
            (Evidence::Works, Some(_)) => self.close(),
            (Evidence::Works, None) => self.note(false),
            (Evidence::Fails(message), Some(open)) => {
                message.clone_into(&mut open.message);
                if probe {
                    open.probes = open.probes.saturating_add(1);
                    open.next_probe = later(now, wait(&self.settings, open.probes));
                }
            }
            (Evidence::Fails(message), None) => {
                self.note(true);
                if self.failed.iter().filter(|&&failed| failed).count() >= self.settings.most_failed {
                    self.open(now, message.clone());
                    if let Some(open) = &mut self.open {
                        open.next_probe = later(now, wait(&self.settings, 0));
                    }
                }
            }
        }
    }

    fn close(&mut self) {
        self.open = None;
        self.failed.clear();
    }

    fn note(&mut self, failed: bool) {
        if self.failed.len() == self.settings.window {
            self.failed.pop_front();
        }
        self.failed.push_back(failed);
    }
}

/// Time until the next probe, after so many that failed.
fn wait(settings: &Settings, failed: u32) -> SignedDuration {
    let factor = 1_i32.checked_shl(failed.min(30)).unwrap_or(i32::MAX);
    settings.first_probe.checked_mul(factor).unwrap_or(settings.longest_wait).min(settings.longest_wait)
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const SETTINGS: Settings = Settings {
        window: 5,
        most_failed: 3,
        first_probe: SignedDuration::from_secs(5),
        longest_wait: SignedDuration::from_secs(30),
        patience: SignedDuration::from_secs(60),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn fails() -> Evidence {
        Evidence::Fails("down".to_owned())
    }

    /// Attempts of a second each: `+` works, `-` fails, `.` says nothing.
    fn after(attempts: &str) -> Circuit {
        let mut circuit = Circuit::new(SETTINGS);
        for (second, attempt) in (1..).zip(attempts.chars()) {
            let evidence = match attempt {
                '+' => Evidence::Works,
                '-' => fails(),
                _ => Evidence::Nothing,
            };
            circuit.attempted(at(second), false, &evidence);
        }
        circuit
    }

    #[rstest]
    #[case::at_first("", Turn::Go)]
    #[case::too_few("--", Turn::Go)]
    #[case::most("---", Turn::ProbeAt(at(8)))]
    #[case::most_of_five("-+-+-", Turn::ProbeAt(at(10)))]
    #[case::the_first_is_forgotten("--+++-", Turn::Go)]
    #[case::what_says_nothing_does_not_count("-.-.....-", Turn::ProbeAt(at(14)))]
    #[case::an_attempt_that_was_under_way_closes_it("---+", Turn::Go)]
    #[case::one_that_fails_changes_nothing("----", Turn::ProbeAt(at(8)))]
    fn opens_when_most_attempts_fail(#[case] attempts: &str, #[case] turn: Turn) {
        assert_eq!(after(attempts).turn(), turn);
    }

    #[test]
    fn probes_are_made_ever_later_until_the_run_gives_up() {
        let mut circuit = after("---");
        let mut times = Vec::new();
        let last = loop {
            match circuit.turn() {
                Turn::ProbeAt(time) => {
                    times.push(time.as_second());
                    circuit.attempted(time, true, &fails());
                }
                Turn::GiveUp(time) => break time,
                Turn::Go => panic!("it is open"),
            }
        };
        // opened in second 3; 5, 10, 20, then never more than 30 seconds apart
        assert_eq!((times, last.as_second()), (vec![8, 18, 38], 68));
    }

    #[rstest]
    #[case::it_works(Evidence::Works, Turn::Go, None)]
    #[case::it_answers(Evidence::Nothing, Turn::Go, None)]
    #[case::it_does_not(fails(), Turn::ProbeAt(at(18)), Some("down"))]
    fn one_probe_decides(#[case] evidence: Evidence, #[case] turn: Turn, #[case] message: Option<&str>) {
        let mut circuit = after("---");
        circuit.attempted(at(8), true, &evidence);
        assert_eq!((circuit.turn(), circuit.message()), (turn, message));
    }

    #[test]
    fn once_closed_it_counts_from_the_beginning() {
        let mut circuit = after("---+--");
        assert_eq!(circuit.turn(), Turn::Go);
        circuit.attempted(at(7), false, &fails());
        assert_eq!(circuit.turn(), Turn::ProbeAt(at(12)));
    }

    #[test]
    fn a_run_after_an_open_circuit_begins_with_a_probe() {
        let mut circuit = Circuit::new(SETTINGS);
        circuit.open(at(100), "down".to_owned());
        assert_eq!(circuit.turn(), Turn::ProbeAt(at(100)));
        circuit.attempted(at(100), true, &fails());
        assert_eq!(circuit.turn(), Turn::ProbeAt(at(110)));
    }

    proptest! {
        #[test]
        fn waits_never_shrink_and_never_pass_their_bound(failed in 0_u32..10_000) {
            let (this, next) = (wait(&SETTINGS, failed), wait(&SETTINGS, failed + 1));
            prop_assert!(this <= next && next <= SETTINGS.longest_wait && this >= SETTINGS.first_probe);
        }
    }
}
