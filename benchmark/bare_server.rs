//! What a server at least has to do, and nothing else, for the benchmark to compare with: a download
//! is read, CRC, send; an upload is receive, SHA-512, write, sync, rename, sync the folder. HTTP as far
//! as the benchmark speaks it, a thread for each connection, one buffer each, no time limits.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the benchmark speaks so"
)]

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use shacache_core::digest::{Digest, Hasher};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", address, folder] => serve(address, Path::new(folder)),
        ["publish", layout, folder, seconds, bytes] => {
            let folder_of: fn(u64) -> String = match layout {
                "flat" => |_| String::new(),
                "blobs" => folder_of_blob,
                "entries" => folder_of_entry,
                _ => return Err(USAGE.into()),
            };
            let limit = Duration::from_secs(seconds.parse()?);
            publish(Path::new(folder), folder_of, limit, bytes.parse()?)
        }
        _ => Err(USAGE.into()),
    }
}

fn serve(address: &str, folder: &Path) -> Outcome<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    for connection in listener.incoming() {
        let (connection, folder) = (connection?, folder.to_owned());
        connection.set_nodelay(true)?;
        thread::spawn(move || {
            if let Err(error) = answer_all(connection, &folder) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn answer_all(mut connection: TcpStream, folder: &Path) -> Outcome<()> {
    let mut incoming = BufReader::new(connection.try_clone()?);
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Some(request) = Request::read(&mut incoming)? {
        match request.body_bytes {
            None => send(&mut connection, &folder.join(request.name()), &mut buffer)?,
            Some(bytes) => {
                let digest = receive(&mut incoming, bytes, folder, &mut buffer)?.to_string();
                let length = digest.len();
                write!(
                    connection,
                    "HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{digest}"
                )?;
            }
        }
        if request.closes {
            break;
        }
    }
    Ok(())
}

struct Request {
    path: String,
    /// None without a body.
    body_bytes: Option<u64>,
    closes: bool,
}

impl Request {
    /// None when the client has gone.
    fn read(from: &mut impl BufRead) -> Outcome<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).ok_or("no request line")?.to_owned();
        let mut request = Self { path, body_bytes: None, closes: false };
        loop {
            line.clear();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                return Ok(Some(request));
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => request.body_bytes = Some(value.parse()?),
                "connection" => request.closes = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

fn send(connection: &mut TcpStream, path: &Path, buffer: &mut [u8]) -> Outcome<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
    let mut sum = 0;
    loop {
        let read = file.read(buffer)?;
        if read == 0 {
            break;
        }
        sum ^= crc_fast::crc32_iscsi(&buffer[..read]);
        connection.write_all(&buffer[..read])?;
    }
    std::hint::black_box(sum);
    Ok(())
}

fn receive(from: &mut impl Read, bytes: u64, folder: &Path, buffer: &mut [u8]) -> Outcome<Digest> {
    let part = part_in(folder);
    let mut file = File::create_new(&part)?;
    let mut hasher = Hasher::new();
    let mut left = bytes;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left)?);
        let read = from.read(&mut buffer[..most])?;
        if read == 0 {
            return Err("the body is cut short".into());
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    let digest = hasher.finish();
    file.sync_all()?;
    fs::rename(&part, folder.join(digest.to_string()))?;
    File::open(folder)?.sync_all()?;
    Ok(digest)
}

/// One after the other, what it takes to make small files durable; tells how many went in a second.
fn publish(
    folder: &Path,
    folder_of: fn(u64) -> String,
    limit: Duration,
    bytes: usize,
) -> Outcome<()> {
    let content = vec![b'x'; bytes];
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < limit {
        let part = part_in(folder);
        let mut file = File::create_new(&part)?;
        file.write_all(&content)?;
        file.sync_all()?;
        let home = durable_folder(folder, &folder_of(number))?;
        fs::rename(&part, home.join(number.to_string()))?;
        File::open(home)?.sync_all()?;
        number += 1;
    }
    println!("{}", number as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

/// Makes what is missing of `path` below `folder`, durably.
fn durable_folder(folder: &Path, path: &str) -> Outcome<PathBuf> {
    let mut home = folder.to_owned();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let above = File::open(&home)?;
        home.push(name);
        match fs::create_dir(&home) {
            Ok(()) => above.sync_all()?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(home)
}

/// As the archive spreads blobs.
fn folder_of_blob(number: u64) -> String {
    let digest = digest_of(number);
    format!("{}/{}", &digest[..2], &digest[2..4])
}

/// As the archive spreads entries of so many keys.
fn folder_of_entry(number: u64) -> String {
    let key = number % KEYS;
    format!("{}/key-{key}", &digest_of(key)[..2])
}

fn digest_of(number: u64) -> String {
    let mut hasher = Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.finish().to_string()
}

fn part_in(folder: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    folder.join(format!("part-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

const BUFFER_BYTES: usize = 64 << 10;
/// As many as the benchmark puts entries under.
const KEYS: u64 = 10_000;
const USAGE: &str = "usage: bare-server serve HOST:PORT FOLDER | \
     publish flat|blobs|entries FOLDER SECONDS BYTES";
