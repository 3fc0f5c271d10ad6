//! A stand-in for an embedding provider, no real one: it speaks OpenAI's `POST …/embeddings`, makes vectors out of
//! hashes, and fails as a script tells it to. Serves HTTP.
//!
//! Beside its embeddings it takes a script (`POST /script`, a [`Script`] in JSON) and tells what it was asked
//! (`GET /counts`, [`Counts`]). Texts fail by what they hold, whatever the script: see [`POISON`], [`NOT_FINITE`], [`LONG`].

mod answer;
mod bucket;
mod script;
mod server;
mod tls;
mod vectors;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::serve::Listener;
use tokio::{net::TcpListener, task::JoinHandle};

use bucket::Bucket;
pub use script::{Counts, Fault, Script};
pub use vectors::vector;

/// A request with a text that holds this is refused: 400.
pub const POISON: &str = "[[poison]]";
/// The vector of a text that holds this is not finite.
pub const NOT_FINITE: &str = "[[nan]]";
/// A request with a text that holds this is refused as too long: 400 with the code `context_length_exceeded`.
pub const LONG: &str = "[[long]]";

/// What the server goes by, and what it has seen.
#[derive(Debug, Default)]
struct State {
    script: Script,
    counts: Counts,
    bucket: Bucket,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct FaultProvider {
    scheme: &'static str,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<io::Result<()>>,
}

impl FaultProvider {
    /// Starts a server; port 0 stands for any free one.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start(address: SocketAddr, script: Script) -> io::Result<Self> {
        Self::serve("http", TcpListener::bind(address).await?, script)
    }

    /// As [`FaultProvider::start`], by TLS, with a certificate that only those trust who are given it: it is returned in
    /// PEM.
    ///
    /// # Errors
    /// If the address cannot be listened on, or no certificate be made.
    pub async fn start_tls(address: SocketAddr, script: Script) -> io::Result<(Self, String)> {
        let (listener, certificate) = tls::TlsListener::new(TcpListener::bind(address).await?, address.ip())?;
        Ok((Self::serve("https", listener, script)?, certificate))
    }

    fn serve<L>(scheme: &'static str, listener: L, script: Script) -> io::Result<Self>
    where
        L: Listener<Addr = SocketAddr>,
    {
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let router = server::router(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { scheme, address, state, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL, as a provider's settings want it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// Another script; counts begin anew.
    pub fn play(&self, script: Script) {
        *locked(&self.state) = State { script, ..State::default() };
    }

    /// What was asked since the script began.
    #[must_use]
    pub fn counts(&self) -> Counts {
        locked(&self.state).counts.clone()
    }

    /// Serves until the server ends, which it does not by itself.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn run(mut self) -> io::Result<()> {
        (&mut self.task).await.map_err(io::Error::other)?
    }
}

impl Drop for FaultProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
