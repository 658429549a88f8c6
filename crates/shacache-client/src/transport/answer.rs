//! The body of an answer, read piece by piece with a limit on the wait for each.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, timeout};

use super::{MOVED_BYTES, TransportError};

/// An answer whose head has arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    stall: Duration,
    received_bytes: u64,
    pace: Pace,
}

/// How much came since the last time that enough had come. Only time spent waiting for the server
/// counts, whatever whoever reads does with the pieces.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Answer {
    /// Turns every status other than 2xx into an error.
    pub(crate) async fn checked(
        response: Response,
        stall: Duration,
    ) -> Result<Self, TransportError> {
        let status = response.status();
        let mut answer = Self { response, stall, received_bytes: 0, pace: Pace::default() };
        if status.is_success() {
            return Ok(answer);
        }
        let retry_after = answer
            .header(RETRY_AFTER)
            .and_then(|value| value.parse().ok())
            .map(Duration::from_secs);
        let reason = answer.first_line().await;
        Err(TransportError::Status { status, reason, retry_after })
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The length that the head announces for this body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    pub(crate) fn content_range(&self) -> Option<ContentRange> {
        ContentRange::read(self.header(CONTENT_RANGE)?)
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE)
    }

    /// Whether the body is something other than the bytes themselves.
    pub(crate) fn is_encoded(&self) -> bool {
        self.header(CONTENT_ENCODING).is_some_and(|value| !value.eq_ignore_ascii_case("identity"))
    }

    /// The next piece; `None` at the announced end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, TransportError> {
        let started = Instant::now();
        let piece = timeout(self.stall, self.response.chunk())
            .await
            .map_err(|_| TransportError::Stalled { waited: self.stall })?
            .map_err(|error| TransportError::Body(error.without_url()))?;
        match &piece {
            Some(bytes) => {
                self.received_bytes += bytes.len() as u64;
                self.keep_pace(started.elapsed(), bytes.len() as u64)?;
            }
            None => {
                if let Some(announced_bytes) = self.content_length()
                    && self.received_bytes < announced_bytes
                {
                    let received_bytes = self.received_bytes;
                    return Err(TransportError::Short { received_bytes, announced_bytes });
                }
            }
        }
        Ok(piece)
    }

    /// A server that sends a byte now and then is as good as silent.
    fn keep_pace(&mut self, waited: Duration, bytes: u64) -> Result<(), TransportError> {
        let pace = Pace { waited: self.pace.waited + waited, bytes: self.pace.bytes + bytes };
        self.pace = if pace.bytes >= MOVED_BYTES { Pace::default() } else { pace };
        if self.pace.waited >= self.stall {
            return Err(TransportError::Crawled {
                bytes: self.pace.bytes,
                waited: self.pace.waited,
            });
        }
        Ok(())
    }

    /// The whole body, or `None` when it is longer than `max_bytes`.
    pub(crate) async fn whole(mut self, max_bytes: usize) -> Result<Option<Bytes>, TransportError> {
        if self.content_length().is_some_and(|length| length > max_bytes as u64) {
            return Ok(None);
        }
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > max_bytes {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(body.freeze()))
    }

    /// The first line of a refusal, as far as it arrives soon and is readable; else empty.
    async fn first_line(&mut self) -> Box<str> {
        let is_text = self
            .content_type()
            .is_none_or(|kind| kind.starts_with("text/plain") || kind.contains("json"));
        if !is_text {
            return Box::default();
        }
        let piece = timeout(REASON_WAIT, self.piece()).await;
        let Ok(Ok(Some(piece))) = piece else { return Box::default() };
        let text = String::from_utf8_lossy(&piece[..piece.len().min(REASON_BYTES)]);
        let line = text.lines().next().unwrap_or_default();
        line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// `bytes FIRST-LAST/TOTAL` (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// `None` when the server writes `*`.
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    fn read(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, total })
    }
}

const REASON_BYTES: usize = 300;
const REASON_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        assert_eq!(ContentRange::read("bytes 5-9/10"), range(5, 9, Some(10)));
        assert_eq!(ContentRange::read("bytes 5-9/*"), range(5, 9, None));
        for bad in ["", "bytes */10", "bytes 5-/10", "5-9/10x", "bytes 5-9", "items 5-9/10"] {
            assert_eq!(ContentRange::read(bad), None, "{bad}");
        }
    }
}
