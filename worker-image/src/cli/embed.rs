//! `lexigram-worker embed`: the texts of one file into a store or into files, by hand. Reads the file, writes the store
//! or the files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use lexigram_api::{
    contract::{EmbedTask, Embedding, ExitCode, InputLocation, Mode, OutputLocation, Report, StoreLocation},
    failure::{FailureCategory, FailurePolicy},
    text::{TextFields, TextFormat, VectorFormat},
};

use super::{
    Models,
    by_hand::{busyness, canonical, failures, finish, log_for_a_person, utf8},
    fail, fail_with, print, progress, stop_on_signal,
    store::{PostgresArguments, collection_of},
};
use crate::{
    batch::{self, Machine},
    embed,
    report::Tracker,
    run::{CircuitSettings, Ended, run_by_hand},
};

/// How long to wait for another run over the same file: a person wants to know soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ledger of a directory of vectors, in that directory.
const LEDGER: &str = "_lexigram.db";
/// Embedding cache of a directory of vectors, in that directory.
const CACHE: &str = "_lexigram.cache.db";

/// Embed the texts of one file, into a store or into files
///
/// What has not changed since the last time is skipped, and vectors are remembered. A row that cannot be embedded is
/// reported, and keeps no other from being embedded.
///
/// Exit codes: as for `ingest`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// File with one text a row
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// The store: a file, whose name is the collection's, the URI of a Postgres database, or `file:PATH` of a file with
    /// such a URI. It is made if it is not there. A password that the URI lacks is taken from PGPASSWORD
    #[arg(long, value_name = "FILE|URI", required_unless_present_any = ["output", "dry_run"], conflicts_with = "output")]
    store: Option<String>,
    #[command(flatten)]
    postgres: PostgresArguments,
    /// Directory for part files, instead of a store; made if it is not there
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// How part files are written
    #[arg(long, value_enum, default_value_t = Vectors::Parquet, requires = "output")]
    output_format: Vectors,
    /// How the input is written; by its ending where not given: .txt, .jsonl, .ndjson, .csv, .parquet
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Field that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,
    /// Field that holds the text's id; the row's number where not given
    #[arg(long, value_name = "NAME")]
    id_field: Option<String>,
    /// Field that is kept beside the vector; may be given several times
    #[arg(long, value_name = "NAME")]
    metadata_field: Vec<String>,
    /// Cut texts that are too long for the model; they fail otherwise
    #[arg(long)]
    truncate: bool,
    /// Only read and count: rows, tokens, duplicates, texts that are too long
    #[arg(long)]
    dry_run: bool,
    /// Name of the embedding model, a folder below --models
    #[arg(long, value_name = "NAME", default_value = "all-MiniLM-L6-v2")]
    model: String,
    #[command(flatten)]
    models: Models,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each line is a text
    Lines,
    /// Each line is a JSON object
    Jsonl,
    /// Comma-separated values under a header
    Csv,
    /// Apache Parquet
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Vectors {
    /// One JSON object a line
    Jsonl,
    /// Apache Parquet, compressed with zstd
    Parquet,
}

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    log_for_a_person();
    let task = match task(&arguments) {
        Ok(task) => task,
        Err(message) => return fail(FailureCategory::Configuration, &message),
    };
    let run = run_by_hand();
    let tracker = Arc::new(Tracker::new(&run));
    let embedder = match embed::open(&task.embedding, &arguments.models.folder, &tracker).await {
        Ok(embedder) => embedder,
        Err(error) => return fail_with(&error),
    };
    let stop = match stop_on_signal() {
        Ok(stop) => stop,
        Err(error) => return fail(FailureCategory::Transient, &error.to_string()),
    };
    let machine = Machine {
        embedder,
        scratch: std::env::temp_dir(),
        patience: PATIENCE,
        shard: 0,
        circuit: CircuitSettings::default(),
    };
    let started = Instant::now();
    let Ended { report, exit } = tokio::select! {
        ended = batch::embed(&machine, &run, &task, &tracker, &stop) => ended,
        never = progress::show(&tracker, "texts") => match never {},
    };
    print(&summary(&report, started.elapsed()));
    finish(&report, exit)
}

fn task(arguments: &Arguments) -> Result<EmbedTask, String> {
    let canonical = canonical(&arguments.input, "file")?;
    let scope = format!("file/{}", utf8(&canonical)?);
    let (output, store) = match (&arguments.output, &arguments.store) {
        (Some(directory), _) => {
            if !arguments.dry_run {
                fs::create_dir_all(directory)
                    .map_err(|error| format!("cannot make the directory {}: {error}", directory.display()))?;
            }
            let format = match arguments.output_format {
                Vectors::Jsonl => VectorFormat::JsonLines,
                Vectors::Parquet => VectorFormat::Parquet,
            };
            let output = OutputLocation::Files { directory: utf8(directory)?, format, owner: scope.clone() };
            let (path, cache) = (utf8(&directory.join(LEDGER))?, Some(utf8(&directory.join(CACHE))?));
            (output, StoreLocation::Sqlite { path, cache })
        }
        (None, store) => {
            // a dry run opens no store, and needs no name of one
            let store = store.as_deref().unwrap_or_default();
            let cache = Some(utf8(&Path::new(store).with_extension("cache.db"))?);
            let store = arguments.postgres.location(store, cache).map_err(|error| error.to_string())?;
            (OutputLocation::Collection { collection: collection_of(&store) }, store)
        }
    };
    let format = arguments.format.map(|format| match format {
        Format::Lines => TextFormat::Lines,
        Format::Jsonl => TextFormat::JsonLines,
        Format::Csv => TextFormat::Csv,
        Format::Parquet => TextFormat::Parquet,
    });
    Ok(EmbedTask {
        scope,
        mode: Mode::Full,
        input: InputLocation::File { path: utf8(&canonical)? },
        format,
        fields: TextFields {
            text_field: arguments.text_field.clone(),
            id_field: arguments.id_field.clone(),
            metadata_fields: arguments.metadata_field.clone(),
        },
        deduplicate: true,
        dry_run: arguments.dry_run,
        embedding: Embedding { truncate: arguments.truncate, ..Embedding::local(&arguments.model) },
        output,
        store,
        failure_policy: FailurePolicy::default(),
    })
}

fn summary(report: &Report, elapsed: Duration) -> String {
    let (texts, seconds) = (&report.counts.items, elapsed.as_secs_f64());
    let text = match &report.dry_run {
        Some(dry_run) => format!(
            "{} texts: {} tokens to embed, {} duplicates, {} too long, {} invalid; read in {seconds:.1} s\n",
            texts.total, dry_run.tokens, dry_run.duplicates, dry_run.too_long, dry_run.invalid,
        ),
        None => format!(
            "{} texts: {} embedded ({} from the cache), {} unchanged, {} failed, {} removed; {} tokens in {seconds:.1} s\n",
            texts.total,
            texts.done,
            report.counts.cached,
            texts.skipped,
            texts.failed,
            texts.deleted,
            report.counts.tokens,
        ),
    };
    let failed = texts.failed.max(report.dry_run.as_ref().map_or(0, |dry_run| dry_run.invalid));
    text + &busyness(report) + &failures(report, failed, "")
}
