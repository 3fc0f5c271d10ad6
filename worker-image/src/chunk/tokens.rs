//! How many tokens a piece of text has. No I/O.

use std::ops::Range;

use super::ChunkError;
use crate::embed::TokenCounter;
use text_splitter::ChunkSizer;

/// Counts by asking the model's counter, each time anew.
pub(super) struct ExactCount<'a>(pub(super) &'a dyn TokenCounter);

impl ExactCount<'_> {
    /// The tokens of a text, without those that the model adds.
    pub(super) fn of(&self, text: &str) -> Result<usize, ChunkError> {
        self.0.count(text).map_err(|error| ChunkError::Tokenization(error.to_string()))
    }
}

impl ChunkSizer for ExactCount<'_> {
    fn size(&self, text: &str) -> usize {
        // a text that the tokenizer cannot read is found out, with its error, when the tokens of its chunks are counted
        self.of(text).unwrap_or(0)
    }
}

/// Counts the tokens of pieces of one text from a single pass over it. Looking for the best place to cut means to size
/// dozens of pieces for each chunk, and the tokenizer is by far the slowest part of that.
///
/// The count is off by a few where a piece begins or ends within a token.
pub(super) struct TokenIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
    ends: Vec<usize>,
    /// See [`TokenCounter::cuts_at_spaces`].
    cuts_at_spaces: bool,
}

impl<'a> TokenIndex<'a> {
    pub(super) fn new(tokens: &dyn TokenCounter, text: &'a str) -> Result<Self, ChunkError> {
        let spans = tokens.spans(text).map_err(|error| ChunkError::Tokenization(error.to_string()))?;
        let (mut starts, mut ends): (Vec<_>, Vec<_>) = spans.into_iter().map(|span| (span.start, span.end)).unzip();
        starts.sort_unstable();
        ends.sort_unstable();
        Ok(Self { text, starts, ends, cuts_at_spaces: tokens.cuts_at_spaces() })
    }

    /// Tokens of these bytes alone, to the last one; none where that takes a look of the tokenizer's own.
    pub(super) fn exactly(&self, bytes: Range<usize>) -> Option<usize> {
        // no other white space: BERT drops a form feed, and what stood around it is one word
        let apart = |neighbour: Option<char>| neighbour.is_none_or(|c| matches!(c, ' ' | '\n' | '\r' | '\t'));
        let (before, after) = (self.text[..bytes.start].chars().next_back(), self.text[bytes.end..].chars().next());
        (self.cuts_at_spaces && apart(before) && apart(after)).then(|| self.within(bytes))
    }

    /// Tokens that lie in these bytes, wholly or in part.
    fn within(&self, bytes: Range<usize>) -> usize {
        let begun = self.starts.partition_point(|&start| start < bytes.end);
        let over = self.ends.partition_point(|&end| end <= bytes.start);
        begun.saturating_sub(over)
    }
}

impl ChunkSizer for TokenIndex<'_> {
    /// The splitter asks for parts of the text itself, so that their address tells where they stand.
    fn size(&self, part: &str) -> usize {
        let start = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.within(start..start + part.len())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::chunk::testing::tokenizer;

    #[rstest]
    #[case::everything(0..22, 4)]
    #[case::nothing(3..4, 0)]
    #[case::whole_tokens(4..14, 2)]
    #[case::parts_of_tokens_count(6..12, 2)]
    #[case::within_one_token(5..6, 1)]
    fn pieces_are_counted_by_their_place(#[case] bytes: Range<usize>, #[case] tokens: usize) {
        let text = "one other three   four";
        let tokenizer = tokenizer();
        let index = TokenIndex::new(&*tokenizer, text).unwrap();
        assert_eq!(index.size(&text[bytes]), tokens);
    }
}
