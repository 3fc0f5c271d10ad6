//! `lexigram-worker search`: the chunks nearest to a question. Reads a store and its model.

use std::path::PathBuf;

use clap::Args;
use lexigram_api::contract::{Embedding, ExitCode};

use super::{
    Models, fail_with, print, print_json,
    table::{table, terminal_width},
};
use crate::{
    embed,
    run::RunFailure,
    store::{Hit, SqliteStore, Store, StoreError, printable},
};

/// Find the chunks whose meaning is nearest to a question
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The question
    query: String,
    /// The store, a file that `ingest` or an IngestionJob has filled
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// How many chunks to show
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Print JSON with every field instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    models: Models,
}

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    match search(&arguments).await {
        Err(error) => fail_with(&error),
        Ok(hits) if arguments.json => print_json(&hits),
        Ok(hits) if hits.is_empty() => print("The store holds no chunks.\n"),
        Ok(hits) => print(&table(["SCORE", "DOCUMENT", "HEADINGS", "PAGE", "TEXT"], &rows(&hits), terminal_width())),
    }
}

async fn search(arguments: &Arguments) -> Result<Vec<Hit>, RunFailure> {
    let store = SqliteStore::open(&arguments.store)?;
    let stored = store.model().await?;
    let name = stored.split('@').next().unwrap_or_default();
    let model = embed::open(&Embedding { truncate: true, ..Embedding::local(name) }, &arguments.models.folder).await?;
    if model.fingerprint() != stored {
        return Err(RunFailure::Store(StoreError::ModelMismatch {
            collection: arguments.store.display().to_string(),
            requested: model.fingerprint().to_owned(),
            stored,
        }));
    }
    let outcomes = model.embed(vec![arguments.query.clone()]).await?;
    let Some(query) = outcomes.into_iter().next() else { return Ok(Vec::new()) };
    Ok(store.search(&query?.vector, usize::from(arguments.limit)).await?)
}

fn rows(hits: &[Hit]) -> Vec<[String; 5]> {
    hits.iter()
        .map(|hit| {
            [
                format!("{:.3}", hit.score),
                printable(&hit.document),
                hit.headings.join(" › "),
                hit.page.map(|page| page.to_string()).unwrap_or_default(),
                printable(&hit.text.split_whitespace().collect::<Vec<_>>().join(" ")),
            ]
        })
        .collect()
}
