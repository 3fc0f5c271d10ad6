//! Tokens as OpenAI's cl100k_base cuts them: what providers count, or come close to. No I/O; the vocabulary is built in.

use std::ops::Range;

use tiktoken_rs::{CoreBPE, cl100k_base_singleton};

use super::super::{EmbedError, TokenCounter};

/// Most bytes that are cut at once. Within one piece of text, the time that a long run of spaces or letters takes
/// grows faster than its length.
const SLAB_BYTES: usize = 16 * 1024;

/// The vocabulary, loaded into memory.
pub(super) struct Cl100k(&'static CoreBPE);

impl Cl100k {
    /// Loads the vocabulary; the first time takes a moment.
    pub(super) fn load() -> Self {
        Self(cl100k_base_singleton())
    }

    /// The beginning of a text that has no more than `limit` tokens.
    pub(super) fn cut<'a>(&self, text: &'a str, limit: usize) -> Result<&'a str, EmbedError> {
        let (mut text, mut keep) = (text, limit);
        loop {
            let spans = self.spans(text)?;
            if spans.len() <= limit {
                return Ok(text);
            }
            let end = keep.checked_sub(1).and_then(|last| spans.get(last)).map_or(0, |span| span.end);
            text = text.get(..text.floor_char_boundary(end)).unwrap_or_default();
            // what is left of a token that held a part of a character may be several tokens
            keep = keep.saturating_sub(1);
        }
    }
}

impl TokenCounter for Cl100k {
    fn count(&self, text: &str) -> Result<usize, EmbedError> {
        Ok(slabs(text).map(|slab| self.0.count_ordinary(slab)).sum())
    }

    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, EmbedError> {
        let mut spans = Vec::with_capacity(text.len() / 4);
        let mut start = 0;
        for token in slabs(text).flat_map(|slab| self.0.encode_ordinary(slab)) {
            let bytes =
                self.0.decode_bytes(&[token]).map_err(|error| EmbedError::Tokenization(error.to_string()))?.len();
            spans.push(start..start + bytes);
            start += bytes;
        }
        Ok(spans)
    }

    fn added(&self) -> usize {
        0
    }
}

/// The text in parts that can be cut into tokens each for itself.
fn slabs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (slab, after) = rest.split_at_checked(slab_end(rest))?;
        rest = after;
        (!slab.is_empty()).then_some(slab)
    })
}

/// Before the last space between two words, where a token always ends; anywhere if there is none.
fn slab_end(text: &str) -> usize {
    if text.len() <= SLAB_BYTES {
        return text.len();
    }
    let bytes = text.as_bytes().get(..SLAB_BYTES).unwrap_or_default();
    let between_words = |window: &[u8]| matches!(window, [before, b' ', after] if before.is_ascii_alphanumeric() && after.is_ascii_alphabetic());
    match bytes.windows(3).rposition(between_words) {
        Some(position) => position + 1,
        None => text.floor_char_boundary(SLAB_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", 0)]
    #[case::words("tiktoken is great!", 6)]
    #[case::sums("2 + 2 = 4", 7)]
    #[case::japanese("お誕生日おめでとう", 9)]
    #[case::specials_are_text("<|endoftext|>", 7)]
    fn counts_as_tiktoken_does(#[case] text: &str, #[case] tokens: usize) {
        let cl100k = Cl100k::load();
        assert_eq!(cl100k.count(text).unwrap(), tokens);
        let spans = cl100k.spans(text).unwrap();
        assert_eq!(spans.len(), tokens);
        assert_eq!(spans.last().map_or(0, |span| span.end), text.len());
    }

    #[rstest]
    #[case::words("tiktoken is great!", 3, "tiktoken")]
    #[case::characters_stay_whole("お誕生日おめでとう", 2, "お")]
    #[case::half_a_character_is_dropped("🦀", 1, "")]
    #[case::nothing_to_cut("a b", 9, "a b")]
    #[case::nothing_left("a b", 0, "")]
    fn cuts_between_tokens_and_characters(#[case] text: &str, #[case] limit: usize, #[case] expected: &str) {
        let cl100k = Cl100k::load();
        let cut = cl100k.cut(text, limit).unwrap();
        assert_eq!(cut, expected);
        assert!(cl100k.count(cut).unwrap() <= limit);
    }

    #[test]
    fn slabs_change_no_count() {
        let text = "Grass grows 12 times, in the rain. Überall — and it's fine;\n\n  ".repeat(1000);
        let cl100k = Cl100k::load();
        assert!(slabs(&text).count() > 3);
        assert_eq!(slabs(&text).collect::<String>(), text);
        assert_eq!(cl100k.count(&text).unwrap(), cl100k.0.count_ordinary(&text));
    }

    #[rstest]
    #[case::spaces(" ")]
    #[case::lines("\n")]
    #[case::letters("a")]
    #[case::wide("漢")]
    fn a_run_of_one_character_takes_no_time(#[case] character: &str) {
        let text = format!("{}x", character.repeat(500_000));
        let spans = Cl100k::load().spans(&text).unwrap();
        assert_eq!(spans.last().unwrap().end, text.len());
    }
}
