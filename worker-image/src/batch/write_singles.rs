//! The last stage for texts that have failed before: each is done, or has failed again. Writes the store and the part
//! files.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, ItemCounts},
    failure::Stage,
};

use super::{
    in_hand::{EmbeddedRow, Outcome},
    output::{Output, OutputRow, PartName},
    place::RangePlace,
    rows::RowError,
    run::Run,
    write::stored,
};
use crate::{
    run::{Failure, RunFailure, held},
    store::{FailedAttempt, Spent, TextItem, TextWrite},
};

/// Texts of one range, with what they are written as.
type OfRange = (RangePlace, Vec<TextWrite>, Vec<OutputRow>);

impl Run<'_> {
    pub(super) async fn write_singles(
        &self,
        items: Vec<(TextItem, RangePlace)>,
        rows: Vec<EmbeddedRow>,
    ) -> Result<(), RunFailure> {
        let (mut failures, mut attempts) = (Vec::new(), Vec::<FailedAttempt>::new());
        let mut done: BTreeMap<u64, OfRange> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        for ((item, place), row) in items.into_iter().zip(rows) {
            let taken = self.taken(item.item.document, std::slice::from_ref(&row)).await?;
            let failure = match row.outcome {
                Outcome::Failed { failure, .. } => failure,
                Outcome::Vector(text, embedded) => {
                    let id = self.id(&text.key);
                    if id.is_none_or(|id| !taken.contains(&id) && seen.insert(id)) {
                        let spent = Spent {
                            bytes: i64::try_from(row.bytes).unwrap_or(i64::MAX),
                            tokens: embedded.tokens,
                            cached: i64::from(embedded.cached),
                        };
                        let (_, writes, output) =
                            done.entry(place.part).or_insert_with(|| (place, Vec::new(), Vec::new()));
                        let text = match id {
                            Some(id) => Some(stored(id, row.position, text, embedded)),
                            None => {
                                output.push(OutputRow::new(text, embedded));
                                None
                            }
                        };
                        writes.push(TextWrite {
                            document: item.item.document,
                            revision: item.version.unwrap_or_default(),
                            pipeline: self.pipeline.clone(),
                            spent,
                            text,
                        });
                        continue;
                    }
                    let (place, key) = (self.input.rows.place(row.position), text.key);
                    Failure::new(Stage::Store, &RowError::DuplicateId { place, key })
                }
            };
            let attempt = self.judge.judge(&item.item, failure, Timestamp::now());
            attempts.push(attempt.clone());
            failures.push(attempt.describe(&item.item.name));
        }
        for (place, writes, output) in done.into_values() {
            self.write_of_range(place, writes, output).await?;
        }
        held(self.tracker, async || self.store.complete_texts(Vec::new(), attempts.clone()).await).await?;
        for failure in failures {
            tracing::warn!(text = failure.item, action = failure.action.as_str(), "{}", failure.message);
            self.tracker.failed(failure, 1);
        }
        Ok(())
    }

    /// Texts of one range: in files they have a part of their own, which goes with their range.
    async fn write_of_range(
        &self,
        place: RangePlace,
        mut writes: Vec<TextWrite>,
        output: Vec<OutputRow>,
    ) -> Result<(), RunFailure> {
        let mut counts = Counts::default();
        for TextWrite { spent, .. } in &writes {
            counts += &Counts {
                items: ItemCounts { done: 1, ..Default::default() },
                chunks: 1,
                tokens: spent.tokens,
                bytes: spent.bytes,
                cached: spent.cached,
                ..Default::default()
            };
        }
        let finished = match &self.output {
            Output::Collection(_) => None,
            Output::Files(files) => {
                let part = files.begin(PartName::of_singles(place.part, place.start.row)).await?;
                Some(part.append(output).await?.finish().await?)
            }
        };
        if let Some(finished) = &finished {
            writes.iter_mut().for_each(|write| finished.revision().clone_into(&mut write.revision));
        }
        held(self.tracker, async || self.store.complete_texts(writes.clone(), Vec::new()).await).await?;
        if let Some(finished) = finished {
            finished.publish().await?;
        }
        self.tracker.done(&counts);
        Ok(())
    }
}
