//! A web server on this machine: files with entity tags, redirects, failures, and a log of what was asked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use lexigram_api::{
    contract::{NetworkAccess, SourceLocation},
    source::Crawl,
};
use sha2::{Digest, Sha256};

/// What stands at a path.
#[derive(Clone)]
enum Entry {
    File(&'static str, Bytes),
    Redirect(String),
    Failure(StatusCode),
}

#[derive(Default)]
struct Content {
    entries: BTreeMap<String, Entry>,
    log: Vec<String>,
}

/// A server and what it serves.
pub struct WebServer {
    pub origin: String,
    content: Arc<Mutex<Content>>,
}

impl WebServer {
    pub async fn start() -> Self {
        lexigram_worker::install_tls_provider();
        let content = Arc::new(Mutex::new(Content::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&content));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, content }
    }

    /// A file; `{origin}` in its text is replaced.
    pub fn file(&self, path: &str, text: &str) {
        self.bytes(path, text.replace("{origin}", &self.origin).into_bytes());
    }

    pub fn bytes(&self, path: &str, bytes: impl Into<Bytes>) {
        let media_type = match path.rsplit('.').next() {
            Some("txt") => "text/plain",
            Some("xml") => "application/xml",
            Some("gz") => "application/gzip",
            _ => "text/html; charset=utf-8",
        };
        self.set(path, Entry::File(media_type, bytes.into()));
    }

    pub fn redirect(&self, path: &str, target: &str) {
        self.set(path, Entry::Redirect(target.to_owned()));
    }

    pub fn fail(&self, path: &str, status: u16) {
        self.set(path, Entry::Failure(StatusCode::from_u16(status).unwrap()));
    }

    pub fn remove(&self, path: &str) {
        self.content.lock().unwrap().entries.remove(path);
    }

    fn set(&self, path: &str, entry: Entry) {
        self.content.lock().unwrap().entries.insert(path.to_owned(), entry);
    }

    /// Requests since the last time, for instance `GET /a.html`, in alphabetical order.
    pub fn take_log(&self) -> Vec<String> {
        let mut log = std::mem::take(&mut self.content.lock().unwrap().log);
        log.sort();
        log
    }

    /// This server as a source.
    pub fn source(&self, paths: &[&str], crawl: Option<Crawl>) -> SourceLocation {
        SourceLocation::Http {
            urls: paths.iter().map(|path| format!("{}{path}", self.origin)).collect(),
            crawl,
            headers_directory: None,
            access: NetworkAccess { allow_local_addresses: true, ca_file: None },
        }
    }

    /// Names of documents without the origin.
    pub fn paths(&self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        names.into_iter().map(|name| name.strip_prefix(&self.origin).unwrap().to_owned()).collect()
    }
}

async fn answer(State(content): State<Arc<Mutex<Content>>>, method: Method, uri: Uri) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    let mut content = content.lock().unwrap();
    content.log.push(format!("{method} {path}"));
    match content.entries.get(&path).cloned() {
        Some(Entry::File(media_type, bytes)) => {
            let tag: String = Sha256::digest(&bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            let headers = [(header::CONTENT_TYPE, media_type.to_owned()), (header::ETAG, format!("\"{tag}\""))];
            let body = if method == Method::HEAD { Bytes::new() } else { bytes };
            (headers, body).into_response()
        }
        Some(Entry::Redirect(target)) => (StatusCode::FOUND, [(header::LOCATION, target)]).into_response(),
        Some(Entry::Failure(status)) => status.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
