//! Every error of every layer, with the category and the reason that it has.

use lexigram_api::{
    contract::{CircuitSubject, OpenCircuit},
    failure::FailurePolicy,
};
use uuid::Uuid;

use crate::{
    batch::{InputError, OutputError},
    chunk::ChunkError,
    embed::{EmbedError, ProviderError},
    parse::ParseError,
    run::{Judge, RunFailure},
    source::SourceError,
    store::StoreError,
};

/// A test with a row for each variant: `pattern = example => category, reason`. A variant without a row does not
/// compile.
macro_rules! classification {
    ($test:ident: $error:ty { $($pattern:pat = $example:expr => $category:ident, $reason:literal;)+ }) => {
        #[test]
        fn $test() {
            use $crate::failure::Classified;
            use lexigram_api::failure::FailureCategory;
            let row = |error: &$error| match error {
                $($pattern => (FailureCategory::$category, $reason),)+
            };
            let examples: Vec<($error, (FailureCategory, &str))> =
                vec![$(($example, (FailureCategory::$category, $reason)),)+];
            for (example, expected) in &examples {
                assert_eq!(row(example), *expected, "{example:?} stands in the row of another variant");
                assert_eq!((example.category(), example.reason()), *expected, "{example:?}");
            }
        }
    };
}
pub(crate) use classification;

fn text() -> String {
    "text".to_owned()
}

classification!(source: SourceError {
    SourceError::Glob { .. } = SourceError::Glob { field: text(), glob: text(), problem: text() } => Configuration, "InvalidGlob";
    SourceError::NoDirectory { .. } = SourceError::NoDirectory { path: text() } => Configuration, "SourceDirectoryNotFound";
    SourceError::Unreadable { .. } = SourceError::Unreadable { path: text(), problem: text() } => Transient, "SourceUnreadable";
    SourceError::Scratch { .. } = SourceError::Scratch { directory: text(), problem: text() } => ResourceExhausted, "ScratchFailed";
    SourceError::Header { .. } = SourceError::Header { header: text() } => Configuration, "InvalidHeader";
    SourceError::Url { .. } = SourceError::Url { problem: text() } => Configuration, "InvalidUrl";
    SourceError::LocalAddress { configured: true, .. } = SourceError::LocalAddress {
        host: text(), address: "::1".parse().unwrap(), field: "spec", configured: true,
    } => Configuration, "LocalAddress";
    SourceError::LocalAddress { configured: false, .. } = SourceError::LocalAddress {
        host: text(), address: "::1".parse().unwrap(), field: "spec", configured: false,
    } => InvalidInput, "LocalAddress";
    SourceError::Setting { .. } = SourceError::Setting { field: text(), problem: text() } => Configuration, "InvalidSourceSetting";
    SourceError::Name { .. } = SourceError::Name { problem: text() } => InvalidInput, "UnusableName";
    SourceError::TooManyDocuments { .. } = SourceError::TooManyDocuments { limit: 1 } => Configuration, "TooManyDocuments";
    SourceError::Identity { .. } = SourceError::Identity { problem: text() } => Authentication, "IdentityRefused";
    SourceError::Redirects { .. } = SourceError::Redirects { limit: 5 } => InvalidInput, "TooManyRedirects";
    SourceError::Gone { .. } = SourceError::Gone { detail: text() } => InvalidInput, "SourceGone";
    SourceError::TooLarge { .. } = SourceError::TooLarge { limit: 1 } => InvalidInput, "DocumentTooLarge";
    SourceError::Refused { .. } = SourceError::Refused { answer: text(), check: "spec" } => Authentication, "SourceAccessDenied";
    SourceError::SlowDown { .. } = SourceError::SlowDown { status: 429, retry_after: None } => RateLimited, "SourceRateLimited";
    SourceError::ServerError { .. } = SourceError::ServerError { status: 503 } => Transient, "SourceServerError";
    SourceError::Rejected { .. } = SourceError::Rejected { answer: text() } => InvalidInput, "SourceRejected";
    SourceError::Timeout { .. } = SourceError::Timeout { seconds: 1 } => Timeout, "SourceTimeout";
    SourceError::Connection(_) = SourceError::Connection(text()) => Transient, "SourceUnreachable";
});

classification!(parser: ParseError {
    ParseError::Empty = ParseError::Empty => InvalidInput, "DocumentEmpty";
    ParseError::NoText = ParseError::NoText => InvalidInput, "NoText";
    ParseError::ImageOnly = ParseError::ImageOnly => InvalidInput, "ImageOnlyPdf";
    ParseError::Unsupported { .. } = ParseError::Unsupported { kind: text() } => InvalidInput, "UnsupportedType";
    ParseError::Encrypted { .. } = ParseError::Encrypted { format: text() } => InvalidInput, "DocumentEncrypted";
    ParseError::Damaged { .. } = ParseError::Damaged { format: text(), problem: text() } => InvalidInput, "DocumentDamaged";
    ParseError::Bomb { .. } = ParseError::Bomb { format: text(), problem: text() } => InvalidInput, "DecompressionBomb";
    ParseError::TooDeep { .. } = ParseError::TooDeep { format: text(), problem: text() } => InvalidInput, "NestedTooDeeply";
    ParseError::TooMuchText { .. } = ParseError::TooMuchText { limit: 1 } => InvalidInput, "TooMuchText";
    ParseError::Timeout { .. } = ParseError::Timeout { seconds: 1 } => Timeout, "ParserTimeout";
    ParseError::OutOfMemory { .. } = ParseError::OutOfMemory { mebibytes: 1 } => ResourceExhausted, "ParserOutOfMemory";
    ParseError::Crashed { .. } = ParseError::Crashed { problem: text() } => InvalidInput, "ParserCrashed";
    ParseError::NoProcess { .. } = ParseError::NoProcess { problem: text() } => Transient, "ParserUnavailable";
});

classification!(chunker: ChunkError {
    ChunkError::Overlap { .. } = ChunkError::Overlap { overlap: 1, max_tokens: 1 } => Configuration, "InvalidChunking";
    ChunkError::Grammar(_) = ChunkError::Grammar(text()) => Unknown, "GrammarUnusable";
    ChunkError::Tokenization(_) = ChunkError::Tokenization(text()) => InvalidInput, "TokenizationFailed";
});

classification!(embedder: EmbedError {
    EmbedError::ModelNotFound { .. } = EmbedError::ModelNotFound { model: text(), folder: text(), file: text() } => Configuration, "ModelNotFound";
    EmbedError::ModelUnusable { .. } = EmbedError::ModelUnusable { model: text(), file: text(), problem: text() } => Configuration, "ModelUnusable";
    EmbedError::ServerNeeded { .. } = EmbedError::ServerNeeded { model: text() } => Configuration, "EmbeddingServerNeeded";
    EmbedError::TextTooLong { .. } = EmbedError::TextTooLong { tokens: 2, limit: 1 } => InvalidInput, "TextTooLong";
    EmbedError::Tokenization(_) = EmbedError::Tokenization(text()) => InvalidInput, "TokenizationFailed";
    EmbedError::Computation(_) = EmbedError::Computation(text()) => Unknown, "EmbeddingFailed";
    EmbedError::Provider(_) = EmbedError::Provider(ProviderError::EmptyText) => InvalidInput, "TextEmpty";
});

classification!(provider: ProviderError {
    ProviderError::Setting { .. } = ProviderError::Setting { field: "url", problem: text() } => Configuration, "ProviderSettingInvalid";
    ProviderError::Certificate { .. } = ProviderError::Certificate { host: text(), problem: text() } => Configuration, "ProviderCertificateUntrusted";
    ProviderError::AccessDenied { .. } = ProviderError::AccessDenied { status: 401, detail: text() } => Authentication, "ProviderAccessDenied";
    ProviderError::QuotaExhausted(_) = ProviderError::QuotaExhausted(text()) => Authentication, "ProviderQuotaExhausted";
    ProviderError::NotFound { .. } = ProviderError::NotFound { host: text(), model: text(), detail: text() } => Configuration, "ProviderModelNotFound";
    ProviderError::RequestRefused(_) = ProviderError::RequestRefused(text()) => Configuration, "ProviderRequestRefused";
    ProviderError::WrongDimension { .. } = ProviderError::WrongDimension { expected: 1, found: 2 } => Configuration, "WrongDimension";
    ProviderError::EmptyText = ProviderError::EmptyText => InvalidInput, "TextEmpty";
    ProviderError::TextTooLong(_) = ProviderError::TextTooLong(text()) => InvalidInput, "TextTooLong";
    ProviderError::TextRefused(_) = ProviderError::TextRefused(text()) => InvalidInput, "TextRefused";
    ProviderError::Unavailable(_) = ProviderError::Unavailable(text()) => Transient, "ProviderUnavailable";
    ProviderError::Unreachable { .. } = ProviderError::Unreachable { host: text(), problem: text() } => Transient, "ProviderUnreachable";
    ProviderError::Timeout { .. } = ProviderError::Timeout { seconds: 1 } => Timeout, "ProviderTimeout";
    ProviderError::AnswerInvalid(_) = ProviderError::AnswerInvalid(text()) => Transient, "ProviderAnswerInvalid";
    ProviderError::RateLimited { .. } = ProviderError::RateLimited { minutes: 60 } => RateLimited, "ProviderRateLimited";
});

classification!(store: StoreError {
    StoreError::ModelReplaced { .. } = StoreError::ModelReplaced { stored: text(), requested: text() } => Configuration, "ModelReplaced";
    StoreError::ModelMismatch { .. } = StoreError::ModelMismatch { collection: text(), stored: text(), requested: text() } => Configuration, "ModelMismatch";
    StoreError::NetworkFileSystem { .. } = StoreError::NetworkFileSystem { path: text(), kind: "NFS" } => Configuration, "StoreOnNetworkFileSystem";
    StoreError::NotFound { .. } = StoreError::NotFound { path: text() } => Configuration, "StoreNotFound";
    StoreError::NotAStore { .. } = StoreError::NotAStore { path: text(), problem: text() } => Configuration, "StoreUnusable";
    StoreError::Damaged(_) = StoreError::Damaged(text()) => Configuration, "StoreDamaged";
    StoreError::SchemaTooNew { .. } = StoreError::SchemaTooNew { path: text(), found: 2, known: 1 } => Configuration, "StoreTooNew";
    StoreError::Locked { .. } = StoreError::Locked { path: text(), scope: text(), waited_seconds: 1 } => Transient, "StoreLocked";
    StoreError::Full = StoreError::Full => ResourceExhausted, "StoreFull";
    StoreError::Busy = StoreError::Busy => Transient, "StoreBusy";
    StoreError::Unavailable(_) = StoreError::Unavailable(text()) => Transient, "StoreUnavailable";
    StoreError::Setting { .. } = StoreError::Setting { field: "the connection URI", problem: text() } => Configuration, "StoreSettingInvalid";
    StoreError::CollectionNotFound { .. } = StoreError::CollectionNotFound { store: text() } => Configuration, "CollectionNotFound";
    StoreError::DatabaseNotFound(_) = StoreError::DatabaseNotFound(text()) => Configuration, "DatabaseNotFound";
    StoreError::VectorMissing(_) = StoreError::VectorMissing(text()) => Configuration, "VectorExtensionMissing";
    StoreError::AccessDenied(_) = StoreError::AccessDenied(text()) => Authentication, "StoreAccessDenied";
    StoreError::Certificate(_) = StoreError::Certificate(text()) => Configuration, "StoreCertificateUntrusted";
    StoreError::StatementTimeout = StoreError::StatementTimeout => Timeout, "StatementTimeout";
    StoreError::DatabaseFull(_) = StoreError::DatabaseFull(text()) => ResourceExhausted, "DatabaseFull";
    StoreError::Conflict(_) = StoreError::Conflict(text()) => Transient, "StoreConflict";
    StoreError::Other(_) = StoreError::Other(text()) => Unknown, "StoreFailed";
});

classification!(input: InputError {
    InputError::NotFound { .. } = InputError::NotFound { path: text() } => Configuration, "InputNotFound";
    InputError::NotAFile { .. } = InputError::NotAFile { path: text() } => Configuration, "InputNotAFile";
    InputError::FormatUnknown { .. } = InputError::FormatUnknown { name: text() } => Configuration, "InputFormatUnknown";
    InputError::FieldMissing { .. } = InputError::FieldMissing { setting: "spec", field: text(), present: text() } => Configuration, "InputFieldMissing";
    InputError::ColumnType { .. } = InputError::ColumnType { column: text(), kind: text() } => Configuration, "InputColumnUnusable";
    InputError::Unreadable { .. } = InputError::Unreadable { path: text(), problem: text() } => Configuration, "InputUnreadable";
    InputError::Io { .. } = InputError::Io { path: text(), problem: text() } => Transient, "InputReadFailed";
    InputError::Http(_) = InputError::Http(SourceError::Gone { detail: text() }) => Configuration, "SourceGone";
    InputError::TooLarge { .. } = InputError::TooLarge { limit: 1 } => Configuration, "InputTooLarge";
    InputError::Scratch(_) = InputError::Scratch(text()) => ResourceExhausted, "ScratchFailed";
});

classification!(output: OutputError {
    OutputError::Taken { .. } = OutputError::Taken { directory: text(), holds: text() } => Configuration, "OutputTaken";
    OutputError::Full { .. } = OutputError::Full { path: text() } => ResourceExhausted, "OutputFull";
    OutputError::Io { .. } = OutputError::Io { path: text(), problem: text() } => Transient, "OutputUnwritable";
});

fn invalid_rule() -> RunFailure {
    let rule = r#"{ "rules": [{ "message": "(", "category": "Transient" }] }"#;
    let policy: FailurePolicy = serde_json::from_str(rule).unwrap();
    RunFailure::Rule(Judge::new(policy).unwrap_err())
}

fn circuit() -> OpenCircuit {
    let until = jiff::Timestamp::UNIX_EPOCH;
    OpenCircuit { subject: CircuitSubject::EmbeddingProvider, message: text(), until }
}

classification!(run: RunFailure {
    RunFailure::Source(_) = RunFailure::Source(SourceError::Refused { answer: text(), check: "spec" }) => Authentication, "SourceAccessDenied";
    RunFailure::ListingPartial { .. } = RunFailure::ListingPartial {
        listed: 1, failed: 1, first: SourceError::Connection(text()),
    } => Transient, "ListingPartial";
    RunFailure::Chunk(_) = RunFailure::Chunk(ChunkError::Overlap { overlap: 1, max_tokens: 1 }) => Configuration, "InvalidChunking";
    RunFailure::Embed(_) = RunFailure::Embed(EmbedError::Computation(text())) => Unknown, "EmbeddingFailed";
    RunFailure::NotCarriedOver { .. } = RunFailure::NotCarriedOver { chunk: Uuid::nil(), error: Box::new(EmbedError::Computation(text())) } => Unknown, "EmbeddingFailed";
    RunFailure::Store(_) = RunFailure::Store(StoreError::Full) => ResourceExhausted, "StoreFull";
    RunFailure::Input(_) = RunFailure::Input(InputError::NotFound { path: text() }) => Configuration, "InputNotFound";
    RunFailure::Output(_) = RunFailure::Output(OutputError::Full { path: text() }) => ResourceExhausted, "OutputFull";
    RunFailure::Rule(_) = invalid_rule() => Configuration, "InvalidFailureRule";
    RunFailure::Circuit(_) = RunFailure::Circuit(circuit()) => Transient, "CircuitOpen";
    RunFailure::Interrupted = RunFailure::Interrupted => Transient, "Interrupted";
    RunFailure::Broken(_) = RunFailure::Broken(text()) => Unknown, "WorkerBroken";
});
