//! Ingests a folder into a store as `lexigram-worker ingest` does, with the model or without it, and prints one line of
//! JSON: seconds from the first step to the last, what was done, and how busy each stage was. Reads the folder and the
//! model, writes the store; its own program is also the parser's.

mod mock;

use std::{
    io,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use lexigram_api::{
    contract::{Embedding, IngestTask, Mode, SourceLocation, StoreLocation, busyness_in_words},
    document::{Chunking, Parsing, SyncMode},
    failure::FailurePolicy,
};
use lexigram_worker::{
    embed::{Embedder, LocalModel},
    parse::{
        isolate::{CHILD_ARGUMENT, child_main},
        parse_unprotected,
    },
    pipeline::{Machine, ingest},
    report::Tracker,
    run::{CircuitSettings, run_by_hand},
};
use mock::MockEmbedder;
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: lexigram-bench-ingest model|mock FOLDER STORE MODEL";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match *arguments {
        [CHILD_ARGUMENT, memory_bytes] => match memory_bytes.parse() {
            Ok(memory_bytes) => return child_main(memory_bytes, parse_unprotected),
            Err(error) => Err(io::Error::other(error)),
        },
        [embedder @ ("model" | "mock"), folder, store, model] => measure(embedder == "mock", folder, store, model),
        _ => Err(io::Error::other(USAGE)),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(mock: bool, folder: &str, store: &str, model: &str) -> io::Result<()> {
    let model = LocalModel::load(Path::new(model), "model", false).map_err(io::Error::other)?;
    let machine = Machine {
        embedder: if mock { Arc::new(MockEmbedder::new(model)) as Arc<dyn Embedder> } else { Arc::new(model) },
        parser_program: std::env::current_exe()?,
        patience: Duration::ZERO,
        shard: 0,
        circuit: CircuitSettings::default(),
    };
    let (task, run) = (task(folder, store), run_by_hand());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (tracker, stop) = (Tracker::new(&run), CancellationToken::new());
    let start = Instant::now();
    let report = runtime.block_on(ingest(&machine, &run, &task, &tracker, &stop)).report;
    let seconds = start.elapsed().as_secs_f64();
    if let Some(error) = report.error {
        return Err(io::Error::other(error.message));
    }
    let items = &report.counts.items;
    let measured = serde_json::json!({
        "seconds": seconds,
        "documents": items.done + items.skipped,
        "failed": items.failed,
        "embedded_documents": items.done,
        "chunks": report.counts.chunks,
        "busy": busyness_in_words(&report.stages),
    });
    println!("{measured}");
    Ok(())
}

fn task(folder: &str, store: &str) -> IngestTask {
    IngestTask {
        collection: "bench".to_owned(),
        scope: "directory/bench".to_owned(),
        mode: Mode::Full,
        source: SourceLocation::Directory { path: folder.to_owned() },
        include: Vec::new(),
        exclude: Vec::new(),
        sync: SyncMode::Append,
        parsing: Parsing::default(),
        chunking: Chunking::default(),
        embedding: Embedding::local("model"),
        store: StoreLocation::Sqlite { path: store.to_owned(), cache: None },
        failure_policy: FailurePolicy::default(),
    }
}
