//! What the engine's threads share: the facts, the published version, and how far each has come.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use accrue_event::Item;
use accrue_model::Version;
use accrue_store::{Body, Facts, ItemIdx, Offset, Record};
use accrue_train::{Learner, Quality, Tally};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Condvar, Mutex, RwLock};

use super::Versions;
use super::challenging::Desk;
use super::served::ServedQueue;

/// How far the threads have come, and whether they are to stop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Records applied to the facts.
    pub applied: Offset,
    /// Records learned and published.
    pub learned: Offset,
    /// Somebody has something for the learner besides records.
    pub called: bool,
    /// Finish and stop.
    pub closing: bool,
    /// When closing: stop without finishing, and keep nothing.
    pub abandoned: bool,
}

/// What a version cannot tell of its learner.
#[derive(Clone, Debug, Default)]
pub(super) struct LearnerStatus {
    pub quality: Quality,
    /// What the guard examined since its tests began.
    pub tallies: [Tally; 2],
    pub n_learned: u64,
    pub n_repeats_passed: u64,
    pub copied_bytes: u64,
    /// What stopped the learner, if something did.
    pub failed: Option<String>,
}

impl LearnerStatus {
    /// What a learner tells that goes on.
    pub fn of(learner: &Learner) -> Self {
        Self {
            quality: learner.quality().clone(),
            tallies: learner.tallies(),
            n_learned: learner.n_learned(),
            n_repeats_passed: learner.n_repeats_passed(),
            copied_bytes: learner.ensemble().copied_bytes(),
            failed: None,
        }
    }
}

/// A change for the search index.
pub(super) enum Indexed {
    /// An item as it now is.
    Item(ItemIdx, Box<Item>),
    /// The item is gone.
    Gone(ItemIdx),
    /// All changes before this offset were handed over.
    Covered(Offset),
}

pub(super) struct Shared {
    pub facts: RwLock<Facts>,
    pub version: ArcSwap<Version>,
    /// The last version known good, for those whom it answers in any case.
    pub good: ArcSwapOption<Version>,
    pub versions: ArcSwap<Versions>,
    pub learner: ArcSwap<LearnerStatus>,
    pub poisoned: ArcSwapOption<String>,
    pub progress: Mutex<Progress>,
    pub moved: Condvar,
    pub index: Mutex<Option<Sender<Indexed>>>,
    pub served: ServedQueue,
    pub desk: Desk,
}

impl Shared {
    /// Folds committed records into the facts, wakes the learner, and hands catalogue changes to the search index.
    pub fn apply(&self, records: impl Iterator<Item = Record>) {
        let mut edited: Vec<ItemIdx> = Vec::new();
        let mut facts = self.facts.write();
        let known = facts.entries().len() as ItemIdx;
        for record in records {
            facts.apply(&record);
            let id = match &record.body {
                Body::Item(item) => Some(&item.id),
                Body::ItemPatched { id, .. } | Body::ItemRetired(id) => Some(id),
                _ => None,
            };
            edited.extend(id.and_then(|id| facts.items.get(id.as_str())).filter(|&item| item < known));
        }
        let end = facts.end;
        let new = known..facts.entries().len() as ItemIdx;
        self.hand_over(&facts, &edited, new);
        drop(facts);
        let mut progress = self.progress.lock();
        progress.applied = end;
        drop(progress);
        self.moved.notify_all();
    }

    /// Has the learner look up though no records came.
    pub fn call_learner(&self) {
        self.progress.lock().called = true;
        self.moved.notify_all();
    }

    fn hand_over(&self, facts: &Facts, edited: &[ItemIdx], new: Range<ItemIdx>) {
        let index = self.index.lock();
        let Some(index) = index.as_ref().filter(|_| !edited.is_empty() || !new.is_empty()) else { return };
        for item in edited.iter().copied().chain(new) {
            // The indexer outlives the writer; should it have failed, search says so and nothing else suffers.
            let _ = index.send(indexed(facts, item));
        }
        let _ = index.send(Indexed::Covered(facts.catalogue_changed));
    }

    /// Remembers what made the first write fail.
    pub fn poison(&self, cause: &str) {
        if self.poisoned.load().is_none() {
            self.poisoned.store(Some(Arc::new(cause.to_owned())));
            tracing::error!(%cause, "writes are refused from here on; reads go on");
        }
    }
}

/// An item's change for the index, as the facts have it.
pub(super) fn indexed(facts: &Facts, item: ItemIdx) -> Indexed {
    match facts.entry(item) {
        Some(entry) if !entry.retired => Indexed::Item(item, Box::new(entry.item.clone())),
        _ => Indexed::Gone(item),
    }
}
