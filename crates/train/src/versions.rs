//! Versions: what the models was at certain offsets, what became of it, and the states that can be gone back to.
//!
//! A version is opened when the one before it is sealed, sealed as a *candidate* after some events, and *good* after some more
//! without an alarm. An alarm rolls the current model back to the good version; what it had learned since is sealed as *rolled back*, and
//! the records of that window are suspect. All of it is part of the fold.

use accrue_store::Offset;
use serde::{Deserialize, Serialize};

use crate::ModelState;

/// Version entries kept.
const ENTRIES: usize = 256;
/// Suspect windows kept.
const WINDOWS: usize = 64;

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    /// It is being learned.
    Learning,
    /// Sealed, not yet proved.
    Candidate,
    /// The last one known good: what an alarm goes back to.
    Good,
    /// Was good; a later one is.
    Superseded,
    /// An alarm or an operator took it out.
    RolledBack,
}

impl VersionStatus {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Candidate => "candidate",
            Self::Good => "good",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What is told of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Its number: 1, 2, 3 … along the log.
    pub number: u64,
    /// The version that it was learned on from.
    pub parent: u64,
    /// Where its own learning began.
    pub begun: Offset,
    /// The records before this offset were learned; where it was sealed.
    pub offset: Offset,
    /// When the last of them came in, in milliseconds since 1970.
    pub received_ms: i64,
    /// Version of the program.
    pub build: Box<str>,
    /// Checksum of the settings in force.
    pub settings: Box<str>,
    /// Choices examined on the stream while it was learned, and its mean NDCG@20 over them.
    pub examined: u64,
    /// Mean NDCG@20 over them, 0 to 1.
    pub ndcg: f64,
    /// Mean NDCG@20 of the good version over the same choices.
    pub ndcg_of_good: f64,
    /// Mean NDCG@20 over anchors.
    pub anchor_ndcg: f64,
    /// Mean NDCG@20 of the good version over the same anchors.
    pub anchor_ndcg_of_good: f64,
    /// What became of it.
    pub status: VersionStatus,
    /// Why.
    pub why: Box<str>,
}

/// Records that were learned and undone; they stay out until they are released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectWindow {
    /// The first record.
    pub from: Offset,
    /// The record after the last.
    pub to: Offset,
    /// What spoke against it.
    pub why: Box<str>,
    /// Learned after all.
    pub released: bool,
}

impl SuspectWindow {
    /// Whether the record lies in it.
    pub fn contains(&self, offset: Offset) -> bool {
        (self.from..self.to).contains(&offset)
    }
}

/// All versions, and the states of a few.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Oldest first; the last one is being learned.
    entries: Vec<VersionEntry>,
    /// States, by number, oldest first.
    kept: Vec<(u64, ModelState)>,
    good: u64,
    candidate: Option<u64>,
    /// Suspect windows, oldest first.
    windows: Vec<SuspectWindow>,
}

/// What a checkpoint keeps of a lineage besides the states, which have sections of their own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    entries: Vec<VersionEntry>,
    /// Numbers of the states, oldest first.
    kept: Vec<u64>,
    good: u64,
    candidate: Option<u64>,
    windows: Vec<SuspectWindow>,
}

/// The measure of a version as it is sealed.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    pub(crate) offset: Offset,
    pub(crate) received_ms: i64,
    pub(crate) settings: Box<str>,
    pub(crate) tallies: [crate::guard::Tally; 2],
}

impl Default for Lineage {
    fn default() -> Self {
        let mut lineage = Self { entries: Vec::new(), kept: Vec::new(), good: 0, candidate: None, windows: Vec::new() };
        lineage.open(1, 0, Offset(0));
        lineage
    }
}

impl Lineage {
    /// All that is known, oldest first.
    pub fn entries(&self) -> &[VersionEntry] {
        &self.entries
    }

    /// One version.
    pub fn entry(&self, number: u64) -> Option<&VersionEntry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    /// The number of the version that is being learned.
    pub fn learning(&self) -> u64 {
        self.entries.last().map_or(1, |entry| entry.number)
    }

    /// Where its learning began.
    pub fn begun(&self) -> Offset {
        self.entries.last().map_or(Offset(0), |entry| entry.begun)
    }

    /// The number of the last version known good, and its state; `None` in a young shop.
    pub fn good(&self) -> Option<(u64, &ModelState)> {
        Some((self.good, self.state(self.good)?))
    }

    /// Where the last version known good ends; 0 without one.
    pub fn good_end(&self) -> Offset {
        self.entry(self.good).map_or(Offset(0), |entry| entry.offset)
    }

    /// The version that is to prove itself.
    pub fn candidate(&self) -> Option<&VersionEntry> {
        self.entry(self.candidate?)
    }

    /// The state of a version, if it is kept.
    pub fn state(&self, number: u64) -> Option<&ModelState> {
        self.kept.iter().find(|(kept, _)| *kept == number).map(|(_, state)| state)
    }

    /// States that can be gone back to, by number.
    pub fn kept(&self) -> impl Iterator<Item = u64> + '_ {
        self.kept.iter().map(|(number, _)| *number)
    }

    /// Records that were learned and undone.
    pub fn windows(&self) -> &[SuspectWindow] {
        &self.windows
    }

    /// Checksum of what was disowned so far. A challenger begun under another one learned what it should not have, or left out what it
    /// should not.
    pub fn footing(&self) -> String {
        let mut hashed = xxhash_rust::xxh3::Xxh3::new();
        for window in &self.windows {
            hashed.update(&window.from.0.to_le_bytes());
            hashed.update(&window.to.0.to_le_bytes());
            hashed.update(&[u8::from(window.released)]);
        }
        format!("{:016x}", hashed.digest())
    }

    /// All but the states.
    pub(crate) fn listed(&self) -> Listed {
        Listed {
            entries: self.entries.clone(),
            kept: self.kept().collect(),
            good: self.good,
            candidate: self.candidate,
            windows: self.windows.clone(),
        }
    }

    /// The lineage with these states.
    pub(crate) fn of(listed: Listed, kept: Vec<(u64, ModelState)>) -> Self {
        let Listed { entries, good, candidate, windows, .. } = listed;
        Self { entries, kept, good, candidate, windows }
    }

    /// Numbers of the states that belong to it.
    pub(crate) fn kept_of(listed: &Listed) -> impl Iterator<Item = u64> + '_ {
        listed.kept.iter().copied()
    }

    pub(crate) fn kept_states(&self) -> impl Iterator<Item = (u64, &ModelState)> {
        self.kept.iter().map(|(number, state)| (*number, state))
    }

    pub(crate) fn kept_states_mut(&mut self) -> impl Iterator<Item = &mut ModelState> {
        self.kept.iter_mut().map(|(_, state)| state)
    }

    /// The good version and the candidate.
    pub(crate) fn tested_mut(&mut self) -> impl Iterator<Item = &mut ModelState> {
        let (good, candidate) = (self.good, self.candidate);
        let tested = move |number: u64| number == good || Some(number) == candidate;
        self.kept.iter_mut().filter(move |(number, _)| tested(*number)).map(|(_, state)| state)
    }

    fn open(&mut self, number: u64, parent: u64, begun: Offset) {
        self.entries.push(VersionEntry {
            number,
            parent,
            begun,
            offset: begun,
            received_ms: 0,
            build: env!("CARGO_PKG_VERSION").into(),
            settings: "".into(),
            examined: 0,
            ndcg: 0.0,
            ndcg_of_good: 0.0,
            anchor_ndcg: 0.0,
            anchor_ndcg_of_good: 0.0,
            status: VersionStatus::Learning,
            why: "".into(),
        });
        let surplus = self.entries.len().saturating_sub(ENTRIES);
        self.entries.drain(..surplus);
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut VersionEntry> {
        self.entries.iter_mut().find(|entry| entry.number == number)
    }

    fn set_status(&mut self, number: u64, status: VersionStatus, why: &str) {
        if let Some(entry) = self.entry_mut(number) {
            entry.status = status;
            entry.why = why.into();
        }
    }

    /// Seals the version that is being learned, with this status; the next one is opened by the caller.
    fn seal(&mut self, current: &ModelState, sealing: &Sealing, status: VersionStatus, why: &str) -> u64 {
        let entry = self.entries.last_mut().expect("one version is always being learned");
        let number = entry.number;
        let [stream, anchor] = &sealing.tallies;
        *entry = VersionEntry {
            offset: sealing.offset,
            received_ms: sealing.received_ms,
            settings: sealing.settings.clone(),
            examined: stream.n,
            ndcg: stream.current(),
            ndcg_of_good: stream.good(),
            anchor_ndcg: anchor.current(),
            anchor_ndcg_of_good: anchor.good(),
            status,
            why: why.into(),
            ..entry.clone()
        };
        self.kept.push((number, current.clone()));
        number
    }

    /// Seals the current model as the next candidate and goes on from it.
    pub(crate) fn propose(&mut self, current: &ModelState, sealing: &Sealing, n_kept: usize) {
        let number = self.seal(current, sealing, VersionStatus::Candidate, "");
        self.candidate = Some(number);
        self.open(number + 1, number, sealing.offset);
        self.trim(n_kept);
    }

    /// The candidate has stood the test.
    pub(crate) fn confirm(&mut self, n_kept: usize) {
        let Some(number) = self.candidate.take() else { return };
        self.set_good(number, "stood the tests");
        self.trim(n_kept);
    }

    fn set_good(&mut self, number: u64, why: &str) {
        if self.good != number {
            self.set_status(self.good, VersionStatus::Superseded, "a later version is good");
        }
        self.set_status(number, VersionStatus::Good, why);
        self.good = number;
    }

    /// Takes the current model out, with the candidate before it, and gives back the state to go on from: version `to`. The records
    /// that only they had learned become suspect.
    ///
    /// # Panics
    /// If the state of `to` is not kept.
    pub(crate) fn roll_back(
        &mut self,
        current: &ModelState,
        to: u64,
        sealing: &Sealing,
        why: &str,
        n_kept: usize,
    ) -> ModelState {
        let number = self.seal(current, sealing, VersionStatus::RolledBack, why);
        if let Some(candidate) = self.candidate.take()
            && candidate != to
        {
            self.set_status(candidate, VersionStatus::RolledBack, why);
        }
        for entry in &mut self.entries {
            if entry.number > to && matches!(entry.status, VersionStatus::Good | VersionStatus::Superseded) {
                entry.status = VersionStatus::RolledBack;
                entry.why = why.into();
            }
        }
        let from = self.entry(to).map_or(Offset(0), |entry| entry.offset);
        self.suspect(from, sealing.offset, why);
        self.set_good(to, &format!("version {number} was rolled back to it"));
        let state = self.state(to).expect("the caller looked whether it is kept").clone();
        self.open(number + 1, to, sealing.offset);
        self.trim(n_kept);
        state
    }

    /// The records from `from` to `to` become suspect; a window that goes on is one.
    pub(crate) fn suspect(&mut self, from: Offset, to: Offset, why: &str) {
        match self.windows.last_mut() {
            Some(last) if !last.released && last.from <= from && from <= last.to => last.to = last.to.max(to),
            _ => self.windows.push(SuspectWindow { from, to, why: why.into(), released: false }),
        }
        let surplus = self.windows.len().saturating_sub(WINDOWS);
        self.windows.drain(..surplus);
    }

    /// Marks the window that begins at `from` as released; `false` if there is none.
    pub(crate) fn release(&mut self, from: Offset) -> bool {
        let window = self.windows.iter_mut().find(|window| window.from == from && !window.released);
        window.map(|window| window.released = true).is_some()
    }

    /// An operator stands for this version: what it learned is no longer suspect.
    pub(crate) fn vouch_for(&mut self, number: u64) {
        let Some(end) = self.entry(number).map(|entry| entry.offset) else { return };
        // What lies before its end it has learned.
        for window in self.windows.iter_mut().filter(|window| window.from < end && end <= window.to) {
            match end == window.to {
                true => window.released = true,
                false => window.from = end,
            }
        }
    }

    /// Takes `state` as the current model, whatever it was learned by: a challenger that won.
    pub(crate) fn replace(
        &mut self,
        current: &ModelState,
        state: &ModelState,
        sealing: &Sealing,
        why: &str,
        n_kept: usize,
    ) {
        let number = self.seal(current, sealing, VersionStatus::Superseded, "a challenger replaced it");
        self.candidate = None;
        self.open(number + 1, number, sealing.offset);
        let challenger = self.seal(state, sealing, VersionStatus::Good, why);
        self.set_good(challenger, why);
        self.open(challenger + 1, challenger, sealing.offset);
        self.trim(n_kept);
    }

    /// Lets go of states beyond the good one, the candidate, and the `n` latest of the others.
    fn trim(&mut self, n: usize) {
        let is_needed = |number: u64| number == self.good || Some(number) == self.candidate;
        let others = self.kept.iter().filter(|(number, _)| !is_needed(*number)).count();
        let mut surplus = others.saturating_sub(n);
        let (good, candidate) = (self.good, self.candidate);
        self.kept.retain(|(number, _)| {
            let goes = surplus > 0 && *number != good && Some(*number) != candidate;
            surplus -= usize::from(goes);
            !goes
        });
    }
}
