//! Which host a request is for (RFC 9112 §3.2, §3.3). Must not know what is served where.

use http::header::HOST;
use http::uri::Authority;
use http::{Request, Version};

use crate::mount::HostName;

/// The host that a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Host<'a> {
    /// As the client spelled it, without the port: letters, digits, hyphens and single dots.
    Plain(&'a str),
    /// Of any other form.
    Read(HostName),
}

impl Host<'_> {
    /// Its name.
    pub(crate) fn name(self) -> HostName {
        match self {
            Self::Plain(host) => HostName::of_plain(host),
            Self::Read(name) => name,
        }
    }
}

/// The host that `request` names: in its target if that is absolute, else in its Host header.
/// `None` for a request of HTTP/1.0 that names none.
///
/// # Errors
/// When there is more than one Host header, none in HTTP/1.1, one that is no host, or a user name
/// before the host, which makes one look like another (RFC 9110 §4.2.4).
pub(crate) fn requested<B>(request: &Request<B>) -> Result<Option<Host<'_>>, HostError> {
    let mut values = request.headers().get_all(HOST).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(HostError::Repeated);
    }
    if header.is_none() && request.version() >= Version::HTTP_11 {
        return Err(HostError::Missing);
    }
    // Nearly all are, and need no more than a look at each of their bytes.
    if request.uri().authority().is_none()
        && let Some(host) = header.and_then(|value| plain(value.as_bytes()))
    {
        return Ok(Some(Host::Plain(host)));
    }
    let header = header.map(|value| Authority::try_from(value.as_bytes()));
    let header = header.transpose().map_err(|_| HostError::Malformed)?;
    if header.iter().chain(request.uri().authority()).any(|host| host.as_str().contains('@')) {
        return Err(HostError::WithUser);
    }
    let authority = request.uri().authority().or(header.as_ref());
    let name = authority.map(|authority| HostName::of(authority).ok_or(HostError::Malformed));
    Ok(name.transpose()?.map(Host::Read))
}

/// The host of a header that is one without anything to be decided about it.
fn plain(header: &[u8]) -> Option<&str> {
    let mut before = b'.';
    let mut host = header;
    for (at, byte) in header.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => {}
            b'.' if before != b'.' => {}
            b':' if header[at + 1..].iter().all(u8::is_ascii_digit) => {
                host = &header[..at];
                break;
            }
            _ => return None,
        }
        before = *byte;
    }
    (before != b'.').then(|| str::from_utf8(host).ok()).flatten()
}

/// What is wrong with how a request names its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    #[error("an HTTP/1.1 request has a Host header")]
    Missing,
    #[error("a request has one Host header")]
    Repeated,
    #[error("the Host header is not a host name")]
    Malformed,
    #[error("a host has no user name before it; send credentials in Authorization")]
    WithUser,
}

#[cfg(test)]
mod tests {
    use proptest::sample::select;
    use proptest::{prop_assert_eq, proptest};
    use shacache_fuzz::target;

    use super::*;

    fn request(target: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap()
    }

    fn host(target: &str, hosts: &[&str]) -> Result<Option<String>, HostError> {
        let request = request(target, hosts);
        requested(&request).map(|host| host.map(|host| host.name().to_string()))
    }

    #[test]
    fn case_port_and_final_dot_do_not_count() {
        for name in ["a.example", "A.Example:8080", "a.example.", "a.example.:80"] {
            assert_eq!(host("/", &[name]), Ok(Some("a.example".to_owned())), "{name}");
        }
        assert_eq!(host("/", &["[::1]:80"]), Ok(Some("[::1]".to_owned())));
    }

    #[test]
    fn an_absolute_target_wins_over_the_header() {
        assert_eq!(host("http://b.example/x", &["a.example"]), Ok(Some("b.example".to_owned())));
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(host("/", &[]), Err(HostError::Missing));
        assert_eq!(host("/", &["a", "b"]), Err(HostError::Repeated));
        let no_names = ["a b", "a/b", "", "a:b:c", "a:b", ":80", ".", "..", "a..", "a..:80"];
        for name in no_names.into_iter().chain(["a[:]80", "[::1]a", "[::1].", "[a[::1]]", "[::1"]) {
            assert_eq!(host("/", &[name]), Err(HostError::Malformed), "{name}");
        }
        for (target, name) in [("/", "a@b"), ("/", ":@b:80"), ("http://a:b@c/x", "c")] {
            assert_eq!(host(target, &[name]), Err(HostError::WithUser), "{name}");
        }
        let mut old = request("/", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(requested(&old), Ok(None));
    }

    proptest! {
        #[test]
        fn a_plain_host_is_what_it_would_be_read_as(
            header in proptest::collection::vec(select(b"aZ09-.:@[]%_/ ".to_vec()), 0..12),
        ) {
            if let Some(host) = plain(&header) {
                let read = HostName::of(&Authority::try_from(&header[..]).unwrap());
                prop_assert_eq!(read, Some(HostName::of_plain(host)));
            }
        }
    }

    #[test]
    fn what_nearly_all_clients_send_is_plain() {
        for (header, host) in [
            ("a.example", "a.example"),
            ("A-1.example:8080", "A-1.example"),
            ("127.0.0.1:80", "127.0.0.1"),
        ] {
            assert_eq!(plain(header.as_bytes()), Some(host));
        }
        for header in ["a.example.", "[::1]:80", "a_b", ".a", "a..b", ":80", "", "a:b", "a:1:2"] {
            assert_eq!(plain(header.as_bytes()), None, "{header}");
        }
    }

    target!(host, |input| host_property(host_of, input),
        planted: |input| host_property(host_as_sent, input));

    /// What is named is a host alone, in lower case, and neither case nor port make another of it.
    fn host_property(host: fn(&[u8]) -> Option<String>, input: &[u8]) {
        let Some(name) = host(input) else { return };
        assert_eq!(name, name.to_ascii_lowercase());
        assert!(!name.contains(['@', '/']) && name.parse::<HostName>().is_ok(), "{name}");
        assert_eq!(host(&input.to_ascii_uppercase()).as_ref(), Some(&name));
        assert_eq!(host(format!("{name}:80").as_bytes()), host(name.as_bytes()));
    }

    fn host_of(header: &[u8]) -> Option<String> {
        let header = http::HeaderValue::from_bytes(header).ok()?;
        let request = Request::builder().header(HOST, header).body(()).ok()?;
        requested(&request).ok()?.map(|host| host.name().to_string())
    }

    fn host_as_sent(header: &[u8]) -> Option<String> {
        host_of(header)?;
        Some(Authority::try_from(header).ok()?.host().to_owned())
    }
}
