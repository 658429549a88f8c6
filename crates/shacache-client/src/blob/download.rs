//! A blob on its way in: checked to the last byte, and taken up again where the connection broke.
//! The last piece is held back until the digest is right, so that no reader ever holds a complete
//! body of wrong bytes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use reqwest::header::{HeaderMap, HeaderValue, RANGE};
use reqwest::{StatusCode, Url};
use shacache_core::digest::{Digest, Hasher};

use crate::error::ClientError;
use crate::transport::{Answer, Pauses, Transport, TransportError};

/// The first bytes of a blob, had from an earlier download that did not finish.
#[derive(Debug, Clone, Default)]
pub struct Prefix {
    hasher: Hasher,
    length: u64,
}

impl Prefix {
    /// Adds the next bytes of what is there already.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// How many bytes are there.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// A blob being downloaded.
#[derive(Debug)]
pub struct Download {
    service: Arc<Transport>,
    url: Url,
    digest: Digest,
    /// The answer being read; `None` when the connection broke, and at the end.
    answer: Option<Answer>,
    /// Of the bytes `..position`, which were received, whoever got them.
    hasher: Hasher,
    position: u64,
    total: Option<u64>,
    /// Received, and not yet handed out.
    held: Option<Bytes>,
    replay: Option<Replay>,
    pauses: Pauses,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Receiving,
    /// Everything was handed out and the digest was right.
    Verified,
    /// An error was handed out.
    Failed,
}

/// The start of an answer that began anew at byte 0: what was received before has to come again.
#[derive(Debug)]
struct Replay {
    hasher: Hasher,
    position: u64,
}

impl Download {
    /// Asks for the blob after `prefix` and waits for the answer to begin.
    pub(crate) async fn start(
        service: Arc<Transport>,
        digest: Digest,
        prefix: Prefix,
    ) -> Result<Self, ClientError> {
        let url = service.download_url(&digest.to_string())?;
        let pauses = Pauses::new(service.retries);
        let mut download = Self {
            service,
            url,
            digest,
            answer: None,
            hasher: prefix.hasher,
            position: prefix.length,
            total: None,
            held: None,
            replay: None,
            pauses,
            state: State::Receiving,
        };
        loop {
            match download.connect().await? {
                Ok(()) => return Ok(download),
                Err(error) => download.pause(error).await?,
            }
        }
    }

    /// The digest asked for.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The blob's whole length, when the server told.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.total
    }

    /// The next piece, never empty; `None` once everything came and the digest is right. A broken
    /// connection is taken up again.
    ///
    /// # Errors
    /// [`ClientError::Corrupt`] when the bytes are not the blob asked for, else as the first
    /// request of a download. After an error there are no more pieces.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.state == State::Failed {
            return Err(ClientError::corrupt("the download failed before"));
        }
        let piece = self.next().await;
        if piece.is_err() {
            self.state = State::Failed;
            self.answer = None;
        }
        piece
    }

    /// The same pieces as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, ClientError>> + Send {
        stream::try_unfold(self, |mut download| async {
            Ok(download.piece().await?.map(|piece| (piece, download)))
        })
    }

    /// The whole blob in memory.
    ///
    /// # Errors
    /// As [`Download::piece`]; [`ClientError::Corrupt`] also when it is longer than `max_bytes`.
    pub async fn into_bytes(mut self, max_bytes: usize) -> Result<Vec<u8>, ClientError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > max_bytes {
                return Err(ClientError::corrupt(format!("longer than {max_bytes} bytes")));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while self.state == State::Receiving {
            let Some(answer) = &mut self.answer else {
                if let Err(error) = self.connect().await? {
                    self.pause(error).await?;
                }
                continue;
            };
            match answer.piece().await {
                Ok(Some(piece)) => {
                    if let Some(ready) = self.take(piece)? {
                        return Ok(Some(ready));
                    }
                }
                Ok(None) => return self.finish(),
                Err(error) => self.pause(error).await?,
            }
        }
        Ok(None)
    }

    /// Takes a piece in; hands out the one before it.
    fn take(&mut self, piece: Bytes) -> Result<Option<Bytes>, ClientError> {
        let piece = self.replayed(piece)?;
        if piece.is_empty() {
            return Ok(None);
        }
        self.hasher.update(&piece);
        self.position += piece.len() as u64;
        if self.total.is_some_and(|total| self.position > total) {
            return Err(self.mismatch("more bytes than announced"));
        }
        self.pauses.moved(piece.len() as u64);
        Ok(self.held.replace(piece))
    }

    /// Checks the part of `piece` that came before; returns the part that is new.
    fn replayed(&mut self, mut piece: Bytes) -> Result<Bytes, ClientError> {
        let Some(replay) = &mut self.replay else { return Ok(piece) };
        let missing = self.position - replay.position;
        let known = piece.split_to(missing.min(piece.len() as u64) as usize);
        replay.hasher.update(&known);
        replay.position += known.len() as u64;
        if replay.position == self.position {
            let same = replay.hasher.clone().finish() == self.hasher.clone().finish();
            self.replay = None;
            if !same {
                return Err(self.mismatch("other bytes when asked again"));
            }
        }
        Ok(piece)
    }

    /// The body is at its end: the digest decides.
    fn finish(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.replay.is_some() || self.total.is_some_and(|total| self.position != total) {
            return Err(self.mismatch("fewer bytes than announced"));
        }
        if self.hasher.clone().finish() != self.digest {
            return Err(self.mismatch("bytes with another digest"));
        }
        self.state = State::Verified;
        self.answer = None;
        Ok(self.held.take())
    }

    async fn pause(&mut self, error: TransportError) -> Result<(), ClientError> {
        self.answer = None;
        self.pauses.after(error).await.map_err(|error| error.at(&self.url))
    }

    /// Asks for what is missing. The inner error may be worth another try.
    async fn connect(&mut self) -> Result<Result<(), TransportError>, ClientError> {
        let mut headers = HeaderMap::new();
        if self.position > 0 {
            let range = format!("bytes={}-", self.position);
            headers.insert(
                RANGE,
                HeaderValue::from_str(&range).expect("digits and ASCII make a header value"),
            );
        }
        let answer = match self.service.get(&self.url, headers).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => {
                return Err(ClientError::not_found(format!("blob {}", self.digest)));
            }
            Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
                return self.nothing_left(error);
            }
            Err(error) => return Ok(Err(error)),
        };
        if answer.is_encoded() {
            return Err(self.nonsense("a blob with a content encoding"));
        }
        self.replay = None;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if self.position > 0 => self.check_part(&answer)?,
            StatusCode::OK => self.start_over(&answer)?,
            status => return Err(self.nonsense(&format!("{status} to a request for a blob"))),
        }
        self.answer = Some(answer);
        Ok(Ok(()))
    }

    /// Nothing follows the bytes that are there: either they are the whole blob, or they are wrong.
    fn nothing_left(
        &mut self,
        error: TransportError,
    ) -> Result<Result<(), TransportError>, ClientError> {
        if self.hasher.clone().finish() != self.digest {
            return Err(if self.position > 0 {
                self.mismatch("nothing beyond the bytes that are there")
            } else {
                error.at(&self.url)
            });
        }
        self.state = State::Verified;
        Ok(Ok(()))
    }

    /// Bytes may be joined only when the server says where they belong.
    fn check_part(&mut self, answer: &Answer) -> Result<(), ClientError> {
        let Some(range) = answer.content_range() else {
            return Err(self.nonsense("206 without a Content-Range"));
        };
        let total = self.total.or(range.total);
        let to_the_end = total.is_none_or(|total| range.last.checked_add(1) == Some(total));
        let same_total = self.total.is_none() || range.total.is_none() || self.total == range.total;
        if range.first != self.position || !to_the_end || !same_total {
            return Err(self.nonsense("206 with another part than the one asked for"));
        }
        self.total = total;
        Ok(())
    }

    /// The server sends everything from byte 0.
    fn start_over(&mut self, answer: &Answer) -> Result<(), ClientError> {
        let length = answer.content_length();
        if let (Some(before), Some(now)) = (self.total, length)
            && before != now
        {
            return Err(self.mismatch("another length when asked again"));
        }
        if length.is_some_and(|length| length < self.position) {
            return Err(self.mismatch("fewer bytes than are there already"));
        }
        self.total = length.or(self.total);
        self.replay = (self.position > 0).then(|| Replay { hasher: Hasher::new(), position: 0 });
        Ok(())
    }

    fn mismatch(&self, what: &str) -> ClientError {
        let kind = match self.answer.as_ref().and_then(Answer::content_type) {
            Some(kind) if kind.starts_with("text/html") => " (it sends HTML)",
            _ => "",
        };
        ClientError::corrupt(format!("{} gave {what}{kind}", self.url))
    }

    fn nonsense(&self, what: &str) -> ClientError {
        TransportError::Nonsense { what: what.into() }.at(&self.url)
    }
}
