//! A whole server in this process, on a data folder of its own and a free port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, thread};

use shacache_server::access::{KeyPattern, NewToken, Role};
use shacache_server::app::App;
use shacache_server::config::{self, Overrides};
use shacache_server::listen::{Address, Drain, Listener};
use shacache_server::serve;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Stopped in good order when dropped.
pub(crate) struct Running {
    address: SocketAddr,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a server with the settings of a TOML text; it chooses `listen` and `data` itself.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_with(settings, |_| {}).0
    }

    /// As above; gives a token of an operator, too.
    pub(crate) fn start_with_operator(settings: &str) -> (Self, String) {
        Self::start_with(settings, |app| {
            let operator = NewToken {
                name: "operator".to_owned(),
                roles: vec![Role::Admin],
                keys: vec![KeyPattern::all()],
                expires_in_days: None,
                in_query: false,
                password: None,
            };
            let added = app.access().tokens().add(operator).expect("the folder can be written");
            added.token.expect("a token was asked for")
        })
    }

    fn start_with<T: Send + 'static>(
        settings: &str,
        prepare: impl FnOnce(&App) -> T + Send + 'static,
    ) -> (Self, T) {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("server.toml");
        fs::write(&file, settings).expect("a file in it");
        let overrides = Overrides {
            file: Some(file),
            listen: vec!["127.0.0.1:0".parse().expect("an address")],
            data: Some(data_of(&folder).display().to_string()),
        };
        let config = config::load(&overrides).expect("settings of a test are good");
        let (bound, binding) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            Runtime::new().expect("a runtime").block_on(async move {
                let app = App::open(&config).expect("an empty folder opens");
                let listener = Listener::bind(&config.listen()[0]).expect("a free port");
                let prepared = prepare(&app);
                let address = listener.local_addr().clone();
                bound.send((address, prepared)).expect("the test waits");
                let stopped = async {
                    let _dropped = stopped.await;
                };
                let drain = serve(&app, vec![listener], config.limits().clone(), stopped).await;
                assert_eq!(drain, Drain::Complete);
                app.store().close().await.expect("the folder can be written");
            });
        });
        let Ok((Address::Tcp(address), prepared)) = binding.recv_timeout(PATIENCE) else {
            panic!("the server did not start")
        };
        (Self { address, folder, stop: Some(stop), thread: Some(thread) }, prepared)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn data(&self) -> PathBuf {
        data_of(&self.folder)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the server panicked");
    }
}

fn data_of(folder: &TempDir) -> PathBuf {
    Path::new(folder.path()).join("data")
}

/// How long anything that must happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
