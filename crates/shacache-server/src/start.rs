//! `shacached serve`: opens everything, says where it listens, and runs until it is told to stop.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use shacache_server::admin::AdminSocket;
use shacache_server::app::App;
use shacache_server::config::{self, Config, Overrides};
use shacache_server::listen::{Address, Drain, Listener};
use shacache_server::mount::{MountPath, Mounts};
use shacache_server::{log, scrub, serve};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::descriptors;

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(overrides: &Overrides) -> Result<ExitCode, Box<dyn Error>> {
    let config = config::load(overrides)?;
    log::start(&config);
    descriptors::raise_limit(config.limits().connections);
    Runtime::new()?.block_on(async {
        let signals = Signals::watch()?;
        let app = App::open(&config)?;
        let served = serve_until_stopped(&app, &config, &signals).await;
        // Also when it could not listen: closed in good order, the next start is a quick one.
        app.store().close().await?;
        served.map(|()| ExitCode::SUCCESS)
    })
}

async fn serve_until_stopped(
    app: &App,
    config: &Config,
    signals: &Signals,
) -> Result<(), Box<dyn Error>> {
    let admin = AdminSocket::bind(app.store(), config.data())?;
    let listeners = bind(config.listen())?;
    announce(&listeners, config)?;

    let admin = tokio::spawn(admin.serve(app.store().clone()));
    let scrub = tokio::spawn(scrub::run(app.store().clone(), config.scrub()));
    let stopped = tokio::select! {
        drain = serve(app, listeners, config.limits().clone(), signals.first()) => match drain {
            Drain::Complete => Ok(()),
            Drain::Aborted { connections } => Err(Stopped::GraceOver { connections }.into()),
        },
        () = signals.second_interrupt() => Err(Stopped::Twice.into()),
    };
    admin.abort();
    scrub.abort();
    // The admin socket's file goes with its task.
    let _aborted = (admin.await, scrub.await);
    stopped
}

/// Why requests in flight did not finish.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{connections} connections were cut off at the end of the grace")]
    GraceOver { connections: usize },
    #[error("stopped at once by a second interrupt")]
    Twice,
}

/// The signals that end a server, counted from the start of the program.
struct Signals(watch::Receiver<Seen>);

#[derive(Debug, Default)]
struct Seen {
    interrupts: u32,
    terminated: bool,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(Seen::default());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => sender.send_modify(|seen| seen.interrupts += 1),
                    _ = terminate.recv() => sender.send_modify(|seen| seen.terminated = true),
                }
            }
        });
        Ok(Self(receiver))
    }

    fn first(&self) -> impl Future<Output = ()> + use<> {
        until(self.0.clone(), |seen| seen.terminated || seen.interrupts > 0)
    }

    fn second_interrupt(&self) -> impl Future<Output = ()> + use<> {
        until(self.0.clone(), |seen| seen.interrupts > 1)
    }
}

async fn until(mut signals: watch::Receiver<Seen>, reached: fn(&Seen) -> bool) {
    // The sender lives as long as the runtime.
    let _sender_gone = signals.wait_for(reached).await;
}

fn bind(addresses: &[Address]) -> Result<Vec<Listener>, CannotListen> {
    let bind = |address: &Address| {
        Listener::bind(address).map_err(|source| CannotListen { address: address.clone(), source })
    };
    addresses.iter().map(bind).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}")]
struct CannotListen {
    address: Address,
    source: io::Error,
}

/// Says on standard output where everything is. Connections are accepted already.
fn announce(listeners: &[Listener], config: &Config) -> io::Result<()> {
    let mut text = String::new();
    let mut server = None;
    for listener in listeners {
        match listener.local_addr() {
            Address::Tcp(address) => {
                text += &format!("listening on http://{address}\n");
                server.get_or_insert_with(|| format!("http://{}", reachable(*address)));
            }
            Address::Unix(_) => text += &format!("listening on {}\n", listener.local_addr()),
        }
    }
    text += &format!("data in {}\n", config.data().display());
    if let Some(server) = server {
        let options = client_options(&server, config.mounts());
        text += &format!("try: shacache upload {options} FILE\n");
        text += &format!("     shacache download {options} SHA512 -o FILE\n");
    }
    io::stdout().write_all(text.as_bytes())
}

/// How the client is told where `server` has its services.
fn client_options(server: &str, mounts: &Mounts) -> String {
    let first = |paths: &[MountPath]| paths.first().map(ToString::to_string);
    match (first(mounts.shacache()), first(mounts.shadir())) {
        (Some(blobs), Some(keys)) if blobs == "/shacache" && keys == "/shadir" => {
            format!("--server {server}")
        }
        (blobs, keys) => {
            let blobs = blobs.map(|path| format!("--cache-url {server}{path}"));
            let keys = keys.map(|path| format!("--dir-url {server}{path}"));
            [blobs, keys].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
    }
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
