//! Base64 (RFC 4648, section 4) as Python and OpenSSL read it where they are careful: white space
//! and the bits after the last byte do not matter, everything else does.

use std::sync::LazyLock;

use data_encoding::{BASE64, Encoding};

/// The bytes that a text stands for; `None` when it has anything but base64 and ASCII white space.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let is_white_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let packed: Vec<u8> = text.bytes().filter(|byte| !is_white_space(byte)).collect();
    // The decoder takes a second base64 text after padding, where others stop reading.
    let padding_at = packed.iter().position(|byte| *byte == b'=').unwrap_or(packed.len());
    if packed[padding_at..].iter().any(|byte| *byte != b'=') {
        return None;
    }
    LOOSE_END.decode(&packed).ok()
}

/// Base64 that does not look at the bits after the last byte.
static LOOSE_END: LazyLock<Encoding> = LazyLock::new(|| {
    let mut base64 = BASE64.specification();
    base64.check_trailing_bits = false;
    base64.encoding().expect("BASE64 with one check less is an encoding")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_last_bits_do_not_matter() {
        assert_eq!(decode("Zm9vYg=="), Some(b"foob".into()));
        assert_eq!(decode(" Zm\t9v\r\nY\x0bg=\x0c=\n"), Some(b"foob".into()));
        assert_eq!(decode("Zm9vYh=="), Some(b"foob".into()));
        assert_eq!(decode("\n"), Some(vec![]));
    }

    #[test]
    fn everything_else_matters() {
        for text in ["Zm9vY", "Zm9vYg", "Zm9vYg=", "Zm9vYg===", "=", "Zg==Zg==", "Zg==Zm9v"] {
            assert_eq!(decode(text), None, "{text}");
        }
        for text in ["Zm-v", "Zm_v", "Zm9v!", "Zm9v\0", "Zm9v\u{a0}", "Zm9v\x1c", "Zmé"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
