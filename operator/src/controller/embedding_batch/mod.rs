//! What makes an `EmbeddingBatch` a job: its fields, its words, its work. No I/O.

mod build;
mod figures;
#[cfg(test)]
mod tests;
mod validate;

use kube::ResourceExt;
use lexigram_api::{
    contract::{Mode, Task},
    resource::{DryRunResult, EmbeddingBatch, EmbeddingBatchStatus, JobOptions, JobStatus, TextCounts},
};

use super::{
    job::{
        kind::{JobKind, Words},
        network,
        observe::Observation,
        references::Reference,
        validate::Invalid,
    },
    worker_pod::{Mount, Owner},
};
use crate::{config::AiWorkers, names::BATCH_RUN_PREFIX};

impl JobKind for EmbeddingBatch {
    type Status = EmbeddingBatchStatus;
    const KIND: &'static str = "EmbeddingBatch";
    const RUN_PREFIX: &'static str = BATCH_RUN_PREFIX;
    const WORDS: Words = Words {
        item: "text",
        items: "texts",
        running: "texts are being embedded",
        completed: "has been worked through",
        concurrency: "ai_workers.batch_embedding_concurrency batches",
    };

    fn options(&self) -> &JobOptions {
        &self.spec.job
    }

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn job_status(status: &Self::Status) -> &JobStatus {
        &status.job
    }

    fn job_status_mut(status: &mut Self::Status) -> &mut JobStatus {
        &mut status.job
    }

    fn tell(&self, status: &mut Self::Status, seen: &Observation) {
        status.collection = self.spec.collection_or(&self.name_any()).filter(|_| !self.spec.dry_run).map(str::to_owned);
        if let Some(throughput) = figures::throughput(seen) {
            status.throughput = Some(throughput);
        }
        let Some(tally) = seen.tally() else { return };
        let items = &tally.counts.items;
        status.texts = Some(TextCounts {
            total: items.total,
            done: items.done,
            failed: items.failed,
            cached: tally.counts.cached,
        });
        let found = seen.runs.last().and_then(|run| run.last_report()).and_then(|report| report.dry_run.as_ref());
        status.dry_run = found.map(|found| DryRunResult {
            tokens: found.tokens,
            duplicates: found.duplicates,
            too_long: found.too_long,
            invalid: found.invalid,
        });
        let tokens = found.map_or(tally.counts.tokens, |found| found.tokens);
        let server = self.spec.job.embedding.openai.as_ref();
        let price = server.and_then(|server| server.price_per_million_tokens.as_deref());
        status.estimated_cost = price.and_then(|price| figures::cost(tokens, price));
    }

    fn concurrency(config: &AiWorkers) -> u32 {
        config.batch_embedding_concurrency
    }

    fn validate(&self) -> Result<(), Invalid> {
        validate::input(&self.spec.input)
    }

    fn references(&self) -> Vec<Reference> {
        let input = &self.spec.input;
        let map = input.config_map.as_ref();
        let map = map.map(|map| Reference::config_map(&map.name, "spec.input.configMap.name"));
        let claim = input.persistent_volume_claim.as_ref();
        let claim =
            claim.map(|claim| Reference::claim(&claim.claim_name, "spec.input.persistentVolumeClaim.claimName"));
        let headers = input.http.as_ref().and_then(|http| http.headers_secret_ref.as_ref());
        let headers = headers.map(|secret| Reference::secret(&secret.name, "spec.input.http.headersSecretRef.name"));
        let field = "spec.input.http.caBundleConfigMapRef.name";
        let ca = input.http.as_ref().and_then(|http| network::reference(&http.access, field));
        let files = self.spec.output.as_ref().and_then(|output| output.files.as_ref());
        let files = files.map(|files| Reference::claim(&files.claim_name, "spec.output.files.claimName"));
        [map, claim, headers, ca, files].into_iter().flatten().collect()
    }

    fn task(&self, owner: &Owner, mode: Mode) -> Task {
        Task::Embed(Box::new(build::task(owner, &self.spec, mode)))
    }

    fn mounts(&self) -> Vec<Mount> {
        build::mounts(&self.spec)
    }
}
