//! Links of an HTML page. Pure. It reads tags only, one after the other: no tree, so that no page can be too deep.

use std::cell::RefCell;

use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind,
    },
};
use reqwest::Url;

use super::scope::normalised;

/// Most links of one page.
const MOST_LINKS: usize = 10_000;

/// What a page says to robots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Where its links lead, in their order and normalised.
    pub(super) links: Vec<Url>,
    /// Whether it asks not to be kept (`<meta name="robots" content="noindex">`).
    pub(super) no_index: bool,
}

/// Reads a page that stands at `url`.
pub(super) fn read(html: &[u8], url: &Url) -> Page {
    let sink = Sink { state: RefCell::new(State { base: url.clone(), page: Page::default(), no_follow: false }) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(String::from_utf8_lossy(html).as_ref()));
    let _done = tokenizer.feed(&input);
    tokenizer.end();
    let state = tokenizer.sink.state.into_inner();
    match state.no_follow {
        true => Page { links: Vec::new(), ..state.page },
        false => state.page,
    }
}

struct State {
    base: Url,
    page: Page,
    no_follow: bool,
}

struct Sink {
    state: RefCell<State>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else { return TokenSinkResult::Continue };
        match (tag.kind, tag.name.as_ref()) {
            (TagKind::StartTag, "script") => return TokenSinkResult::RawData(RawKind::ScriptData),
            (TagKind::StartTag, "style") => return TokenSinkResult::RawData(RawKind::Rawtext),
            (TagKind::StartTag, "title" | "textarea") => return TokenSinkResult::RawData(RawKind::Rcdata),
            (TagKind::StartTag, name) => self.state.borrow_mut().see(name, &tag),
            (TagKind::EndTag, _) => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn see(&mut self, name: &str, tag: &Tag) {
        let attribute = |name: &str| {
            tag.attrs
                .iter()
                .find(|attribute| attribute.name.local.as_ref() == name)
                .map(|attribute| attribute.value.as_ref())
        };
        let words = |value: Option<&str>, word: &str| {
            let mut words = value.unwrap_or_default().split(|c: char| c == ',' || c.is_ascii_whitespace());
            words.any(|found| found.eq_ignore_ascii_case(word))
        };
        match name {
            "base" => {
                if let Some(base) = attribute("href").and_then(|href| self.base.join(href).ok()) {
                    self.base = base;
                }
            }
            "meta" if attribute("name").is_some_and(|name| name.eq_ignore_ascii_case("robots")) => {
                let content = attribute("content");
                self.page.no_index |= words(content, "noindex") || words(content, "none");
                self.no_follow |= words(content, "nofollow") || words(content, "none");
            }
            "a" | "area" if self.page.links.len() < MOST_LINKS && !words(attribute("rel"), "nofollow") => {
                let link = attribute("href").and_then(|href| self.base.join(href.trim()).ok()).and_then(normalised);
                self.page.links.extend(link);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::relative("<a href=b.html>", &["https://x.example/a/b.html"])]
    #[case::order_and_case("<A HREF='/z'>z</A><area href=/b>", &["https://x.example/z", "https://x.example/b"])]
    #[case::entities("<a href='/x?a=1&amp;b=2'>", &["https://x.example/x?a=1&b=2"])]
    #[case::base("<base href=/other/><a href=b>", &["https://x.example/other/b"])]
    #[case::not_of_the_web("<a href='mailto:a@b.c'><a href='javascript:x()'><a name=top>", &[])]
    #[case::comments_and_scripts("<!-- <a href=/c> --><script>'<a href=/s>'</script><a href=/d>", &["https://x.example/d"])]
    #[case::nofollow("<a rel='external nofollow' href=/b><a href=/c>", &["https://x.example/c"])]
    #[case::cut("<p><a href=/b>text</p><a href=\"/c", &["https://x.example/b"])]
    fn links(#[case] html: &str, #[case] expected: &[&str]) {
        let page = read(html.as_bytes(), &"https://x.example/a/".parse().unwrap());
        assert_eq!(page.links.iter().map(Url::as_str).collect::<Vec<_>>(), expected);
        assert!(!page.no_index);
    }

    #[rstest]
    #[case("noindex", true, 1)]
    #[case("NOFOLLOW", false, 0)]
    #[case("none", true, 0)]
    #[case("noindex, nofollow", true, 0)]
    #[case("noarchive", false, 1)]
    fn what_a_page_asks_robots(#[case] content: &str, #[case] no_index: bool, #[case] links: usize) {
        let html = format!("<meta name=Robots content='{content}'><a href=/b>");
        let page = read(html.as_bytes(), &"https://x.example/".parse().unwrap());
        assert_eq!((page.no_index, page.links.len()), (no_index, links));
    }

    #[test]
    fn no_page_is_too_deep() {
        let html = "<div>".repeat(1_000_000) + "<a href=/b>";
        assert_eq!(read(html.as_bytes(), &"https://x.example/".parse().unwrap()).links.len(), 1);
    }
}
