//! The command line: reads it, hands over to a command, and ends with its exit code.

use std::{env, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{cluster::ClusterArguments, complete, dead_letters, doctor, error::PluginError, run, search, status};

const EXIT_CODES: &str = "\
Exit codes:
  0  fine
  1  the command could not be carried out
  2  the command line is wrong
  3  what was looked at, or waited for, has failed";

/// Lexigram Workers: how far the work is, what failed, search, and what is wrong with the installation
#[derive(Debug, Parser)]
#[command(name = "kubectl-lexigram", bin_name = "kubectl lexigram", version, about, after_help = EXIT_CODES)]
pub struct CommandLine {
    #[command(flatten)]
    pub cluster: ClusterArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Arguments),
    /// Show what failed, have it tried again, or give it up
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    Search(search::Arguments),
    Run(run::Arguments),
    Doctor(doctor::Arguments),
    Completion(complete::Arguments),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    if words.next().is_some_and(|word| word == complete::COMMAND) {
        return end(complete::answer(words));
    }
    let line = CommandLine::parse();
    end(runtime().and_then(|runtime| runtime.block_on(carry_out(&line))))
}

async fn carry_out(line: &CommandLine) -> Result<u8, PluginError> {
    let cluster = || line.cluster.connect();
    match &line.command {
        Command::Status(arguments) => status::main(&cluster().await?, arguments).await,
        Command::DeadLetters(command) => dead_letters::main(&cluster().await?, command).await,
        Command::Search(arguments) => search::main(&cluster().await?, arguments).await,
        Command::Run(arguments) => run::main(&cluster().await?, arguments).await,
        Command::Doctor(arguments) => doctor::main(&cluster().await?, arguments).await,
        Command::Completion(arguments) => complete::main(arguments),
    }
}

/// One thread is enough for what waits for the API server most of the time.
pub fn runtime() -> Result<tokio::runtime::Runtime, PluginError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn end(result: Result<u8, PluginError>) -> ExitCode {
    let code = result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        error.exit_code()
    });
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
