//! Tokenizers for tests. No I/O.

use std::sync::Arc;

use tokenizers::{
    ModelWrapper, Tokenizer,
    models::{bpe::BPE, wordlevel::WordLevel},
    pre_tokenizers::whitespace::Whitespace,
    processors::bert::BertProcessing,
};

/// One token a word, one before and one after the text: enough to count with.
pub(super) fn tokenizer() -> Arc<Tokenizer> {
    let vocabulary = [("[UNK]".to_owned(), 0)].into_iter().collect();
    let model = WordLevel::builder().vocab(vocabulary).unk_token("[UNK]".to_owned()).build().unwrap();
    around(model.into())
}

/// Up to eight letters a token, so that a word which is cut anywhere has more tokens than before.
pub(super) fn subword_tokenizer() -> Arc<Tokenizer> {
    const TOKENS: [&str; 16] =
        ["[UNK]", "a", "b", "c", "d", "e", "f", "g", "h", "ab", "cd", "ef", "gh", "abcd", "efgh", "abcdefgh"];
    let vocabulary: [(String, u32); 16] = std::array::from_fn(|id| (TOKENS[id].to_owned(), u32::try_from(id).unwrap()));
    let merges = TOKENS[9..].iter().map(|token| token.split_at(token.len() / 2));
    let merges = merges.map(|(left, right)| (left.to_owned(), right.to_owned())).collect();
    let model = BPE::builder().vocab_and_merges(vocabulary, merges).unk_token("[UNK]".to_owned()).build().unwrap();
    around(model.into())
}

fn around(model: ModelWrapper) -> Arc<Tokenizer> {
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(Whitespace {}));
    tokenizer.with_post_processor(Some(BertProcessing::new(("[SEP]".to_owned(), 1), ("[CLS]".to_owned(), 2))));
    Arc::new(tokenizer)
}
