//! Writes that a browser sends on behalf of a web page, credentials of its user included: only pages
//! of this server make them, and only under a name that is known to be its own. Other clients send
//! neither of the headers that tell a browser, and are asked nothing. Must not know bodies.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

use super::write::WriteError;
use crate::mount::HostName;

/// Passes a write that no web page makes, or one that may.
///
/// # Errors
/// When the page is foreign, the request's host is neither in `hosts` nor one that cannot be made
/// to mean another machine, or the body is of another type than `media_type`.
pub(super) fn check(
    request: &Parts,
    media_type: &'static str,
    hosts: &HashSet<HostName>,
) -> Result<(), WriteError> {
    let origin = request.headers.get(ORIGIN);
    let site = request.headers.get(&SEC_FETCH_SITE);
    if origin.is_none() && site.is_none() {
        return Ok(());
    }
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(WriteError::ForeignOrigin);
    }
    let host = authority(request).ok_or(WriteError::ForeignOrigin)?;
    if let Some(origin) = origin {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        if !origin.is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host.as_str())) {
            return Err(WriteError::ForeignOrigin);
        }
    }
    // Whoever owns a name can have it lead to this server once a page of theirs is in the browser,
    // and the page is then of the same origin (DNS rebinding).
    let name = HostName::of(&host).ok_or(WriteError::ForeignOrigin)?;
    if !is_nobodys(&host) && !hosts.contains(&name) {
        return Err(WriteError::UnknownHost);
    }
    // A form can send three types without the browser asking first; those sent here are not among
    // them.
    let sent = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let sent = sent.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !sent.eq_ignore_ascii_case(media_type) {
        return Err(WriteError::MediaType { expected: media_type });
    }
    Ok(())
}

fn authority(request: &Parts) -> Option<Authority> {
    let header = || Authority::try_from(request.headers.get(HOST)?.as_bytes()).ok();
    request.uri.authority().cloned().or_else(header)
}

/// Whether a host is one that no name server is asked for: an address, or this very machine.
fn is_nobodys(host: &Authority) -> bool {
    let host = host.host();
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || in_brackets.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// What is said to a page at `origin` that writes to `host`, as a browser sends it.
    fn said(origin: &str, host: &str) -> Result<(), String> {
        let request = Request::put("/shadir/key").header(HOST, host).header(ORIGIN, origin);
        let request = request.header(CONTENT_TYPE, "application/json").body(()).unwrap();
        let hosts = HashSet::from(["cache.example".parse().unwrap()]);
        check(&request.into_parts().0, "application/json", &hosts).map_err(|e| e.to_string())
    }

    #[test]
    fn a_name_that_anybody_may_own_is_none_of_ours() {
        let unknown = Err(WriteError::UnknownHost.to_string());
        for host in [
            "evil.example",
            "evil.example:8080",
            "cache.example.evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "0x7f000001",
        ] {
            assert_eq!(said(&format!("http://{host}"), host), unknown, "{host}");
        }
    }

    #[test]
    fn pages_of_this_server_write() {
        let hosts = ["cache.example", "Cache.Example:80", "127.0.0.1:8080", "[::1]", "localhost:1"];
        for host in hosts {
            assert_eq!(said(&format!("http://{host}"), host), Ok(()), "{host}");
        }
    }

    #[test]
    fn other_pages_do_not() {
        let foreign = Err(WriteError::ForeignOrigin.to_string());
        for origin in ["null", "http://evil.example", "cache.example", "http://cache.example:81"] {
            assert_eq!(said(origin, "cache.example"), foreign, "{origin}");
        }
    }

    #[test]
    fn programs_are_asked_nothing() {
        let request = Request::put("/").header(HOST, "evil.example").body(()).unwrap();
        let (parts, ()) = request.into_parts();
        assert!(check(&parts, "application/json", &HashSet::new()).is_ok());
    }
}
