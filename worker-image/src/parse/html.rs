//! HTML by htmd, as Markdown. No I/O.

use htmd::HtmlToMarkdown;

use super::{Markup, ParseError, Parsed, Parser, text::decode};

/// Elements whose content is not the document's text.
const SKIPPED: [&str; 10] = ["head", "script", "style", "noscript", "template", "svg", "nav", "footer", "iframe", "form"];

pub(super) struct Html;

impl Parser for Html {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError> {
        let converter = HtmlToMarkdown::builder().skip_tags(SKIPPED.to_vec()).build();
        let text = converter
            .convert(&decode(content))
            .map_err(|error| ParseError::Damaged { format: "HTML".to_owned(), problem: error.to_string() })?;
        Ok(Parsed { text, markup: Markup::Markdown, pages: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_structure_and_drops_what_is_not_text() {
        let page = b"<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body><nav>menu</nav>
            <h1>Coffee</h1><p>Grind <b>fresh</b>.</p><ul><li>one</li><li>two</li></ul><script>alert(1)</script></body></html>";
        let text = Html.parse(page).unwrap().text;
        assert!(text.contains("# Coffee") && text.contains("**fresh**") && text.contains("one"), "{text}");
        assert!(!text.contains("alert") && !text.contains("menu") && !text.contains("p{}"), "{text}");
    }
}
