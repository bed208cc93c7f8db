//! `kill -9` at random moments: each acknowledged event is there exactly once, and the recovered state has the bytes of
//! a run that was never interrupted (the log folded from its beginning).
//!
//! `ACCRUE_KILLS=200` sets the number of kills; the default is small. A failure prints the seed that chose the moments.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use accrue_kernel::Draws;

use crate::server::Server;

const KILLS: u64 = 5;
const SEED: u64 = 20_261_122;

fn start(dir: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir);
    // Checkpoints and segments small enough that kills happen while they are written.
    command.env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000").env("ACCRUE_LOG_SEGMENT_RECORDS", "3000");
    Server::start(&mut command)
}

/// Posts events; the accepted count if the acknowledgement arrived whole.
fn post(stream: &mut TcpStream, body: &str) -> Option<u64> {
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n = stream.read(&mut piece).ok().filter(|&n| n > 0)?;
        answer.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let len =
                head.to_lowercase().split("content-length:").nth(1)?.lines().next()?.trim().parse::<usize>().ok()?;
            if body.len() >= len {
                let answer: serde_json::Value = serde_json::from_str(body).ok()?;
                return answer["accepted"].as_u64();
            }
        }
    }
}

fn batch(first: u64, n: u64) -> String {
    let events: Vec<String> = (first..first + n)
        .map(|number| {
            let mut draws = Draws::new(SEED, 1, number);
            let (user, item) = (draws.below(50), draws.below(30) * draws.below(8));
            let at = 1_760_000_000_000_u64 + number * 1000;
            format!(r#"{{"id":"e{number}","type":"purchase","user":"u{user}","item":"i{item}","at":{at}}}"#)
        })
        .collect();
    format!("[{}]", events.join(","))
}

fn accrue(dir: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_accrue")).args(arguments).arg("--data").arg(dir).output().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_and_the_recovered_state_is_the_uninterrupted_one() {
    let kills = std::env::var("ACCRUE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = std::env::temp_dir().join(format!("accrue-crash-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut next = 0;
    let mut acknowledged = Vec::new();
    for kill in 0..kills {
        let server = start(&folder);
        let mut draws = Draws::new(SEED, 2, kill);
        let deadline = Instant::now() + Duration::from_millis(20 + draws.below(400));
        let mut stream = TcpStream::connect(&server.address).unwrap();
        // The killer is another thread, so that the kill happens anywhere in a request.
        let killer = std::thread::spawn(move || {
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
            drop(server);
        });
        loop {
            let n = 1 + draws.below(100);
            match post(&mut stream, &batch(next, n)) {
                Some(_) => acknowledged.extend(next..next + n),
                None => break,
            }
            next += n;
        }
        killer.join().unwrap();
        // Events in flight may be stored or not: sent again, they must count once.
        next = acknowledged.last().map_or(0, |last| last + 1);
    }
    let export = accrue(&folder, &["export", "events"]);
    assert!(export.status.success(), "seed {SEED}: {}", String::from_utf8_lossy(&export.stderr));
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for line in String::from_utf8(export.stdout).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        *times.entry(event["id"].as_str().unwrap().to_string()).or_default() += 1;
    }
    for number in &acknowledged {
        assert_eq!(times.get(&format!("e{number}")), Some(&1), "seed {SEED}: event e{number} after {kills} kills");
    }
    assert!(times.values().all(|&n| n == 1), "seed {SEED}: an event is there twice");
    assert!(!acknowledged.is_empty());
    println!("{kills} kills, {} events acknowledged, {} in the log", acknowledged.len(), times.len());

    let replay = accrue(&folder, &["replay", "--verify", "--json"]);
    assert!(replay.status.success(), "seed {SEED}: {}", String::from_utf8_lossy(&replay.stdout));
    let replay: serde_json::Value = serde_json::from_slice(&replay.stdout).unwrap();
    assert_eq!(replay["equal"], true, "seed {SEED}");
    std::fs::remove_dir_all(&folder).unwrap();
}
