//! Which store a location means: the one place that knows them all. Opens files and connections.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lexigram_api::contract::{StoreLocation, StoreRoot};

use super::{
    Collection, EmbeddingCache, Limits, Rebuild, SqliteCache, SqliteRebuild, SqliteStore, StoreError, TextStore,
    Upkeep,
    postgres::{self, Database, PostgresCache, PostgresRebuild, PostgresStore, PostgresUpkeep},
    sqlite::SqliteUpkeep,
};

/// A process's part of a run's items: where `count` processes share them, the part `index` of 0, 1, … is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part.
    pub index: u32,
    /// How many parts there are.
    pub count: u32,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Part `index` of a run that `count` processes share.
    #[must_use]
    pub fn of(index: u32, count: i32) -> Self {
        let count = u32::try_from(count).unwrap_or(1).max(1);
        Self { index: index.min(count - 1), count }
    }
}

/// Who opens a store to write it.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The source that it writes.
    pub scope: &'a str,
    /// The run: its processes share the source, and keep others out.
    pub run: &'a str,
    /// Its part of the run.
    pub shard: Shard,
    /// How long it waits for another run over the same source.
    pub patience: Duration,
}

/// A store that has been found, and is not open yet.
pub enum Place {
    /// Files.
    Sqlite {
        /// The collection.
        path: PathBuf,
        /// The cache.
        cache: Option<PathBuf>,
    },
    /// A database.
    Postgres(Arc<Database>),
}

impl Place {
    /// Finds the store of a location, which `shards` processes share.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn find(location: &StoreLocation, shards: u32) -> Result<Self, StoreError> {
        Ok(match location {
            StoreLocation::Sqlite { path, cache } => {
                Self::Sqlite { path: path.into(), cache: cache.as_ref().map(PathBuf::from) }
            }
            StoreLocation::Postgres(location) => Self::Postgres(postgres::reach(location, shards)?),
        })
    }

    /// Opens the collection to write it, making it where it is missing.
    ///
    /// # Errors
    /// If the store cannot be used, was filled with another model, or its source stays in the hands of another run.
    pub async fn create(
        &self,
        collection: &Collection<'_>,
        writer: &Writer<'_>,
    ) -> Result<Box<dyn TextStore>, StoreError> {
        Ok(match self {
            Self::Sqlite { path, .. } => {
                Box::new(SqliteStore::create(path, collection, writer.scope, writer.patience).await?)
            }
            Self::Postgres(database) => Box::new(PostgresStore::create(database, collection, writer).await?),
        })
    }

    /// As [`Self::create`], for a ledger without vectors.
    ///
    /// # Errors
    /// If the store cannot be used, or its source stays in the hands of another run.
    pub async fn create_ledger(&self, writer: &Writer<'_>) -> Result<Box<dyn TextStore>, StoreError> {
        Ok(match self {
            Self::Sqlite { path, .. } => {
                Box::new(SqliteStore::create_ledger(path, writer.scope, writer.patience).await?)
            }
            Self::Postgres(database) => Box::new(PostgresStore::create_ledger(database, writer).await?),
        })
    }

    /// Begins, or goes on, to fill the collection with vectors of another model.
    ///
    /// # Errors
    /// If the store cannot be used, or another rebuild does not end in time.
    pub async fn rebuild(
        &self,
        collection: &Collection<'_>,
        patience: Duration,
    ) -> Result<Box<dyn Rebuild>, StoreError> {
        Ok(match self {
            Self::Sqlite { path, .. } => Box::new(SqliteRebuild::begin(path, collection, patience).await?),
            Self::Postgres(database) => {
                Box::new(PostgresRebuild::begin(Arc::clone(database), collection, patience).await?)
            }
        })
    }

    /// Opens a collection that is there, to look into it.
    ///
    /// # Errors
    /// If there is none, or it is no store.
    pub async fn open(&self) -> Result<Box<dyn TextStore>, StoreError> {
        Ok(match self {
            Self::Sqlite { path, .. } => Box::new(SqliteStore::open(path)?),
            Self::Postgres(database) => Box::new(PostgresStore::open(database).await?),
        })
    }

    /// Opens a collection that is there, to change dead letters of `scope`, or of every source.
    ///
    /// # Errors
    /// As [`Self::open`], and if a source stays in the hands of a run.
    pub async fn open_dead_letters(
        &self,
        scope: Option<&str>,
        patience: Duration,
    ) -> Result<Box<dyn TextStore>, StoreError> {
        Ok(match self {
            Self::Sqlite { path, .. } => Box::new(SqliteStore::open_dead_letters(path, scope, patience).await?),
            Self::Postgres(database) => Box::new(PostgresStore::open_dead_letters(database, scope, patience).await?),
        })
    }

    /// The cache beside the store; none if there is none, or it cannot be used, which is logged.
    pub async fn cache(&self) -> Option<Box<dyn EmbeddingCache>> {
        let opened: Result<Box<dyn EmbeddingCache>, StoreError> = match self {
            Self::Sqlite { cache, .. } => {
                SqliteCache::open(cache.as_deref().map(Path::new)?).map(|cache| Box::new(cache) as _)
            }
            Self::Postgres(database) => PostgresCache::open(database).await.map(|cache| Box::new(cache) as _),
        };
        opened.inspect_err(|error| tracing::warn!("the embedding cache is not used: {error}")).ok()
    }
}

/// A whole store, to maintain it.
#[must_use]
pub fn upkeep_of(root: &StoreRoot, limits: Limits) -> Box<dyn Upkeep> {
    match root {
        StoreRoot::Sqlite { directory, cache } => Box::new(SqliteUpkeep::new(directory, cache, limits)),
        StoreRoot::Postgres(server) => Box::new(PostgresUpkeep::new(server, limits)),
    }
}
