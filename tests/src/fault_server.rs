//! A web server in the test's process that fails as told: what a source on the network does on a bad day. Serves HTTP on
//! the one address of this machine by which the cluster's nodes are reached.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use tokio::{net::TcpSocket, task::JoinHandle};

/// Connections that may wait to be taken.
const BACKLOG: u32 = 1024;

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// That status, and nothing else.
    Status(u16),
    /// A text.
    Text(String),
    /// An HTML page.
    Html(String),
    /// A text for those that send this value of `Authorization`, else 401.
    TextFor(String, String),
    /// So many mebibytes of text, without saying beforehand how many.
    Endless(usize),
    /// A file.
    File(Vec<u8>),
    /// Nothing, as long as the client waits.
    Never,
}

/// What one path answers, and what it was sent.
#[derive(Default)]
struct Path {
    answers: VecDeque<Answer>,
    received: Vec<String>,
}

type Script = Arc<Mutex<BTreeMap<String, Path>>>;

/// A server that runs, or will; it ends when this is dropped.
pub struct FaultServer {
    address: SocketAddr,
    script: Script,
    /// Has the port for itself, and refuses connections as long as nobody listens.
    down: Option<TcpSocket>,
    task: Option<JoinHandle<()>>,
}

/// An address of this machine, with any free port, at which pods reach a server.
///
/// # Panics
/// If no node of the cluster can be reached from here.
pub async fn address(client: &Client) -> SocketAddr {
    let nodes = Api::<Node>::all(client.clone()).list(&Default::default()).await.unwrap();
    let addresses = nodes.items.iter().filter_map(|node| node.status.as_ref()?.addresses.as_ref()).flatten();
    let mut internal = addresses.filter(|address| address.type_ == "InternalIP");
    let node: IpAddr = internal.next().expect("no node has an InternalIP").address.parse().unwrap();
    // no packet is sent: this only asks which of our addresses the way to the node begins at
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    probe.connect((node, 9)).unwrap();
    (probe.local_addr().unwrap().ip(), 0).into()
}

impl FaultServer {
    /// Starts a server that pods reach.
    ///
    /// # Panics
    /// As [`address`].
    pub async fn start(client: &Client) -> Self {
        let mut server = Self::down(client).await;
        server.listen();
        server
    }

    /// A server that is down: connections are refused until it is told to listen.
    ///
    /// # Panics
    /// As [`address`].
    pub async fn down(client: &Client) -> Self {
        let address = address(client).await;
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        socket.bind(address).unwrap();
        Self { address: socket.local_addr().unwrap(), script: Script::default(), down: Some(socket), task: None }
    }

    /// Brings a server up that is down.
    ///
    /// # Panics
    /// If it is not.
    pub fn listen(&mut self) {
        let listener = self.down.take().unwrap().listen(BACKLOG).unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.script));
        self.task = Some(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                println!("the fault server has ended: {error}");
            }
        }));
    }

    /// The URL at which these answers are given, one after the other; the last one again and again.
    pub fn serve(&self, path: &str, answers: impl IntoIterator<Item = Answer>) -> String {
        let answers = answers.into_iter().collect();
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.entry(path.to_owned()).or_default().answers = answers;
        format!("http://{}{path}", self.address)
    }

    /// The bodies of all requests for a path so far, in their order.
    pub fn received(&self, path: &str) -> Vec<String> {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.get(path).map(|path| path.received.clone()).unwrap_or_default()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

async fn answer(State(script): State<Script>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    if method == Method::HEAD {
        // asked for by a listing; what is scripted is for those that want the document
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let answer = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        script.get_mut(uri.path()).and_then(|path| {
            path.received.push(body);
            if path.answers.len() > 1 { path.answers.pop_front() } else { path.answers.front().cloned() }
        })
    };
    let html = matches!(answer, Some(Answer::Html(_)));
    let (status, body) = match answer {
        None => (StatusCode::NOT_FOUND, Body::empty()),
        Some(Answer::Status(status)) => (StatusCode::from_u16(status).unwrap_or_default(), Body::empty()),
        Some(Answer::Text(text) | Answer::Html(text)) => (StatusCode::OK, Body::from(text)),
        Some(Answer::TextFor(credentials, text)) => {
            let given = headers.get("authorization").and_then(|value| value.to_str().ok());
            if given == Some(&credentials) {
                (StatusCode::OK, Body::from(text))
            } else {
                (StatusCode::UNAUTHORIZED, Body::empty())
            }
        }
        Some(Answer::File(content)) => (StatusCode::OK, Body::from(content)),
        Some(Answer::Never) => std::future::pending().await,
        Some(Answer::Endless(mebibytes)) => (StatusCode::OK, endless(mebibytes)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if html {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    }
    response
}

fn endless(mebibytes: usize) -> Body {
    let part = Bytes::from("All work and no play.\n".repeat(1 << 16).split_at(1 << 20).0.to_owned());
    Body::from_stream(stream::iter((0..mebibytes).map(move |_| Ok::<_, std::io::Error>(part.clone()))))
}
