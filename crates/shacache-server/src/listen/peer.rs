//! Who is at the other end of a connection, as far as the transport knows. Names and rights are
//! made of it elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Address, ClientCertificate};

/// The facts of a request's connection, which every request's body knows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer {
    address: Option<SocketAddr>,
    listener: Arc<Address>,
    certificate: Option<ClientCertificate>,
}

impl Peer {
    /// `address` is `None` for a connection over a Unix socket.
    #[must_use]
    pub fn new(address: Option<SocketAddr>, listener: Arc<Address>) -> Self {
        let address = address.map(|a| SocketAddr::new(a.ip().to_canonical(), a.port()));
        Self { address, listener, certificate: None }
    }

    /// The same peer, which has shown `certificate` in a handshake that is complete.
    #[must_use]
    pub fn with_certificate(self, certificate: ClientCertificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// Where the client is connected from; an IPv4 address is never written as IPv6. `None` over a
    /// Unix socket. Behind a proxy this is the proxy.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The IP part of [`address`](Self::address).
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip())
    }

    /// Whether the connection came over a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.address.is_none()
    }

    /// The certificate that the client showed, if it has proven to hold its key. Nothing follows
    /// from it alone: anyone can make one. It stays the same for the whole connection; what it is
    /// worth may change between two requests.
    #[must_use]
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }

    /// The listener that took the connection, with the port it really has.
    #[must_use]
    pub fn listener(&self) -> &Address {
        &self.listener
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_of_a_dual_stack_socket_has_its_ipv4_address() {
        let listener = Arc::new("[::]:80".parse().expect("an address"));
        let peer = Peer::new(Some("[::ffff:192.0.2.1]:5".parse().expect("an address")), listener);
        assert_eq!(peer.address(), Some("192.0.2.1:5".parse().expect("an address")));
        assert!(!peer.is_unix());
    }
}
