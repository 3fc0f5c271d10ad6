//! The model in this process agrees with sentence-transformers. `reference/make.py` writes the reference.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use lexigram_api::document::Chunking;
use lexigram_worker::{
    chunk,
    embed::{EmbedError, Embedder, LocalModel},
    parse::{Markup, Parsed},
};
use serde::Deserialize;

/// Largest difference between a number and its reference.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Entry {
    text: String,
    vector: Vec<f32>,
}

fn reference() -> Vec<Entry> {
    serde_json::from_str(include_str!("reference/vectors.json")).unwrap()
}

fn model() -> LocalModel {
    LocalModel::load(&common::models().join(common::MODEL), common::MODEL, true).unwrap()
}

async fn vectors(model: &LocalModel, texts: Vec<String>) -> Vec<Vec<f32>> {
    model.embed(texts).await.unwrap().into_iter().map(|outcome| outcome.unwrap().vector).collect()
}

fn assert_agrees(entry: &Entry, vector: &[f32]) {
    assert_eq!(vector.len(), entry.vector.len());
    let difference = vector.iter().zip(&entry.vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference <= TOLERANCE, "{difference} for {:.40}", entry.text);
}

#[tokio::test]
async fn agrees_with_the_reference_together_and_alone() {
    let (model, entries) = (model(), reference());
    let texts: Vec<String> = entries.iter().map(|entry| entry.text.clone()).collect();
    let together = vectors(&model, texts).await;
    assert_eq!(together.len(), entries.len());
    for (entry, vector) in entries.iter().zip(&together) {
        assert_agrees(entry, vector);
        assert_agrees(entry, &vectors(&model, vec![entry.text.clone()]).await[0]);
    }
}

#[tokio::test]
async fn tells_what_it_is() {
    let model = model();
    assert_eq!((model.dimension(), model.max_tokens()), (384, 256));
    assert_eq!(model.fingerprint(), "all-MiniLM-L6-v2@53aa51172d142c89/mean/normalized/256");
    // token counts are true: nothing is cut, nothing padded
    assert_eq!((model.tokens().count(&"word ".repeat(400)), model.tokens().added()), (Ok(400), 2));
    assert_eq!(vectors(&model, Vec::new()).await, Vec::<Vec<f32>>::new());
}

#[tokio::test]
async fn a_text_that_is_too_long_fails_alone_unless_it_may_be_cut() {
    let texts = || vec!["word ".repeat(400), "short".to_owned()];
    let strict = LocalModel::load(&common::models().join(common::MODEL), common::MODEL, false).unwrap();
    let outcomes = strict.embed(texts()).await.unwrap();
    assert_eq!(outcomes[0], Err(EmbedError::TextTooLong { tokens: 402, limit: 256 }));
    assert_eq!(outcomes[1].as_ref().unwrap().tokens, 3);
    assert_eq!(model().embed(texts()).await.unwrap()[0].as_ref().unwrap().tokens, 256);
}

#[test]
fn a_missing_model_is_named_with_its_folder_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let message = LocalModel::load(&folder.path().join("none"), "none", true).err().unwrap().to_string();
    for part in ["'none'", folder.path().to_str().unwrap(), "just model", "LEXIGRAM_MODELS"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

/// Words that BERT's normaliser changes, drops, splits or joins.
#[test]
fn chunks_have_as_many_tokens_as_they_say() {
    let words =
        "caf\u{e9} e\u{301}t\u{e9} one\u{c}word \u{6f22}\u{5b57} don't [SEP] \u{fffd} \u{bd} \u{fb01}ne so\u{ad}ft\n";
    let model = model();
    for (text, markup) in
        [(words.repeat(300), Markup::Plain), (format!("# A\n\n{}", words.repeat(300)), Markup::Markdown)]
    {
        let chunker = chunk::open(&Chunking::default(), model.tokens(), model.max_tokens()).unwrap();
        let chunks = chunker.chunk(&Parsed { text, markup, ..Parsed::default() }).unwrap();
        assert!(chunks.len() > 10);
        for chunk in chunks {
            let counted = model.tokens().count(&chunk.text).unwrap();
            assert_eq!(usize::try_from(chunk.tokens).unwrap(), counted, "{:?}", chunk.text);
        }
    }
}
