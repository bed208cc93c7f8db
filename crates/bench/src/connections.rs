//! What connections that hold a server cost others: idle ones, headers that trickle in, answers that are not received, and
//! clients that ask without pause, all at once.
//!
//! The server is a process of its own, so that its memory can be told from that of its clients; these run on the same cores. All
//! connections come from one address, so the limit per address is raised to that of all. Visitors ask for a page now and then, and
//! probes come over new connections. Both are measured with and without the load, in turns, because other processes may use the
//! machine. Their threads run before others where the system permits it: visitors have machines of their own, and the time that
//! a thread waits here for a core which the load uses is no time of the server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use accrue_kernel::Draws;
use anyhow::{Context as _, ensure};

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::client::{Client, get};
use super::folder::Folder;
use super::machine::run_before_others;
use super::measure::{Figure, Target, row};
use super::sample::{figure, ms_since, quantile};
use super::shop::{fill, retail_corpus};

pub(super) const BENCHES: &[Bench] = &[bench(
    "connections",
    "2,000 idle, 500 slow-header, 500 never-reading and 200 busy connections at once: what do pages and probes of others take?",
    &[
        row("connections_page_p99_ratio", "x", Target::AtMost(2.0)),
        row("connections_page_p99_ms", "ms", Target::None),
        row("connections_probe_p99_ms", "ms", Target::AtMost(50.0)),
        row("connections_memory_mb", "MB", Target::AtMost(200.0)),
        row("connections_recovery_s", "s", Target::AtMost(5.0)),
    ],
    connections,
)];

const STREAM: u64 = 0x434F_4E4E;
/// Threads of visitors, and the connections of each: a visitor asks for a page every few seconds, over a connection of their own.
const N_THREADS: usize = 4;
const VISITORS_PER_THREAD: usize = 100;
/// The pause of a thread between two pages.
const PAUSE: Duration = Duration::from_millis(25);
/// What a page or a probe that was refused counts as, in milliseconds.
const REFUSED_MS: f64 = 10_000.0;

/// How many connections of each kind.
struct Kinds {
    idle: usize,
    slow: usize,
    unread: usize,
    busy: usize,
}

fn connections(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    ensure!(!bed.here, "this bench starts a server process");
    (bed.big, bed.retail, bed.trained) = (None, None, None);
    accrue_http::raise_limit_of_files();
    let (n_rounds, window) = bed.size.pick((1, Duration::from_millis(300)), (3, WINDOW), (5, WINDOW));
    let kinds = bed.size.pick(
        Kinds { idle: 20, slow: 5, unread: 5, busy: 2 },
        Kinds { idle: 2_000, slow: 500, unread: 500, busy: 200 },
        Kinds { idle: 2_000, slow: 500, unread: 500, busy: 200 },
    );
    let folder = Folder::new()?;
    fill(folder.path(), &bed.config, retail_corpus(bed.size.pick(2_000, 100_000, 350_000)), bed.note)?;
    let server = Process::start(&folder, |command| {
        command.env("ACCRUE_HTTP_MAX_CONNECTIONS_PER_PEER", "4096");
    })?;
    let address = server.address;
    if !std::thread::spawn(run_before_others).join().expect("it does not panic") {
        bed.note("  the figures include how long clients wait for a core: their priority may not be raised here");
    }
    visit(address, window / 2)?;
    let rss_before = server.memory_bytes();
    let (mut pages, mut probes) = (Vec::new(), Vec::new());
    let (mut ratios, mut recoveries, mut rss) = (Vec::new(), Vec::new(), rss_before);
    for _ in 0..n_rounds {
        let mut alone = visit(address, window)?;
        let alone_p99 = quantile(&mut alone.pages, 0.99);
        let stop = AtomicBool::new(false);
        let mut loaded = std::thread::scope(|scope| {
            let held = hold(scope, address, &kinds, &stop);
            let loaded = held.and_then(|held| {
                // Until the load is what it will be.
                std::thread::sleep(window / 10);
                let loaded = visit(address, window);
                rss = rss.max(server.memory_bytes());
                drop(held);
                loaded
            });
            stop.store(true, Ordering::Relaxed);
            loaded
        })?;
        let recovery_s = recover(address, 2.0 * alone_p99, window)?;
        let loaded_p99 = quantile(&mut loaded.pages, 0.99);
        let refused = loaded.pages.iter().filter(|took| **took >= REFUSED_MS).count();
        let n_pages = loaded.pages.len();
        bed.note(format!(
            "  pages p99 {alone_p99:.2} ms alone, {loaded_p99:.2} ms under load ({refused} of {n_pages} refused), \
             back after {recovery_s:.2} s"
        ));
        ratios.push(loaded_p99 / alone_p99);
        recoveries.push(recovery_s);
        pages.append(&mut loaded.pages);
        probes.append(&mut loaded.probes);
    }
    let n_samples = pages.len() as u64;
    let median = |values: &mut Vec<f64>| Figure { value: quantile(values, 0.5), samples: n_samples };
    Ok(vec![
        median(&mut ratios),
        figure(&mut pages, 0.99),
        figure(&mut probes, 0.99),
        Figure { value: rss.saturating_sub(rss_before) as f64 / 1e6, samples: n_rounds },
        median(&mut recoveries),
    ])
}

/// Time of one measurement, shorter than the server's time limits.
const WINDOW: Duration = Duration::from_secs(5);

/// How long pages and probes took, in milliseconds.
struct Visits {
    pages: Vec<f64>,
    probes: Vec<f64>,
}

/// Asks for pages now and then, and probes over new connections, for so long.
fn visit(address: SocketAddr, window: Duration) -> anyhow::Result<Visits> {
    let until = Instant::now() + window;
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..N_THREADS as u64)
            .map(|thread| {
                scope.spawn(move || {
                    run_before_others();
                    let mut draws = Draws::new(7, STREAM, thread);
                    let mut clients = (0..VISITORS_PER_THREAD)
                        .map(|_| Client::connect(address))
                        .collect::<anyhow::Result<Vec<_>>>()?;
                    let mut took = Vec::new();
                    for number in (0..VISITORS_PER_THREAD).cycle() {
                        let client = &mut clients[number];
                        let request = get(&format!("/v1/recommend/u{}?n=10", draws.below(4_000)));
                        let started = Instant::now();
                        let is_good = client.ask(&request).is_ok();
                        took.push(if is_good { ms_since(started) } else { REFUSED_MS });
                        if !is_good {
                            *client = Client::connect(address)?;
                        }
                        // At least one page is measured, however short the window is.
                        if Instant::now() >= until {
                            break;
                        }
                        std::thread::sleep(PAUSE);
                    }
                    anyhow::Ok(took)
                })
            })
            .collect();
        let prober = scope.spawn(move || {
            run_before_others();
            probe(address, until)
        });
        let mut visits = Visits { pages: Vec::new(), probes: prober.join().expect("a probe does not panic") };
        for visitor in visitors {
            visits.pages.extend(visitor.join().expect("a visitor does not panic")?);
        }
        Ok(visits)
    })
}

/// Probes over new connections until that moment: how long each took, in milliseconds.
fn probe(address: SocketAddr, until: Instant) -> Vec<f64> {
    let mut took = Vec::new();
    loop {
        for path in ["/healthz", "/readyz"] {
            let started = Instant::now();
            let is_good = Client::connect(address).and_then(|mut client| client.ask(&get(path)).map(|_| ())).is_ok();
            took.push(if is_good { ms_since(started) } else { REFUSED_MS });
        }
        if Instant::now() >= until {
            return took;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Opens the connections, and keeps all but the idle ones at what they do until `stop` is set.
fn hold<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    address: SocketAddr,
    kinds: &Kinds,
    stop: &'scope AtomicBool,
) -> anyhow::Result<Vec<TcpStream>> {
    let connect =
        || TcpStream::connect(address).context("opening the connections of the load; is `ulimit -n` too low?");
    let mut held = Vec::new();
    for _ in 0..kinds.idle {
        let mut stream = connect()?;
        stream.write_all(&get("/healthz"))?;
        held.push(stream);
    }
    // More answers than the buffers of the connection take.
    let unread = get("/v1/recommend/u1?n=1000").repeat(20);
    for _ in 0..kinds.unread {
        let mut stream = connect()?;
        stream.write_all(&unread)?;
        held.push(stream);
    }
    let mut slow = (0..kinds.slow).map(|_| connect()).collect::<anyhow::Result<Vec<_>>>()?;
    scope.spawn(move || {
        let head = get("/v1/recommend/u2");
        for byte in head.chunks(1).cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // The server may close them; that is what its time limits are for.
            slow.iter_mut().for_each(|stream| drop(stream.write_all(if byte == b"\r" { b"x" } else { byte })));
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    for number in 0..kinds.busy as u64 {
        let mut client = Client::connect(address)?;
        std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, move || {
            let mut draws = Draws::new(7, STREAM, 1_000 + number);
            while !stop.load(Ordering::Relaxed) {
                if client.ask(&get(&format!("/v1/recommend/u{}?n=10", draws.below(4_000)))).is_err() {
                    // Refused, as the server may; a client that behaves waits before it asks again.
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        })?;
    }
    Ok(held)
}

/// Seconds until the connections are closed and nine of ten pages take at most `p99_ms`; so few pages have no better quantile.
fn recover(address: SocketAddr, p99_ms: f64, window: Duration) -> anyhow::Result<f64> {
    let started = Instant::now();
    loop {
        let mut client = Client::connect(address)?;
        let metrics = String::from_utf8(client.ask(&get("/metrics"))?.to_vec())?;
        let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let open = value("accrue_http_connections ").context("the metrics do not tell the open connections")?;
        let closed_s = started.elapsed().as_secs_f64();
        // That of the scrape, and some that are just being closed.
        if open <= 5.0 && quantile(&mut visit(address, window / 5)?.pages, 0.9) <= p99_ms {
            return Ok(closed_s);
        }
        // A minute is told as a minute: on a machine that others load as well, pages may stay slow for another reason.
        if closed_s >= 60.0 {
            ensure!(open <= 5.0, "a minute after the load, {open} connections are open");
            return Ok(closed_s);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `accrue serve` over a folder.
pub(super) struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    pub fn start(folder: &Folder, configure: impl FnOnce(&mut Command)) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(folder.path());
        command.current_dir(folder.path());
        configure(&mut command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the server has no stdout")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Ok(Self { child, address: address.with_context(|| format!("the server said {line:?}"))? })
    }

    /// Resident memory; 0 if the system does not provide it.
    pub fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
