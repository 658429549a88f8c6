//! A connection in memory, against hyper alone: whatever bytes come, the service must see the
//! requests it would see without the layers this module puts around hyper.

use std::convert::Infallible;
use std::sync::Mutex;

use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty};
use proptest::prelude::*;
use proptest::sample::select;
use shacache_fuzz::target;
use tokio::io::DuplexStream;

use super::*;
use crate::listen::Address;

#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    method: String,
    target: String,
    body: Option<Bytes>,
    chunked: bool,
}

/// Notes a request; the answer is empty.
async fn note<B>(request: Request<B>, seen: Arc<Mutex<Vec<Seen>>>) -> Response<Empty<Bytes>>
where
    B: Body<Data = Bytes>,
{
    let method = request.method().to_string();
    let target = request.uri().to_string();
    let chunked = request.body().size_hint().exact().is_none();
    let body = request.into_body().collect().await.ok().map(|body| body.to_bytes());
    seen.lock().expect("no panic").push(Seen { method, target, body, chunked });
    Response::new(Empty::new())
}

/// What `serve` makes of `input`, cut into pieces of `piece` bytes. Everything is in memory, so
/// a connection that has nothing to do for many polls has nothing left to do.
fn watch_it<F>(input: &[u8], piece: usize, serve: impl FnOnce(DuplexStream) -> F)
where
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut connection = pin!(serve(server));
        for piece in input.chunks(piece) {
            client.write_all(piece).await.expect("room");
            for _ in 0..8 {
                if connection.as_mut().now_or_never().is_some() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        for _ in 0..64 {
            if connection.as_mut().now_or_never().is_some() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
}

fn seen_through_us(input: &[u8], piece: usize) -> Vec<Seen> {
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let notes = Arc::clone(&seen);
    watch_it(input, piece, |io| {
        let service = hyper::service::service_fn(move |request: Request<RequestBody>| {
            let notes = Arc::clone(&notes);
            async move { Ok::<_, Infallible>(note(request, notes).await) }
        });
        let listener = "127.0.0.1:1".parse::<Address>().expect("an address");
        let limits = Limits { drain_idle: std::time::Duration::ZERO, ..Limits::default() };
        let shared = Arc::new(Shared { limits, counters: Arc::default() });
        async move {
            let (_stop, stopping) = watch::channel(());
            run(io, Peer::new(None, Arc::new(listener)), service, shared, stopping).await;
        }
    });
    let seen = seen.lock().expect("no panic");
    seen.clone()
}

fn seen_through_hyper_alone(input: &[u8], piece: usize) -> Vec<Seen> {
    let seen = Arc::<Mutex<Vec<Seen>>>::default();
    let notes = Arc::clone(&seen);
    watch_it(input, piece, |io| {
        let service = hyper::service::service_fn(move |request| {
            let notes = Arc::clone(&notes);
            async move { Ok::<_, Infallible>(note(request, notes).await) }
        });
        async move {
            let headers = Limits::default().headers;
            let connection = http1::Builder::new()
                .max_headers(headers)
                .serve_connection(TokioIo::new(io), service);
            // What hyper thinks of the input is seen in the requests it passes on.
            let _ = connection.await;
        }
    });
    let seen = seen.lock().expect("no panic");
    seen.clone()
}

/// Parts of requests in any order, so that many inputs are nearly right.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /b?c HTTP/1.1\r\n",
        b"POST /d%23 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"PUT /f HTTP/1.0\r\nConnection: keep-alive\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 20\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\n\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"body",
        b" ",
        b":",
        b"\0",
        b"\x80",
    ];
    proptest::collection::vec(select(parts), 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_service_sees_what_it_would_see_through_hyper_alone(
        input in input(),
        piece in select(vec![1, 2, 7, 40, 100_000]),
    ) {
        let ours = seen_through_us(&input, piece);
        prop_assert_eq!(&ours, &expected(&ours, &input, piece), "{}", input.escape_ascii());
    }
}

/// What hyper alone sees, up to where we refuse to go on: a chunked request is the last one of a
/// connection here, and so is the one before a line feed that ends a line of a head without a CR.
fn expected(ours: &[Seen], input: &[u8], piece: usize) -> Vec<Seen> {
    let mut theirs = seen_through_hyper_alone(input, piece);
    let last = theirs.iter().position(|seen| seen.chunked).map_or(theirs.len(), |at| at + 1);
    theirs.truncate(last);
    let returns = std::iter::once(false).chain(input.iter().map(|byte| *byte == b'\r'));
    if input.iter().zip(returns).any(|(byte, after_return)| *byte == b'\n' && !after_return) {
        theirs.truncate(ours.len());
    }
    theirs
}

#[test]
fn the_comparison_compares_something() {
    let input = b"GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi";
    let seen = seen_through_us(input, 3);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].body.as_deref(), Some(&b"hi"[..]));
    assert_eq!(seen, seen_through_hyper_alone(input, 3));
}

#[test]
fn as_many_fields_are_taken_as_by_hyper_with_that_limit() {
    for (count, piece) in [63, 64, 65, 66, 100, 101]
        .into_iter()
        .flat_map(|count| [1, 7, 40, 100_000].map(|piece| (count, piece)))
    {
        let fields = "X: y\r\n".repeat(count);
        let input = format!("GET /a HTTP/1.1\r\n{fields}\r\nGET /b HTTP/1.1\r\n\r\n");
        let seen = seen_through_us(input.as_bytes(), piece);
        assert_eq!(seen.len(), if count <= 64 { 2 } else { 0 }, "{count} in pieces of {piece}");
        assert_eq!(seen, seen_through_hyper_alone(input.as_bytes(), piece));
    }
}

#[test]
fn as_many_trailers_are_taken_as_by_hyper_with_that_limit() {
    for (count, piece) in [0, 63, 64, 65, 100, 101]
        .into_iter()
        .flat_map(|count| [1, 7, 100_000].map(|piece| (count, piece)))
    {
        let trailers = "X: y\r\n".repeat(count);
        let head = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n";
        let input = format!("{head}{trailers}\r\n");
        let seen = seen_through_us(input.as_bytes(), piece);
        assert_eq!(seen[0].body.is_some(), count <= 64, "{count} in pieces of {piece}");
        assert_eq!(seen, seen_through_hyper_alone(input.as_bytes(), piece), "{count}");
    }
}

target!(request_stream, |input| request_stream_property(seen_through_us, input),
    planted: |input| request_stream_property(seen_through_us_without_the_last_byte, input));

/// Whatever bytes come in pieces of whatever size (the first byte tells it), the service sees what
/// it would see through hyper alone. Left out are targets that hyper alone refuses, and more lines
/// than there may be of fields.
fn request_stream_property(seen: fn(&[u8], usize) -> Vec<Seen>, input: &[u8]) {
    let Some((piece, bytes)) = input.split_first() else { return };
    let longest = Limits::default().request_line_bytes;
    // hyper counts the lines of trailers as they come, and we what became of them.
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    if bytes.len() > longest
        || lines > Limits::default().headers
        || bytes.iter().any(|byte| b"\"#<>`".contains(byte))
    {
        return;
    }
    let piece = if *piece == 0 { longest } else { usize::from(*piece) };
    let ours = seen(bytes, piece);
    assert_eq!(ours, expected(&ours, bytes, piece), "{}", bytes.escape_ascii());
}

fn seen_through_us_without_the_last_byte(input: &[u8], piece: usize) -> Vec<Seen> {
    seen_through_us(&input[..input.len().saturating_sub(1)], piece)
}
