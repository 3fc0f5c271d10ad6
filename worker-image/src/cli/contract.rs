//! `lexigram-worker contract`: what authors of workers of their own need. Prints schemas, reads files, runs a worker.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use clap::{Args, Subcommand};
use lexigram_api::{
    contract::{ExitCode, schemas},
    failure::FailureCategory,
};
use serde_json::Value;

use super::{exit_code, fail, fail_with, print, print_json};
use crate::contract::{Finding, Scenario, check, message};

/// Exit code of a check that has found something.
const FOUND: u8 = 1;

/// What can be asked about the contract.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schemas of work spec, progress and report
    Schema(SchemaArguments),
    /// Check messages in files, or run a worker as a pod does and say what is wrong
    ///
    /// A worker is given a work spec of three documents, or that of --spec, on loopback and in a temporary folder: a whole
    /// run, one that is told to stop, and one of another contract version. It finds work spec, address and report by the
    /// variables LEXIGRAM_WORK_SPEC, LEXIGRAM_LISTEN and LEXIGRAM_TERMINATION_LOG, as in a pod.
    ///
    /// Exit codes: 0 nothing is wrong; 1 something is; 2 wrong usage; 78 the worker cannot be started.
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct SchemaArguments {
    /// Write one file a message into this folder instead
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Files with a work spec, progress or report each
    #[arg(value_name = "FILE", required_unless_present = "command")]
    files: Vec<PathBuf>,
    /// File with the work spec that the worker is given
    #[arg(long, value_name = "FILE", requires = "command")]
    spec: Option<PathBuf>,
    /// Seconds that a run of the worker may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// The worker's command, as in the ENTRYPOINT of its image; `run` is added to it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn main(command: Command) -> process::ExitCode {
    match command {
        Command::Schema(arguments) => exit_code(schema(arguments.output.as_deref())),
        Command::Check(arguments) => match checked(&arguments).await {
            Err(code) => exit_code(code),
            Ok(findings) => told(&findings),
        },
    }
}

fn schema(output: Option<&Path>) -> ExitCode {
    let Some(folder) = output else {
        return print_json(&BTreeMap::from(schemas()));
    };
    let write = |(name, schema): (&str, Value)| -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(&schema)?;
        fs::write(folder.join(format!("{name}.schema.json")), format!("{json}\n"))
    };
    match schemas().into_iter().try_for_each(write) {
        Ok(()) => ExitCode::Finished,
        Err(error) => fail(FailureCategory::Transient, &format!("no schemas in {}: {error}", folder.display())),
    }
}

/// What is wrong with the files, and then with the worker: the first scenario in which anything is.
async fn checked(arguments: &CheckArguments) -> Result<Vec<Finding>, ExitCode> {
    let mut findings = Vec::new();
    for path in &arguments.files {
        let of_file =
            |finding: Finding| Finding { problem: format!("{}: {}", path.display(), finding.problem), ..finding };
        findings.extend(message::any(&read(path)?).into_iter().map(of_file));
    }
    if arguments.command.is_empty() || !findings.is_empty() {
        return Ok(findings);
    }
    let spec = match &arguments.spec {
        None => None,
        Some(path) => {
            let json = read(path)?;
            let findings = message::work_spec(&json);
            if !findings.is_empty() {
                return Ok(findings);
            }
            serde_json::from_slice::<Value>(&json).ok()
        }
    };
    for scenario in Scenario::ALL {
        let _unwritable = writeln!(io::stderr(), "== {scenario}");
        let timeout = Duration::from_secs(arguments.timeout);
        let findings = check(&arguments.command, spec.as_ref(), scenario, timeout).await;
        let findings = findings.map_err(|error| fail_with(&error))?;
        if !findings.is_empty() {
            return Ok(findings);
        }
    }
    Ok(Vec::new())
}

fn read(path: &Path) -> Result<Vec<u8>, ExitCode> {
    fs::read(path)
        .map_err(|error| fail(FailureCategory::Configuration, &format!("{} cannot be read: {error}", path.display())))
}

fn told(findings: &[Finding]) -> process::ExitCode {
    if findings.is_empty() {
        return exit_code(print("Nothing is wrong.\n"));
    }
    let text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    match print(&text) {
        ExitCode::Finished => process::ExitCode::from(FOUND),
        unprinted => exit_code(unprinted),
    }
}
