//! What browsers are told with every answer: that nothing here is a page, whoever uploaded it, and
//! that no other site makes anything of it. Must not know what the answer is about.

use http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

/// Adds the headers, unless an answer was begun with them; a policy that it has of its own stays.
pub(crate) fn protect(headers: &mut HeaderMap) {
    // Nothing else adds the first of them, so where that one is the others are, too.
    if headers.contains_key(X_CONTENT_TYPE_OPTIONS) {
        return;
    }
    // Bytes are what the content type says, and never a script or a page by their looks.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"));
    // A query may hold a token.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Pages of other origins do not even get an image, which would tell them what is here.
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
