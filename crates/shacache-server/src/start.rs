//! `shacached serve`: opens everything, says where it listens, and runs until it is told to stop.

use std::error::Error;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use shacache_server::access::{UploadPolicy, UploadSetting};
use shacache_server::admin::AdminSocket;
use shacache_server::app::App;
use shacache_server::config::{self, Config, Overrides};
use shacache_server::listen::{Address, Drain, Inherited, KeyPair, KeyPairError, Listener, Tls};
use shacache_server::mount::{MountPath, Mounts};
use shacache_server::reload::Reload;
use shacache_server::{log, scrub, serve};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::{descriptors, service_manager};

/// Serves until SIGTERM or SIGINT; SIGHUP has files read again.
pub(crate) fn run(overrides: &Overrides) -> Result<ExitCode, Box<dyn Error>> {
    // Before there are threads.
    let inherited = Inherited::take().map_err(Passed)?;
    let config = config::load(overrides)?;
    log::start(&config);
    descriptors::raise_limit(config.limits().connections);
    Runtime::new()?.block_on(async {
        let signals = Signals::watch()?;
        let mut reload = Reload::new(overrides.clone());
        let tls = tls(&config, &mut reload)?;
        let app = App::open(&config)?;
        let access = app.clone();
        reload.register("access", move |config| Ok(access.access().reload(config)?));
        let signers = app.clone();
        reload.register("signers", move |config| Ok(signers.reload_signers(config)?));
        let listen = |config: &Config| bind(config, tls.as_ref(), inherited);
        let served = serve_until_stopped(&app, &config, listen, reload, &signals).await;
        // Also when it could not listen: closed in good order, the next start is a quick one.
        app.store().close().await?;
        served.map(|()| ExitCode::SUCCESS)
    })
}

async fn serve_until_stopped(
    app: &App,
    config: &Config,
    listen: impl FnOnce(&Config) -> Result<Vec<Listener>, CannotListen>,
    reload: Reload,
    signals: &Signals,
) -> Result<(), Box<dyn Error>> {
    let admin = AdminSocket::bind(app.store(), config.data())?;
    let listeners = listen(config)?;
    let hangups = tokio::spawn(read_again(signals.hangups(), reload));
    let alive = tokio::spawn(service_manager::keep_alive());
    announce(&listeners, app, config)?;
    service_manager::ready();
    let told_to_stop = async {
        signals.first().await;
        service_manager::stopping();
    };

    let admin = tokio::spawn(admin.serve(app.clone()));
    let scrub = tokio::spawn(scrub::run(app.store().clone(), config.scrub()));
    let stopped = tokio::select! {
        drain = serve(app, listeners, config.limits().clone(), told_to_stop) => match drain {
            Drain::Complete => Ok(()),
            Drain::Aborted { connections } => Err(Stopped::GraceOver { connections }.into()),
        },
        () = signals.second_interrupt() => Err(Stopped::Twice.into()),
    };
    hangups.abort();
    alive.abort();
    admin.abort();
    scrub.abort();
    // The admin socket's file goes with its task.
    let _aborted = (admin.await, scrub.await);
    stopped
}

/// What https shows, if it shows anything; the same again when `reload` runs.
fn tls(config: &Config, reload: &mut Reload) -> Result<Option<Tls>, KeyPairError> {
    let Some(files) = config.tls() else { return Ok(None) };
    let tls = Tls::new(KeyPair::read(files.certificate(), files.key())?);
    let shown = tls.clone();
    reload.register("tls", move |config| {
        if let Some(files) = config.tls() {
            shown.replace(KeyPair::read(files.certificate(), files.key())?);
        }
        Ok(())
    });
    Ok(Some(tls))
}

/// Reads everything again after each hangup.
async fn read_again(mut hangups: watch::Receiver<u32>, reload: Reload) {
    let reload = Arc::new(reload);
    while hangups.changed().await.is_ok() {
        let reload = Arc::clone(&reload);
        service_manager::reloading();
        // A panic has said what happened, and the next hangup finds everything as it was.
        let _panicked = spawn_blocking(move || reload.run()).await;
        service_manager::ready();
    }
}

/// Why requests in flight did not finish.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{connections} connections were cut off at the end of the grace")]
    GraceOver { connections: usize },
    #[error("stopped at once by a second interrupt")]
    Twice,
}

/// The signals that mean something to a server, counted from the start of the program.
struct Signals {
    ending: watch::Receiver<Seen>,
    hangups: watch::Receiver<u32>,
}

#[derive(Debug, Default)]
struct Seen {
    interrupts: u32,
    terminated: bool,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (sender, ending) = watch::channel(Seen::default());
        let (hung_up, hangups) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => sender.send_modify(|seen| seen.interrupts += 1),
                    _ = terminate.recv() => sender.send_modify(|seen| seen.terminated = true),
                    _ = hangup.recv() => hung_up.send_modify(|count| *count += 1),
                }
            }
        });
        Ok(Self { ending, hangups })
    }

    fn first(&self) -> impl Future<Output = ()> + use<> {
        until(self.ending.clone(), |seen| seen.terminated || seen.interrupts > 0)
    }

    fn second_interrupt(&self) -> impl Future<Output = ()> + use<> {
        until(self.ending.clone(), |seen| seen.interrupts > 1)
    }

    fn hangups(&self) -> watch::Receiver<u32> {
        self.hangups.clone()
    }
}

async fn until(mut signals: watch::Receiver<Seen>, reached: fn(&Seen) -> bool) {
    // The sender lives as long as the runtime.
    let _sender_gone = signals.wait_for(reached).await;
}

fn bind(
    config: &Config,
    tls: Option<&Tls>,
    mut inherited: Inherited,
) -> Result<Vec<Listener>, CannotListen> {
    let mut listeners = Vec::new();
    for address in config.listen() {
        let cannot = |source| CannotListen { address: address.clone(), source };
        if let Some(passed) = Listener::inherit_at(&mut inherited, address, tls).map_err(cannot)? {
            listeners.push(passed);
            continue;
        }
        let bound = match (address, tls) {
            (Address::Tls(address), Some(tls)) => {
                Listener::bind_tls(*address, tls.clone()).map(|listener| vec![listener])
            }
            (Address::Systemd { name, tls: secured }, tls) => {
                Listener::inherit(&mut inherited, name, tls.filter(|_| *secured))
            }
            _ => bind_plain(address, config.unix_permissions()).map(|listener| vec![listener]),
        };
        listeners.extend(bound.map_err(cannot)?);
    }
    for name in inherited.left() {
        tracing::warn!(name, "a socket of the service manager that listen does not name");
    }
    Ok(listeners)
}

fn bind_plain(address: &Address, unix: Option<&Permissions>) -> io::Result<Listener> {
    let listener = Listener::bind(address)?;
    if let Some(permissions) = unix {
        listener.set_permissions(permissions.clone())?;
    }
    Ok(listener)
}

/// A descriptor that the service manager passed is of no use.
#[derive(Debug, thiserror::Error)]
#[error("a socket of the service manager cannot be used")]
struct Passed(#[source] io::Error);

#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}")]
struct CannotListen {
    address: Address,
    source: io::Error,
}

/// Says on standard output where everything is. Connections are accepted already.
fn announce(listeners: &[Listener], app: &App, config: &Config) -> io::Result<()> {
    let mut text = String::new();
    let mut server = None;
    for listener in listeners {
        let scheme_and_address = match listener.local_addr() {
            Address::Tcp(address) => Some(("http", address)),
            Address::Tls(address) => Some(("https", address)),
            Address::Unix(_) | Address::Systemd { .. } => None,
        };
        if let Some((scheme, address)) = scheme_and_address {
            text += &format!("listening on {scheme}://{address}\n");
            server.get_or_insert_with(|| format!("{scheme}://{}", reachable(*address)));
        } else {
            text += &format!("listening on {}\n", listener.local_addr());
        }
    }
    text += &format!("data in {}\n", config.data().display());
    let addresses = listeners.iter().map(Listener::local_addr);
    if app.access().upload_policy(addresses) == UploadPolicy::ReadOnly {
        let reason = match config.upload() {
            UploadSetting::Auto => {
                "read-only: others can connect, and upload.policy does not say who may upload"
            }
            _ => "read-only: upload.policy says so",
        };
        tracing::warn!("{reason}");
        text += &format!("{reason}\n");
    }
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
