//! An object on one line: state, progress, what failed, rate, age. No I/O.

use jiff::Timestamp;
use kube::ResourceExt;
use lexigram_api::{
    contract::TaskResult,
    duration::in_words,
    resource::{
        ConditionType, EmbeddingBatchStatus, IngestionJobStatus, JobStatus, MaintenanceScheduleStatus, State,
        condition, is_true,
    },
};

use crate::{
    error::PluginError,
    kind::Kind,
    objects::Object,
    outcome::status,
    output::{bar, table},
};

/// An object on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    namespace: String,
    name: String,
    state: String,
    progress: String,
    failed: String,
    rate: String,
    created: Option<Timestamp>,
}

impl Row {
    /// The line of an object.
    pub fn of(object: &Object) -> Result<Self, PluginError> {
        let row = Self {
            namespace: object.content.namespace().unwrap_or_default(),
            name: object.target().to_string(),
            state: String::new(),
            progress: String::new(),
            failed: String::new(),
            rate: String::new(),
            created: object.content.creation_timestamp().map(|time| time.0),
        };
        Ok(match object.kind {
            Kind::Ingestion => match status::<IngestionJobStatus>(object)? {
                Some(status) => Self { rate: documents_a_second(&status).unwrap_or_default(), ..row.job(&status.job) },
                None => row,
            },
            Kind::Embedding => match status::<EmbeddingBatchStatus>(object)? {
                Some(status) => Self { rate: status.throughput.unwrap_or_default(), ..row.job(&status.job) },
                None => row,
            },
            Kind::Maintenance => match status::<MaintenanceScheduleStatus>(object)? {
                Some(status) => row.schedule(&status),
                None => row,
            },
        })
    }

    fn job(self, status: &JobStatus) -> Self {
        let state = status.state.map_or("", State::as_str);
        let failed = status.dead_letters.as_ref().map(|dead| dead.summary.clone());
        Self {
            state: match status.queue_position {
                Some(position) => format!("{state} #{position}"),
                None => state.to_owned(),
            },
            progress: status.progress.as_deref().and_then(progress).unwrap_or_default(),
            failed: failed.unwrap_or_default(),
            ..self
        }
    }

    /// The progress is that of the newest run that is over: its tasks without a failure.
    fn schedule(self, status: &MaintenanceScheduleStatus) -> Self {
        let tasks = status.runs.iter().find(|run| run.result.is_some()).map(|run| &run.tasks);
        let progress = tasks.filter(|tasks| !tasks.is_empty()).map(|tasks| {
            let done = tasks.iter().filter(|task| task.result != TaskResult::Failed).count();
            bar(done, tasks.len())
        });
        Self {
            state: schedule_state(status),
            progress: progress.unwrap_or_default(),
            failed: status.dead_letters.as_ref().map(|dead| dead.summary.clone()).unwrap_or_default(),
            ..self
        }
    }

    fn cells(&self, namespaces: bool, now: Timestamp) -> Vec<String> {
        let age = self.created.map(|created| in_words(now.duration_since(created))).unwrap_or_default();
        let namespace = namespaces.then(|| self.namespace.clone());
        let cells = [&self.name, &self.state, &self.progress, &self.failed, &self.rate].map(Clone::clone);
        namespace.into_iter().chain(cells).chain([age]).collect()
    }
}

/// The rows below their header.
pub fn rows(rows: &[Row], namespaces: bool, now: Timestamp) -> String {
    let header = ["NAMESPACE", "NAME", "STATE", "PROGRESS", "FAILED", "RATE", "AGE"].map(str::to_owned);
    let header = header.into_iter().skip(usize::from(!namespaces)).collect();
    table([header].into_iter().chain(rows.iter().map(|row| row.cells(namespaces, now))))
}

/// "37/120" as a bar.
fn progress(words: &str) -> Option<String> {
    let (done, total) = words.split_once('/')?;
    Some(bar(done.parse().ok()?, total.parse().ok()?))
}

/// What a batch shows as its throughput, for documents; while they are worked through.
fn documents_a_second(status: &IngestionJobStatus) -> Option<String> {
    let job = &status.job;
    let documents = status.documents.as_ref().filter(|_| job.state == Some(State::Running))?;
    let elapsed = job.last_heartbeat_time.as_ref()?.0.duration_since(job.start_time.as_ref()?.0);
    let tenths = i64::from(documents.processed()).checked_mul(10)?.checked_div(elapsed.as_secs().max(1))?;
    Some(format!("{}.{}/s", tenths / 10, tenths % 10))
}

fn schedule_state(status: &MaintenanceScheduleStatus) -> String {
    let conditions = &status.conditions;
    let ready = condition(conditions, ConditionType::Ready);
    let unhealthy = condition(conditions, ConditionType::Healthy).is_some_and(|healthy| healthy.status == "False");
    match ready {
        None => String::new(),
        Some(_) if is_true(conditions, ConditionType::Stalled) => "Stalled".to_owned(),
        Some(ready) if ready.status != "True" => ready.reason.clone(),
        Some(_) if !status.active.is_empty() => "Running".to_owned(),
        Some(_) if unhealthy => "Unhealthy".to_owned(),
        Some(_) => "Ready".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(kind: Kind, name: &str, status: Value) -> Object {
        let mut object = json!({"metadata": {
            "name": name, "namespace": "docs", "creationTimestamp": "2027-01-15T08:00:00Z",
        }});
        if !status.is_null() {
            object["status"] = status;
        }
        Object { kind, content: serde_json::from_value(object).unwrap() }
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2027-01-15T08:00:00Z"})
    }

    fn all() -> Vec<Row> {
        let dead = json!({"summary": "2 retrying, 1 archived", "total": 3, "retrying": 2, "archived": 1});
        let tasks = json!([
            {"name": "index", "type": "IndexOptimization", "result": "Succeeded", "items": 1, "bytesFreed": 0, "message": ""},
            {"name": "cache", "type": "CacheCleanup", "result": "Failed", "items": 0, "bytesFreed": 0, "message": "no room"},
        ]);
        let ready = condition("Ready", "True", "Scheduled");
        let objects = [
            object(Kind::Ingestion, "new", Value::Null),
            object(Kind::Ingestion, "waits", json!({"state": "Queued", "queuePosition": 3})),
            object(
                Kind::Ingestion,
                "handbook",
                json!({
                    "state": "Running", "progress": "57/60", "deadLetters": dead,
                    "documents": {"total": 60, "done": 54, "failed": 3},
                    "startTime": "2027-01-15T08:00:05Z", "lastHeartbeatTime": "2027-01-15T08:00:25Z",
                }),
            ),
            object(
                Kind::Embedding,
                "reviews",
                json!({"state": "Complete", "progress": "1000/1000", "throughput": "41.5/s", "deadLetters": {"summary": "0"}}),
            ),
            object(
                Kind::Maintenance,
                "nightly",
                json!({
                    "conditions": [ready, condition("Healthy", "False", "FreeSpace")],
                    "runs": [
                        {"job": "nightly-m2", "scheduledTime": "2027-01-15T08:00:00Z"},
                        {"job": "nightly-m1", "scheduledTime": "2027-01-15T07:00:00Z", "result": "Failed", "tasks": tasks},
                    ],
                }),
            ),
            object(Kind::Maintenance, "works", json!({"conditions": [ready], "active": ["works-m1"]})),
            object(
                Kind::Maintenance,
                "off",
                json!({"conditions": [condition("Ready", "False", "MaintenanceDisabled")]}),
            ),
            object(
                Kind::Maintenance,
                "stuck",
                json!({"conditions": [condition("Ready", "False", "InvalidSpec"), condition("Stalled", "True", "InvalidSpec")]}),
            ),
        ];
        objects.iter().map(|object| Row::of(object).unwrap()).collect()
    }

    fn now() -> Timestamp {
        "2027-01-15T10:05:00Z".parse().unwrap()
    }

    #[test]
    fn every_kind_and_state_is_one_line() {
        insta::assert_snapshot!(rows(&all(), false, now()));
    }

    #[test]
    fn namespaces_come_first() {
        insta::assert_snapshot!(rows(&all()[1..3], true, now()));
    }
}
