//! Saving, resuming and verifying both folds.
//!
//! A checkpoint contains the facts and the learned state, each at its own offset. Recovery loads the newest sound one
//! and folds the rest of the log into the facts. The learner stays where the checkpoint had it, and catches up while
//! the server already answers.

use std::ops::{Deref, Range};

use accrue_store::{
    Body, Checkpoint, CheckpointHeader, Checkpoints, Facts, LogReader, Offset, OlderParts, Record, SectionSource,
    StoreError, Unread, UnreadReason, Written,
};

use crate::gate::{EarlierRecords, Take};
use crate::{LearnSettings, Learner, TrainError};

/// Number of records read at once.
pub(crate) const CHUNK: usize = 4_096;

/// Writes a checkpoint: `facts` at their offset, and `learner` at its own, which is not later. `facts` may be the guard
/// of a lock; it is dropped as soon as the facts are written, because the learner's part takes longer and needs no
/// lock. `last_record` returns the checksum of the record before an offset ([`LogReader::sum_before`]), which binds the
/// checkpoint to its log.
///
/// # Errors
/// If the folder cannot be written. Then no unfinished file is left in it.
pub fn save(
    checkpoints: &Checkpoints,
    last_record: impl FnOnce(Offset) -> Result<Option<u64>, StoreError>,
    facts: impl Deref<Target = Facts>,
    learner: &Learner,
) -> Result<Written, TrainError> {
    let header = CheckpointHeader {
        offset: facts.end,
        resume: facts.end.min(learner.end()),
        last_record: last_record(facts.end)?,
        seed: learner.settings().seed,
        instruction_set: accrue_kernel::InstructionSet::detect().name().into(),
        build: env!("CARGO_PKG_VERSION").into(),
    };
    let mut writer = checkpoints.writer(&header)?;
    facts.save(&mut writer)?;
    drop(facts);
    learner.save(&mut writer)?;
    Ok(writer.finish()?)
}

/// Both folds, recovered from a checkpoint and the log.
pub struct Recovered {
    /// The facts, up to the requested offset.
    pub facts: Facts,
    /// The learned state, as the checkpoint had it.
    pub learner: Learner,
    /// The offset of the checkpoint; `None` without one.
    pub checkpoint: Option<Offset>,
    /// Checkpoints that were damaged and skipped; each deserves a warning.
    pub skipped: Vec<StoreError>,
    /// Sections of the checkpoint that were not used as they are; each deserves a warning ([`Recovered::warnings`]).
    pub unread: Vec<Unread>,
    /// Whether the log has all records, so that parts of the facts that an older build counted were folded again.
    pub is_whole: bool,
}

/// Loads the newest sound checkpoint at or before `until` (if `from_checkpoint`) and folds the log's facts up to
/// `until`. Of a section that this build cannot use only that part is lost: facts are folded again from the log, a part
/// of the models restarts empty.
///
/// # Errors
/// If the log cannot be read, or begins after what the checkpoints cover, or is not the one that a checkpoint was made
/// from.
pub fn recover(
    log: &mut LogReader,
    checkpoints: &Checkpoints,
    settings: &LearnSettings,
    until: Offset,
    from_checkpoint: bool,
) -> Result<Recovered, TrainError> {
    refuse_another_log(log, checkpoints)?;
    let mut skipped = Vec::new();
    let found = match from_checkpoint.then(|| checkpoints.newest_up_to(until)).transpose() {
        // No checkpoint is sound. Nothing is lost as long as the log has all records.
        Err(
            error @ (StoreError::Version { .. } | StoreError::BrokenCheckpoint { .. } | StoreError::Foreign { .. }),
        ) if log.start() == Offset(0) => {
            skipped.push(error);
            None
        }
        found => found?.flatten(),
    };
    let settings = settings_for(log, settings)?;
    let is_whole = log.start() == Offset(0);
    let mut recovered = match found {
        None => Recovered {
            facts: Facts::new(settings.history_capacity),
            learner: Learner::new(settings),
            checkpoint: None,
            skipped,
            unread: Vec::new(),
            is_whole,
        },
        Some(found) => {
            let (mut facts, learner, unread) = load(&found.checkpoint, log, &settings)?;
            if is_whole && unread.iter().any(|unread| matches!(unread.reason, UnreadReason::Converted { .. })) {
                fold_again(&mut facts, log)?;
            }
            let checkpoint = Some(found.checkpoint.header().offset);
            Recovered { facts, learner, checkpoint, skipped: found.skipped, unread, is_whole }
        }
    };
    recovered.learner.share_histories(&recovered.facts, usize::MAX);
    recovered.read_on(log, until)?;
    Ok(recovered)
}

/// Folds the parts of the facts again that an older build counted in another way, from the beginning of the log to the
/// facts' offset.
fn fold_again(facts: &mut Facts, log: &mut LogReader) -> Result<(), TrainError> {
    let (mut parts, mut next) = (OlderParts::default(), Offset(0));
    while next < facts.end {
        let limit = CHUNK.min((facts.end.0 - next.0) as usize);
        let read = log.read(next, limit, |record| parts.apply(facts, &record))?;
        if read == next {
            break;
        }
        next = read;
    }
    parts.replace_in(facts);
    Ok(())
}

/// The settings with the seed and the length of histories that the log began with. They cannot change with time: a state that was
/// learned with others could not be computed again from the log.
fn settings_for(log: &mut LogReader, settings: &LearnSettings) -> Result<LearnSettings, TrainError> {
    let mut first = None;
    if log.start() == Offset(0) && log.end() > Offset(0) {
        log.read(Offset(0), 1, |record| {
            if let Body::Settings(text) = record.body {
                first = Some(text);
            }
        })?;
    }
    let Some(text) = first else { return Ok(settings.clone()) };
    let first = LearnSettings::from_record(&text).map_err(|error| TrainError::Settings(error.to_string()))?.settings;
    Ok(LearnSettings { seed: first.seed, history_capacity: first.history_capacity, ..settings.clone() })
}

/// Refuses a log that has lost records or was replaced by another one: the checkpoint's state was not computed from it.
fn refuse_another_log(log: &mut LogReader, checkpoints: &Checkpoints) -> Result<(), TrainError> {
    let Some(&covered) = checkpoints.list()?.last() else { return Ok(()) };
    let path = checkpoints.path_of(covered).display().to_string();
    if covered > log.end() {
        return Err(TrainError::LogTooShort { end: log.end(), path, covered });
    }
    // A damaged header binds to no log. Whether the file is used is decided where it is read.
    let header = checkpoints.header_of(covered).ok().filter(|header| header.offset == covered);
    let Some(last_record) = header.and_then(|header| header.last_record) else { return Ok(()) };
    match log.sum_before(covered)? {
        Some(sum) if sum != last_record => Err(TrainError::LogReplaced { record: covered.0 - 1, path, covered }),
        _ => Ok(()),
    }
}

/// Both folds, as far as this build can use the checkpoint, and the sections that were not used.
fn load(
    checkpoint: &Checkpoint,
    log: &LogReader,
    settings: &LearnSettings,
) -> Result<(Facts, Learner, Vec<Unread>), TrainError> {
    let mut source = SectionSource::new(checkpoint);
    let facts = Facts::load(&mut source)?;
    let learner = Learner::load(&mut source, facts.as_ref())?;
    let unread = source.into_unread();
    let is_whole = log.start() == Offset(0);
    // What is missing can be folded again from the log, unless its beginning was pruned.
    if (facts.is_none() || learner.is_none()) && !is_whole {
        let is_used = |unread: &Unread| matches!(unread.reason, UnreadReason::Converted { .. });
        let needed =
            |unread: &&Unread| (unread.section.starts_with("facts/") && !is_used(unread)) || is_needed(&unread.section);
        let what = unread.iter().find(needed).map(ToString::to_string).unwrap_or_default();
        return Err(TrainError::Section { what, path: checkpoint.path().display().to_string(), start: log.start() });
    }
    let learner = match learner {
        Some(mut learner) => {
            learner.note_unread(&unread);
            learner.share_memory();
            learner
        }
        None => Learner::new(settings.clone()),
    };
    let facts = facts.unwrap_or_else(|| Facts::new(learner.settings().history_capacity));
    Ok((facts, learner, unread))
}

/// Whether the learned state cannot be used without this section.
fn is_needed(section: &str) -> bool {
    matches!(section, "learned/core" | "learned/lineage")
}

/// What becomes of a section that an older build counted in another way, where the log lacks its first records.
const COUNTS_STAY: &str = "the log no longer has its first records, so the counts of the older build stay";

impl Recovered {
    /// The sections whose counts are those of an older build, with the reason: they cannot be compared with a replay.
    pub fn converted(&self) -> Vec<String> {
        let of_older = |unread: &&Unread| matches!(unread.reason, UnreadReason::Converted { .. }) && !self.is_whole;
        self.unread.iter().filter(of_older).map(|unread| format!("{unread}; {COUNTS_STAY}")).collect()
    }

    /// A sentence for each fault and its consequence, for the operator.
    pub fn warnings(&self) -> Vec<String> {
        let skipped = self.skipped.iter().map(|error| format!("a checkpoint was skipped: {error}"));
        let needed = self.unread.iter().any(|unread| is_needed(&unread.section));
        let unread = self.unread.iter().map(|unread| {
            let follows = match &*unread.section {
                _ if unread.reason == UnreadReason::Unknown => "it is left out",
                _ if matches!(unread.reason, UnreadReason::Converted { .. }) && self.is_whole => {
                    "this part of the facts is folded again from the log"
                }
                _ if matches!(unread.reason, UnreadReason::Converted { .. }) => COUNTS_STAY,
                section if section.starts_with("facts/") => "the facts are folded again from the log",
                _ if needed => "everything is learned again from the log",
                "learned/descriptions" => {
                    "descriptions of shoppers are taken from the facts, which may be some records ahead"
                }
                "learned/histories" => "histories are taken from the facts, which may be some records ahead",
                _ => "this part restarts empty and learns from here on, so a replay reaches another state",
            };
            format!("{unread}; {follows}")
        });
        let ignored = self.learner.ignored_settings().iter().map(|(offset, setting)| {
            format!(
                "the settings record at {offset} has `{setting}`, which this build does not know; its default is used"
            )
        });
        skipped.chain(unread).chain(ignored).collect()
    }

    /// Folds the log into the facts up to `until`.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn read_on(&mut self, log: &mut LogReader, until: Offset) -> Result<(), TrainError> {
        let facts = &mut self.facts;
        while facts.end < until {
            let before = facts.end;
            let limit = CHUNK.min((until.0 - before.0) as usize);
            log.read(before, limit, |record| facts.apply(&record))?;
            if facts.end == before {
                break;
            }
        }
        Ok(())
    }

    /// Lets the learner learn the log up to the offset of the facts.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn catch_up(&mut self, log: &mut LogReader) -> Result<(), TrainError> {
        self.catch_up_by(log, u64::MAX)
    }

    /// Lets the learner learn at most the next `n_records`.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn catch_up_by(&mut self, log: &mut LogReader, n_records: u64) -> Result<(), TrainError> {
        let until = self.facts.end.min(Offset(self.learner.end().0.saturating_add(n_records)));
        follow(&mut self.learner, &self.facts, log, until)
    }
}

/// Lets a learner learn the log from its offset up to `until`. The facts are at that offset or a later one.
///
/// # Errors
/// If the log cannot be read.
pub fn follow(learner: &mut Learner, facts: &Facts, log: &mut LogReader, until: Offset) -> Result<(), TrainError> {
    let (mut outcome, mut needs_earlier) = (Ok(()), None);
    while learner.end() < until && outcome.is_ok() {
        let (before, limit) = (learner.end(), CHUNK.min((until.0 - learner.end().0) as usize));
        log.read(before, limit, |record| {
            if outcome.is_ok() && needs_earlier.is_none() {
                let (offset, at_ms) = (record.offset, record.received_at.0);
                match record.body {
                    Body::Promoted { .. } | Body::WindowReleased { .. } => needs_earlier = Some(record),
                    _ => outcome = learner.step(offset, at_ms, facts.resolve(&record)),
                }
            }
        })?;
        learner.share_histories(facts, limit);
        if let Some(record) = needs_earlier.take() {
            outcome = look_back(learner, &record, &mut ResolvedLog { log, facts });
        } else if learner.end() == before {
            break;
        }
    }
    outcome
}

/// The first record that the log must still have for this one to be learned, if this one needs earlier records.
pub fn looks_back_to(body: &Body) -> Option<Offset> {
    match body {
        // A challenger needs descriptions and histories from the beginning, whichever choices it learns from.
        Body::Promoted { .. } => Some(Offset(0)),
        Body::WindowReleased { from, .. } => Some(*from),
        _ => None,
    }
}

/// The first record in `range` that needs records before `start`.
///
/// # Errors
/// If the log cannot be read.
pub fn find_look_back(log: &mut LogReader, range: Range<Offset>, start: Offset) -> Result<Option<Offset>, StoreError> {
    let (mut next, mut found) = (range.start, None);
    while next < range.end && found.is_none() {
        let read = log.read(next, CHUNK.min((range.end.0 - next.0) as usize), |record| {
            if looks_back_to(&record.body).is_some_and(|from| from < start) {
                found = found.or(Some(record.offset));
            }
        })?;
        if read == next {
            break;
        }
        next = read;
    }
    Ok(found)
}

/// Takes the next record if it is one that needs earlier records. All others are for [`Learner::step`].
///
/// # Errors
/// If the earlier records cannot be read.
pub fn look_back(learner: &mut Learner, record: &Record, earlier: &mut dyn EarlierRecords) -> Result<(), TrainError> {
    let (offset, at_ms) = (record.offset, record.received_at.0);
    match &record.body {
        Body::Promoted { challenge, why } => learner.promote(offset, at_ms, challenge, why, earlier),
        Body::WindowReleased { from, to } => learner.release(offset, at_ms, (*from, *to), earlier),
        _ => Ok(()),
    }
}

/// The records of the log, with names resolved by facts that include all of them.
pub struct ResolvedLog<'a> {
    /// The log.
    pub log: &'a mut LogReader,
    /// The facts.
    pub facts: &'a Facts,
}

impl EarlierRecords for ResolvedLog<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        let (mut next, mut outcome) = (from, Ok(()));
        if from < self.log.start() && from < to {
            return Err(TrainError::ChallengerPruned { start: self.log.start() });
        }
        while next < to && outcome.is_ok() {
            let limit = CHUNK.min((to.0 - next.0) as usize);
            let read = self.log.read(next, limit, |record| {
                if outcome.is_ok() {
                    outcome = take(record.offset, record.received_at.0, self.facts.resolve(&record));
                }
            })?;
            if read == next {
                break;
            }
            next = read;
        }
        outcome
    }
}
