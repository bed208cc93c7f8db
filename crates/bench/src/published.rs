//! What a published key costs the shop when a program uses it at full speed: memory, and the time in which the
//! shop's own events are acknowledged.
//!
//! The server is a process of its own with the default limits. Clients send, without pause, events of invented items
//! and shoppers, events in the names of the shop's own users, and records that the check refuses. Meanwhile the shop's
//! backend sends an event now and then. All of them run on the same cores.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use accrue_kernel::Draws;
use anyhow::ensure;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::client::Client;
use super::connections::Process;
use super::corpus::item_name;
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::sample::{figure, ms_since};
use super::shop::{fill, retail_corpus};

pub(super) const BENCHES: &[Bench] = &[Bench {
    only_when_named: true,
    ..bench(
        "published_key",
        "a published key at full speed with invented items, shoppers and refused records: what does it cost the shop?",
        &[
            row("published_key_memory_mb", "MB", Target::AtMost(100.0)),
            row("published_key_own_p99_ms", "ms", Target::AtMost(100.0)),
            row("published_key_log_mb", "MB", Target::None),
            row("published_key_accepted", "events", Target::None),
        ],
        published_key,
    )
}];

const STREAM: u64 = 0x5055_424B;
const OWN_KEY: &str = "own-key-0123456789";
const WEB_KEY: &str = "web-key-0123456789";
/// Clients that use the published key.
const N_ATTACKERS: u64 = 8;
/// Events in one of their requests.
const BATCH: u64 = 100;
/// The pause of the backend between two events.
const PAUSE: Duration = Duration::from_millis(20);

fn published_key(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    ensure!(!bed.here, "this bench starts a server process");
    (bed.big, bed.retail, bed.trained) = (None, None, None);
    let window = Duration::from_secs_f64(bed.size.pick(0.5, 120.0, 600.0));
    let folder = Folder::new()?;
    let data = Folder::new()?;
    fill(data.path(), &bed.config, retail_corpus(bed.size.pick(2_000, 100_000, 350_000)), bed.note)?;
    let config = folder.path().join("keys.toml");
    let key = |name: &str, key: &str, scopes: &str| {
        format!("[[http.keys]]\nname = \"{name}\"\nkey = \"{key}\"\nscopes = [{scopes}]\n")
    };
    let keys = [key("own", OWN_KEY, "\"read\", \"write\""), key("web", WEB_KEY, "\"publish\"")].concat();
    std::fs::write(&config, keys)?;
    let server = Process::start(&data, |command| {
        command.arg("--config").arg(&config);
    })?;
    let address = server.address;
    // The backend's first requests, so that what a server takes at first is not counted.
    let mut backend = Client::connect(address)?;
    for n in 0..50 {
        backend.ask(&own_event(n, n))?;
    }
    let (memory_before, log_before) = (server.memory_bytes(), log_bytes(&data)?);
    let until = Instant::now() + window;
    let (stop, accepted, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (mut took, mut memory) = (Vec::new(), memory_before);
    std::thread::scope(|scope| {
        for attacker in 0..N_ATTACKERS {
            let counts = (&accepted, &refused);
            let stop = &stop;
            scope.spawn(move || attack(address, attacker, stop, counts));
        }
        let mut n = 50;
        while Instant::now() < until {
            let started = Instant::now();
            let asked = backend.ask(&own_event(n, n));
            took.push(ms_since(started));
            if let Err(error) = asked {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
            if n % 50 == 0 {
                memory = memory.max(server.memory_bytes());
            }
            n += 1;
            std::thread::sleep(PAUSE);
        }
        stop.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    memory = memory.max(server.memory_bytes());
    let n_accepted = accepted.into_inner();
    bed.note(format!(
        "  {n_accepted} events of the published key answered with 200, {} requests refused, in {:.0} s",
        refused.into_inner(),
        window.as_secs_f64()
    ));
    let log_grown = log_bytes(&data)?.saturating_sub(log_before);
    Ok(vec![
        Figure { value: memory.saturating_sub(memory_before) as f64 / 1e6, samples: 1 },
        figure(&mut took, 0.99),
        Figure { value: log_grown as f64 / 1e6, samples: 1 },
        Figure { value: n_accepted as f64, samples: 1 },
    ])
}

/// Sends batches of events with the published key without pause, and counts accepted events and refused requests.
fn attack(address: SocketAddr, attacker: u64, stop: &AtomicBool, (accepted, refused): (&AtomicU64, &AtomicU64)) {
    let mut client = None;
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut open = match client.take() {
            Some(open) => open,
            None => match Client::connect(address) {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        // Refused for the key's rate; the next batch is sent at once. The server may close the connection.
        if open.ask(&published_events(attacker, n)).is_ok() {
            accepted.fetch_add(BATCH, Ordering::Relaxed);
            client = Some(open);
        } else {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One event of the shop's backend.
fn own_event(n: u64, user: u64) -> Vec<u8> {
    let body = format!(
        r#"{{"id":"own-{n}","type":"view","user":"u{}","item":"{}"}}"#,
        user % 4_000,
        item_name(n as u32 % 4_000)
    );
    request("/v1/events", &format!("x-api-key: {OWN_KEY}\r\n"), &body)
}

/// A batch of an attacker: invented items, invented guests at items of the shop, users of the shop, refused records.
fn published_events(attacker: u64, n: u64) -> Vec<u8> {
    let mut draws = Draws::new(7, STREAM + attacker, n);
    let event = |place: u64| {
        let (name, user) = (format!("{attacker}-{n}-{place}"), draws.below(4_000));
        let item = item_name(user as u32);
        match place % 5 {
            0 | 1 => format!(r#"{{"type":"view","session":"s-{name}","item":"invented-{name}"}}"#),
            2 => format!(r#"{{"type":"purchase","session":"s-{name}","item":"{item}"}}"#),
            3 => format!(r#"{{"id":"own-{}","type":"dislike","user":"u{user}","item":"{item}"}}"#, n + place),
            _ => format!(r#"{{"type":"view","item":"{}"}}"#, name.repeat(20)),
        }
    };
    let body = format!("[{}]", (0..BATCH).map(event).collect::<Vec<_>>().join(","));
    request(&format!("/v1/events?key={WEB_KEY}"), "", &body)
}

fn request(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn log_bytes(data: &Folder) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(data.path().join("log"))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
