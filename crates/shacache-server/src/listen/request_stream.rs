//! The byte stream hyper reads from and writes to: [`RequestStream`] hands it one request at a
//! time, so that every request line passes through `request_line` first, and reports to the
//! [`Exchange`] what hyper keeps to itself: when a request begins and when a write is stuck. What
//! hyper writes by itself to refuse a head stays here, so that `connection` can answer in words.
//!
//! It parses no HTTP beyond finding the line that ends a head, and takes a body's length from
//! hyper, so the two cannot disagree about where a request ends.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exchange::{Exchange, Framing};
use super::request_line::escape_target;

#[derive(Debug)]
pub(super) struct RequestStream<IO> {
    io: IO,
    exchange: Arc<Exchange>,
    longest_line: usize,
    most_fields: usize,
    position: Position,
    /// The start of the request line that came last, as it came.
    line: Vec<u8>,
    /// hyper has written a refusal, which went nowhere.
    refused: bool,
    /// hyper was made to refuse a head that has more fields than it may.
    too_many_fields: bool,
    /// Read, and not looked at yet.
    raw: BytesMut,
    /// Looked at, for hyper to take.
    ready: BytesMut,
    ended: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Position {
    /// Collecting a request line.
    Line,
    /// Among the header fields.
    Fields(Fields),
    /// hyper has the whole head and has not called the service yet.
    HeadEnd,
    /// This many bytes of the body are still to come.
    Body(u64),
    /// Nothing to rewrite any more: a chunked body, or bytes that hyper will refuse.
    Rest,
    /// The line is too long. hyper is told that the stream has ended.
    LineTooLong,
}

/// Where in a line of the header fields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fields {
    /// Nothing of the line has come, a CR apart.
    line_start: bool,
    /// The last byte was a CR.
    after_return: bool,
    /// How many lines came before it.
    before: usize,
}

impl<IO> RequestStream<IO> {
    pub(super) fn new(io: IO, exchange: Arc<Exchange>) -> Self {
        let limits = &exchange.shared().limits;
        Self {
            io,
            longest_line: limits.request_line_bytes,
            most_fields: limits.headers,
            exchange,
            position: Position::Line,
            line: Vec::new(),
            refused: false,
            too_many_fields: false,
            raw: BytesMut::new(),
            ready: BytesMut::new(),
            ended: false,
        }
    }

    pub(super) fn line_too_long(&self) -> bool {
        self.position == Position::LineTooLong
    }

    /// Whether hyper refused a request's head. The client has heard nothing of it.
    pub(super) fn head_refused(&self) -> bool {
        self.refused
    }

    /// Whether it did so because there are more header fields than there may be.
    pub(super) fn has_too_many_fields(&self) -> bool {
        self.too_many_fields
    }

    /// As much of the last request line as is worth keeping for a refusal.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Whether the client has sent, or may still be sending, what nobody is going to read; closing
    /// now would make the kernel reset the connection, and the client might lose its answer.
    pub(super) fn has_unread(&self) -> bool {
        let inside = !matches!(self.position, Position::Line | Position::Body(0));
        !self.ended && (inside || !self.raw.is_empty() || !self.ready.is_empty())
    }

    pub(super) fn into_io(self) -> IO {
        self.io
    }

    /// Moves from `raw` to `ready` what can be moved; whether that needs more bytes.
    fn advance(&mut self) -> bool {
        loop {
            match self.position {
                Position::Line => {
                    skip_empty_lines(&mut self.raw);
                    let Some(first) = self.raw.first() else { return true };
                    if *first == b'\r' && self.raw.len() == 1 {
                        return true;
                    }
                    self.exchange.request_began();
                    if !first.is_ascii_graphic() {
                        // A TLS greeting, most likely: hyper refuses it at its first byte.
                        self.exchange.line_complete();
                        self.line.clear();
                        self.position = Position::Rest;
                        return false;
                    }
                    let end = memchr::memchr(b'\n', &self.raw);
                    if end.map_or(self.raw.len(), |end| end + 1) > self.longest_line {
                        note_line(&mut self.line, &self.raw);
                        self.position = Position::LineTooLong;
                        return false;
                    }
                    let Some(end) = end else { return true };
                    self.exchange.line_complete();
                    note_line(&mut self.line, &self.raw[..=end]);
                    if !self.raw[..end].ends_with(b"\r") {
                        self.hand_over_as_malformed(end);
                        return false;
                    }
                    let line = self.raw.split_to(end + 1);
                    match escape_target(&line) {
                        Cow::Borrowed(_) => self.ready.unsplit(line),
                        Cow::Owned(escaped) => self.ready.extend_from_slice(&escaped),
                    }
                    self.position = Position::Fields(Fields::START);
                }
                Position::Fields(fields) => {
                    match scan_fields(&self.raw, fields, self.most_fields) {
                        Scanned::Fields(fields) => {
                            self.ready.unsplit(self.raw.split());
                            self.position = Position::Fields(fields);
                            return self.ready.is_empty();
                        }
                        Scanned::HeadEnd(taken) => {
                            self.ready.unsplit(self.raw.split_to(taken));
                            self.position = Position::HeadEnd;
                            return false;
                        }
                        Scanned::BareFeed(at) => {
                            self.hand_over_as_malformed(at);
                            return false;
                        }
                        Scanned::TooMany(at) => {
                            self.too_many_fields = true;
                            self.hand_over_as_malformed(at);
                            return false;
                        }
                    }
                }
                Position::HeadEnd | Position::Body(_) | Position::Rest | Position::LineTooLong => {
                    return false;
                }
            }
        }
    }
}

impl<IO> RequestStream<IO> {
    /// Hands over what stands before a line feed, and in its place what hyper refuses at once. If no
    /// CR stands before it, hyper would take it for the end of a line all the same; a proxy that
    /// does not would have passed on one request where this server finds two.
    fn hand_over_as_malformed(&mut self, line_feed: usize) {
        self.ready.unsplit(self.raw.split_to(line_feed));
        self.ready.extend_from_slice(b"\0");
        self.position = Position::Rest;
    }
}

impl<IO: AsyncRead + Unpin> RequestStream<IO> {
    /// Reads once into `raw`; `false` at the end of the stream. The buffer is on the stack so that
    /// a silent connection holds none.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [MaybeUninit::uninit(); 8 * 1024];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        self.raw.extend_from_slice(read.filled());
        self.ended |= read.filled().is_empty();
        Poll::Ready(Ok(!self.ended))
    }

    /// Reads to where hyper wants it, and says whether that is all there is to do: a head that came
    /// in one piece, as nearly every one does, with nothing behind it and nothing to be rewritten,
    /// stays there. Anything else is collected in `raw`.
    fn poll_whole_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let came = &buf.filled()[before..];
        self.ended |= came.is_empty();
        if let Some(line) = line_of_whole_head(came, self.longest_line, self.most_fields) {
            self.exchange.head_came();
            note_line(&mut self.line, line);
            self.position = Position::HeadEnd;
            return Poll::Ready(Ok(true));
        }
        self.raw.extend_from_slice(came);
        buf.set_filled(before);
        Poll::Ready(Ok(self.ended))
    }

    /// Reads a body of which `left` bytes are to come; what the socket gave beyond it is kept.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        left: u64,
    ) -> Poll<io::Result<()>> {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let before = buf.filled().len();
        if self.raw.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
            self.ended |= buf.filled().len() == before;
            if buf.filled().len() - before > most {
                self.raw.extend_from_slice(&buf.filled()[before + most..]);
                buf.set_filled(before + most);
            }
        } else {
            hand_over(&mut self.raw, most, buf);
        }
        if let Position::Body(left) = &mut self.position {
            *left -= (buf.filled().len() - before) as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for RequestStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                hand_over(&mut this.ready, usize::MAX, buf);
                return Poll::Ready(Ok(()));
            }
            match this.position {
                Position::Line if this.raw.is_empty() => {
                    if ready!(this.poll_whole_head(cx, buf))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Position::Line | Position::Fields(_) => {
                    if this.advance() && !ready!(this.poll_fill(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Position::HeadEnd => match this.exchange.take_framing(cx) {
                    Some(Framing::Length(bytes)) => this.position = Position::Body(bytes),
                    Some(Framing::Chunked) => this.position = Position::Rest,
                    None => return Poll::Pending,
                },
                Position::Body(0) => this.position = Position::Line,
                Position::Body(left) => return this.poll_body(cx, buf, left),
                Position::Rest => return this.poll_body(cx, buf, u64::MAX),
                Position::LineTooLong => {
                    // An end of the stream while a request is answered would break that answer.
                    if this.exchange.is_answering(cx) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for RequestStream<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.withholds() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.report(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.withholds() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.report(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.exchange.flushed();
        }
        self.report(flushed.map_ok(|()| 0)).map_ok(|_| ())
    }

    /// Flushes only: whether to answer, shut down or drain first is for `connection` to decide once
    /// hyper is done.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl<IO> RequestStream<IO> {
    /// Outside the service's answers hyper writes one thing only: its refusal of a head.
    fn withholds(&mut self) -> bool {
        let withholds = !self.exchange.is_answer_open();
        self.refused |= withholds;
        withholds
    }

    fn report(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.exchange.write_blocked(),
            Poll::Ready(Ok(bytes)) => self.exchange.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

fn hand_over(from: &mut BytesMut, most: usize, buf: &mut ReadBuf<'_>) {
    let count = from.len().min(most).min(buf.remaining());
    buf.put_slice(&from[..count]);
    from.advance(count);
}

fn note_line(noted: &mut Vec<u8>, line: &[u8]) {
    noted.clear();
    noted.extend_from_slice(&line[..line.len().min(NOTED_LINE_BYTES)]);
}

/// The request line of a head, if that is all of `bytes` and to be passed on as it is.
fn line_of_whole_head(bytes: &[u8], longest_line: usize, most_fields: usize) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', bytes)?;
    let (line, fields) = bytes.split_at(end + 1);
    let is_plain = line.len() <= longest_line
        && line[0].is_ascii_graphic()
        && line.ends_with(b"\r\n")
        && matches!(escape_target(line), Cow::Borrowed(_));
    let ends = |taken| taken == fields.len();
    let scanned = scan_fields(fields, Fields::START, most_fields);
    let is_whole = matches!(scanned, Scanned::HeadEnd(taken) if ends(taken));
    (is_plain && is_whole).then_some(line)
}

/// Line ends before a request line are skipped, as hyper does (RFC 9112, section 2.2).
fn skip_empty_lines(raw: &mut BytesMut) {
    loop {
        let skipped = match **raw {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return,
        };
        raw.advance(skipped);
    }
}

impl Fields {
    const START: Self = Self { line_start: true, after_return: false, before: 0 };

    /// Where `bytes`, without a line feed among them, lead.
    fn after(self, bytes: &[u8]) -> Self {
        let Some(last) = bytes.last() else { return self };
        let line_start = self.line_start && bytes.iter().all(|byte| *byte == b'\r');
        Self { line_start, after_return: *last == b'\r', ..self }
    }
}

/// What was found among the header fields.
enum Scanned {
    /// They go on.
    Fields(Fields),
    /// So many bytes end with the first empty line.
    HeadEnd(usize),
    /// A line feed without a CR stands there.
    BareFeed(usize),
    /// There is a line that ends there and is one more than there may be.
    TooMany(usize),
}

fn scan_fields(raw: &[u8], mut fields: Fields, most: usize) -> Scanned {
    let mut start = 0;
    for feed in memchr::memchr_iter(b'\n', raw) {
        fields = fields.after(&raw[start..feed]);
        if !fields.after_return {
            return Scanned::BareFeed(feed);
        }
        if fields.line_start {
            return Scanned::HeadEnd(feed + 1);
        }
        if fields.before == most {
            return Scanned::TooMany(feed);
        }
        (start, fields) = (feed + 1, Fields { before: fields.before + 1, ..Fields::START });
    }
    Scanned::Fields(fields.after(&raw[start..]))
}

/// Enough to tell the method and to find the request in a log; each connection keeps as much.
const NOTED_LINE_BYTES: usize = 1024;
