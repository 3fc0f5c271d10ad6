//! Last stage, and the only writer: stores or writes what was embedded, and settles every range in the ledger. Writes the
//! store and the part files.

use std::collections::HashSet;

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, ItemCounts, ItemFailure, StageName},
    failure::Stage,
};
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use super::{
    identity::{hexadecimal, text_id},
    in_hand::{EmbeddedRow, Outcome, Owner, Slice},
    output::{Output, OutputRow, Part, PartName},
    place::RangePlace,
    rows::{Position, RowError, Text},
    run::Run,
};
use crate::{
    embed::Embedded,
    run::{Failure, RunFailure, held},
    store::{FailedText, RangeWrite, Spent, StoredText, TextItem, WorkItem},
};

/// A range whose slices are coming in.
struct Open {
    item: TextItem,
    place: RangePlace,
    done: i32,
    spent: Spent,
    texts: Vec<StoredText>,
    failed: Vec<FailedText>,
    part: Option<Part>,
    /// Why the range fails as a whole.
    failure: Option<Failure>,
}

impl Run<'_> {
    pub(super) async fn write(&self, mut embedded: Receiver<Slice<EmbeddedRow>>) -> Result<(), RunFailure> {
        let mut open: Option<Open> = None;
        while let Some(Slice { owner, rows, _room }) = embedded.recv().await {
            match owner {
                Owner::Singles(items) => self.write_singles(items, rows).await?,
                Owner::Range { item, place, last, changed } => {
                    let mut range = open.take().unwrap_or_else(|| Open::new(item, place));
                    self.add(&mut range, rows).await?;
                    match last {
                        true if changed => self.fail_range(range, Failure::input_changed()).await?,
                        true => self.settle(range).await?,
                        false => open = Some(range),
                    }
                }
            }
        }
        Ok(())
    }

    async fn add(&self, range: &mut Open, rows: Vec<EmbeddedRow>) -> Result<(), RunFailure> {
        if range.failure.is_some() {
            return Ok(());
        }
        // Where the provider took none of the texts, the range waits as one, instead of a thousand times the same.
        let embedded = rows.iter().any(|row| matches!(row.outcome, Outcome::Vector(..)));
        let of_call = rows.iter().find_map(|row| match &row.outcome {
            Outcome::Failed { failure, of_call: true } => Some(failure.clone()),
            _ => None,
        });
        if let (false, Some(failure)) = (embedded, of_call) {
            range.failure = Some(failure);
            return Ok(());
        }
        let mut good = Vec::with_capacity(rows.len());
        let mut taken = self.taken(range.item.item.document, &rows).await?;
        for row in rows {
            range.spent.bytes += i64::try_from(row.bytes).unwrap_or(i64::MAX);
            let EmbeddedRow { position, bytes: _, hash, key, outcome } = row;
            match outcome {
                Outcome::Failed { failure, .. } => self.note(range, position, &hash, key.as_deref(), failure),
                Outcome::Vector(text, embedded) => {
                    let id = self.id(&text.key);
                    if id.is_some_and(|id| !taken.insert(id)) {
                        let error =
                            RowError::DuplicateId { place: self.input.rows.place(position), key: text.key.clone() };
                        self.note(range, position, &hash, Some(&text.key), Failure::new(Stage::Store, &error));
                        continue;
                    }
                    range.count(&embedded);
                    good.push((position, id, text, embedded));
                }
            }
        }
        self.tracker.busy(StageName::Store, self.keep(range, good)).await
    }

    /// Ids of these rows that others hold; nothing where texts go into files, whose ids are taken as they are.
    pub(super) async fn taken(&self, document: i64, rows: &[EmbeddedRow]) -> Result<HashSet<Uuid>, RunFailure> {
        let keys =
            rows.iter().filter(|row| matches!(row.outcome, Outcome::Vector(..))).filter_map(|row| row.key.as_deref());
        let ids: Vec<Uuid> = keys.filter_map(|key| self.id(key)).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(self.store.taken(&self.key, self.is_full(), document, ids).await?.into_iter().collect())
    }

    /// The id of a text that goes into a collection.
    pub(super) fn id(&self, key: &str) -> Option<Uuid> {
        match &self.output {
            Output::Collection(collection) => Some(text_id(collection, &self.key.scope, key)),
            Output::Files(_) => None,
        }
    }

    async fn keep(
        &self,
        range: &mut Open,
        good: Vec<(Position, Option<Uuid>, Text, Embedded)>,
    ) -> Result<(), RunFailure> {
        match &self.output {
            Output::Collection(_) => {
                let texts = good
                    .into_iter()
                    .filter_map(|(position, id, text, embedded)| Some(stored(id?, position, text, embedded)));
                range.texts.extend(texts);
            }
            Output::Files(_) if good.is_empty() => {}
            Output::Files(files) => {
                let part = match range.part.take() {
                    Some(part) => part,
                    None => files.begin(PartName::of_range(range.place.part)).await?,
                };
                let rows = good.into_iter().map(|(_, _, text, embedded)| OutputRow::new(text, embedded)).collect();
                range.part = Some(part.append(rows).await?);
            }
        }
        Ok(())
    }

    /// Notes a text that failed for the first time.
    fn note(&self, range: &mut Open, position: Position, hash: &[u8; 32], key: Option<&str>, failure: Failure) {
        let place = self.input.rows.place(position);
        let name = match key {
            // without an id of its own, a text's id is its number, which says nothing more
            Some(key) if *key != (position.row + 1).to_string() => format!("{place} (id {key})"),
            _ => place.to_string(),
        };
        let row = i64::try_from(position.row).unwrap_or(i64::MAX);
        let item = WorkItem { document: row, name, attempts: 0, revision: None, suspect: false };
        let attempt = self.judge.judge(&item, failure, Timestamp::now());
        range.failed.push(FailedText {
            name: item.name,
            first_row: row,
            place: RangePlace { start: position, rows: 1, part: range.place.part }.to_json(),
            version: hexadecimal(hash),
            attempt,
        });
    }

    async fn settle(&self, mut range: Open) -> Result<(), RunFailure> {
        if let Some(failure) = range.failure.take() {
            return self.fail_range(range, failure).await;
        }
        let Open { item, place: _, done, spent, texts, failed, part, failure: _ } = range;
        let finished = match part {
            Some(part) => Some(part.finish().await?),
            None => None,
        };
        let revision = finished.as_ref().map(|part| part.revision().to_owned()).or(item.version).unwrap_or_default();
        let failures: Vec<ItemFailure> =
            failed.iter().map(|failed| failed.attempt.clone().describe(&failed.name)).collect();
        let counts = Counts {
            items: ItemCounts { done, ..Default::default() },
            chunks: done.into(),
            tokens: spent.tokens,
            bytes: spent.bytes,
            cached: spent.cached,
            ..Default::default()
        };
        let document = item.item.document;
        let write = RangeWrite { document, revision, pipeline: self.pipeline.clone(), spent, done, texts, failed };
        held(self.tracker, async || self.store.complete_range(&self.key, write.clone()).await).await?;
        if let Some(finished) = finished {
            finished.publish().await?;
        }
        self.tracker.done(&counts);
        if let Some(first) = failures.first() {
            let (category, action) = (first.category.as_str(), first.action.as_str());
            let failed = failures.len();
            tracing::warn!(
                range = item.item.name,
                failed,
                category,
                action,
                "the first of the failed: {}",
                first.message
            );
        }
        for failure in failures {
            self.tracker.failed(failure, 1);
        }
        Ok(())
    }

    async fn fail_range(&self, range: Open, failure: Failure) -> Result<(), RunFailure> {
        let TextItem { item, weight, .. } = range.item;
        let attempt = self.judge.judge(&item, failure, Timestamp::now());
        held(self.tracker, async || self.store.fail(attempt.clone()).await).await?;
        let failure = attempt.describe(&item.name);
        let (category, action) = (failure.category.as_str(), failure.action.as_str());
        tracing::warn!(range = failure.item, category, action, "{}", failure.message);
        self.tracker.failed(failure, weight);
        Ok(())
    }
}

impl Open {
    fn new(item: TextItem, place: RangePlace) -> Self {
        let (spent, texts, failed) = (Spent::default(), Vec::new(), Vec::new());
        Self { item, place, done: 0, spent, texts, failed, part: None, failure: None }
    }

    fn count(&mut self, embedded: &Embedded) {
        self.done += 1;
        self.spent.tokens += embedded.tokens;
        self.spent.cached += i64::from(embedded.cached);
    }
}

/// A text as a collection keeps it.
pub(super) fn stored(id: Uuid, position: Position, text: Text, embedded: Embedded) -> StoredText {
    let Text { key, text, metadata } = text;
    StoredText {
        id,
        row: i64::try_from(position.row).unwrap_or(i64::MAX),
        key,
        text,
        metadata: (!metadata.is_empty()).then(|| serde_json::Value::Object(metadata).to_string()),
        tokens: embedded.tokens,
        vector: embedded.vector,
    }
}
