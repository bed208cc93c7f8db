//! Forgetting: every record of a person becomes a tombstone, and what was learned with them is learned again without
//! them.
//!
//! In: a data folder's log and checkpoints, and users. Out: the log with tombstones, no checkpoint that includes one of
//! the records, and both folds computed again. They have the same bytes as if the tombstones had been there from the
//! start, because a tombstone is a step that changes nothing: offsets, and with them all random numbers, stay the same.
//! It can be repeated after a crash at any moment.
//!
//! A person's records are the events, descriptions and served answers that name the user; those of guests who were
//! merged into the user; the merges; and refused records that mention one of these names. Copies elsewhere (backups,
//! the shop's own files) are not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use accrue_event::{SessionId, Shopper, UserId};
use accrue_store::{Body, Checkpoints, Log, LogReader, Offset, Record, StoreError};

use crate::checkpoint::{CHUNK, find_look_back};
use crate::{LearnSettings, Recovered, TrainError, recover, save};

/// The records of some users in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Number of records by user, without users that have none.
    pub records: BTreeMap<UserId, u64>,
    /// Offsets of the records, ascending.
    pub offsets: Vec<Offset>,
    /// Those of them that an earlier erasure noted and did not erase. Their user is no longer known.
    noted: Vec<Offset>,
    /// Guests that were merged into one of the users.
    guests: BTreeMap<SessionId, UserId>,
    /// The records before this offset were searched.
    end: Offset,
}

impl Traces {
    /// The first of the records. Everything from there on has to be learned again.
    pub fn first(&self) -> Option<Offset> {
        self.offsets.first().copied()
    }

    /// The records before this offset were searched.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Adds records that an earlier erasure noted and did not erase. They are before [`Self::end`].
    pub fn add_noted(&mut self, noted: &[Offset]) {
        for offsets in [&mut self.noted, &mut self.offsets] {
            offsets.extend_from_slice(noted);
            offsets.sort_unstable();
            offsets.dedup();
        }
    }
}

/// The people whose records are sought: users, and guests that were merged into them.
struct People<'a> {
    users: &'a BTreeSet<UserId>,
    guests: &'a BTreeMap<SessionId, UserId>,
}

impl People<'_> {
    fn of(&self, user: Option<&UserId>, session: Option<&SessionId>) -> Option<&UserId> {
        match user {
            Some(user) => self.users.get(user),
            None => self.guests.get(session?),
        }
    }

    /// Of what a published key sent. Its user is a claim, and a merge says whose the session was.
    fn of_claim(&self, user: Option<&UserId>, session: Option<&SessionId>) -> Option<&UserId> {
        self.of(user, session).or_else(|| self.of(None, session))
    }

    fn of_record(&self, record: &Record, mentions: &impl Fn(&str, &str) -> bool) -> Option<&UserId> {
        match &record.body {
            Body::Quarantined { raw, .. } => {
                let guests = self.guests.iter().map(|(session, user)| (session.as_str(), user));
                let mut names = self.users.iter().map(|user| (user.as_str(), user)).chain(guests);
                names.find(|(name, _)| mentions(raw, name)).map(|(_, user)| user)
            }
            body => {
                let (user, session) = body.names();
                if body.is_of_published_key() { self.of_claim(user, session) } else { self.of(user, session) }
            }
        }
    }
}

/// The users, and of those named by an address every other spelling that the log has: `Ada@Example.com` and
/// `ada@example.com` are one person, and a shop that asks for one of them means both. Other ids are taken as they are.
///
/// # Errors
/// If the log cannot be read.
pub fn with_other_spellings(log: &mut LogReader, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, TrainError> {
    let mut found = users.clone();
    let addresses: BTreeSet<String> = users.iter().filter_map(address).collect();
    if addresses.is_empty() {
        return Ok(found);
    }
    let all = log.start()..log.end();
    walk(log, all, |record| {
        let of_event = record.body.event().and_then(|checked| checked.event.user.as_ref());
        if let Some(user) = of_event.or(record.body.names().0)
            && !found.contains(user)
            && address(user).is_some_and(|spelt| addresses.contains(&spelt))
        {
            found.insert(user.clone());
        }
    })?;
    Ok(found)
}

/// Whether two ids are spellings of one address.
pub fn is_same_person(a: &UserId, b: &UserId) -> bool {
    a == b || address(a).is_some_and(|spelt| address(b) == Some(spelt))
}

/// The one spelling of an address; `None` of an id that is none.
fn address(user: &UserId) -> Option<String> {
    user.as_str().contains('@').then(|| user.as_str().to_lowercase())
}

/// Finds every record of these users. `mentions` returns whether a refused record, as it was sent, contains a name.
///
/// # Errors
/// If the log cannot be read.
pub fn find_traces(
    log: &mut LogReader,
    users: &BTreeSet<UserId>,
    mentions: impl Fn(&str, &str) -> bool,
) -> Result<Traces, TrainError> {
    let mut traces = Traces::default();
    // A guest's events come before the merge record that names the user, so merges are read first.
    let end = log.end();
    walk(log, log.start()..end, |record| {
        if let Body::Merged { session, user } = &record.body
            && users.contains(user)
        {
            traces.guests.insert(session.clone(), user.clone());
        }
    })?;
    traces.take(log, log.start()..end, users, &mentions)?;
    traces.end = end;
    Ok(traces)
}

impl Traces {
    /// Searches the records that were appended since the last search. If a guest was merged into one of the users in
    /// between, the whole log is searched again, because earlier records may be the guest's; then `false` is returned.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn follow(
        &mut self,
        log: &mut LogReader,
        users: &BTreeSet<UserId>,
        mentions: impl Fn(&str, &str) -> bool,
    ) -> Result<bool, TrainError> {
        let n_guests = self.guests.len();
        let range = self.end..log.end();
        let guests = &mut self.guests;
        walk(log, range.clone(), |record| {
            if let Body::Merged { session, user } = &record.body
                && users.contains(user)
            {
                guests.insert(session.clone(), user.clone());
            }
        })?;
        let is_same = self.guests.len() == n_guests;
        if is_same {
            self.end = range.end;
            self.take(log, range, users, &mentions)?;
        } else {
            let noted = std::mem::take(&mut self.noted);
            *self = find_traces(log, users, mentions)?;
            self.add_noted(&noted);
        }
        Ok(is_same)
    }

    fn take(
        &mut self,
        log: &mut LogReader,
        range: Range<Offset>,
        users: &BTreeSet<UserId>,
        mentions: &impl Fn(&str, &str) -> bool,
    ) -> Result<(), TrainError> {
        let Self { records, offsets, guests, .. } = self;
        let people = People { users, guests };
        walk(log, range, |record| {
            if let Some(user) = people.of_record(record, mentions) {
                *records.entry(user.clone()).or_default() += 1;
                offsets.push(record.offset);
            }
        })
    }
}

fn walk(log: &mut LogReader, range: Range<Offset>, mut f: impl FnMut(&Record)) -> Result<(), TrainError> {
    let Range { start: mut next, end } = range;
    while next < end {
        let read = log.read(next, CHUNK.min((end.0 - next.0) as usize), |record| f(&record))?;
        if read == next {
            break;
        }
        next = read;
    }
    Ok(())
}

/// Refuses to forget users if records of theirs were learned and then pruned, or if the log cannot be learned again
/// from before their first record on. A log that was never pruned is not refused.
///
/// # Errors
/// [`TrainError::Pruned`], [`TrainError::NoCheckpointBefore`] or [`TrainError::LooksBehindStart`]; or if a file cannot
/// be read.
pub fn refuse_if_pruned(
    log: &mut LogReader,
    checkpoints: &Checkpoints,
    settings: &LearnSettings,
    users: &BTreeSet<UserId>,
    traces: &Traces,
) -> Result<(), TrainError> {
    let start = log.start();
    if start == Offset(0) {
        return Ok(());
    }
    // Records of people without any in the log may have been learned before its beginning.
    let first = traces.first().unwrap_or(traces.end());
    let before = match recover(log, checkpoints, settings, first, true) {
        Err(TrainError::Store(StoreError::Pruned { .. })) => None,
        recovered => Some(recovered?).filter(|before| before.learner.end() >= start),
    };
    let before = before.ok_or(TrainError::NoCheckpointBefore { first, start })?;
    let known = |user: &&UserId| {
        let names = [Shopper::User((*user).clone()), Shopper::PublishedUser((*user).clone())];
        names.iter().any(|name| before.facts.shopper(name).is_some())
    };
    if let Some(user) = users.iter().find(known) {
        return Err(TrainError::Pruned { user: user.clone(), start });
    }
    if traces.first().is_none() {
        return Ok(());
    }
    let end = log.end();
    match find_look_back(log, before.learner.end()..end, start)? {
        Some(record) => Err(TrainError::LooksBehindStart { record, start }),
        None => Ok(()),
    }
}

/// Removes the checkpoints that include one of these records, then turns the records into tombstones. Returns the
/// number of removed checkpoints. Repeating it has no further effect.
///
/// # Errors
/// If a file cannot be read or written. It may be repeated then.
pub fn erase(log: &mut Log, checkpoints: &Checkpoints, offsets: &[Offset]) -> Result<u64, TrainError> {
    let Some(&first) = offsets.iter().min() else { return Ok(0) };
    // The checkpoints are removed first, so that after a crash no state that includes the users is loaded.
    let removed = checkpoints.remove_after(first)?;
    log.erase(offsets)?;
    Ok(removed)
}

/// Folds the log again from the newest remaining checkpoint, and saves the result. `progress` is called with the offset
/// reached.
///
/// # Errors
/// If the log cannot be read or the checkpoint not written.
pub fn rebuild(
    log: &mut LogReader,
    checkpoints: &Checkpoints,
    settings: &LearnSettings,
    mut progress: impl FnMut(Offset),
) -> Result<(Recovered, Offset), TrainError> {
    let end = log.end();
    let mut recovered = recover(log, checkpoints, settings, end, true)?;
    let from = recovered.learner.end();
    while recovered.learner.end() < end {
        let before = recovered.learner.end();
        recovered.catch_up_by(log, 16 * CHUNK as u64)?;
        progress(recovered.learner.end());
        if recovered.learner.end() == before {
            break;
        }
    }
    save(checkpoints, |end| log.sum_before(end), &recovered.facts, &recovered.learner)?;
    Ok((recovered, from))
}
