//! A model that is small enough for a ConfigMap: a BERT of one layer that knows letters, its weights out of hashes, in the
//! files that sentence-transformers writes. Pure.

use std::collections::BTreeMap;

use lexigram_fault_provider::vector;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// Numbers in a vector.
pub const DIMENSION: usize = 16;
/// Numbers between the two halves of a layer.
const INTERMEDIATE: usize = 32;
/// Tokens of a text at the most.
const POSITIONS: usize = 256;
const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// The model's files by their names in a ConfigMap, where none holds a slash.
#[must_use]
pub fn files() -> BTreeMap<String, Vec<u8>> {
    let vocabulary = vocabulary();
    let config = json!({
        "model_type": "bert", "vocab_size": vocabulary.len(), "hidden_size": DIMENSION, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": INTERMEDIATE, "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
    });
    let modules: Vec<Value> = ["Transformer", "Pooling", "Normalize"]
        .map(|kind| json!({"type": format!("sentence_transformers.models.{kind}")}))
        .into();
    let pooling = json!({"word_embedding_dimension": DIMENSION, "pooling_mode_mean_tokens": true});
    let json_files = [
        ("config.json", config),
        ("modules.json", modules.into()),
        ("1_Pooling_config.json", pooling),
        ("sentence_bert_config.json", json!({"max_seq_length": POSITIONS})),
        ("tokenizer.json", tokenizer(&vocabulary)),
    ];
    let mut files: BTreeMap<_, _> =
        json_files.map(|(name, content)| (name.to_owned(), content.to_string().into_bytes())).into();
    files.insert("model.safetensors".to_owned(), weights(vocabulary.len()));
    files
}

/// The special tokens, and each letter at the beginning of a word and within one.
fn vocabulary() -> Vec<String> {
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    SPECIAL.map(str::to_owned).into_iter().chain(letters).collect()
}

fn tokenizer(vocabulary: &[String]) -> Value {
    let ids: BTreeMap<_, _> = vocabulary.iter().enumerate().map(|(id, token)| (token, id)).collect();
    let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let added = |token: &str| json!({"id": token, "ids": [ids[&token.to_owned()]], "tokens": [token]});
    let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    json!({
        "version": "1.0",
        "added_tokens": SPECIAL.map(|token| json!({
            "id": ids[&token.to_owned()], "content": token, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        })),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), sequence("A"), special("[SEP]")],
            "pair": [special("[CLS]"), sequence("A"), special("[SEP]"), sequence("B"), special("[SEP]")],
            "special_tokens": {"[CLS]": added("[CLS]"), "[SEP]": added("[SEP]")},
        },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    })
}

fn weights(vocabulary: usize) -> Vec<u8> {
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut add = |name: String, shape: &[usize], numbers: Vec<f32>| {
        tensors.insert(name, (shape.to_vec(), numbers.into_iter().flat_map(f32::to_le_bytes).collect()));
    };
    // letters say more than their places, so that texts differ
    for (kind, count, size) in [("word", vocabulary, 1.0), ("position", POSITIONS, 0.1), ("token_type", 2, 0.1)] {
        let (name, shape) = (format!("embeddings.{kind}_embeddings.weight"), [count, DIMENSION]);
        let numbers = random(&name, &shape, size);
        add(name, &shape, numbers);
    }
    let layer = |part: &str| format!("encoder.layer.0.{part}");
    let square = (DIMENSION, DIMENSION);
    for (part, (inputs, outputs)) in [
        ("attention.self.query", square),
        ("attention.self.key", square),
        ("attention.self.value", square),
        ("attention.output.dense", square),
        ("intermediate.dense", (DIMENSION, INTERMEDIATE)),
        ("output.dense", (INTERMEDIATE, DIMENSION)),
    ] {
        let (name, shape) = (layer(&format!("{part}.weight")), [outputs, inputs]);
        let numbers = random(&name, &shape, 0.25);
        add(name, &shape, numbers);
        add(layer(&format!("{part}.bias")), &[outputs], vec![0.0; outputs]);
    }
    let norms = [layer("attention.output.LayerNorm"), layer("output.LayerNorm"), "embeddings.LayerNorm".to_owned()];
    for name in norms {
        add(format!("{name}.weight"), &[DIMENSION], vec![1.0; DIMENSION]);
        add(format!("{name}.bias"), &[DIMENSION], vec![0.0; DIMENSION]);
    }
    let views =
        tensors.iter().map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// Numbers of about this size, the same ones for a name each time.
fn random(name: &str, shape: &[usize], size: f32) -> Vec<f32> {
    let count = shape.iter().product();
    let length = (count as f32).sqrt();
    vector(name, count).into_iter().map(|number| number * length * size).collect()
}
