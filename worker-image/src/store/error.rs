//! What can go wrong with a store. No I/O.

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use crate::failure::Classified;

/// Why a store could not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The collection was filled with another model.
    #[error(
        "collection '{collection}' was filled with the model {stored}, and this job uses {requested}: choose another collection (spec.collection, or spec.output.collection of a batch), the same model, or spec.embedding.onModelChange: Rebuild, which embeds everything in the collection anew"
    )]
    ModelMismatch {
        /// The collection.
        collection: String,
        /// Fingerprint of the model in the store.
        stored: String,
        /// Fingerprint of the model of the job.
        requested: String,
    },
    /// The collection was rebuilt for another model since it was opened.
    #[error(
        "the collection was filled with the model {requested} and has been rebuilt for {stored} meanwhile: start again, with that model or another collection"
    )]
    ModelReplaced {
        /// Fingerprint of the model in the store.
        stored: String,
        /// Fingerprint of the model before.
        requested: String,
    },
    /// SQLite's locks cannot be trusted there.
    #[error(
        "the store {path} lies on a network file system ({kind}), where SQLite loses data; use a StorageClass with a local or block volume"
    )]
    NetworkFileSystem {
        /// The store's file.
        path: String,
        /// Kind of the file system.
        kind: &'static str,
    },
    /// There is no such file.
    #[error("there is no store at {path}; `lexigram-worker ingest DIRECTORY --store {path}` makes one")]
    NotFound {
        /// The store's file.
        path: String,
    },
    /// The file is something else, or broken.
    #[error("{path} is not a store of lexigram-worker, or it is damaged: {problem}")]
    NotAStore {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is a store, and broken within.
    #[error(
        "the store is damaged ({0}): restore its file from a snapshot of the volume, or delete it and ingest everything again"
    )]
    Damaged(String),
    /// A newer program has written the store.
    #[error(
        "the store {path} has schema version {found}, and this program knows versions up to {known}: use a newer lexigram-worker"
    )]
    SchemaTooNew {
        /// The store's file.
        path: String,
        /// Version in the file.
        found: i64,
        /// Newest version that is known.
        known: i64,
    },
    /// Another run has the same source in hand.
    #[error("another run is writing {scope} into {path}; waited {waited_seconds} s for it to end")]
    Locked {
        /// The store's file.
        path: String,
        /// The source.
        scope: String,
        /// How long was waited.
        waited_seconds: u64,
    },
    /// The volume is full.
    #[error("the volume of the store is full: enlarge the claim")]
    Full,
    /// Somebody else writes for too long.
    #[error("the store is busy: another process has been writing for too long")]
    Busy,
    /// The file cannot be opened, read or written; the database cannot be reached.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// A setting of the store cannot be used.
    #[error("the store cannot be used: {field} {problem}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The database holds no such collection.
    #[error("there is no collection in {store}; `lexigram-worker ingest` makes one, as does a job")]
    CollectionNotFound {
        /// The schema and the database.
        store: String,
    },
    /// The server does not have that database.
    #[error("{0}: create it, or correct the connection URI of the store")]
    DatabaseNotFound(String),
    /// The server lacks pgvector, or the user may not enable it.
    #[error(
        "the extension pgvector cannot be enabled ({0}): install it on the server, and let a superuser run CREATE EXTENSION vector in the database"
    )]
    VectorMissing(String),
    /// The server knows the user not, or does not let it do that.
    #[error("the database refuses access: {0}")]
    AccessDenied(String),
    /// The server's certificate is not trusted.
    #[error(
        "the certificate of the database is not trusted: {0}; name its CA in spec.store.postgres.caBundleSecretRef or sslrootcert"
    )]
    Certificate(String),
    /// The server has stopped a statement that took too long.
    #[error(
        "a statement took longer than the store's statementTimeoutSeconds; raise it, or give the database more to work with"
    )]
    StatementTimeout,
    /// The server's disk is full.
    #[error("the disk of the database is full: {0}")]
    DatabaseFull(String),
    /// Others have changed the same rows, again and again.
    #[error("the database could not keep this write apart from those of others: {0}")]
    Conflict(String),
    /// Anything else that SQLite or Postgres says.
    #[error("the store failed: {0}")]
    Other(String),
}

impl Classified for StoreError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::ModelMismatch { .. }
            | Self::ModelReplaced { .. }
            | Self::NetworkFileSystem { .. }
            | Self::NotFound { .. }
            | Self::NotAStore { .. }
            | Self::Damaged(_)
            | Self::SchemaTooNew { .. }
            | Self::Setting { .. }
            | Self::CollectionNotFound { .. }
            | Self::DatabaseNotFound(_)
            | Self::VectorMissing(_)
            | Self::Certificate(_) => FailureCategory::Configuration,
            Self::Locked { .. } | Self::Busy | Self::Unavailable(_) | Self::Conflict(_) => FailureCategory::Transient,
            Self::AccessDenied(_) => FailureCategory::Authentication,
            Self::StatementTimeout => FailureCategory::Timeout,
            Self::Full | Self::DatabaseFull(_) => FailureCategory::ResourceExhausted,
            Self::Other(_) => FailureCategory::Unknown,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ModelMismatch { .. } => "ModelMismatch",
            Self::ModelReplaced { .. } => "ModelReplaced",
            Self::NetworkFileSystem { .. } => "StoreOnNetworkFileSystem",
            Self::NotFound { .. } => "StoreNotFound",
            Self::NotAStore { .. } => "StoreUnusable",
            Self::Damaged(_) => "StoreDamaged",
            Self::SchemaTooNew { .. } => "StoreTooNew",
            Self::Locked { .. } => "StoreLocked",
            Self::Busy => "StoreBusy",
            Self::Full => "StoreFull",
            Self::Unavailable(_) => "StoreUnavailable",
            Self::Setting { .. } => "StoreSettingInvalid",
            Self::CollectionNotFound { .. } => "CollectionNotFound",
            Self::DatabaseNotFound(_) => "DatabaseNotFound",
            Self::VectorMissing(_) => "VectorExtensionMissing",
            Self::AccessDenied(_) => "StoreAccessDenied",
            Self::Certificate(_) => "StoreCertificateUntrusted",
            Self::StatementTimeout => "StatementTimeout",
            Self::DatabaseFull(_) => "DatabaseFull",
            Self::Conflict(_) => "StoreConflict",
            Self::Other(_) => "StoreFailed",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(
                ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::PermissionDenied,
            ) => Self::Unavailable(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}
