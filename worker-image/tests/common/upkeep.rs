//! Maintenance in this process, and collections that it can be tried on.

use std::{collections::BTreeMap, path::Path, time::Duration};

use jiff::Timestamp;
use lexigram_api::{
    contract::{
        CheckReport, Embedding, ExitCode, MaintainTask, MaintenanceStep, MaintenanceWork, StoreRoot, TaskReport,
    },
    failure::{FailureAction, FailureCategory, Stage, Verdict},
    maintenance::HealthCheckName,
};
use lexigram_worker::{
    maintain::maintain,
    parse::About,
    source::Listed,
    store::{Collection, DocumentWrite, EmbeddedChunk, FailedAttempt, Place, RunKey, Shard, TextStore, Writer},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The source of every document here.
pub const SCOPE: &str = "configMap/handbook";
/// Numbers in a vector.
pub const DIMENSION: usize = 64;

/// A collection of a model that needs none.
pub const fn collection(name: &str) -> Collection<'_> {
    Collection { name, model: "tiny@1", dimension: DIMENSION }
}

pub fn task(store: &StoreRoot, works: Vec<MaintenanceWork>) -> MaintainTask {
    let step = |(number, work): (usize, MaintenanceWork)| MaintenanceStep {
        name: format!("task-{number}"),
        timeout_seconds: 300,
        work,
    };
    MaintainTask {
        store: store.clone(),
        collections: Vec::new(),
        embedding: None,
        tasks: works.into_iter().enumerate().map(step).collect(),
        rules: Vec::new(),
    }
}

/// A run of maintenance to its end.
pub async fn run_task(task: &MaintainTask) -> Vec<TaskReport> {
    let folder = std::env::var_os("LEXIGRAM_MODELS").unwrap_or_default();
    let ended = maintain(Path::new(&folder), "m1", task, &CancellationToken::new()).await.unwrap();
    assert_eq!((ended.exit, &ended.report.error), (ExitCode::Finished, &None));
    ended.report.maintenance
}

/// A run of one task.
pub async fn run_one(store: &StoreRoot, work: MaintenanceWork) -> TaskReport {
    run_task(&task(store, vec![work])).await.remove(0)
}

/// The checks of a health check by name.
pub async fn checks(task: &MaintainTask) -> BTreeMap<HealthCheckName, CheckReport> {
    let report = run_task(task).await.remove(0);
    assert_eq!(report.items, i64::try_from(report.checks.len()).unwrap());
    report.checks.into_iter().map(|check| (check.name, check)).collect()
}

/// Whether each check holds.
pub fn holding(checks: &BTreeMap<HealthCheckName, CheckReport>) -> Vec<(HealthCheckName, bool)> {
    checks.iter().map(|(name, check)| (*name, check.passed)).collect()
}

pub fn local_model() -> Embedding {
    Embedding::local(super::MODEL)
}

/// A full run that finds these documents, each of so many chunks, and no others.
pub async fn fill(place: &Place, name: &str, run: &str, documents: &[(String, usize)]) {
    let writer = Writer { scope: SCOPE, run, shard: Shard::WHOLE, patience: Duration::from_secs(10) };
    let store = place.create(&collection(name), &writer).await.unwrap();
    let key = begin(&*store, run, documents.iter().map(|(name, _)| name.clone())).await;
    let chunks: BTreeMap<_, _> = documents.iter().cloned().collect();
    while let Some(item) = store.claim(&key).await.unwrap() {
        store.complete(write(item.document, &item.name, chunks[&item.name])).await.unwrap();
    }
    store.remove_unlisted(&key).await.unwrap();
}

/// A run in which these documents fail for good, at these seconds.
pub async fn archive(place: &Place, name: &str, run: &str, documents: &[(&str, i64)]) {
    let writer = Writer { scope: SCOPE, run, shard: Shard::WHOLE, patience: Duration::from_secs(10) };
    let store = place.create(&collection(name), &writer).await.unwrap();
    let key = begin(&*store, run, documents.iter().map(|(name, _)| (*name).to_owned())).await;
    let times: BTreeMap<_, _> = documents.iter().copied().collect();
    while let Some(item) = store.claim(&key).await.unwrap() {
        let attempt = FailedAttempt {
            document: item.document,
            attempts: 1,
            stage: Stage::Parse,
            category: FailureCategory::InvalidInput,
            reason: "Test".to_owned(),
            message: "it failed".to_owned(),
            time: Timestamp::from_second(times[item.name.as_str()]).unwrap(),
            verdict: Verdict { action: FailureAction::Archive, next_attempt: None },
        };
        store.fail(attempt).await.unwrap();
    }
}

async fn begin(store: &dyn TextStore, run: &str, names: impl Iterator<Item = String>) -> RunKey {
    let key = RunKey { scope: SCOPE.to_owned(), run: run.to_owned() };
    store.begin_full(&key).await.unwrap();
    let listed = names.map(|name| Listed { name, version: Some("1".to_owned()) }).collect();
    store.add_listed(&key, listed, "p1").await.unwrap();
    store.end_listing(&key).await.unwrap();
    key
}

/// Everything of a document with so many chunks.
fn write(document: i64, name: &str, chunks: usize) -> DocumentWrite {
    let chunk = |ordinal: usize| {
        let mut vector = vec![1.0; DIMENSION];
        vector[ordinal % DIMENSION] = f32::from(u16::try_from(ordinal).unwrap()) + 2.0;
        EmbeddedChunk {
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{name} {ordinal}").as_bytes()),
            ordinal: i32::try_from(ordinal).unwrap(),
            text: format!("chunk {ordinal} of {name} tells of {}", "the sea and the gulls ".repeat(20)),
            headings: Vec::new(),
            page: None,
            bytes: 0..10,
            tokens: 7,
            vector,
        }
    };
    DocumentWrite {
        document,
        revision: "r1".to_owned(),
        pipeline: "p1".to_owned(),
        bytes: 100,
        tokens: 7,
        cached: 0,
        about: About::default(),
        chunks: (0..chunks).map(chunk).collect(),
    }
}

/// So many documents of so many chunks.
pub fn documents(number: usize, chunks: usize) -> Vec<(String, usize)> {
    (0..number).map(|document| (format!("{document:03}.md"), chunks)).collect()
}
