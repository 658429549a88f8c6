//! Asks a server for what wrk cannot: requests at a fixed rate, whose delays count from when each was
//! due, so that a stall shows in all that it held up; many whole downloads and uploads at once. HTTP as
//! far as the benchmark speaks it, a thread for each connection. Any answer but the one that is
//! expected ends it.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["rate", address, connections, per_second, seconds, paths] => {
            let paths = fs::read_to_string(paths)?;
            let rate = Rate {
                per_second: per_second.parse()?,
                limit: Duration::from_secs(seconds.parse()?),
                paths: paths.lines().collect(),
            };
            let mut delays = rate.ask(address, connections.parse()?)?;
            delays.sort_unstable();
            println!("{} {}", delays.len(), told(&delays));
            Ok(())
        }
        ["download", address, connections, path] => {
            at_once(connections.parse()?, |_| download(address, path))
        }
        ["upload", address, connections, bytes, first] => {
            let (bytes, first) = (bytes.parse()?, first.parse::<u64>()?);
            at_once(connections.parse()?, |number| upload(address, bytes, first + number))
        }
        _ => Err("usage: load rate HOST:PORT CONNECTIONS PER-SECOND SECONDS FILE-OF-PATHS | \
                  download HOST:PORT CONNECTIONS PATH | upload HOST:PORT CONNECTIONS BYTES FIRST"
            .into()),
    }
}

struct Rate<'a> {
    per_second: u64,
    limit: Duration,
    paths: Vec<&'a str>,
}

impl Rate<'_> {
    /// Gives the delay of each request. A connection takes the next one when its last is answered:
    /// there are enough of them unless the server is too slow, which then shows as delay.
    fn ask(&self, address: &str, connections: usize) -> Outcome<Vec<Duration>> {
        let (next, begun) = (AtomicU64::new(0), Instant::now());
        thread::scope(|scope| {
            let running: Vec<_> = (0..connections)
                .map(|_| scope.spawn(|| self.ask_on_one(address, &next, begun)))
                .collect();
            let mut delays = Vec::new();
            for thread in running {
                delays.extend(thread.join().map_err(|_| "a thread panicked")??);
            }
            Ok(delays)
        })
    }

    fn ask_on_one(
        &self,
        address: &str,
        next: &AtomicU64,
        begun: Instant,
    ) -> Outcome<Vec<Duration>> {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        let mut incoming = BufReader::new(connection.try_clone()?);
        let mut outgoing = connection;
        let mut delays = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = Duration::from_nanos(number * 1_000_000_000 / self.per_second);
            if due >= self.limit {
                return Ok(delays);
            }
            thread::sleep(due.saturating_sub(begun.elapsed()));
            let path = self.paths[usize::try_from(number)? % self.paths.len()];
            outgoing.write_all(request("GET", path, address, "").as_bytes())?;
            let length = expect_status(&mut incoming, "200")?;
            expect_bytes(&mut incoming, length)?;
            delays.push(begun.elapsed().saturating_sub(due));
        }
    }
}

/// What half of them, 99 of 100 and all kept within, in milliseconds.
fn told(sorted: &[Duration]) -> String {
    let within = |share: f64| {
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e3)
    };
    format!("{:.3} {:.3} {:.3}", within(0.5), within(0.99), within(1.0))
}

fn at_once(connections: u64, work: impl Fn(u64) -> Outcome<()> + Sync) -> Outcome<()> {
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> =
            (0..connections).map(|number| scope.spawn(move || work(number))).collect();
        for thread in running {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}

fn download(address: &str, path: &str) -> Outcome<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.write_all(request("GET", path, address, "").as_bytes())?;
    let mut answer = BufReader::with_capacity(BUFFER_BYTES, connection);
    let length = expect_status(&mut answer, "200")?;
    expect_bytes(&mut answer, length)
}

/// Sends so many bytes, others for each number; they are not hashed here, which costs more than it does
/// to receive them.
fn upload(address: &str, bytes: u64, number: u64) -> Outcome<()> {
    let mut connection = TcpStream::connect(address)?;
    let headers = format!("Content-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n");
    connection.write_all(request("POST", "/shacache/", address, &headers).as_bytes())?;
    let mut block = vec![b'x'; BUFFER_BYTES];
    block[..8].copy_from_slice(&number.to_be_bytes());
    let mut left = bytes;
    while left > 0 {
        let most = left.min(BUFFER_BYTES as u64);
        connection.write_all(&block[..usize::try_from(most)?])?;
        left -= most;
    }
    let mut answer = BufReader::new(connection);
    let length = expect_status(&mut answer, "201")?;
    expect_bytes(&mut answer, length)
}

fn request(method: &str, path: &str, address: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n")
}

/// Reads the head of an answer; gives the length of its body.
fn expect_status(answer: &mut impl BufRead, status: &str) -> Outcome<u64> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if line.split(' ').nth(1) != Some(status) {
        return Err(format!("the server answered {line}").into());
    }
    let mut length = None;
    loop {
        line.clear();
        answer.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return length.ok_or_else(|| "an answer without a length".into());
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse()?);
        }
    }
}

fn expect_bytes(answer: &mut impl BufRead, length: u64) -> Outcome<()> {
    let mut left = length;
    while left > 0 {
        let came = answer.fill_buf()?.len().min(usize::try_from(left)?);
        if came == 0 {
            return Err(format!("{left} of {length} bytes did not come").into());
        }
        answer.consume(came);
        left -= came as u64;
    }
    Ok(())
}

const BUFFER_BYTES: usize = 256 << 10;
