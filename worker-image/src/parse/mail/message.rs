//! One mail. No I/O.

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::super::{
    About, Budget, Metadata, ParseError, Parsed, about::short, compound::Compound, document, markup::html,
};

/// A mail with its attachments.
pub(in crate::parse) fn message(content: &[u8], budget: &mut Budget) -> Result<Parsed, ParseError> {
    let damaged = || ParseError::Damaged { format: "EML".to_owned(), problem: "it has no header".to_owned() };
    let mail = MessageParser::default().parse(content).ok_or_else(damaged)?;
    if mail.content_type().is_some_and(|kind| kind.ctype() == "multipart" && kind.subtype() == Some("encrypted")) {
        return Err(ParseError::Encrypted { format: "EML".to_owned() });
    }
    let mut about = About { metadata: metadata(&mail), ..About::default() };
    if ends_early(&mail, content) {
        about.warn("its end is missing");
    }
    let mut text = head(&mail, &about.metadata);
    text.push_str(&body(&mail)?);
    budget.within("EML", |budget| {
        let mut compound = Compound::with_preface(text, about);
        for (number, part) in (1..).zip(mail.attachments()) {
            budget.member("EML")?;
            let name = part.attachment_name().map_or_else(|| format!("Attachment {number}"), str::to_owned);
            compound.add(&name, attachment(&name, part, budget))?;
        }
        compound.finish()
    })
}

fn attachment(name: &str, part: &MessagePart<'_>, budget: &mut Budget) -> Result<Parsed, ParseError> {
    if matches!(part.body, PartType::Message(_)) {
        return message(part.contents(), budget);
    }
    let content = budget.unpack("EML", part.contents())?;
    let media_type = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()),
        None => kind.ctype().to_owned(),
    });
    document(name, media_type.as_deref(), &content, budget)
}

fn metadata(mail: &Message<'_>) -> Metadata {
    Metadata {
        title: mail.subject().and_then(short),
        author: mail.from().and_then(|from| short(&addresses(from))),
        created: mail.date().map(|date| date.to_rfc3339()),
        modified: None,
        language: mail.header("Content-Language").and_then(|value| value.as_text()).and_then(short),
    }
}

/// The subject as heading, and the fields that people read.
fn head(mail: &Message<'_>, metadata: &Metadata) -> String {
    let mut head = format!("# {}\n\n", metadata.title.as_deref().unwrap_or("(no subject)"));
    let to = mail.to().map(addresses);
    let cc = mail.cc().map(addresses);
    for (field, value) in [("From", &metadata.author), ("To", &to), ("Cc", &cc), ("Date", &metadata.created)] {
        if let Some(value) = value.as_deref().and_then(short) {
            head.push_str(&format!("- {field}: {value}\n"));
        }
    }
    head.push('\n');
    head
}

fn addresses(addresses: &Address<'_>) -> String {
    let each = addresses.iter().map(|address| match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => String::new(),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The text of the mail: of what it says in several ways, the plainest.
fn body(mail: &Message<'_>) -> Result<String, ParseError> {
    let mut text = String::new();
    for part in mail.text_body.iter().filter_map(|&part| mail.part(part)) {
        let part = match &part.body {
            PartType::Text(plain) => plain.replace("\r\n", "\n"),
            PartType::Html(page) => html::markdown(page)?,
            _ => continue,
        };
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(part.trim());
    }
    Ok(text)
}

/// Whether the mail ends before the last boundary that it announces.
fn ends_early(mail: &Message<'_>, content: &[u8]) -> bool {
    let boundary = mail.content_type().and_then(|kind| kind.attribute("boundary"));
    boundary.is_some_and(|boundary| {
        let last = format!("--{boundary}--");
        !content.windows(last.len()).any(|window| window == last.as_bytes())
    })
}
