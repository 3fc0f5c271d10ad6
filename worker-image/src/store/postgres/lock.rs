//! Who writes a source: one run at a time, and of each of its parts one process. Locks are those of a connection, and end
//! with it. Talks to the database.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::{sync::Mutex, time::Instant};
use tokio_postgres::Client;

use super::{super::StoreError, session::Database};

/// How often a lock that somebody else holds is tried for.
const INTERVAL: Duration = Duration::from_millis(200);

/// What is locked.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The sources.
    pub(super) scopes: Vec<String>,
    /// The run: its processes do not keep each other out.
    pub(super) run: String,
    /// Which part of it.
    pub(super) shard: u32,
}

/// Held while a process changes sources.
pub(super) struct RunLock {
    database: Arc<Database>,
    claim: Claim,
    client: Mutex<Client>,
}

impl RunLock {
    /// Takes the locks, waiting up to `patience` for whoever holds them.
    pub(super) async fn take(database: &Arc<Database>, claim: Claim, patience: Duration) -> Result<Self, StoreError> {
        let client = take(database, &claim, patience).await?;
        Ok(Self { database: Arc::clone(database), claim, client: Mutex::new(client) })
    }

    /// Makes sure that the locks are still held. Where their connection was lost they are taken again, unless somebody
    /// else has them: then nothing more may be written here.
    pub(super) async fn hold(&self) -> Result<(), StoreError> {
        let mut client = self.client.lock().await;
        if client.is_closed() {
            // the server may not know yet that the connection is gone
            *client = take(&self.database, &self.claim, Duration::from_secs(5)).await?;
        }
        Ok(())
    }
}

/// Takes the locks on a connection of their own.
async fn take(database: &Database, claim: &Claim, patience: Duration) -> Result<Client, StoreError> {
    let mut client = database.connect().await?;
    let deadline = Instant::now() + patience;
    for scope in &claim.scopes {
        while !try_take(&mut client, &database.schema, scope, claim).await? {
            if Instant::now() >= deadline {
                return Err(StoreError::Locked {
                    path: database.name(),
                    scope: scope.clone(),
                    waited_seconds: patience.as_secs(),
                });
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
    Ok(client)
}

/// Within a gate that only one process passes at a time: no other run holds the source, and no other process this part.
async fn try_take(client: &mut Client, schema: &str, scope: &str, claim: &Claim) -> Result<bool, StoreError> {
    let (source, run) = (key(&[schema, scope]), key(&[&claim.run]));
    let (parts, part) = (key(&[schema, scope, "parts"]), i32::try_from(claim.shard).unwrap_or(i32::MAX));
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&i64::from(source)]).await?;
    let others = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND classid::bigint = $1 AND objid::bigint <> $2)";
    let taken: bool = transaction.query_one(others, &[&i64::from(source), &i64::from(run)]).await?.get(0);
    if taken {
        return Ok(false);
    }
    let mine = "SELECT pg_try_advisory_lock($1::int, $2::int)";
    if !transaction.query_one(mine, &[&parts, &part]).await?.get::<_, bool>(0) {
        return Ok(false);
    }
    transaction.execute("SELECT pg_advisory_lock_shared($1::int, $2::int)", &[&source, &run]).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The number that stands for a name among the locks of a database.
pub(super) fn key(parts: &[&str]) -> i32 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0xff]);
    }
    let hash = hash.finalize();
    i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) & i32::MAX
}
