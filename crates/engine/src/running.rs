//! A data folder with its threads running: the writer, the learner, the indexer, and in a server the challenger's thread.
//!
//! In: the folder, the configuration. Out: what the threads share, for any number of readers, and a queue for writes. It is started
//! and ended as a whole; forgetting replaces it by another one over the same folder while readers go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use accrue_event::{Check, Timestamp};
use accrue_model::Version;
use accrue_serve::search::SearchReader;
use accrue_serve::{Campaigns, CatalogueSettings, Rules, Scenes, Shop};
use accrue_store::{Body, Checkpoints, Facts, Log, LogReader, Offset};
use accrue_train::{LearnSettings, Recovered, ResetSettings, recover};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::challenger::lifecycle::Lifecycle;
use crate::challenger::thread::ChallengerThread;
use crate::clock::{now, of_request};
use crate::config::{Config, learn_settings};
use crate::content::queries::QueryVectors;
use crate::content::thread::EncoderThread;
use crate::error::EngineError;
use crate::folder::checkpoints_in;
use crate::in_force::campaigns::ReadCampaigns;
use crate::in_force::rules::ReadRules;
use crate::in_force::scenes::ReadScenes;
use crate::in_force::synonyms;
use crate::learn::thread::{Intervals, LearnerThread};
use crate::retention::while_serving::Retention;
use crate::search_outcomes::SearchOutcomes;
use crate::shared::Shared;
use crate::status::{CheckpointStatus, Status};
use crate::threads::thread;
use crate::traffic::Treatment;
use crate::write::job::{Job, Reply};
use crate::write::search_index::{self, Indexer};
use crate::write::writer::Writer;

/// Writes that may wait; more are refused, or wait in their callers.
const QUEUE: usize = 1_024;

/// Threads that encode queries: each takes one at a time.
const QUERY_THREADS: usize = 2;

/// How long a shutdown waits for the learner and the search index to catch up. What is left is done after the next start, beside other
/// work.
const CATCH_UP: Duration = Duration::from_secs(2);

/// An open folder, with its threads.
pub(crate) struct Running {
    pub shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    pub search: SearchReader,
    pub log: Mutex<LogReader>,
    pub search_outcomes: SearchOutcomes,
    threads: Mutex<Option<Threads>>,
    catalogue: CatalogueSettings,
    rules: ReadRules,
    scenes: ReadScenes,
    campaigns: ReadCampaigns,
}

struct Threads {
    writer: JoinHandle<()>,
    learner: JoinHandle<()>,
    indexer: JoinHandle<()>,
    challenger: Option<JoinHandle<()>>,
    encoder: Option<JoinHandle<()>>,
    queries: Vec<JoinHandle<()>>,
}

/// What the learner does when the threads end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// It catches up if that takes [`CATCH_UP`] at most, and writes a checkpoint where it is.
    Save,
    /// It stops where it is, and its state is dropped.
    Abandon,
}

/// What becomes of a write while the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Wait,
    Refuse,
}

/// What the shop wrote, read: as the facts have it at one moment.
struct ReadTexts {
    rules: Arc<(Offset, Rules)>,
    scenes: Arc<(Offset, Scenes)>,
    campaigns: Arc<(Offset, Campaigns)>,
}

impl Running {
    /// Opens or creates the folder, recovers the newest checkpoint and the rest of the log, and starts the threads.
    pub fn open(dir: &Path, config: &Config, resets: Option<&ResetSettings>) -> Result<Self, EngineError> {
        let log = Log::open(config.log_place(dir), (&config.log).into())?;
        let checkpoints = checkpoints_in(dir);
        let recovered = recover(&mut log.reader(), &checkpoints, &learn_settings(config), log.end(), true)?;
        warn(&recovered, config);
        Self::start(log, recovered, checkpoints, dir, config, resets)
    }

    /// [`Running::open`] as if these records were erased, which they could not be yet.
    pub fn open_without(
        dir: &Path,
        config: &Config,
        resets: Option<&ResetSettings>,
        records: &[Offset],
    ) -> Result<Self, EngineError> {
        let log = Log::open(config.log_place(dir), (&config.log).into())?;
        let checkpoints = checkpoints_in(dir);
        let mut reader = log.reader();
        reader.hide(records);
        // Later checkpoints include them.
        let first = records.iter().min().copied().unwrap_or(log.end());
        let mut recovered = recover(&mut reader, &checkpoints, &learn_settings(config), first, true)?;
        recovered.read_on(&mut reader, log.end())?;
        warn(&recovered, config);
        Self::start_hiding(log, recovered, checkpoints, dir, config, resets, records)
    }

    /// Starts the threads over an open log and the facts at its end. The next checkpoint may refer to what `checkpoints` read last.
    pub fn start(
        log: Log,
        recovered: Recovered,
        checkpoints: Checkpoints,
        dir: &Path,
        config: &Config,
        resets: Option<&ResetSettings>,
    ) -> Result<Self, EngineError> {
        Self::start_hiding(log, recovered, checkpoints, dir, config, resets, &[])
    }

    /// [`Running::start`] with readers to which the records `hidden` are tombstones.
    fn start_hiding(
        mut log: Log,
        mut recovered: Recovered,
        checkpoints: Checkpoints,
        dir: &Path,
        config: &Config,
        resets: Option<&ResetSettings>,
        hidden: &[Offset],
    ) -> Result<Self, EngineError> {
        let hiding = |log: &Log| reader_without(log, hidden);
        log.set_segment_span(config.store.segment_span());
        record_settings(&mut log, &mut recovered.facts, &learn_settings(config))?;
        let index = search_index::open(dir, &config.search, &recovered.facts)?;
        let search = index.reader.clone();
        synonyms::put_in_force(&search, &config.search, &recovered.facts)?;
        let check = Check::new(config.check_settings(), recovered.facts.statistics.clone())?;

        let mut learner = recovered.learner;
        let checkpoint =
            recovered.checkpoint.map(|offset| found_checkpoint(&checkpoints.path_of(offset), learner.end()));
        let (changes, changed) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared {
            index: Mutex::new(Some(changes)),
            last_status: Mutex::new(Status::of_facts(&recovered.facts, &config.serve)),
            search: Mutex::new(index.status.clone()),
            checkpoint: Mutex::new(checkpoint.unwrap_or_default()),
            queries: QueryVectors::new(resets.is_some() && config.content.has_texts(), &config.search.similar),
            ..Shared::new(recovered.facts, &mut learner, config.serve.record.share())
        });
        // A reset may have been due when the last server ended.
        shared.progress.lock().woken = resets.is_some();
        let (jobs, queue) = sync_channel(QUEUE);
        let reader = log.reader();
        let search_outcomes = SearchOutcomes::new(hiding(&log));
        let saved = recovered.checkpoint.map_or(Offset(0), |_| learner.end());
        let challengers = resets.map(|resets| Lifecycle::new(resets.clone(), log.end()));
        if let Some(challengers) = &challengers {
            shared.mailbox.report(learner.end(), challengers.status(&learner));
        }
        let mut learner_thread =
            LearnerThread::new(learner, hiding(&log), checkpoints, Intervals::of(config), saved, shared.clone());
        let challenger = resets.map(|resets| start_challenger(&shared, hiding(&log), &jobs, resets.share));
        if let Some(challengers) = challengers {
            let retention = Retention::new(dir.into(), &config.store, jobs.clone());
            learner_thread = learner_thread.with_challengers(challengers).with_retention(retention);
        }
        // Only a server encodes: other commands are short, and would read the encoder's files for nothing.
        let encoder = resets.filter(|_| config.content.is_on()).map(|_| start_encoder(&shared, config, &jobs));
        let queries = start_query_encoders(&shared);
        let writer = Writer::new(log, check, shared.clone());
        let indexer = Indexer::new(dir, &config.search, index, shared.clone());
        let threads = Threads {
            writer: shared.thread("writer", move || writer.run(&queue), |shared, why| shared.poison(&why)),
            learner: shared.learner_thread(move || learner_thread.run()),
            indexer: shared.thread(
                "indexer",
                move || indexer.run(&changed),
                |shared, why| shared.search.lock().fail(why),
            ),
            challenger,
            encoder,
            queries,
        };
        let (log, threads) = (Mutex::new(reader), Mutex::new(Some(threads)));
        let (rules, scenes) = (ReadRules::default(), ReadScenes::new(&config.scene));
        let campaigns = ReadCampaigns::default();
        let catalogue = config.catalogue;
        Ok(Self { shared, jobs, search, log, search_outcomes, threads, catalogue, rules, scenes, campaigns })
    }

    /// Runs a read against the facts and the version of this moment.
    pub fn with_shop<T>(&self, read: impl FnOnce(Shop<'_>) -> T) -> T {
        let version = self.shared.version.load();
        let facts = self.shared.facts.read();
        let read_texts = self.texts(&facts);
        read(self.shop(&facts, &version, &read_texts))
    }

    /// The same for one visitor, whom the models of an arm or the good version may answer. `decide` chooses them for the stream time that
    /// it gets.
    pub fn with_shop_for<'t, T>(
        &self,
        decide: impl FnOnce(&Facts) -> Treatment<'t>,
        read: impl FnOnce(Shop<'_>, Treatment<'t>) -> T,
    ) -> T {
        let (version, good) = (self.shared.version.load(), self.shared.good.load());
        let facts = self.shared.facts.read();
        let treatment = decide(&facts);
        let version = good.as_deref().filter(|_| treatment.is_by_good).unwrap_or(&version);
        let read_texts = self.texts(&facts);
        read(self.shop(&facts, version.of_shopper(treatment.shopper), &read_texts), treatment)
    }

    fn texts(&self, facts: &Facts) -> ReadTexts {
        ReadTexts { rules: self.rules.of(facts), scenes: self.scenes.of(facts), campaigns: self.campaigns.of(facts) }
    }

    fn shop<'a>(&self, facts: &'a Facts, version: &'a Version, texts: &'a ReadTexts) -> Shop<'a> {
        let (now_ms, catalogue) = (of_request(facts.stream_time), self.catalogue);
        let ReadTexts { rules, scenes, campaigns } = texts;
        Shop { facts, version, now_ms, catalogue, rules: &rules.1, scenes: &scenes.1, campaigns: &campaigns.1 }
    }

    /// Puts a job into the writer's queue.
    pub fn submit<T>(
        &self,
        job: impl FnOnce(Reply<T>) -> Job,
        when_full: WhenFull,
    ) -> Result<oneshot::Receiver<Result<T, EngineError>>, EngineError> {
        if let Some(cause) = &*self.shared.poisoned.load() {
            return Err(EngineError::Poisoned(cause.to_string()));
        }
        let (reply, answer) = oneshot::channel();
        match when_full {
            WhenFull::Wait => self.jobs.send(job(reply)).map_err(|_| EngineError::Closing)?,
            WhenFull::Refuse => self.jobs.try_send(job(reply)).map_err(|error| match error {
                TrySendError::Full(_) => EngineError::Overloaded,
                TrySendError::Disconnected(_) => EngineError::Closing,
            })?,
        }
        Ok(answer)
    }

    /// Whether the threads have ended.
    pub fn is_closed(&self) -> bool {
        self.threads.lock().is_none()
    }

    /// Ends the threads and closes the log; readers may go on with what is there. Safe to call twice.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] if the log had failed before.
    pub fn close(&self, shutdown: Shutdown) -> Result<(), EngineError> {
        let Some(threads) = self.threads.lock().take() else { return Ok(()) };
        let shared = &self.shared;
        // The writer may have ended already.
        let _ = self.jobs.send(Job::Close);
        let writer = threads.writer.join();
        {
            let mut progress = shared.progress.lock();
            (progress.closing, progress.abandoned) = (true, shutdown == Shutdown::Abandon);
            progress.stop_at = Some(Instant::now() + CATCH_UP);
        }
        shared.progressed.notify_all();
        let learner = threads.learner.join();
        shared.mailbox.close();
        let challenger = threads.challenger.map_or(Ok(()), JoinHandle::join);
        shared.index.lock().take();
        shared.changed_texts.lock().take();
        let encoder = threads.encoder.map_or(Ok(()), JoinHandle::join);
        shared.queries.close();
        let queries: Vec<_> = threads.queries.into_iter().map(JoinHandle::join).collect();
        let queries: Result<(), _> = queries.into_iter().collect();
        let indexer = threads.indexer.join();
        let ends = [
            ("writer", writer),
            ("learner", learner),
            ("indexer", indexer),
            ("challenger", challenger),
            ("encoder", encoder),
            ("query-encoder", queries),
        ];
        // The panic itself was told when it happened.
        for (name, _) in ends.iter().filter(|(_, ended)| ended.is_err()) {
            tracing::warn!(thread = name, "the thread had ended by a panic before the engine was closed");
        }
        match &*shared.poisoned.load() {
            Some(cause) => Err(EngineError::Poisoned(cause.to_string())),
            None => Ok(()),
        }
    }
}

/// A reader to which these records are tombstones.
fn reader_without(log: &Log, hidden: &[Offset]) -> LogReader {
    let mut reader = log.reader();
    reader.hide(hidden);
    reader
}

/// Starts the thread that trains challengers, on this share of a core.
fn start_challenger(shared: &Arc<Shared>, log: LogReader, jobs: &SyncSender<Job>, share: f64) -> JoinHandle<()> {
    let challenger = ChallengerThread::new(shared.clone(), log, jobs.clone(), share);
    // It catches the panics of its orders itself, and goes on.
    thread("challenger", move || challenger.run(), |_| {})
}

/// Starts the thread that gives items their vectors, and lets the writer tell it of changed texts.
fn start_encoder(shared: &Arc<Shared>, config: &Config, jobs: &SyncSender<Job>) -> JoinHandle<()> {
    let (texts, changed_texts) = std::sync::mpsc::channel();
    let encoder = EncoderThread::new(config.content.clone(), shared.clone(), jobs.clone());
    *shared.changed_texts.lock() = Some(texts);
    shared.thread("encoder", move || encoder.run(&changed_texts), |shared, why| shared.content.lock().fail(why))
}

/// Starts the threads that encode queries, where searches use their vectors.
fn start_query_encoders(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let n_queries = if shared.queries.is_on() { QUERY_THREADS } else { 0 };
    let start = |_| {
        let of_queries = shared.clone();
        // A search waits for its vector for a limited time, and is answered without it.
        shared.thread("query-encoder", move || of_queries.queries.run(), |_, _| {})
    };
    (0..n_queries).map(start).collect()
}

/// Says what is wrong with the folder, and which settings the folder keeps in place of those that are given.
fn warn(recovered: &Recovered, config: &Config) {
    recovered.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let kept = recovered.learner.settings();
    for (key, kept, given) in [
        ("learn.seed", kept.seed, config.learn.seed),
        ("learn.history_capacity", kept.history_capacity as u64, config.learn.history_capacity as u64),
    ] {
        if kept != given {
            tracing::warn!(
                "{key} is {kept} in this data folder, since its first record; {given} would need a new folder"
            );
        }
    }
}

/// The status of a checkpoint that was recovered, with the learner at `learned`.
fn found_checkpoint(path: &Path, learned: Offset) -> CheckpointStatus {
    CheckpointStatus { covered: Some(learned.0), written_at: written_at(path), ..CheckpointStatus::default() }
}

/// When a file was last written.
fn written_at(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Some(Timestamp(modified.duration_since(UNIX_EPOCH).ok()?.as_millis() as i64))
}

/// Writes the settings into the log if they differ from those in force, before anything else is written.
fn record_settings(log: &mut Log, facts: &mut Facts, settings: &LearnSettings) -> Result<(), EngineError> {
    let text = settings.to_record();
    if *facts.settings == *text {
        return Ok(());
    }
    let body = Body::Settings(text.into());
    log.append(now(), std::slice::from_ref(&body))?;
    let mut reader = log.reader();
    reader.read(facts.end, 1, |record| facts.apply(&record))?;
    Ok(())
}
