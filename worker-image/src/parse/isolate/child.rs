//! The child's side: limits itself, then parses what comes on standard input until that ends. Reads standard input,
//! writes standard output.
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

use super::{
    super::parse_unprotected,
    UNUSABLE_EXIT_CODE,
    protocol::{MAX_HEADER_BYTES, Reply, Request, TextHeader},
};

/// Files that a parser may have open: its three standard streams and a few for the runtime.
const OPEN_FILES: u64 = 16;

/// Runs the parser process until its parent closes standard input.
#[must_use]
pub fn child_main(memory_bytes: u64) -> ExitCode {
    match limit(memory_bytes).and_then(|()| serve(&mut io::stdin().lock(), &mut io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(UNUSABLE_EXIT_CODE)
        }
    }
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

fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    while let Some(header) = read_header(input)? {
        let request: Request = serde_json::from_slice(&header)?;
        limit_processor_time(request.cpu_seconds)?;
        let mut content = Vec::new();
        if input.take(request.size).read_to_end(&mut content)? as u64 != request.size {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (reply, text): (Reply, _) = match parse_unprotected(&request.name, request.media_type.as_deref(), &content)
        {
            Ok(parsed) => (Ok(TextHeader::of(&parsed)), parsed.text),
            Err(error) => (Err(error), String::new()),
        };
        let header = serde_json::to_vec(&reply)?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        output.write_all(&length.to_be_bytes())?;
        output.write_all(&header)?;
        output.write_all(text.as_bytes())?;
        output.flush()?;
    }
    Ok(())
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
