//! The collection that a run writes into, rebuilt first where another model has filled it. Reads and writes the store.

use std::{path::Path, time::Duration};

use lexigram_api::{contract::Phase, embedding::ModelChange};

use super::RunFailure;
use crate::{
    embed::Embedder,
    report::Tracker,
    store::{Collection, Rebuild, SqliteRebuild, SqliteStore, StoreError},
};

/// Chunks that are embedded before their vectors are stored.
const BATCH: usize = 128;

/// Opens a collection to write the source `scope`. If another model has filled it, that is an error, or every text in it
/// is embedded with this one first.
pub(crate) async fn open_collection(
    path: &Path,
    name: &str,
    scope: &str,
    on_change: ModelChange,
    embedder: &dyn Embedder,
    tracker: &Tracker,
    patience: Duration,
) -> Result<SqliteStore, RunFailure> {
    let collection = Collection { name, model: embedder.fingerprint(), dimension: embedder.dimension() };
    match SqliteStore::create(path, &collection, scope, patience).await {
        Err(StoreError::ModelMismatch { stored, requested, .. }) if on_change == ModelChange::Rebuild => {
            tracing::info!(from = stored, to = requested, "the collection is rebuilt for another model");
            let rebuild = SqliteRebuild::begin(path, &collection, patience).await?;
            carry_over(&rebuild, embedder, tracker).await?;
            Ok(SqliteStore::create(path, &collection, scope, patience).await?)
        }
        created => Ok(created?),
    }
}

/// Embeds every text of the collection with the model. One that has no vector ends the rebuild: without it, searches
/// would lose what they find today.
async fn carry_over(store: &dyn Rebuild, embedder: &dyn Embedder, tracker: &Tracker) -> Result<(), RunFailure> {
    tracker.phase(Phase::Rebuilding);
    loop {
        let left = store.left(BATCH).await?;
        if left.is_empty() {
            if store.finish().await? {
                return Ok(());
            }
            // a run of the model in use has added some
            continue;
        }
        let texts = left.iter().map(|chunk| chunk.text.clone()).collect();
        let outcomes = tracker.watch(embedder, embedder.embed(texts)).await?;
        let embedded = left.into_iter().zip(outcomes).map(|(chunk, outcome)| match outcome {
            Ok(embedded) => Ok((chunk, embedded.vector)),
            Err(error) => Err(RunFailure::NotCarriedOver { chunk: chunk.id, error: Box::new(error) }),
        });
        store.carry_over(embedded.collect::<Result<_, _>>()?).await?;
        tracker.beat();
    }
}
