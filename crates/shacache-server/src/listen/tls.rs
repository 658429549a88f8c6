//! TLS between a socket and its connection: what is offered, the certificate that is shown, and
//! the handshake with its limits. Must not know HTTP, nor what a client's certificate is worth.
//!
//! Only TLS 1.2 and 1.3 with ECDHE and AEAD, by rustls and aws-lc-rs. No session is resumed: a
//! client proves in each handshake that it holds the key of its certificate, and no chain is kept
//! for clients that are gone.

mod client_key;
mod client_verifier;
mod handshakes;
mod key_pair;

pub(super) use client_key::ClientKey;
pub(super) use handshakes::Handshakes;
pub use key_pair::{KeyPair, KeyPairError};

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{ClientCertificate, Peer};
use client_verifier::ClientVerifier;

/// What listeners for https speak, with the certificate that they show. Cloning shares it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

impl Tls {
    /// Shows the certificate of `key_pair`.
    #[must_use]
    pub fn new(key_pair: KeyPair) -> Self {
        let provider = key_pair::provider();
        let verifier = ClientVerifier::new(&provider);
        let shown = Arc::new(Shown(RwLock::new(key_pair.into_certified())));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites for both versions")
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Self { acceptor: Arc::new(config).into(), shown }
    }

    /// Shows the certificate of `key_pair` in handshakes that begin from now on. Connections stay
    /// as they are.
    pub fn replace(&self, key_pair: KeyPair) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = key_pair.into_certified();
    }

    /// Carries out the handshake. `peer` comes back with the certificate that the client has
    /// proven to hold the key of, if any.
    ///
    /// # Errors
    /// When there is no TLS in common, the client is not speaking TLS, or it went away.
    pub(super) async fn accept(
        &self,
        io: TcpStream,
        peer: Peer,
    ) -> io::Result<(TlsStream<TcpStream>, Peer)> {
        let mut stream = self.acceptor.accept(io).await?;
        stream.get_mut().1.set_buffer_limit(Some(UNSENT_BYTES));
        let (socket, session) = stream.get_ref();
        // Without tickets nothing is sent before a request has come, and a client that does not set
        // TCP_NODELAY keeps it back until its last flight is acknowledged: in 40 ms, if not at once.
        SockRef::from(socket).set_tcp_quickack(true)?;
        let chain = session.peer_certificates().unwrap_or_default();
        let peer = match ClientCertificate::proven(chain) {
            Some(certificate) => peer.with_certificate(certificate),
            None => peer,
        };
        Ok((stream, peer))
    }
}

/// What is encrypted and waits for its socket, at most: as much as a client that has stopped reading
/// holds beside the buffers of its connection.
const UNSENT_BYTES: usize = 32 * 1024;

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The certificate shown to clients, whatever name they ask for.
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Shown {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}
