//! How many files this process may have open. A connection is one of them, and the soft limit that
//! programs are started with is often 1024. Must not know what is opened.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, and warns when that is too little for `connections`.
pub(crate) fn raise_limit(connections: usize) {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let limit = getrlimit(Resource::Nofile).current;
    let needed = (connections as u64).saturating_add(BESIDE_CONNECTIONS);
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        tracing::warn!(limit, needed, "too few open files are allowed for limit.connections");
    }
}

/// Files of the store, and those of the process itself.
const BESIDE_CONNECTIONS: u64 = 256;
