//! The request-line rule against the `http` crate itself, so that a version of it which refuses or
//! drops another byte turns these tests red.

use http::Uri;
use proptest::prelude::*;
use shacache_fuzz::target;

use super::*;

fn escaped(line: &[u8]) -> Vec<u8> {
    escape_target(line).into_owned()
}

/// The target as a handler sees it: parsed, its path percent-decoded once.
fn decoded_path(target: &[u8]) -> Option<Vec<u8>> {
    let line = [b"GET ", target, b" HTTP/1.1\r\n"].concat();
    let escaped = escaped(&line);
    let target = &escaped[4..escaped.len() - 11];
    let uri = Uri::try_from(target).ok()?;
    Some(percent_decode(uri.path().as_bytes()))
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok());
        decoded.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

#[test]
fn encodes_exactly_the_bytes_hyper_would_not_pass_on() {
    assert_eq!(
        escaped(b"GET /a<b>=1.0`c#d\"e HTTP/1.1\r\n"),
        b"GET /a%3Cb%3E=1.0%60c%23d%22e HTTP/1.1\r\n"
    );
}

#[test]
fn what_has_a_code_is_found() {
    for byte in u8::MIN..=u8::MAX {
        let line = [b"GET /".as_slice(), &[byte], b" HTTP/1.1\r\n"].concat();
        let is_found = matches!(escape_target(&line), Cow::Owned(_));
        assert_eq!(is_found, escape(byte).is_some(), "{byte:#x}");
    }
}

#[test]
fn leaves_a_clean_line_where_it_is() {
    for line in ["GET /a%3Cb?c=d HTTP/1.1\r\n", "PUT /[a]{b}|\\^~' HTTP/1.0\n", "GET / HTTP/1.1"] {
        assert!(matches!(escape_target(line.as_bytes()), Cow::Borrowed(_)), "{line}");
    }
}

#[test]
fn touches_nothing_but_the_target() {
    assert_eq!(escaped(b"G<T /a HTTP<1.1\r\n"), b"G<T /a HTTP<1.1\r\n");
    assert_eq!(escaped(b"G<T"), b"G<T");
    assert_eq!(escaped(b"GET /a<"), b"GET /a%3C");
    assert_eq!(escaped(b"GET /a< <b> HTTP/1.1\r\n"), b"GET /a%3C <b> HTTP/1.1\r\n");
}

#[test]
fn every_byte_a_client_can_send_raw_reaches_the_handler() {
    for byte in b'!'..=b'~' {
        if byte == b'?' || byte == b'%' {
            continue;
        }
        let path = [b"/a", &[byte][..], b"b"].concat();
        assert_eq!(decoded_path(&path), Some(path), "byte {byte:#04x} in the path");

        let line = [b"GET /a?b", &[byte][..], b"c HTTP/1.1\r\n"].concat();
        let escaped = escaped(&line);
        let uri = Uri::try_from(&escaped[4..escaped.len() - 11]).expect("a target");
        let query = percent_decode(uri.query().expect("a query").as_bytes());
        assert_eq!(query, [b"b", &[byte][..], b"c"].concat(), "byte {byte:#04x} in the query");
    }
}

#[test]
fn utf8_is_passed_on_as_it_is() {
    assert_eq!(decoded_path("/clé<1".as_bytes()), Some("/clé<1".as_bytes().to_vec()));
    assert_eq!(decoded_path(b"/\xff"), None);
}

proptest! {
    #[test]
    fn two_raw_keys_never_become_one(
        a in "[!-$&->@-~]{1,40}",
        b in "[!-$&->@-~]{1,40}",
    ) {
        let (one, other) = (format!("/{a}"), format!("/{b}"));
        let (one_seen, other_seen) = (decoded_path(one.as_bytes()), decoded_path(other.as_bytes()));
        prop_assert_eq!(one_seen.as_deref(), Some(one.as_bytes()));
        prop_assert_eq!(one_seen == other_seen, a == b);
    }

    #[test]
    fn any_line_keeps_its_shape(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let once = escaped(&line);
        prop_assert_eq!(escaped(&once), once.clone(), "idempotent");
        for separator in [b' ', b'\r', b'\n'] {
            let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == separator).count();
            prop_assert_eq!(count(&once), count(&line));
        }
        prop_assert!(once.len() <= 3 * line.len());
    }

    #[test]
    fn a_target_without_raw_trouble_is_untouched(target in "/[a-z0-9%?=:._~'\\[\\]-]{0,60}") {
        let line = format!("GET {target} HTTP/1.1\r\n");
        prop_assert_eq!(escaped(line.as_bytes()), line.as_bytes());
    }
}

target!(request_line, |input| request_line_property(escaped, input),
    planted: |input| request_line_property(with_percent_signs_escaped, input));

/// The target means what it meant, nothing else is touched, and a second time changes nothing.
fn request_line_property(escape: fn(&[u8]) -> Vec<u8>, line: &[u8]) {
    let once = escape(line);
    assert_eq!(escape(&once), once);
    assert!(once.len() <= 3 * line.len());
    assert_eq!(percent_decode(&once), percent_decode(line));
    let words = |line: &[u8]| line.split(|byte| b" \r\n".contains(byte)).count();
    assert_eq!(words(&once), words(line));
    let target = once.iter().skip_while(|byte| **byte != b' ').skip(1);
    let mut target = target.take_while(|byte| !b" \r\n".contains(byte));
    assert!(!target.any(|byte| b"\"#<>`".contains(byte)), "{}", once.escape_ascii());
}

fn with_percent_signs_escaped(line: &[u8]) -> Vec<u8> {
    let escaped = escaped(line);
    escaped
        .iter()
        .flat_map(|byte| if *byte == b'%' { b"%25" } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}
