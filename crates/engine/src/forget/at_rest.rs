//! Forgetting people in a data folder that no server has open: `accrue_train` finds and erases their records, this file handles the
//! folder around it.
//!
//! What is to be erased is written down first (`PendingErasure`), so the next opening of the folder finishes an erasure that a crash
//! interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use accrue_event::UserId;
use accrue_store::{Log, LogReader, Noted, Offset, PendingErasure};
use accrue_train::{
    Traces, digest, erase, find_traces, is_same_person, rebuild, refuse_if_pruned, with_other_spellings,
};
use serde::Serialize;

use super::mentions::mentions;
use crate::config::{Config, learn_settings};
use crate::error::EngineError;
use crate::folder::{checkpoints_in, remove_search};

/// What forgetting did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forgotten {
    /// Records by user.
    pub users: BTreeMap<UserId, u64>,
    /// Users of whom the log holds no record.
    pub unknown: Vec<UserId>,
    /// Records that became tombstones.
    pub records: u64,
    /// The first of them.
    pub first: Option<u64>,
    /// Checkpoints that held one of them, and were removed.
    pub checkpoints_removed: u64,
    /// Records folded again: the cost.
    pub replayed: u64,
    /// Digest of all states afterwards; `None` if nothing was done.
    pub state: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What the log holds of these users, without changing anything.
///
/// # Errors
/// If the folder holds no log or a damaged one, or if retention removed records that forgetting these users needs.
pub fn traces(dir: &Path, config: &Config, users: &BTreeSet<UserId>) -> Result<Forgotten, EngineError> {
    let started = Instant::now();
    let mut log = LogReader::open(config.log_place(dir))?;
    let users = &with_other_spellings(&mut log, users)?;
    let traces = find_traces(&mut log, users, mentions)?;
    refuse_if_pruned(&mut log, &checkpoints_in(dir), &learn_settings(config), users, &traces)?;
    // A checkpoint before the first record stays, and learning begins there.
    let checkpoints = checkpoints_in(dir).list()?;
    let kept = traces.first().and_then(|first| checkpoints.into_iter().rev().find(|&found| found <= first));
    let replayed = traces.first().map_or(0, |_| log.end().0 - kept.unwrap_or(log.start()).0);
    Ok(report(users, &traces, 0, replayed, None, started))
}

/// Forgets these users: their records become tombstones, and everything is learned again without them.
///
/// # Errors
/// If another process holds the folder, if the log was pruned too far, or a file cannot be read or written; then the next start
/// of the server, or this again, finishes what was begun.
pub fn forget(
    dir: &Path,
    config: &Config,
    users: &BTreeSet<UserId>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Forgotten, EngineError> {
    let started = Instant::now();
    let mut log = Log::open(config.log_place(dir), (&config.log).into())?;
    let pending = PendingErasure::of(dir);
    let begun = find_more(&mut log.reader(), &pending)?;
    if !begun.is_empty() {
        carry_out(&mut log, dir, config, &begun.offsets, |_, _| {})?;
    }
    let users = &with_other_spellings(&mut log.reader(), users)?;
    let traces = find_traces(&mut log.reader(), users, mentions)?;
    refuse_if_pruned(&mut log.reader(), &checkpoints_in(dir), &learn_settings(config), users, &traces)?;
    if traces.offsets.is_empty() {
        return Ok(report(users, &traces, 0, 0, None, started));
    }
    pending.begin(&traces.offsets, users)?;
    let done = carry_out(&mut log, dir, config, &traces.offsets, &mut progress)?;
    Ok(report(users, &traces, done.checkpoints_removed, done.replayed, Some(done.state), started))
}

/// Finishes an erasure that a crash interrupted; in most cases there is none. The records are gone when this returns. The next
/// opening of the folder learns the rest without them beside its other work: a server that had to learn a long log first would not
/// answer for that time, and would begin again whenever it is stopped meanwhile.
///
/// # Errors
/// Those of [`forget`].
pub fn finish_forgetting(dir: &Path, config: &Config) -> Result<(), EngineError> {
    let pending = PendingErasure::of(dir);
    if !pending.noted()?.is_empty() {
        let mut log = Log::open(config.log_place(dir), (&config.log).into())?;
        let begun = find_more(&mut log.reader(), &pending)?;
        tracing::warn!(
            n_records = begun.offsets.len(),
            "an erasure was interrupted; its records are erased before anything is served"
        );
        erase(&mut log, &checkpoints_in(dir), &begun.offsets)?;
        remove_search(dir)?;
        pending.end()?;
    }
    Ok(())
}

/// What was begun, with the records that its people left between the note and the end of the process that wrote it.
fn find_more(log: &mut LogReader, pending: &PendingErasure) -> Result<Noted, EngineError> {
    let begun = pending.noted()?;
    if begun.users.is_empty() {
        return Ok(begun);
    }
    let found = find_traces(log, &begun.users, mentions)?;
    Ok(pending.begin(&found.offsets, &begun.users)?)
}

/// What [`carry_out`] did.
struct CarriedOut {
    checkpoints_removed: u64,
    replayed: u64,
    state: String,
}

/// Erases these records, learns everything again without them, and removes the note. It may be repeated from any point.
fn carry_out(
    log: &mut Log,
    dir: &Path,
    config: &Config,
    offsets: &[Offset],
    mut progress: impl FnMut(u64, u64),
) -> Result<CarriedOut, EngineError> {
    let checkpoints = checkpoints_in(dir);
    let checkpoints_removed = erase(log, &checkpoints, offsets)?;
    // Items that only these people named are gone from the catalogue, so the index is built again.
    remove_search(dir)?;
    let (mut reader, end) = (log.reader(), log.end());
    let settings = learn_settings(config);
    let (recovered, from) = rebuild(&mut reader, &checkpoints, &settings, |at| progress(at.0, end.0))?;
    let state = digest(&mut reader, &recovered.facts, &recovered.learner)?.state;
    PendingErasure::of(dir).end()?;
    Ok(CarriedOut { checkpoints_removed, replayed: end.0 - from.0, state })
}

fn report(
    users: &BTreeSet<UserId>,
    traces: &Traces,
    checkpoints_removed: u64,
    replayed: u64,
    state: Option<String>,
    started: Instant,
) -> Forgotten {
    let is_unknown = |user: &&UserId| !traces.records.keys().any(|found| is_same_person(found, user));
    let asked = traces.records.iter().filter(|(user, _)| users.contains(*user));
    Forgotten {
        users: asked.map(|(user, &n_records)| (user.clone(), n_records)).collect(),
        unknown: users.iter().filter(is_unknown).cloned().collect(),
        records: traces.offsets.len() as u64,
        first: traces.first().map(|Offset(first)| first),
        checkpoints_removed,
        replayed,
        state,
        seconds: started.elapsed().as_millis() as f64 / 1e3,
    }
}
