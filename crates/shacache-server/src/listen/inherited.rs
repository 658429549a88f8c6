//! Sockets that the service manager bound before it started the server (sd_listen_fds(3)), by the
//! names that it gave them. They stay open while the server restarts, so no client is refused.
//! Must not know what is answered at them.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::Address;

/// What the service manager passed and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<(String, Passed)>);

/// A socket that was bound by someone else.
#[derive(Debug)]
pub(super) enum Passed {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// Takes what this process was started with. To be called once, before there are threads: the
    /// variables that tell of it are removed from the environment.
    ///
    /// # Errors
    /// When one of the descriptors is no socket that can be listened at.
    pub fn take() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or(UNNAMED);
            let socket = match passed.take_tcp_listener(index) {
                Ok(socket) => socket.map(Passed::Tcp),
                Err(_) => passed.take_unix_listener(index)?.map(Passed::Unix),
            };
            sockets.extend(socket.map(|socket| (name.to_owned(), socket)));
        }
        Ok(Self(sockets))
    }

    /// Those called `name`; they are gone then.
    pub(super) fn named(&mut self, name: &str) -> Vec<Passed> {
        let (found, left) = std::mem::take(&mut self.0).into_iter().partition(|(it, _)| it == name);
        self.0 = left;
        let found: Vec<(String, Passed)> = found;
        found.into_iter().map(|(_, socket)| socket).collect()
    }

    /// One that is bound to `address`; it is gone then.
    pub(super) fn bound_to(&mut self, address: &Address) -> Option<Passed> {
        let at = self.0.iter().position(|(_, socket)| socket.is_bound_to(address))?;
        Some(self.0.remove(at).1)
    }

    /// The names of those that are left.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl Passed {
    fn is_bound_to(&self, address: &Address) -> bool {
        match (self, address) {
            (Self::Tcp(socket), Address::Tcp(address) | Address::Tls(address)) => {
                socket.local_addr().is_ok_and(|bound| bound == *address)
            }
            (Self::Unix(socket), Address::Unix(path)) => {
                socket.local_addr().is_ok_and(|bound| bound.as_pathname() == Some(path))
            }
            (Self::Tcp(_) | Self::Unix(_), _) => false,
        }
    }
}

/// What sd_listen_fds_with_names(3) calls a socket without a name.
const UNNAMED: &str = "unknown";
