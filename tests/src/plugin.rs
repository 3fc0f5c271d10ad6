//! The kubectl plugin, as a user of a namespace runs it. Runs that program.

use std::{env, path::PathBuf, process::Command};

use crate::sandbox::Sandbox;

/// What the plugin has said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
}

impl Sandbox {
    /// Runs `kubectl lexigram` in the namespace.
    ///
    /// # Panics
    /// If it cannot be run.
    #[must_use]
    pub fn plugin(&self, arguments: &[&str]) -> Said {
        let program = program();
        let output = Command::new(&program).args(arguments).args(["--namespace", &self.namespace]).output();
        let output =
            output.unwrap_or_else(|error| panic!("{}: {error}; `cargo build --bins` makes it", program.display()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// The plugin of this build: beside the folder with the tests.
fn program() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("kubectl-lexigram")
}
