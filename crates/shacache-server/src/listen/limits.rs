//! What one client may cost: times, sizes and counts of the accept loop, with their defaults. Every
//! value is safe to run with; which of them an operator may set is the configuration's matter.

use std::net::IpAddr;
use std::time::Duration;

/// The limits of one [`serve`](super::serve).
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the start of a connection to the end of its TLS handshake. Default 10 s. Longer lets
    /// silent connections pile up; shorter cuts off clients with a lossy link.
    pub handshake: Duration,
    /// TLS handshakes under way at once. At the limit those that have taken longer than a second
    /// give way to new ones. Default 4096.
    pub handshakes: usize,
    /// From the start of a connection, or the end of its TLS handshake, to the end of its first
    /// request line. Default 10 s. Longer lets silent connections pile up; shorter cuts off
    /// clients with a lossy link.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head. Default 15 s. Longer is an
    /// invitation to send a head byte by byte.
    pub header: Duration,
    /// How long a kept-alive connection may stay without a further request. Default 60 s. Longer
    /// than a proxy's own value avoids its retries; much longer wastes connections.
    pub idle: Duration,
    /// The least a client must send of a request's body while the server waits for it. Default:
    /// something every 30 s and 60 KiB per minute. Lower lets uploads hold their space for hours.
    pub body: MinimumFlow,
    /// The least a client must take of an answer. Default: something every 60 s and 60 KiB per
    /// minute. A slow link moves in bursts of the send buffer: much higher cuts it off.
    pub response: MinimumFlow,
    /// The longest request line, line end included, in bytes; over it 414. Default 4 KiB, where
    /// the longest key fits percent-encoded several times over.
    pub request_line_bytes: usize,
    /// The longest head of a request, request line included, in bytes; over it 431. Default 32 KiB.
    pub header_bytes: usize,
    /// The most header fields of a request; over it 431. The most trailer fields, too; over it 400.
    /// Default 64.
    pub headers: usize,
    /// hyper's buffer for each direction of a connection, in bytes. Default 32 KiB, which is what a
    /// client that has stopped reading an answer holds, beside the piece that came last (64 KiB of a
    /// blob that others ask for, too); under 8 KiB is taken as 8 KiB, hyper's own minimum. No head is
    /// longer than the buffer. All connections together may use this many times
    /// [`connections`](Self::connections).
    pub buffer_bytes: usize,
    /// Connections open at once; at the limit no more are accepted until one ends. Default 8192.
    /// Keep it under the limit of open files, with room for the store's own.
    pub connections: usize,
    /// Connections one client address may hold (an IPv6 /64 network counts as one); further ones
    /// are closed at once. Default 256. Loopback and Unix sockets are exempt.
    pub connections_per_address: usize,
    /// Addresses exempt from the cap, because a proxy there speaks for many clients. Default none:
    /// a busy proxy that is not listed here gets its connections closed.
    pub uncapped_addresses: Vec<IpAddr>,
    /// What is still read and thrown away of a body after it was refused, in bytes, so that the
    /// client gets to read the answer instead of a reset. Default 16 MiB.
    pub drain_bytes: u64,
    /// How long that may take in all. Default 10 s.
    pub drain: Duration,
    /// How long that may take without a byte arriving. Default 2 s.
    pub drain_idle: Duration,
    /// How long requests in flight may go on after shutdown began. Default 30 s. Shorter breaks
    /// long transfers at each restart; keep it under the service manager's own stop timeout.
    pub shutdown_grace: Duration,
}

/// The slowest transfer that is still served. Only time spent waiting for the client counts.
#[derive(Clone, Copy, Debug)]
pub struct MinimumFlow {
    /// The longest wait without any byte moving.
    pub stall: Duration,
    /// The time over which the rate is measured.
    pub window: Duration,
    /// The least that must have moved after each `window` of waiting, in bytes; 0 sets no rate.
    pub window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            handshake: Duration::from_secs(10),
            handshakes: 4096,
            first_byte: Duration::from_secs(10),
            header: Duration::from_secs(15),
            idle: minute,
            body: MinimumFlow {
                stall: Duration::from_secs(30),
                window: minute,
                window_bytes: 60 * 1024,
            },
            response: MinimumFlow { stall: minute, window: minute, window_bytes: 60 * 1024 },
            request_line_bytes: 4 * 1024,
            header_bytes: 32 * 1024,
            headers: 64,
            buffer_bytes: 32 * 1024,
            connections: 8192,
            connections_per_address: 256,
            uncapped_addresses: Vec::new(),
            drain_bytes: 16 * 1024 * 1024,
            drain: Duration::from_secs(10),
            drain_idle: Duration::from_secs(2),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}
