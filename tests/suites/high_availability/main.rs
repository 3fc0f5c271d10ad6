//! Two operators, one lease: whoever dies, stops or is cut off, work goes on and nothing is done twice.
//!
//! The tests take turns, since some of them stop the API server. Further settings, for runs by hand:
//! LEXIGRAM_LEADER_KILLS (6), LEXIGRAM_PAUSE_SECONDS (0: as short as proves it), LEXIGRAM_IDLE_SECONDS (0: two sweeps).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod api_server;
mod idle;
mod jobs;
mod leader;
mod work;

use std::{
    env,
    sync::{Mutex, PoisonError},
};

use lexigram_tests::{Sandbox, sandbox};
use serde_json::{Value, json};

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a scenario with two operators, while no other one of this suite runs.
fn with_two_operators(mut values: Value, scenario: impl AsyncFnOnce(&Sandbox)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    values["operator"]["replicas"] = json!(2);
    sandbox(values, scenario);
}

/// A setting of this suite.
fn setting(name: &str, default: u32) -> u32 {
    env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}
