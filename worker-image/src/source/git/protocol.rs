//! Version 2 of git's protocol, as far as a reader needs it: packets, requests, answers. Pure.
//!
//! `gitprotocol-v2(5)` and `gitprotocol-common(5)` are the sources.

use crate::source::SourceError;

/// Longest packet, its four digits included.
const MOST_PACKET_BYTES: usize = 65_520;

/// A packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// Bytes.
    Data(Vec<u8>),
    /// The end of a message.
    Flush,
    /// The end of a section.
    Delimiter,
}

/// Cuts a stream into packets, however it arrives.
#[derive(Default)]
pub(super) struct Packets {
    waiting: Vec<u8>,
}

impl Packets {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next packet, if it is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, SourceError> {
        let Some(digits) = self.waiting.get(..4) else { return Ok(None) };
        let length = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let packet = match length {
            Some(0) => Packet::Flush,
            Some(1) => Packet::Delimiter,
            Some(length @ 4..=MOST_PACKET_BYTES) => match self.waiting.get(4..length) {
                Some(data) => Packet::Data(data.to_vec()),
                None => return Ok(None),
            },
            _ => return Err(unknown("what it says is not git's protocol")),
        };
        self.waiting.drain(..length.unwrap_or(0).max(4));
        Ok(Some(packet))
    }

    /// The packets of a whole message.
    pub(super) fn all(message: &[u8]) -> Result<Vec<Packet>, SourceError> {
        let mut packets = Self { waiting: message.to_vec() };
        let mut all = Vec::new();
        while let Some(packet) = packets.next()? {
            all.push(packet);
        }
        Ok(all)
    }
}

/// An answer that is none.
pub(super) fn unknown(problem: &str) -> SourceError {
    SourceError::Rejected { answer: format!("as no git server of protocol version 2 does: {problem}") }
}

/// What a server can do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// Whether it leaves objects out that are not asked for (`uploadpack.allowFilter`).
    pub(super) filter: bool,
}

/// Reads what a server says of itself.
pub(super) fn capabilities(message: &[u8]) -> Result<Capabilities, SourceError> {
    let (mut version_2, mut capabilities) = (false, Capabilities::default());
    for packet in Packets::all(message)? {
        let Packet::Data(line) = packet else { continue };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        match line.split_once('=').unwrap_or((&line, "")) {
            ("version 2", _) => version_2 = true,
            ("fetch", features) => capabilities.filter = features.split(' ').any(|feature| feature == "filter"),
            ("object-format", format) if format != "sha1" => {
                return Err(unknown(&format!("its objects are named by {format}")));
            }
            _ => {}
        }
    }
    match version_2 {
        true => Ok(capabilities),
        false => Err(unknown("it knows older versions only")),
    }
}

fn line(message: &mut Vec<u8>, text: &str) {
    message.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

/// Asks which commit a name stands for: `HEAD`, a branch, a tag, or a whole name below `refs/`.
pub(super) fn ask_for_refs(name: &str) -> Vec<u8> {
    let mut message = Vec::new();
    line(&mut message, "command=ls-refs");
    message.extend_from_slice(b"0001");
    line(&mut message, "peel");
    for candidate in candidates(name) {
        line(&mut message, &format!("ref-prefix {candidate}"));
    }
    message.extend_from_slice(b"0000");
    message
}

/// Whole names that a short one may stand for, the first one that is there counts.
fn candidates(name: &str) -> Vec<String> {
    match name {
        "HEAD" => vec![name.to_owned()],
        name if name.starts_with("refs/") => vec![name.to_owned()],
        name => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
    }
}

/// The object that the name stands for, in hexadecimal digits; a tag's is what it points to.
pub(super) fn object_of(name: &str, answer: &[u8]) -> Result<Option<String>, SourceError> {
    let mut refs = Vec::new();
    for packet in Packets::all(answer)? {
        let Packet::Data(line) = packet else { continue };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut words = line.split(' ');
        if let (Some(object), Some(found)) = (words.next(), words.next()) {
            let peeled = words.find_map(|word| word.strip_prefix("peeled:"));
            refs.push((found.to_owned(), peeled.unwrap_or(object).to_owned()));
        }
    }
    let object =
        |candidate: &String| refs.iter().find(|(found, _)| found == candidate).map(|(_, object)| object.clone());
    Ok(candidates(name).iter().find_map(object))
}

/// Asks for objects: a commit without its past, or files by themselves.
pub(super) fn ask_for_objects(object: &str, shallow: bool, filter: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    line(&mut message, "command=fetch");
    message.extend_from_slice(b"0001");
    line(&mut message, "no-progress");
    line(&mut message, "ofs-delta");
    if shallow {
        line(&mut message, "deepen 1");
    }
    if let Some(filter) = filter {
        line(&mut message, &format!("filter {filter}"));
    }
    line(&mut message, &format!("want {object}"));
    line(&mut message, "done");
    message.extend_from_slice(b"0000");
    message
}

/// What an answer to [`ask_for_objects`] brings, packet by packet.
#[derive(Default)]
pub(super) struct PackReader {
    packets: Packets,
    in_pack: bool,
    ended: bool,
}

impl PackReader {
    /// Takes the next bytes of the answer, and gives those of the pack that are in them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<u8>, SourceError> {
        self.packets.push(bytes);
        let mut pack = Vec::new();
        while let Some(packet) = self.packets.next()? {
            match (self.in_pack, packet) {
                (true, Packet::Flush) => self.ended = true,
                (true, Packet::Data(data)) => match data.split_first() {
                    Some((1, data)) => pack.extend_from_slice(data),
                    Some((3, message)) => return Err(complaint(message)),
                    _ => {}
                },
                (false, Packet::Data(data)) if data == b"packfile\n" => self.in_pack = true,
                (false, Packet::Data(data)) => {
                    if let Some(message) = data.strip_prefix(b"ERR ") {
                        return Err(complaint(message));
                    }
                }
                _ => {}
            }
        }
        Ok(pack)
    }

    /// Whether the pack came to its end.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }
}

fn complaint(message: &[u8]) -> SourceError {
    SourceError::Rejected { answer: format!("'{}'", String::from_utf8_lossy(message).trim()) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn packets_are_cut_however_they_arrive() {
        let stream = b"0009hello0001000ebig packet0000";
        let mut packets = Packets::default();
        let mut found = Vec::new();
        for byte in stream {
            packets.push(&[*byte]);
            found.extend(packets.next().unwrap());
        }
        let data = |text: &str| Packet::Data(text.as_bytes().to_vec());
        assert_eq!(found, [data("hello"), Packet::Delimiter, data("big packet"), Packet::Flush]);
    }

    #[rstest]
    #[case(b"<htm".as_slice())]
    #[case(b"fffftoo long")]
    #[case(b"0003")]
    fn what_is_no_packet_is_refused(#[case] stream: &[u8]) {
        assert!(Packets::all(stream).is_err());
    }

    #[rstest]
    #[case::filter(&["version 2", "agent=git/2", "fetch=shallow wait-for-done filter"], Ok(true))]
    #[case::no_filter(&["version 2", "fetch=shallow", "object-format=sha1"], Ok(false))]
    #[case::old(&["abc HEAD"], Err("older versions only"))]
    #[case::sha256(&["version 2", "object-format=sha256"], Err("named by sha256"))]
    fn servers(#[case] lines: &[&str], #[case] expected: Result<bool, &str>) {
        let mut message = Vec::new();
        lines.iter().for_each(|text| line(&mut message, text));
        match (capabilities(&message), expected) {
            (Ok(found), Ok(filter)) => assert_eq!(found.filter, filter),
            (Err(error), Err(problem)) => assert!(error.to_string().contains(problem), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[rstest]
    #[case("HEAD", Some("1"))]
    #[case("main", Some("2"))]
    #[case::tag_of_a_tag("v1", Some("5"))]
    #[case::branch_before_tag("both", Some("6"))]
    #[case::whole_name("refs/tags/both", Some("7"))]
    #[case("gone", None)]
    fn names(#[case] name: &str, #[case] object: Option<&str>) {
        let mut answer = Vec::new();
        for text in [
            "1 HEAD",
            "2 refs/heads/main",
            "3 refs/heads/main2",
            "4 refs/tags/v1 peeled:5",
            "6 refs/heads/both",
            "7 refs/tags/both",
        ] {
            line(&mut answer, text);
        }
        assert_eq!(object_of(name, &answer).unwrap().as_deref(), object);
    }

    #[test]
    fn a_pack_is_taken_out_of_its_bands() {
        let mut answer = Vec::new();
        line(&mut answer, "shallow-info");
        answer.extend_from_slice(b"0001");
        line(&mut answer, "packfile");
        answer.extend_from_slice(b"0009\x01PACK000b\x02noise!0006\x01x0000");
        let mut reader = PackReader::default();
        assert_eq!(reader.take(&answer[..20]).unwrap(), b"");
        assert_eq!(reader.take(&answer[20..]).unwrap(), b"PACKx");
        assert!(reader.ended());
        let error = PackReader::default().take(b"0014ERR not our ref\n").unwrap_err();
        assert_eq!(error.to_string(), "the server answers 'not our ref'");
    }
}
