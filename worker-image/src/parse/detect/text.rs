//! Which kind of text a text is, by how it begins. No I/O.

use std::sync::LazyLock;

use regex::Regex;
use serde::de::IgnoredAny;

use super::{CodeLanguage, Format};
use crate::parse::text::decode;

/// How far into a text its kind is looked for, in bytes.
const HEAD: usize = 4096;

/// The line that divides the mails of a mailbox (RFC 4155, appendix A).
static MAILBOX: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^From \S.* (19|20)\d\d( [+-]\d{4})?\r?\n[A-Za-z][A-Za-z0-9-]*:").ok());

/// Fields that every mail has some of (RFC 5322, section 3.6).
const MAIL_FIELDS: [&str; 10] = [
    "date",
    "delivered-to",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "received",
    "return-path",
    "subject",
    "to",
];

/// How many of them make a mail.
const ENOUGH_MAIL_FIELDS: usize = 3;

/// What marks its text itself, so that no name stands against it.
pub(super) fn marked(content: &[u8]) -> Option<Format> {
    let head = decode(&content[..content.len().min(HEAD)], None);
    let start = head.trim_start();
    let lower = start.to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return Some(Format::Html);
    }
    if lower.starts_with("<?xml") {
        return Some(if lower.contains("<html") { Format::Html } else { Format::Xml });
    }
    MAILBOX.as_ref().is_some_and(|line| line.is_match(start)).then_some(Format::Mailbox)
}

/// What a text seems to be whose name says nothing.
pub(super) fn likely(content: &[u8]) -> Option<Format> {
    let head = decode(&content[..content.len().min(HEAD)], None);
    if let Some(command) = head.strip_prefix("#!") {
        return Some(Format::Code(script(command.lines().next().unwrap_or_default())));
    }
    if head.trim_start().starts_with(['{', '[']) {
        return json(&decode(content, None));
    }
    let fields = head.lines().map_while(|line| match line.starts_with([' ', '\t']) {
        true => Some(""), // the line before goes on
        false => line.split_once(':').map(|(field, _)| field).filter(|field| !field.contains(' ')),
    });
    let known = fields.filter(|field| MAIL_FIELDS.contains(&field.to_ascii_lowercase().as_str())).count();
    (known >= ENOUGH_MAIL_FIELDS).then_some(Format::Message)
}

fn script(command: &str) -> Option<CodeLanguage> {
    if command.contains("python") {
        return Some(CodeLanguage::Python);
    }
    command.contains("node").then_some(CodeLanguage::JavaScript)
}

fn json(text: &str) -> Option<Format> {
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Some(Format::Json);
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.all(|line| serde_json::from_str::<IgnoredAny>(line).is_ok()).then_some(Format::JsonLines)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::html("\n<!DOCTYPE html><p>", Some(Format::Html))]
    #[case::xml("<?xml version='1.0'?><catalog/>", Some(Format::Xml))]
    #[case::xhtml("<?xml version='1.0'?>\n<html xmlns='http://www.w3.org/1999/xhtml'/>", Some(Format::Html))]
    #[case::mailbox("From ann@example.org Mon Jan  6 10:00:00 2025\nFrom: Ann\n", Some(Format::Mailbox))]
    #[case::prose("From here on it is easy.\nNote: really\n", None)]
    fn marks(#[case] text: &str, #[case] expected: Option<Format>) {
        assert_eq!(marked(text.as_bytes()), expected);
    }

    #[rstest]
    #[case::mail("Received: by x\n\tfor y\nFrom: a@b\nSubject: hi\n\nbody", Some(Format::Message))]
    #[case::notes("From: the beginning\nTo: the end\n", None)]
    #[case::json("{\"a\": [1]}", Some(Format::Json))]
    #[case::json_lines("{\"a\": 1}\n{\"a\": 2}\n", Some(Format::JsonLines))]
    #[case::braces("{not json}", None)]
    #[case::python("#!/usr/bin/env python3\nprint()", Some(Format::Code(Some(CodeLanguage::Python))))]
    #[case::shell("#!/bin/sh\n", Some(Format::Code(None)))]
    #[case::prose("Just words.", None)]
    fn seems(#[case] text: &str, #[case] expected: Option<Format>) {
        assert_eq!(likely(text.as_bytes()), expected);
    }
}
