//! A data folder with its threads running: one writer, one learner, one indexer, for a server one that learns challengers.
//!
//! In: the folder, the configuration. Out: what the threads share, for any number of readers, and a queue for writes. It is started
//! and ended as a whole; the engine may replace it by another one of the same folder while readers go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use accrue_event::Check;
use accrue_serve::Shop;
use accrue_serve::search::{Opened, SearchIndex, SearchReader};
use accrue_store::{Body, Checkpoints, Facts, Log, LogReader, Offset};
use accrue_train::{LearnSettings, Recovered, ResetSettings, recover};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::oneshot;

use super::challenging::Challenging;
use super::learning::{Learning, Rhythm};
use super::resetting::Resetting;
use super::served::ServedQueue;
use super::shared::{Indexed, LearnerStatus, Progress, Shared, indexed};
use super::writer::{Job, Reply, Writer};
use super::{EngineError, Versions, checkpoints_in, indexing, learn_settings, search_in};
use crate::config::Config;
use crate::traffic::Treatment;

/// Writes that may wait; beyond it callers are told to come back.
const QUEUE: usize = 1_024;

/// An open folder, with its threads.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    pub(super) search: SearchReader,
    pub(super) log: Mutex<LogReader>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<()>,
    learner: JoinHandle<()>,
    indexer: JoinHandle<()>,
    challenger: Option<JoinHandle<()>>,
}

/// How the threads end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The learner catches up, and a checkpoint is written.
    Saved,
    /// The learner stops where it is: what it learned is not kept.
    Abandoned,
}

/// What a caller does when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Block,
    Refuse,
}

impl Running {
    /// Opens or creates the folder, recovers the newest checkpoint and the rest of the log, and starts the threads.
    pub(super) fn open(dir: &Path, config: &Config, resets: Option<&ResetSettings>) -> Result<Self, EngineError> {
        let log = Log::open(dir, (&config.log).into())?;
        let checkpoints = checkpoints_in(dir);
        let recovered = recover(&mut log.reader(), &checkpoints, &learn_settings(config), log.end(), true)?;
        recovered.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        Self::start(log, recovered, checkpoints, dir, config, resets)
    }

    /// Starts the threads over an open log and the facts at its end. The next checkpoint may refer to what `checkpoints` read last.
    pub(super) fn start(
        mut log: Log,
        mut recovered: Recovered,
        checkpoints: Checkpoints,
        dir: &Path,
        config: &Config,
        resets: Option<&ResetSettings>,
    ) -> Result<Self, EngineError> {
        record_settings(&mut log, &mut recovered.facts, &learn_settings(config))?;
        let index = open_index(dir, config, &recovered.facts)?;
        let search = index.reader();
        let check = Check::new(config.check.clone(), recovered.facts.statistics.clone())?;

        let mut learner = recovered.learner;
        let (changes, changed) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared {
            progress: Mutex::new(Progress {
                applied: recovered.facts.end,
                learned: learner.end(),
                // A reset may have been due when the last server ended.
                called: resets.is_some(),
                closing: false,
                abandoned: false,
            }),
            version: arc_swap::ArcSwap::from_pointee(learner.publish()),
            good: arc_swap::ArcSwapOption::from_pointee(learner.publish_good()),
            versions: arc_swap::ArcSwap::from_pointee(Versions::of(&learner)),
            learner: arc_swap::ArcSwap::from_pointee(LearnerStatus::of(&learner)),
            facts: RwLock::new(recovered.facts),
            poisoned: Default::default(),
            moved: Condvar::new(),
            index: Mutex::new(Some(changes)),
            served: ServedQueue::new(config.serve.record.share()),
            desk: Default::default(),
        });
        let (jobs, queue) = sync_channel(QUEUE);
        let reader = log.reader();
        let rhythm = Rhythm {
            publish_every: Duration::from_millis(config.learn.publish_every_ms),
            checkpoint_every: config.learn.checkpoint_every_events,
            checkpoints_kept: config.learn.checkpoints_kept,
        };
        let saved = recovered.checkpoint.map_or(Offset(0), |_| learner.end());
        let resetting = resets.map(|resets| Resetting::new(resets.clone(), log.end()));
        if let Some(resetting) = &resetting {
            shared.desk.tell(learner.end(), resetting.status(&learner));
        }
        let mut learning = Learning::new(learner, log.reader(), checkpoints, rhythm, saved, shared.clone());
        let challenger = resets.map(|resets| {
            let challenging = Challenging::new(shared.clone(), log.reader(), jobs.clone(), resets.share);
            thread("challenger", move || challenging.run())
        });
        if let Some(resetting) = resetting {
            learning = learning.resetting(resetting);
        }
        let writer = Writer::new(log, check, shared.clone());
        let threads = Threads {
            writer: thread("writer", move || writer.run(&queue)),
            learner: thread("learner", move || learning.run()),
            indexer: thread("indexer", move || indexing::run(index, &changed)),
            challenger,
        };
        Ok(Self { shared, jobs, search, log: Mutex::new(reader), threads: Mutex::new(Some(threads)) })
    }

    /// Runs a read against the facts and the version of this moment.
    pub(super) fn with_shop<T>(&self, read: impl FnOnce(Shop<'_>) -> T) -> T {
        let version = self.shared.version.load();
        let facts = self.shared.facts.read();
        read(Shop { facts: &facts, version: &version })
    }

    /// The same for one visitor, whom the models of their arm, or the last version known good, may answer: as `decide` says when
    /// it is told the stream time.
    pub(super) fn with_shop_for<'t, T>(
        &self,
        decide: impl FnOnce(i64) -> Treatment<'t>,
        read: impl FnOnce(Shop<'_>, Treatment<'t>) -> T,
    ) -> T {
        let (version, good) = (self.shared.version.load(), self.shared.good.load());
        let facts = self.shared.facts.read();
        let treatment = decide(facts.stream_time.0);
        let version = good.as_deref().filter(|_| treatment.is_by_good).unwrap_or(&version);
        read(Shop { facts: &facts, version: version.of_shopper(treatment.shopper) }, treatment)
    }

    /// Puts a job into the writer's queue.
    pub(super) fn submit<T>(
        &self,
        job: impl FnOnce(Reply<T>) -> Job,
        waiting: Waiting,
    ) -> Result<oneshot::Receiver<Result<T, EngineError>>, EngineError> {
        if let Some(cause) = &*self.shared.poisoned.load() {
            return Err(EngineError::Poisoned(cause.to_string()));
        }
        let (reply, answer) = oneshot::channel();
        match waiting {
            Waiting::Block => self.jobs.send(job(reply)).map_err(|_| EngineError::Closing)?,
            Waiting::Refuse => self.jobs.try_send(job(reply)).map_err(|error| match error {
                TrySendError::Full(_) => EngineError::Overloaded,
                TrySendError::Disconnected(_) => EngineError::Closing,
            })?,
        }
        Ok(answer)
    }

    /// Ends the threads and closes the log; readers may go on with what is there. Safe to call twice.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] if the log had failed before.
    pub(super) fn close(&self, ending: Ending) -> Result<(), EngineError> {
        let Some(threads) = self.threads.lock().take() else { return Ok(()) };
        let shared = &self.shared;
        // A writer that is gone already needs no telling.
        let _ = self.jobs.send(Job::Close);
        let writer = threads.writer.join();
        {
            let mut progress = shared.progress.lock();
            (progress.closing, progress.abandoned) = (true, ending == Ending::Abandoned);
        }
        shared.moved.notify_all();
        let learner = threads.learner.join();
        shared.desk.close();
        let challenger = threads.challenger.map_or(Ok(()), JoinHandle::join);
        shared.index.lock().take();
        let indexer = threads.indexer.join();
        let ends = [("writer", writer), ("learner", learner), ("indexer", indexer), ("challenger", challenger)];
        for (name, ended) in ends {
            if ended.is_err() {
                tracing::error!(
                    thread = name,
                    "the thread had panicked; the log holds everything that was acknowledged"
                );
            }
        }
        match &*shared.poisoned.load() {
            Some(cause) => Err(EngineError::Poisoned(cause.to_string())),
            None => Ok(()),
        }
    }
}

pub(super) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).expect("the system has room for a few threads")
}

/// Settings that differ from those in force go into the log before anything else happens.
fn record_settings(log: &mut Log, facts: &mut Facts, settings: &LearnSettings) -> Result<(), EngineError> {
    let text = settings.to_record();
    if *facts.settings == *text {
        return Ok(());
    }
    let body = Body::Settings(text.into());
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let received_at = accrue_event::Timestamp(started.as_millis() as i64);
    log.append(received_at, std::slice::from_ref(&body))?;
    let mut reader = log.reader();
    reader.read(facts.end, 1, |record| facts.apply(&record))?;
    Ok(())
}

/// Opens the search index and gives it whatever it does not hold.
fn open_index(dir: &Path, config: &Config, facts: &Facts) -> Result<SearchIndex, EngineError> {
    let mut index = SearchIndex::open(Some(&search_in(dir)), config.search.clone())?;
    if let Opened::Rebuilt { reason } = index.opened() {
        tracing::warn!(%reason, "the search index is built again");
    }
    if index.covered() != facts.catalogue_changed.0 {
        for item in 0..facts.entries().len() as u32 {
            match indexed(facts, item) {
                Indexed::Item(item, description) => index.upsert(item, &description)?,
                _ => index.remove(item)?,
            }
        }
        index.set_covered(facts.catalogue_changed.0);
        index.commit()?;
    }
    Ok(index)
}
