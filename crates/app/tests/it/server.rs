//! A server process on a free port, plain requests to it, and a small shop's purchases to send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use accrue_kernel::Draws;
use serde_json::Value;

/// A server process; killed, as `kill -9` does, when it is dropped.
pub struct Server {
    process: Child,
    pub address: String,
}

impl Server {
    /// Starts `accrue serve --listen 127.0.0.1:0 …` and reads its address.
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        assert!(!address.is_empty(), "the server did not start");
        Self { process, address }
    }

    /// Status and body of an answer.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        ask(&self.address, method, path, body)
    }

    /// Returns when the models have learned the whole log.
    pub fn wait_until_learned(&self) {
        loop {
            let (_, quality) = self.ask("GET", "/v1/quality", "");
            assert!(quality["learner_failed"].is_null(), "{quality}");
            if quality["offset"] == quality["log_end"] {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(unix)]
impl Server {
    /// Ends it as Ctrl-C does, and returns its exit code; `None` if it takes a minute.
    pub fn end_well(mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.process.id().to_string()).status().unwrap().success());
        for _ in 0..600 {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The events of these numbers, as a JSON array: purchases of 50 people, a minute apart, each preferring a family of items.
pub fn purchases(seed: u64, numbers: Range<u64>) -> String {
    let event = |number: u64| {
        let mut draws = Draws::new(seed, 1, number);
        let user = draws.below(50);
        let item = if draws.below(4) == 0 { draws.below(60) } else { user % 10 * 6 + draws.below(6) };
        let at = 1_760_000_000_000_u64 + number * 60_000;
        format!(r#"{{"id":"e{number}","type":"purchase","user":"u{user}","item":"i{item}","at":{at}}}"#)
    };
    let events: Vec<String> = numbers.map(event).collect();
    format!("[{}]", events.join(","))
}

/// Status and body of an answer of the server at `address`.
pub fn ask(address: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    write!(stream, "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = Vec::new();
    // The server may close before it has read everything.
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}
