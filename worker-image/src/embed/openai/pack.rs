//! Texts to requests. Pure.

use lexigram_api::embedding::OpenAISettings;

/// A text that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Position among the texts of the call.
    pub(super) position: usize,
    pub(super) text: String,
    pub(super) tokens: usize,
}

/// What a request may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) tokens: usize,
}

impl Limits {
    /// What the settings allow, and an answer of `answer_bytes` can carry.
    pub(super) fn new(settings: &OpenAISettings, dimension: usize, answer_bytes: usize) -> Self {
        let fitting = answer_bytes / (dimension.max(1) * super::wire::NUMBER_BYTES);
        Self {
            items: at_least_one(settings.max_items_per_request).min(fitting.max(1)),
            tokens: at_least_one(settings.max_tokens_per_request),
        }
    }
}

/// A limit of the settings.
pub(super) fn at_least_one(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or(1).max(1)
}

/// The items in their order, cut into requests. A text with more tokens than a request may have stands alone.
pub(super) fn pack(items: Vec<Item>, limits: Limits) -> Vec<Vec<Item>> {
    let mut requests: Vec<Vec<Item>> = Vec::new();
    let mut tokens = 0;
    for item in items {
        match requests.last_mut() {
            Some(request) if request.len() < limits.items && tokens + item.tokens <= limits.tokens => {
                tokens += item.tokens;
                request.push(item);
            }
            _ => {
                tokens = item.tokens;
                requests.push(vec![item]);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[], &[])]
    #[case::by_items(&[1, 1, 1, 1], &[3, 1])]
    #[case::by_tokens(&[60, 40, 1], &[2, 1])]
    #[case::too_large_for_any(&[1, 200, 1], &[1, 1, 1])]
    fn packs(#[case] tokens: &[usize], #[case] expected: &[usize]) {
        let item = |(position, &tokens)| Item { position, text: String::new(), tokens };
        let items: Vec<Item> = tokens.iter().enumerate().map(item).collect();
        let requests = pack(items.clone(), Limits { items: 3, tokens: 100 });
        assert_eq!(requests.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        assert_eq!(requests.concat(), items);
    }
}
