//! From bytes to characters, whatever the encoding. No I/O.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

/// The encoding of a media type, for instance `text/html; charset=utf-8`.
pub(super) fn declared_by(media_type: Option<&str>) -> Option<&'static Encoding> {
    media_type?.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let is_charset = key.trim().eq_ignore_ascii_case("charset");
        if is_charset { Encoding::for_label(value.trim().trim_matches('"').as_bytes()) } else { None }
    })
}

/// The text of bytes. UTF-8 is known by itself, whatever is declared; else a byte order mark counts, then the
/// declaration, then a guess. What cannot be decoded becomes U+FFFD, so that no document fails over one bad byte.
pub(super) fn decode<'a>(content: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, str> {
    if let Ok(text) = std::str::from_utf8(content) {
        return Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    let encoding = Encoding::for_bom(content).map(|(encoding, _)| encoding).or(declared);
    encoding.unwrap_or_else(|| guess(content)).decode(content).0
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
    #[case::utf8_with_a_bad_byte(
        b"Gr\xc3\xbc\xc3\x9fe \xff Gr\xc3\xbc\xc3\x9fe",
        "Gr\u{fc}\u{df}e \u{fffd} Gr\u{fc}\u{df}e"
    )]
    fn decodes(#[case] content: &[u8], #[case] expected: &str) {
        assert_eq!(decode(content, None), expected);
    }

    #[rstest]
    #[case(None, None)]
    #[case(Some("text/plain"), None)]
    #[case(Some("text/plain; charset=no-such"), None)]
    #[case(Some("text/plain; format=flowed; Charset=\"ISO-8859-2\""), Some(encoding_rs::ISO_8859_2))]
    fn the_media_type_may_tell_the_encoding(
        #[case] media_type: Option<&str>,
        #[case] expected: Option<&'static Encoding>,
    ) {
        assert_eq!(declared_by(media_type), expected);
    }
}
