//! HTTP/1.1 by hand over a `TcpStream`: requests are bytes, so that odd ones can be sent, and
//! answers are read strictly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::running::PATIENCE;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header; `None` when there is none. A header sent twice is a failure.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `request` and reads the answer to it. `None` when the server closes without one.
///
/// # Errors
/// When the answer is not what HTTP/1.1 says: a body of another length than announced, bytes after
/// an answer that closes the connection, and so on.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Option<Answer>> {
    let mut stream = connect(address)?;
    stream.write_all(request)?;
    let head = request.starts_with(b"HEAD ");
    read_answer(&mut BufReader::new(stream), head)
}

/// A request of the usual kind: Host, Connection: close, and the length of the body.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    let answer = exchange(address, &[head.as_bytes(), body].concat());
    answer.expect("a well-formed answer").expect("an answer")
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

pub(crate) fn read_answer(
    reader: &mut BufReader<TcpStream>,
    to_head: bool,
) -> io::Result<Option<Answer>> {
    loop {
        let Some(status) = read_status(reader)? else { return Ok(None) };
        let headers = read_headers(reader)?;
        if (100..200).contains(&status) {
            continue;
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("Content-Length").map(|length| length.parse::<u64>());
        let length = length.transpose().map_err(|_| malformed("Content-Length"))?;
        assert_eq!(answer.header("Transfer-Encoding"), None, "every answer has its length");
        let without_body = to_head || status == 204 || status == 304;
        if let Some(length) = length.filter(|_| !without_body) {
            let read = reader.take(length).read_to_end(&mut answer.body)?;
            if read as u64 != length {
                return Err(malformed("the body is cut short"));
            }
        } else if !without_body {
            return Err(malformed("no Content-Length"));
        }
        if answer.header("Connection") == Some("close") && reader.read(&mut [0])? != 0 {
            return Err(malformed("bytes after the end"));
        }
        return Ok(Some(answer));
    }
}

fn read_status(reader: &mut impl BufRead) -> io::Result<Option<u16>> {
    let line = match read_line(reader) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        line => line?,
    };
    if line.is_empty() {
        return Ok(None);
    }
    let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|status| status.get(..3)?.parse().ok());
    status.map(Some).ok_or_else(|| malformed(&line))
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// A line without its CRLF; empty at the end of the stream too.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let line = String::from_utf8(line).map_err(|_| malformed("not UTF-8"))?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None if line.is_empty() => Ok(line),
        None => Err(malformed(&line)),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
