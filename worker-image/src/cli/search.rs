//! `lexigram-worker search`: the chunks nearest to a question, by meaning, by words or by both. Reads a store and its model.

use clap::{Args, ValueEnum};
use lexigram_api::{
    contract::{Embedding, EmbeddingProvider, ExitCode},
    embedding::OpenAISettings,
};

use super::{
    Models, fail_with, print, print_json,
    store::StoreArguments,
    table::{table, terminal_width},
};
use crate::{
    embed::{self, EmbedError, SERVER},
    report::Tracker,
    run::{RunFailure, run_by_hand},
    store::{Hit, Store, StoreError, fuse, printable, words},
};

/// Find the chunks that fit a question best
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The question
    query: String,
    #[command(flatten)]
    store: StoreArguments,
    /// What makes a chunk fit
    #[arg(long, value_enum, default_value_t = Mode::Vector)]
    mode: Mode,
    /// How many chunks to show
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Where the model is, as work specs have it, in JSON; otherwise the store says which model it is
    #[arg(long, value_name = "JSON", value_parser = given_embedding)]
    embedding: Option<Embedding>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Its meaning
    Vector,
    /// Its words, rare ones most; needs no model
    Text,
    /// Both: the two lists are joined by rank
    Hybrid,
}

/// Chunks of each list that a hybrid search joins, at the least.
const LEAST_JOINED: usize = 50;

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    match search(&arguments).await {
        Err(error) => fail_with(&error),
        Ok(hits) if arguments.json => print_json(&hits),
        Ok(hits) if hits.is_empty() => print("The store holds no chunks.\n"),
        Ok(hits) => print(&table(["SCORE", "DOCUMENT", "HEADINGS", "PAGE", "TEXT"], &rows(&hits), terminal_width())),
    }
}

async fn search(arguments: &Arguments) -> Result<Vec<Hit>, RunFailure> {
    let store = arguments.store.find()?.open().await?;
    let (words, limit) = (words(&arguments.query), usize::from(arguments.limit));
    if arguments.mode == Mode::Text {
        return Ok(store.search_words(&words, limit).await?);
    }
    let Some(vector) = embed(arguments, &*store).await? else { return Ok(Vec::new()) };
    if arguments.mode == Mode::Vector {
        return Ok(store.search(&vector, limit).await?);
    }
    let joined = limit.max(LEAST_JOINED);
    Ok(fuse(vec![store.search(&vector, joined).await?, store.search_words(&words, joined).await?], limit))
}

/// The question's vector under the model that has filled the store.
async fn embed(arguments: &Arguments, store: &dyn Store) -> Result<Option<Vec<f32>>, RunFailure> {
    let stored = store.model().await?;
    let (models, tracker) = (&arguments.models.folder, Tracker::new(&run_by_hand()));
    let mut model = embed::open(&embedding(arguments, &stored, false)?, models, &tracker).await?;
    if model.fingerprint() != stored && stored.starts_with(SERVER) {
        // a dimension that is not the server's own choice; asked for only now, since some servers refuse to be asked
        model = embed::open(&embedding(arguments, &stored, true)?, models, &tracker).await?;
    }
    if model.fingerprint() != stored {
        return Err(RunFailure::Store(StoreError::ModelMismatch {
            collection: arguments.store.name(),
            requested: model.fingerprint().to_owned(),
            stored,
        }));
    }
    let outcomes = model.embed(vec![arguments.query.clone()]).await?;
    Ok(outcomes.into_iter().next().transpose()?.map(|query| query.vector))
}

/// The provider of the model with that fingerprint; `choose` asks a server for its dimension.
fn embedding(arguments: &Arguments, stored: &str, choose: bool) -> Result<Embedding, EmbedError> {
    if let Some(given) = &arguments.embedding {
        return Ok(Embedding { truncate: true, ..given.clone() });
    }
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

fn given_embedding(json: &str) -> Result<Embedding, serde_json::Error> {
    serde_json::from_str(json)
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
