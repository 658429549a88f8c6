//! Bound sockets and the connections they give. [`Acceptor`] turns any number of [`Listener`]s
//! into one source that no error ends. It must not know HTTP.

use std::fs::{self, Permissions};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, sleep_until};

use super::inherited::Passed;
use super::{Address, Counters, Inherited, Peer, Tls};

/// A socket that clients can connect to from the moment it exists; they are answered once it is
/// given to [`serve`](super::serve). Dropping it removes the file of a Unix socket.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    address: Arc<Address>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Tls(TcpListener, Tls),
    /// The file is its maker's to remove.
    Unix {
        socket: UnixListener,
        _file: Option<SocketFile>,
    },
}

impl Listener {
    /// Binds `address` and listens. `[::]` takes IPv4 too where the system's default says so. A
    /// Unix socket left behind by a server that is gone is replaced; its permissions follow the
    /// umask.
    ///
    /// # Errors
    /// What the system said, such as [`io::ErrorKind::AddrInUse`]. An address of https is bound by
    /// [`bind_tls`](Self::bind_tls), one of systemd is [inherited](Self::inherit).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let socket = listen_at(*address)?;
                let address = Arc::new(Address::Tcp(socket.local_addr()?));
                Ok(Self { socket: Bound::Tcp(socket), address })
            }
            Address::Tls(_) | Address::Systemd { .. } => {
                Err(io::Error::from(io::ErrorKind::InvalidInput))
            }
            Address::Unix(path) => {
                let socket = match UnixListener::bind(path) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                        fs::remove_file(path)?;
                        UnixListener::bind(path)?
                    }
                    bound => bound?,
                };
                let file = Some(SocketFile::new(path)?);
                Ok(Self {
                    socket: Bound::Unix { socket, _file: file },
                    address: Arc::new(address.clone()),
                })
            }
        }
    }

    /// Binds `address` and listens there for clients that speak TLS.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind_tls(address: SocketAddr, tls: Tls) -> io::Result<Self> {
        let socket = listen_at(address)?;
        let address = Arc::new(Address::Tls(socket.local_addr()?));
        Ok(Self { socket: Bound::Tls(socket, tls), address })
    }

    /// Takes the sockets called `name` from the service manager, to speak `tls` there if it is
    /// given.
    ///
    /// # Errors
    /// When there is none, or one is a Unix socket where TLS is wanted.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn inherit(
        inherited: &mut Inherited,
        name: &str,
        tls: Option<&Tls>,
    ) -> io::Result<Vec<Self>> {
        let passed = inherited.named(name);
        if passed.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, NOT_PASSED));
        }
        passed.into_iter().map(|socket| Self::take(socket, tls.cloned())).collect()
    }

    /// Takes the socket that the service manager has bound to `address`, if it passed one.
    ///
    /// # Errors
    /// What the system said.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn inherit_at(
        inherited: &mut Inherited,
        address: &Address,
        tls: Option<&Tls>,
    ) -> io::Result<Option<Self>> {
        let tls = tls.filter(|_| address.is_tls());
        inherited.bound_to(address).map(|socket| Self::take(socket, tls.cloned())).transpose()
    }

    fn take(passed: Passed, tls: Option<Tls>) -> io::Result<Self> {
        match (passed, tls) {
            (Passed::Tcp(socket), tls) => {
                set_options(&SockRef::from(&socket))?;
                let socket = TcpListener::from_std(socket)?;
                let address = socket.local_addr()?;
                let (socket, address) = match tls {
                    Some(tls) => (Bound::Tls(socket, tls), Address::Tls(address)),
                    None => (Bound::Tcp(socket), Address::Tcp(address)),
                };
                Ok(Self { socket, address: Arc::new(address) })
            }
            (Passed::Unix(socket), None) => {
                socket.set_nonblocking(true)?;
                let path = socket.local_addr()?.as_pathname().map(Path::to_owned);
                let socket = UnixListener::from_std(socket)?;
                let address = Arc::new(Address::Unix(path.unwrap_or_default()));
                Ok(Self { socket: Bound::Unix { socket, _file: None }, address })
            }
            (Passed::Unix(_), Some(_)) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, NO_TLS_OVER_UNIX))
            }
        }
    }

    /// Lets those connect to a Unix socket whom its permissions let write; of others there is
    /// nothing to set.
    ///
    /// # Errors
    /// What the system said.
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        match (&self.socket, &*self.address) {
            (Bound::Unix { .. }, Address::Unix(path)) => fs::set_permissions(path, permissions),
            _ => Ok(()),
        }
    }

    /// Where this listens, with the port the kernel chose.
    #[must_use]
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Makes the kernel give up a connection whose peer acknowledges nothing for `timeout`, or
    /// keeps its window shut that long (`TCP_USER_TIMEOUT` of tcp(7)).
    fn set_user_timeout(&self, timeout: Duration) -> io::Result<()> {
        match &self.socket {
            Bound::Tcp(socket) | Bound::Tls(socket, _) => {
                SockRef::from(socket).set_tcp_user_timeout(Some(timeout))
            }
            Bound::Unix { .. } => Ok(()),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (stream, address) = match &self.socket {
            Bound::Tcp(socket) => {
                let (stream, address) = ready!(socket.poll_accept(cx))?;
                (Stream::Tcp(stream), Some(address))
            }
            Bound::Tls(socket, tls) => {
                let (stream, address) = ready!(socket.poll_accept(cx))?;
                (Stream::Tls(stream, tls.clone()), Some(address))
            }
            Bound::Unix { socket, .. } => (Stream::Unix(ready!(socket.poll_accept(cx))?.0), None),
        };
        let peer = Peer::new(address, Arc::clone(&self.address));
        Poll::Ready(Ok(Accepted { stream, peer }))
    }
}

/// A connection nobody has read from yet.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
}

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    /// Before its handshake.
    Tls(TcpStream, Tls),
    Unix(UnixStream),
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    set_options(&SockRef::from(&socket))?;
    TcpListener::from_std(socket.into())
}

/// Linux hands these down to every accepted socket, which saves a call for each. Without NODELAY
/// small answers wait 40 ms for an acknowledgement.
fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_nonblocking(true)
}

/// All listeners of one server, taken in turn.
#[derive(Debug)]
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    turn: usize,
    paused_until: Option<Instant>,
    failing: bool,
    counters: Arc<Counters>,
}

impl Acceptor {
    /// `user_timeout`: see [`Listener::set_user_timeout`].
    pub(super) fn new(
        listeners: Vec<Listener>,
        user_timeout: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        for listener in &listeners {
            if let Err(error) = listener.set_user_timeout(user_timeout) {
                tracing::warn!(%error, listener = %listener.address, "no TCP user timeout");
            }
        }
        Self { listeners, turn: 0, paused_until: None, failing: false, counters }
    }

    /// The next connection. An error of one connection is skipped; any other (no descriptors, no
    /// memory) is counted, logged once until it is over, and waited out: the listener stays
    /// readable all the while, so trying again at once would spin.
    ///
    /// Cancel safe.
    pub(super) async fn accept(&mut self) -> Accepted {
        loop {
            if let Some(until) = self.paused_until {
                sleep_until(until).await;
                self.paused_until = None;
            }
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(accepted) => {
                    if self.failing {
                        self.failing = false;
                        tracing::info!("accepting connections again");
                    }
                    self.counters.accepted.add();
                    return accepted;
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.counters.accept_errors.add();
                    if !self.failing {
                        self.failing = true;
                        tracing::warn!(%error, "cannot accept connections, trying again");
                    }
                    self.paused_until = Some(Instant::now() + PAUSE);
                }
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        for _ in 0..self.listeners.len() {
            self.turn = (self.turn + 1) % self.listeners.len();
            if let Poll::Ready(accepted) = self.listeners[self.turn].poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// The file of a Unix socket, removed on drop unless another socket has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: inode(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // A file that stays behind is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether `path` is a socket nobody listens at any more.
fn is_stale(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
        && StdUnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Errors accept(2) passes on from a connection that failed before it was taken.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

const NOT_PASSED: &str = "the service manager passed no socket of this name";
const NO_TLS_OVER_UNIX: &str = "no TLS is spoken over a Unix socket";

/// Connections the kernel keeps for us between two accepts.
const BACKLOG: i32 = 4096;

/// Bytes of an answer the kernel takes beyond what the network can carry: enough to keep it busy,
/// and little enough that a slow client's progress is seen, and costs no megabytes.
const UNSENT_BYTES: u32 = 256 * 1024;

/// Between two accepts when the process lacks something.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn acceptor(listeners: Vec<Listener>) -> Acceptor {
        Acceptor::new(listeners, Duration::from_secs(60), Arc::default())
    }

    fn bind(address: &str) -> (Listener, SocketAddr) {
        let listener = Listener::bind(&address.parse().expect("an address")).expect("a socket");
        let Address::Tcp(address) = *listener.local_addr() else { panic!("not TCP") };
        (listener, address)
    }

    #[tokio::test]
    async fn accepted_sockets_have_the_options_of_their_listener() {
        let (listener, address) = bind("127.0.0.1:0");
        let mut acceptor = acceptor(vec![listener]);
        let client = TcpStream::connect(address).await.expect("a connection");
        let accepted = acceptor.accept().await;
        assert_eq!(accepted.peer.address(), client.local_addr().ok());
        let Stream::Tcp(stream) = accepted.stream else { panic!("not TCP") };
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().expect("an option"));
        assert_eq!(socket.tcp_notsent_lowat().expect("an option"), UNSENT_BYTES);
        let user_timeout = socket.tcp_user_timeout().expect("an option");
        assert_eq!(user_timeout, Some(Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn no_listener_starves_another() {
        let (one, one_address) = bind("127.0.0.1:0");
        let (other, other_address) = bind("127.0.0.1:0");
        let mut acceptor = acceptor(vec![one, other]);
        let mut clients = Vec::new();
        for address in [one_address, one_address, one_address, other_address] {
            clients.push(TcpStream::connect(address).await.expect("a connection"));
        }
        let seen = [acceptor.accept().await, acceptor.accept().await];
        let other = Address::Tcp(other_address);
        assert!(seen.iter().any(|accepted| *accepted.peer.listener() == other));
    }
}
