//! What a request says about who sent it, beside the connection: a bearer token, a name and a
//! password, or a token in the query for clients that can send nothing else. Text becomes a
//! [`Credential`] here; must not know whether it is good.

use std::fmt;

use data_encoding::{BASE64, Specification};
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};

use super::secret::Secret;

/// A claim to be somebody, and what is to prove it. Debug output shows no secrets.
#[derive(Clone)]
pub(crate) enum Credential {
    /// `Authorization: Bearer`.
    Token(Secret),
    /// `?token=`.
    QueryToken(Secret),
    /// `Authorization: Basic`, with a token in the password's place.
    NamedToken {
        /// Whose token it is said to be.
        name: String,
        /// The token.
        secret: Secret,
    },
    /// `Authorization: Basic`.
    Password {
        /// Whose password it is said to be.
        name: String,
        /// The password.
        password: String,
    },
}

impl Credential {
    /// The credential of a request; `None` when it has none.
    ///
    /// # Errors
    /// When there are several, or one that nobody can have been given.
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Result<Option<Self>, CredentialError> {
        let mut headers = headers.get_all(AUTHORIZATION).iter();
        let header = headers.next();
        let mut tokens = parameters(uri).filter_map(as_token);
        let token = tokens.next();
        if headers.next().is_some()
            || tokens.next().is_some()
            || header.is_some() && token.is_some()
        {
            return Err(CredentialError::Several);
        }
        if let Some(token) = token {
            let secret = token.parse().map_err(|_| CredentialError::Malformed)?;
            return Ok(Some(Self::QueryToken(secret)));
        }
        header.map(|header| Self::of_header(header.as_bytes())).transpose()
    }

    fn of_header(header: &[u8]) -> Result<Self, CredentialError> {
        let header = std::str::from_utf8(header).map_err(|_| CredentialError::Malformed)?;
        let (scheme, rest) = header.split_once(' ').ok_or(CredentialError::Malformed)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let secret = rest.parse().map_err(|_| CredentialError::Malformed)?;
            return Ok(Self::Token(secret));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(CredentialError::Scheme);
        }
        let pair = base64(rest).ok_or(CredentialError::Malformed)?;
        let pair = String::from_utf8(pair).map_err(|_| CredentialError::Malformed)?;
        let (name, password) = pair.split_once(':').ok_or(CredentialError::Malformed)?;
        let (name, password) = (name.to_owned(), password.to_owned());
        if !Secret::is_meant_by(&password) {
            return Ok(Self::Password { name, password });
        }
        let secret = password.parse().map_err(|_| CredentialError::Malformed)?;
        Ok(Self::NamedToken { name, secret })
    }

    /// Who it claims to be: a name or the id of a token, which may be shown.
    pub(crate) fn claim(&self) -> &str {
        match self {
            Self::Token(secret) | Self::QueryToken(secret) => secret.id(),
            Self::NamedToken { name, .. } | Self::Password { name, .. } => name,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?})", self.claim())
    }
}

/// The same target without the tokens in its query, so that nothing further on shows one or takes
/// it for a part of what is asked. `None` when there are none.
pub(crate) fn without_tokens(uri: &Uri) -> Option<Uri> {
    if !parameters(uri).any(|parameter| as_token(parameter).is_some()) {
        return None;
    }
    let kept: Vec<&str> =
        parameters(uri).filter(|parameter| as_token(parameter).is_none()).collect();
    let target = match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), kept.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    // What was a target stays one when characters are taken from its query.
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().into_iter().flat_map(|query| query.split('&'))
}

fn as_token(parameter: &str) -> Option<&str> {
    parameter.strip_prefix(TOKEN_PARAMETER)?.strip_prefix('=')
}

/// Clients differ in whether they pad.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut unpadded: Specification = BASE64.specification();
    unpadded.padding = None;
    let unpadded = unpadded.encoding().ok()?;
    unpadded.decode(text.trim_end_matches('=').as_bytes()).ok()
}

/// What a token in a query is called.
pub(crate) const TOKEN_PARAMETER: &str = "token";

/// Why what a request says about its sender cannot be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("send one Authorization header or one token")]
    Several,
    #[error("the Authorization is Bearer or Basic")]
    Scheme,
    #[error("the credentials cannot be read")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use shacache_fuzz::target;

    use super::*;

    fn of(authorization: &[&str], target: &str) -> Result<Option<Credential>, CredentialError> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Credential::of(&headers, &target.parse().unwrap())
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    #[test]
    fn reads_what_clients_send() {
        let token = Secret::new().reveal();
        let id = token.split('_').nth(1).unwrap();
        assert!(of(&[], "/a?b=c").unwrap().is_none());
        for header in [format!("Bearer {token}"), format!("bearer  {token} ")] {
            let credential = of(&[&header], "/").unwrap().unwrap();
            assert!(matches!(&credential, Credential::Token(secret) if secret.id() == id));
        }
        let credential = of(&[], &format!("/a?b&token={token}")).unwrap().unwrap();
        assert!(matches!(&credential, Credential::QueryToken(secret) if secret.id() == id));
        let credential = of(&[&basic(&format!("me:{token}"))], "/").unwrap().unwrap();
        assert!(matches!(&credential, Credential::NamedToken { name, .. } if name == "me"));
        for header in [basic("me:p:w"), basic("me:p:w").trim_end_matches('=').to_owned()] {
            let credential = of(&[&header], "/").unwrap().unwrap();
            let Credential::Password { name, password } = credential else { panic!("{header}") };
            assert_eq!((name.as_str(), password.as_str()), ("me", "p:w"));
        }
    }

    #[test]
    fn refuses_what_no_client_should_send() {
        let token = Secret::new().reveal();
        let bearer = format!("Bearer {token}");
        for (headers, target) in [
            (&[bearer.as_str(), "Basic YTpi"][..], "/".to_owned()),
            (&[bearer.as_str()], format!("/?token={token}")),
            (&[], format!("/?token={token}&token={token}")),
        ] {
            assert_eq!(of(headers, &target).unwrap_err(), CredentialError::Several, "{target}");
        }
        assert_eq!(of(&["Digest a"], "/").unwrap_err(), CredentialError::Scheme);
        for header in
            ["Bearer", "Bearer x", "Basic", "Basic !", "Basic YQ==", "", &basic("a:shacache_1_2")]
        {
            assert_eq!(of(&[header], "/").unwrap_err(), CredentialError::Malformed, "{header}");
        }
        assert_eq!(of(&[], "/?token=").unwrap_err(), CredentialError::Malformed);
    }

    #[test]
    fn a_target_without_its_token_is_otherwise_the_same() {
        for (target, expected) in [
            ("/a?token=x", "/a"),
            ("/a?token=x&b=c", "/a?b=c"),
            ("/a?b=c&token=x&token=y&d", "/a?b=c&d"),
            ("http://h:1/a%2F?token=x", "http://h:1/a%2F"),
        ] {
            let stripped = without_tokens(&target.parse().unwrap()).unwrap();
            assert_eq!(stripped.to_string(), expected);
        }
        assert!(without_tokens(&"/a?tokens=x".parse().unwrap()).is_none());
    }

    #[test]
    fn debug_output_hides_passwords() {
        let credential = of(&[&basic("me:hidden")], "/").unwrap().unwrap();
        assert_eq!(format!("{credential:?}"), "Credential(\"me\")");
    }

    target!(credential, |input| credential_property(pair_of, input),
        planted: |input| credential_property(pair_split_at_the_last_colon, input));

    /// A name and a password are read as they were meant, and no token stays in a target. The input
    /// is a header and, on a line of its own, a target.
    fn credential_property(pair: fn(&str) -> Option<(String, String)>, input: &[u8]) {
        let Ok(text) = str::from_utf8(input) else { return };
        let (header, target) = text.split_once('\n').unwrap_or((text, "/"));
        if let Some((name, password)) = pair(header) {
            assert!(!name.contains(':'), "{name}");
            assert_eq!(pair(&basic(&format!("{name}:{password}"))), Some((name, password)));
        }
        let Ok(uri) = target.parse::<Uri>() else { return };
        let has_token = |uri: &Uri| parameters(uri).any(|it| as_token(it).is_some());
        match without_tokens(&uri) {
            Some(stripped) => {
                assert!(has_token(&uri) && !has_token(&stripped), "{stripped}");
                assert_eq!(stripped.path(), uri.path());
            }
            None => assert!(!has_token(&uri), "{uri}"),
        }
    }

    fn pair_of(header: &str) -> Option<(String, String)> {
        let header = HeaderValue::from_str(header).ok()?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
        match Credential::of(&headers, &Uri::from_static("/")).ok()?? {
            Credential::Password { name, password } => Some((name, password)),
            Credential::Token(_) | Credential::QueryToken(_) | Credential::NamedToken { .. } => {
                None
            }
        }
    }

    fn pair_split_at_the_last_colon(header: &str) -> Option<(String, String)> {
        let (name, password) = pair_of(header)?;
        let pair = format!("{name}:{password}");
        let (name, password) = pair.rsplit_once(':')?;
        Some((name.to_owned(), password.to_owned()))
    }
}
