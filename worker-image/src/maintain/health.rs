//! `HealthCheck`: a look at store, provider and ledger. Calls the store and the provider.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use lexigram_api::{
    contract::{BATCH_LEDGER, CheckReport, Embedding},
    failure::FailureCategory,
    maintenance::{HealthCheck, HealthCheckName},
};
use tokio::time::{Instant, timeout};

use super::{
    Outcome,
    collections::Wanted,
    words::{count, duration, number},
};
use crate::{
    embed,
    failure::Classified,
    report::Tracker,
    store::{Examined, StoreError, Upkeep},
};

/// What a probe embeds.
const PROBE: &str = "health check";

/// The model of a collection's vectors, as a provider gives them.
struct Model {
    fingerprint: String,
    dimension: i64,
}

/// What a look at all collections found.
#[derive(Default)]
struct Store {
    examined: Vec<(String, Examined)>,
    /// What cannot be read at all.
    away: Vec<String>,
    /// What can be read and makes no sense.
    damaged: Vec<String>,
}

pub(super) async fn check(
    store: &dyn Upkeep,
    wanted: &Wanted,
    settings: &HealthCheck,
    embedding: Option<&Embedding>,
    models: &Path,
) -> Outcome {
    let found = look(store, wanted).await;
    let (provider, model) = match embedding {
        None => (None, None),
        Some(embedding) => {
            let (check, model) = probe(embedding, models, settings).await;
            (Some(check), model)
        }
    };
    let free = free_space(store, settings).await;
    let mut checks = vec![verdict(HealthCheckName::StoreReachable, &found.away, || {
        count(number(found.examined.len() + found.damaged.len()), "collection", "collections")
    })];
    if found.away.is_empty() {
        checks.push(verdict(HealthCheckName::StoreIntact, &found.damaged, || "nothing is damaged".to_owned()));
        checks.extend(of_collections(&found.examined, settings, model.as_ref()));
    }
    checks.extend(free);
    checks.extend(provider);
    checks.sort_by_key(|check| HealthCheckName::ALL.iter().position(|name| *name == check.name));
    let failed = checks.iter().filter(|check| !check.passed).count();
    let message = match failed {
        0 => format!("all {} checks hold", checks.len()),
        failed => format!("{failed} of {} checks do not hold", checks.len()),
    };
    Outcome { items: number(checks.len()), message, checks, ..Outcome::default() }
}

/// A check that holds if there are no problems.
fn verdict(name: HealthCheckName, problems: &[String], fine: impl FnOnce() -> String) -> CheckReport {
    let passed = problems.is_empty();
    CheckReport { name, passed, message: if passed { fine() } else { problems.join("; ") } }
}

async fn look(store: &dyn Upkeep, wanted: &Wanted) -> Store {
    let mut found = Store::default();
    let collections = match wanted.of(store).await {
        Ok(collections) => collections,
        Err(error) => {
            found.away.push(error.to_string());
            return found;
        }
    };
    for collection in collections {
        match store.examine(&collection).await {
            Ok(examined) => {
                let problems = examined.broken.iter().map(|problem| format!("collection '{collection}': {problem}"));
                found.damaged.extend(problems);
                found.examined.push((collection, examined));
            }
            Err(error) if is_damage(&error) => found.damaged.push(format!("collection '{collection}': {error}")),
            Err(error) => found.away.push(format!("collection '{collection}': {error}")),
        }
    }
    found
}

/// Whether what cannot be read is there all the same.
fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::NotAStore { .. } | StoreError::Damaged(_))
        || error.category() == FailureCategory::Unknown
}

/// The checks that every collection with vectors has to hold.
fn of_collections(examined: &[(String, Examined)], settings: &HealthCheck, model: Option<&Model>) -> Vec<CheckReport> {
    let holds_vectors = |(name, examined): &&(String, Examined)| name != BATCH_LEDGER && examined.model.is_some();
    let filled: Vec<_> = examined.iter().filter(holds_vectors).collect();
    let problems = |problem: &dyn Fn(&Examined) -> Option<String>| -> Vec<String> {
        let problem =
            |(name, examined): &&(String, Examined)| Some(format!("collection '{name}': {}", problem(examined)?));
        filled.iter().filter_map(problem).collect()
    };
    let chunks: i64 = filled.iter().map(|(_, examined)| examined.chunks).sum();
    let mut checks = vec![
        verdict(HealthCheckName::CountsAgree, &problems(&counts), || count(chunks, "chunk", "chunks")),
        verdict(HealthCheckName::FingerprintsAgree, &problems(&|examined| fingerprints(examined, model)), || {
            "every vector fits".to_owned()
        }),
    ];
    if let Some(most) = settings.max_dead_letters {
        let too_many = |examined: &Examined| {
            let number = examined.dead_letters;
            (number > most.into()).then(|| {
                format!("{number} dead letters, and maxDeadLetters is {most}; see `lexigram-worker dead-letters list`")
            })
        };
        let all: i64 = filled.iter().map(|(_, examined)| examined.dead_letters).sum();
        checks.push(verdict(HealthCheckName::DeadLetters, &problems(&too_many), || {
            count(all, "dead letter", "dead letters")
        }));
    }
    if let Some(most) = settings.max_staleness_seconds {
        let now = Timestamp::now();
        checks.push(verdict(HealthCheckName::Freshness, &problems(&|examined| stale(examined, now, most)), || {
            format!("every collection is younger than {most} s")
        }));
    }
    checks
}

fn counts(examined: &Examined) -> Option<String> {
    let orphans = examined.orphans;
    (orphans.total() > 0).then(|| {
        format!(
            "{} that no ledger row knows or that have no vector, {} without a chunk, {} with fewer chunks than the \
             ledger says; run a task of type OrphanCleanup",
            count(orphans.chunks, "chunk", "chunks"),
            count(orphans.entries, "entry of an index", "entries of indexes"),
            count(orphans.documents, "document", "documents")
        )
    })
}

fn fingerprints(examined: &Examined, model: Option<&Model>) -> Option<String> {
    let Examined { dimension, misfits, .. } = examined;
    if *misfits > 0 {
        return Some(format!(
            "{} of another dimension than {dimension}; ingest its documents anew",
            count(*misfits, "vector", "vectors")
        ));
    }
    let (stored, model) = (examined.model.as_ref()?, model?);
    (*stored != model.fingerprint || *dimension != model.dimension).then(|| {
        format!(
            "it was filled with {stored} ({dimension} dimensions), and spec.embedding is {} ({} dimensions); correct \
             spec.embedding, or name only collections of that model in spec.collections",
            model.fingerprint, model.dimension
        )
    })
}

fn stale(examined: &Examined, now: Timestamp, most: i32) -> Option<String> {
    let remedy = "see why its jobs do not run";
    let Some(newest) = examined.newest else { return Some(format!("nothing has been stored yet; {remedy}")) };
    let age = now.duration_since(newest).as_secs();
    (age > most.into())
        .then(|| format!("the newest document was stored {age} s ago, and maxStalenessSeconds is {most}; {remedy}"))
}

/// Whether the provider answers in time, and what model it has.
async fn probe(embedding: &Embedding, models: &Path, settings: &HealthCheck) -> (CheckReport, Option<Model>) {
    let limit = Duration::from_secs(settings.max_latency_seconds.unsigned_abs().into());
    let late = || format!("no answer within maxLatencySeconds ({} s); look at the provider", limit.as_secs());
    let failed = |message: String| CheckReport { name: HealthCheckName::ProviderReady, passed: false, message };
    let embedder = match timeout(limit, embed::open(embedding, models, &Tracker::new(PROBE))).await {
        Ok(Ok(embedder)) => embedder,
        Ok(Err(error)) => return (failed(error.to_string()), None),
        Err(_) => return (failed(late()), None),
    };
    let model = Model { fingerprint: embedder.fingerprint().to_owned(), dimension: number(embedder.dimension()) };
    let begun = Instant::now();
    let problem = match timeout(limit, embedder.embed(vec![PROBE.to_owned()])).await {
        Err(_) => Some(late()),
        Ok(Err(error)) => Some(error.to_string()),
        Ok(Ok(outcomes)) => outcomes.into_iter().find_map(Result::err).map(|error| error.to_string()),
    };
    let check = match problem {
        Some(problem) => failed(problem),
        None => CheckReport {
            name: HealthCheckName::ProviderReady,
            passed: true,
            message: format!("an answer in {}", duration(begun.elapsed())),
        },
    };
    (check, Some(model))
}

async fn free_space(store: &dyn Upkeep, settings: &HealthCheck) -> Option<CheckReport> {
    let least = i64::from(settings.min_free_percent);
    let (passed, message) = match store.free_percent().await {
        Ok(None) => return None,
        Ok(Some(free)) if free < least => {
            (false, format!("{free}% of the claim is free, and minFreePercent is {least}: enlarge the claim"))
        }
        Ok(Some(free)) => (true, format!("{free}% of the claim is free")),
        Err(error) => (false, error.to_string()),
    };
    Some(CheckReport { name: HealthCheckName::FreeSpace, passed, message })
}
