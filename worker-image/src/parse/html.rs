//! HTML by htmd, as Markdown. No I/O.

use encoding_rs::Encoding;
use htmd::HtmlToMarkdown;

use super::{Markup, ParseError, Parsed, Parser, text::decode};

/// Elements whose content is not the document's text.
const SKIPPED: [&str; 10] =
    ["head", "script", "style", "noscript", "template", "svg", "nav", "footer", "iframe", "form"];

/// How far into a page its encoding may be declared, as browsers have it.
const DECLARATION_BYTES: usize = 1024;

pub(super) struct Html {
    /// The encoding that the source declares.
    pub(super) charset: Option<&'static Encoding>,
}

impl Parser for Html {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError> {
        let html = decode(content, self.charset.or_else(|| declared_within(content)));
        let converter = HtmlToMarkdown::builder().skip_tags(SKIPPED.to_vec()).build();
        let text = converter
            .convert(&html)
            .map_err(|error| ParseError::Damaged { format: "HTML".to_owned(), problem: error.to_string() })?;
        Ok(Parsed { text, markup: Markup::Markdown, pages: Vec::new() })
    }
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
        Html { charset }.parse(page).unwrap().text
    }

    #[test]
    fn keeps_structure_and_drops_what_is_not_text() {
        let page = b"<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body><nav>menu</nav>
            <h1>Coffee</h1><p>Grind <b>fresh</b>.</p><ul><li>one</li><li>two</li></ul><script>alert(1)</script></body></html>";
        let text = text(page, None);
        assert!(text.contains("# Coffee") && text.contains("**fresh**") && text.contains("one"), "{text}");
        assert!(!text.contains("alert") && !text.contains("menu") && !text.contains("p{}"), "{text}");
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
