//! The one liberty taken with a request before hyper sees it: bytes of the target that the `http`
//! crate would refuse, or silently drop, are percent-encoded. Keys reach this server raw
//! (`pypi-index-…-foo>=1.0`), and two keys must never become one. Pure: bytes in, bytes out.

use std::borrow::Cow;

/// `line` with the troublesome bytes of its target percent-encoded; borrowed when it has none.
///
/// The target is what stands between the first space and the next one or the line's end, so a line
/// that is no request line comes out as broken as it went in, for hyper to refuse. Idempotent, and
/// the target's meaning after percent-decoding is that of the target as sent.
///
/// Of the bytes that can be sent raw in a target (Python's `http.client` sends `!` to `~`), `http`
/// 1.5 refuses `<`, `>` and the backtick, a `"` in the query, and cuts the target at `#`. The rest
/// it takes as it is; UTF-8 too. Controls, spaces and broken UTF-8 stay hyper's to refuse.
#[must_use]
pub fn escape_target(line: &[u8]) -> Cow<'_, [u8]> {
    let Some(space) = line.iter().position(|byte| *byte == b' ') else {
        return Cow::Borrowed(line);
    };
    let (method, rest) = line.split_at(space + 1);
    let end = memchr::memchr3(b' ', b'\r', b'\n', rest);
    let (target, version) = rest.split_at(end.unwrap_or(rest.len()));
    let is_escaped = memchr::memchr3(b'"', b'#', b'<', target).is_some()
        || memchr::memchr2(b'>', b'`', target).is_some();
    if !is_escaped {
        return Cow::Borrowed(line);
    }

    let mut escaped = Vec::with_capacity(line.len() + 16);
    escaped.extend_from_slice(method);
    for byte in target {
        match escape(*byte) {
            Some(code) => escaped.extend_from_slice(code),
            None => escaped.push(*byte),
        }
    }
    escaped.extend_from_slice(version);
    Cow::Owned(escaped)
}

fn escape(byte: u8) -> Option<&'static [u8; 3]> {
    match byte {
        b'"' => Some(b"%22"),
        b'#' => Some(b"%23"),
        b'<' => Some(b"%3C"),
        b'>' => Some(b"%3E"),
        b'`' => Some(b"%60"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
