//! Second stage: rows to vectors, two slices at once, so that the provider is busy while one of them ends. Asks the
//! embedding provider.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt, stream};
use lexigram_api::failure::{FailureCategory, Stage};
use tokio::sync::mpsc::{Receiver, Sender};

use super::{
    in_hand::{EmbeddedRow, Outcome, Slice},
    rows::{Row, RowError, Text},
    run::Run,
};
use crate::{
    embed::{EmbedError, Embedded},
    failure::Classified,
    run::{Failure, RunFailure},
};

/// Slices that are embedded at once.
const CONCURRENCY: usize = 2;

impl Run<'_> {
    pub(super) async fn embed(
        &self,
        read: Receiver<Slice<Row>>,
        next: Sender<Slice<EmbeddedRow>>,
    ) -> Result<(), RunFailure> {
        let slices = stream::unfold(read, |mut read| async { read.recv().await.map(|slice| (slice, read)) });
        // in order: the rows of a part file come in several slices
        let mut embedded = pin!(slices.map(|slice| self.embed_slice(slice)).buffered(CONCURRENCY));
        while let Some(Some(slice)) = embedded.try_next().await? {
            if next.send(slice).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// None if the run was told to stop.
    async fn embed_slice(&self, slice: Slice<Row>) -> Result<Option<Slice<EmbeddedRow>>, RunFailure> {
        let Slice { owner, rows, _room } = slice;
        let texts: Vec<&Text> = rows.iter().filter_map(|row| row.content.as_ref().ok()).collect();
        let mut outcomes = Vec::with_capacity(texts.len());
        for call in texts.chunks(self.batch_texts) {
            let texts = call.iter().map(|text| text.text.clone()).collect();
            match self.stop.run_until_cancelled(self.embedder.embed(self.tracker, texts)).await.transpose()? {
                None => return Ok(None),
                Some(Ok(some)) => outcomes.extend(some.into_iter().map(|outcome| (outcome, false))),
                Some(Err(error)) => outcomes.extend(call.iter().map(|_| (Err(error.clone()), true))),
            }
        }
        let mut outcomes = outcomes.into_iter();
        let mut outcome = |content: Result<Text, RowError>| match content {
            Err(error) => {
                let gone = matches!(error, RowError::Gone { .. });
                Outcome::Failed { failure: Failure { gone, ..Failure::new(Stage::Source, &error) }, of_call: false }
            }
            Ok(text) => embedded_text(text, outcomes.next()),
        };
        let rows = rows.into_iter().map(|row| EmbeddedRow::new(row, &mut outcome)).collect();
        Ok(Some(Slice { owner, rows, _room }))
    }
}

fn embedded_text(text: Text, outcome: Option<(Result<Embedded, EmbedError>, bool)>) -> Outcome {
    match outcome {
        Some((Ok(embedded), _)) => Outcome::Vector(text, embedded),
        Some((Err(error), of_call)) => {
            failed(Stage::Embed, &error, of_call && error.category() != FailureCategory::InvalidInput)
        }
        None => {
            let error = EmbedError::Computation("the provider gave too few vectors".to_owned());
            failed(Stage::Embed, &error, true)
        }
    }
}

fn failed(stage: Stage, error: &dyn Classified, of_call: bool) -> Outcome {
    Outcome::Failed { failure: Failure::new(stage, error), of_call }
}
