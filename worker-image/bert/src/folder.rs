//! The files of a sentence-transformers model: what they say about shape, tokens, pooling and normalisation. Reads
//! files.

use std::{fmt::Display, fs, io, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use crate::{ModelError, kernel::activation::Activation};

/// The file of the weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
/// The file of the pooling, and how it is called where names hold no slashes, as the keys of a ConfigMap.
const POOLING: [&str; 2] = ["1_Pooling/config.json", "1_Pooling_config.json"];

/// How the vectors of tokens become the vector of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    Cls,
}

/// `config.json`
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    model_type: Option<String>,
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) intermediate_size: usize,
    hidden_act: String,
    pub(crate) max_position_embeddings: usize,
    pub(crate) type_vocab_size: usize,
    #[serde(default = "default_epsilon")]
    pub(crate) layer_norm_eps: f32,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn default_epsilon() -> f32 {
    1e-12
}

impl Config {
    /// The activation, if this is a model that the crate computes.
    fn check(&self) -> Result<Activation, String> {
        if let Some(kind) = self.model_type.as_deref().filter(|kind| *kind != "bert") {
            return Err(format!("model_type is '{kind}', and only 'bert' is supported"));
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(format!("position_embedding_type is '{kind}', and only 'absolute' is supported"));
        }
        let (hidden, heads) = (self.hidden_size, self.num_attention_heads);
        if hidden == 0 || heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(format!("hidden_size {hidden} is not a multiple of num_attention_heads {heads}"));
        }
        if self.vocab_size == 0 || self.intermediate_size == 0 || self.type_vocab_size == 0 {
            return Err("vocab_size, intermediate_size and type_vocab_size must not be 0".to_owned());
        }
        Activation::named(&self.hidden_act).ok_or_else(|| {
            format!(
                "hidden_act is '{}', and only gelu, gelu_new, gelu_pytorch_tanh and relu are supported",
                self.hidden_act
            )
        })
    }
}

/// `sentence_bert_config.json`
#[derive(Deserialize)]
struct SentenceConfig {
    #[serde(default)]
    max_seq_length: Option<usize>,
}

/// An entry of `modules.json`
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
}

/// A model as its files describe it, but for the weights.
pub(crate) struct Description {
    pub(crate) config: Config,
    pub(crate) activation: Activation,
    pub(crate) pooling: Pooling,
    pub(crate) normalize: bool,
    pub(crate) max_tokens: usize,
}

/// A model's folder.
#[derive(Clone, Copy)]
pub(crate) struct Folder<'a>(pub(crate) &'a Path);

impl Folder<'_> {
    /// Reads the small files.
    pub(crate) fn describe(self) -> Result<Description, ModelError> {
        let config: Config = self.json(CONFIG)?;
        let activation = config.check().map_err(|problem| unusable(CONFIG, &problem))?;
        let modules: Option<Vec<Module>> = self.optional_json("modules.json")?;
        let modules = modules.unwrap_or_default();
        if let Some(other) = modules
            .iter()
            .find(|module| !["Transformer", "Pooling", "Normalize"].iter().any(|known| module.kind.ends_with(known)))
        {
            return Err(unusable("modules.json", &format!("module '{}' is not supported", other.kind)));
        }
        let sentence: Option<SentenceConfig> = self.optional_json("sentence_bert_config.json")?;
        let max_tokens = sentence.and_then(|config| config.max_seq_length).unwrap_or(usize::MAX);
        let max_tokens = max_tokens.min(config.max_position_embeddings);
        if max_tokens < 2 {
            return Err(unusable(CONFIG, &"the model sees fewer than 2 tokens"));
        }
        Ok(Description {
            activation,
            pooling: self.pooling()?,
            normalize: modules.iter().any(|module| module.kind.ends_with("Normalize")),
            max_tokens,
            config,
        })
    }

    /// Both spellings: a flag for each mode, or the name of one.
    fn pooling(self) -> Result<Pooling, ModelError> {
        for file in POOLING {
            let Some(config) = self.optional_json::<Map<String, Value>>(file)? else { continue };
            let mut modes: Vec<&str> = config
                .iter()
                .filter(|(_, value)| **value == Value::Bool(true))
                .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
                .collect();
            modes.extend(config.get("pooling_mode").and_then(Value::as_str));
            return match modes[..] {
                ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
                ["cls_token" | "cls"] => Ok(Pooling::Cls),
                _ => Err(unusable(file, &"pooling must be by mean or by the CLS token")),
            };
        }
        Ok(Pooling::Mean)
    }

    /// The tokenizer, with the cutting and padding that its file may ask for turned off: token counts must be true.
    pub(crate) fn tokenizer(self) -> Result<Tokenizer, ModelError> {
        let problem = |error: tokenizers::Error| unusable(TOKENIZER, &error);
        let mut tokenizer = Tokenizer::from_bytes(self.bytes(TOKENIZER)?).map_err(problem)?;
        tokenizer.with_padding(None).with_truncation(None).map_err(problem)?;
        Ok(tokenizer)
    }

    /// A file's content.
    pub(crate) fn bytes(self, file: &str) -> Result<Vec<u8>, ModelError> {
        fs::read(self.0.join(file)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ModelError::NotFound { folder: self.0.to_owned(), file: file.to_owned() },
            _ => unusable(file, &error),
        })
    }

    fn json<T: DeserializeOwned>(self, file: &str) -> Result<T, ModelError> {
        serde_json::from_slice(&self.bytes(file)?).map_err(|error| unusable(file, &error))
    }

    fn optional_json<T: DeserializeOwned>(self, file: &str) -> Result<Option<T>, ModelError> {
        match self.json(file) {
            Err(ModelError::NotFound { .. }) => Ok(None),
            other => other.map(Some),
        }
    }
}

pub(crate) fn unusable(file: &str, problem: &dyn Display) -> ModelError {
    ModelError::Unusable { file: file.to_owned(), problem: problem.to_string() }
}
