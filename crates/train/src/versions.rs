//! Versions: the states of the models at certain offsets, what became of each, and the states that can be restored.
//!
//! A version opens when the one before it is sealed. After a number of choices it is *sealed*, and after some more
//! without an alarm it is confirmed as the *good version*. An alarm rolls the current model back to the good version:
//! what was learned since is sealed as *rolled back*, and its records become a *suspect window*. All of this is part of
//! the fold.

use accrue_store::Offset;
use serde::{Deserialize, Serialize};

use crate::ModelState;

/// Largest number of version entries.
const ENTRIES: usize = 256;
/// Largest number of suspect windows.
const WINDOWS: usize = 64;

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionStatus {
    /// It is open: the current model learns.
    Learning,
    /// Sealed, and not yet confirmed.
    #[serde(rename = "candidate")]
    Sealed,
    /// The latest confirmed version: an alarm restores it.
    Good,
    /// It was the good version; now a later one is.
    Superseded,
    /// An alarm or an operator undid it.
    RolledBack,
}

impl VersionStatus {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Sealed => "candidate",
            Self::Good => "good",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// The description of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Its number: 1, 2, 3 … along the log.
    pub number: u64,
    /// The version from which its learning began.
    pub parent: u64,
    /// The offset at which its learning began.
    pub begun: Offset,
    /// The offset at which it was sealed: the records before it were learned.
    pub offset: Offset,
    /// When the last of these records arrived, in milliseconds since 1970.
    pub received_ms: i64,
    /// Version of the program.
    pub build: Box<str>,
    /// Checksum of what the settings under which it was sealed have other than the defaults.
    pub settings: Box<str>,
    /// Choices of the stream on which the guard examined it.
    pub examined: u64,
    /// Its mean NDCG@20 over these choices, 0 to 1.
    pub ndcg: f64,
    /// Mean NDCG@20 of the good version over the same choices.
    pub ndcg_of_good: f64,
    /// Its mean NDCG@20 over the examined holdout choices.
    #[serde(rename = "anchor_ndcg")]
    pub holdout_ndcg: f64,
    /// Mean NDCG@20 of the good version over the same holdout choices.
    #[serde(rename = "anchor_ndcg_of_good")]
    pub holdout_ndcg_of_good: f64,
    /// What became of it.
    pub status: VersionStatus,
    /// Why.
    pub why: Box<str>,
}

/// Records that were learned and undone. They are left out until they are released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectWindow {
    /// The first record.
    pub from: Offset,
    /// The record after the last.
    pub to: Offset,
    /// The alarm or the decision that undid them.
    pub why: Box<str>,
    /// Whether they were released, and learned again.
    pub released: bool,
}

impl SuspectWindow {
    /// Whether the window contains the record.
    pub fn contains(&self, offset: Offset) -> bool {
        (self.from..self.to).contains(&offset)
    }
}

/// The versions, and the states of some of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Oldest first; the last one is open.
    entries: Vec<VersionEntry>,
    /// States with their version's number, oldest first.
    kept: Vec<(u64, ModelState)>,
    /// Number of the good version; 0 without one.
    good: u64,
    /// Number of the sealed version that is not confirmed yet.
    sealed: Option<u64>,
    /// Suspect windows, oldest first.
    windows: Vec<SuspectWindow>,
}

/// A lineage without its states, as a checkpoint keeps it; each state has sections of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    entries: Vec<VersionEntry>,
    /// Numbers of the states, oldest first.
    kept: Vec<u64>,
    good: u64,
    sealed: Option<u64>,
    windows: Vec<SuspectWindow>,
}

/// Facts about a version at the moment when it is sealed.
#[derive(Clone, Debug)]
pub(crate) struct Sealing {
    pub(crate) offset: Offset,
    pub(crate) received_ms: i64,
    pub(crate) settings: Box<str>,
    pub(crate) tallies: [crate::guard::Tally; 2],
}

impl Default for Lineage {
    fn default() -> Self {
        let mut lineage = Self { entries: Vec::new(), kept: Vec::new(), good: 0, sealed: None, windows: Vec::new() };
        lineage.open(1, 0, Offset(0));
        lineage
    }
}

impl Lineage {
    /// The entries of all versions that are listed, oldest first.
    pub fn entries(&self) -> &[VersionEntry] {
        &self.entries
    }

    /// The entry of one version.
    pub fn entry(&self, number: u64) -> Option<&VersionEntry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    /// The number of the open version.
    pub fn learning(&self) -> u64 {
        self.entries.last().map_or(1, |entry| entry.number)
    }

    /// The offset at which the open version began.
    pub fn begun(&self) -> Offset {
        self.entries.last().map_or(Offset(0), |entry| entry.begun)
    }

    /// The number and the state of the good version; `None` until a version is confirmed.
    pub fn good(&self) -> Option<(u64, &ModelState)> {
        Some((self.good, self.state(self.good)?))
    }

    /// The offset at which the good version was sealed; 0 without one.
    pub fn good_end(&self) -> Offset {
        self.entry(self.good).map_or(Offset(0), |entry| entry.offset)
    }

    /// The sealed version that is not confirmed yet.
    pub fn sealed(&self) -> Option<&VersionEntry> {
        self.entry(self.sealed?)
    }

    /// The state of a version, if it is kept.
    pub fn state(&self, number: u64) -> Option<&ModelState> {
        self.kept.iter().find(|(kept, _)| *kept == number).map(|(_, state)| state)
    }

    /// The numbers of the versions that can be restored.
    pub fn kept(&self) -> impl Iterator<Item = u64> + '_ {
        self.kept.iter().map(|(number, _)| *number)
    }

    /// Records that were learned and undone.
    pub fn windows(&self) -> &[SuspectWindow] {
        &self.windows
    }

    /// Checksum of the suspect windows. A challenger that began under another checksum learned records that it should
    /// have left out, or left out records that it should have learned.
    pub fn windows_digest(&self) -> String {
        let mut hashed = xxhash_rust::xxh3::Xxh3::new();
        for window in &self.windows {
            hashed.update(&window.from.0.to_le_bytes());
            hashed.update(&window.to.0.to_le_bytes());
            hashed.update(&[u8::from(window.released)]);
        }
        format!("{:016x}", hashed.digest())
    }

    /// The lineage without its states.
    pub(crate) fn listed(&self) -> Listed {
        Listed {
            entries: self.entries.clone(),
            kept: self.kept().collect(),
            good: self.good,
            sealed: self.sealed,
            windows: self.windows.clone(),
        }
    }

    /// Adds the states.
    pub(crate) fn of(listed: Listed, kept: Vec<(u64, ModelState)>) -> Self {
        let Listed { entries, good, sealed, windows, .. } = listed;
        Self { entries, kept, good, sealed, windows }
    }

    /// The numbers of the states that belong to it.
    pub(crate) fn kept_of(listed: &Listed) -> impl Iterator<Item = u64> + '_ {
        listed.kept.iter().copied()
    }

    pub(crate) fn kept_states(&self) -> impl Iterator<Item = (u64, &ModelState)> {
        self.kept.iter().map(|(number, state)| (*number, state))
    }

    pub(crate) fn kept_states_mut(&mut self) -> impl Iterator<Item = &mut ModelState> {
        self.kept.iter_mut().map(|(_, state)| state)
    }

    /// The states that the guard tests against, now or next: of the good and of the sealed version.
    pub(crate) fn tested_mut(&mut self) -> impl Iterator<Item = &mut ModelState> {
        let (good, sealed) = (self.good, self.sealed);
        let tested = move |number: u64| number == good || Some(number) == sealed;
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
            holdout_ndcg: 0.0,
            holdout_ndcg_of_good: 0.0,
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

    /// Empties the names of builds and settings.
    pub(crate) fn clear_labels(&mut self) {
        for entry in &mut self.entries {
            entry.build = "".into();
            entry.settings = "".into();
        }
    }

    /// Seals the open version with this status; the caller opens the next one.
    fn seal(&mut self, current: &ModelState, sealing: &Sealing, status: VersionStatus, why: &str) -> u64 {
        let entry = self.entries.last_mut().expect("one version is always open");
        let number = entry.number;
        let [stream, holdout] = &sealing.tallies;
        *entry = VersionEntry {
            offset: sealing.offset,
            received_ms: sealing.received_ms,
            settings: sealing.settings.clone(),
            examined: stream.n,
            ndcg: stream.current(),
            ndcg_of_good: stream.good(),
            holdout_ndcg: holdout.current(),
            holdout_ndcg_of_good: holdout.good(),
            status,
            why: why.into(),
            ..entry.clone()
        };
        self.kept.push((number, current.clone()));
        number
    }

    /// Seals the current model as the next version to be confirmed, and opens a version after it.
    pub(crate) fn seal_current(&mut self, current: &ModelState, sealing: &Sealing, n_kept: usize) {
        let number = self.seal(current, sealing, VersionStatus::Sealed, "");
        self.sealed = Some(number);
        self.open(number + 1, number, sealing.offset);
        self.trim(n_kept);
    }

    /// The sealed version has passed the tests: it becomes the good version.
    pub(crate) fn confirm(&mut self, n_kept: usize) {
        let Some(number) = self.sealed.take() else { return };
        self.set_good(number, "stood the tests");
        self.trim(n_kept);
    }

    fn set_good(&mut self, number: u64, why: &str) {
        if self.good != number {
            self.set_status(self.good, VersionStatus::Superseded, "a later version is good");
        }
        self.set_status(number, VersionStatus::Good, why);
        self.good = number;
        // It may be published, and an older version has no images.
        self.kept.iter_mut().filter(|(kept, _)| *kept == number).for_each(|(_, state)| state.refresh());
    }

    /// Undoes the current model and the sealed version before it, and returns the state of version `to`, from which
    /// learning goes on. The records after that version become a suspect window.
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
        if let Some(sealed) = self.sealed.take()
            && sealed != to
        {
            self.set_status(sealed, VersionStatus::RolledBack, why);
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
        let state = self.state(to).expect("the caller has checked that it is kept").clone();
        self.open(number + 1, to, sealing.offset);
        self.trim(n_kept);
        state
    }

    /// The records of `from..to` become suspect. A window that continues the last one extends it.
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

    /// An operator confirmed this version: the records that it learned are no longer suspect.
    pub(crate) fn clear_before_end_of(&mut self, number: u64) {
        let Some(end) = self.entry(number).map(|entry| entry.offset) else { return };
        // It learned the records of each window up to its own end.
        for window in self.windows.iter_mut().filter(|window| window.from < end && end <= window.to) {
            match end == window.to {
                true => window.released = true,
                false => window.from = end,
            }
        }
    }

    /// Makes `state`, a promoted challenger, the good version and opens a version after it.
    pub(crate) fn replace(
        &mut self,
        current: &ModelState,
        state: &ModelState,
        sealing: &Sealing,
        why: &str,
        n_kept: usize,
    ) {
        let number = self.seal(current, sealing, VersionStatus::Superseded, "a challenger replaced it");
        self.sealed = None;
        self.open(number + 1, number, sealing.offset);
        let challenger = self.seal(state, sealing, VersionStatus::Good, why);
        self.set_good(challenger, why);
        self.open(challenger + 1, challenger, sealing.offset);
        self.trim(n_kept);
    }

    /// Removes all states but those of the good and of the sealed version and the `n` latest of the others. Those are
    /// only kept to be chosen one day, so their images are dropped.
    fn trim(&mut self, n: usize) {
        let is_needed = |number: u64| number == self.good || Some(number) == self.sealed;
        let others = self.kept.iter().filter(|(number, _)| !is_needed(*number)).count();
        let mut surplus = others.saturating_sub(n);
        let (good, sealed) = (self.good, self.sealed);
        self.kept.retain(|(number, _)| {
            let goes = surplus > 0 && *number != good && Some(*number) != sealed;
            surplus -= usize::from(goes);
            !goes
        });
        let others = self.kept.iter_mut().filter(|(number, _)| *number != good && Some(*number) != sealed);
        others.for_each(|(_, state)| state.drop_images());
    }
}
