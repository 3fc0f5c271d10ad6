//! The input is read once a run, into ranges in the ledger. Reads the input, writes the store.

use lexigram_api::contract::{Counts, ItemCounts, Phase, StageName};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    InputError, broken,
    ranges::{Cutter, Range, RangeLimits},
    rows::Rows,
    run::Run,
};
use crate::{run::RunFailure, store::ListedRange};

/// Ranges that go into the ledger in one write.
const PAGE: usize = 64;

impl Run<'_> {
    /// Lists the whole input.
    pub(super) async fn list(&self) -> Result<(), RunFailure> {
        self.tracker.phase(Phase::Listing);
        let (page_sender, mut pages) = mpsc::channel(1);
        let (rows, limits) = (self.input.rows.clone(), self.output.limits());
        let scanning = spawn_blocking(move || scan(&rows, limits, &page_sender));
        let mut next = async || {
            let page = self.tracker.busy(StageName::List, pages.recv());
            self.stop.run_until_cancelled(page).await.ok_or(RunFailure::Interrupted)
        };
        while let Some(page) = next().await? {
            let listed: Vec<ListedRange> = page.iter().map(|range| self.listed(range)).collect();
            let total = listed.iter().map(|range| range.rows).sum();
            self.tracker.busy(StageName::Store, self.store.add_ranges(&self.key, listed, &self.pipeline)).await?;
            self.tracker.done(&Counts { items: ItemCounts { total, ..Default::default() }, ..Default::default() });
        }
        scanning.await.map_err(|error| broken(&error))??;
        self.store.end_listing(&self.key).await?;
        Ok(())
    }

    fn listed(&self, range: &Range) -> ListedRange {
        ListedRange {
            name: range.name(),
            version: range.version.clone(),
            kept: self.output.keeps(range.place.part),
            rows: i32::try_from(range.place.rows).unwrap_or(i32::MAX),
            first_row: i64::try_from(range.place.start.row).unwrap_or(i64::MAX),
            place: range.place.to_json(),
        }
    }
}

/// Reads all rows and sends their ranges, until nobody receives them any more.
fn scan(rows: &Rows, limits: RangeLimits, pages: &mpsc::Sender<Vec<Range>>) -> Result<(), InputError> {
    let mut reader = rows.open()?;
    let mut cutter = Cutter::new(limits);
    let mut page = Vec::new();
    while let Some(row) = reader.next()? {
        page.extend(cutter.push(&row));
        if page.len() == PAGE && pages.blocking_send(std::mem::take(&mut page)).is_err() {
            return Ok(());
        }
    }
    page.extend(cutter.end());
    // the last page; who has gone does not want it
    let _received = pages.blocking_send(page);
    Ok(())
}
