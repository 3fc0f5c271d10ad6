//! `lexigram-worker documents`: what the ledger of a store says. Reads a store.

use clap::Args;
use lexigram_api::contract::ExitCode;

use super::{
    fail_with, print, print_json,
    store::StoreArguments,
    table::{table, terminal_width},
};
use crate::store::{LedgerRow, StoreError, printable};

/// List the documents of a store, with what failed and why
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Only documents that failed
    #[arg(long)]
    failed: bool,
    /// How many documents to show
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    limit: usize,
    /// Print JSON with every field instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    match list(&arguments).await {
        Err(error) => fail_with(&error),
        Ok(documents) if arguments.json => print_json(&documents),
        Ok(documents) if documents.is_empty() && arguments.failed => print("No document has failed.\n"),
        Ok(documents) if documents.is_empty() => print("The store holds no documents.\n"),
        Ok(documents) => {
            let header = ["STATE", "DOCUMENT", "CHUNKS", "ATTEMPTS", "ACTION", "REASON", "MESSAGE"];
            print(&table(header, &rows(&documents), terminal_width()))
        }
    }
}

async fn list(arguments: &Arguments) -> Result<Vec<LedgerRow>, StoreError> {
    arguments.store.find()?.open().await?.documents(arguments.failed, arguments.limit).await
}

fn rows(documents: &[LedgerRow]) -> Vec<[String; 7]> {
    documents
        .iter()
        .map(|row| {
            let failure = row.failure.as_ref();
            let of_failure = |text: fn(&lexigram_api::contract::ItemFailure) -> &str| {
                failure.map(text).unwrap_or_default().to_owned()
            };
            [
                row.state.as_str().to_owned(),
                printable(&row.document),
                row.chunks.to_string(),
                row.attempts.to_string(),
                of_failure(|failure| failure.action.as_str()),
                of_failure(|failure| &failure.reason),
                of_failure(|failure| &failure.message),
            ]
        })
        .collect()
}
