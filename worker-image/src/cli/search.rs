//! `lexigram-worker search`: the chunks nearest to a question. Reads a store and its model.

use std::path::PathBuf;

use clap::Args;
use lexigram_api::{
    contract::{Embedding, EmbeddingProvider, ExitCode},
    embedding::OpenAISettings,
};

use super::{
    Models, fail_with, print, print_json,
    table::{table, terminal_width},
};
use crate::{
    embed::{self, EmbedError, SERVER},
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
    /// Base URL of the embedding server, for a store that one has filled
    #[arg(long, env = "LEXIGRAM_EMBEDDING_URL", value_name = "URL")]
    embedding_url: Option<String>,
    /// File that holds the server's key
    #[arg(long, env = "LEXIGRAM_EMBEDDING_KEY_FILE", value_name = "FILE")]
    embedding_key_file: Option<String>,
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
    let mut model = embed::open(&embedding(arguments, &stored, false)?, &arguments.models.folder).await?;
    if model.fingerprint() != stored && stored.starts_with(SERVER) {
        // a dimension that is not the server's own choice; asked for only now, since some servers refuse to be asked
        model = embed::open(&embedding(arguments, &stored, true)?, &arguments.models.folder).await?;
    }
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

/// The provider of the model with that fingerprint; `choose` asks a server for its dimension.
fn embedding(arguments: &Arguments, stored: &str, choose: bool) -> Result<Embedding, EmbedError> {
    let server = stored.strip_prefix(SERVER).and_then(|of_server| of_server.split_once('/'));
    let Some((model, dimension)) = server.and_then(|(_, model)| model.rsplit_once('/')) else {
        let name = stored.split('@').next().unwrap_or_default();
        return Ok(Embedding { truncate: true, ..Embedding::local(name) });
    };
    let url = arguments.embedding_url.as_ref();
    let url = url.ok_or_else(|| EmbedError::ServerNeeded { model: stored.to_owned() })?;
    let provider = EmbeddingProvider::OpenAI {
        settings: OpenAISettings {
            dimensions: dimension.parse().ok().filter(|_| choose),
            ..OpenAISettings::new(url, model)
        },
        api_key_file: arguments.embedding_key_file.clone(),
        headers_directory: None,
        ca_file: None,
    };
    Ok(Embedding { provider, truncate: true, ..Embedding::local(model) })
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
