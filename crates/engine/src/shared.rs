//! What the engine's threads share: the facts, the published version, and how far each thread is.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_event::ItemPatch;
use accrue_model::Version;
use accrue_serve::Suggestions;
use accrue_serve::search::SimilarSettings;
use accrue_store::{Body, Facts, ItemIdx, Offset, Record};
use accrue_train::{Learner, Quality, Tally};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::challenger::mailbox::Mailbox;
use crate::content::ContentStatus;
use crate::content::queries::QueryVectors;
use crate::recent_searches::RecentSearches;
use crate::status::{CheckpointStatus, IndexStatus, Status};
use crate::threads;
use crate::traffic::ServeConfig;
use crate::versions::Versions;
use crate::write::index_change::IndexChange;
use crate::write::served::ServedQueue;

/// How long the status waits for the facts. A page may hold them for longer, and while a writer waits for that page
/// nobody else can read them; probes are to be answered all the same.
pub(crate) const WAIT_FOR_FACTS: Duration = Duration::from_millis(20);

/// How far the threads are, and whether they are to stop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Records applied to the facts.
    pub applied: Offset,
    /// Records learned and published.
    pub learned: Offset,
    /// The learner has something to do besides learning from records.
    pub woken: bool,
    /// Finish and stop.
    pub closing: bool,
    /// When closing: what is not done at this moment is left to the next start.
    pub stop_at: Option<Instant>,
    /// When closing: stop at once, and without a checkpoint.
    pub abandoned: bool,
}

/// What is known of the learner besides the version that it published.
#[derive(Clone, Debug, Default)]
pub(crate) struct LearnerStatus {
    pub quality: Quality,
    /// The choices that the guard examined since its tests began.
    pub tallies: [Tally; 2],
    pub n_learned: u64,
    pub n_repeats_skipped: u64,
    /// Impressions that wait for what follows them, and those that found no place.
    pub impressions: [u64; 2],
    pub copied_bytes: u64,
    /// What stopped the learner, if something did.
    pub failed: Option<String>,
}

impl LearnerStatus {
    /// The status of a learner that is running.
    pub fn of(learner: &Learner) -> Self {
        Self {
            quality: learner.quality().clone(),
            tallies: learner.tallies(),
            n_learned: learner.n_learned(),
            n_repeats_skipped: learner.n_repeats_skipped(),
            impressions: [learner.clicks().n_waiting() as u64, learner.clicks().n_left_out()],
            copied_bytes: learner.ensemble().copied_bytes(),
            failed: None,
        }
    }
}

pub(crate) struct Shared {
    pub facts: RwLock<Facts>,
    /// What the status said of the facts last.
    pub last_status: Mutex<Status>,
    pub version: ArcSwap<Version>,
    /// The good version, for the share of shoppers that it always answers.
    pub good: ArcSwapOption<Version>,
    pub versions: ArcSwap<Versions>,
    pub learner: ArcSwap<LearnerStatus>,
    pub poisoned: ArcSwapOption<String>,
    pub progress: Mutex<Progress>,
    /// `progress` has changed.
    pub progressed: Condvar,
    pub index: Mutex<Option<Sender<IndexChange>>>,
    /// To the encoder's thread: items whose texts may have changed.
    pub changed_texts: Mutex<Option<Sender<ItemIdx>>>,
    pub content: Mutex<ContentStatus>,
    /// The vectors of queries, in a server with an encoder.
    pub queries: QueryVectors,
    pub served: ServedQueue,
    pub recent_searches: RecentSearches,
    pub mailbox: Mailbox,
    pub checkpoint: Mutex<CheckpointStatus>,
    pub search: Mutex<IndexStatus>,
    /// What can be suggested, kept by the index's thread.
    pub suggestions: RwLock<Suggestions>,
    /// Held while segments are removed, and while an erasure verifies that the records that it needs still exist.
    pub pruning: Mutex<()>,
}

impl Shared {
    /// The facts, and what the learner has learned, which is published; the other parts are empty. `record_share` is the share of answers
    /// that are recorded.
    pub fn new(facts: Facts, learner: &mut Learner, record_share: f64) -> Self {
        Self {
            progress: Mutex::new(Progress { applied: facts.end, learned: learner.end(), ..Progress::default() }),
            version: ArcSwap::from_pointee(learner.publish()),
            good: ArcSwapOption::from_pointee(learner.publish_good()),
            versions: ArcSwap::from_pointee(Versions::of(learner)),
            learner: ArcSwap::from_pointee(LearnerStatus::of(learner)),
            facts: RwLock::new(facts),
            last_status: Mutex::default(),
            poisoned: Default::default(),
            progressed: Condvar::new(),
            index: Mutex::default(),
            search: Mutex::default(),
            changed_texts: Mutex::default(),
            content: Mutex::default(),
            queries: QueryVectors::new(false, &SimilarSettings::default()),
            suggestions: RwLock::default(),
            served: ServedQueue::new(record_share),
            recent_searches: RecentSearches::default(),
            mailbox: Mailbox::default(),
            checkpoint: Mutex::default(),
            pruning: Mutex::default(),
        }
    }

    /// Applies committed records to the facts, wakes the learner, and passes changes of the catalogue to the search index.
    pub fn apply(&self, records: impl Iterator<Item = Record>) {
        let mut edited: Vec<ItemIdx> = Vec::new();
        let mut facts = self.facts.write();
        let known = facts.entries().len() as ItemIdx;
        for record in records {
            let (id, is_described) = match &record.body {
                Body::Item(item) => (Some(&item.id), true),
                Body::ItemPatched { id, patch } => (Some(id), changes_texts(patch)),
                Body::ItemRetired(id) => (Some(id), false),
                _ => (None, false),
            };
            // What describes a product may change before and after: the title may be what it lost.
            let mut describe = |facts: &Facts| {
                if let Some(item) = id.and_then(|id| facts.items.get(id.as_str())) {
                    let others = if is_described { facts.described_by(item) } else { &[] };
                    edited.extend(others.iter().chain([&item]).filter(|&&item| item < known));
                }
            };
            describe(&facts);
            facts.apply(&record);
            describe(&facts);
        }
        edited.sort_unstable();
        edited.dedup();
        let end = facts.end;
        let new = known..facts.entries().len() as ItemIdx;
        self.send_to_index(&facts, &edited, new);
        drop(facts);
        let mut progress = self.progress.lock();
        progress.applied = end;
        drop(progress);
        self.progressed.notify_all();
    }

    /// What the status says of the facts: of now, or what it said last if they are not free soon.
    pub fn status_of_facts(&self, serve: &ServeConfig) -> Status {
        let Some(facts) = self.facts.try_read_for(WAIT_FOR_FACTS) else { return self.last_status.lock().clone() };
        let status = Status::of_facts(&facts, serve);
        drop(facts);
        *self.last_status.lock() = status.clone();
        status
    }

    /// Whether the engine closes and no time is left for work that the next start can do as well.
    pub fn must_stop(&self) -> bool {
        let Progress { abandoned, stop_at, .. } = *self.progress.lock();
        abandoned || stop_at.is_some_and(|stop_at| Instant::now() >= stop_at)
    }

    /// Wakes the learner although there are no new records.
    pub fn wake_learner(&self) {
        self.progress.lock().woken = true;
        self.progressed.notify_all();
    }

    fn send_to_index(&self, facts: &Facts, edited: &[ItemIdx], new: Range<ItemIdx>) {
        if let Some(encoder) = &*self.changed_texts.lock() {
            // The encoder's thread outlives the writer, unless it has panicked.
            for item in edited.iter().copied().chain(new.clone()) {
                let _ = encoder.send(item);
            }
        }
        let index = self.index.lock();
        let Some(index) = index.as_ref().filter(|_| !edited.is_empty() || !new.is_empty()) else { return };
        for item in edited.iter().copied().chain(new) {
            // The indexer outlives the writer.
            let _ = index.send(IndexChange::of_item(facts, item));
        }
        let _ = index.send(IndexChange::Covered(facts.catalogue_changed));
    }

    /// Starts a thread; `tell` notes its panic where the status is read.
    pub fn thread(
        self: &Arc<Self>,
        name: &'static str,
        run: impl FnOnce() + Send + 'static,
        tell: fn(&Self, String),
    ) -> JoinHandle<()> {
        let shared = self.clone();
        threads::thread(name, run, move |why| tell(&shared, why))
    }

    /// Starts the learner's thread. After a panic the status says so, and nothing waits for the learner any longer.
    pub fn learner_thread(self: &Arc<Self>, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        self.thread("learner", run, |shared, why| shared.tell_learner_failed(Some(why)))
    }

    /// Says why nothing is learned, or with `None` that learning goes on. Whoever waits for the learner is woken.
    pub fn tell_learner_failed(&self, failed: Option<String>) {
        let status = LearnerStatus { failed, ..(**self.learner.load()).clone() };
        self.learner.store(Arc::new(status));
        self.progressed.notify_all();
    }

    /// Keeps the cause of the first write that failed; every later write is refused with it.
    pub fn poison(&self, cause: &str) {
        if self.poisoned.load().is_none() {
            self.poisoned.store(Some(Arc::new(cause.to_owned())));
            tracing::error!(%cause, "writes are refused from here on; reads continue");
        }
    }
}

/// Whether a change is of something that variants have from the description of their product.
fn changes_texts(patch: &ItemPatch) -> bool {
    let ItemPatch { title, description, brand, categories, tags, attributes, .. } = patch;
    let texts = [title, description, brand];
    texts.iter().any(|text| text.is_some()) || categories.is_some() || tags.is_some() || !attributes.is_empty()
}

#[cfg(test)]
mod tests {
    use accrue_train::LearnSettings;

    use super::*;

    #[test]
    fn a_learner_that_panics_is_reported_and_those_that_wait_for_it_are_woken() {
        let mut learner = Learner::new(LearnSettings::default());
        let shared = Arc::new(Shared::new(Facts::new(10), &mut learner, 1.0));
        let mut progress = shared.progress.lock();
        let panicking = shared.learner_thread(|| panic!("there is no room for a pair"));
        // The wait ends because the learner's end is told; the lock is free meanwhile.
        while shared.learner.load().failed.is_none() {
            shared.progressed.wait_for(&mut progress, std::time::Duration::from_millis(10));
        }
        drop(progress);
        assert!(panicking.join().is_err());
        let failed = shared.learner.load().failed.clone().unwrap_or_default();
        assert!(failed.contains("no room for a pair"), "{failed}");
    }
}
