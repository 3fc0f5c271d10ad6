//! The child's side: limits and confines itself, tells how far that went, then parses what comes on standard input until
//! that ends. Reads standard input, writes standard output.
//!
//! The parent's death ends it too: between documents standard input ends, within one the processor time does. (The
//! kernel's parent-death signal is of no use: it tells of the death of the thread that started the child.)

use std::{
    io::{self, ErrorKind, Read, Write},
    process::ExitCode,
};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use serde::Serialize;

use super::{
    super::{ParseError, Parsed},
    UNUSABLE_EXIT_CODE,
    confine::confine,
    protocol::{MAX_HEADER_BYTES, Reply, Request, TextHeader},
};

/// Files that a parser may have open: its three standard streams and a few for the runtime.
const OPEN_FILES: u64 = 16;

/// What turns a document's name, media type and bytes into text, for instance [`super::super::parse_unprotected`].
type Parser = fn(&str, Option<&str>, &[u8]) -> Result<Parsed, ParseError>;

/// Runs the parser process until its parent closes standard input.
#[must_use]
pub fn child_main(memory_bytes: u64, parser: Parser) -> ExitCode {
    match work(memory_bytes, parser, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(UNUSABLE_EXIT_CODE)
        }
    }
}

fn work(memory_bytes: u64, parser: Parser, input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    limit(memory_bytes)?;
    // before the first document, so that none can have a say in it
    write_header(output, &confine())?;
    output.flush()?;
    serve(input, output, parser)
}

/// Gives up what parsing does not need, for good.
fn limit(memory_bytes: u64) -> io::Result<()> {
    let limits =
        [(Resource::As, memory_bytes), (Resource::Core, 0), (Resource::Fsize, 0), (Resource::Nofile, OPEN_FILES)];
    for (resource, value) in limits {
        // a limit that came with the container may be lower already, and cannot be raised
        let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    }
    Ok(())
}

/// Ends the process by SIGXCPU after so many more seconds of computing.
fn limit_processor_time(seconds: u64) -> io::Result<()> {
    let spent = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let maximum = getrlimit(Resource::Cpu).maximum;
    let end = spent.saturating_add(seconds).saturating_add(1);
    let current = Some(maximum.map_or(end, |maximum| maximum.min(end)));
    Ok(setrlimit(Resource::Cpu, Rlimit { current, maximum })?)
}

fn serve(input: &mut impl Read, output: &mut impl Write, parser: Parser) -> io::Result<()> {
    while let Some(header) = read_header(input)? {
        let request: Request = serde_json::from_slice(&header)?;
        limit_processor_time(request.cpu_seconds)?;
        let mut content = Vec::new();
        if input.take(request.size).read_to_end(&mut content)? as u64 != request.size {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (reply, text): (Reply, _) = match parser(&request.name, request.media_type.as_deref(), &content) {
            Ok(parsed) => (Ok(TextHeader::of(&parsed)), parsed.text),
            Err(error) => (Err(error), String::new()),
        };
        write_header(output, &reply)?;
        output.write_all(text.as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

fn write_header(output: &mut impl Write, header: &impl Serialize) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    output.write_all(&length.to_be_bytes())?;
    output.write_all(&header)
}

/// The next header; none where the input ends.
fn read_header(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length);
    if length > MAX_HEADER_BYTES {
        return Err(io::Error::other("the header is too long"));
    }
    let mut header = vec![0; length as usize];
    input.read_exact(&mut header)?;
    Ok(Some(header))
}
