//! A small keep-alive HTTP client and load generator: blocking sockets, requests written before the clock starts.
//!
//! One connection is one thread that sends the next request as soon as it has the answer (a closed loop). It runs on
//! the same cores as the server, as the clients of other servers did when those were measured.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::machine::process_cpu_s;
use super::sample::ms_since;

/// The bytes of a request with a body.
pub(super) fn post(path: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The bytes of a request with a body of JSON.
pub(super) fn post_json(path: &str, body: &Value) -> Vec<u8> {
    post(path, "application/json", &body.to_string())
}

/// The bytes of a request for events.
pub(super) fn post_events(ndjson: &str) -> Vec<u8> {
    post("/v1/events", "application/x-ndjson", ndjson)
}

/// The bytes of a request without a body.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// One connection, kept open.
pub(super) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request and returns the body of its answer, which must be 200.
    pub fn ask(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head_end = loop {
            let looked_at = self.buffer.len().saturating_sub(3);
            self.read_more()?;
            if let Some(place) = self.buffer[looked_at..].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break looked_at + place + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..head_end])?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let is_good = head.starts_with("HTTP/1.1 200");
        let end = head_end + length.context("an answer without its length")?;
        while self.buffer.len() < end {
            self.read_more()?;
        }
        let body = &self.buffer[head_end..end];
        ensure!(
            is_good,
            "refused: {} {}",
            String::from_utf8_lossy(&self.buffer[..head_end]),
            String::from_utf8_lossy(body)
        );
        Ok(body)
    }

    /// The same, with the answer read.
    pub fn ask_json(&mut self, request: &[u8]) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(self.ask(request)?)?)
    }

    fn read_more(&mut self) -> anyhow::Result<()> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + 16 * 1024, 0);
        let n = self.stream.read(&mut self.buffer[filled..])?;
        self.buffer.truncate(filled + n);
        if n == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// The result of a load.
pub(super) struct Load {
    pub seconds: f64,
    /// CPU seconds of this process: clients, server, learner.
    pub cpu_s: f64,
    pub latencies_ms: Vec<f64>,
}

/// Sends `requests[c]` over connection `c`, one after the other, all connections in parallel. `check` is called with every answer.
pub(super) fn load(
    address: SocketAddr,
    requests: &[Vec<Vec<u8>>],
    check: impl Fn(&[u8]) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<Load> {
    let barrier = &Barrier::new(requests.len() + 1);
    let check = &check;
    std::thread::scope(|scope| {
        let threads: Vec<_> = requests
            .iter()
            .map(|requests| {
                scope.spawn(move || {
                    let client = Client::connect(address);
                    barrier.wait();
                    let mut client = client?;
                    let mut latencies = Vec::with_capacity(requests.len());
                    for request in requests {
                        let started = Instant::now();
                        let body = client.ask(request)?;
                        latencies.push(ms_since(started));
                        check(body)?;
                    }
                    anyhow::Ok(latencies)
                })
            })
            .collect();
        let cpu_before = process_cpu_s();
        barrier.wait();
        let started = Instant::now();
        let mut latencies_ms = Vec::new();
        for thread in threads {
            latencies_ms.extend(thread.join().expect("the client does not panic")?);
        }
        Ok(Load { seconds: started.elapsed().as_secs_f64(), cpu_s: process_cpu_s() - cpu_before, latencies_ms })
    })
}

/// Distributes requests over connections.
pub(super) fn deal(requests: impl IntoIterator<Item = Vec<u8>>, n_connections: usize) -> Vec<Vec<Vec<u8>>> {
    let mut dealt = vec![Vec::new(); n_connections];
    for (place, request) in requests.into_iter().enumerate() {
        dealt[place % n_connections].push(request);
    }
    dealt
}

/// Checks an answer to events: all of them must have been new and accepted.
pub(super) fn all_accepted(body: &[u8], n_events: u64) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_slice(body)?;
    ensure!(answer["accepted"] == n_events, "of {n_events} events: {answer}");
    Ok(())
}
