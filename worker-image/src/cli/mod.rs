//! The commands of `lexigram-worker`. Each has its own module; this one reads the command line and starts the runtime.

mod by_hand;
mod contract;
mod dead_letters;
mod documents;
mod embed;
mod ingest;
mod progress;
mod run;
mod search;
mod store;
mod table;

use std::{
    io::{self, Write},
    path::PathBuf,
    process,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use lexigram_api::{contract::ExitCode, failure::FailureCategory};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Classified,
    parse::{isolate::child_main, parse_unprotected},
};

/// Ingests documents into a searchable store: lists, fetches, parses, chunks, embeds and stores them.
#[derive(Debug, Parser)]
#[command(name = "lexigram-worker", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Ingest(ingest::Arguments),
    Embed(embed::Arguments),
    Search(search::Arguments),
    Documents(documents::Arguments),
    DeadLetters(dead_letters::Arguments),
    /// The contract between operator and worker, for a worker of your own: its schemas, and whether a worker keeps it
    #[command(subcommand)]
    Contract(contract::Command),
    /// What the pipeline starts to parse documents in; of no use by hand.
    #[command(hide = true)]
    ParseChild {
        /// Memory that the process may map, in bytes.
        memory_bytes: u64,
    },
}

/// Where models are found.
#[derive(Debug, Args)]
struct Models {
    /// Folder that holds one folder a model; `just model` fetches one
    #[arg(
        long = "models",
        env = "LEXIGRAM_MODELS",
        value_name = "FOLDER",
        default_value = "/usr/share/lexigram/models"
    )]
    folder: PathBuf,
}

/// Runs the command that the command line asks for.
#[must_use]
pub fn main() -> process::ExitCode {
    let command = match CommandLine::parse().command {
        Command::ParseChild { memory_bytes } => return child_main(memory_bytes, parse_unprotected),
        command => command,
    };
    crate::install_tls_provider();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit_code(fail(FailureCategory::Transient, &format!("no threads: {error}"))),
    };
    let code = runtime.block_on(async {
        let code = match command {
            // the answer to what an author asks, not the end of a run
            Command::Contract(command) => return contract::main(command).await,
            Command::Run(arguments) => run::main(arguments).await,
            Command::Ingest(arguments) => ingest::main(arguments).await,
            Command::Embed(arguments) => embed::main(arguments).await,
            Command::Search(arguments) => search::main(arguments).await,
            Command::Documents(arguments) => documents::main(arguments).await,
            Command::DeadLetters(arguments) => dead_letters::main(arguments).await,
            Command::ParseChild { memory_bytes: _ } => ExitCode::Usage,
        };
        exit_code(code)
    });
    // computations that were given up are not waited for
    runtime.shutdown_timeout(Duration::ZERO);
    code
}

fn exit_code(code: ExitCode) -> process::ExitCode {
    process::ExitCode::from(code.code())
}

/// A token that is cancelled when the process is asked to stop.
fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}

/// Tells a person what went wrong.
fn fail_with(error: &dyn Classified) -> ExitCode {
    fail(error.category(), &error.to_string())
}

fn fail(category: FailureCategory, message: &str) -> ExitCode {
    let _unwritable = writeln!(io::stderr(), "error: {message}");
    match category {
        FailureCategory::Configuration => ExitCode::Configuration,
        FailureCategory::Authentication => ExitCode::Authentication,
        _ => ExitCode::Retryable,
    }
}

/// Prints a result.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) => unwritten(&error),
        Ok(()) => ExitCode::Finished,
    }
}

/// A result could not be printed. Whoever reads it may stop early, as `head` does.
fn unwritten(error: &io::Error) -> ExitCode {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ExitCode::Finished,
        _ => fail(FailureCategory::Transient, &format!("cannot write: {error}")),
    }
}

/// Prints a result as JSON.
fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => fail(FailureCategory::Unknown, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
