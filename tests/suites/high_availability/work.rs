//! Objects of all kinds with a little to do. Creates objects, and waits for their end.

use jiff::Timestamp;
use lexigram_api::{
    contract::TaskResult,
    resource::{ConditionType, MaintenanceSchedule},
};
use lexigram_tests::{Sandbox, ended_runs};
use serde_json::json;

/// One object of each kind, told apart by a number.
pub struct Work(u32);

impl Work {
    /// Gives the operators one object of each kind to work at.
    pub async fn begin(it: &Sandbox, number: u32) -> Self {
        let work = Self(number);
        let text = format!("Otter number {number} holds hands while it sleeps.");
        it.ingest(&work.of("job"), json!({"source": {"inline": [{"name": "otters.md", "text": text}]}})).await;
        it.batches().apply(&work.of("batch"), json!({"input": {"texts": [{"text": text}]}})).await;
        let tasks = json!([{"name": "archive", "type": "ArchiveCleanup"}]);
        it.schedules().apply(&work.of("care"), json!({"intervalSeconds": 31_536_000, "tasks": tasks})).await;
        let asked = Timestamp::from_second(i64::from(number) + 1).unwrap().to_string();
        it.schedules().annotate(&work.of("care"), &[("workers.lexigram.dev/run", &asked)]).await;
        work
    }

    /// Waits until all three have come to their good end.
    pub async fn until_done(&self, it: &Sandbox) {
        it.until_true(&self.of("job"), ConditionType::Complete).await;
        it.batches().until_true(&self.of("batch"), ConditionType::Complete).await;
        let ended = |schedule: &MaintenanceSchedule| Some(ended_runs(schedule)).filter(|runs| !runs.is_empty());
        let runs = it.schedules().until(&self.of("care"), "has a run that is over", ended).await;
        // of two schedules on one store at once, one gives way
        let ends = [TaskResult::Succeeded, TaskResult::Skipped].map(Some);
        assert!(runs.len() == 1 && ends.contains(&runs[0].result), "{runs:?}");
    }

    /// The Kubernetes Jobs that this takes.
    pub fn jobs(&self) -> [String; 3] {
        let second = i64::from(self.0) + 1;
        [
            format!("{}-r1", self.of("job")),
            format!("{}-br1", self.of("batch")),
            format!("{}-mrun{second}", self.of("care")),
        ]
    }

    fn of(&self, kind: &str) -> String {
        format!("{kind}-{}", self.0)
    }
}
