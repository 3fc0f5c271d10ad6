//! A run from its opening to its end: the order of its steps. I/O through source, store and parsers only.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use lexigram_api::{
    contract::{IngestTask, Mode, OpenCircuit, Phase, StageName},
    document::SyncMode,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Machine, in_hand::InHand, revision::pipeline_fingerprint, stage::Exits};
use crate::{
    chunk::{self, Chunker},
    embed::{CachedEmbedder, Embedder},
    parse::{Limits, ParserPool},
    report::Tracker,
    run::{Breaker, Ended, Judge, RunFailure, begin, conclude, count_interrupted, open_collection, put_off},
    source::Source,
    store::{Listing, Place, RunKey, Shard, Store, Writer},
};

/// Parser processes at the most, however many processors there are.
const MOST_PARSERS: usize = 4;

/// A run with everything it works with.
pub(super) struct Run<'a> {
    pub(super) key: RunKey,
    pub(super) task: &'a IngestTask,
    pub(super) tracker: &'a Tracker,
    pub(super) stop: &'a CancellationToken,
    pub(super) source: Box<dyn Source>,
    pub(super) parsers: ParserPool,
    pub(super) parser_count: usize,
    pub(super) chunker: Arc<dyn Chunker>,
    pub(super) batch_texts: usize,
    pub(super) embedder: Breaker,
    pub(super) store: Box<dyn Store>,
    pub(super) judge: Judge,
    pub(super) in_hand: InHand,
    /// See [`pipeline_fingerprint`].
    pub(super) pipeline: String,
}

impl<'a> Run<'a> {
    pub(super) async fn open(
        source: Box<dyn Source>,
        machine: &Machine,
        run: &str,
        task: &'a IngestTask,
        tracker: &'a Tracker,
        stop: &'a CancellationToken,
    ) -> Result<Self, RunFailure> {
        let judge = Judge::new(task.failure_policy.clone())?;
        let shard = Shard::of(machine.shard, task.embedding.shards);
        let place = Place::find(&task.store, shard.count)?;
        let embedder: Arc<dyn Embedder> = match place.cache().await {
            None => Arc::clone(&machine.embedder),
            cache => Arc::new(CachedEmbedder::new(Arc::clone(&machine.embedder), cache, task.embedding.truncate)),
        };
        let chunker = chunk::open(&task.chunking, embedder.tokens(), embedder.max_tokens())?;
        let writer = Writer { scope: &task.scope, run, shard, patience: machine.patience };
        let on_change = task.embedding.on_model_change;
        let store = open_collection(&place, &task.collection, &writer, on_change, &*embedder, tracker);
        let store = stop.run_until_cancelled(store).await.ok_or(RunFailure::Interrupted)??;
        let deadline = Duration::from_secs(u64::from(task.parsing.document_timeout_seconds.unsigned_abs()));
        let parser_count = available_parallelism().map_or(1, usize::from).min(MOST_PARSERS);
        Ok(Self {
            key: RunKey { scope: task.scope.clone(), run: run.to_owned() },
            task,
            tracker,
            stop,
            source,
            parsers: ParserPool::with_executable(
                machine.parser_program.clone(),
                Limits::with_deadline(deadline),
                parser_count,
            ),
            parser_count,
            chunker: chunker.into(),
            pipeline: pipeline_fingerprint(&task.chunking, embedder.fingerprint()),
            batch_texts: embedder.batch_texts(),
            embedder: Breaker::new(embedder, Arc::clone(&machine.embedder), machine.circuit),
            store,
            judge,
            in_hand: InHand::default(),
        })
    }

    /// The whole run.
    pub(super) async fn execute(&self) -> Ended {
        let archive = &self.task.failure_policy.archive;
        conclude(&*self.store, &self.key, archive, self.tracker, self.steps()).await
    }

    async fn steps(&self) -> Result<Option<OpenCircuit>, RunFailure> {
        count_interrupted(&*self.store, &self.key, &self.judge).await?;
        let partial = match begin(&*self.store, &self.key, &self.task.mode, self.tracker, self.stop).await? {
            Listing::Open => self.list().await?,
            Listing::Complete | Listing::Awaited => None,
        };
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
        self.index().await;
        if let Some(partial) = partial {
            return Err(partial);
        }
        if self.task.mode == Mode::Full && self.task.sync == SyncMode::Mirror {
            self.tracker.busy(StageName::Store, self.store.remove_unlisted(&self.key)).await?;
        }
        Ok(circuit)
    }

    /// Without an index searches take longer; the next run makes it.
    async fn index(&self) {
        if let Err(error) = self.store.index(&self.key).await {
            tracing::warn!("the collection could not be indexed: {error}");
        }
    }

    /// The stages, all at once, until no document waits or the run is told to stop.
    async fn work(&self) -> Result<(), RunFailure> {
        let (to_fetch, claimed) = mpsc::channel(1);
        let (to_parse, fetched) = mpsc::channel(1);
        let (to_chunk, parsed) = mpsc::channel(1);
        // room for a batch of small documents; what they may hold in memory is bounded by `in_hand`
        let (to_embed, chunked) = mpsc::channel(InHand::MOST_DOCUMENTS);
        let (to_write, settled) = mpsc::channel(1);
        let middle = async {
            let ((), (), (), embedded) = tokio::join!(
                self.fetch(claimed, Exits { next: to_parse, settle: to_write.clone() }),
                self.parse(fetched, Exits { next: to_chunk, settle: to_write.clone() }),
                self.chunk(parsed, Exits { next: to_embed, settle: to_write.clone() }),
                self.embed(chunked, to_write),
            );
            embedded
        };
        // a store or a provider that refuses ends all of them at once
        let claim = async { Ok(self.claim(to_fetch).await?) };
        let write = async { Ok(self.write(settled).await?) };
        tokio::try_join!(claim, middle, write).map(|_| ())
    }
}
