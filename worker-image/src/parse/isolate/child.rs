//! The child's side: limits itself, then parses what comes on standard input until that ends. Reads standard input,
//! writes standard output.

use std::{
    io::{self, ErrorKind, Read, Write},
    process::ExitCode,
};

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::{
    super::parse_unprotected,
    protocol::{MAX_MESSAGE_BYTES, Reply, Request},
};

/// Files that a parser may have open: its three standard streams and a few for the runtime.
const OPEN_FILES: u64 = 16;

/// Runs the parser process until its parent closes standard input.
#[must_use]
pub fn child_main(memory_bytes: u64) -> ExitCode {
    match limit(memory_bytes).map_err(io::Error::from).and_then(|()| serve(&mut io::stdin().lock(), &mut io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parser process: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives up what parsing does not need, for good.
fn limit(memory_bytes: u64) -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let hard = |value| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::As, hard(memory_bytes))?;
    setrlimit(Resource::Core, hard(0))?;
    setrlimit(Resource::Fsize, hard(0))?;
    setrlimit(Resource::Nofile, hard(OPEN_FILES))
}

fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let length = u32::from_be_bytes(length);
        if length > MAX_MESSAGE_BYTES {
            return Err(io::Error::other("the header is too long"));
        }
        let mut header = vec![0; length as usize];
        input.read_exact(&mut header)?;
        let request: Request = serde_json::from_slice(&header)?;
        let mut content = Vec::new();
        input.take(request.size).read_to_end(&mut content)?;
        let reply: Reply = parse_unprotected(&request.name, request.media_type.as_deref(), &content);
        let reply = serde_json::to_vec(&reply)?;
        let length = u32::try_from(reply.len()).map_err(io::Error::other)?;
        output.write_all(&length.to_be_bytes())?;
        output.write_all(&reply)?;
        output.flush()?;
    }
}
