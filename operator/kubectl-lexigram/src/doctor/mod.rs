//! `kubectl lexigram doctor`: what is wrong with an installation, and the command that mends it. Reads the cluster, writes
//! standard output.

mod checks;
mod finding;
mod observe;

use clap::Args;
use jiff::Timestamp;

use self::finding::{Finding, Verdict};
use crate::{
    cluster::Cluster,
    error::{FAILED, FINE, PluginError},
    operator::OperatorArguments,
    output::{Format, show},
};

/// Look for what is wrong with the installation, and say how it is mended; exit code 3 if something is
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    operator: OperatorArguments,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

pub async fn main(cluster: &Cluster, arguments: &Arguments) -> Result<u8, PluginError> {
    let seen = observe::observe(cluster, &arguments.operator).await;
    let findings = checks::all(&seen, Timestamp::now());
    show(arguments.output, &findings, || finding::report(&findings))?;
    let problem = findings.iter().any(|finding: &Finding| finding.verdict == Verdict::Problem);
    Ok(if problem { FAILED } else { FINE })
}
