//! One request that was granted the right its route asks for. [`Call::admit`] is the only way to
//! make one, and handlers take nothing else as their state. Must not know handlers.

use axum::extract::Request;

use super::error::Failure;
use crate::access::Right;
use crate::app::App;
use crate::mount::MountPath;

/// A service at one of its paths; the server as a whole is at the root.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    app: App,
    path: MountPath,
}

impl Mount {
    pub(crate) fn new(app: &App, path: &MountPath) -> Self {
        Self { app: app.clone(), path: path.clone() }
    }

    pub(crate) fn path(&self) -> &MountPath {
        &self.path
    }
}

/// What a handler has of the server, for one request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    mount: Mount,
}

impl Call {
    /// Asks for `right` on behalf of `request`, before anything of its body is read.
    ///
    /// # Errors
    /// When whoever sent it does not have the right.
    pub(crate) fn admit(mount: Mount, _right: Right, _request: &Request) -> Result<Self, Failure> {
        Ok(Self { mount })
    }

    pub(crate) fn app(&self) -> &App {
        &self.mount.app
    }

    /// The path that the service was called at.
    pub(crate) fn path(&self) -> &MountPath {
        &self.mount.path
    }
}
