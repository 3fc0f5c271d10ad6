//! The source is listed once a run, into the ledger. Reads the source, writes the store.

use futures::StreamExt;
use lexigram_api::contract::{Phase, StageName};

use super::run::Run;
use crate::run::RunFailure;

/// Documents that go into the ledger in one write.
const PAGE: usize = 500;

impl Run<'_> {
    /// Lists the whole source. Returns the failure to end the run with where some of it could not be listed.
    pub(super) async fn list(&self) -> Result<Option<RunFailure>, RunFailure> {
        self.tracker.phase(Phase::Listing);
        let mut pages = self.source.list().ready_chunks(PAGE);
        let (mut listed, mut failed, mut first) = (0, 0, None);
        let mut next = async || {
            let page = self.tracker.busy(StageName::List, pages.next());
            self.stop.run_until_cancelled(page).await.ok_or(RunFailure::Interrupted)
        };
        while let Some(page) = next().await? {
            let mut documents = Vec::with_capacity(page.len());
            for entry in page {
                match entry {
                    Ok(document) => documents.push(document),
                    Err(error) => {
                        tracing::warn!("listing: {error}");
                        failed += 1;
                        first.get_or_insert(error);
                    }
                }
            }
            listed += documents.len();
            self.tracker.busy(StageName::Store, self.store.add_listed(&self.key, documents, &self.pipeline)).await?;
            self.tracker.beat();
        }
        match first {
            None => {
                self.store.end_listing(&self.key).await?;
                Ok(None)
            }
            Some(error) if listed == 0 => Err(error.into()),
            // not marked as ended: the next process of this run lists again
            Some(error) => Ok(Some(RunFailure::ListingPartial { listed, failed, first: error })),
        }
    }
}
