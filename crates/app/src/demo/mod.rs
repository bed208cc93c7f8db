//! `accrue demo`: a simulated shop on a real server.
//!
//! In: where to listen, how fast, how long. It starts the server on a folder of its own, posts the catalogue of the
//! simulator `sim-v1`, and drives visits through the HTTP interface: page, clicks, events, next page. Out: what was
//! opened, a [`Progress`] every few seconds, and a [`Summary`]. The server also answers other clients, as in any shop.
//! It prints nothing itself. All figures come from simulated shoppers and say nothing about real ones.
//!
//! Simulated time begins some weeks ago and advances with the visits; if it reaches the clock, visits wait for it.

mod client;
mod drive;
mod folder;
mod opened;
mod progress;
mod tally;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use accrue_engine::{Config as EngineConfig, Engine, EngineError};
use accrue_event::{DAY_MS, Timestamp};
use accrue_http::{HttpSettings, Site};
use accrue_lab::simulator::{Simulator, SimulatorSettings, Step};
use tokio::sync::oneshot;

pub use client::ClientError;
pub use drive::Fates;
pub use folder::FolderError;
pub use opened::Opened;
pub use progress::{HEADER, Progress, Summary};
pub use tally::{Arm, Page, Tally, Times, Window, Worth};

use crate::config::Config;
use client::Client;
use drive::Drive;
use folder::Folder;

/// How long the demo runs and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoSettings {
    /// The folder that the user gave; none is a temporary one.
    pub data: Option<PathBuf>,
    /// Pages to serve; none is until a stop is requested.
    pub visits: Option<u64>,
    /// Pages a second at most, above 0.
    pub visits_per_s: f64,
    /// The time between two reports of progress.
    pub every: Duration,
}

/// The messages of the demo.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// The server answers.
    Opened(&'a Opened),
    /// The progress.
    Progress(&'a Progress),
    /// The summary at the end.
    Summary(&'a Summary),
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The address is not a loopback address.
    #[error("{0}: the demo has no keys, so it listens on a loopback address only")]
    Open(String),
    /// The address cannot be listened on.
    #[error("{address}: cannot listen: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The server ended before it was told to.
    #[error("the server ended: {0}")]
    Server(String),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The server did not answer as expected.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A message could not be printed.
    #[error(transparent)]
    Say(#[from] anyhow::Error),
}

/// The name of the simulated shop, on its pages.
const STOREFRONT: &str = "The simulated shop";
/// Pages of a window, in a long run.
const WINDOW: u64 = 2_000;
/// How far back simulated time begins if the number of visits is not given.
const DAYS_AHEAD: i64 = 90;
/// The driver sleeps for this share of the time that it works, so that other clients are answered too.
const REST: f64 = 0.2;
/// A request to stop takes effect within this time.
const BLINK: Duration = Duration::from_millis(50);

/// Runs until the visits are over or `stop` is set.
///
/// # Errors
/// [`DemoError`]; the server is stopped and a temporary folder removed in any case.
pub fn run(
    config: &Config,
    site: Site,
    settings: &DemoSettings,
    stop: &dyn Fn() -> bool,
    say: &mut dyn FnMut(Said<'_>) -> anyhow::Result<()>,
) -> Result<(), DemoError> {
    // The port first: a second demo on it must fail before it creates a folder.
    let (listener, address) = listen(&config.http.listen)?;
    let http = HttpSettings { listen: address.to_string(), shutdown_limit_s: 1, ..Default::default() };
    let config = EngineConfig { check: Default::default(), ..config.engine.clone() };
    let folder = match &settings.data {
        Some(path) => Folder::named(path, &config)?,
        None => Folder::temporary()?,
    };
    let engine = Engine::open(folder.path(), &config)?;
    let site = Site { storefront: Some(STOREFRONT.into()), ..site };
    let server = Server::start(engine.clone(), listener, http, site);
    let driven = drive(config.learn.seed, settings, &folder, address, stop, say);
    let served = server.stop();
    let end = engine.status().log_end;
    let closed = engine.close();
    folder.mark(Some(end))?;
    // A server that ended by itself is the reason why the drive failed.
    served?;
    driven?;
    Ok(closed?)
}

fn drive(
    seed: u64,
    settings: &DemoSettings,
    folder: &Folder,
    address: SocketAddr,
    stop: &dyn Fn() -> bool,
    say: &mut dyn FnMut(Said<'_>) -> anyhow::Result<()>,
) -> Result<(), DemoError> {
    let shop = Simulator::new(shop_settings(seed, settings.visits, now()));
    let opened = Opened::new(&shop, address, folder);
    let window = settings.visits.map_or(WINDOW, |visits| (visits / 4).clamp(1, WINDOW));
    let mut drive = Drive::open(shop, Client::new(address), window as usize)?;
    // Reported after it is true: commands that are pasted at once must find the catalogue, also by search.
    drive.wait_until_found(&opened.query, stop)?;
    say(Said::Opened(&opened))?;
    let started = Instant::now();
    let (mut said_at, mut due, mut n_events) = (started, started, 0);
    while !stop() && settings.visits.is_none_or(|visits| drive.tally.n_pages() < visits) {
        let step = drive.shop.next_step();
        let is_visit = matches!(step, Step::Visit(_));
        if is_visit && !wait_for(drive.shop.now(), stop) {
            break;
        }
        let begun = Instant::now();
        drive.pass_on(step)?;
        if is_visit {
            let rest = begun.elapsed().mul_f64(REST);
            // Missed time is not made up for: `due` is never in the past.
            due = (due + Duration::from_secs_f64(1.0 / settings.visits_per_s)).max(Instant::now() + rest);
            pause(due, stop);
        }
        if said_at.elapsed() >= settings.every {
            let events_per_s = (drive.tally.n_events() - n_events) as f64 / said_at.elapsed().as_secs_f64();
            (said_at, n_events) = (Instant::now(), drive.tally.n_events());
            say(Said::Progress(&Progress::new(&drive, started.elapsed(), events_per_s)))?;
        }
    }
    Ok(say(Said::Summary(&Summary::new(&drive, started.elapsed())))?)
}

/// Waits until the clock has reached a simulated time; `false` if told to stop before.
fn wait_for(at: Timestamp, stop: &dyn Fn() -> bool) -> bool {
    while now() < at {
        if stop() {
            return false;
        }
        std::thread::sleep(BLINK);
    }
    true
}

/// Sleeps until then, or until told to stop.
fn pause(until: Instant, stop: &dyn Fn() -> bool) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stop() {
            return;
        }
        std::thread::sleep(left.min(BLINK));
    }
}

/// The simulator's default shop, starting long enough ago that simulated time does not soon reach the clock.
fn shop_settings(seed: u64, visits: Option<u64>, now: Timestamp) -> SimulatorSettings {
    let defaults = SimulatorSettings::default();
    // A quarter more, because days differ; and a day, because the first visits come before dawn.
    let needed = |visits: u64| (1.25 * visits as f64 / defaults.visits_per_day) as i64 + 2;
    let days = visits.map_or(DAYS_AHEAD, needed).clamp(2, 3_650);
    SimulatorSettings { seed, start: Timestamp((now.day() - days) * DAY_MS), ..defaults }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

fn listen(listen: &str) -> Result<(std::net::TcpListener, SocketAddr), DemoError> {
    let failed = |source| DemoError::Listen { address: listen.to_owned(), source };
    let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        return Err(DemoError::Open(listen.to_owned()));
    }
    listener.set_nonblocking(true).map_err(failed)?;
    Ok((listener, address))
}

/// The HTTP server on a thread of its own.
struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    fn start(engine: Engine, listener: std::net::TcpListener, settings: HttpSettings, site: Site) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            accrue_http::runtime()?.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let stopped = async {
                    // A dropped sender means the same as a message.
                    let _ = stopped.await;
                };
                Ok(accrue_http::serve_site(engine, listener, settings, site, stopped).await?)
            })
        };
        let thread = std::thread::Builder::new().name("server".into()).spawn(serve);
        Self { stop, thread: thread.expect("the system can start a thread") }
    }

    fn stop(self) -> Result<(), DemoError> {
        // The receiver is gone if the server has ended already; the thread's result says why.
        let _ = self.stop.send(());
        let ended = self.thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
        ended.map_err(|error| DemoError::Server(format!("{error:#}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_visits_are_in_the_past() {
        let now = Timestamp(1_795_000_000_000);
        for visits in [300, 20_000] {
            let mut shop = Simulator::new(shop_settings(7, Some(visits), now));
            let mut n = 0;
            while n < visits {
                n += u64::from(matches!(shop.next_step(), Step::Visit(_)));
            }
            assert!(shop.now() < now, "visit {visits} comes at {}", shop.now());
            assert!(shop.now().days_since(now) > -12.0);
        }
    }

    #[test]
    fn only_this_machine_is_admitted() {
        assert!(matches!(listen("0.0.0.0:0"), Err(DemoError::Open(_))));
        let (taken, address) = listen("127.0.0.1:0").expect("a free port");
        assert!(matches!(listen(&address.to_string()), Err(DemoError::Listen { .. })));
        drop(taken);
    }
}
