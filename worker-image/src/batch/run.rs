//! A batch from its opening to its end: the order of its steps. I/O through input, store and output only.

use std::{path::Path, sync::Arc};

use lexigram_api::contract::{EmbedTask, Mode, OutputLocation, Phase, StoreLocation};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Machine, identity::pipeline_fingerprint, in_hand::IN_HAND, input::Input, output::Output};
use crate::{
    embed::{CachedEmbedder, Embedder},
    report::Tracker,
    run::{Ended, Judge, RunFailure, conclude, count_interrupted},
    store::{Collection, Listing, RunKey, SqliteStore, TextStore, open_cache},
};

/// A batch with everything it works with.
pub(super) struct Run<'a> {
    pub(super) key: RunKey,
    pub(super) task: &'a EmbedTask,
    pub(super) tracker: &'a Tracker,
    pub(super) stop: &'a CancellationToken,
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) embedder: Arc<dyn Embedder>,
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
        let StoreLocation::Sqlite { path, cache: _ } = &task.store;
        let store = async {
            let (path, patience) = (Path::new(path), machine.patience);
            match &task.output {
                OutputLocation::Collection { collection } => {
                    let (model, dimension) = (embedder.fingerprint(), embedder.dimension());
                    let collection = Collection { name: collection, model, dimension };
                    SqliteStore::create(path, &collection, &task.scope, patience).await
                }
                OutputLocation::Files { .. } => SqliteStore::create_ledger(path, &task.scope, patience).await,
            }
        };
        let store = stop.run_until_cancelled(store).await.ok_or(RunFailure::Interrupted)??;
        output.recover(&store.revisions(&task.scope).await?)?;
        if task.deduplicate {
            let cache = open_cache(&task.store);
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
            embedder,
            store: Box::new(store),
            judge,
            in_hand: Arc::new(Semaphore::new(IN_HAND)),
        })
    }

    /// The whole run.
    pub(super) async fn execute(&self) -> Ended {
        let archive = &self.task.failure_policy.archive;
        conclude(&*self.store, &self.key, archive, self.tracker, self.steps()).await
    }

    async fn steps(&self) -> Result<(), RunFailure> {
        count_interrupted(&*self.store, &self.key, &self.judge).await?;
        match self.task.mode.clone() {
            Mode::Full if self.store.begin_full(&self.key).await? == Listing::Open => self.list().await?,
            Mode::Full => {}
            Mode::Retry { due_before } => self.store.begin_retry(&self.key, due_before).await?,
            Mode::Again { failed_before, .. } => self.store.begin_retry(&self.key, failed_before).await?,
            Mode::Archive { .. } => {}
        }
        self.tracker.load(&self.store.summary(&self.key).await?);
        self.tracker.phase(Phase::Working);
        self.work().await?;
        if self.stop.is_cancelled() {
            return Err(RunFailure::Interrupted);
        }
        self.tracker.phase(Phase::Finishing);
        if self.task.mode == Mode::Full {
            self.store.remove_unlisted(&self.key).await?;
            self.output.remove_stale(&self.store.revisions(&self.key.scope).await?)?;
        }
        Ok(())
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
