//! A crash: a server in a process of its own is killed (SIGKILL) with 1M events after its checkpoint, and started
//! again.
//!
//! Corpus: 1,000,000 events before the checkpoint (20,000 customers, 5,000 items, seed 7), 1,000,000 more over HTTP in batches
//! of 1,000 by 4 connections; the kill comes between an acknowledgement and the next answer. Measured from the start of
//! the new process to its first recommendation. Checked: that this answer uses an event acknowledged just before the
//! kill, that the log reaches as far as any acknowledgement said, and that acknowledged batches, sent again, are all
//! duplicates.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use accrue_engine::Config;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::client::{Client, get, post_events, post_json};
use super::corpus::{Corpus, ndjson};
use super::folder::Folder;
use super::measure::{Figure, Target, row};
use super::shop::fill;

pub(super) const BENCHES: &[Bench] = &[bench(
    "crash_recovery",
    "kill -9 with 1M events after the checkpoint: when does it answer again, with every acknowledged event?",
    &[
        row("crash_recovery_s", "s", Target::AtMost(10.0)),
        row("crash_lag_events", "events", Target::None),
        row("crash_catch_up_s", "s", Target::None),
        row("crash_lost_events", "events", Target::AtMost(0.0)),
    ],
    recovery,
)];

const BATCH: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(900);

/// A server in a process of its own; killed when dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--log", "error", "serve", "--listen", "127.0.0.1:0", "--data"]).arg(dir);
        // It writes no checkpoint, because the one that is there must be a million events old.
        command.env_clear().env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000000000");
        let mut child = command.current_dir(dir).stdout(Stdio::piped()).spawn()?;
        let mut first = String::new();
        let read = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first);
        let address = first.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let running = Self { child, address: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))) };
        read?;
        address.with_context(|| format!("the server's first line was {first:?}"))?;
        Ok(running)
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.kill());
    }
}

/// What was acknowledged to clients.
#[derive(Default)]
struct Acknowledged {
    batches: Vec<usize>,
    offset: u64,
}

fn recovery(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    (bed.big, bed.retail, bed.trained) = (None, None, None);
    let n_before: u64 = bed.size.pick(2_000, 200_000, 1_000_000);
    let n_after: u64 = bed.size.pick(3_000, 1_000_000, 1_000_000);
    let corpus = Corpus::new(n_before.div_ceil(50), n_before.div_ceil(200), n_before);
    let folder = Folder::new()?;
    // With the settings of the child; otherwise it would begin by recording other settings in the log.
    fill(folder.path(), &Config::default(), corpus, bed.note)?;
    let bodies = ndjson(corpus.later(1, n_after + 20_000).lines(), BATCH);

    let mut running = Running::start(folder.path())?;
    let acknowledged = until_killed(&mut running, &bodies, n_after as usize / BATCH)?;
    bed.note(format!("  killed with {} batches acknowledged", acknowledged.batches.len()));

    let started = Instant::now();
    let running = Running::start(folder.path())?;
    let mut client = Client::connect(running.address)?;
    let answer = client.ask_json(&post_json("/v1/recommend", &json!({"user": "last-minute", "n": 10})))?;
    let recovered_s = started.elapsed().as_secs_f64();
    let is_current =
        answer["degraded"].as_array().is_some_and(|degraded| !degraded.iter().any(|why| why == "cold_user"));
    ensure!(is_current, "the event acknowledged last is not known: {answer}");
    let ready = client.ask_json(&get("/readyz"))?;
    let number = |key: &str| ready[key].as_u64().unwrap_or(0);
    bed.note(format!(
        "  answered after {recovered_s:.2} s by version at {}; the log ends at {}",
        answer["offset"],
        number("log_end")
    ));

    let lost = acknowledged.offset.saturating_sub(number("log_end")) + missing(&mut client, &bodies, &acknowledged)?;
    ensure!(lost == 0, "{lost} acknowledged events are lost");
    let caught_up_s = caught_up(&mut client, started)?;
    let figure = |value| Figure { value, samples: 1 };
    let lost = Figure { value: lost as f64, samples: acknowledged.batches.len() as u64 };
    Ok(vec![figure(recovered_s), figure(number("lag") as f64), figure(caught_up_s), lost])
}

/// Sends batches over 4 connections, a last event when `n_batches` are acknowledged, and kills the server.
fn until_killed(running: &mut Running, bodies: &[String], n_batches: usize) -> anyhow::Result<Acknowledged> {
    let address = running.address;
    let acknowledged = Mutex::new(Acknowledged::default());
    let count = |acknowledged: &Mutex<Acknowledged>| acknowledged.lock().expect("no client panics").batches.len();
    std::thread::scope(|scope| {
        for connection in 0..4 {
            let acknowledged = &acknowledged;
            scope.spawn(move || {
                // Ends when the server does, or after the last batch.
                let Ok(mut client) = Client::connect(address) else { return };
                for batch in (connection..bodies.len()).step_by(4) {
                    let Ok(answer) = client.ask_json(&post_events(&bodies[batch])) else { return };
                    let mut acknowledged = acknowledged.lock().expect("no client panics");
                    acknowledged.batches.push(batch);
                    acknowledged.offset = acknowledged.offset.max(answer["offset"].as_u64().unwrap_or(0));
                }
            });
        }
        let started = Instant::now();
        while count(&acknowledged) < n_batches && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut client = Client::connect(address)?;
        let last = json!([{"id": "last", "type": "view", "user": "last-minute", "item": "sku-1", "at": 1_704_067_200_000_i64}]);
        let answer = client.ask_json(&post_json("/v1/events", &last))?;
        running.kill()?;
        ensure!(answer["accepted"] == 1, "{answer}");
        let mut acknowledged = acknowledged.lock().expect("no client panics");
        acknowledged.offset = acknowledged.offset.max(answer["offset"].as_u64().unwrap_or(0));
        Ok(())
    })?;
    Ok(acknowledged.into_inner().expect("no client panics"))
}

/// Sends one in ten of the acknowledged batches and the last twenty again; returns how many of their events were
/// unknown.
fn missing(client: &mut Client, bodies: &[String], acknowledged: &Acknowledged) -> anyhow::Result<u64> {
    let from_the_last = acknowledged.batches.len().saturating_sub(20);
    let mut n_missing = 0;
    for (place, &batch) in acknowledged.batches.iter().enumerate() {
        if place.is_multiple_of(10) || place >= from_the_last {
            let answer: Value = client.ask_json(&post_events(&bodies[batch]))?;
            let n_events = bodies[batch].lines().count() as u64;
            n_missing += n_events - answer["duplicates"].as_u64().unwrap_or(0).min(n_events);
        }
    }
    Ok(n_missing)
}

/// Seconds from the start until the learner has no more to learn.
fn caught_up(client: &mut Client, started: Instant) -> anyhow::Result<f64> {
    loop {
        if client.ask_json(&get("/readyz"))?["lag"] == 0 {
            return Ok(started.elapsed().as_secs_f64());
        }
        ensure!(started.elapsed() < PATIENCE, "the learner has not caught up");
        std::thread::sleep(Duration::from_millis(50));
    }
}
