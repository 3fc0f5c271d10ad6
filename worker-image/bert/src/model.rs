//! The model that callers hold: loading, tokens, threads. Reads the model's files once; afterwards no I/O.

use std::{
    num::NonZero,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use crate::{
    ModelError,
    folder::{Folder, Pooling, WEIGHTS},
    pass::{Buffers, Pass},
    plan::passes,
    weights::Bert,
};

/// What became of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// Tokens of the text, its special tokens included, before any are cut.
    pub tokens: usize,
    /// [`Model::dimension`] finite numbers; none if the text is too long and was not to be cut.
    pub vector: Option<Vec<f32>>,
}

/// A model that is loaded into memory.
pub struct Model {
    bert: Bert,
    arch: pulp::Arch,
    tokenizer: Arc<Tokenizer>,
    pooling: Pooling,
    normalize: bool,
    max_tokens: usize,
    fingerprint: String,
    threads: usize,
    /// Memory of threads that do not run at present.
    buffers: Mutex<Vec<Buffers>>,
}

impl Model {
    /// Loads the model `name` out of its sentence-transformers folder, to run on as many threads as the process may use cores.
    ///
    /// # Errors
    /// If a file is missing or cannot be used.
    pub fn load(folder: &Path, name: &str) -> Result<Self, ModelError> {
        let files = Folder(folder);
        let description = files.describe()?;
        let weights = files.bytes(WEIGHTS)?;
        // hashing takes as long as packing
        let (digest, tokenizer, bert) = thread::scope(|scope| {
            let digest = scope.spawn(|| Sha256::digest(&weights));
            let tokenizer = scope.spawn(|| files.tokenizer());
            let bert = Bert::read(&weights, &description);
            (digest.join(), tokenizer.join(), bert)
        });
        let digest: String = digest.map_err(panicked)?.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let pooling = match description.pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        };
        let normalized = if description.normalize { "normalized" } else { "raw" };
        Ok(Self {
            bert: bert?,
            arch: pulp::Arch::new(),
            tokenizer: Arc::new(tokenizer.map_err(panicked)??),
            pooling: description.pooling,
            normalize: description.normalize,
            max_tokens: description.max_tokens,
            fingerprint: format!("{name}@{digest}/{pooling}/{normalized}/{}", description.max_tokens),
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            buffers: Mutex::new(Vec::new()),
        })
    }

    /// The same model, on at most so many threads.
    #[must_use]
    pub fn with_threads(self, threads: NonZero<usize>) -> Self {
        Self { threads: threads.get(), ..self }
    }

    /// What becomes of each text, in the order of the texts. A text of more than [`max_tokens`](Self::max_tokens)
    /// tokens is cut where `truncate` says so, and keeps the token that ends it; else it has no vector. Blocks the thread.
    ///
    /// # Errors
    /// If a text has no tokens, or the model cannot compute; then no text has a vector.
    pub fn embed(&self, texts: &[&str], truncate: bool) -> Result<Vec<Sentence>, ModelError> {
        // a batch of texts is one piece of work: short ones take less time than handing them over
        let batches: Vec<&[&str]> = texts.chunks(8).collect();
        let tokens =
            self.share(&batches, |batch, _| batch.iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>, _>>())?;
        let (counts, mut tokens): (Vec<usize>, Vec<Vec<u32>>) = tokens.into_iter().flatten().unzip();
        if !truncate {
            let too_long = counts.iter().map(|count| *count > self.max_tokens);
            tokens.iter_mut().zip(too_long).filter(|(_, too_long)| *too_long).for_each(|(tokens, _)| tokens.clear());
        }
        let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let passes = passes(&lengths, self.threads);
        let (arch, bert, pooling, normalize) = (self.arch, &self.bert, self.pooling, self.normalize);
        let pass = Pass { arch, bert, pooling, normalize };
        let computed = self.share(&passes, |indices, buffers| {
            let sequences: Vec<&[u32]> = indices.iter().map(|&index| tokens[index].as_slice()).collect();
            Ok(pass.run(&sequences, buffers))
        })?;
        let mut sentences: Vec<Sentence> = counts.into_iter().map(|tokens| Sentence { tokens, vector: None }).collect();
        for (index, vector) in passes.into_iter().flatten().zip(computed.into_iter().flatten()) {
            if !vector.iter().all(|number| number.is_finite()) {
                return Err(ModelError::Computation("a vector holds numbers that are not finite".to_owned()));
            }
            sentences[index].vector = Some(vector);
        }
        Ok(sentences)
    }

    /// Numbers in a vector.
    pub fn dimension(&self) -> usize {
        self.bert.hidden
    }

    /// Most tokens of a text that the model sees, its special tokens included; what is longer is cut.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The model's tokenizer, which neither cuts nor pads.
    pub fn tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.tokenizer)
    }

    /// Equal for two models only if they give equal vectors: the model's name, the first 8 bytes of the SHA-256 of
    /// the weights, pooling, normalisation and most tokens, for instance
    /// `all-MiniLM-L6-v2@53aa51172d142c89/mean/normalized/256`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How many tokens a text has, and those that the model sees.
    fn tokens(&self, text: &str) -> Result<(usize, Vec<u32>), ModelError> {
        let encoding = self.tokenizer.encode_fast(text, true);
        let encoding = encoding.map_err(|error| ModelError::Tokenization(error.to_string()))?;
        let mut tokens = encoding.get_ids().to_vec();
        let Some(&last) = tokens.last() else {
            return Err(ModelError::Tokenization("it has none".to_owned()));
        };
        let count = tokens.len();
        if count > self.max_tokens {
            tokens.truncate(self.max_tokens - 1);
            tokens.push(last);
        }
        match tokens.iter().find(|token| **token as usize >= self.bert.vocabulary) {
            Some(token) => Err(ModelError::Computation(format!("token {token} is not in the model's vocabulary"))),
            None => Ok((count, tokens)),
        }
    }

    /// Does pieces of work on the threads, each of which takes the next one as soon as it can; the results are in the
    /// order of the pieces.
    fn share<P: Sync, R: Send>(
        &self,
        pieces: &[P],
        work: impl Fn(&P, &mut Buffers) -> Result<R, ModelError> + Sync,
    ) -> Result<Vec<R>, ModelError> {
        let next = AtomicUsize::new(0);
        let run = || {
            let mut buffers = self.kept().pop().unwrap_or_default();
            let mut results = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(piece) = pieces.get(index) else { break };
                results.push((index, work(piece, &mut buffers)?));
            }
            self.kept().push(buffers);
            Ok(results)
        };
        let others = self.threads.min(pieces.len()).saturating_sub(1);
        let mut results = thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(run)).collect();
            let own = run();
            // all are joined before an error is passed on: the scope panics for a panic that nobody saw
            let others: Vec<_> = others.into_iter().map(|other| other.join().map_err(panicked)).collect();
            let mut results = own?;
            for other in others {
                results.extend(other??);
            }
            Ok::<_, ModelError>(results)
        })?;
        results.sort_unstable_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Buffers>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> ModelError {
    ModelError::Computation("a thread panicked".to_owned())
}
