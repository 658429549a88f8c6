//! Holds that an answer given at once is the one that would be given otherwise, and that what must
//! not be given at once is not. What is at hand is so for a while only: where it has to be, the same
//! is asked twice, of which the first has it at hand for the second.

use std::fs;

use axum::body::Body;
use futures_util::future::Either;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use shacache_core::entry::SignedEntry;
use shacache_core::wire;

use super::Answers;
use crate::access::UploadPolicy;
use crate::access_log::{Report, Watched};
use crate::app::App;
use crate::config::{self, Overrides};

struct Warm {
    _folder: tempfile::TempDir,
    answers: Answers,
    app: App,
    /// Of one piece, of several chunks, of more than are answered at once; by their digests.
    blobs: [String; 3],
}

const SIZES: [usize; 3] = [1_000, 100_000, 1 << 20];

impl Warm {
    /// Everything in it was asked for a moment ago.
    async fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.toml");
        fs::write(&file, settings).unwrap();
        let data = Some(folder.path().join("data").display().to_string());
        let overrides = Overrides { file: Some(file), data, ..Overrides::default() };
        let app = App::open(&config::load(&overrides).unwrap()).unwrap();
        let mut digests = Vec::new();
        for size in SIZES {
            let mut incoming = app.store().blobs().incoming(None).unwrap();
            incoming.write((0..size).map(|n| (n % 251) as u8).collect()).await.unwrap();
            digests.push(*incoming.commit(None).await.unwrap().digest());
        }
        let metadata = format!("{{\"sha512\": \"{}\"}}", digests[0]);
        let entry = SignedEntry::from_texts(&metadata, "").unwrap();
        let directory = app.store().directory();
        directory.append(&"k".parse().unwrap(), entry).await.unwrap();
        assert!(directory.get(&"k".parse().unwrap()).await.unwrap().is_some());
        for digest in digests.iter().flat_map(|digest| [digest; 3]) {
            let blob = app.store().blobs().get(digest).await.unwrap().unwrap();
            let mut reader = blob.read(0..u64::MAX).await.unwrap();
            while reader.next().await.unwrap().is_some() {}
        }
        let answers = Answers::new(app.clone(), UploadPolicy::Open);
        let blobs = [0, 1, 2].map(|at| wire::blob_path("/shacache", &digests[at]));
        Self { _folder: folder, answers, app, blobs }
    }

    /// Whether it is answered at once, and how.
    async fn answer(&self, request: Request<Body>) -> (bool, Answer) {
        match self.answers.answer(request, None) {
            Either::Left(now) => (true, taken(now.await).await),
            Either::Right(later) => (false, taken(later.await).await),
        }
    }

    async fn answer_later(&self, request: Request<Body>) -> Answer {
        let report = Report::begin(&request, None, self.app.metrics().clone());
        taken(self.answers.clone().ask(request, report).await).await
    }
}

type Answer = (StatusCode, HeaderMap, Vec<u8>);

async fn taken(response: http::Response<Watched>) -> Answer {
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

fn request(method: &Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "a.example");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn what_is_answered_at_once_is_what_would_be_answered() {
    let warm = Warm::new("").await;
    let [small, in_chunks, large] = &warm.blobs;
    let (_, headers, _) = warm.answer_later(request(&Method::GET, "/shadir/k", &[])).await;
    let list_tag = headers["etag"].to_str().unwrap();
    let tag = |path: &str| format!("\"{}\"", path.rsplit('/').next().unwrap());
    let (small_tag, chunks_tag) = (tag(small), tag(in_chunks));
    let others = [
        small.to_uppercase().replace("/SHACACHE", "/shacache"),
        format!("{small}?a=b"),
        format!("{small}0"),
    ];
    let paths = [small, in_chunks, large, &others[0], &others[1], &others[2]];
    let paths = paths.into_iter().map(String::as_str).chain([
        "/shadir/k",
        "/shadir/none",
        "/shadir/k?verified=1",
        "/shadir/k?signer=12",
        "/shadir/",
        "/shacache",
        "/shacache/",
        "/healthz",
        "/nowhere",
    ]);
    let headers: &[&[(&str, &str)]] = &[
        &[],
        &[("request-id", "one")],
        &[("accept", "application/problem+json")],
        &[("if-none-match", &small_tag)],
        &[("if-none-match", &chunks_tag)],
        &[("if-none-match", list_tag)],
        &[("if-none-match", "*")],
        &[("if-none-match", "a")],
        &[("if-match", &small_tag)],
        &[("range", "bytes=10-19")],
        &[("range", "bytes=70000-")],
        &[("range", "bytes=-1")],
        &[("range", "bytes=9999999-")],
        &[("range", "bytes=1-0")],
        &[("range", "bytes=0-1,3-4")],
        &[("range", "bytes=0-9"), ("if-range", &small_tag)],
        &[("range", "bytes=0-9"), ("if-range", "\"another\"")],
        &[("host", "a b")],
        &[("host", "a"), ("host", "a")],
        &[("host", "[::1]:80")],
        &[("authorization", "Bearer nonsense")],
    ];
    let mut at_once = 0;
    for path in paths {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE] {
            for headers in headers {
                let asked = || request(&method, path, headers);
                let expected = warm.answer_later(asked()).await;
                let (is_at_once, answer) = warm.answer(asked()).await;
                assert_eq!(answer, expected, "{method} {path} {headers:?}");
                assert!(answer.1.contains_key("x-content-type-options"), "{method} {path}");
                let is_plain = method == Method::GET && headers.is_empty();
                let is_there = path == small || path == in_chunks || path == "/shadir/k";
                if is_plain && is_there {
                    assert!(is_at_once || warm.answer(asked()).await.0, "{method} {path}");
                }
                at_once += u32::from(is_at_once);
            }
        }
    }
    assert!(at_once > 40, "{at_once}");
    let text = warm.app.metrics().to_text();
    for route in ["blob", "key"] {
        assert!(text.contains(&format!("route=\"{route}\",code=\"200\"")), "{text}");
    }
}

#[tokio::test]
async fn other_forms_of_a_request_are_answered_alike() {
    let warm = Warm::new("[mount]\nshacache-host = [\"blobs.example\"]\n").await;
    let small = &warm.blobs[0];
    let alone = small.strip_prefix("/shacache").unwrap();
    let sha256 = "/shacache/".to_owned() + &"0".repeat(64);
    for (target, host) in [
        (alone, Some("blobs.example")),
        (alone, Some("BLOBS.example:80")),
        (alone, Some("a.example")),
        (small, Some("blobs.example")),
        (&*format!("http://blobs.example{alone}"), Some("a.example")),
        (&*format!("http://a.example{small}"), Some("blobs.example")),
        (small, None),
        (&*sha256, Some("a.example")),
    ] {
        for version in [Version::HTTP_10, Version::HTTP_11] {
            let asked = || {
                let mut request = Request::get(target).version(version);
                request = host.into_iter().fold(request, |it, host| it.header("host", host));
                request.body(Body::empty()).unwrap()
            };
            let expected = warm.answer_later(asked()).await;
            let (is_at_once, answer) = warm.answer(asked()).await;
            assert_eq!(answer, expected, "{target} {host:?}");
            let is_at_once = is_at_once || warm.answer(asked()).await.0;
            assert_eq!(is_at_once, answer.0 == StatusCode::OK, "{target} {host:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_took_did_not_begin() {
    let warm = Warm::new("").await;
    let asked = || warm.answers.answer(request(&Method::GET, "/shadir/k", &[]), None);
    let dropped = [asked(), asked()];
    assert!(dropped.iter().any(|answer| matches!(answer, Either::Left(_))));
    drop(dropped);
    let text = warm.app.metrics().to_text();
    let labels = "{method=\"GET\",route=\"key\",code=\"499\"}";
    assert!(text.contains(&format!("shacache_requests_total{labels} 2\n")), "{text}");
}

#[tokio::test]
async fn what_only_some_may_read_is_not_given_at_once() {
    let warm = Warm::new("[download]\npolicy = \"credentials\"\n").await;
    for path in [warm.blobs[0].as_str(), &warm.blobs[1], "/shadir/k"] {
        let (is_at_once, (status, _, _)) = warm.answer(request(&Method::GET, path, &[])).await;
        assert_eq!((is_at_once, status), (false, StatusCode::FORBIDDEN), "{path}");
    }
}
