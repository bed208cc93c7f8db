//! Retention beside a running server: on the learner's thread, after a checkpoint was written. Writes go on: the writer's thread only
//! takes segments out of its list.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use accrue_store::{Checkpoints, FullSegment, LogReader, Offset, PendingErasure};
use accrue_train::find_look_back;
use tokio::sync::oneshot;

use super::{bound_by, first_between, older_than};
use crate::clock::now;
use crate::config::{Keep, StoreConfig};
use crate::error::EngineError;
use crate::shared::Shared;
use crate::write::job::Job;

/// Retention of one folder.
pub(crate) struct Retention {
    dir: PathBuf,
    store: StoreConfig,
    jobs: SyncSender<Job>,
}

impl Retention {
    /// That of the folder `dir`; `None` if the settings keep everything.
    pub fn new(dir: PathBuf, store: &StoreConfig, jobs: SyncSender<Job>) -> Option<Self> {
        let keeps_all = (store.keep, store.keep_served) == (Keep::Forever, Keep::Forever);
        (!keeps_all).then(|| Self { dir, store: store.clone(), jobs })
    }

    /// Erases and removes what is too old and covered. `checkpoints_kept` are kept besides those that retention needs.
    ///
    /// # Errors
    /// If a file cannot be read or written; nothing is lost, and the next time it is tried again.
    pub fn apply(
        &self,
        log: &mut LogReader,
        checkpoints: &Checkpoints,
        checkpoints_kept: usize,
        shared: &Shared,
    ) -> Result<(), EngineError> {
        let _pruning = shared.pruning.lock();
        // An erasure that has begun needs the log and the checkpoints as they are.
        if !PendingErasure::of(&self.dir).noted()?.is_empty() {
            return Ok(());
        }
        self.prune(log, checkpoints, checkpoints_kept)?;
        let full = log.full_segments()?;
        let spared = bound_by(checkpoints)?;
        let mut n_erased = 0;
        for segment in older_than(&full, self.store.keep_served.cutoff(now())) {
            n_erased += log.erase_served(segment, &spared)?;
        }
        if n_erased > 0 {
            tracing::info!(
                n_erased,
                "served answers were erased from the log, because they were older than `store.keep_served`"
            );
        }
        Ok(())
    }

    fn prune(
        &self,
        log: &mut LogReader,
        checkpoints: &Checkpoints,
        checkpoints_kept: usize,
    ) -> Result<(), EngineError> {
        let full = log.full_segments()?;
        // The segment that stays first must be full: the writer's thread alone writes the last one.
        let n_old = older_than(&full, self.store.keep.cutoff(now())).len().min(full.len().saturating_sub(1));
        let Some(cut) = covered_cut(&full, n_old, checkpoints)? else { return Ok(()) };
        let Some(newest) = checkpoints.newest()? else { return Ok(()) };
        let (resume, searched) = (newest.checkpoint.header().resume, log.end());
        if find_look_back(log, resume..searched, cut)?.is_some() {
            return Ok(());
        }
        let start = log.start();
        log.note_digests(cut)?;
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Detach { cut, searched, reply }).map_err(|_| EngineError::Closing)?;
        let Some(detached) = answer.blocking_recv().unwrap_or(Err(EngineError::Closing))? else { return Ok(()) };
        detached.remove()?;
        checkpoints.keep_for(checkpoints_kept, &log.segment_starts())?;
        tracing::info!(
            n_records = cut.0 - start.0,
            log_start = cut.0,
            "records older than `store.keep` were removed from the log"
        );
        Ok(())
    }
}

/// Where the log may begin when at most `n_old` segments go: the last place with a sound checkpoint within the segment that stays first.
fn covered_cut(full: &[FullSegment], n_old: usize, checkpoints: &Checkpoints) -> Result<Option<Offset>, EngineError> {
    for stays in full.iter().take(n_old + 1).skip(1).rev() {
        if first_between(checkpoints, stays.first, stays.end)?.is_some() {
            return Ok(Some(stays.first));
        }
    }
    if n_old > 0 {
        tracing::warn!(
            "records are older than `store.keep`, but no checkpoint lies near enough behind them to remove them; \
             stop the server and run `accrue compact`, which writes one"
        );
    }
    Ok(None)
}
