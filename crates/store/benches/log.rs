//! Question: how fast does the log take records in, recognise new event ids, read, and open again?
//!
//! Corpus: made up, seeded by the record's number: views of about 110 bytes. Machine and sizes are printed with the figures.
//! Command: `cargo bench -p accrue-store --bench log [-- --records N] [-- --tiny] [-- --dir DIR]`
//! With `--features sql`, a server in ACCRUE_TEST_POSTGRES or ACCRUE_TEST_MYSQL, and `-- --database [GROUPS]`: how fast it is in a
//! database, beside a loop that inserts the same bytes into one table and does nothing else, group by group in turn.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[cfg(feature = "sql")]
#[path = "log/database.rs"]
mod database;

use accrue_event::{Event, EventId, EventType, Price, Timestamp};
use accrue_store::{Body, CheckedEvent, Log, LogSettings, Offset};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let tiny = args.iter().any(|arg| arg == "--tiny") || !args.iter().any(|arg| arg == "--bench");
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let default = if tiny { 20_000 } else { 10_000_000 };
    #[cfg(feature = "sql")]
    if args.iter().any(|arg| arg == "--database") {
        database::measure(value("--database").and_then(|n| n.parse().ok()).unwrap_or(if tiny { 20 } else { 400 }));
        return;
    }
    let n_records: u64 = value("--records").map_or(default, |n| n.parse().unwrap());
    let base = value("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!("accrue-bench-log-{}", std::process::id()));
    let settings = LogSettings { segment_records: (n_records / 5).max(1) };
    println!(
        "{} records in 5 segments, {} cores, {}",
        n_records,
        std::thread::available_parallelism().unwrap(),
        dir.display()
    );
    reference_loop();
    fill(&dir, &settings, n_records);
    small_groups(&dir, &settings, if tiny { 50 } else { 2_000 });
    open_again(&dir, &settings);
    find(&dir, &settings, n_records, if tiny { 10_000 } else { 1_000_000 });
    scan(&dir, &settings);
    seal(&dir.join("full"), &settings);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn body(n: u64) -> Body {
    Body::Event(CheckedEvent {
        event: Event {
            user: Some(format!("user-{}", n.wrapping_mul(7919) % 1_000_003).as_str().into()),
            session: Some(format!("s-{:010x}", n / 8).as_str().into()),
            item: Some(format!("sku-{}", n.wrapping_mul(104_729) % 100_003).as_str().into()),
            price: Price::new(9.9),
            source: Some("web".into()),
            recommendation_id: Some(format!("r{:08x}", n / 3).into()),
            position: Some((n % 20) as u32),
            ..Event::bare(
                EventId::new(format!("01HF{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
                EventType::View,
                Timestamp(1_760_000_000_000 + n as i64 * 37),
            )
        },
        repairs: Vec::new(),
        raw: None,
    })
}

fn bodies(from: u64, n: u64) -> Vec<Body> {
    (from..from + n).map(body).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Machines differ; this tells how fast this one is.
fn reference_loop() {
    let start = Instant::now();
    let mut x = 1u64;
    for i in 0..100_000_000u64 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
    }
    println!("reference loop of 10^8 multiply-adds   {:>10.1} ms   ({})", start.elapsed().as_secs_f64() * 1e3, x & 1);
}

fn fill(dir: &Path, settings: &LogSettings, n_records: u64) {
    let mut log = Log::open(dir, settings.clone()).unwrap();
    let mut times = Vec::new();
    while log.end().0 < n_records {
        let group = bodies(log.end().0, 1000);
        let start = Instant::now();
        log.append(Timestamp(1_760_000_000_000), &group).unwrap();
        times.push(start.elapsed());
    }
    let total: Duration = times.iter().sum();
    let rate = 1000.0 * times.len() as f64 / total.as_secs_f64();
    times.sort_unstable();
    let (p50, p999, max) = (times[times.len() / 2], times[times.len() * 999 / 1000], times[times.len() - 1]);
    println!(
        "append in groups of 1000               {rate:>10.0} records/s   (a group: p50 {p50:.2?}, p99.9 {p999:.2?}, max {max:.2?})"
    );
}

fn small_groups(dir: &Path, settings: &LogSettings, n_groups: u64) {
    let mut log = Log::open(dir, settings.clone()).unwrap();
    for size in [100, 1] {
        let mut times = Vec::new();
        for _ in 0..n_groups {
            let group = bodies(log.end().0, size);
            let start = Instant::now();
            log.append(Timestamp(1_760_000_000_000), &group).unwrap();
            times.push(start.elapsed());
        }
        let total: Duration = times.iter().sum();
        let rate = n_groups as f64 / total.as_secs_f64();
        println!("append in groups of {size:<4}               {rate:>10.0} groups/s    (p50 {:.2?})", median(times));
    }
}

fn open_again(dir: &Path, settings: &LogSettings) {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        drop(Log::open(dir, settings.clone()).unwrap());
        start.elapsed()
    });
    println!("open                                   {:>10.1} ms", median(times.collect()).as_secs_f64() * 1e3);
}

fn find(dir: &Path, settings: &LogSettings, n_records: u64, n_ids: u64) {
    let log = Log::open(dir, settings.clone()).unwrap();
    let id = |n: u64| match body(n) {
        Body::Event(checked) => checked.event.id,
        _ => unreachable!("bodies here are events"),
    };
    let new: Vec<EventId> = (0..n_ids).map(|n| id(n + (1 << 40))).collect();
    let step = (n_records / n_ids).max(1);
    let known: Vec<EventId> = (0..n_ids / 10).map(|n| id(n * step)).collect();
    for (name, ids) in [("new", &new), ("known", &known)] {
        let per_id = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / ids.len() as f64;
        let start = Instant::now();
        let n_found = ids.iter().filter(|id| log.find_event(id).unwrap().is_some()).count();
        let single = per_id(start);
        let start = Instant::now();
        let n_bulk: usize = ids.chunks(1000).map(|ids| log.find_events(ids).unwrap().iter().flatten().count()).sum();
        let bulk = per_id(start);
        assert_eq!((n_found, n_bulk), if name == "new" { (0, 0) } else { (ids.len(), ids.len()) });
        println!(
            "find {name:<6} ids, one by one             {single:>10.3} µs an id\nfind {name:<6} ids, 1000 at a time          {bulk:>10.3} µs an id"
        );
    }
}

fn scan(dir: &Path, settings: &LogSettings) {
    let log = Log::open(dir, settings.clone()).unwrap();
    let mut reader = log.reader();
    let end = log.end();
    let mut n = 0u64;
    let start = Instant::now();
    reader.read(Offset(0), usize::MAX, |record| n += u64::from(matches!(record.body, Body::Event(_)))).unwrap();
    println!("read and decode in order               {:>10.0} records/s", n as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let digest = log.digest(end).unwrap();
    println!(
        "digest                                 {:>10.0} records/s   {digest:032x}",
        n as f64 / start.elapsed().as_secs_f64()
    );
}

/// The worst moments: opening with the last segment full, and the group that makes it sealed.
fn seal(dir: &Path, settings: &LogSettings) {
    let mut log = Log::open(dir, settings.clone()).unwrap();
    while log.end().0 < settings.segment_records {
        let from = log.end().0;
        let size = (settings.segment_records - from).min(1000);
        log.append(Timestamp(1_760_000_000_000), &bodies(from, size)).unwrap();
    }
    drop(log);
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let mut log = Log::open(dir, settings.clone()).unwrap();
    println!("open, last segment full                {:>10.1} ms", ms(start));
    let next = bodies(log.end().0, 1);
    let start = Instant::now();
    log.append(Timestamp(1_760_000_000_000), &next).unwrap();
    println!("append that begins a segment           {:>10.1} ms", ms(start));
    let start = Instant::now();
    drop(log);
    println!("sealing a segment, in its thread       {:>10.1} ms", ms(start));
}
