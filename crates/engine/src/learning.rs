//! The learner's thread: follows the log behind the facts, publishes, and writes checkpoints.
//!
//! When it publishes or saves depends on the clock, what it learns does not: neither changes the fold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use accrue_model::Fitted;
use accrue_store::{Body, Checkpoints, Fact, LogReader, Offset, Record, Written};
use accrue_train::{Learner, TrainError, look_back, save};

use super::Versions;
use super::fitting;
use super::resetting::Resetting;
use super::shared::{LearnerStatus, Shared};
use super::versioning::SharedPast;

/// Records read and resolved at once; publication may happen between chunks.
const CHUNK: usize = 256;
/// How old the good version's knowledge of the catalogue may be.
const GOOD_EVERY: Duration = Duration::from_secs(1);

/// Served answers that weigh as much as an event where a checkpoint is due: reading one takes about an eighth of learning one.
const PASSED_PER_EVENT: u64 = 8;

/// A checkpoint is due after so many fits, however few events: the next start shall not have to wait for more of them.
const FITS_PER_CHECKPOINT: u64 = 4;

/// When to publish and when to save.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub publish_every: Duration,
    pub checkpoint_every: u64,
    pub checkpoints_kept: usize,
}

pub(super) struct Learning {
    learner: Learner,
    log: LogReader,
    checkpoints: Checkpoints,
    rhythm: Rhythm,
    shared: Arc<Shared>,
    /// What the newest checkpoint covers.
    saved: Offset,
    /// Records since then that may have changed something; served answers do not.
    unsaved: u64,
    /// Whether anything may have changed since the last publication.
    is_stirred: bool,
    published_at: Instant,
    /// When the good version was last published.
    good_at: Instant,
    /// Resets, if this engine makes them.
    resetting: Option<Resetting>,
}

impl Learning {
    pub(super) fn new(
        learner: Learner,
        log: LogReader,
        checkpoints: Checkpoints,
        rhythm: Rhythm,
        saved: Offset,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            learner,
            log,
            checkpoints,
            rhythm,
            shared,
            saved,
            unsaved: 0,
            is_stirred: false,
            published_at: Instant::now(),
            good_at: Instant::now(),
            resetting: None,
        }
    }

    /// Resets by itself from here on.
    pub(super) fn resetting(self, resetting: Resetting) -> Self {
        Self { resetting: Some(resetting), ..self }
    }

    /// Learns until told to close, then catches up and saves.
    pub(super) fn run(mut self) {
        if let Err(error) = self.follow() {
            tracing::error!(%error, "learning stopped; answers go on from the last version");
            let mut status = (**self.shared.learner.load()).clone();
            status.failed = Some(error.to_string());
            self.shared.learner.store(Arc::new(status));
            self.shared.moved.notify_all();
        }
    }

    fn follow(&mut self) -> Result<(), TrainError> {
        fitting::begin(self.learner.pending_fits());
        loop {
            let (target, closing) = self.wait_for_work();
            while self.learner.end() < target {
                if self.shared.progress.lock().abandoned {
                    return Ok(());
                }
                if self.learner.free_choices() > 0 {
                    self.learn_chunk(target)?;
                    fitting::begin(self.learner.pending_fits());
                } else if !self.wait_for_fit() {
                    break;
                }
                self.tend(target);
                if self.is_stirred && self.publication_due() {
                    self.publish();
                }
            }
            if self.shared.progress.lock().abandoned {
                return Ok(());
            }
            self.tend(target);
            if !self.is_stirred {
                self.pass();
            } else if closing || self.publication_due() {
                self.publish();
            }
            if closing || self.save_due() {
                self.save()?;
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
            if !learned_all || progress.closing || std::mem::take(&mut progress.called) {
                return (progress.applied, progress.closing);
            }
            if self.learner.end() <= progress.learned {
                self.shared.moved.wait(&mut progress);
            } else if self.publication_due() {
                return (progress.applied, false);
            } else {
                let left = self.rhythm.publish_every.saturating_sub(self.published_at.elapsed());
                self.shared.moved.wait_for(&mut progress, left);
            }
        }
    }

    /// After so many events, or so many more records that only have to be read again.
    fn save_due(&self) -> bool {
        let every = self.rhythm.checkpoint_every;
        self.unsaved >= every
            || self.learner.end().0 >= self.saved.0.saturating_add(every.saturating_mul(PASSED_PER_EVENT))
    }

    fn publication_due(&self) -> bool {
        self.published_at.elapsed() >= self.rhythm.publish_every
    }

    fn learn_chunk(&mut self, target: Offset) -> Result<(), TrainError> {
        let left = (target.0 - self.learner.end().0).min(self.learner.free_choices());
        let limit = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
        let (n_fits, n_alarms) = (self.n_fits(), self.learner.n_alarms());
        let mut records: Vec<Record> = Vec::with_capacity(limit);
        self.log.read(self.learner.end(), limit, |record| records.push(record))?;
        // Names are resolved under the lock, learning happens outside of it: writers wait for microseconds.
        let resolved: Vec<Fact<'_>> = {
            let facts = self.shared.facts.read();
            self.learner.share_histories(&facts, limit);
            records.iter().map(|record| facts.resolve(record)).collect()
        };
        let n_stirring = records.iter().filter(|record| !matches!(record.body, Body::Served(_))).count();
        self.unsaved = self.unsaved.saturating_add(n_stirring as u64);
        self.is_stirred |= n_stirring > 0;
        for (record, fact) in records.iter().zip(resolved) {
            match fact {
                Fact::Promoted { .. } | Fact::WindowReleased { .. } => {
                    let mut past = SharedPast { log: &mut self.log, shared: &self.shared };
                    look_back(&mut self.learner, record, &mut past)?;
                    // To learn a challenger again takes long: the next start shall not have to.
                    self.unsaved = self.unsaved.max(self.rhythm.checkpoint_every);
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
            self.unsaved = self.unsaved.saturating_add(self.rhythm.checkpoint_every / FITS_PER_CHECKPOINT);
        }
        Ok(())
    }

    fn n_fits(&self) -> u64 {
        self.learner.ensemble().fitted().map_or(0, Fitted::n_fits)
    }

    /// Waits a moment for the fit that the next choice needs; `false` if the engine closes, for whom a fit is too long to wait.
    fn wait_for_fit(&self) -> bool {
        // It may be that of a line that has just taken over.
        fitting::begin(self.learner.pending_fits());
        let mut progress = self.shared.progress.lock();
        if !progress.closing {
            self.shared.moved.wait_for(&mut progress, fitting::A_MOMENT);
        }
        !progress.closing
    }

    /// Sees to the challenger, if there is to be one.
    fn tend(&mut self, applied: Offset) {
        if let Some(resetting) = &mut self.resetting {
            let mut past = SharedPast { log: &mut self.log, shared: &self.shared };
            resetting.tend(&mut self.learner, &mut past, &self.shared.desk, applied);
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
        self.is_stirred = false;
        self.shared.progress.lock().learned = Offset(offset);
        self.shared.moved.notify_all();
    }

    /// The good version changes seldom; what it knows of the catalogue may be a second old.
    fn publish_good(&mut self) {
        let number = self.learner.lineage().good().map(|(number, _)| number);
        let known = self.shared.good.load().as_ref().map(|version| version.number);
        if number != known || self.good_at.elapsed() >= GOOD_EVERY {
            self.shared.good.store(self.learner.publish_good().map(Arc::new));
            self.good_at = Instant::now();
        }
    }

    /// Nothing changed since the last publication: the version stands for the records up to here as well.
    fn pass(&mut self) {
        let mut progress = self.shared.progress.lock();
        if progress.learned < self.learner.end() {
            progress.learned = self.learner.end();
            drop(progress);
            self.shared.moved.notify_all();
        }
    }

    fn save(&mut self) -> Result<(), TrainError> {
        if self.saved == self.learner.end() {
            return Ok(());
        }
        let facts = self.shared.facts.read();
        match save(&self.checkpoints, |end| self.log.sum_before(end), facts, &self.learner)
            .and_then(|written| Ok(self.checkpoints.keep(self.rhythm.checkpoints_kept).map(|()| written)?))
        {
            Ok(Written { state_bytes, file_bytes, n_bases }) => {
                tracing::debug!(state_bytes, file_bytes, n_bases, "checkpoint written");
            }
            // The log has everything: a checkpoint that cannot be written makes the next start slower, nothing else.
            Err(error) => {
                tracing::warn!(%error, "the checkpoint was not written; the next one is tried after as many events");
            }
        }
        self.saved = self.learner.end();
        self.unsaved = 0;
        Ok(())
    }
}
