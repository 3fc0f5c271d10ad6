//! The store of a job, as its worker finds it: a file on the claim, or a database with its secrets. Pure builders, no I/O.

use super::Mount;
use crate::{
    contract::{PostgresLocation, PostgresServer, STORE_CA_PATH, STORE_PATH, STORE_URI_PATH, StoreLocation, StoreRoot},
    resource::{PostgresStore, Store},
};

/// The embedding cache, which the collections of a namespace share. No collection has such a name.
const CACHE: &str = "_embedding-cache.db";

/// The collection, or ledger, of that name.
#[must_use]
pub fn location(store: &Store, name: &str) -> StoreLocation {
    match &store.postgres {
        None => StoreLocation::Sqlite { path: format!("{STORE_PATH}/{name}.db"), cache: Some(cache()) },
        Some(postgres) => {
            StoreLocation::Postgres(PostgresLocation { server: server(postgres), collection: name.to_owned() })
        }
    }
}

/// The store with all its collections.
#[must_use]
pub fn root(store: &Store) -> StoreRoot {
    match &store.postgres {
        None => StoreRoot::Sqlite { directory: STORE_PATH.to_owned(), cache: cache() },
        Some(postgres) => StoreRoot::Postgres(server(postgres)),
    }
}

fn cache() -> String {
    format!("{STORE_PATH}/{CACHE}")
}

fn server(postgres: &PostgresStore) -> PostgresServer {
    let ca_key = match (&postgres.ca_bundle_secret_ref, &postgres.ca_bundle_config_map_ref) {
        (Some(secret), _) => Some(&secret.key),
        (None, Some(map)) => Some(&map.key),
        (None, None) => None,
    };
    PostgresServer {
        uri: format!("file:{STORE_URI_PATH}/{}", postgres.connection_secret_ref.key),
        settings: postgres.settings.clone(),
        ca_file: ca_key.map(|key| format!("{STORE_CA_PATH}/{key}")),
    }
}

/// Volumes with what it takes to reach a store that is a database. Of a Secret only the key that is named: a CA's Secret may hold its
/// private key too.
#[must_use]
pub fn mounts(store: &Store) -> Vec<Mount> {
    let Some(postgres) = &store.postgres else { return Vec::new() };
    let uri = &postgres.connection_secret_ref;
    let mut mounts = vec![Mount::secret_key("store-uri", &uri.name, &uri.key, STORE_URI_PATH)];
    let secret = postgres.ca_bundle_secret_ref.as_ref();
    mounts.extend(secret.map(|secret| Mount::secret_key("store-ca", &secret.name, &secret.key, STORE_CA_PATH)));
    let map = postgres.ca_bundle_config_map_ref.as_ref();
    mounts.extend(map.map(|map| Mount::config_map("store-ca", &map.name, STORE_CA_PATH)));
    mounts
}
