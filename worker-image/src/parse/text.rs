//! Plain text and Markdown in any encoding. No I/O.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use super::{Markup, ParseError, Parsed, Parser};

/// Text that needs no parser but a decoder.
pub(super) struct Text {
    pub(super) markup: Markup,
}

impl Parser for Text {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError> {
        Ok(Parsed { text: decode(content).into_owned(), markup: self.markup, pages: Vec::new() })
    }
}

/// The text of bytes in an encoding that a byte order mark tells, or that is guessed. What cannot be decoded becomes
/// U+FFFD, so that no document fails over one bad byte.
pub(super) fn decode(content: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(content) {
        return Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    let encoding = Encoding::for_bom(content).map_or_else(|| guess(content), |(encoding, _)| encoding);
    encoding.decode(content).0
}

/// Mostly UTF-8 with a few bad bytes is UTF-8; anything else is for the detector.
fn guess(content: &[u8]) -> &'static Encoding {
    let (mut multibyte, mut invalid) = (0usize, 0usize);
    for chunk in content.utf8_chunks() {
        multibyte += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    if multibyte > invalid {
        return encoding_rs::UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(content, true);
    detector.guess(None, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::utf8(b"Gr\xc3\xbc\xc3\x9fe", "Gr\u{fc}\u{df}e")]
    #[case::byte_order_mark(b"\xef\xbb\xbfhi", "hi")]
    #[case::utf16_little_endian(b"\xff\xfeh\0i\0", "hi")]
    #[case::utf16_big_endian(b"\xfe\xff\0h\0i", "hi")]
    #[case::latin1(b"Stra\xdfe, M\xfcnchen, sch\xf6n", "Stra\u{df}e, M\u{fc}nchen, sch\u{f6}n")]
    #[case::utf8_with_a_bad_byte(b"Gr\xc3\xbc\xc3\x9fe \xff Gr\xc3\xbc\xc3\x9fe", "Gr\u{fc}\u{df}e \u{fffd} Gr\u{fc}\u{df}e")]
    fn decodes(#[case] content: &[u8], #[case] expected: &str) {
        assert_eq!(decode(content), expected);
    }
}
