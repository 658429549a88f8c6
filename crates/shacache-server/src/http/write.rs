//! The body of a write, from its headers to its last byte: what is refused before anything is read
//! (size, content coding, what web pages may not send), and the count while it is read.
//! Must not know what the bytes are for.

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::call::Call;
use super::web_page;
use crate::app::WritePlace;
use crate::listen::BodyError;

/// The bytes of one write. Nothing is read before the first [`WriteBody::next`], so a client that
/// waits for `100 Continue` gets a refusal in its place.
#[derive(Debug)]
pub(crate) struct WriteBody {
    body: Body,
    announced_bytes: Option<u64>,
    received_bytes: u64,
    limit_bytes: u64,
    _place: WritePlace,
}

impl WriteBody {
    /// Takes the body of `request` if its headers allow it.
    ///
    /// # Errors
    /// When it is announced as larger than `limit_bytes`, is a part of something (RFC 9110,
    /// section 14.5), has a content coding, or comes from a web page that may not send it; and
    /// when as many are received as the sender of `call` may add to.
    pub(crate) fn accept(
        call: &Call,
        request: Request,
        media_type: &'static str,
        limit_bytes: u64,
    ) -> Result<Self, WriteError> {
        let (parts, body) = request.into_parts();
        web_page::check(&parts, media_type, call.app().page_hosts())?;
        if parts.headers.get_all(CONTENT_ENCODING).iter().any(|coding| !is_identity(coding)) {
            return Err(WriteError::Encoded);
        }
        if parts.headers.contains_key(CONTENT_RANGE) {
            return Err(WriteError::Part);
        }
        let announced_bytes = body.size_hint().exact();
        if announced_bytes.is_some_and(|bytes| bytes > limit_bytes) {
            return Err(WriteError::TooLarge { limit_bytes });
        }
        let place = call.app().write_place(call.is_of_stranger()).ok_or(WriteError::TooMany)?;
        Ok(Self { body, announced_bytes, received_bytes: 0, limit_bytes, _place: place })
    }

    /// The length that the client announced; `None` for a chunked body.
    pub(crate) fn announced_bytes(&self) -> Option<u64> {
        self.announced_bytes
    }

    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// When the body does not come in full, or grows over the limit.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, WriteError> {
        while let Some(frame) = self.body.frame().await {
            // Trailers say nothing that is asked for here.
            let Ok(bytes) = frame?.into_data() else { continue };
            self.received_bytes = self.received_bytes.saturating_add(bytes.len() as u64);
            if self.received_bytes > self.limit_bytes {
                return Err(WriteError::TooLarge { limit_bytes: self.limit_bytes });
            }
            return Ok(Some(bytes));
        }
        Ok(None)
    }

    /// All of it, for bodies whose limit is small.
    ///
    /// # Errors
    /// As [`WriteBody::next`].
    pub(crate) async fn whole(mut self) -> Result<Vec<u8>, WriteError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

/// Why a write is refused before its content is looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("the body has a content coding; send the bytes as they are to be kept")]
    Encoded,
    #[error("the body is a part, says Content-Range; send all of it")]
    Part,
    #[error("from a web page, send Content-Type: {expected}")]
    MediaType { expected: &'static str },
    #[error("web pages of other origins do not write here")]
    ForeignOrigin,
    #[error("web pages do not write to a server of this name; upload.page-hosts lists others")]
    UnknownHost,
    #[error("as many writes as are taken at once are under way")]
    TooMany,
    #[error("the body did not come in time")]
    TimedOut,
    #[error("more trailer fields follow the body than a request may have header fields")]
    TooManyTrailers,
    #[error("the body is cut short or malformed")]
    CutShort(#[source] axum::Error),
}

impl From<axum::Error> for WriteError {
    fn from(error: axum::Error) -> Self {
        match BodyError::within(&error) {
            Some(BodyError::Stalled | BodyError::TooSlow) => Self::TimedOut,
            Some(BodyError::TooManyTrailers) => Self::TooManyTrailers,
            Some(BodyError::Broken(_)) | None => Self::CutShort(error),
        }
    }
}

fn is_identity(coding: &http::HeaderValue) -> bool {
    let coding = coding.as_bytes().trim_ascii();
    coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
}
