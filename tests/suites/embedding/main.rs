//! Batches of texts, and the models that turn them into vectors. See docs/embedding.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod batch;
mod input;
mod model;
mod server;

use lexigram_api::resource::{ConditionType, EmbeddingBatch, TextCounts};
use lexigram_fault_provider::FaultProvider;
use lexigram_tests::condition_of;
use serde_json::{Value, json};

fn counts(batch: &EmbeddingBatch) -> TextCounts {
    batch.status.as_ref().unwrap().texts.clone().unwrap()
}

fn texts(total: i32, done: i32, failed: i32, cached: i64) -> TextCounts {
    TextCounts { total, done, failed, cached }
}

fn reason(batch: &EmbeddingBatch) -> &str {
    &condition_of(batch, ConditionType::Complete).unwrap().reason
}

fn provider(server: &FaultProvider, settings: Value) -> Value {
    let mut all = json!({"url": server.url(), "model": "stand-in", "dimensions": 8});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({"openAI": all})
}

fn many(count: usize) -> Value {
    (0..count).map(|n| json!({"id": format!("t-{n}"), "text": format!("text number {n}")})).collect()
}
