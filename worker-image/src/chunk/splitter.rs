//! Cutting by text-splitter, sized by the model's own tokenizer. No I/O.

use std::sync::Arc;

use text_splitter::{ChunkConfig, ChunkSizer, CodeSplitter, MarkdownSplitter, TextSplitter};

use super::{
    Chunk, ChunkError, grammar,
    headings::Headings,
    tokens::{ExactCount, TokenIndex},
};
use crate::{
    embed::TokenCounter,
    parse::{Markup, PageStart, Parsed},
};

/// Text that is cut at once, in bytes: the splitters look at all of the rest for every chunk, so that one huge text
/// without structure would take time that grows with its square.
const SECTION_BYTES: usize = 64 * 1024;

/// Cuts text into chunks of limited tokens.
pub(super) struct Splitter {
    tokens: Arc<dyn TokenCounter>,
    max_tokens: usize,
    overlap: usize,
}

impl Splitter {
    pub(super) fn new(tokens: Arc<dyn TokenCounter>, max_tokens: usize, overlap: usize) -> Result<Self, ChunkError> {
        match overlap < max_tokens {
            true => Ok(Self { tokens, max_tokens, overlap }),
            false => Err(ChunkError::Overlap { overlap, max_tokens }),
        }
    }

    pub(super) fn chunk(&self, parsed: &Parsed, markup: Markup) -> Result<Vec<Chunk>, ChunkError> {
        let headings = match markup {
            Markup::Markdown => Headings::of_markdown(&parsed.text),
            Markup::Plain | Markup::Code(_) => Headings::none(),
        };
        let mut chunks = Vec::new();
        for (start, section) in sections(&parsed.text) {
            for (offset, text, tokens) in self.cut(section, markup)? {
                let offset = start + offset;
                chunks.push(Chunk {
                    ordinal: i32::try_from(chunks.len()).unwrap_or(i32::MAX),
                    headings: headings.above(offset),
                    page: page_at(&parsed.pages, offset),
                    bytes: offset..offset + text.len(),
                    tokens: i32::try_from(tokens).unwrap_or(i32::MAX),
                    text: text.to_owned(),
                });
            }
        }
        Ok(chunks)
    }

    /// The pieces of a section: where each begins, its text and its tokens.
    fn cut<'a>(&self, section: &'a str, markup: Markup) -> Result<Vec<(usize, &'a str, usize)>, ChunkError> {
        let exact = ExactCount(&*self.tokens);
        let index = TokenIndex::new(&*self.tokens, section)?;
        let config = self.config(&index, self.overlap)?;
        let pieces: Vec<(usize, &str)> = match markup {
            Markup::Markdown => MarkdownSplitter::new(config).chunk_indices(section).collect(),
            Markup::Plain => TextSplitter::new(config).chunk_indices(section).collect(),
            Markup::Code(language) => match CodeSplitter::new(grammar::of(language), config) {
                Ok(splitter) => splitter.chunk_indices(section).collect(),
                Err(error) => return Err(ChunkError::Grammar(error.to_string())),
            },
        };
        let mut cut = Vec::with_capacity(pieces.len());
        for (offset, piece) in pieces.into_iter().filter(|(_, piece)| !piece.trim().is_empty()) {
            let tokens = match index.exactly(offset..offset + piece.len()) {
                Some(tokens) => tokens,
                None => exact.of(piece)?,
            };
            if tokens <= self.max_tokens {
                cut.push((offset, piece, tokens));
                continue;
            }
            // the index was off, since a word was cut
            let splitter = TextSplitter::new(self.config(ExactCount(&*self.tokens), 0)?);
            for (within, part) in splitter.chunk_indices(piece) {
                cut.push((offset + within, part, exact.of(part)?));
            }
        }
        // the last of such parts may begin after the next piece, which overlaps them
        cut.sort_by_key(|&(offset, ..)| offset);
        Ok(cut)
    }

    fn config<S: ChunkSizer>(&self, sizer: S, overlap: usize) -> Result<ChunkConfig<S>, ChunkError> {
        ChunkConfig::new(self.max_tokens)
            .with_sizer(sizer)
            .with_overlap(overlap)
            .map_err(|_| ChunkError::Overlap { overlap, max_tokens: self.max_tokens })
    }
}

/// The text in pieces of about [`SECTION_BYTES`], cut between paragraphs if there are any, else lines, else words.
fn sections(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = if rest.len() <= SECTION_BYTES { rest.len() } else { section_end(rest) };
        let section = (start, &rest[..end]);
        start += end;
        Some(section)
    })
}

fn section_end(rest: &str) -> usize {
    let window = &rest[..rest.floor_char_boundary(SECTION_BYTES)];
    ["\n\n", "\n", " "]
        .iter()
        .find_map(|boundary| window.rfind(boundary).filter(|&at| at > 0).map(|at| at + boundary.len()))
        .unwrap_or(window.len())
}

fn page_at(pages: &[PageStart], offset: usize) -> Option<i32> {
    let pages_until_here = pages.partition_point(|page| page.offset <= offset);
    pages.get(pages_until_here.checked_sub(1)?).map(|page| page.page)
}

#[cfg(test)]
mod tests {
    use lexigram_api::document::Chunking;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        chunk::testing::{subword_tokenizer, tokenizer},
        parse::CodeLanguage,
    };

    fn cut(
        tokens: Arc<dyn TokenCounter>,
        text: &str,
        markup: Markup,
        max_tokens: i32,
        overlap_tokens: i32,
    ) -> Vec<Chunk> {
        let chunking = Chunking { max_tokens, overlap_tokens, ..Default::default() };
        let parsed = Parsed { text: text.to_owned(), markup, ..Parsed::default() };
        super::super::open(&chunking, tokens, 8192).unwrap().chunk(&parsed).unwrap()
    }

    #[test]
    fn chunks_know_their_headings_and_pages() {
        let text = "# Coffee\n\nGrind fresh every morning.\n\n## Water\n\nNot boiling, a little below.";
        let pages =
            vec![PageStart { page: 1, offset: 0 }, PageStart { page: 2, offset: text.find("## Water").unwrap() }];
        let parsed = Parsed { text: text.to_owned(), markup: Markup::Markdown, pages, ..Parsed::default() };
        let chunking = Chunking { max_tokens: 16, overlap_tokens: 0, ..Default::default() };
        let chunks = super::super::open(&chunking, tokenizer(), 12).unwrap().chunk(&parsed).unwrap();
        let seen: Vec<_> = chunks.iter().map(|chunk| (chunk.headings.join(" > "), chunk.page)).collect();
        assert_eq!(seen, [("Coffee".to_owned(), Some(1)), ("Coffee > Water".to_owned(), Some(2))]);
    }

    #[test]
    fn an_overlap_without_room_for_anything_new_names_the_field() {
        let chunking = Chunking { max_tokens: 256, overlap_tokens: 100, ..Default::default() };
        let error = super::super::open(&chunking, tokenizer(), 64).err().unwrap().to_string();
        assert!(error.starts_with("spec.chunking.overlapTokens: 100 must be less than the 62 tokens"), "{error}");
    }

    #[test]
    fn a_huge_line_without_any_boundary_is_cut_too() {
        let chunks = cut(tokenizer(), &"x".repeat(3 * SECTION_BYTES), Markup::Plain, 64, 0);
        assert_eq!(chunks.iter().map(|chunk| chunk.text.len()).sum::<usize>(), 3 * SECTION_BYTES);
    }

    #[test]
    fn code_is_cut_between_the_things_that_it_defines() {
        let function = |name: &str| format!("/// Says {name}.\nfn {name}() {{\n    println!(\"{name}\");\n}}\n");
        let code = ["one", "two", "three"].map(function).join("\n");
        let chunks = cut(tokenizer(), &code, Markup::Code(CodeLanguage::Rust), 16, 0);
        assert_eq!(chunks.len(), 3);
        for (chunk, name) in chunks.iter().zip(["one", "two", "three"]) {
            assert!(chunk.text.contains(&format!("fn {name}()")) && chunk.text.trim_end().ends_with('}'), "{chunk:?}");
        }
    }

    proptest! {
        #[test]
        fn chunks_are_pieces_of_the_text_that_leave_nothing_out(
            words in proptest::collection::vec("[a-z#*\\-.]{1,8}|(abcdefgh){1,40}|\n|\n\n|# h\n|\u{e4}\u{1F600}", 0..300),
            markup in prop::sample::select(vec![Markup::Markdown, Markup::Plain, Markup::Code(CodeLanguage::Rust)]),
            max_tokens in 16i32..64,
            overlap in 0i32..8,
            subwords in any::<bool>(),
        ) {
            let text = words.join(" ");
            let tokens = if subwords { subword_tokenizer() } else { tokenizer() };
            let chunks = cut(Arc::clone(&tokens) as _, &text, markup, max_tokens, overlap);
            let mut covered = vec![false; text.len()];
            for (index, chunk) in chunks.iter().enumerate() {
                prop_assert_eq!(chunk.ordinal as usize, index);
                prop_assert_eq!(&text[chunk.bytes.clone()], &chunk.text);
                prop_assert!(chunk.tokens <= max_tokens, "{} tokens", chunk.tokens);
                prop_assert_eq!(chunk.tokens as usize, tokens.count(&chunk.text).unwrap());
                covered[chunk.bytes.clone()].fill(true);
            }
            prop_assert!(chunks.is_sorted_by_key(|chunk| chunk.bytes.start));
            for (at, character) in text.char_indices() {
                prop_assert!(covered[at] || character.is_whitespace(), "{character:?} at {at} is in no chunk");
            }
        }
    }
}
