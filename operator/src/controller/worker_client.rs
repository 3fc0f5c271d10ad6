//! Live progress, read from the workers. Asks pods over HTTP, a bounded number at a time, and never for long.

use std::{net::IpAddr, time::Duration};

use lexigram_api::contract::{PROGRESS_BYTES, Progress, WORKER_PORT};
use tokio::sync::Semaphore;

use crate::tls::choose_cryptography;

/// How long a worker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Workers asked at once.
const CONCURRENCY: usize = 16;

/// Asks workers how far they are.
pub struct WorkerClient {
    http: reqwest::Client,
    permits: Semaphore,
}

impl WorkerClient {
    /// A client with connections of its own.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        // workers are asked without TLS, but a client that can do it cannot be built without
        choose_cryptography();
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().pool_max_idle_per_host(1).build()?;
        Ok(Self { http, permits: Semaphore::new(CONCURRENCY) })
    }

    /// What the worker at a pod's address says of itself; nothing if it does not answer in time. That is no error: a
    /// worker that loads its model or is short of CPU is silent for a while, and status shows its last heartbeat.
    pub async fn progress(&self, address: &str) -> Option<Progress> {
        let address: IpAddr = address.parse().ok()?;
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let _permit = self.permits.acquire().await.ok()?;
        match self.ask(&format!("http://{host}:{WORKER_PORT}/progress")).await {
            Ok(progress) => progress,
            Err(error) => {
                tracing::debug!(%error, %address, "a worker did not answer");
                None
            }
        }
    }

    async fn ask(&self, url: &str) -> Result<Option<Progress>, reqwest::Error> {
        let mut response = self.http.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > PROGRESS_BYTES {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        // whoever wrote it: its words would stand in a status
        Ok(serde_json::from_slice(&body).ok().filter(|progress: &Progress| progress.faults().is_empty()))
    }
}
