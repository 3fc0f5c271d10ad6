//! The formats that have a parser, and what they are called. No I/O.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// A format that has a parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parse) enum Format {
    Pdf,
    /// Text, slides and sheets of any office program, RTF and EPUB.
    Office(anydoc::Format),
    Html,
    Markdown,
    Rst,
    Plain,
    /// Values divided by commas, semicolons or tabs.
    Table,
    Json,
    JsonLines,
    Xml,
    /// One mail.
    Message,
    /// A file of mails.
    Mailbox,
    /// Source code; none where its language has no grammar here.
    Code(Option<CodeLanguage>),
    Zip,
    Tar,
    Gzip,
}

/// A programming language whose grammar is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CodeLanguage {
    /// C, headers too.
    C,
    /// Go.
    Go,
    /// Java.
    Java,
    /// JavaScript, JSX too.
    JavaScript,
    /// Python.
    Python,
    /// Rust.
    Rust,
    /// TypeScript with JSX.
    Tsx,
    /// TypeScript.
    TypeScript,
}

impl Format {
    /// Whether its files are text, so that any text may pass for one.
    pub(super) const fn is_text(self) -> bool {
        !matches!(self, Self::Pdf | Self::Office(_) | Self::Zip | Self::Tar | Self::Gzip)
    }
}

impl Display for Format {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pdf => "PDF",
            Self::Office(format) => office(*format),
            Self::Html => "HTML",
            Self::Markdown => "Markdown",
            Self::Rst => "reStructuredText",
            Self::Plain => "plain text",
            Self::Table => "CSV",
            Self::Json => "JSON",
            Self::JsonLines => "JSONL",
            Self::Xml => "XML",
            Self::Message => "EML",
            Self::Mailbox => "MBOX",
            Self::Code(None) => "source code",
            Self::Code(Some(language)) => return write!(out, "{language:?} source code"),
            Self::Zip => "ZIP",
            Self::Tar => "TAR",
            Self::Gzip => "GZIP",
        })
    }
}

/// The name of an office format.
pub(in crate::parse) const fn office(format: anydoc::Format) -> &'static str {
    use anydoc::Format::{Csv, Doc, Docx, Epub, Excel, Odp, Ods, Odt, Pdf, Ppt, Pptx, Rtf};
    match format {
        Doc => "DOC",
        Docx => "DOCX",
        Odt => "ODT",
        Pdf => "PDF",
        Ppt => "PPT",
        Pptx => "PPTX",
        Rtf => "RTF",
        Epub => "EPUB",
        Excel => "Excel workbook",
        Ods => "ODS",
        Odp => "ODP",
        Csv => "CSV",
    }
}
