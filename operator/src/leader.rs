//! Leader election by a Lease: of several operators one works. Reads and writes the Lease.

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle};

use crate::names::OPERATOR;

/// How long a lease is good for after its last renewal, in seconds: the longest that a fail-over takes.
const DURATION_SECONDS: u64 = 15;
/// How long before its end a lease is renewed, in seconds.
const GRACE_SECONDS: u64 = 10;

/// Why there is no lease to be had.
#[derive(Debug, Error)]
pub enum LeaderError {
    /// The API server refused or could not be reached.
    #[error("leader election: {0}")]
    Lease(#[from] LeaseManagerError),
    /// The task that renews the lease has ended.
    #[error("leader election: the renewal of the lease has ended")]
    Ended,
}

/// The lease, held or striven for.
pub struct Lease {
    state: watch::Receiver<bool>,
    renewal: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
}

impl Lease {
    /// Begins to strive for the lease `name` in `namespace`. `identity` tells this process from its rivals.
    ///
    /// # Errors
    /// If the lease cannot be made.
    pub async fn strive(client: Client, namespace: &str, name: &str, identity: &str) -> Result<Self, LeaderError> {
        let manager = LeaseManagerBuilder::new(client, name)
            .with_namespace(namespace)
            .with_identity(identity)
            .with_duration(DURATION_SECONDS)
            .with_grace(GRACE_SECONDS)
            .with_field_manager(OPERATOR)
            .build()
            .await?;
        let (state, renewal) = manager.watch().await;
        Ok(Self { state, renewal })
    }

    /// Returns when this process has become the leader.
    ///
    /// # Errors
    /// If the renewal has ended.
    pub async fn won(&mut self) -> Result<(), LeaderError> {
        self.state.wait_for(|leads| *leads).await.map(|_| ()).map_err(|_| LeaderError::Ended)
    }

    /// Returns when this process is no longer the leader.
    pub async fn lost(&mut self) {
        // an error says that nobody renews it any more, which is as good as lost
        let _ended = self.state.wait_for(|leads| !*leads).await;
    }

    /// Gives the lease up, so that another process need not wait for its end.
    pub async fn release(self) {
        drop(self.state);
        // it would run out by itself
        let _failed = self.renewal.await;
    }
}
