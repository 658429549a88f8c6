//! Whether the time of a refusal tells which names and tokens there are. Wrong passwords of somebody
//! and of nobody take turns over one connection, and so do wrong tokens; Student's t of what pairs of
//! blocks differ by has to see nothing. (Welch's would see less where the machine's pace drifts.) It
//! has to see a difference where there is one. `SHACACHE_TIMING_CASES` says how many passwords are
//! tried.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use std::{env, fs};

use data_encoding::BASE64;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::access::{Access, AccessError, KeyPattern, NewToken, Role};
use crate::app::App;
use crate::config::{self, Config, Overrides};
use crate::listen::{Address, Drain, Listener};
use crate::serve;

/// What a mean has to differ by to count as another one, in standard errors.
const DISTINGUISHABLE: f64 = 4.5;
const TOKENS_TRIED: usize = 10_000;
const BLOCKS: usize = 100;
const ATTEMPTS: usize = 4;

#[test]
fn a_wrong_password_takes_as_long_whether_or_not_somebody_has_the_name() {
    let known = Known::new(Access::open);
    known.are_alike(passwords_tried(), [&basic("somebody"), &basic("nobody")]);
}

#[test]
fn names_that_nobody_has_would_show_if_they_were_refused_early() {
    let known = Known::new(|config| Ok(Access::open(config)?.quick_about_nobody()));
    known.differ(30, [&basic("somebody"), &basic("nobody")]);
}

#[test]
fn a_wrong_token_takes_as_long_whether_or_not_there_is_one_of_its_id() {
    let known = Known::new(Access::open);
    let token = known.wrong_token();
    let unknown = token.replacen(&token[9..21], "000000000000", 1);
    known.are_alike(TOKENS_TRIED, [&bearer(&token), &bearer(&unknown)]);
}

/// What is no token at all is refused before anything is looked up, and may be: it says nothing of
/// those there are.
#[test]
fn a_token_that_is_refused_early_does_show() {
    let known = Known::new(Access::open);
    known.differ(TOKENS_TRIED, [&bearer(&known.wrong_token()), &bearer("none")]);
}

/// A server where somebody has a password and a token, and only who is known may read. Stopped when
/// dropped.
struct Known {
    _folder: tempfile::TempDir,
    app: App,
    address: SocketAddr,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Known {
    fn new(access: impl FnOnce(&Config) -> Result<Access, AccessError> + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.toml");
        let settings = "listen = [\"127.0.0.1:0\"]\n[download]\npolicy = \"credentials\"\n";
        fs::write(&file, settings).unwrap();
        let data = Some(folder.path().join("data").display().to_string());
        let overrides = Overrides { file: Some(file), data, ..Overrides::default() };
        let config = config::load(&overrides).unwrap();
        let (opened, opening) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            Runtime::new().unwrap().block_on(async move {
                let app = App::open_with(&config, access).unwrap();
                let listener = Listener::bind(&config.listen()[0]).unwrap();
                opened.send((app.clone(), listener.local_addr().clone())).unwrap();
                let stopped = async {
                    let _dropped = stopped.await;
                };
                let drain = serve(&app, vec![listener], config.limits().clone(), stopped).await;
                assert_eq!(drain, Drain::Complete);
                app.store().close().await.unwrap();
            });
        });
        let (app, Address::Tcp(address)) = opening.recv().unwrap() else { panic!("it is TCP") };
        let new = |password: Option<&str>| NewToken {
            name: "somebody".to_owned(),
            roles: vec![Role::Read],
            keys: vec![KeyPattern::all()],
            expires_in_days: None,
            in_query: false,
            password: password.map(str::to_owned),
        };
        let tokens = app.access().tokens();
        tokens.add(new(Some("the right password"))).unwrap();
        let token = tokens.add(new(None)).unwrap().token.unwrap();
        Self { _folder: folder, app, address, token, stop: Some(stop), thread: Some(thread) }
    }

    /// With the id of a token that there is.
    fn wrong_token(&self) -> String {
        format!("{}{}", &self.token[..self.token.len() - 8], "00000000")
    }

    /// A difference that is there shows each time; what else runs on the machine may look like one
    /// once.
    fn are_alike(&self, tried: usize, headers: [&str; 2]) {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|t: &f64| t.abs() >= DISTINGUISHABLE) {
            assert!(seen.len() < ATTEMPTS, "they can be told apart: t = {seen:?}");
            seen.push(self.apart(tried, headers));
        }
        println!("t = {seen:?}");
    }

    /// What else runs on the machine may hide a difference once.
    fn differ(&self, tried: usize, headers: [&str; 2]) {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|t: &f64| *t <= DISTINGUISHABLE) {
            assert!(seen.len() < ATTEMPTS, "they cannot be told apart: t = {seen:?}");
            seen.push(self.apart(tried, headers));
        }
        println!("t = {seen:?}");
    }

    /// How far apart the mean times of two refusals are, in standard errors; positive if the first
    /// takes longer. `tried` are both of them together. Means are compared block by block: the pace
    /// of the machine changes, and all of a block had much the same.
    fn apart(&self, tried: usize, headers: [&str; 2]) -> f64 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let coin = RandomState::new();
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..tried.div_ceil(2) {
            for side in if coin.hash_one(round) % 2 == 0 { [0, 1] } else { [1, 0] } {
                self.app.access().forget_failures();
                times[side].push(refusal(&mut stream, headers[side]));
            }
        }
        // What was interrupted is in neither.
        let mut all = times.concat();
        all.sort_by(f64::total_cmp);
        let longest = all[(all.len() - 1) * 9 / 10];
        let block = (times[0].len() / BLOCKS).max(1);
        let blocks = times.each_ref().map(|times| {
            times.chunks(block).map(|block| {
                let short: Vec<f64> = block.iter().copied().filter(|it| *it <= longest).collect();
                (!short.is_empty()).then(|| mean(&short))
            })
        });
        let [first, second] = blocks;
        let (mut differences, mut missing) = (Vec::new(), 0);
        for pair in first.zip(second) {
            match pair {
                (Some(first), Some(second)) => differences.push(first - second),
                (None, Some(_)) => missing += 1,
                (Some(_), None) => missing -= 1,
                (None, None) => {}
            }
        }
        // Where one side was too long to count nearly always, that is the difference.
        if differences.len() < 3 {
            return f64::INFINITY * f64::from(missing);
        }
        let (count, mean) = (differences.len() as f64, mean(&differences));
        let squares = differences.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
        mean / (squares / (count - 1.0) / count).sqrt()
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the server panicked");
    }
}

/// From the request to its answer, in nanoseconds.
fn refusal(stream: &mut TcpStream, authorization: &str) -> f64 {
    let head =
        format!("GET /shadir/k HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n");
    let mut answer = [0; 4096];
    let begun = Instant::now();
    stream.write_all(head.as_bytes()).unwrap();
    let length = stream.read(&mut answer).unwrap();
    let time = begun.elapsed();
    let answer = str::from_utf8(&answer[..length]).unwrap();
    // All of it came at once: its body is one line, and no header ends in a bare line feed.
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.ends_with('\n') && !answer.ends_with("\r\n"), "{answer}");
    time.as_nanos() as f64
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

fn basic(name: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{name}:a wrong password").as_bytes()))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn passwords_tried() -> usize {
    let asked = env::var("SHACACHE_TIMING_CASES").ok();
    asked.map_or(100, |number| number.parse().expect("a number"))
}
