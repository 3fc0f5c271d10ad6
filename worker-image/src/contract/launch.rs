//! Runs a worker as its pod does, and looks at it as operator and kubelet do. Starts a process, asks it over loopback,
//! reads and writes files in a temporary folder.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use lexigram_api::{
    contract::{
        LISTEN_VARIABLE, PROGRESS_BYTES, TERMINATION_LOG_VARIABLE, TERMINATION_MESSAGE_BYTES, WORK_SPEC_VARIABLE,
    },
    failure::FailureCategory,
};
use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use thiserror::Error;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, sleep_until},
};

use super::{Finding, message};
use crate::failure::Classified;

/// Seconds that Kubernetes gives a worker from SIGTERM to SIGKILL.
pub(super) const GRACE_SECONDS: u64 = 30;
/// How long the operator waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a worker cannot be run.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// There is no temporary folder, or no port.
    #[error("no place to run a worker in: {0}")]
    Place(#[from] io::Error),
    /// The HTTP client cannot be set up.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The program does not start.
    #[error("'{program}' cannot be started: {problem}; give the command as in the ENTRYPOINT of its image")]
    Program {
        /// What was to be started.
        program: String,
        /// Why it was not.
        problem: io::Error,
    },
}

impl Classified for LaunchError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Place(_) | Self::Client(_) => FailureCategory::Transient,
            Self::Program { .. } => FailureCategory::Configuration,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Place(_) => "NoPlace",
            Self::Client(_) => "NoHttpClient",
            Self::Program { .. } => "ProgramNotStarted",
        }
    }
}

/// How a worker's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It did not, in so many seconds.
    TimedOut(u64),
}

/// What `GET /progress` was answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing, ever.
    #[default]
    Nothing,
    /// Another status than 200.
    Refused(u16),
    /// Something that is wrong.
    Faulty(Vec<Finding>),
    /// Nothing but good messages.
    Good,
}

impl Heard {
    /// The first fault counts; a refusal only until there is an answer.
    fn hear(&mut self, status: StatusCode, body: &[u8], run: &str) {
        if matches!(self, Self::Faulty(_)) || (*self == Self::Good && status != StatusCode::OK) {
            return;
        }
        if status != StatusCode::OK {
            *self = Self::Refused(status.as_u16());
            return;
        }
        let findings = message::progress(body, Some(run));
        *self = if findings.is_empty() { Self::Good } else { Self::Faulty(findings) };
    }
}

/// What was seen of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// How it ended.
    pub end: End,
    /// Whether `GET /healthz` was answered with 200.
    pub healthy: bool,
    /// What `GET /progress` was answered with.
    pub progress: Heard,
    /// What it left as its report.
    pub report: Vec<u8>,
}

/// The place of a worker: what its pod would give to it.
pub(super) struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// A folder that goes with the pod.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the worker to its end. With `interrupt` it is sent SIGTERM as soon as it answers.
    pub(super) async fn run(
        &self,
        command: &[String],
        spec: &Value,
        run: &str,
        interrupt: bool,
        timeout: Duration,
    ) -> Result<Seen, LaunchError> {
        let client = Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().build()?;
        // free at this moment; whoever takes it meanwhile makes the check fail, and it can be made again
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut worker = self.start(command, spec, address)?;
        let process = worker.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let mut seen = Seen {
            end: End::TimedOut(timeout.as_secs()),
            healthy: false,
            progress: Heard::default(),
            report: Vec::new(),
        };
        let mut deadline = Instant::now() + timeout;
        let mut interrupted = false;
        loop {
            tokio::select! {
                status = worker.wait() => {
                    seen.end = end(status?);
                    break;
                }
                () = sleep_until(deadline) => break,
                () = look(&client, address, run, &mut seen) => {}
            }
            if interrupt && !interrupted && seen.healthy {
                interrupted = true;
                seen.end = End::TimedOut(GRACE_SECONDS);
                deadline = Instant::now() + Duration::from_secs(GRACE_SECONDS);
                // only the first process, as in a container
                process.map(|process| kill_process(process, Signal::TERM));
            }
        }
        // and whatever else it has started; an error says that there is nothing left
        let _gone = process.map(|process| kill_process_group(process, Signal::KILL));
        // a cut report is as wrong as the whole one
        let longest = u64::try_from(TERMINATION_MESSAGE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        File::open(self.report())?.take(longest).read_to_end(&mut seen.report)?;
        Ok(seen)
    }

    fn start(&self, command: &[String], spec: &Value, address: SocketAddr) -> Result<Child, LaunchError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(LaunchError::Program {
                program: String::new(),
                problem: io::Error::from(io::ErrorKind::NotFound),
            });
        };
        let work_spec = self.folder().join("work.json");
        fs::write(&work_spec, spec.to_string())?;
        fs::write(self.report(), "")?;
        Command::new(program)
            .args(arguments)
            .arg("run")
            .env("HOME", self.folder())
            .env("TMPDIR", self.folder())
            .env(WORK_SPEC_VARIABLE, work_spec)
            .env(LISTEN_VARIABLE, address.to_string())
            .env(TERMINATION_LOG_VARIABLE, self.report())
            .stdin(Stdio::null())
            // what is printed are findings
            .stdout(io::stderr())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|problem| LaunchError::Program { program: program.clone(), problem })
    }

    fn report(&self) -> std::path::PathBuf {
        self.folder().join("termination-log")
    }
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Killed(signal.unwrap_or_default()),
    }
}

/// One look at a worker, and a pause.
async fn look(client: &Client, address: SocketAddr, run: &str, seen: &mut Seen) {
    if let Some((status, body)) = ask(client, address, "progress").await {
        seen.progress.hear(status, &body, run);
    }
    if !seen.healthy {
        seen.healthy = ask(client, address, "healthz").await.is_some_and(|(status, _)| status == StatusCode::OK);
    }
    sleep(PAUSE).await;
}

/// The answer to a request, no longer than can be told to be too long; nothing where there is none.
async fn ask(client: &Client, address: SocketAddr, path: &str) -> Option<(StatusCode, Vec<u8>)> {
    let mut response = client.get(format!("http://{address}/{path}")).send().await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > PROGRESS_BYTES {
            break;
        }
    }
    Some((response.status(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::failure::tests::classification!(each_error_has_its_category: LaunchError {
        LaunchError::Place(_) = LaunchError::Place(io::Error::other("full")) => Transient, "NoPlace";
        LaunchError::Client(_) = LaunchError::Client(no_client()) => Transient, "NoHttpClient";
        LaunchError::Program { .. } = LaunchError::Program { program: "worker".to_owned(), problem: io::Error::other("no") } => Configuration, "ProgramNotStarted";
    });

    fn no_client() -> reqwest::Error {
        Client::builder().user_agent("\n").build().unwrap_err()
    }

    #[test]
    fn the_first_fault_is_kept_and_a_refusal_is_not() {
        let good =
            br#"{"contractVersion": "v1alpha1", "run": "r1", "phase": "Working", "heartbeat": "2027-01-15T08:00:00Z",
            "started": "2027-01-15T08:00:00Z", "counts": {}, "recentFailures": []}"#;
        let mut heard = Heard::default();
        heard.hear(StatusCode::SERVICE_UNAVAILABLE, b"", "r1");
        assert_eq!(heard, Heard::Refused(503));
        heard.hear(StatusCode::OK, good, "r1");
        assert_eq!(heard, Heard::Good);
        heard.hear(StatusCode::OK, b"soon", "r1");
        heard.hear(StatusCode::OK, good, "r1");
        assert!(matches!(&heard, Heard::Faulty(findings) if findings.len() == 1), "{heard:?}");
    }
}
