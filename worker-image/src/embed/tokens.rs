//! How many tokens a text has, as its model counts them. No I/O.

use std::ops::Range;

use tokenizers::{PostProcessor, PreTokenizerWrapper, Tokenizer};

use super::EmbedError;

/// Counts the tokens of texts as a model does.
pub trait TokenCounter: Send + Sync {
    /// Tokens of a text, without those that the model adds.
    ///
    /// # Errors
    /// If the text cannot be turned into tokens.
    fn count(&self, text: &str) -> Result<usize, EmbedError>;
    /// Where each token stands in the text, in bytes, in order; without those that the model adds.
    ///
    /// # Errors
    /// If the text cannot be turned into tokens.
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, EmbedError>;
    /// Tokens that the model adds to every text.
    fn added(&self) -> usize;
    /// Whether a text that is cut at a space or line end has as many tokens as its parts together, so that those of a
    /// part are known from [`spans`](Self::spans) of the whole.
    fn cuts_at_spaces(&self) -> bool {
        false
    }
}

impl TokenCounter for Tokenizer {
    fn count(&self, text: &str) -> Result<usize, EmbedError> {
        self.encode_fast(text, false).map(|encoding| encoding.len()).map_err(tokenization)
    }

    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, EmbedError> {
        let encoding = self.encode(text, false).map_err(tokenization)?;
        Ok(encoding.get_offsets().iter().map(|&(start, end)| start..end).collect())
    }

    fn added(&self) -> usize {
        self.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
    }

    fn cuts_at_spaces(&self) -> bool {
        use PreTokenizerWrapper::{BertPreTokenizer, Whitespace};
        matches!(self.get_pre_tokenizer(), Some(BertPreTokenizer(_) | Whitespace(_)))
    }
}

fn tokenization(error: tokenizers::Error) -> EmbedError {
    EmbedError::Tokenization(error.to_string())
}
