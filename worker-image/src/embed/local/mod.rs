//! BERT-family sentence-transformers models on the CPU, by candle. Reads the model's files once; afterwards no I/O.

mod folder;

use std::{path::Path, sync::Arc};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::BertModel;
use futures::{FutureExt, future::BoxFuture};
use tokenizers::{Encoding, Tokenizer};
use tokio::task::spawn_blocking;

use super::{EmbedError, Embedded, Embedder, Outcomes, TokenCounter};
use folder::{ModelFolder, Pooling};

/// Most tokens, padding included, that one pass through the model takes: more adds memory, not speed.
const PASS_TOKENS: usize = 1024;

/// Texts that are given at once: enough for every processor to find texts of similar length.
const BATCH_TEXTS: usize = 64;

/// A model that is loaded into memory.
pub struct LocalModel {
    engine: Arc<Engine>,
    truncate: bool,
}

struct Engine {
    model: BertModel,
    tokenizer: Arc<Tokenizer>,
    pooling: Pooling,
    normalize: bool,
    dimension: usize,
    max_tokens: usize,
    fingerprint: String,
}

impl LocalModel {
    /// Loads the model `name` out of its folder. With `truncate` a text that is too long is cut.
    ///
    /// # Errors
    /// If a file is missing or cannot be used.
    pub fn load(folder: &Path, name: &str, truncate: bool) -> Result<Self, EmbedError> {
        Ok(Self { engine: Arc::new(Engine::load(folder, name)?), truncate })
    }
}

impl Embedder for LocalModel {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        let (engine, truncate) = (Arc::clone(&self.engine), self.truncate);
        let embedding = spawn_blocking(move || engine.embed(&texts, truncate));
        async { embedding.await.unwrap_or_else(|error| Err(EmbedError::Computation(error.to_string()))) }.boxed()
    }

    fn batch_texts(&self) -> usize {
        BATCH_TEXTS
    }

    fn dimension(&self) -> usize {
        self.engine.dimension
    }

    fn max_tokens(&self) -> usize {
        self.engine.max_tokens
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.engine.tokenizer) as Arc<dyn TokenCounter>
    }

    fn fingerprint(&self) -> &str {
        &self.engine.fingerprint
    }
}

impl Engine {
    fn load(path: &Path, name: &str) -> Result<Self, EmbedError> {
        let folder = ModelFolder::read(path, name)?;
        let unusable = |file: &str, error: &dyn std::fmt::Display| folder.unusable(file, error);
        let weights = VarBuilder::from_buffered_safetensors(folder.weights.clone(), DType::F32, &Device::Cpu)
            .map_err(|error| unusable("model.safetensors", &error))?;
        let model = BertModel::load(weights, &folder.config).map_err(|error| unusable("model.safetensors", &error))?;
        Ok(Self {
            model,
            dimension: folder.config.hidden_size,
            fingerprint: folder.fingerprint(),
            pooling: folder.pooling,
            normalize: folder.normalize,
            max_tokens: folder.max_tokens,
            tokenizer: Arc::new(folder.tokenizer),
        })
    }

    fn embed(&self, texts: &[String], truncate: bool) -> Outcomes {
        let encodings = self
            .tokenizer
            .encode_batch(texts.iter().map(String::as_str).collect(), true)
            .map_err(|error| EmbedError::Tokenization(error.to_string()))?;
        let lengths: Vec<usize> = encodings.iter().map(|encoding| self.length(encoding)).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for pass in passes(&lengths) {
            let batch: Vec<&Encoding> = pass.iter().map(|&index| &encodings[index]).collect();
            let computed = self.pass(&batch).map_err(|error| EmbedError::Computation(error.to_string()))?;
            for (index, vector) in pass.into_iter().zip(computed) {
                vectors[index] = vector;
            }
        }
        let outcome = |(encoding, vector): (&Encoding, Vec<f32>)| match encoding.len() {
            tokens if tokens > self.max_tokens && !truncate => {
                Err(EmbedError::TextTooLong { tokens, limit: self.max_tokens })
            }
            _ if !vector.iter().all(|number| number.is_finite()) => {
                Err(EmbedError::Computation("the vector holds numbers that are not finite".to_owned()))
            }
            tokens => {
                let tokens = i64::try_from(tokens.min(self.max_tokens)).unwrap_or(i64::MAX);
                Ok(Embedded { vector, tokens, cached: false })
            }
        };
        Ok(encodings.iter().zip(vectors).map(outcome).collect())
    }

    /// The vectors of texts of similar length, `[texts, dimension]`, in one pass.
    fn pass(&self, batch: &[&Encoding]) -> candle_core::Result<Vec<Vec<f32>>> {
        let length = batch.iter().map(|encoding| self.length(encoding)).max().unwrap_or(0);
        let shape = (batch.len(), length);
        let mut ids = Vec::with_capacity(batch.len() * length);
        let mut mask = Vec::with_capacity(batch.len() * length);
        for encoding in batch {
            let (own, tokens) = (self.length(encoding), encoding.get_ids());
            // a text that is cut keeps the token that ends it
            ids.extend_from_slice(&tokens[..own - 1]);
            ids.extend(tokens.last());
            ids.resize(ids.len() + length - own, 0);
            mask.resize(mask.len() + own, 1.0f32);
            mask.resize(mask.len() + length - own, 0.0);
        }
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let hidden = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let pooled = match self.pooling {
            Pooling::Cls => hidden.narrow(1, 0, 1)?.squeeze(1)?,
            Pooling::Mean => {
                let mask = mask.unsqueeze(2)?;
                hidden.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)?
            }
        };
        let pooled = match self.normalize {
            // the bound is that of torch.nn.functional.normalize
            true => pooled.broadcast_div(&pooled.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?)?,
            false => pooled,
        };
        pooled.to_vec2()
    }

    fn length(&self, encoding: &Encoding) -> usize {
        encoding.len().min(self.max_tokens)
    }
}

/// Indices of texts, longest first, cut into passes of at most [`PASS_TOKENS`] tokens: neighbours in length waste
/// little on padding.
fn passes(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut passes: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match passes.last_mut() {
            Some(pass) if (pass.len() + 1) * lengths[pass[0]] <= PASS_TOKENS => pass.push(index),
            _ => passes.push(vec![index]),
        }
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_hold_every_text_once_and_stay_small() {
        let lengths: Vec<usize> = (0..500).map(|i| 1 + (i * 7919) % 256).collect();
        let passes = passes(&lengths);
        let mut seen: Vec<usize> = passes.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        assert!(passes.iter().all(|pass| pass.len() * lengths[pass[0]] <= PASS_TOKENS));
        assert!(passes.len() < 80, "{} passes", passes.len());
    }

    #[test]
    fn a_text_longer_than_a_pass_stands_alone() {
        assert_eq!(passes(&[PASS_TOKENS + 1, 3]), vec![vec![0], vec![1]]);
    }
}
