//! The parent's side: a bounded number of parser processes, each used again until it fails or has done its share.
//! Starts and kills processes.

use std::{
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

use super::{
    super::{MAX_TEXT_BYTES, ParseError, Parsed},
    CHILD_ARGUMENT, Limits,
    confine::Confinement,
    protocol::{MAX_HEADER_BYTES, Reply, Request},
    verdict::verdict,
};
use crate::content::Content;

/// How much of a dead parser's last words is read.
const LAST_WORDS_BYTES: u64 = 4096;

/// Free memory above which a parser gives it back to the kernel.
const TRIM_BYTES: &str = "1048576";

/// How long a parser that has broken off may take to end.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);

/// Parser processes.
pub struct ParserPool {
    executable: PathBuf,
    limits: Limits,
    places: Semaphore,
    idle: Mutex<Vec<ParserProcess>>,
    /// Said once: the kernel is the same for all of them.
    confinement_told: Once,
}

/// A running parser; dropping it kills it.
struct ParserProcess {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    documents: u32,
}

impl ParserPool {
    /// Up to `size` processes of this very program.
    ///
    /// # Errors
    /// If the program cannot find its own file.
    pub fn new(limits: Limits, size: usize) -> io::Result<Self> {
        Ok(Self::with_executable(std::env::current_exe()?, limits, size))
    }

    /// Up to `size` processes of a program that understands [`CHILD_ARGUMENT`].
    #[must_use]
    pub fn with_executable(executable: PathBuf, limits: Limits, size: usize) -> Self {
        Self { executable, limits, places: Semaphore::new(size), idle: Mutex::default(), confinement_told: Once::new() }
    }

    /// Parses a document in one of the processes, waiting for a free one.
    ///
    /// # Errors
    /// What the parser says of the document, or how its process ended.
    pub async fn parse(&self, name: &str, media_type: Option<&str>, content: &Content) -> Result<Parsed, ParseError> {
        let _place = self.places.acquire().await.map_err(|error| no_process(&error))?;
        let mut process = match self.take_idle() {
            Some(process) => process,
            None => self.start().map_err(|error| no_process(&error))?,
        };
        let request = Request {
            name: name.to_owned(),
            media_type: media_type.map(str::to_owned),
            size: content.size(),
            cpu_seconds: self.limits.deadline.as_secs(),
        };
        match timeout(self.limits.deadline, self.exchange(&mut process, &request, content)).await {
            Ok(Ok(result)) => {
                process.documents += 1;
                if process.documents < self.limits.documents {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
                }
                result
            }
            Ok(Err(problem)) => Err(self.post_mortem(process, &problem).await),
            Err(_elapsed) => Err(ParseError::Timeout { seconds: self.limits.deadline.as_secs() }),
        }
    }

    /// Sends a document and reads the reply, both at once: a parser may end before it has read everything.
    async fn exchange(
        &self,
        process: &mut ParserProcess,
        request: &Request,
        content: &Content,
    ) -> io::Result<Result<Parsed, ParseError>> {
        let ParserProcess { child: _, input, output, documents } = process;
        let send = async {
            let header = serde_json::to_vec(request)?;
            input.write_u32(u32::try_from(header.len()).map_err(io::Error::other)?).await?;
            input.write_all(&header).await?;
            content.send(input).await?;
            input.flush().await
        };
        let receive = async {
            if *documents == 0 {
                let confinement: Confinement = receive_header(output).await?;
                self.confinement_told.call_once(|| confinement.tell());
            }
            receive(output).await
        };
        let ((), result) = tokio::try_join!(send, receive)?;
        Ok(result)
    }

    /// A process that waits for work. One that died while it waited must not be held against the next document.
    fn take_idle(&self) -> Option<ParserProcess> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop())
            .find_map(|mut process| matches!(process.child.try_wait(), Ok(None)).then_some(process))
    }

    fn start(&self) -> io::Result<ParserProcess> {
        let mut child = Command::new(&self.executable)
            .arg(CHILD_ARGUMENT)
            .arg(self.limits.memory_bytes.to_string())
            .env_clear()
            // glibc's allocator otherwise keeps for an idle parser what its largest document took
            .env("MALLOC_TRIM_THRESHOLD_", TRIM_BYTES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes to the process"));
        };
        Ok(ParserProcess { child, input, output, documents: 0 })
    }

    /// How a process came to break off.
    async fn post_mortem(&self, mut process: ParserProcess, problem: &io::Error) -> ParseError {
        let mut last_words = Vec::new();
        if let Some(stderr) = process.child.stderr.take() {
            let mut stderr = stderr.take(LAST_WORDS_BYTES);
            if timeout(LAST_WORDS_TIMEOUT, stderr.read_to_end(&mut last_words)).await.is_err() {
                return ParseError::Crashed { problem: problem.to_string() };
            }
        }
        // changes nothing for a process that is about to end by itself, and ends any other
        let _already_dead = process.child.start_kill();
        match process.child.wait().await {
            Ok(status) => verdict(status, &String::from_utf8_lossy(&last_words), &self.limits),
            Err(error) => no_process(&error),
        }
    }
}

async fn receive(output: &mut ChildStdout) -> io::Result<Result<Parsed, ParseError>> {
    let header = match receive_header::<Reply>(output).await? {
        Ok(header) if header.size <= MAX_TEXT_BYTES => header,
        Ok(_) => return Err(io::Error::other("its reply is too long")),
        Err(error) => return Ok(Err(error)),
    };
    let mut text = vec![0; header.size];
    output.read_exact(&mut text).await?;
    Ok(Ok(header.with_text(String::from_utf8(text).map_err(io::Error::other)?)))
}

async fn receive_header<T: DeserializeOwned>(output: &mut ChildStdout) -> io::Result<T> {
    let length = output.read_u32().await?;
    if length > MAX_HEADER_BYTES {
        return Err(io::Error::other("its reply is too long"));
    }
    let mut header = vec![0; length as usize];
    output.read_exact(&mut header).await?;
    Ok(serde_json::from_slice(&header)?)
}

fn no_process(error: &dyn std::fmt::Display) -> ParseError {
    ParseError::NoProcess { problem: error.to_string() }
}
