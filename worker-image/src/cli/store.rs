//! How a command names a store: a file, or a collection of a Postgres database. No I/O.

use std::path::Path;

use clap::Args;
use lexigram_api::{
    contract::{PostgresLocation, PostgresServer, StoreLocation},
    postgres::PostgresSettings,
};

use crate::store::{Place, StoreError, postgres::is_uri};

/// What a store in Postgres is named by, besides its URI.
#[derive(Clone, Debug, Args)]
pub(super) struct PostgresArguments {
    /// The collection, where the store is a Postgres database; a file holds only one
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// What the names of the store's schemas begin with, where it is a Postgres database
    #[arg(long, env = "LEXIGRAM_SCHEMA_PREFIX", value_name = "PREFIX", default_value_t = PostgresSettings::default().schema_prefix)]
    schema_prefix: String,
}

/// The store that a command looks into.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreArguments {
    /// The store that `ingest`, `embed` or a job has filled: a file, the URI of a Postgres database, `file:PATH` of a
    /// file with such a URI, or a location as work specs have it, in JSON. A password that the URI lacks is taken from
    /// PGPASSWORD
    #[arg(long, value_name = "FILE|URI|JSON")]
    store: String,
    #[command(flatten)]
    postgres: PostgresArguments,
}

impl StoreArguments {
    /// The store, not opened yet.
    pub(super) fn find(&self) -> Result<Place, StoreError> {
        Place::find(&self.location()?, 1)
    }

    fn location(&self) -> Result<StoreLocation, StoreError> {
        if !self.store.starts_with('{') {
            return self.postgres.location(&self.store, None);
        }
        let refused = |error: serde_json::Error| StoreError::Setting {
            field: "the store's location",
            problem: format!("cannot be read: {error}"),
        };
        serde_json::from_str(&self.store).map_err(refused)
    }

    /// What messages call the collection.
    pub(super) fn name(&self) -> String {
        self.location().map_or_else(|_| self.store.clone(), |location| collection_of(&location))
    }
}

impl PostgresArguments {
    /// The location that a command's `--store` means. A file has the cache beside it that `cache` names.
    pub(super) fn location(&self, store: &str, cache: Option<String>) -> Result<StoreLocation, StoreError> {
        if !is_uri(store) && !store.starts_with("file:") {
            return Ok(StoreLocation::Sqlite { path: store.to_owned(), cache });
        }
        let missing = || StoreError::Setting {
            field: "the collection's name",
            problem: "is missing; give it with --collection".to_owned(),
        };
        Ok(StoreLocation::Postgres(PostgresLocation {
            server: PostgresServer {
                uri: store.to_owned(),
                settings: PostgresSettings { schema_prefix: self.schema_prefix.clone(), ..PostgresSettings::default() },
                ca_file: None,
            },
            collection: self.collection.clone().ok_or_else(missing)?,
        }))
    }
}

/// The collection of a location: a file's is its name.
pub(super) fn collection_of(location: &StoreLocation) -> String {
    match location {
        StoreLocation::Sqlite { path, .. } => {
            Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
        StoreLocation::Postgres(location) => location.collection.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(collection: Option<&str>) -> PostgresArguments {
        PostgresArguments { collection: collection.map(str::to_owned), schema_prefix: "lexigram_".to_owned() }
    }

    #[test]
    fn a_file_is_its_own_collection() {
        let location = arguments(None).location("stores/docs.db", None).unwrap();
        assert_eq!(location, StoreLocation::Sqlite { path: "stores/docs.db".to_owned(), cache: None });
        assert_eq!(collection_of(&location), "docs");
    }

    #[test]
    fn a_location_is_that_of_a_work_spec() {
        let location = arguments(Some("docs")).location("file:/run/uri", None).unwrap();
        let store = serde_json::to_string(&location).unwrap();
        let given = StoreArguments { store, postgres: arguments(None) };
        assert_eq!((given.location().unwrap(), given.name().as_str()), (location, "docs"));
        let refused = StoreArguments { store: "{}".to_owned(), postgres: arguments(None) }.location().unwrap_err();
        assert!(refused.to_string().contains("location cannot be read"), "{refused}");
    }

    #[test]
    fn a_database_needs_the_name_of_a_collection() {
        for store in ["postgresql://me@db/rag", "postgres://me@db/rag", "file:/run/uri"] {
            let location = arguments(Some("docs")).location(store, None).unwrap();
            assert_eq!(collection_of(&location), "docs");
            let refused = arguments(None).location(store, None).unwrap_err();
            assert!(refused.to_string().contains("--collection"), "{refused}");
        }
    }
}
