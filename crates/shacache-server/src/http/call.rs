//! One request that was granted the right its route asks for. [`Call::admit`] is the only way to
//! make one, and handlers take nothing else as their state. Must not know handlers.

use std::net::IpAddr;

use axum::extract::Request;
use axum::response::Response;
use http::HeaderValue;
use http::header::CACHE_CONTROL;

use super::error::Failure;
use super::target;
use crate::access::{Credential, Right, Sender, Terms, UploadPolicy, without_tokens};
use crate::access_log::Noted;
use crate::app::App;
use crate::listen::Peer;
use crate::mount::MountPath;

/// A service at one of its paths; the server as a whole is at the root.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    app: App,
    upload: UploadPolicy,
    path: MountPath,
}

impl Mount {
    pub(crate) fn new(app: &App, upload: UploadPolicy, path: &MountPath) -> Self {
        Self { app: app.clone(), upload, path: path.clone() }
    }

    pub(crate) fn path(&self) -> &MountPath {
        &self.path
    }
}

/// What a handler has of the server, for one request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    mount: Mount,
    terms: Terms,
    holder: Option<IpAddr>,
}

impl Call {
    /// Asks for `right` on behalf of `request`, before anything of its body is read, and takes the
    /// tokens out of its target.
    ///
    /// # Errors
    /// When whoever sent it does not have the right.
    pub(crate) async fn admit(
        mount: Mount,
        right: Right,
        request: &mut Request,
    ) -> Result<Self, Failure> {
        let credential = Credential::of(request.headers(), request.uri());
        if let Some(target) = without_tokens(request.uri()) {
            *request.uri_mut() = target;
        }
        let key = match right {
            Right::Put => Some(target::key(request.uri(), &mount.path)?),
            Right::Nothing | Right::Read | Right::Upload | Right::Operate => None,
        };
        let sender = Sender { peer: request.extensions().get::<Peer>(), credential: &credential };
        let access = mount.app.access();
        let grant = access.decide(mount.upload, right, key.as_ref(), sender).await?;
        if let (Some(name), Some(noted)) = (grant.name, request.extensions().get::<Noted>()) {
            noted.name(name);
        }
        let holder = mount.app.holder(sender.peer.and_then(Peer::ip));
        Ok(Self { terms: grant.terms, holder, mount })
    }

    pub(crate) fn app(&self) -> &App {
        &self.mount.app
    }

    /// The path that the service was called at.
    pub(crate) fn path(&self) -> &MountPath {
        &self.mount.path
    }

    /// On which terms what is uploaded is taken.
    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// On whose account a blob lies until it is claimed; `None` where one address speaks for many.
    pub(crate) fn holder(&self) -> Option<IpAddr> {
        self.holder
    }
}

/// Whatever only some may read is kept out of caches that all share: with `public`, they would give
/// it to everybody although it was asked for with credentials (RFC 9111, section 3.5).
pub(crate) fn keep_private(response: &mut Response) {
    if let Some(cached) = response.headers_mut().get_mut(CACHE_CONTROL)
        && let Some(rest) = cached.to_str().ok().and_then(|text| text.strip_prefix("public"))
    {
        *cached = HeaderValue::try_from(format!("private{rest}"))
            .expect("a header's value with another word in front is one");
    }
}
