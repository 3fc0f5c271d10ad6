//! What makes an `IngestionJob` a job: its fields, its words, its work. No I/O.

mod build;
mod validate;

use kube::ResourceExt;
use lexigram_api::{
    contract::{Mode, Task},
    resource::{IngestionJob, IngestionJobStatus, JobOptions, JobStatus},
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
use crate::config::AiWorkers;

impl JobKind for IngestionJob {
    type Status = IngestionJobStatus;
    const KIND: &'static str = "IngestionJob";
    const RUN_PREFIX: &'static str = "";
    const WORDS: Words = Words {
        item: "document",
        items: "documents",
        running: "documents are being ingested",
        completed: "is in the store",
        concurrency: "ai_workers.document_ingestion_concurrency jobs",
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
        status.collection = Some(self.spec.collection_or(&self.name_any()).to_owned());
        if let Some(tally) = seen.tally() {
            status.documents = Some(tally.counts.items);
            status.chunks_created = Some(tally.counts.chunks);
            status.chunks_cached = Some(tally.counts.cached);
            status.bytes = Some(tally.counts.bytes);
        }
    }

    fn concurrency(config: &AiWorkers) -> u32 {
        config.document_ingestion_concurrency
    }

    fn validate(&self) -> Result<(), Invalid> {
        validate::source(&self.spec.source)
    }

    fn references(&self) -> Vec<Reference> {
        let source = &self.spec.source;
        let map = source.config_map.as_ref();
        let map = map.map(|map| Reference::config_map(&map.name, "spec.source.configMap.name"));
        let claim = source.persistent_volume_claim.as_ref();
        let claim =
            claim.map(|claim| Reference::claim(&claim.claim_name, "spec.source.persistentVolumeClaim.claimName"));
        let http = source.http.as_ref();
        let headers = http.and_then(|http| http.headers_secret_ref.as_ref());
        let headers = headers.map(|secret| Reference::secret(&secret.name, "spec.source.http.headersSecretRef.name"));
        let http_ca = "spec.source.http.caBundleConfigMapRef.name";
        let http_ca = http.and_then(|http| network::reference(&http.access, http_ca));
        let s3 = source.s3.as_ref();
        let credentials = s3.and_then(|s3| s3.credentials_secret_ref.as_ref());
        let credentials =
            credentials.map(|secret| Reference::secret(&secret.name, "spec.source.s3.credentialsSecretRef.name"));
        let s3_ca = "spec.source.s3.caBundleConfigMapRef.name";
        let s3_ca = s3.and_then(|s3| network::reference(&s3.access, s3_ca));
        let git = source.git.as_ref();
        let login = git.and_then(|git| git.credentials_secret_ref.as_ref());
        let login = login.map(|secret| Reference::secret(&secret.name, "spec.source.git.credentialsSecretRef.name"));
        let git_ca = "spec.source.git.caBundleConfigMapRef.name";
        let git_ca = git.and_then(|git| network::reference(&git.access, git_ca));
        [map, claim, headers, http_ca, credentials, s3_ca, login, git_ca].into_iter().flatten().collect()
    }

    fn task(&self, owner: &Owner, mode: Mode) -> Task {
        Task::Ingest(Box::new(build::task(owner, &self.spec, mode)))
    }

    fn mounts(&self) -> Vec<Mount> {
        build::mounts(&self.spec.source)
    }
}
