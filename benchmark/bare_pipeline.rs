//! What a client at least has to do, and nothing else: receive or read, SHA-512, write; for the
//! benchmark to compare with. No retries, no time limits, no TLS, one buffer on one thread. The order
//! is that of a real client: an upload hashes the file before it sends anything, a download is synced
//! and renamed.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::TcpStream;
use std::path::Path;

use shacache_core::digest::{Digest, Hasher};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["download", address, path, file] => download(address, path, Path::new(file)),
        ["upload", address, path, file] => upload(address, path, Path::new(file)),
        _ => Err("usage: bare-pipeline download|upload HOST:PORT PATH FILE".into()),
    }
}

fn download(address: &str, path: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut connection = TcpStream::connect(address)?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = BufReader::new(connection);
    expect_status(&mut answer, "200")?;
    let part = file.with_added_extension("part");
    let mut out = File::create(&part)?;
    let hasher = copy(&mut answer, &mut |bytes| Ok(out.write_all(bytes)?))?;
    if !path.ends_with(&hasher.to_string()) {
        return Err("wrong bytes".into());
    }
    out.sync_all()?;
    fs::rename(&part, file)?;
    File::open(file.parent().ok_or("no folder")?)?.sync_all()?;
    Ok(())
}

fn upload(address: &str, path: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::open(file)?;
    let digest = copy(&mut file, &mut |_| Ok(()))?;
    file.rewind()?;
    let length = file.metadata()?.len();
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        connection.write_all(&buffer[..read])?;
    }
    let mut answer = BufReader::new(connection);
    expect_status(&mut answer, "201")?;
    let mut stored = String::new();
    answer.read_to_string(&mut stored)?;
    if stored != digest.to_string() { Err("wrong bytes".into()) } else { Ok(()) }
}

/// Hashes everything on its way.
fn copy(
    from: &mut impl Read,
    to: &mut impl FnMut(&[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<Digest, Box<dyn Error>> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..read]);
        to(&buffer[..read])?;
    }
}

/// Reads the head of an answer.
fn expect_status(answer: &mut impl BufRead, status: &str) -> Result<(), Box<dyn Error>> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if line.split(' ').nth(1) != Some(status) {
        return Err(format!("the server answered {line}").into());
    }
    while !line.trim_end().is_empty() {
        line.clear();
        answer.read_line(&mut line)?;
    }
    Ok(())
}

const BUFFER_BYTES: usize = 256 * 1024;
