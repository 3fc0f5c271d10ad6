//! `lexigram-worker ingest`: folders and files into a store, by hand. Reads the source, writes the store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use lexigram_api::{
    contract::{Embedding, ExitCode, IngestTask, Mode, Report, SourceLocation},
    document::{Chunking, Parsing, SyncMode},
    failure::{FailureCategory, FailurePolicy},
};

use super::{
    Models,
    by_hand::{busyness, canonical, failures, finish, log_for_a_person, utf8},
    fail, fail_with, print, progress, stop_on_signal,
    store::{PostgresArguments, collection_of},
};
use crate::{
    embed,
    pipeline::{self, Machine},
    report::Tracker,
    run::{CircuitSettings, Ended, run_by_hand},
};

/// How long to wait for another run over the same folder: a person wants to know soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ingest folders and files into a store
///
/// What has not changed since the last time is skipped. A document that cannot be ingested is reported, and keeps no
/// other from being ingested.
///
/// Exit codes: 0 the run came to its end, with or without failed documents; 2 wrong usage; 75 failed, but may work later;
/// 78 set up wrongly; 143 interrupted, to be started again.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folders and files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The store: a file, whose name is the collection's, the URI of a Postgres database, or `file:PATH` of a file with
    /// such a URI. It is made if it is not there. A password that the URI lacks is taken from PGPASSWORD
    #[arg(long, value_name = "FILE|URI")]
    store: String,
    #[command(flatten)]
    postgres: PostgresArguments,
    /// Only documents whose name matches this glob; may be given several times
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// No documents whose name matches this glob; stronger than --include
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// What happens to stored documents that are gone from the folder
    #[arg(long, value_enum, default_value_t = Sync::Append)]
    sync: Sync,
    /// Most tokens of a chunk; the model's own limit holds too
    #[arg(long, value_name = "NUMBER", default_value_t = Chunking::default().max_tokens, value_parser = clap::value_parser!(i32).range(16..=8192))]
    max_tokens: i32,
    /// Tokens that a chunk repeats from the end of the one before
    #[arg(long, value_name = "NUMBER", default_value_t = Chunking::default().overlap_tokens, value_parser = clap::value_parser!(i32).range(0..=4096))]
    overlap_tokens: i32,
    /// Name of the embedding model, a folder below --models
    #[arg(long, value_name = "NAME", default_value = "all-MiniLM-L6-v2")]
    model: String,
    #[command(flatten)]
    models: Models,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sync {
    /// They stay
    Append,
    /// They are removed; of folders only
    Mirror,
}

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    log_for_a_person();
    let tasks = match arguments.paths.iter().map(|path| task(&arguments, path)).collect::<Result<Vec<_>, _>>() {
        Ok(tasks) => tasks,
        Err(message) => return fail(FailureCategory::Configuration, &message),
    };
    let (model, models) = (Embedding::local(&arguments.model), &arguments.models.folder);
    let embedder = match embed::open(&model, models, &Tracker::new(&run_by_hand())).await {
        Ok(embedder) => embedder,
        Err(error) => return fail_with(&error),
    };
    let (stop, parser_program) = match stop_on_signal().and_then(|stop| Ok((stop, std::env::current_exe()?))) {
        Ok(both) => both,
        Err(error) => return fail(FailureCategory::Transient, &error.to_string()),
    };
    let machine =
        Machine { embedder, parser_program, patience: PATIENCE, shard: 0, circuit: CircuitSettings::default() };
    for task in &tasks {
        let started = Instant::now();
        let run = run_by_hand();
        let tracker = Arc::new(Tracker::new(&run));
        let Ended { report, exit } = tokio::select! {
            ended = pipeline::ingest(&machine, &run, task, &tracker, &stop) => ended,
            never = progress::show(&tracker, "documents") => match never {},
        };
        print(&summary(&report, started.elapsed()));
        let exit = finish(&report, exit);
        if exit != ExitCode::Finished {
            return exit;
        }
    }
    ExitCode::Finished
}

/// What to do with one folder or file.
fn task(arguments: &Arguments, path: &Path) -> Result<IngestTask, String> {
    let canonical = canonical(path, "file or folder")?;
    // a file belongs to its folder, so that it is the same document when the folder is ingested
    let folder = match (canonical.is_dir(), canonical.parent()) {
        (false, Some(parent)) => parent,
        _ => &canonical,
    };
    if !canonical.is_dir() && arguments.sync == Sync::Mirror {
        return Err(format!(
            "--sync mirror is for folders: {} is a file, and its folder would be emptied",
            path.display()
        ));
    }
    let store = arguments.postgres.location(&arguments.store, None).map_err(|error| error.to_string())?;
    Ok(IngestTask {
        collection: collection_of(&store),
        scope: format!("directory/{}", utf8(folder)?),
        mode: Mode::Full,
        source: SourceLocation::Directory { path: utf8(&canonical)? },
        include: arguments.include.clone(),
        exclude: arguments.exclude.clone(),
        sync: match arguments.sync {
            Sync::Append => SyncMode::Append,
            Sync::Mirror => SyncMode::Mirror,
        },
        parsing: Parsing::default(),
        chunking: Chunking {
            max_tokens: arguments.max_tokens,
            overlap_tokens: arguments.overlap_tokens,
            ..Chunking::default()
        },
        embedding: Embedding::local(&arguments.model),
        store,
        failure_policy: FailurePolicy::default(),
    })
}

fn summary(report: &Report, elapsed: Duration) -> String {
    let documents = &report.counts.items;
    let text = format!(
        "{} documents: {} ingested, {} unchanged, {} failed, {} removed; {} chunks, {} tokens in {:.1} s\n",
        documents.total,
        documents.done,
        documents.skipped,
        documents.failed,
        documents.deleted,
        report.counts.chunks,
        report.counts.tokens,
        elapsed.as_secs_f64(),
    );
    text + &busyness(report) + &failures(report, documents.failed, "; `documents --failed` lists them all")
}
