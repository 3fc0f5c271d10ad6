//! Maintenance of the collections of a database. Reads and writes the database.

mod cache;
mod examine;
mod optimize;
mod orphans;

use std::{ops::Deref, sync::Arc};

use jiff::Timestamp;
use lexigram_api::{
    contract::{BATCH_LEDGER, PostgresLocation, PostgresServer},
    failure::ArchivePolicy,
    maintenance::IndexOptimization,
};
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::{
        StoreError, StoreFuture,
        upkeep::{CacheBounds, CacheCleaned, Examined, Held, Limits, Optimized, Orphans, Upkeep},
    },
    chunks, lock, rebuild,
    schema::{self, schema_name},
    session::{Database, transact},
};

/// The collections of a database.
pub struct PostgresUpkeep {
    server: PostgresServer,
    limits: Limits,
}

impl PostgresUpkeep {
    /// The database.
    #[must_use]
    pub fn new(server: &PostgresServer, limits: Limits) -> Self {
        Self { server: server.clone(), limits }
    }

    fn database(&self, collection: &str) -> Result<Arc<Database>, StoreError> {
        let location = PostgresLocation { server: self.server.clone(), collection: collection.to_owned() };
        Ok(Arc::new(Database::new(&location, 1)?))
    }

    /// A collection that is there.
    async fn open(&self, collection: &str) -> Result<Arc<Database>, StoreError> {
        let database = self.database(collection)?;
        schema::check(&database).await?;
        Ok(database)
    }

    /// Seconds that a statement may take: as long as the task.
    fn seconds(&self) -> u64 {
        self.limits.timeout.as_secs().max(1)
    }

    async fn session(&self, database: &Database) -> Result<Session, StoreError> {
        let client = database.connect().await?;
        client.batch_execute(&format!("SET statement_timeout = '{}s'", self.seconds())).await?;
        Ok(Session { client, tls: database.tls() })
    }
}

/// A connection of a task. The statement that it waits for ends with it: the server would not know that nobody waits.
struct Session {
    client: Client,
    tls: MakeRustlsConnect,
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (statement, tls) = (self.client.cancel_token(), self.tls.clone());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = statement.cancel_query(tls).await {
                    tracing::debug!("a statement that nobody waits for goes on: {error}");
                }
            });
        }
    }
}

impl Upkeep for PostgresUpkeep {
    fn hold(&self) -> StoreFuture<'_, Option<Held>> {
        Box::pin(async move {
            let client = self.database(BATCH_LEDGER)?.connect().await?;
            let mine = i64::from(lock::key(&[&self.server.settings.schema_prefix, "maintenance"]));
            let taken = client.query_one("SELECT pg_try_advisory_lock($1)", &[&mine]).await?.get::<_, bool>(0);
            // it ends with the connection
            Ok(taken.then(|| Box::new(client) as Held))
        })
    }

    fn collections(&self) -> StoreFuture<'_, Vec<String>> {
        Box::pin(async move {
            let client = self.database(BATCH_LEDGER)?.connect().await?;
            let prefix = &self.server.settings.schema_prefix;
            let ours = "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname::text, $1)
                 AND to_regclass(format('%I.migrations', nspname)) IS NOT NULL
                 AND to_regclass(format('%I.meta', nspname)) IS NOT NULL";
            let mut collections = Vec::new();
            for row in client.query(ours, &[prefix]).await? {
                let schema: &str = row.get(0);
                // a name that was cut stands in the schema whole
                let name = format!("SELECT value FROM \"{schema}\".meta WHERE key = $1");
                let name = client.query_opt(&name, &[&schema::COLLECTION]).await?.map(|row| row.get::<_, String>(0));
                let name = name.unwrap_or_else(|| schema[prefix.len()..].to_owned());
                // another prefix may begin as this one does
                if schema_name(prefix, &name) == schema {
                    collections.push(name);
                }
            }
            collections.sort();
            Ok(collections)
        })
    }

    fn optimize<'a>(&'a self, collection: &'a str, settings: &'a IndexOptimization) -> StoreFuture<'a, Optimized> {
        Box::pin(async move {
            let database = self.open(collection).await?;
            let session = self.session(&database).await?;
            optimize::optimize(&session, &database, settings).await
        })
    }

    fn prune_archive<'a>(&'a self, collection: &'a str, policy: &'a ArchivePolicy) -> StoreFuture<'a, i64> {
        Box::pin(async move {
            let database = self.open(collection).await?;
            transact!(database, |tx| chunks::prune_archive(&tx, policy, Timestamp::now()))
        })
    }

    fn clean_orphans<'a>(&'a self, collection: &'a str, dry_run: bool) -> StoreFuture<'a, Orphans> {
        Box::pin(async move {
            let database = self.open(collection).await?;
            let rebuilds = i64::from(rebuild::give_up(&database, dry_run).await?);
            let found = transact!(database, |tx| orphans::clean(&tx, self.seconds(), dry_run))?;
            Ok(Orphans { rebuilds, ..found })
        })
    }

    fn examine<'a>(&'a self, collection: &'a str) -> StoreFuture<'a, Examined> {
        Box::pin(async move {
            let database = self.open(collection).await?;
            transact!(database, |tx| examine::examine(&tx, &database.schema, self.seconds()))
        })
    }

    fn models<'a>(&'a self, collection: &'a str) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let database = self.open(collection).await?;
            transact!(database, |tx| async {
                let models = [schema::meta(&tx, schema::MODEL).await?, schema::meta(&tx, schema::NEXT_MODEL).await?];
                Ok::<_, StoreError>(models.into_iter().flatten().collect())
            })
        })
    }

    fn clean_cache<'a>(&'a self, bounds: &'a CacheBounds) -> StoreFuture<'a, CacheCleaned> {
        Box::pin(async move {
            let database = self.database(BATCH_LEDGER)?;
            let session = self.session(&database).await?;
            cache::clean(&session, &database, bounds).await
        })
    }

    fn remove_temporary(&self) -> StoreFuture<'_, i64> {
        // locks of a database end with their connections
        Box::pin(async { Ok(0) })
    }

    fn free_percent(&self) -> StoreFuture<'_, Option<i64>> {
        Box::pin(async { Ok(None) })
    }
}
