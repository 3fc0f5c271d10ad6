//! A batch from its opening to its end: the order of its steps. I/O through input, store and output only.

use std::sync::Arc;

use lexigram_api::contract::{EmbedTask, Mode, OpenCircuit, OutputLocation, Phase};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Machine, identity::pipeline_fingerprint, in_hand::IN_HAND, input::Input, output::Output};
use crate::{
    embed::CachedEmbedder,
    report::Tracker,
    run::{Breaker, Ended, Judge, RunFailure, begin, conclude, count_interrupted, open_collection, put_off},
    store::{Listing, Place, RunKey, Shard, TextStore, Writer},
};

/// A batch with everything it works with.
pub(super) struct Run<'a> {
    pub(super) key: RunKey,
    pub(super) task: &'a EmbedTask,
    pub(super) tracker: &'a Tracker,
    pub(super) stop: &'a CancellationToken,
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) batch_texts: usize,
    pub(super) embedder: Breaker,
    pub(super) store: Box<dyn TextStore>,
    pub(super) judge: Judge,
    /// Room for slices between `read` and `write`.
    pub(super) in_hand: Arc<Semaphore>,
    /// See [`pipeline_fingerprint`].
    pub(super) pipeline: String,
}

impl<'a> Run<'a> {
    pub(super) async fn open(
        machine: &Machine,
        run: &str,
        task: &'a EmbedTask,
        tracker: &'a Tracker,
        stop: &'a CancellationToken,
    ) -> Result<Self, RunFailure> {
        let judge = Judge::new(task.failure_policy.clone())?;
        let input = Input::open(task, &machine.scratch, stop).await?;
        // before the store is made: an input that cannot be read leaves nothing behind
        let rows = input.rows.clone();
        tokio::task::spawn_blocking(move || rows.open().map(drop)).await.map_err(|error| super::broken(&error))??;
        let output = Output::open(&task.output)?;
        let mut embedder = Arc::clone(&machine.embedder);
        let shard = Shard::of(machine.shard, task.embedding.shards);
        let place = Place::find(&task.store, shard.count)?;
        let writer = Writer { scope: &task.scope, run, shard, patience: machine.patience };
        let store = async {
            match &task.output {
                OutputLocation::Collection { collection } => {
                    let on_change = task.embedding.on_model_change;
                    open_collection(&place, collection, &writer, on_change, &*embedder, tracker).await
                }
                OutputLocation::Files { .. } => Ok(place.create_ledger(&writer).await?),
            }
        };
        let store = stop.run_until_cancelled(store).await.ok_or(RunFailure::Interrupted)??;
        output.recover(&store.revisions(&task.scope).await?)?;
        if task.deduplicate {
            let cache = place.cache().await;
            embedder = Arc::new(CachedEmbedder::new(embedder, cache, task.embedding.truncate));
        }
        Ok(Self {
            key: RunKey { scope: task.scope.clone(), run: run.to_owned() },
            task,
            tracker,
            stop,
            input,
            output,
            pipeline: pipeline_fingerprint(task, embedder.fingerprint()),
            batch_texts: embedder.batch_texts().max(1),
            embedder: Breaker::new(embedder, Arc::clone(&machine.embedder), machine.circuit),
            store,
            judge,
            in_hand: Arc::new(Semaphore::new(IN_HAND)),
        })
    }

    /// The whole run.
    pub(super) async fn execute(&self) -> Ended {
        let archive = &self.task.failure_policy.archive;
        conclude(&*self.store, &self.key, archive, self.tracker, self.steps()).await
    }

    async fn steps(&self) -> Result<Option<OpenCircuit>, RunFailure> {
        count_interrupted(&*self.store, &self.key, &self.judge).await?;
        if begin(&*self.store, &self.key, &self.task.mode, self.tracker, self.stop).await? == Listing::Open {
            self.list().await?;
        }
        let summary = self.store.summary(&self.key).await?;
        self.tracker.load(&summary);
        if summary.after_circuit {
            self.embedder.probe_first();
        }
        self.tracker.phase(Phase::Working);
        let circuit = put_off(&*self.store, &self.key, self.work().await).await?;
        if self.stop.is_cancelled() {
            return Err(RunFailure::Interrupted);
        }
        self.tracker.phase(Phase::Finishing);
        if let Err(error) = self.store.index(&self.key).await {
            tracing::warn!("the collection could not be indexed: {error}");
        }
        if self.task.mode == Mode::Full {
            self.store.remove_unlisted(&self.key).await?;
            self.output.remove_stale(&self.store.revisions(&self.key.scope).await?)?;
        }
        Ok(circuit)
    }

    /// The stages, all at once, until nothing waits or the run is told to stop.
    async fn work(&self) -> Result<(), RunFailure> {
        let (to_embed, read) = mpsc::channel(1);
        let (to_write, embedded) = mpsc::channel(2);
        // a store or a provider that refuses ends all of them at once
        tokio::try_join!(self.read(to_embed), self.embed(read, to_write), self.write(embedded)).map(|_| ())
    }

    /// Whether everything is listed and worked through, so that what the run has not come to yet is nobody's.
    pub(super) fn is_full(&self) -> bool {
        self.task.mode == Mode::Full
    }
}
