//! Where the two services are found: under paths, and on host names of their own. Owns what a
//! mount path and a host name are and which of them can stand beside each other. Must not know
//! how requests are routed.

use std::fmt;
use std::str::FromStr;

use http::uri::Authority;

/// The paths and host names of both services, none of which hides another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounts {
    shacache: Vec<MountPath>,
    shadir: Vec<MountPath>,
    shacache_host: Vec<HostName>,
    shadir_host: Vec<HostName>,
}

impl Mounts {
    /// The mounts of a server.
    ///
    /// # Errors
    /// When one path is another one or lies below it, or both services have a host name.
    pub fn new(
        shacache: Vec<MountPath>,
        shadir: Vec<MountPath>,
        shacache_host: Vec<HostName>,
        shadir_host: Vec<HostName>,
    ) -> Result<Self, MountsError> {
        let paths: Vec<&MountPath> = shacache.iter().chain(&shadir).collect();
        for (at, path) in paths.iter().enumerate() {
            for other in &paths[at + 1..] {
                if path.is_within(other) || other.is_within(path) {
                    let (path, other) = ((*path).clone(), (*other).clone());
                    return Err(MountsError::Overlap(path, other));
                }
            }
        }
        if let Some(host) = shadir_host.iter().find(|host| shacache_host.contains(host)) {
            return Err(MountsError::SharedHost(host.clone()));
        }
        Ok(Self { shacache, shadir, shacache_host, shadir_host })
    }

    /// Paths of the blob service.
    #[must_use]
    pub fn shacache(&self) -> &[MountPath] {
        &self.shacache
    }

    /// Paths of the directory service.
    #[must_use]
    pub fn shadir(&self) -> &[MountPath] {
        &self.shadir
    }

    /// Host names on which the blob service is at the root, and nothing else is.
    #[must_use]
    pub fn shacache_host(&self) -> &[HostName] {
        &self.shacache_host
    }

    /// Host names on which the directory service is at the root, and nothing else is.
    #[must_use]
    pub fn shadir_host(&self) -> &[HostName] {
        &self.shadir_host
    }
}

/// Why a set of mounts is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountsError {
    /// Requests under one path would reach the other one.
    #[error("{0} and {1} overlap")]
    Overlap(MountPath, MountPath),
    /// A host name can have one service at its root.
    #[error("{0} cannot be the host of both services")]
    SharedHost(HostName),
}

/// A path that a service is mounted at: `/` and a segment, once or more, without a final slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPath(Box<str>);

impl MountPath {
    /// The path as it begins a request's path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The root of a host of its own: the empty path, which no configured text stands for.
    pub(crate) fn root() -> Self {
        Self("".into())
    }

    fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(&*other.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MountPath {
    type Err = MountPathError;

    fn from_str(text: &str) -> Result<Self, MountPathError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            return Err(MountPathError::Root);
        }
        let segments = text.strip_prefix('/').ok_or(MountPathError::Relative)?;
        for segment in segments.split('/') {
            let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if matches!(segment, "" | "." | "..") || !segment.bytes().all(unreserved) {
                return Err(MountPathError::Segment(segment.into()));
            }
        }
        let first = segments.split('/').next().unwrap_or_default();
        if OPERATIONS.contains(&first) {
            return Err(MountPathError::Reserved(first.into()));
        }
        Ok(Self(text.into()))
    }
}

/// Why a text is no mount path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountPathError {
    /// The root would hide everything else.
    #[error("no service can be mounted at the root of every host; use a host name of its own")]
    Root,
    /// It does not begin at the root.
    #[error("a mount path begins with /")]
    Relative,
    /// A segment is empty, `.` or `..`, or has characters that proxies may rewrite.
    #[error("{0:?} cannot be a segment of a mount path (letters, digits, - . _ ~)")]
    Segment(Box<str>),
    /// The server itself answers there.
    #[error("/{0} is the server's own")]
    Reserved(Box<str>),
}

/// The name of a host: lower case, without a port and without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(Box<str>);

impl HostName {
    /// The host of an authority that was read already (RFC 3986 §3.2), which is more lenient: there
    /// has to be a name, with at most one dot at its end, in brackets as a whole or without any, and
    /// nothing beside it but a port.
    pub(crate) fn of(authority: &Authority) -> Option<Self> {
        let host = authority.host();
        let port = authority.as_str().strip_prefix(host)?;
        let port = port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?;
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if !port.bytes().all(|byte| byte.is_ascii_digit())
            || in_brackets.unwrap_or(host).contains(['[', ']'])
        {
            return None;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty() && !host.ends_with('.')).then(|| Self::of_plain(host))
    }

    /// Of a host alone, known to be one.
    pub(crate) fn of_plain(host: &str) -> Self {
        Self(host.to_ascii_lowercase().into())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let authority: Authority = text.parse().map_err(|_| HostNameError::Malformed)?;
        if authority.host().len() != text.len() {
            return Err(HostNameError::MoreThanAHost);
        }
        Self::of(&authority).ok_or(HostNameError::Malformed)
    }
}

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// It has characters that no host name has.
    #[error("not a host name")]
    Malformed,
    /// A port or a user name stands beside the host.
    #[error("a host name comes without a port and without a user name")]
    MoreThanAHost,
}

/// First segments of the server's own paths. A service below one would hide them.
const OPERATIONS: [&str; 10] = [
    "admin",
    "healthz",
    "health",
    "readyz",
    "metrics",
    "version",
    "openapi.json",
    "signers",
    "signers.pem",
    "signers.cfg",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MountPath {
        text.parse().unwrap()
    }

    fn host(text: &str) -> HostName {
        text.parse().unwrap()
    }

    #[test]
    fn a_mount_path_is_plain_segments() {
        assert_eq!(path("/shacache/cache/").as_str(), "/shacache/cache");
        assert_eq!("".parse::<MountPath>(), Err(MountPathError::Root));
        assert_eq!("/".parse::<MountPath>(), Err(MountPathError::Root));
        assert_eq!("a".parse::<MountPath>(), Err(MountPathError::Relative));
        assert_eq!("//".parse::<MountPath>(), Err(MountPathError::Segment("".into())));
        assert_eq!("/a//b".parse::<MountPath>(), Err(MountPathError::Segment("".into())));
        assert_eq!("/a/..".parse::<MountPath>(), Err(MountPathError::Segment("..".into())));
        assert_eq!("/{a}".parse::<MountPath>(), Err(MountPathError::Segment("{a}".into())));
        assert_eq!(
            "/health/a".parse::<MountPath>(),
            Err(MountPathError::Reserved("health".into()))
        );
    }

    #[test]
    fn no_mount_lies_within_another() {
        for (one, other) in [("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a")] {
            assert_eq!(
                Mounts::new(vec![path(one)], vec![path(other)], vec![], vec![]),
                Err(MountsError::Overlap(path(one), path(other)))
            );
        }
        assert!(Mounts::new(vec![path("/a/b")], vec![path("/a/bc")], vec![], vec![]).is_ok());
        assert!(Mounts::new(vec![path("/a"), path("/a")], vec![], vec![], vec![]).is_err());
    }

    #[test]
    fn a_host_has_one_service_at_its_root() {
        assert_eq!(
            Mounts::new(vec![], vec![], vec![host("A.example")], vec![host("a.example.")]),
            Err(MountsError::SharedHost(host("a.example")))
        );
    }

    #[test]
    fn a_host_name_is_a_host_and_nothing_else() {
        assert_eq!(host("A.example").to_string(), "a.example");
        assert_eq!(host("[::1]").to_string(), "[::1]");
        assert_eq!("a.example:80".parse::<HostName>(), Err(HostNameError::MoreThanAHost));
        assert_eq!("u@a.example".parse::<HostName>(), Err(HostNameError::MoreThanAHost));
        assert_eq!("http://a/".parse::<HostName>(), Err(HostNameError::Malformed));
        assert_eq!("".parse::<HostName>(), Err(HostNameError::Malformed));
        assert_eq!(".".parse::<HostName>(), Err(HostNameError::Malformed));
    }
}
