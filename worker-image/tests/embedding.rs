//! The model in this process agrees with sentence-transformers. `reference/make.py` writes the reference.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use lexigram_worker::embed::{Embedder, LocalModel};
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
    LocalModel::load(&common::models(), common::MODEL).unwrap()
}

fn assert_agrees(entry: &Entry, vector: &[f32]) {
    assert_eq!(vector.len(), entry.vector.len());
    let difference = vector.iter().zip(&entry.vector).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference <= TOLERANCE, "{difference} for {:.40}", entry.text);
}

#[test]
fn agrees_with_the_reference_together_and_alone() {
    let (model, entries) = (model(), reference());
    let texts: Vec<String> = entries.iter().map(|entry| entry.text.clone()).collect();
    let together = model.embed(&texts).unwrap();
    assert_eq!(together.len(), entries.len());
    for (entry, vector) in entries.iter().zip(&together) {
        assert_agrees(entry, vector);
        assert_agrees(entry, &model.embed(std::slice::from_ref(&entry.text)).unwrap()[0]);
    }
}

#[test]
fn tells_what_it_is() {
    let model = model();
    assert_eq!((model.dimension(), model.max_tokens()), (384, 256));
    assert_eq!(model.fingerprint(), "all-MiniLM-L6-v2@53aa51172d142c89/mean/normalized/256");
    // token counts are true: nothing is cut, nothing padded
    let long = model.tokenizer().encode("word ".repeat(400), true).unwrap();
    assert_eq!(long.len(), 402);
    assert_eq!(model.embed(&[]).unwrap(), Vec::<Vec<f32>>::new());
}

#[test]
fn a_missing_model_is_named_with_its_folder_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let message = LocalModel::load(folder.path(), "none").err().unwrap().to_string();
    for part in ["'none'", folder.path().to_str().unwrap(), "just model", "LEXIGRAM_MODELS"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}
