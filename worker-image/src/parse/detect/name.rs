//! What a name and a media type claim a document to be. No I/O.

use super::{CodeLanguage, Format};

/// Endings of names by format; those of office documents are anydoc's.
const ENDINGS: [(&[&str], Format); 21] = [
    (&["html", "htm", "xhtml"], Format::Html),
    (&["md", "markdown", "mdx"], Format::Markdown),
    (&["rst", "rest"], Format::Rst),
    (&["txt", "text", "log"], Format::Plain),
    (&["csv", "tsv", "tab"], Format::Table),
    (&["json", "geojson", "ipynb", "webmanifest"], Format::Json),
    (&["jsonl", "ndjson"], Format::JsonLines),
    (&["xml", "xsd", "xsl", "xslt", "rss", "atom", "rdf", "dita", "docbook"], Format::Xml),
    (&["eml"], Format::Message),
    (&["mbox"], Format::Mailbox),
    (&["zip"], Format::Zip),
    (&["tar"], Format::Tar),
    (&["gz", "tgz"], Format::Gzip),
    (&["c", "h"], Format::Code(Some(CodeLanguage::C))),
    (&["go"], Format::Code(Some(CodeLanguage::Go))),
    (&["java"], Format::Code(Some(CodeLanguage::Java))),
    (&["js", "mjs", "cjs", "jsx"], Format::Code(Some(CodeLanguage::JavaScript))),
    (&["py", "pyi", "pyw"], Format::Code(Some(CodeLanguage::Python))),
    (&["rs"], Format::Code(Some(CodeLanguage::Rust))),
    (&["tsx"], Format::Code(Some(CodeLanguage::Tsx))),
    (&["ts", "mts", "cts"], Format::Code(Some(CodeLanguage::TypeScript))),
];

/// Endings of source code in languages that have no grammar here.
const OTHER_CODE: [&str; 42] = [
    "bash", "bat", "cc", "cfg", "clj", "cmake", "conf", "cpp", "cs", "css", "cxx", "dart", "elm", "erl", "ex", "exs",
    "gradle", "groovy", "hcl", "hpp", "hs", "ini", "jl", "kt", "kts", "less", "lua", "ml", "php", "pl", "pm", "proto",
    "ps1", "r", "rb", "scala", "scss", "sh", "sql", "swift", "tf", "toml",
];

/// More of them, of data that is written by hand.
const CONFIGURATION: [&str; 3] = ["yaml", "yml", "vue"];

pub(super) fn by_name(name: &str) -> Option<Format> {
    let ending = ending(name)?;
    if let Some((_, format)) = ENDINGS.iter().find(|(endings, _)| endings.contains(&ending.as_str())) {
        return Some(*format);
    }
    if OTHER_CODE.contains(&ending.as_str()) || CONFIGURATION.contains(&ending.as_str()) {
        return Some(Format::Code(None));
    }
    match anydoc::Format::from_extension(&ending)? {
        anydoc::Format::Pdf => Some(Format::Pdf),
        office => Some(Format::Office(office)),
    }
}

/// What a server says. `text/plain` is its word for everything that it does not know: the name may tell more.
pub(super) fn by_media_type(media_type: Option<&str>) -> Option<Format> {
    let essence = media_type?.split(';').next()?.trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        "application/pdf" => Format::Pdf,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "text/x-rst" | "text/prs.fallenstein.rst" => Format::Rst,
        "text/csv" | "text/tab-separated-values" => Format::Table,
        "application/json" | "application/ld+json" | "application/geo+json" => Format::Json,
        "application/jsonl" | "application/x-ndjson" => Format::JsonLines,
        "application/xml" | "text/xml" | "application/rss+xml" | "application/atom+xml" => Format::Xml,
        "message/rfc822" => Format::Message,
        "application/mbox" => Format::Mailbox,
        _ => return None,
    })
}

/// The part of a name behind its last dot, in small letters.
fn ending(name: &str) -> Option<String> {
    // a file may be named `C#.md`, a URL ends before its query and fragment
    let path = if name.contains("://") { name.split(['?', '#']).next().unwrap_or(name) } else { name };
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a.md", Some(Format::Markdown))]
    #[case("a.tar.gz", Some(Format::Gzip))]
    #[case("A.PPTX", Some(Format::Office(anydoc::Format::Pptx)))]
    #[case("report.pdf", Some(Format::Pdf))]
    #[case("src/main.rs", Some(Format::Code(Some(CodeLanguage::Rust))))]
    #[case("deploy.yaml", Some(Format::Code(None)))]
    #[case("http://x/a.html?v=1.2", Some(Format::Html))]
    #[case("C#?.md", Some(Format::Markdown))]
    #[case("v1.2/README", None)]
    #[case("photo.png", None)]
    fn names_claim(#[case] name: &str, #[case] expected: Option<Format>) {
        assert_eq!(by_name(name), expected);
    }
}
