//! Retention in a data folder that no server has open: `accrue compact`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use accrue_event::{Timestamp, UserId};
use accrue_store::{Checkpoints, FullSegment, Log, LogReader, Offset};
use accrue_train::{LearnSettings, find_look_back, recover, save};
use serde::Serialize;

use super::{bound_by, first_between, older_than, starts_to_cover};
use crate::clock::now;
use crate::config::{Config, learn_settings};
use crate::error::EngineError;
use crate::folder::checkpoints_in;
use crate::forget::at_rest::finish_forgetting;

/// Records read at once.
const CHUNK: usize = 4_096;

/// What was removed from a log, or would be, and what is no longer possible.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Compacted {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Records removed with their segments.
    pub records: u64,
    /// Segments removed.
    pub segments: u64,
    /// Size of their files.
    pub size_bytes: u64,
    /// When the first removed record came in.
    pub from: Option<Timestamp>,
    /// When the last removed record came in.
    pub to: Option<Timestamp>,
    /// The first record that is left.
    pub log_start: u64,
    /// The end of the log.
    pub log_end: u64,
    /// The checkpoint from which what is left can be folded; `None` in a log from its beginning.
    pub checkpoint: Option<u64>,
    /// Records that had to be learned once more, because there was no such checkpoint.
    pub learned: u64,
    /// Checkpoints removed because they need what was removed.
    pub checkpoints_removed: u64,
    /// Served answers erased in segments that stay.
    pub served: u64,
    /// Users with a record among those removed: they can no longer be forgotten exactly.
    pub users: u64,
    /// Suspect windows that can no longer be learned after all, by their first record.
    pub suspect_windows: Vec<u64>,
    /// Quarantined records that can no longer be released.
    pub quarantined: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Removes from the log of a folder what its settings call too old, after making sure that a checkpoint covers it. With `dry_run`
/// nothing is changed.
///
/// # Errors
/// If another process holds the folder, or a file cannot be read or written. It may be repeated.
pub fn compact(dir: &Path, config: &Config, dry_run: bool) -> Result<Compacted, EngineError> {
    let started = Instant::now();
    // A folder without a log is not created.
    let mut reader = LogReader::open(config.log_place(dir))?;
    let (checkpoints, settings) = (checkpoints_in(dir), learn_settings(config));
    let mut compacted = Compacted { dry_run, ..Compacted::default() };
    if dry_run {
        let cut = plan(&mut reader, config, &mut compacted)?;
        compacted.checkpoint = checkpoint_at(&mut reader, &checkpoints, cut)?.map(|offset| offset.0);
        count_losses(&mut reader, &checkpoints, &settings, cut, &mut compacted)?;
        let spared = bound_by(&checkpoints)?;
        for segment in old_answers(&mut reader, config, cut)? {
            compacted.served += reader.count_served(&segment, &spared)?;
        }
    } else {
        drop(reader);
        finish_forgetting(dir, config)?;
        let mut log = Log::open(config.log_place(dir), (&config.log).into())?;
        let mut reader = log.reader();
        let cut = plan(&mut reader, config, &mut compacted)?;
        count_losses(&mut reader, &checkpoints, &settings, cut, &mut compacted)?;
        if cut > reader.start() {
            compacted.learned = cover(&mut reader, &checkpoints, &settings, cut)?;
            log.prune(cut)?;
        }
        let (n_kept, starts) = (config.learn.checkpoints_kept, starts_to_cover(&reader, config.store.prunes()));
        compacted.checkpoints_removed = checkpoints.keep_for(n_kept, &starts)?;
        compacted.checkpoint = checkpoint_at(&mut reader, &checkpoints, cut)?.map(|offset| offset.0);
        let spared = bound_by(&checkpoints)?;
        for segment in old_answers(&mut reader, config, cut)? {
            compacted.served += reader.erase_served(&segment, &spared)?;
        }
    }
    Ok(Compacted { seconds: started.elapsed().as_millis() as f64 / 1e3, ..compacted })
}

/// Where the log is to begin.
fn plan(log: &mut LogReader, config: &Config, compacted: &mut Compacted) -> Result<Offset, EngineError> {
    let full = log.full_segments()?;
    let old = older_than(&full, config.store.keep.cutoff(now()));
    let cut = old.last().map_or(log.start(), |segment| segment.end);
    compacted.records = cut.0 - log.start().0;
    compacted.segments = old.len() as u64;
    compacted.size_bytes = old.iter().map(|segment| segment.size_bytes).sum();
    compacted.from = old.first().map(|segment| segment.from);
    compacted.to = old.last().map(|segment| segment.to);
    (compacted.log_start, compacted.log_end) = (cut.0, log.end().0);
    Ok(cut)
}

/// The segments that stay and whose answers are too old.
fn old_answers(log: &mut LogReader, config: &Config, cut: Offset) -> Result<Vec<FullSegment>, EngineError> {
    let full = log.full_segments()?;
    let old = older_than(&full, config.store.keep_served.cutoff(now()));
    Ok(old.iter().filter(|segment| segment.first >= cut).cloned().collect())
}

/// The checkpoint from which a log that begins at `cut` is folded: near enough, so that few people's records lie before it.
fn checkpoint_at(log: &mut LogReader, checkpoints: &Checkpoints, cut: Offset) -> Result<Option<Offset>, EngineError> {
    if cut == Offset(0) {
        return Ok(None);
    }
    let full = log.full_segments()?;
    let until = full.iter().find(|segment| segment.first == cut).map_or(log.end(), |stays| stays.end);
    Ok(first_between(checkpoints, cut, until)?)
}

/// Counts what is no longer possible when the records before `cut` are gone.
fn count_losses(
    log: &mut LogReader,
    checkpoints: &Checkpoints,
    settings: &LearnSettings,
    cut: Offset,
    compacted: &mut Compacted,
) -> Result<(), EngineError> {
    if cut == log.start() {
        return Ok(());
    }
    let mut users: BTreeSet<UserId> = BTreeSet::new();
    let mut next = log.start();
    while next < cut {
        next = log.read(next, CHUNK.min((cut.0 - next.0) as usize), |record| {
            if let Some(user) = record.body.names().0.filter(|user| !users.contains(*user)) {
                users.insert(user.clone());
            }
        })?;
    }
    compacted.users = users.len() as u64;
    let recovered = recover(log, checkpoints, settings, log.end(), true)?;
    let windows = recovered.learner.lineage().windows().iter();
    compacted.suspect_windows =
        windows.filter(|window| !window.released && window.from < cut).map(|window| window.from.0).collect();
    compacted.quarantined = recovered.facts.quarantine.range(..cut).count() as u64;
    Ok(())
}

/// Makes sure that everything after `cut` can be folded without the records before it: from a checkpoint near `cut`, and from one after
/// the last record that looks back. Returns the records learned for it.
fn cover(
    log: &mut LogReader,
    checkpoints: &Checkpoints,
    settings: &LearnSettings,
    cut: Offset,
) -> Result<u64, EngineError> {
    let mut learned = 0;
    if checkpoint_at(log, checkpoints, cut)?.is_none() {
        learned += write_checkpoint(log, checkpoints, settings, cut)?;
    }
    let resume = checkpoints.newest()?.map_or(Offset(0), |newest| newest.checkpoint.header().resume);
    if resume < cut || find_look_back(log, resume..log.end(), cut)?.is_some() {
        learned += write_checkpoint(log, checkpoints, settings, log.end())?;
    }
    Ok(learned)
}

/// Writes a checkpoint of both folds at `at`; returns the records learned for it.
fn write_checkpoint(
    log: &mut LogReader,
    checkpoints: &Checkpoints,
    settings: &LearnSettings,
    at: Offset,
) -> Result<u64, EngineError> {
    let mut recovered = recover(log, checkpoints, settings, at, true)?;
    let from = recovered.learner.end();
    recovered.catch_up(log)?;
    save(checkpoints, |end| log.sum_before(end), &recovered.facts, &recovered.learner)?;
    Ok(at.0 - from.0)
}
