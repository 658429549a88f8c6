//! Names on the wire that server and client have to agree on: mounts, paths, media types, header
//! names and values. Each stands here once, so that the two sides cannot drift apart. Must not
//! know how a request is sent or answered.

use data_encoding::BASE64;

use crate::digest::Digest;
use crate::key::Key;

/// Where the blob service is mounted unless the configuration says otherwise.
pub const SHACACHE_MOUNT: &str = "/shacache";
/// Where the directory service is mounted unless the configuration says otherwise.
pub const SHADIR_MOUNT: &str = "/shadir";

/// The media type of blobs, whatever is in them.
pub const BLOB_MEDIA_TYPE: &str = "application/octet-stream";
/// The media type of entries and lists of them.
pub const ENTRY_MEDIA_TYPE: &str = "application/json";
/// The media type of the digest that answers an upload, and of one-line reasons.
pub const TEXT_MEDIA_TYPE: &str = "text/plain; charset=utf-8";

/// The status of every upload that is safe on disk, new or not. The old client takes no other.
pub const STORED: u16 = 201;

/// The value of `Accept-Ranges` on blobs. The old client resumes only when it reads exactly this.
pub const ACCEPT_RANGES: &str = "bytes";
/// `Cache-Control` of a blob asked for by its SHA-512: the name holds for ever.
pub const CACHE_FOR_EVER: &str = "public, max-age=31536000, immutable";
/// `Cache-Control` of what may change: lists of entries, and blobs by a weak digest.
pub const CACHE_AFTER_ASKING: &str = "no-cache";
/// `Cache-Control` of a 404: the blob or entry may be there a moment later.
pub const CACHE_NEVER: &str = "no-store";

/// The header that carries the digest of what is sent (RFC 9530, section 3), in lower case.
pub const REPR_DIGEST: &str = "repr-digest";

/// On the 201 of a blob without credentials: after how many seconds it goes unless an accepted entry
/// names it. Until then it is served to nobody.
pub const UNCLAIMED_SECONDS: &str = "shacache-unclaimed-seconds";

/// The path or URL of a blob, below the mount `base`.
#[must_use]
pub fn blob_path(base: &str, digest: &Digest) -> String {
    below(base, &digest.to_string())
}

/// The path or URL of a key's entries, below the mount `base`. [`Key::from_path`] reads the key
/// back from what follows the slash.
#[must_use]
pub fn key_path(base: &str, key: &Key) -> String {
    below(base, &key.to_path())
}

/// The value of [`REPR_DIGEST`] for a blob.
#[must_use]
pub fn repr_digest(digest: &Digest) -> String {
    let (algorithm, end) = ("sha-512=:", ":");
    let digits = BASE64.encode_len(Digest::LEN);
    let mut value = String::with_capacity(algorithm.len() + digits + end.len());
    value.push_str(algorithm);
    BASE64.encode_append(digest.as_bytes(), &mut value);
    value.push_str(end);
    value
}

/// The strong entity tag of a blob (RFC 9110, section 8.8.3), quotes included.
#[must_use]
pub fn entity_tag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Slashes at the end of `base` do not matter, as for the old client.
fn below(base: &str, name: &str) -> String {
    format!("{}/{name}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_mount() {
        let digest = Digest::of(b"");
        let key: Key = "pypi:foo>=1.0".parse().unwrap();
        assert_eq!(
            blob_path("http://host/cache//", &digest),
            format!("http://host/cache/{digest}")
        );
        assert_eq!(key_path(SHADIR_MOUNT, &key), "/shadir/pypi:foo%3E=1.0");
        assert_eq!(key_path("", &key), "/pypi:foo%3E=1.0");
    }

    #[test]
    fn digest_header_is_base64_between_colons() {
        let value = repr_digest(&Digest::of(b"hello world\n"));
        assert_eq!(
            value,
            "sha-512=:2zl0qX8kB7fK4a5jfAAwaHoRkTJ01XhJJVjjnBbAF96E6s3Ixi/jTuThK0sUKIF/\
             Cbaidgw/imZM6ulNJDSlkw==:"
        );
    }

    #[test]
    fn entity_tags_are_strong() {
        let tag = entity_tag(&Digest::of(b""));
        assert!(tag.starts_with("\"cf83") && tag.ends_with("7da3e\""));
    }
}
