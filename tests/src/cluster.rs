//! How the suites reach the cluster: KUBECONFIG for the client, `kubectl` and `helm` on PATH. Runs programs.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kube::{Client, Config, config::KubeConfigOptions};
use thiserror::Error;

/// Why a program failed.
#[derive(Debug, Error)]
#[error("`{command}` failed: {said}")]
pub struct ProgramError {
    /// The command line.
    pub command: String,
    /// What it said.
    pub said: String,
}

/// A client of the cluster under test.
///
/// # Panics
/// If there is none: the suites never pass without a cluster.
pub(crate) async fn client() -> Client {
    of(config().await)
}

/// A client that acts as another user.
///
/// # Panics
/// As [`client`].
pub(crate) async fn client_as(user: &str) -> Client {
    let mut config = config().await;
    config.auth_info.impersonate = Some(user.to_owned());
    of(config)
}

async fn config() -> Config {
    // never a cluster that somebody happens to be logged in to
    assert!(
        env::var_os("KUBECONFIG").is_some(),
        "KUBECONFIG is not set: run `just test`, which brings up a kind cluster and sets it (for one suite: `just test --test recovery`)"
    );
    let config = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    config.expect("KUBECONFIG cannot be read: run `just test`, which sets it")
}

fn of(config: Config) -> Client {
    Client::try_from(config).expect("KUBECONFIG cannot be used: run `just test`, which sets it")
}

/// Image under test, by the environment variable that names it.
#[must_use]
pub fn image(variable: &str) -> String {
    env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `just test`, which builds the images and sets it"))
}

/// A path of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs a program with `input`, and returns what it prints.
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, ProgramError> {
    let error = |said: String| ProgramError { command: format!("{program} {}", arguments.join(" ")), said };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|problem| error(format!("{problem}; run `just test`, which installs it")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|problem| error(problem.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|problem| error(problem.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Err(error(said.trim().to_owned()))
}

/// Runs `kubectl`.
///
/// # Errors
/// If it cannot be run or ends with another code than 0.
pub fn kubectl(arguments: &[&str]) -> Result<String, ProgramError> {
    run("kubectl", arguments, "")
}

/// Runs `kubectl` with `input`, for instance a manifest.
///
/// # Errors
/// As [`kubectl`].
pub fn kubectl_with(arguments: &[&str], input: &str) -> Result<String, ProgramError> {
    run("kubectl", arguments, input)
}
