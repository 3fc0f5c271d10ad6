//! `kubectl lexigram`: how far the work is, what failed, searches, and what is wrong with an installation.
//!
//! - `cli`: the command line; `complete`: its completion
//! - `status`, `dead_letters`, `run`, `search`, `doctor`: one module a command
//! - `kind`, `objects`, `cluster`, `operator`: what the commands find in the cluster; `request`: what they ask for
//! - `row`, `live`, `output`: how it is shown

mod cli;
mod cluster;
mod complete;
mod dead_letters;
mod doctor;
mod error;
mod kind;
mod live;
mod objects;
mod operator;
mod outcome;
mod output;
mod request;
mod row;
mod run;
mod search;
mod status;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
