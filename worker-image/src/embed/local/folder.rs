//! The files of a sentence-transformers model: what they say about tokens, pooling and normalisation. Reads files.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use candle_transformers::models::bert::Config;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::super::EmbedError;

/// How the vectors of tokens become the vector of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    Cls,
}

/// `1_Pooling/config.json`
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

/// `sentence_bert_config.json`
#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: usize,
}

/// An entry of `modules.json`
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
}

/// A model as its files describe it.
pub(super) struct ModelFolder {
    name: String,
    path: PathBuf,
    pub(super) config: Config,
    pub(super) tokenizer: Tokenizer,
    pub(super) weights: Vec<u8>,
    pub(super) pooling: Pooling,
    pub(super) normalize: bool,
    pub(super) max_tokens: usize,
}

impl ModelFolder {
    /// Reads the model `name` out of its folder.
    pub(super) fn read(path: &Path, name: &str) -> Result<Self, EmbedError> {
        let reader = Reader { name, path };
        let config: Config = reader.json("config.json")?;
        let tokenizer = reader.tokenizer()?;
        let pooling: Option<PoolingConfig> = reader.optional_json("1_Pooling/config.json")?;
        let pooling = match pooling {
            None => Pooling::Mean,
            Some(PoolingConfig { pooling_mode_mean_tokens: true, pooling_mode_cls_token: false }) => Pooling::Mean,
            Some(PoolingConfig { pooling_mode_mean_tokens: false, pooling_mode_cls_token: true }) => Pooling::Cls,
            Some(_) => {
                return Err(reader.unusable("1_Pooling/config.json", &"pooling must be by mean or by the CLS token"));
            }
        };
        let modules: Option<Vec<Module>> = reader.optional_json("modules.json")?;
        let normalize = modules.is_some_and(|modules| modules.iter().any(|module| module.kind.ends_with("Normalize")));
        let sentence: Option<SentenceConfig> = reader.optional_json("sentence_bert_config.json")?;
        let max_tokens =
            sentence.map_or(usize::MAX, |config| config.max_seq_length).min(config.max_position_embeddings);
        let weights = reader.bytes("model.safetensors")?;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            config,
            tokenizer,
            weights,
            pooling,
            normalize,
            max_tokens,
        })
    }

    /// See [`super::Embedder::fingerprint`].
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.weights);
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let pooling = match self.pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        };
        let normalized = if self.normalize { "normalized" } else { "raw" };
        format!("{}@{short}/{pooling}/{normalized}/{}", self.name, self.max_tokens)
    }

    pub(super) fn unusable(&self, file: &str, problem: &dyn Display) -> EmbedError {
        Reader { name: &self.name, path: &self.path }.unusable(file, problem)
    }
}

struct Reader<'a> {
    name: &'a str,
    path: &'a Path,
}

impl Reader<'_> {
    fn bytes(&self, file: &str) -> Result<Vec<u8>, EmbedError> {
        fs::read(self.path.join(file)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => EmbedError::ModelNotFound {
                model: self.name.to_owned(),
                folder: self.path.display().to_string(),
                file: file.to_owned(),
            },
            _ => self.unusable(file, &error),
        })
    }

    fn json<T: DeserializeOwned>(&self, file: &str) -> Result<T, EmbedError> {
        serde_json::from_slice(&self.bytes(file)?).map_err(|error| self.unusable(file, &error))
    }

    fn optional_json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, EmbedError> {
        match self.json(file) {
            Err(EmbedError::ModelNotFound { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The tokenizer, with the cutting and padding that its file may ask for turned off: token counts must be true.
    fn tokenizer(&self) -> Result<Tokenizer, EmbedError> {
        let file = "tokenizer.json";
        let unusable = |error: tokenizers::Error| self.unusable(file, &error);
        let mut tokenizer = Tokenizer::from_bytes(self.bytes(file)?).map_err(unusable)?;
        tokenizer.with_padding(None).with_truncation(None).map_err(unusable)?;
        Ok(tokenizer)
    }

    fn unusable(&self, file: &str, problem: &dyn Display) -> EmbedError {
        EmbedError::ModelUnusable { model: self.name.to_owned(), file: file.to_owned(), problem: problem.to_string() }
    }
}
