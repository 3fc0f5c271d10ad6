//! TLS with a certificate that nobody has signed but itself. Shakes hands.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};

/// Connections after their handshake.
pub(crate) struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// With a certificate for this address, which is returned in PEM.
    pub(crate) fn new(listener: TcpListener, address: IpAddr) -> io::Result<(Self, String)> {
        let own = rcgen::generate_simple_self_signed([address.to_string()]).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key))
            .map_err(io::Error::other)?;
        Ok((Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }, own.cert.pem()))
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (connection, peer) = Listener::accept(&mut self.listener).await;
            // whoever does not trust the certificate breaks off here
            if let Ok(stream) = self.acceptor.accept(connection).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
