//! Mail by mail-parser: its subject as heading, its fields, its text, and its attachments as chapters. No I/O.

mod message;

use std::io::Cursor;

use mail_parser::mailbox::mbox::MessageIterator;

pub(super) use message::message;

use super::{ParseError, Parsed, compound::Compound};

/// All mails of a mailbox, each under its subject.
pub(super) fn mailbox(content: &[u8], budget: &mut super::Budget) -> Result<Parsed, ParseError> {
    budget.within("MBOX", |budget| {
        let mut compound = Compound::default();
        for (number, mail) in (1..).zip(MessageIterator::new(Cursor::new(content))) {
            budget.member("MBOX")?;
            let problem = |error: &dyn std::fmt::Debug| ParseError::Damaged {
                format: "MBOX".to_owned(),
                problem: format!("{error:?}"),
            };
            let parsed =
                mail.map_err(|error| problem(&error)).and_then(|mail| message::message(mail.contents(), budget));
            compound.add(&format!("Mail {number}"), parsed)?;
        }
        compound.finish()
    })
}
