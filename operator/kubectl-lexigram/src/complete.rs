//! Completion: scripts for shells, and answers to kubectl, which asks `kubectl_complete-lexigram` on PATH. Reads the
//! cluster for names of objects, writes standard output.

use std::{
    env,
    ffi::{OsStr, OsString},
    time::Duration,
};

use clap::{Args, CommandFactory, FromArgMatches, ValueEnum};
use clap_complete::{
    Shell,
    engine::{ArgValueCompleter, CompletionCandidate, complete},
    generate,
};

use crate::{
    cli::{CommandLine, runtime},
    cluster::ClusterArguments,
    error::{FINE, PluginError},
    objects::{Scope, list},
    output::print,
};

/// The hidden command that answers kubectl; the words to complete follow.
pub const COMMAND: &str = "__complete";

/// Name of the program.
const PROGRAM: &str = "kubectl-lexigram";
/// What kubectl looks for on PATH.
const SCRIPT: &str = "#!/bin/sh\n# kubectl asks this program for completions of `kubectl lexigram`\nexec kubectl-lexigram __complete \"$@\"\n";
/// The last line of an answer: no names of files beside it.
const NO_FILES: &str = ":4\n";
/// How long names of objects are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Print a script that completes commands, options and names of objects
#[derive(Debug, Args)]
pub struct Arguments {
    /// For whom: `kubectl` is the program kubectl_complete-lexigram, which kubectl finds on PATH
    #[arg(value_enum)]
    reader: Reader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reader {
    /// For `kubectl lexigram` in every shell
    Kubectl,
    /// For `kubectl-lexigram` in bash
    Bash,
    /// For `kubectl-lexigram` in fish
    Fish,
    /// For `kubectl-lexigram` in zsh
    Zsh,
}

pub fn main(arguments: &Arguments) -> Result<u8, PluginError> {
    let shell = match arguments.reader {
        Reader::Kubectl => return print(SCRIPT).map(|()| FINE),
        Reader::Bash => Shell::Bash,
        Reader::Fish => Shell::Fish,
        Reader::Zsh => Shell::Zsh,
    };
    let mut script = Vec::new();
    generate(shell, &mut CommandLine::command(), PROGRAM, &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| FINE)
}

/// Answers kubectl: what the last of the words may be.
pub fn answer(words: impl Iterator<Item = OsString>) -> Result<u8, PluginError> {
    let words: Vec<OsString> = [PROGRAM.into()].into_iter().chain(words).collect();
    let last = words.len() - 1;
    let candidates = complete(&mut CommandLine::command(), words, last.max(1), None)?;
    let lines: String = candidates.iter().filter(|candidate| !candidate.is_hide_set()).map(line).collect();
    print(&format!("{lines}{NO_FILES}")).map(|()| FINE)
}

fn line(candidate: &CompletionCandidate) -> String {
    let value = candidate.get_value().to_string_lossy();
    match candidate.get_help().map(ToString::to_string) {
        Some(help) => format!("{value}\t{}\n", help.lines().next().unwrap_or_default()),
        None => format!("{value}\n"),
    }
}

/// Completes names of objects, as KIND/NAME.
pub fn objects() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let current = current.to_string_lossy();
        let names = names(&chosen()).unwrap_or_default();
        names.into_iter().filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
    })
}

/// The names that are there; none where the cluster does not answer at once.
fn names(cluster: &ClusterArguments) -> Result<Vec<String>, PluginError> {
    runtime()?.block_on(async {
        let all = async { list(&cluster.connect().await?, &Scope::Namespace).await };
        let found = tokio::time::timeout(PATIENCE, all).await.unwrap_or(Ok(Vec::new()))?;
        Ok(found.iter().map(|object| object.target().to_string()).collect())
    })
}

/// The cluster and namespace that the words before the one to complete choose.
fn chosen() -> ClusterArguments {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let before = words.split_last().map(|(_, before)| before).unwrap_or_default();
    let words = [OsString::from(PROGRAM)].into_iter().chain(before.iter().filter(|word| *word != COMMAND).cloned());
    let matches = CommandLine::command().ignore_errors(true).try_get_matches_from(words);
    matches.ok().and_then(|matches| ClusterArguments::from_arg_matches(&matches).ok()).unwrap_or_default()
}
