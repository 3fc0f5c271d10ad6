//! Runs of a `MaintenanceSchedule` that somebody asks for, as users do. Writes annotations, reads schedules.

use jiff::{SignedDuration, Timestamp};
use lexigram_api::resource::{MaintenanceRun, MaintenanceSchedule};

use crate::sandbox::Sandbox;

impl Sandbox {
    /// Asks for a run of a schedule, the `number`-th of a test, and waits until it is over, however it ends.
    pub async fn run_now(&self, name: &str, number: i64) -> MaintenanceRun {
        // a new value is a new request
        let second = (Timestamp::now() + SignedDuration::from_secs(number)).as_second();
        let asked = Timestamp::from_second(second).unwrap().to_string();
        self.schedules().annotate(name, &[("workers.lexigram.dev/run", &asked)]).await;
        let job = format!("{name}-mrun{second}");
        let what = format!("has ended {job}");
        self.schedules()
            .until(name, &what, |schedule| ended_runs(schedule).into_iter().find(|run| run.job == job))
            .await
    }
}

/// The runs of a schedule that are over, newest first.
#[must_use]
pub fn ended_runs(schedule: &MaintenanceSchedule) -> Vec<MaintenanceRun> {
    let runs = schedule.status.iter().flat_map(|status| &status.runs);
    runs.filter(|run| run.result.is_some()).cloned().collect()
}
