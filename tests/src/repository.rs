//! A git repository as somebody works with it: files are changed in a folder of this machine, and pushed. Runs `git`.

use std::fs;

use tempfile::TempDir;

use crate::cluster::run;

/// A folder with the branch `main` of a repository elsewhere.
pub struct Repository {
    folder: TempDir,
    remote: String,
}

impl Repository {
    /// An empty one; `receiver` is the command that takes what is pushed.
    pub(crate) fn new(receiver: &str) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap(), remote: format!("ext::{receiver}") };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Removes a file.
    ///
    /// # Panics
    /// If it is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// Commits everything that there is, and pushes it.
    ///
    /// # Panics
    /// If that is refused.
    pub fn push(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
        self.git(&["push", "--quiet", &self.remote, "main"]);
    }

    /// The object that something stands for, for instance `HEAD` or `HEAD:readme.md`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn object(&self, revision: &str) -> String {
        self.git(&["rev-parse", revision])
    }

    fn git(&self, arguments: &[&str]) -> String {
        let folder = self.folder.path().to_string_lossy();
        let own = ["-C", &folder, "-c", "user.name=Test", "-c", "user.email=test@example.com"];
        let words = [&own, ["-c", "protocol.ext.allow=always"].as_slice(), arguments].concat();
        run("git", &words, "").unwrap().trim().to_owned()
    }
}
