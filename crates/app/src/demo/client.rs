//! A small HTTP client for the simulated shop: one connection, kept open, one request at a time.
//!
//! In: method, path, body. Out: the answer's body as JSON, and how long it took. It supports only what this server
//! sends: answers with a length. A connection that was closed in between is opened again, once; the server counts
//! events that are sent twice as duplicates. Refuses: TLS, redirects, chunks.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The limit of waiting for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer, in bytes.
const MAX_BODY_BYTES: u64 = 16 << 20;
/// How often a request is repeated if the server is busy, and the pause before each.
const MAX_TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// An error between the simulated shop and its server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("{request}: {source}")]
    Connection {
        /// Method and path.
        request: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The server refused.
    #[error("{request}: answered {status}: {body}")]
    Refused {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The problem document.
        body: String,
    },
    /// The answer is not in the expected form.
    #[error("{request}: the answer cannot be read: {source}")]
    Unreadable {
        /// Method and path.
        request: String,
        /// The fault.
        source: serde_json::Error,
    },
}

/// One connection to the server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the server at this address; connects when first used.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a GET request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get<A: DeserializeOwned>(&mut self, path: &str) -> Result<(A, Duration), ClientError> {
        self.ask("GET", path, &[])
    }

    /// Sends a POST request with JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn send<A: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(A, Duration), ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| unreadable(method, path, source))?;
        self.ask(method, path, &body)
    }

    fn ask<A: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<(A, Duration), ClientError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let started = Instant::now();
            let answer = self.exchange(method, path, body);
            let took = started.elapsed();
            match answer {
                Ok((200, text)) => {
                    let answer = serde_json::from_slice(&text).map_err(|source| unreadable(method, path, source))?;
                    return Ok((answer, took));
                }
                Ok((503, _)) if tries < MAX_TRIES => std::thread::sleep(PAUSE),
                Ok((status, text)) => {
                    let body = String::from_utf8_lossy(&text).into_owned();
                    return Err(ClientError::Refused { request: format!("{method} {path}"), status, body });
                }
                Err(_) if tries == 1 => self.stream = None,
                Err(source) => {
                    return Err(ClientError::Connection { request: format!("{method} {path}"), source });
                }
            }
        }
    }

    fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        let mut request = Vec::with_capacity(256 + body.len());
        let length = body.len();
        write!(request, "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n", self.address)?;
        request.extend_from_slice(b"content-type: application/json\r\n\r\n");
        request.extend_from_slice(body);
        stream.get_mut().write_all(&request)?;
        let (status, body, stays_open) = read_answer(&mut stream)?;
        self.stream = stays_open.then_some(stream);
        Ok((status, body))
    }
}

fn unreadable(method: &str, path: &str, source: serde_json::Error) -> ClientError {
    ClientError::Unreadable { request: format!("{method} {path}"), source }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// Status, body, and whether the connection stays open.
fn read_answer(stream: &mut impl io::BufRead) -> io::Result<(u16, Vec<u8>, bool)> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    let mut read_line = |stream: &mut dyn io::BufRead| -> io::Result<String> {
        line.clear();
        if stream.take(64 << 10).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    };
    let status = read_line(stream)?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| broken("no status"))?;
    let (mut length, mut stays_open) = (None, true);
    loop {
        let header = read_line(stream)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<u64>().ok(),
            "connection" => stays_open = !value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let length =
        length.filter(|length| *length <= MAX_BODY_BYTES).ok_or_else(|| broken("an answer without a length"))?;
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body)?;
    Ok((status, body, stays_open))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what fails here fails a test")]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_to_their_length() {
        let mut bytes = &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"[..];
        assert_eq!(read_answer(&mut bytes).unwrap(), (200, b"{}".to_vec(), true));
        assert_eq!(read_answer(&mut bytes).unwrap(), (503, Vec::new(), false));
        assert_eq!(read_answer(&mut bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn invalid_answers_are_refused() {
        let cases: [&[u8]; 4] = [
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
        ];
        for bytes in cases {
            assert!(read_answer(&mut &bytes[..]).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
