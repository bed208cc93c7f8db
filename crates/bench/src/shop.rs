//! Shops to measure in: a temporary data folder, filled directly or through the check and the queue, behind a real
//! server.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Instant;

use accrue_engine::{Config, Engine, checkpoints_in, learn_settings};
use accrue_event::Timestamp;
use accrue_http::{HttpSettings, serve};
use accrue_store::{Body, Facts, Log, Offset};
use accrue_train::{Learner, save};

use super::client::Client;
use super::corpus::{Corpus, described};
use super::folder::Folder;

/// Records appended in one commit when a log is filled.
const GROUP: usize = 10_000;
/// Records folded at once.
const CHUNK: usize = 4_096;

/// Fills an empty folder with a catalogue and `corpus`, without the check and in large commits; learns all of it, and
/// leaves a checkpoint. The state is the same as if every event had been sent to the server at its time.
pub(super) fn fill(dir: &Path, config: &Config, corpus: Corpus, note: &dyn Fn(&str)) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut log = Log::open(config.log_place(dir), (&config.log).into())?;
    let settings = Body::Settings(learn_settings(config).to_record().into());
    let items = (0..corpus.n_items as u32).map(|item| Body::Item(Box::new(described(item))));
    let first: Vec<Body> = std::iter::once(settings).chain(items).collect();
    let mut lines = corpus.lines().peekable();
    log.append(Timestamp(lines.peek().map_or(0, |line| line.at_ms)), &first)?;
    while let Some(line) = lines.peek() {
        let received_at = Timestamp(line.at_ms);
        let group: Vec<Body> = lines.by_ref().take(GROUP).map(|line| line.body()).collect();
        log.append(received_at, &group)?;
    }
    let appended_s = started.elapsed().as_secs_f64();
    note(&format!("  {} records appended in {appended_s:.1} s; learning them", log.end()));
    let (facts, learner) = fold(&log, config)?;
    save(&checkpoints_in(dir), |end| log.reader().sum_before(end), &facts, &learner)?;
    let rate = learner.n_learned() as f64 / (started.elapsed().as_secs_f64() - appended_s);
    note(&format!("  learned {rate:.0} events/s (decoding and facts included); checkpoint written"));
    Ok(())
}

fn fold(log: &Log, config: &Config) -> anyhow::Result<(Facts, Learner)> {
    let mut facts = Facts::new(config.learn.history_capacity);
    let mut learner = Learner::new(learn_settings(config));
    let mut reader = log.reader();
    while facts.end < log.end() {
        let mut outcome = Ok(());
        reader.read(facts.end, CHUNK, |record| {
            facts.apply(&record);
            let fact = facts.resolve(&record);
            let learned = learner.step(record.offset, record.received_at.0, fact);
            outcome = std::mem::replace(&mut outcome, Ok(())).and(learned);
        })?;
        outcome?;
    }
    Ok((facts, learner))
}

/// An engine behind HTTP on a free port, in this process. Dropping it stops both and removes the folder.
pub(super) struct Server {
    pub address: SocketAddr,
    pub engine: Engine,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    _folder: Folder,
}

impl Server {
    pub fn open(folder: Folder, config: &Config) -> anyhow::Result<Self> {
        let engine = Engine::open(folder.path(), config)?;
        Self::serve(folder, engine)
    }

    /// A server that makes resets as the settings say, as `accrue serve` does.
    pub fn open_to_reset(folder: Folder, config: &Config) -> anyhow::Result<Self> {
        let engine = Engine::open_to_serve(folder.path(), config)?;
        Self::serve(folder, engine)
    }

    fn serve(folder: Folder, engine: Engine) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        // Without keys, which would refuse the benches' own requests.
        let (served, settings) = (engine.clone(), HttpSettings::default());
        let thread = std::thread::Builder::new().name("bench-server".into()).spawn(move || {
            accrue_http::runtime()?.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                Ok(serve(served, listener, settings, async { drop(stopped.await) }).await?)
            })
        })?;
        Ok(Self { address, engine, stop: Some(stop), thread: Some(thread), _folder: folder })
    }

    pub fn connect(&self) -> anyhow::Result<Client> {
        Client::connect(self.address)
    }

    /// The latest time of any event.
    pub fn stream_time_ms(&self) -> i64 {
        self.engine.with_shop(|shop| shop.facts.stream_time.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failure of the server was reported where a request failed; here it only has to end.
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
        drop(self.engine.close());
    }
}

/// The shop with 10⁷ events before, and its state since.
pub(super) struct Big {
    pub server: Server,
    pub corpus: Corpus,
    pub stretch: u64,
}

impl Big {
    /// The next `n_events` of the corpus.
    pub fn next(&mut self, n_events: u64) -> Corpus {
        self.stretch += 1;
        self.corpus.later(self.stretch, n_events)
    }
}

/// The corpus of the retail-like shop.
pub(super) fn retail_corpus(n_events: u64) -> Corpus {
    Corpus::new(4_000, 4_000, n_events)
}

/// Facts and models of `corpus` without a log, with records numbered from 0.
pub(super) fn learn(corpus: Corpus, config: &Config) -> anyhow::Result<(Facts, Learner)> {
    let mut facts = Facts::new(config.learn.history_capacity);
    let mut learner = Learner::new(learn_settings(config));
    for (offset, line) in (0..).zip(corpus.lines()) {
        let record =
            accrue_store::Record { offset: Offset(offset), received_at: Timestamp(line.at_ms), body: line.body() };
        facts.apply(&record);
        learner.step(record.offset, line.at_ms, facts.resolve(&record))?;
    }
    Ok((facts, learner))
}
