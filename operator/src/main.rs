//! The operator's binary: see [`lexigram_operator::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    lexigram_operator::cli::main().await
}
