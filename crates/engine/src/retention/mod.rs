//! Retention: records that are older than the settings allow leave the log, as far as checkpoints cover them.
//!
//! In: a log in segments, checkpoints, settings, the time. Out: a log without its oldest segments, and tombstones in the place of old
//! answers. A segment goes when all its records are too old and a sound checkpoint lies at the beginning of what stays: from there on
//! everything can be folded again, so a person whose records are all in the log can still be forgotten exactly. Served answers share
//! segments with events and the log's digest is a chain over all of them, so they cannot be cut out of a segment: they are erased, as
//! forgetting erases records.

pub(crate) mod at_rest;
pub(crate) mod while_serving;

use accrue_event::Timestamp;
use accrue_store::{Checkpoint, Checkpoints, FullSegment, LogReader, Offset, StoreError};

/// The segments, oldest first, of which every record came in before `cutoff`.
fn older_than(full: &[FullSegment], cutoff: Option<Timestamp>) -> &[FullSegment] {
    let n = cutoff.map_or(0, |cutoff| full.iter().take_while(|segment| segment.to < cutoff).count());
    &full[..n]
}

/// The first sound checkpoint that needs nothing before `cut` and covers nothing from `until` on.
fn first_between(checkpoints: &Checkpoints, cut: Offset, until: Offset) -> Result<Option<Offset>, StoreError> {
    let is_usable =
        |offset: &Offset| *offset <= until && checkpoints.header_of(*offset).is_ok_and(|header| header.resume >= cut);
    Ok(checkpoints.list()?.into_iter().filter(is_usable).find(|offset| is_sound(checkpoints, *offset)))
}

fn is_sound(checkpoints: &Checkpoints, offset: Offset) -> bool {
    let verified = Checkpoint::open(&checkpoints.path_of(offset)).and_then(|checkpoint| {
        checkpoint.verify()?;
        Ok(checkpoint.header().offset == offset)
    });
    matches!(verified, Ok(true))
}

/// The records whose checksums checkpoints are bound to; they must stay as they are.
fn bound_by(checkpoints: &Checkpoints) -> Result<Vec<Offset>, StoreError> {
    let covered = checkpoints.list()?.into_iter();
    Ok(covered.filter_map(|covered| covered.0.checked_sub(1)).map(Offset).collect())
}

/// Where segments begin that need a checkpoint near their beginning, because the log begins there or, if it is pruned by age, will
/// begin there some day.
pub(crate) fn starts_to_cover(log: &LogReader, prunes: bool) -> Vec<Offset> {
    let mut starts = log.segment_starts();
    if !prunes {
        starts.truncate(1);
    }
    starts
}
