//! The collection that a run writes into, rebuilt first where another model has filled it. Reads and writes the store.

use std::time::Duration;

use lexigram_api::{contract::Phase, embedding::ModelChange};

use super::RunFailure;
use crate::{
    embed::Embedder,
    report::Tracker,
    store::{Collection, Place, Rebuild, StoreError, TextStore, Writer},
};

/// Chunks that are embedded before their vectors are stored.
const BATCH: usize = 128;

/// How long a process waits while another one of its run rebuilds the collection: as long as that takes.
const REBUILD_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens a collection to write a source. If another model has filled it, that is an error, or every text in it is
/// embedded with this one first.
pub(crate) async fn open_collection(
    place: &Place,
    name: &str,
    writer: &Writer<'_>,
    on_change: ModelChange,
    embedder: &dyn Embedder,
    tracker: &Tracker,
) -> Result<Box<dyn TextStore>, RunFailure> {
    let collection = Collection { name, model: embedder.fingerprint(), dimension: embedder.dimension() };
    match place.create(&collection, writer).await {
        Err(StoreError::ModelMismatch { stored, requested, .. }) if on_change == ModelChange::Rebuild => {
            tracing::info!(from = stored, to = requested, "the collection is rebuilt for another model");
            let patience = if writer.shard.count > 1 { REBUILD_PATIENCE } else { writer.patience };
            let rebuild = place.rebuild(&collection, patience).await?;
            carry_over(&*rebuild, embedder, tracker).await?;
            drop(rebuild);
            Ok(place.create(&collection, writer).await?)
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
        let outcomes = tracker.watch(|| embedder.asked(), embedder.embed(texts)).await?;
        let embedded = left.into_iter().zip(outcomes).map(|(chunk, outcome)| match outcome {
            Ok(embedded) => Ok((chunk, embedded.vector)),
            Err(error) => Err(RunFailure::NotCarriedOver { chunk: chunk.id, error: Box::new(error) }),
        });
        store.carry_over(embedded.collect::<Result<_, _>>()?).await?;
        tracker.beat();
    }
}
