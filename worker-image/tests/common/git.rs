//! A real git server on this machine: `git http-backend` behind a small CGI server, over repositories that `git` makes.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use lexigram_api::contract::{NetworkAccess, SourceLocation};
use serde_json::json;
use tokio::io::AsyncWriteExt;

/// A server with one repository, `docs.git`, on the branch `main`.
pub struct GitServer {
    folder: tempfile::TempDir,
    origin: String,
    state: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    /// What `Authorization` has to be.
    authorization: Mutex<Option<String>>,
    wants: Mutex<Vec<String>>,
}

impl GitServer {
    /// `filter`: whether the server leaves out what is not asked for, as the large ones do.
    pub async fn start(filter: bool) -> Self {
        lexigram_worker::install_tls_provider();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("docs.git");
        git(folder.path(), &["init", "--quiet", "--initial-branch=main", root.to_str().unwrap()]);
        git(&root, &["config", "uploadpack.allowFilter", if filter { "true" } else { "false" }]);
        git(&root, &["config", "http.receivepack", "false"]);
        let state = Arc::new(Shared {
            root: folder.path().to_owned(),
            authorization: Mutex::default(),
            wants: Mutex::default(),
        });
        let router = Router::new().fallback(backend).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { folder, origin, state }
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("docs.git")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.repository().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn link(&self, name: &str, target: &str) {
        symlink(target, self.repository().join(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.repository().join(name)).unwrap();
    }

    /// Commits everything that there is.
    pub fn commit(&self) {
        self.run(&["add", "--all"]);
        self.commit_index();
    }

    /// Commits what git has been told of.
    pub fn commit_index(&self) {
        self.run(&["commit", "--quiet", "--message", "change"]);
    }

    /// Runs git in the repository, and gives what it says.
    pub fn run(&self, arguments: &[&str]) -> String {
        git(&self.repository(), arguments)
    }

    /// From now on only this user is let in.
    pub fn require(&self, authorization: &str) {
        *self.state.authorization.lock().unwrap() = Some(authorization.to_owned());
    }

    /// The repository as a source.
    pub fn source(&self, reference: &str, path: &str) -> SourceLocation {
        let settings = json!({"url": format!("{}/docs.git", self.origin), "ref": reference, "path": path});
        SourceLocation::Git {
            settings: serde_json::from_value(settings).unwrap(),
            credentials_directory: None,
            access: NetworkAccess { allow_local_addresses: true, ca_file: None },
        }
    }

    /// Objects that were asked for since the last time.
    pub fn take_wants(&self) -> Vec<String> {
        std::mem::take(&mut self.state.wants.lock().unwrap())
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One request, as `git-http-backend(1)` has it.
async fn backend(
    State(state): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let required = state.authorization.lock().unwrap().clone();
    if required.is_some_and(|required| required != header("authorization")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let wants = text.lines().filter_map(|line| line.split_once("want ").map(|(_, object)| object.to_owned()));
    state.wants.lock().unwrap().extend(wants);
    let mut process = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &state.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(&body).await.unwrap();
    let output = process.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            name => response.header(name, value),
        };
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}
