//! Connections and transactions: a bounded pool, and what is made again when a connection is lost. Talks to the database.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use lexigram_api::contract::PostgresLocation;
use tokio_postgres::{Client, Row, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{super::StoreError, error::may_pass, schema::schema_name, tls, uri::Target};

/// How long a connection of the pool is waited for.
const WAIT: Duration = Duration::from_secs(30);
/// How often something is made again at the most.
const MOST_RETRIES: u32 = 9;
/// How long the first retry waits; each further one waits twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The database of a collection: its schema, and the connections of this process.
pub struct Database {
    target: Target,
    tls: MakeRustlsConnect,
    pool: Pool,
    session: String,
    /// The collection.
    pub(super) collection: String,
    /// The collection's schema.
    pub(super) schema: String,
    /// The schema of the embedding cache.
    pub(super) cache_schema: String,
}

impl Database {
    /// Sets everything up and connects to nothing yet. `shards` processes share the connections.
    pub(super) fn new(location: &PostgresLocation, shards: u32) -> Result<Self, StoreError> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if location.collection.is_empty() || !location.collection.chars().all(allowed) {
            let problem = format!("cannot be '{}'; use letters, digits, '.', '_' and '-'", location.collection);
            return Err(StoreError::Setting { field: "the collection's name", problem });
        }
        let target = Target::of(&location.server)?;
        let tls = MakeRustlsConnect::new(tls::client_config(target.tls, target.ca_file.as_deref())?);
        let settings = &location.server.settings;
        let schema = schema_name(&settings.schema_prefix, &location.collection);
        let cache_schema = schema_name(&settings.schema_prefix, "_embedding_cache");
        let session = session(&schema, settings.statement_timeout_seconds);
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(target.config.clone(), tls.clone(), ManagerConfig { recycling_method });
        let begin: Arc<str> = session.as_str().into();
        let hook = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            let begin = Arc::clone(&begin);
            Box::pin(async move { client.batch_execute(&begin).await.map_err(HookError::Backend) })
        });
        // one of a process's connections holds its locks
        let share =
            usize::try_from(settings.max_connections).unwrap_or(1) / usize::try_from(shards.max(1)).unwrap_or(1);
        let pool = Pool::builder(manager)
            .max_size(share.saturating_sub(1).max(1))
            .runtime(Runtime::Tokio1)
            .timeouts(deadpool_postgres::Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
            .post_create(hook)
            .build()
            .map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(Self { target, tls, pool, session, collection: location.collection.clone(), schema, cache_schema })
    }

    /// What messages call the store.
    pub(super) fn name(&self) -> String {
        format!("schema {} of {}", self.schema, self.target.name())
    }

    /// A connection of the pool.
    pub(super) async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// How connections are protected.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// A connection beside the pool; it ends when the client is dropped.
    pub(super) async fn connect(&self) -> Result<Client, StoreError> {
        let (client, connection) = self.target.config.connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection to Postgres has ended: {error}");
            }
        });
        client.batch_execute(&self.session).await?;
        Ok(client)
    }
}

/// What every connection begins with. The extension may lie in any schema; a server that is told so drops a connection
/// whose other end is gone, and with it the locks of a worker that was cut off.
fn session(schema: &str, timeout_seconds: i32) -> String {
    format!(
        "SET statement_timeout = '{timeout_seconds}s'; SET idle_in_transaction_session_timeout = '300s';
         SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
         SELECT set_config('search_path', quote_ident('{schema}') || coalesce((SELECT ', ' || quote_ident(nspname)
             FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'), ''), false)"
    )
}

/// A transaction, with statements that are prepared once a connection.
pub(super) struct Tx<'a>(deadpool_postgres::Transaction<'a>);

impl<'a> Tx<'a> {
    pub(super) async fn begin(client: &'a mut Object) -> Result<Self, StoreError> {
        Ok(Self(client.transaction().await?))
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> Result<u64, StoreError> {
        Ok(self.0.execute(&self.0.prepare_cached(sql).await?, values).await?)
    }

    pub(super) async fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.query(&self.0.prepare_cached(sql).await?, values).await?)
    }

    pub(super) async fn query_one(&self, sql: &str, values: Values<'_>) -> Result<Row, StoreError> {
        Ok(self.0.query_one(&self.0.prepare_cached(sql).await?, values).await?)
    }

    pub(super) async fn query_opt(&self, sql: &str, values: Values<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.0.query_opt(&self.0.prepare_cached(sql).await?, values).await?)
    }

    /// Several statements without values.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.0.batch_execute(sql).await?)
    }

    /// The transaction itself, for what has no shorthand here.
    pub(super) fn raw(&self) -> &deadpool_postgres::Transaction<'a> {
        &self.0
    }
}

/// How often, and when, something is made again.
pub(super) struct Retries {
    left: u32,
    wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { left: MOST_RETRIES, wait: FIRST_RETRY }
    }
}

impl Retries {
    /// The end of something, or nothing if it is to be made again, now.
    pub(super) async fn after<T>(&mut self, done: Result<T, StoreError>) -> Option<Result<T, StoreError>> {
        match done {
            Err(error) if may_pass(&error) && self.left > 0 => {
                tracing::debug!("the database is asked again in {:?}: {error}", self.wait);
                tokio::time::sleep(self.wait).await;
                self.left -= 1;
                self.wait *= 2;
                None
            }
            done => Some(done),
        }
    }
}

/// Does something in a transaction on a connection of `$from`, again and again while that may help. It may have been
/// done already when a connection is lost: it has to be such that this changes nothing.
macro_rules! transact {
    ($from:expr, |$tx:ident| $work:expr) => {{
        let mut retries = $crate::store::postgres::session::Retries::default();
        loop {
            let done = async {
                let mut client = $from.client().await?;
                let $tx = $crate::store::postgres::session::Tx::begin(&mut client).await?;
                let value = $work.await?;
                $tx.commit().await?;
                Ok::<_, $crate::store::StoreError>(value)
            };
            let done = done.await;
            if let Some(end) = retries.after(done).await {
                break end;
            }
        }
    }};
}
pub(super) use transact;
