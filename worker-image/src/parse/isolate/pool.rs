//! The parent's side: a bounded number of parser processes, each used again until it fails or has done its share.
//! Starts and kills processes.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

use super::{
    super::{ParseError, Parsed},
    CHILD_ARGUMENT, Limits,
    protocol::{MAX_MESSAGE_BYTES, Reply, Request},
};

/// How much of a dead parser's last words is read.
const LAST_WORDS_BYTES: u64 = 4096;

/// How long a parser that has broken off may take to end.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);

/// Parser processes.
pub struct ParserPool {
    executable: PathBuf,
    limits: Limits,
    places: Semaphore,
    idle: Mutex<Vec<ParserProcess>>,
}

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
        Self { executable, limits, places: Semaphore::new(size), idle: Mutex::default() }
    }

    /// Parses a document in one of the processes, waiting for a free one.
    ///
    /// # Errors
    /// What the parser says of the document, or how its process ended.
    pub async fn parse(&self, name: &str, media_type: Option<&str>, content: &[u8]) -> Result<Parsed, ParseError> {
        let _place = self.places.acquire().await.map_err(|error| no_process(&error))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut process = match idle {
            Some(process) => process,
            None => self.start().map_err(|error| no_process(&error))?,
        };
        match timeout(self.limits.deadline, process.exchange(name, media_type, content)).await {
            Ok(Ok(reply)) => {
                process.documents += 1;
                if process.documents < self.limits.documents {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
                }
                reply
            }
            Ok(Err(_broken_pipe)) => Err(self.post_mortem(process).await),
            // dropping the process kills it
            Err(_elapsed) => Err(ParseError::Timeout { seconds: self.limits.deadline.as_secs() }),
        }
    }

    fn start(&self) -> io::Result<ParserProcess> {
        let mut child = Command::new(&self.executable)
            .arg(CHILD_ARGUMENT)
            .arg(self.limits.memory_bytes.to_string())
            .env_clear()
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
    async fn post_mortem(&self, mut process: ParserProcess) -> ParseError {
        let mut last_words = Vec::new();
        if let Some(stderr) = process.child.stderr.take() {
            // a process that has closed its output but does not end is killed
            let mut stderr = stderr.take(LAST_WORDS_BYTES);
            if timeout(LAST_WORDS_TIMEOUT, stderr.read_to_end(&mut last_words)).await.is_err() {
                let _already_dead = process.child.start_kill();
            }
        }
        let last_words = String::from_utf8_lossy(&last_words).trim().to_owned();
        match process.child.wait().await {
            Ok(status) => verdict(status, &last_words, self.limits.memory_bytes),
            Err(error) => no_process(&error),
        }
    }
}

impl ParserProcess {
    /// Sends a document and reads the reply. Both at once: a parser may answer before it has read everything.
    async fn exchange(&mut self, name: &str, media_type: Option<&str>, content: &[u8]) -> io::Result<Reply> {
        let request = Request {
            name: name.to_owned(),
            media_type: media_type.map(str::to_owned),
            size: u64::try_from(content.len()).map_err(io::Error::other)?,
        };
        let header = serde_json::to_vec(&request)?;
        let (input, output) = (&mut self.input, &mut self.output);
        let send = async {
            input.write_all(&u32::try_from(header.len()).map_err(io::Error::other)?.to_be_bytes()).await?;
            input.write_all(&header).await?;
            input.write_all(content).await?;
            input.flush().await
        };
        let receive = async {
            let length = output.read_u32().await?;
            if length > MAX_MESSAGE_BYTES {
                return Err(io::Error::other("the reply is too long"));
            }
            let mut reply = vec![0; length as usize];
            output.read_exact(&mut reply).await?;
            Ok(reply)
        };
        let ((), reply) = tokio::try_join!(send, receive)?;
        Ok(serde_json::from_slice(&reply)?)
    }
}

/// What the end of a parser process says of its document. Rust's allocator announces that memory ran out, and then
/// aborts; SIGKILL that we did not send comes from the kernel's OOM killer.
fn verdict(status: ExitStatus, last_words: &str, memory_bytes: u64) -> ParseError {
    const SIGKILL: i32 = 9;
    if last_words.contains("memory allocation of") || (status.signal() == Some(SIGKILL) && last_words.is_empty()) {
        return ParseError::OutOfMemory { mebibytes: memory_bytes / (1024 * 1024) };
    }
    let problem = match last_words.lines().find(|line| !line.is_empty()) {
        Some(line) => line.chars().take(200).collect(),
        None => status.to_string(),
    };
    ParseError::Crashed { problem }
}

fn no_process(error: &dyn std::fmt::Display) -> ParseError {
    ParseError::NoProcess { problem: error.to_string() }
}
