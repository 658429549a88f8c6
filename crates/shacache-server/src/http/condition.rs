//! Conditional requests on something with a strong entity tag: `If-Match`, `If-None-Match` and the
//! tag form of `If-Range` (RFC 9110 §13). Pure: headers in, a decision out. Nothing here has a
//! date, so the two date conditions are ignored, as §13.1.3 and §13.1.4 ask for. Must not know
//! what is being asked for, nor how it is answered.

use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName};

/// What the conditions of a GET or HEAD come to, in the order of RFC 9110 §13.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// They hold, or there are none: answer as usual.
    Met,
    /// The client has it already: 304.
    NotModified,
}

impl Condition {
    /// Evaluates the conditions in `headers` against the tag, given without its quotes.
    ///
    /// # Errors
    /// When `If-Match` does not hold, or a list of tags cannot be read.
    pub(crate) fn evaluate(headers: &HeaderMap, tag: &[u8]) -> Result<Self, ConditionError> {
        // If-Match compares strongly: a weak tag never matches.
        if let Some(matched) = any_tag(headers, IF_MATCH, |tag_| !tag_.weak && tag_.is(tag))?
            && !matched
        {
            return Err(ConditionError::Failed);
        }
        if any_tag(headers, IF_NONE_MATCH, |tag_| tag_.is(tag))? == Some(true) {
            return Ok(Self::NotModified);
        }
        Ok(Self::Met)
    }
}

/// Whether a request asks for all there is, whatever the client has. Most do, and are spared the
/// rest: it is told by one look at the names of their headers.
pub(crate) fn is_unconditional(headers: &HeaderMap) -> bool {
    !headers.keys().any(|name| CONDITIONS.contains(name))
}

/// Whether a range may be answered: there is no `If-Range`, or it holds the strong tag. Anything
/// else, a date included, means that the client holds something different and wants the whole.
pub(crate) fn range_applies(headers: &HeaderMap, tag: &[u8]) -> bool {
    headers.get_all(IF_RANGE).iter().all(|value| {
        matches!(Tag::read(value.as_bytes()), Some((found, [])) if !found.weak && found.is(tag))
    })
}

/// Why a conditional request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConditionError {
    /// `If-Match` names other tags only.
    #[error("If-Match does not name the current entity tag")]
    Failed,
    /// The header is no list of entity tags.
    #[error("{0} is neither * nor a list of quoted entity tags")]
    Malformed(HeaderName),
}

static CONDITIONS: [HeaderName; 4] = [IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE];

/// One entity tag as a client wrote it.
struct Tag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    fn is(&self, tag: &[u8]) -> bool {
        self.opaque == tag
    }

    /// Reads the tag that `text` begins with; gives what follows it too.
    fn read(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, text) = match text.strip_prefix(b"W/") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let text = text.strip_prefix(b"\"")?;
        let end = text.iter().position(|&byte| byte == b'"')?;
        let opaque = &text[..end];
        let allowed = |&byte: &u8| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80;
        opaque.iter().all(allowed).then_some((Self { weak, opaque }, &text[end + 1..]))
    }
}

/// Whether a tag of the header's list matches, or `*` stands there; `None` without the header.
fn any_tag(
    headers: &HeaderMap,
    name: HeaderName,
    matches: impl Fn(&Tag<'_>) -> bool,
) -> Result<Option<bool>, ConditionError> {
    let mut found = None;
    for value in headers.get_all(&name) {
        let mut rest = value.as_bytes().trim_ascii();
        if rest == b"*" {
            return Ok(Some(true));
        }
        let matched = found.get_or_insert(false);
        while !rest.is_empty() {
            // Empty members of a list are to be accepted (RFC 9110 §5.6.1.2).
            if let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii_start();
                continue;
            }
            let Some((tag, after)) = Tag::read(rest) else {
                return Err(ConditionError::Malformed(name));
            };
            *matched |= matches(&tag);
            rest = after.trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return Err(ConditionError::Malformed(name));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::any;
    use proptest::proptest;
    use shacache_fuzz::target;

    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for value in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", ",, \"x,y\",\"a\"", "\"b\",W/\"a\","]
        {
            let headers = headers(&[(IF_NONE_MATCH, value)]);
            assert_eq!(Condition::evaluate(&headers, b"a"), Ok(Condition::NotModified), "{value}");
        }
        for value in ["\"b\"", "\"A\"", "\"a,b\"", ""] {
            let headers = headers(&[(IF_NONE_MATCH, value)]);
            assert_eq!(Condition::evaluate(&headers, b"a"), Ok(Condition::Met), "{value}");
        }
    }

    #[test]
    fn if_match_compares_strongly_and_comes_first() {
        let weak = headers(&[(IF_MATCH, "W/\"a\"")]);
        assert_eq!(Condition::evaluate(&weak, b"a"), Err(ConditionError::Failed));
        let strong = headers(&[(IF_MATCH, "\"b\"")]);
        assert_eq!(Condition::evaluate(&strong, b"a"), Err(ConditionError::Failed));
        let both = headers(&[(IF_NONE_MATCH, "\"a\""), (IF_MATCH, "\"b\"")]);
        assert_eq!(Condition::evaluate(&both, b"a"), Err(ConditionError::Failed));
        let met = headers(&[(IF_MATCH, "\"b\", \"a\"")]);
        assert_eq!(Condition::evaluate(&met, b"a"), Ok(Condition::Met));
        let any = headers(&[(IF_MATCH, "*")]);
        assert_eq!(Condition::evaluate(&any, b"a"), Ok(Condition::Met));
    }

    #[test]
    fn several_lines_are_one_list() {
        let headers = headers(&[(IF_NONE_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a\"")]);
        assert_eq!(Condition::evaluate(&headers, b"a"), Ok(Condition::NotModified));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for value in ["a", "\"a", "\"a\" \"b\"", "w/\"a\"", "\"a\", *", "W/ \"a\"", "\"a b\""] {
            let headers = headers(&[(IF_NONE_MATCH, value)]);
            let refused = Err(ConditionError::Malformed(IF_NONE_MATCH));
            assert_eq!(Condition::evaluate(&headers, b"a"), refused, "{value}");
        }
    }

    #[test]
    fn if_range_holds_for_the_same_strong_tag_only() {
        assert!(range_applies(&HeaderMap::new(), b"a"));
        assert!(range_applies(&headers(&[(IF_RANGE, "\"a\"")]), b"a"));
        for value in ["\"b\"", "W/\"a\"", "a", "Sun, 22 Nov 2026 12:00:00 GMT", "\"a\", \"b\""] {
            assert!(!range_applies(&headers(&[(IF_RANGE, value)]), b"a"), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_header_gets_a_decision(bytes in any::<Vec<u8>>()) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                for name in [IF_MATCH, IF_NONE_MATCH, IF_RANGE] {
                    let headers = HeaderMap::from_iter([(name, value.clone())]);
                    let _decided = Condition::evaluate(&headers, b"a");
                    let _decided = range_applies(&headers, b"a");
                }
            }
        }
    }

    target!(condition, |input| condition_property(Condition::evaluate, input),
        planted: |input| condition_property(met_by_any_tag, input));

    /// Both headers read lists alike, a strong match is a weak one too, and a list means the same
    /// when it stands there twice.
    fn condition_property(
        evaluate: fn(&HeaderMap, &[u8]) -> Result<Condition, ConditionError>,
        input: &[u8],
    ) {
        let Ok(value) = HeaderValue::from_bytes(input) else { return };
        let decided = |name: HeaderName| {
            let once = HeaderMap::from_iter([(name.clone(), value.clone())]);
            let mut twice = once.clone();
            twice.append(name, value.clone());
            assert_eq!(evaluate(&once, b"a"), evaluate(&twice, b"a"));
            evaluate(&once, b"a")
        };
        let (strong, weak) = (decided(IF_MATCH), decided(IF_NONE_MATCH));
        let malformed =
            |decided: &Result<_, _>| matches!(decided, Err(ConditionError::Malformed(_)));
        assert_eq!(malformed(&strong), malformed(&weak));
        if strong == Ok(Condition::Met) && !value.is_empty() {
            assert_eq!(weak, Ok(Condition::NotModified));
        }
        let applies = HeaderMap::from_iter([(IF_RANGE, value)]);
        if range_applies(&applies, b"a") {
            assert_eq!((strong, weak), (Ok(Condition::Met), Ok(Condition::NotModified)));
        }
    }

    fn met_by_any_tag(headers: &HeaderMap, tag: &[u8]) -> Result<Condition, ConditionError> {
        match Condition::evaluate(headers, tag) {
            Err(ConditionError::Failed) => Ok(Condition::Met),
            decided => decided,
        }
    }
}
