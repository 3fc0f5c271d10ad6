//! A way to a server on this machine that the test can cut, and that speaks TLS if it is told to.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What leads to the server; it ends when this is dropped.
pub struct Proxy {
    pub port: u16,
    listening: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Proxy {
    /// Leads to that port.
    pub async fn start(to: u16) -> Self {
        Self::listen(to, None).await
    }

    /// As [`Self::start`], for Postgres by TLS with a certificate for `localhost`, which is returned in PEM.
    pub async fn start_tls(to: u16) -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        (Self::listen(to, Some(TlsAcceptor::from(Arc::new(config)))).await, made.cert.pem())
    }

    async fn listen(to: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let opened = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                opened.lock().unwrap().push(tokio::spawn(lead(client, to, tls.clone())));
            }
        });
        Self { port, listening, connections }
    }

    /// Cuts every connection there is; new ones are let through. Returns how many that were.
    pub fn cut(&self) -> usize {
        let cut = std::mem::take(&mut *self.connections.lock().unwrap());
        cut.iter().filter(|connection| !connection.is_finished()).map(JoinHandle::abort).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn lead(mut client: TcpStream, to: u16, tls: Option<TlsAcceptor>) {
    let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
    let Some(acceptor) = tls else { return pass(client, server).await };
    // SSLRequest: the client asks whether there is TLS, in eight bytes, and is told `S`
    let _asked = client.read_exact(&mut [0; 8]).await;
    if client.write_all(b"S").await.is_ok()
        && let Ok(client) = acceptor.accept(client).await
    {
        pass(client, server).await;
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, mut server: TcpStream) {
    let _ended = copy_bidirectional(&mut client, &mut server).await;
}
