//! What passes between parent and child: a length, a JSON header, the document; back come a length and JSON. No I/O.

use serde::{Deserialize, Serialize};

use super::super::{ParseError, Parsed};

/// Longest header and reply that the other side accepts, in bytes. A reply holds the text as JSON, which at the worst
/// writes six bytes for one.
pub(super) const MAX_MESSAGE_BYTES: u32 = 400 * 1024 * 1024;

/// Goes before the bytes of a document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) media_type: Option<String>,
    pub(super) size: u64,
}

/// What comes back.
pub(super) type Reply = Result<Parsed, ParseError>;
