//! The learner's thread: follows the log after the facts, publishes, and writes checkpoints.
//!
//! When it publishes or saves depends on the clock, what it learns does not: neither changes the fold. A learner that is behind saves on
//! its way, so that a stop or a crash before it has caught up loses little. What fails for a reason outside (a checkpoint that cannot be
//! written, a log that cannot be read) is told in the status and tried again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use accrue_store::{Body, Checkpoints, Fact, LogReader, Offset, Record, StoreError, Written};
use accrue_train::{Learner, TrainError, look_back, save};

use super::earlier_records::SharedResolvedLog;
use super::fits;
use crate::backoff::Backoff;
use crate::challenger::lifecycle::Lifecycle;
use crate::clock::now;
use crate::config::Config;
use crate::error::EngineError;
use crate::retention::starts_to_cover;
use crate::retention::while_serving::Retention;
use crate::shared::{LearnerStatus, Shared};
use crate::status::CheckpointStatus;
use crate::versions::Versions;

/// Records read and resolved at once; publication may happen between chunks.
const CHUNK: usize = 256;
/// The good version is published again after this time, so that it knows items that are new.
const PUBLISH_GOOD_EVERY: Duration = Duration::from_secs(1);

/// Served answers that count as one event when a checkpoint is due: reading an answer takes about an eighth of learning an event.
const ANSWERS_PER_EVENT: u64 = 8;

/// Fits after which a checkpoint is due, however few events there were: the next start must not wait for more fits than that.
const FITS_PER_CHECKPOINT: u64 = 4;

/// A learner that is behind writes a checkpoint after this time as well, however few events it learned meanwhile.
const SAVE_BEHIND_EVERY: Duration = Duration::from_secs(60);

/// It does not write the next one before this many times the time that the last one took: at most a twentieth of its time goes into
/// checkpoints.
const SAVE_BEHIND_REST: u32 = 19;

/// When a checkpoint that could not be written is tried again.
const SAVE_RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(300));

/// When records that could not be read are read again.
const READ_RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

/// When to publish and when to write a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals {
    pub publish_every: Duration,
    pub checkpoint_every: u64,
    pub checkpoints_kept: usize,
    /// Whether segments of the log will be removed some day, so that each needs a checkpoint near its beginning.
    pub prunes: bool,
}

impl Intervals {
    /// The intervals of these settings.
    pub fn of(config: &Config) -> Self {
        Self {
            publish_every: Duration::from_millis(config.learn.publish_every_ms),
            checkpoint_every: config.learn.checkpoint_every_events,
            checkpoints_kept: config.learn.checkpoints_kept,
            prunes: config.store.prunes(),
        }
    }
}

pub(crate) struct LearnerThread {
    learner: Learner,
    log: LogReader,
    checkpoints: Checkpoints,
    intervals: Intervals,
    shared: Arc<Shared>,
    /// The newest checkpoint includes the records before this offset.
    saved: Offset,
    /// Records since then that may have changed the learned state; served answers do not.
    unsaved: u64,
    /// When the last checkpoint was written, and how long that took.
    saved_at: Instant,
    save_took: Duration,
    save_retry: Backoff,
    read_retry: Backoff,
    /// Whether the learned state may have changed since the last publication.
    has_changed: bool,
    published_at: Instant,
    /// When the good version was last published.
    good_at: Instant,
    /// Challengers, if the engine serves.
    challengers: Option<Lifecycle>,
    /// What removes old records, if the engine serves and the settings ask for it.
    retention: Option<Retention>,
}

impl LearnerThread {
    pub fn new(
        learner: Learner,
        log: LogReader,
        checkpoints: Checkpoints,
        intervals: Intervals,
        saved: Offset,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            learner,
            log,
            checkpoints,
            intervals,
            shared,
            saved,
            unsaved: 0,
            saved_at: Instant::now(),
            save_took: Duration::ZERO,
            save_retry: SAVE_RETRY,
            read_retry: READ_RETRY,
            has_changed: false,
            published_at: Instant::now(),
            good_at: Instant::now(),
            challengers: None,
            retention: None,
        }
    }

    /// The same with challengers.
    pub fn with_challengers(self, challengers: Lifecycle) -> Self {
        Self { challengers: Some(challengers), ..self }
    }

    /// The same with retention.
    pub fn with_retention(self, retention: Option<Retention>) -> Self {
        Self { retention, ..self }
    }

    /// Learns until told to close, then catches up as far as there is time, and saves.
    pub fn run(mut self) {
        match self.follow() {
            Ok(()) => {}
            // Before it began with what was interrupted, it had saved.
            Err(TrainError::Stopped) => tracing::info!("a challenger is learned after the next start"),
            Err(error) => {
                tracing::error!(%error, "learning stopped; the last published version continues to answer");
                self.shared.tell_learner_failed(Some(error.to_string()));
            }
        }
    }

    fn follow(&mut self) -> Result<(), TrainError> {
        fits::start(self.learner.pending_fits());
        self.remove_old_records();
        loop {
            let (target, closing) = self.wait_for_work();
            while self.learner.end() < target && !self.shared.must_stop() {
                if self.learner.free_choices() == 0 {
                    if !self.wait_for_fit() {
                        break;
                    }
                } else {
                    match self.read_chunk(target) {
                        Ok(records) => self.learn(&records)?,
                        Err(error) => {
                            if !self.wait_to_read(&error) {
                                break;
                            }
                        }
                    }
                    fits::start(self.learner.pending_fits());
                }
                self.advance_challenger(target);
                if self.has_changed && self.publication_due() {
                    self.publish();
                }
                if self.learner.end() < target && self.save_due_behind() {
                    self.save();
                }
            }
            if self.shared.progress.lock().abandoned {
                return Ok(());
            }
            self.advance_challenger(target);
            if !self.has_changed {
                self.mark_learned();
            } else if closing || self.publication_due() {
                self.publish();
            }
            if closing || self.save_due() {
                self.save();
            }
            if closing {
                return Ok(());
            }
        }
    }

    /// Sleeps until there are records to learn, something learned waits long enough for publication, or the engine closes.
    fn wait_for_work(&self) -> (Offset, bool) {
        let mut progress = self.shared.progress.lock();
        loop {
            let learned_all = progress.applied <= self.learner.end();
            if !learned_all || progress.closing || std::mem::take(&mut progress.woken) {
                return (progress.applied, progress.closing);
            }
            if self.learner.end() <= progress.learned {
                match self.save_retry.next() {
                    None => self.shared.progressed.wait(&mut progress),
                    Some(next) => {
                        if self.shared.progressed.wait_until(&mut progress, next).timed_out() {
                            return (progress.applied, progress.closing);
                        }
                    }
                }
            } else if self.publication_due() {
                return (progress.applied, false);
            } else {
                let left = self.intervals.publish_every.saturating_sub(self.published_at.elapsed());
                self.shared.progressed.wait_for(&mut progress, left);
            }
        }
    }

    /// After a number of events, or of records that only have to be read again. With retention also when a segment has begun: a log
    /// that later begins there can be folded from the checkpoint.
    fn save_due(&self) -> bool {
        if self.save_retry.is_failing() {
            return self.save_retry.is_due();
        }
        let every = self.intervals.checkpoint_every;
        let begun = || self.log.last_segment();
        self.intervals.prunes && self.saved < begun() && begun() <= self.learner.end()
            || self.unsaved >= every
            || self.learner.end().0 >= self.saved.0.saturating_add(every.saturating_mul(ANSWERS_PER_EVENT))
    }

    /// The same while the learner is behind: also after a time, and never so often that it makes the learner much slower.
    fn save_due_behind(&self) -> bool {
        let since = self.saved_at.elapsed();
        since >= self.save_took * SAVE_BEHIND_REST
            && (self.save_due() || self.unsaved > 0 && since >= SAVE_BEHIND_EVERY && self.save_retry.is_due())
    }

    fn publication_due(&self) -> bool {
        self.published_at.elapsed() >= self.intervals.publish_every
    }

    /// The next records to learn.
    fn read_chunk(&mut self, target: Offset) -> Result<Vec<Record>, StoreError> {
        let left = (target.0 - self.learner.end().0).min(self.learner.free_choices());
        let limit = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
        let mut records: Vec<Record> = Vec::with_capacity(limit);
        self.log.read(self.learner.end(), limit, |record| records.push(record))?;
        if self.read_retry.is_failing() {
            self.read_retry.succeed();
            self.shared.tell_learner_failed(None);
            tracing::info!("the log can be read again, and learning goes on");
        }
        Ok(records)
    }

    /// Reports that the log cannot be read, and waits until the next attempt; `false` if the engine closes. Nothing was learned from the
    /// records that could not be read, so reading can be repeated.
    fn wait_to_read(&mut self, error: &StoreError) -> bool {
        let wait = self.read_retry.fail();
        tracing::error!(%error, wait_ms = wait.as_millis(), "the log cannot be read, so that nothing is learned; it is tried again");
        self.shared.tell_learner_failed(Some(error.to_string()));
        let until = Instant::now() + wait;
        let mut progress = self.shared.progress.lock();
        while !progress.closing && !self.shared.progressed.wait_until(&mut progress, until).timed_out() {}
        !progress.closing
    }

    fn learn(&mut self, records: &[Record]) -> Result<(), TrainError> {
        let (n_fits, n_alarms) = (self.n_fits(), self.learner.n_alarms());
        // Names are resolved under the lock and learned without it, so the writer waits for microseconds only.
        let resolved: Vec<Fact<'_>> = {
            let facts = self.shared.facts.read();
            self.learner.share_histories(&facts, records.len());
            records.iter().map(|record| facts.resolve(record)).collect()
        };
        let n_changing = records.iter().filter(|record| !matches!(record.body, Body::Served(_))).count();
        self.unsaved = self.unsaved.saturating_add(n_changing as u64);
        self.has_changed |= n_changing > 0;
        for (record, fact) in records.iter().zip(resolved) {
            match fact {
                Fact::Promoted { .. } | Fact::WindowReleased { .. } => {
                    // A stop while a challenger is trained leaves the learner unfinished, and the training may take long.
                    self.save();
                    let mut earlier = SharedResolvedLog { log: &mut self.log, shared: &self.shared };
                    look_back(&mut self.learner, record, &mut earlier)?;
                    // Training a challenger takes long: a checkpoint spares the next start from repeating it.
                    self.unsaved = self.unsaved.max(self.intervals.checkpoint_every);
                }
                fact => self.learner.step(record.offset, record.received_at.0, fact)?,
            }
        }
        if self.learner.n_alarms() > n_alarms {
            let good = self.learner.lineage().good().map(|(number, _)| number);
            let why = self.learner.lineage().windows().last().map_or("", |window| &window.why);
            tracing::warn!(good, why, "what was learned lately did harm and was undone; see `accrue versions`");
        }
        if self.n_fits() > n_fits {
            self.unsaved = self.unsaved.saturating_add(self.intervals.checkpoint_every / FITS_PER_CHECKPOINT);
        }
        Ok(())
    }

    fn n_fits(&self) -> u64 {
        self.learner.ensemble().n_fits()
    }

    /// Waits a moment for the fit that the next choice needs; `false` if the engine closes, which must not wait for a fit.
    fn wait_for_fit(&self) -> bool {
        // It may be the fit of a challenger that was promoted just now.
        fits::start(self.learner.pending_fits());
        let mut progress = self.shared.progress.lock();
        if !progress.closing {
            self.shared.progressed.wait_for(&mut progress, fits::POLL);
        }
        !progress.closing
    }

    /// Does what is due for the challenger, if the engine serves.
    fn advance_challenger(&mut self, applied: Offset) {
        if let Some(challengers) = &mut self.challengers {
            let mut earlier = SharedResolvedLog { log: &mut self.log, shared: &self.shared };
            challengers.advance(&mut self.learner, &mut earlier, &self.shared.mailbox, applied);
        }
    }

    fn publish(&mut self) {
        let version = self.learner.publish();
        let offset = version.offset;
        self.publish_good();
        let status = LearnerStatus::of(&self.learner);
        self.shared.version.store(Arc::new(version));
        self.shared.versions.store(Arc::new(Versions::of(&self.learner)));
        self.shared.learner.store(Arc::new(status));
        self.published_at = Instant::now();
        self.has_changed = false;
        self.shared.progress.lock().learned = Offset(offset);
        self.shared.progressed.notify_all();
    }

    /// Publishes the good version if it is another one, or if its list of items is old.
    fn publish_good(&mut self) {
        let number = self.learner.lineage().good().map(|(number, _)| number);
        let known = self.shared.good.load().as_ref().map(|version| version.number);
        if number != known || self.good_at.elapsed() >= PUBLISH_GOOD_EVERY {
            self.shared.good.store(self.learner.publish_good().map(Arc::new));
            self.good_at = Instant::now();
        }
    }

    /// The learned state has not changed since the last publication, so the published version covers the records up to here as well.
    fn mark_learned(&mut self) {
        let mut progress = self.shared.progress.lock();
        if progress.learned < self.learner.end() {
            progress.learned = self.learner.end();
            drop(progress);
            self.shared.progressed.notify_all();
        }
    }

    /// Writes a checkpoint where the learner is. The log has all records, so without the checkpoint only the next start is slower:
    /// a failure is reported and does not end the learner.
    fn save(&mut self) {
        if self.saved == self.learner.end() {
            return;
        }
        let started = Instant::now();
        let facts = self.shared.facts.read();
        let saved = save(&self.checkpoints, |end| self.log.sum_before(end), facts, &self.learner);
        (self.saved_at, self.save_took) = (Instant::now(), started.elapsed());
        match saved {
            Ok(Written { state_bytes, file_bytes, n_bases }) => {
                tracing::debug!(state_bytes, file_bytes, n_bases, "checkpoint written");
                (self.saved, self.unsaved) = (self.learner.end(), 0);
                self.save_retry.succeed();
                *self.shared.checkpoint.lock() =
                    CheckpointStatus { covered: Some(self.saved.0), written_at: Some(now()), failed: None };
                if let Err(error) = self.keep_checkpoints() {
                    tracing::warn!(%error, "old checkpoints were not removed; it is tried again after the next one");
                }
                self.remove_old_records();
            }
            Err(error) => {
                let wait_s = self.save_retry.fail().as_secs();
                tracing::warn!(%error, wait_s, "the checkpoint was not written and is tried again");
                self.shared.checkpoint.lock().failed = Some(error.to_string());
            }
        }
    }

    fn keep_checkpoints(&self) -> Result<u64, StoreError> {
        let starts = starts_to_cover(&self.log, self.intervals.prunes);
        self.checkpoints.keep_for(self.intervals.checkpoints_kept, &starts)
    }

    /// A challenger under way needs the whole log, so retention waits for its end.
    fn remove_old_records(&mut self) {
        let is_idle = self.challengers.as_ref().is_none_or(Lifecycle::is_idle);
        let Some(retention) = self.retention.as_ref().filter(|_| is_idle) else { return };
        match retention.apply(&mut self.log, &self.checkpoints, self.intervals.checkpoints_kept, &self.shared) {
            Ok(()) | Err(EngineError::Closing) => {}
            Err(error) => {
                tracing::warn!(%error, "old records were not removed; it is tried again after the next checkpoint")
            }
        }
    }
}
