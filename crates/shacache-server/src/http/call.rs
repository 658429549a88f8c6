//! One request that was granted the right its route asks for. [`Call::admit`] and, for what is open to
//! everybody, [`OpenRead::admit`] are the only ways to make one, and handlers take nothing else as
//! their state. Must not know handlers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::error::Failure;
use super::target;
use crate::access::{Credential, Name, Right, Sender, Terms, UploadPolicy, without_tokens};
use crate::app::App;
use crate::listen::Peer;
use crate::mount::MountPath;

/// A service at one of its paths; the server as a whole is at the root. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Mount(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    upload: UploadPolicy,
    path: MountPath,
}

impl Mount {
    pub(crate) fn new(app: &App, upload: UploadPolicy, path: &MountPath) -> Self {
        Self(Arc::new(Inner { app: app.clone(), upload, path: path.clone() }))
    }

    pub(crate) fn path(&self) -> &MountPath {
        &self.0.path
    }
}

/// What a handler has of the server, for one request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    mount: Mount,
    name: Option<Name>,
    terms: Terms,
    holder: Option<IpAddr>,
}

impl Call {
    /// Asks for `right` on behalf of `peer` and its `request`, before anything of its body is read,
    /// and takes the tokens out of its target.
    ///
    /// # Errors
    /// When whoever sent it does not have the right.
    pub(crate) async fn admit(
        mount: Mount,
        right: Right,
        request: &mut Request,
        peer: Option<&Peer>,
    ) -> Result<Self, Failure> {
        let credential = Credential::of(request.headers(), request.uri());
        if let Some(target) = without_tokens(request.uri()) {
            *request.uri_mut() = target;
        }
        let key = match right {
            Right::Put => Some(target::key(request.uri(), mount.path())?),
            Right::Nothing | Right::Read | Right::Upload | Right::Operate | Right::Administer => {
                None
            }
        };
        let sender = Sender { peer, credential: &credential };
        let Inner { app, upload, .. } = &*mount.0;
        let grant = app.access().decide(*upload, right, key.as_ref(), sender).await?;
        let holder = app.holder(peer.and_then(Peer::ip));
        Ok(Self { name: grant.name, terms: grant.terms, holder, mount })
    }

    pub(crate) fn app(&self) -> &App {
        &self.mount.0.app
    }

    /// The path that the service was called at.
    pub(crate) fn path(&self) -> &MountPath {
        self.mount.path()
    }

    /// Whom the right was granted to; `None` where it does not matter.
    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// On which terms what is uploaded is taken.
    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether nobody is known to have sent it, where others are.
    pub(crate) fn is_of_stranger(&self) -> bool {
        self.terms == Terms::Signed && self.name.is_none()
    }

    /// On whose account a blob lies until it is claimed; `None` where one address speaks for many.
    pub(crate) fn holder(&self) -> Option<IpAddr> {
        self.holder
    }
}

/// A GET of what everybody may read: whoever sends it, nothing has to be decided or waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenRead<'a> {
    mount: &'a Mount,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl<'a> OpenRead<'a> {
    /// `None` for any other request, and where tokens may have to be taken out of the target.
    pub(crate) fn admit<B>(
        mount: &'a Mount,
        right: Right,
        request: &'a http::Request<B>,
    ) -> Option<Self> {
        let (uri, headers) = (request.uri(), request.headers());
        let is_open = mount.0.app.access().is_everybodys(right);
        let is_plain = *request.method() == Method::GET && uri.query().is_none();
        (is_open && is_plain).then_some(Self { mount, uri, headers })
    }

    pub(crate) fn app(&self) -> &App {
        &self.mount.0.app
    }

    /// The path that the service was called at.
    pub(crate) fn path(&self) -> &MountPath {
        self.mount.path()
    }

    pub(crate) fn uri(&self) -> &Uri {
        self.uri
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.headers
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fs;
    use std::net::SocketAddr;
    use std::sync::Arc;

    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use futures_util::stream::pending;
    use http::StatusCode;
    use http::header::{AUTHORIZATION, RETRY_AFTER};

    use super::*;
    use crate::access::{NewToken, Role};
    use crate::config::{self, Overrides};
    use crate::http::Answers;

    /// What the smallest blob counts; there is room for so many, and for a quarter of one address.
    const LEAST: usize = 64 << 10;
    const ROOM: usize = 8;
    const WRITES: usize = 4;
    const SIGNER: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shacache-core/testdata/golden/tool.pem");

    struct Strangers {
        _folder: tempfile::TempDir,
        app: App,
        answers: Answers,
    }

    impl Strangers {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("server.toml");
            let settings = format!(
                "[upload]\npolicy = \"signed\"\nunclaimed-bytes = {}\n\
                 [trust]\ncertificates = [{SIGNER:?}]\n\
                 [limit]\nuncapped-addresses = [\"192.0.2.7\"]\nwrites = {WRITES}\n",
                ROOM * LEAST
            );
            fs::write(&file, settings).unwrap();
            let data = Some(folder.path().join("data").display().to_string());
            let overrides = Overrides { file: Some(file), data, ..Overrides::default() };
            let app = App::open(&config::load(&overrides).unwrap()).unwrap();
            let answers = Answers::new(app.clone(), UploadPolicy::Signed);
            Self { _folder: folder, app, answers }
        }

        /// Uploads as somebody at `address`; over a Unix socket without one.
        async fn upload(&self, address: Option<&str>, bytes: Vec<u8>) -> http::Response<()> {
            let address: Option<SocketAddr> = address.map(|address| address.parse().unwrap());
            let listener = Arc::new("192.0.2.1:80".parse().unwrap());
            let request =
                Request::post("/shacache").header("host", "a").body(Body::from(bytes)).unwrap();
            let peer = Peer::new(address, listener);
            self.answers.clone().answer(request, Some(peer)).await.map(drop)
        }
    }

    #[tokio::test]
    async fn strangers_share_what_may_wait_by_their_addresses() {
        for (one, same, other) in [
            ("198.51.100.1:1", "[::ffff:198.51.100.1]:2", "198.51.100.2:1"),
            ("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"),
        ] {
            let strangers = Strangers::new();
            assert_eq!(strangers.upload(Some(one), vec![1]).await.status(), StatusCode::CREATED);
            assert_eq!(strangers.upload(Some(same), vec![2]).await.status(), StatusCode::CREATED);
            for address in [one, same] {
                let refused = strangers.upload(Some(address), vec![3]).await;
                assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{address}");
                assert!(refused.headers().contains_key(RETRY_AFTER));
            }
            assert_eq!(strangers.upload(Some(other), vec![3]).await.status(), StatusCode::CREATED);
            let large = strangers.upload(Some(other), vec![0; ROOM / 4 * LEAST + 1]).await;
            assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
    }

    #[tokio::test]
    async fn strangers_leave_some_writes_to_those_who_are_known() {
        let strangers = Strangers::new();
        let builder = NewToken {
            name: "builder".to_owned(),
            roles: vec![Role::Upload],
            keys: vec![],
            expires_in_days: None,
            in_query: false,
            password: None,
        };
        let tokens = strangers.app.access().tokens();
        let token = tokens.add(builder).unwrap().token.unwrap();
        let begin = |authorization: Option<&str>| {
            let endless = Body::from_stream(pending::<Result<Bytes, Infallible>>());
            let mut request = Request::post("/shacache").header("host", "a");
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            Box::pin(strangers.answers.clone().answer(request.body(endless).unwrap(), None))
        };
        let mut taken = Vec::new();
        let refused = loop {
            let mut upload = begin(None);
            match upload.as_mut().now_or_never() {
                None => taken.push(upload),
                Some(refused) => break refused,
            }
        };
        assert_eq!((taken.len(), refused.status()), (3, StatusCode::SERVICE_UNAVAILABLE));
        let bearer = format!("Bearer {token}");
        let mut known = begin(Some(&bearer));
        assert!(known.as_mut().now_or_never().is_none(), "a place was left");
        let refused = begin(Some(&bearer)).now_or_never().expect("that was the last");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        taken.clear();
        assert!(begin(None).now_or_never().is_none());
    }

    #[tokio::test]
    async fn whoever_speaks_for_many_may_leave_as_much_as_there_is_room_for() {
        for many in [Some("127.0.0.1:1"), Some("[::1]:1"), Some("192.0.2.7:1"), None] {
            let strangers = Strangers::new();
            for seed in 0..ROOM {
                let stored = strangers.upload(many, vec![u8::try_from(seed).unwrap()]).await;
                assert_eq!(stored.status(), StatusCode::CREATED, "{many:?}");
            }
            let refused = strangers.upload(many, vec![255]).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{many:?}");
        }
    }
}
