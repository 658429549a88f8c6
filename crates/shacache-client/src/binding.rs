//! Whether an entry was made for the key it is found under. A signature covers the metadata and not
//! the key, so a server could answer with a good entry of another key; what the metadata say about
//! the key is the only defence.

use shacache_core::digest::AliasHasher;
use shacache_core::json::Object;
use shacache_core::key::Key;

/// The key of a URL: `file-urlmd5:` and the MD5 of its UTF-8 bytes, in hex.
///
/// # Panics
/// Never: such a text is a key.
#[must_use]
pub fn url_key(url: &str) -> Key {
    format!("{URL_PREFIX}{}", md5_hex(url))
        .parse()
        .expect("48 printable ASCII characters are a key")
}

/// The MD5 in the key of a URL; `None` for keys of another kind.
#[must_use]
pub fn url_md5(key: &Key) -> Option<&str> {
    key.as_str().strip_prefix(URL_PREFIX)
}

/// The key of a software release in the binary cache: the MD5 of its URL, in hex.
///
/// # Panics
/// Never: such a text is a key.
#[must_use]
pub fn software_key(software_url: &str) -> Key {
    md5_hex(software_url).parse().expect("32 hex digits are a key")
}

/// Checks that an entry's metadata name `key`. Under `file-urlmd5:`, `url` has to hash to the rest
/// of the key, or, when there is no `url`, `urlmd5` has to be the rest. Under other keys, `key` is
/// the key itself, or, under 32 hex digits, `software_url` hashes to the key. None of these that is
/// there may name another key.
///
/// # Errors
/// When they name another key, or none.
pub fn check(key: &Key, metadata: &Object) -> Result<(), BindingError> {
    let text = |field: &str| metadata.get(field).and_then(|value| value.as_str());
    let judge = |field: &'static str, fits: bool| {
        if fits { Ok(()) } else { Err(BindingError::OtherKey { field }) }
    };
    let named = metadata.contains_key("key");
    if named {
        judge("key", text("key") == Some(key.as_str()))?;
    }
    if let Some(md5) = url_md5(key) {
        if metadata.contains_key("url") {
            return judge("url", text("url").is_some_and(|url| md5_hex(url) == md5));
        }
        if metadata.contains_key("urlmd5") {
            return judge("urlmd5", text("urlmd5") == Some(md5));
        }
        return Err(BindingError::NoKey);
    }
    if is_md5(key.as_str()) && metadata.contains_key("software_url") {
        let fits = text("software_url").is_some_and(|url| md5_hex(url) == key.as_str());
        return judge("software_url", fits);
    }
    if named { Ok(()) } else { Err(BindingError::NoKey) }
}

/// Why an entry does not belong to a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The metadata name another key.
    #[error("its `{field}` is that of another key")]
    OtherKey {
        /// Where they do.
        field: &'static str,
    },
    /// The metadata name no key at all.
    #[error("nothing in it says which key it was made for")]
    NoKey,
}

fn md5_hex(text: &str) -> String {
    use std::fmt::Write as _;
    let mut hasher = AliasHasher::new();
    hasher.update(text.as_bytes());
    hasher.finish().md5.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn is_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const URL_PREFIX: &str = "file-urlmd5:";

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(key: &str, members: &[(&str, &str)]) -> Result<(), BindingError> {
        let mut metadata = Object::new();
        for (name, value) in members {
            metadata.insert(*name, *value);
        }
        check(&key.parse().expect("a key"), &metadata)
    }

    #[test]
    fn an_entry_names_its_key_in_one_of_three_ways() {
        let url = "http://example.com/a";
        let key = url_key(url);
        // As `printf http://example.com/a | md5sum` says.
        assert_eq!(key.as_str(), "file-urlmd5:3e27a17e84f5f8486fbc14488e12e6ff");
        let md5 = &key.as_str()["file-urlmd5:".len()..];
        let other = |field| Err(BindingError::OtherKey { field });
        assert_eq!(checked(key.as_str(), &[("url", url)]), Ok(()));
        assert_eq!(checked(key.as_str(), &[("url", "x"), ("urlmd5", md5)]), other("url"));
        assert_eq!(checked(key.as_str(), &[("urlmd5", md5)]), Ok(()));
        assert_eq!(checked(key.as_str(), &[("urlmd5", "0")]), other("urlmd5"));
        assert_eq!(checked(key.as_str(), &[("software_url", url)]), Err(BindingError::NoKey));
        assert_eq!(checked(md5, &[("software_url", url)]), Ok(()));
        assert_eq!(checked(md5, &[("software_url", "x")]), other("software_url"));
        assert_eq!(checked(md5, &[("url", url)]), Err(BindingError::NoKey));
        assert_eq!(checked("pypi:a=1", &[("key", "pypi:a=1")]), Ok(()));
        assert_eq!(checked("pypi:a=1", &[("key", "pypi:a=2")]), other("key"));
        assert_eq!(checked(key.as_str(), &[("url", url), ("key", "x")]), other("key"));
        let named = ("key", key.as_str());
        assert_eq!(checked(key.as_str(), &[named, ("url", "x")]), other("url"));
        assert_eq!(checked(key.as_str(), &[named]), Err(BindingError::NoKey));
        assert_eq!(checked(md5, &[("key", md5), ("software_url", "x")]), other("software_url"));
        assert_eq!(checked(md5, &[("key", md5)]), Ok(()));
        assert_eq!(checked("pypi:a=1", &[]), Err(BindingError::NoKey));
    }
}
