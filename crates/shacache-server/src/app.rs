//! Everything a server needs, opened before its socket listens: the store, the counters and what
//! the configuration says about requests. Must not know HTTP.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use shacache_core::entry::SignedEntry;
use shacache_core::trust::Admission;
use shacache_store::error::StoreError;
use shacache_store::{Health, Store, StoreOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::{Access, AccessError};
use crate::config::Config;
use crate::http::BlobHeaders;
use crate::listen::{Counters, Limits, network};
use crate::metrics::Metrics;
use crate::mount::{HostName, Mounts};
use crate::signers::{self, Refused, SignersError};

/// Why a server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not known who may do what.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It is not known whose signatures count.
    #[error(transparent)]
    Signers(#[from] SignersError),
}

/// One server's state. Cloning shares it.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    access: Access,
    mounts: Mounts,
    page_hosts: HashSet<HostName>,
    blob_limit_bytes: u64,
    admission: RwLock<Admission>,
    shared_addresses: HashSet<IpAddr>,
    writes: Arc<Semaphore>,
    writes_of_strangers: Arc<Semaphore>,
    connections: Arc<Counters>,
    metrics: Metrics,
    blob_headers: BlobHeaders,
}

impl App {
    /// Opens the data folder, making it if it is missing. Blocking; to be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the store cannot be opened, since another server may have it; when what decides who
    /// may do what, or whose signatures count, cannot be read.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        Self::open_with(config, Access::open)
    }

    pub(crate) fn open_with(
        config: &Config,
        access: impl FnOnce(&Config) -> Result<Access, AccessError>,
    ) -> Result<Self, OpenError> {
        let signers = signers::read(config.trust())?;
        let options = StoreOptions {
            data: config.data().to_owned(),
            unclaimed: config.unclaimed(),
            hot_bytes: config.hot_bytes(),
        };
        let store = Store::open(&options)?;
        let access = access(config)?;
        store.directory().trust(signers);
        store.tend();
        let connections = Arc::new(Counters::default());
        Ok(Self(Arc::new(Inner {
            mounts: config.mounts().clone(),
            page_hosts: page_hosts(config),
            blob_limit_bytes: config.blob_limit_bytes(),
            admission: RwLock::new(config.trust().admission),
            shared_addresses: shared_addresses(config.limits()),
            writes: Arc::new(Semaphore::new(config.writes_at_once())),
            writes_of_strangers: Arc::new(Semaphore::new(for_strangers(config.writes_at_once()))),
            metrics: Metrics::new(Arc::clone(&connections), store.clone()),
            blob_headers: BlobHeaders::new(),
            connections,
            access,
            store,
        })))
    }

    /// Judges an entry that is to be taken because of who signed it.
    pub(crate) fn admit(&self, entry: SignedEntry) -> Result<SignedEntry, Refused> {
        let rules = *self.0.admission.read().unwrap_or_else(PoisonError::into_inner);
        signers::admit(&rules, &self.0.store.directory().signers(), entry)
    }

    /// The network that what comes from an address counts for; `None` where it speaks for many.
    pub(crate) fn holder(&self, ip: Option<IpAddr>) -> Option<IpAddr> {
        let alone = ip.filter(|ip| !ip.is_loopback() && !self.0.shared_addresses.contains(ip));
        alone.map(network)
    }

    /// Reads the certificates of those whose signatures count anew, which of them are revoked, and
    /// what new entries have to be.
    ///
    /// # Errors
    /// When that is not known; what was known before stays in force.
    pub fn reload_signers(&self, config: &Config) -> Result<(), SignersError> {
        let signers = signers::read(config.trust())?;
        let mut admission = self.0.admission.write().unwrap_or_else(PoisonError::into_inner);
        self.0.store.directory().trust(signers);
        *admission = config.trust().admission;
        Ok(())
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What decides who may do what.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// Whether writes are refused since a failure.
    pub(crate) fn is_read_only(&self) -> bool {
        match self.0.store.health() {
            Health::Healthy => false,
            Health::ReadOnly { .. } => true,
        }
    }

    pub(crate) fn mounts(&self) -> &Mounts {
        &self.0.mounts
    }

    /// The names at which web pages may write.
    pub(crate) fn page_hosts(&self) -> &HashSet<HostName> {
        &self.0.page_hosts
    }

    /// The largest blob that is taken, in bytes.
    pub(crate) fn blob_limit_bytes(&self) -> u64 {
        self.0.blob_limit_bytes
    }

    /// A place among the writes received at once, given back when it is dropped; `None` when all
    /// are taken, or all that strangers may take.
    pub(crate) fn write_place(&self, of_stranger: bool) -> Option<WritePlace> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let of_strangers = match of_stranger {
            true => Some(take(&self.0.writes_of_strangers)?),
            false => None,
        };
        Some(WritePlace { _place: take(&self.0.writes)?, _of_strangers: of_strangers })
    }

    pub(crate) fn connections(&self) -> &Arc<Counters> {
        &self.0.connections
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What answers about blobs say, as far as it is kept.
    pub(crate) fn blob_headers(&self) -> &BlobHeaders {
        &self.0.blob_headers
    }
}

/// A place among the writes received at once.
#[derive(Debug)]
pub(crate) struct WritePlace {
    _place: OwnedSemaphorePermit,
    _of_strangers: Option<OwnedSemaphorePermit>,
}

/// How many of so many places strangers may take together: a quarter is left to whoever is known.
fn for_strangers(writes: usize) -> usize {
    writes - writes / 4
}

fn page_hosts(config: &Config) -> HashSet<HostName> {
    let mounts = config.mounts();
    let names = mounts.shacache_host().iter().chain(mounts.shadir_host());
    names.chain(config.page_hosts()).cloned().collect()
}

/// Proxies, behind which anybody may be.
fn shared_addresses(limits: &Limits) -> HashSet<IpAddr> {
    limits.uncapped_addresses.iter().map(IpAddr::to_canonical).collect()
}
