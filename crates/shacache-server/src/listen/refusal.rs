//! Requests refused before the service sees them, because their request line is longer than the
//! limit or hyper cannot read their head: what such a client is told, and what the log says.
//! hyper's own answer has no body; this one says why in one line, as every other refusal does.
//! Must not know how the mistake was noticed.

use std::net::IpAddr;
use std::time::SystemTime;

use http::StatusCode;

use super::Peer;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    LineTooLong,
    HeadTooLarge,
    Malformed,
}

impl Refusal {
    pub(super) const ALL: [Self; 3] = [Self::LineTooLong, Self::HeadTooLarge, Self::Malformed];

    /// The whole answer to a request that begins with `line`, after which the connection is closed.
    pub(super) fn answer(self, line: &[u8]) -> Vec<u8> {
        let status = self.status();
        let (code, phrase) = (status.as_str(), status.canonical_reason().unwrap_or_default());
        let reason = self.reason();
        let length = reason.len() + 1;
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut answer = format!(
            "HTTP/1.1 {code} {phrase}\r\n\
             content-type: text/plain; charset=utf-8\r\n\
             content-length: {length}\r\n\
             cache-control: no-store\r\n\
             {FOR_BROWSERS}\
             connection: close\r\n\
             date: {date}\r\n\r\n"
        );
        if !line.starts_with(b"HEAD ") {
            answer.push_str(reason);
            answer.push('\n');
        }
        answer.into_bytes()
    }

    /// Leaves one line in the log.
    pub(super) fn log(self, line: &[u8], peer: &Peer) {
        let status = self.status().as_u16();
        let client = peer.ip().as_ref().map_or_else(|| "unix".to_owned(), IpAddr::to_string);
        let (method, path) = method_and_path(line);
        tracing::info!(client, method, path, status, reason = self.reason(), "refused");
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::LineTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::LineTooLong => "the request line is too long",
            Self::HeadTooLarge => "the request's headers are too long or too many",
            Self::Malformed => "the request is not well-formed HTTP/1.1",
        }
    }
}

/// What the routed answers tell browsers, too.
const FOR_BROWSERS: &str = "x-content-type-options: nosniff\r\n\
    content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox\r\n\
    referrer-policy: no-referrer\r\n\
    cross-origin-resource-policy: same-origin\r\n";

/// The first two words of a line that may be anything, in printable ASCII and of a length fit for a
/// log. The query is left out, since clients exist that put a token there, and so is a user before
/// the host.
fn method_and_path(line: &[u8]) -> (String, String) {
    let mut words = line.split(|byte| b" \r\n".contains(byte));
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    (printable(method, 16), printable(without_user(path), 1024))
}

/// What a target that is no path names without the user of its host, whose password may be there.
fn without_user(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let host = target.windows(3).position(|bytes| bytes == b"://").map_or(0, |scheme| scheme + 3);
    let end = target[host..].iter().position(|byte| *byte == b'/');
    let end = end.map_or(target.len(), |length| host + length);
    target[host..end]
        .iter()
        .rposition(|byte| *byte == b'@')
        .map_or(target, |user| &target[host + user + 1..])
}

fn printable(bytes: &[u8], most_bytes: usize) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(most_bytes) {
        if byte.is_ascii_graphic() {
            text.push((*byte).into());
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gets_printable_words_and_no_query() {
        let words = |line: &[u8]| {
            let (method, path) = method_and_path(line);
            format!("{method} {path}")
        };
        assert_eq!(words(b"GET /a b?c HTTP/1.1\r\n"), "GET /a");
        assert_eq!(words(b"GET /a\x7f\x1b[31m\xff?token=b HTTP/1.1\r\n"), "GET /a%7F%1B[31m%FF");
        assert_eq!(words(b"GET"), "GET ");
        assert_eq!(words(b""), " ");
        assert_eq!(words(&[b'a'; 5000]), format!("{} ", "a".repeat(16)));
    }

    #[test]
    fn the_log_gets_no_password() {
        for (target, logged) in [
            ("http://a:secret@b.example/c@d?e", "b.example/c@d"),
            ("http://a:se@cret@b.example", "b.example"),
            ("a:secret@b.example:80", "b.example:80"),
            ("http://b.example/c@d", "http://b.example/c@d"),
            ("/shadir/http://a:b@c/d", "/shadir/http://a:b@c/d"),
            ("*", "*"),
        ] {
            let line = format!("GET {target} HTTP/1.1\r\n");
            assert_eq!(method_and_path(line.as_bytes()).1, logged, "{target}");
        }
    }

    #[test]
    fn head_gets_no_body() {
        let text = |line: &[u8]| String::from_utf8(Refusal::Malformed.answer(line)).unwrap();
        assert!(text(b"HEAD /a b HTTP/1.1\r\n").ends_with("\r\n\r\n"));
        assert!(
            text(b"GET /a b HTTP/1.1\r\n")
                .ends_with("\r\n\r\nthe request is not well-formed HTTP/1.1\n")
        );
    }
}
