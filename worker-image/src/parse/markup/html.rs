//! HTML by htmd, as Markdown. No I/O.

use std::sync::LazyLock;

use encoding_rs::Encoding;
use htmd::HtmlToMarkdown;
use regex::Regex;

use crate::parse::{Metadata, ParseError, Parsed, about::short, text::decode};

/// Elements whose content is not the document's text.
const SKIPPED: [&str; 10] =
    ["head", "script", "style", "noscript", "template", "svg", "nav", "footer", "iframe", "form"];

/// How far into a page its encoding may be declared, as browsers have it.
const DECLARATION_BYTES: usize = 1024;

/// How far into a page it may speak of itself, in bytes.
const HEAD_BYTES: usize = 64 * 1024;

/// A page; `charset` is the encoding that the source declares.
pub(in crate::parse) fn parse(content: &[u8], charset: Option<&'static Encoding>) -> Result<Parsed, ParseError> {
    let html = decode(content, charset.or_else(|| declared_within(content)));
    let mut parsed = Parsed::markdown(markdown(&html)?);
    parsed.about.metadata = metadata(&html);
    Ok(parsed)
}

/// The text of a page.
pub(in crate::parse) fn markdown(html: &str) -> Result<String, ParseError> {
    let converter = HtmlToMarkdown::builder().skip_tags(SKIPPED.to_vec()).build();
    converter
        .convert(html)
        .map_err(|error| ParseError::Damaged { format: "HTML".to_owned(), problem: error.to_string() })
}

/// What the head of a page says of it.
fn metadata(html: &str) -> Metadata {
    static TITLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?is)<title[^>]*>(.*?)</title").ok());
    static LANGUAGE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?is)<html[^>]*?\slang\s*=\s*["']?([A-Za-z0-9-]+)"#).ok());
    static META: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?is)<meta\s[^>]*>").ok());
    static ATTRIBUTE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?is)(name|property|content)\s*=\s*(?:"([^"]*)"|'([^']*)')"#).ok());
    let head = &html[..html.floor_char_boundary(HEAD_BYTES)];
    let first = |pattern: &Option<Regex>| {
        pattern.as_ref().and_then(|pattern| pattern.captures(head)).and_then(|found| short(&unescaped(&found[1])))
    };
    let mut metadata = Metadata { title: first(&TITLE), language: first(&LANGUAGE), ..Metadata::default() };
    for meta in META.iter().flat_map(|meta| meta.find_iter(head)) {
        let (mut name, mut value) = (String::new(), None);
        for attribute in ATTRIBUTE.iter().flat_map(|attribute| attribute.captures_iter(meta.as_str())) {
            let text = attribute.get(2).or_else(|| attribute.get(3)).map_or("", |text| text.as_str());
            match attribute[1].eq_ignore_ascii_case("content") {
                true => value = short(&unescaped(text)),
                false => name = text.to_ascii_lowercase(),
            }
        }
        let field = match name.as_str() {
            "author" | "dc.creator" | "article:author" => &mut metadata.author,
            "date" | "dc.date" | "article:published_time" => &mut metadata.created,
            "last-modified" | "article:modified_time" => &mut metadata.modified,
            _ => continue,
        };
        *field = field.take().or(value);
    }
    metadata
}

/// With the references resolved that XML knows too; others stay as they stand.
fn unescaped(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// The encoding that a page declares in its head: `<meta charset="…">`, or `charset=…` in a `<meta http-equiv>`.
fn declared_within(content: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&content[..content.len().min(DECLARATION_BYTES)]).to_ascii_lowercase();
    let label = head.split_once("charset=")?.1.trim_start_matches(['"', '\'']);
    Encoding::for_label(label.split(['"', '\'', ';', '>', ' ', '/']).next()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn text(page: &[u8], charset: Option<&'static Encoding>) -> String {
        parse(page, charset).unwrap().text
    }

    #[test]
    fn keeps_structure_and_drops_what_is_not_text() {
        let page = b"<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body><nav>menu</nav>
            <h1>Coffee</h1><p>Grind <b>fresh</b>.</p><ul><li>one</li><li>two</li></ul><script>alert(1)</script></body></html>";
        let text = text(page, None);
        assert!(text.contains("# Coffee") && text.contains("**fresh**") && text.contains("one"), "{text}");
        assert!(!text.contains("alert") && !text.contains("menu") && !text.contains("p{}"), "{text}");
    }

    #[test]
    fn the_head_tells_of_the_page() {
        let page = "<html class=x lang='de-AT'><head><title>A &amp; B\n</title><meta content=\"Ann\" name=author>
            <meta name='author' content='Ann'><meta property=\"article:published_time\" content=\"2024-01-02\"></head>";
        let metadata = metadata(page);
        assert_eq!(metadata.title.as_deref(), Some("A & B"));
        assert_eq!(metadata.author.as_deref(), Some("Ann"));
        assert_eq!(metadata.created.as_deref(), Some("2024-01-02"));
        assert_eq!(metadata.language.as_deref(), Some("de-AT"));
    }

    #[rstest]
    #[case::meta_charset(
        b"<html><meta charset=\"windows-1251\"><p>\xcf\xf0\xe8\xe2\xe5\xf2",
        None,
        "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}"
    )]
    #[case::http_equiv(
        b"<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>\xe9t\xe9",
        None,
        "\u{e9}t\u{e9}"
    )]
    #[case::the_server_knows(
        b"<p>\xcf\xf0\xe8\xe2\xe5\xf2",
        Some(encoding_rs::WINDOWS_1251),
        "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}"
    )]
    #[case::a_false_declaration(b"<meta charset=iso-8859-1><p>\xc3\xa9t\xc3\xa9", None, "\u{e9}t\u{e9}")]
    fn decodes(#[case] page: &[u8], #[case] charset: Option<&'static Encoding>, #[case] expected: &str) {
        assert_eq!(text(page, charset), expected);
    }
}
