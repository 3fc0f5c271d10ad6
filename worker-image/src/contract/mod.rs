//! Whether a worker, of whatever author and language, keeps the contract with the operator: what it is asked, and what is
//! wrong with its answers.
//!
//! - [`message`]: whether one JSON message can be read and makes sense
//! - `consistency`: whether its numbers agree with each other and with the exit code
//! - `scenario`: what a worker is put through
//! - `launch`: runs it as a pod does. Starts a process, asks it over loopback, reads and writes files
//! - `judge`: what is wrong with what was seen

mod consistency;
mod finding;
mod judge;
mod launch;
pub mod message;
mod scenario;

use std::time::Duration;

use serde_json::Value;

pub use finding::Finding;
pub use launch::LaunchError;
pub use scenario::Scenario;

/// Puts the worker that `command` starts through a scenario, with that work spec or else a sample, and says what is wrong.
///
/// # Errors
/// If the worker cannot be run at all.
pub async fn check(
    command: &[String],
    spec: Option<&Value>,
    scenario: Scenario,
    timeout: Duration,
) -> Result<Vec<Finding>, LaunchError> {
    let pod = launch::Pod::new()?;
    let spec = match spec {
        Some(spec) => spec.clone(),
        None => serde_json::to_value(scenario::sample(pod.folder())).map_err(std::io::Error::from)?,
    };
    let run = spec["run"].as_str().unwrap_or_default();
    let seen = pod.run(command, &scenario.spec(&spec), run, scenario.interrupts(), timeout).await?;
    Ok(judge::judge(scenario, &seen, run))
}
