//! The search index's thread: takes changes of the catalogue and commits them several times a second.
//!
//! The index is derived from the catalogue. One that lacks something at the start, because the last process was killed or had no time
//! for it, gets all that the catalogue has: before the engine answers if that is soon done or it is empty, else beside the searches,
//! which are answered from its last commit meanwhile. One that fails (a full disk, too many open files, a folder that was deleted) is opened again
//! after increasing waits and filled from the catalogue; until that is done, searches are answered from its last commit, and the status
//! says so. If that fails several times for another reason than a full disk, the files themselves are in the way (a process that was
//! killed while it committed may leave one), so they are removed and the index is built in an empty folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use accrue_serve::search::{Opened, SearchError, SearchIndex, SearchReader, SearchSettings, has_han};
use accrue_store::{Facts, ItemIdx, Offset};

use super::index_change::IndexChange;
use crate::backoff::Backoff;
use crate::clock::now;
use crate::folder::{remove_search, search_in};
use crate::shared::Shared;
use crate::status::{IndexState, IndexStatus};

/// How long to wait for the next change before looking whether a commit is due.
const PATIENCE: Duration = Duration::from_millis(40);
/// When an index that failed is opened again.
const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(60));
/// Attempts with the files that are there, before they are removed.
const ATTEMPTS_WITH_FILES: u32 = 2;
/// Items copied under one lock of the facts while the index is filled.
const CHUNK: usize = 256;
/// Items of a catalogue that an index may get before the engine answers. It takes some seconds.
const SOON_DONE: usize = 10_000;
/// Changes taken from the queue between two looks at whether the engine closes.
const CHANGES: usize = 64;

/// An index, or what answers until it can be opened.
pub(crate) struct OpenedIndex {
    /// `None` if it failed.
    pub index: Option<SearchIndex>,
    pub reader: SearchReader,
    pub status: IndexStatus,
    /// Up to which change it holds the catalogue once its thread has filled it; `None` if it holds all.
    pub behind: Option<Offset>,
}

/// Opens the search index of a folder and gives it whatever it does not hold. If it cannot be written, its thread tries that again.
///
/// # Errors
/// If another process writes there, or the folder holds something else.
pub(crate) fn open(dir: &Path, settings: &SearchSettings, facts: &Facts) -> Result<OpenedIndex, SearchError> {
    match open_filled(dir, settings, facts) {
        Ok((index, behind)) => {
            let state = if behind.is_some() { IndexState::Building } else { IndexState::Current };
            let committed_at = behind.is_none().then(now);
            let status = IndexStatus { state, committed_at, ..IndexStatus::default() };
            Ok(OpenedIndex { reader: index.reader(), index: Some(index), status, behind })
        }
        Err(error @ (SearchError::Busy { .. } | SearchError::NotAnIndex { .. })) => Err(error),
        Err(error) => {
            tracing::error!(%error, "the search index cannot be opened; searches find nothing until it can");
            let reader = SearchIndex::open(None, settings.clone())?.reader();
            let mut status = IndexStatus::default();
            status.fail(error.to_string());
            Ok(OpenedIndex { index: None, reader, status, behind: None })
        }
    }
}

fn open_filled(
    dir: &Path,
    settings: &SearchSettings,
    facts: &Facts,
) -> Result<(SearchIndex, Option<Offset>), SearchError> {
    let mut index = SearchIndex::open(Some(&search_in(dir)), settings.clone())?;
    warn_if_rebuilt(&index);
    if index.covered() != facts.catalogue_changed.0 {
        let n_items = facts.entries().len();
        // One without a commit would find nothing meanwhile.
        if n_items > SOON_DONE && index.covered() > 0 {
            tracing::info!(
                n_items,
                "the search index is filled beside the answers, which come from its last commit meanwhile"
            );
            return Ok((index, Some(facts.catalogue_changed)));
        }
        for item in 0..facts.entries().len() as ItemIdx {
            apply(&mut index, IndexChange::of_item(facts, item))?;
        }
        apply(&mut index, IndexChange::Covered(facts.catalogue_changed))?;
        index.commit()?;
    }
    Ok((index, None))
}

fn warn_if_rebuilt(index: &SearchIndex) {
    if let Opened::Rebuilt { reason } = index.opened() {
        tracing::warn!(%reason, "the search index is built again");
    }
}

/// What the thread works with.
pub(crate) struct Indexer {
    dir: PathBuf,
    settings: SearchSettings,
    shared: Arc<Shared>,
    reader: SearchReader,
    index: Option<SearchIndex>,
    retry: Backoff,
    /// The next item whose texts may be suggested; `None` once the catalogue was read to its end.
    unread: Option<ItemIdx>,
    /// Up to which change the index holds the catalogue once that was read to its end; `None` if it holds all.
    behind: Option<Offset>,
    /// Whether no text of an item needed the dictionary of Chinese yet.
    is_without_han: bool,
    /// Failures since the index last worked that its files may have caused.
    n_failures: u32,
}

/// Why the thread has nothing more to do.
struct Ended;

impl Indexer {
    pub fn new(dir: &Path, settings: &SearchSettings, opened: OpenedIndex, shared: Arc<Shared>) -> Self {
        let OpenedIndex { index, reader, behind, .. } = opened;
        let mut retry = RETRY;
        let n_failures = u32::from(index.is_none());
        if index.is_none() {
            retry.fail();
        }
        Self {
            dir: dir.into(),
            settings: settings.clone(),
            shared,
            reader,
            index,
            retry,
            unread: Some(0),
            behind,
            is_without_han: true,
            n_failures,
        }
    }

    /// Serves the queue until its sender is gone, then commits what is left. What there is no time for is added at the next start.
    pub fn run(mut self, changes: &Receiver<IndexChange>) {
        let started = Instant::now();
        loop {
            self.read_suggestions();
            let Some(index) = &mut self.index else {
                match self.reopen(changes) {
                    Ok(()) => continue,
                    Err(Ended) => return,
                }
            };
            let patience = if self.unread.is_some() { Duration::ZERO } else { PATIENCE };
            let change = changes.recv_timeout(patience);
            let ended = matches!(change, Err(RecvTimeoutError::Disconnected));
            let must_stop = self.shared.must_stop();
            let changes: Vec<IndexChange> = change.into_iter().chain(changes.try_iter().take(CHANGES)).collect();
            suggest(&self.shared, &changes);
            if self.is_without_han && changes.iter().any(has_han_title) {
                self.is_without_han = false;
                load_dictionary(&self.reader);
            }
            let done = changes.into_iter().try_for_each(|change| match (change, &mut self.behind) {
                // It would say that the index holds the catalogue, and a process that is killed now would believe it.
                (IndexChange::Covered(offset), Some(behind)) => {
                    *behind = offset;
                    Ok(())
                }
                (change, _) => apply(index, change),
            });
            let done = done.and_then(|()| match ended && !must_stop {
                true => index.commit().map(|()| true),
                false => index.commit_if_due(started.elapsed().as_millis() as u64),
            });
            match done {
                Ok(false) => {}
                Ok(true) => self.shared.search.lock().committed_at = Some(now()),
                Err(error) => self.fail(&error),
            }
            if ended || must_stop {
                if let Some(Err(error)) = self.index.filter(|_| !must_stop).map(SearchIndex::close) {
                    tracing::warn!(%error, "the search index was not closed properly; it is checked at the next start");
                }
                return;
            }
        }
    }

    /// Takes in the texts of some more items, after the start. Changes meanwhile come through the queue.
    fn read_suggestions(&mut self) {
        let Some(next) = self.unread else { return };
        let items: Vec<IndexChange> = {
            let facts = self.shared.facts.read();
            let end = facts.entries().len() as ItemIdx;
            (next..end).take(CHUNK).map(|item| IndexChange::of_item(&facts, item)).collect()
        };
        suggest(&self.shared, &items);
        if self.is_without_han && items.iter().any(has_han_title) {
            self.is_without_han = false;
            load_dictionary(&self.reader);
        }
        self.unread = (!items.is_empty()).then_some(next + items.len() as ItemIdx);
        if let Err(error) = self.catch_up(items) {
            self.fail(&error);
        }
        if self.unread.is_none() {
            tracing::debug!("the suggestions are complete");
        }
    }

    /// Gives an index that is behind these items of the catalogue. Changes of them that wait in the queue are applied again later, in
    /// their order, so that the last one is what the index holds.
    fn catch_up(&mut self, items: Vec<IndexChange>) -> Result<(), SearchError> {
        let (Some(index), Some(offset)) = (&mut self.index, self.behind) else { return Ok(()) };
        items.into_iter().try_for_each(|item| apply(index, item))?;
        if self.unread.is_none() {
            index.set_covered(offset.0);
            index.commit()?;
            self.behind = None;
            let mut status = self.shared.search.lock();
            (status.state, status.committed_at) = (IndexState::Current, Some(now()));
            tracing::info!("the search index holds the catalogue");
        }
        Ok(())
    }

    fn fail(&mut self, error: &SearchError) {
        self.index = None;
        // What is opened again gets the whole catalogue.
        self.behind = None;
        self.n_failures += u32::from(!error.is_lack_of_space());
        let wait_ms = self.retry.fail().as_millis();
        tracing::error!(%error, wait_ms, "the search index failed; searches answer from its last commit until it is built again");
        self.shared.search.lock().fail(error.to_string());
    }

    /// Waits until the next attempt is due, and opens the index again.
    fn reopen(&mut self, changes: &Receiver<IndexChange>) -> Result<(), Ended> {
        // Changes are in the facts before they are sent, and the index is filled from these.
        while let Some(left) = self.retry.next().map(|next| next.saturating_duration_since(Instant::now())) {
            match changes.recv_timeout(left.min(PATIENCE)) {
                Err(RecvTimeoutError::Disconnected) => return Err(Ended),
                _ if self.shared.must_stop() => return Err(Ended),
                _ if left.is_zero() => break,
                _ => {}
            }
        }
        while changes.try_recv().is_ok() {}
        self.unread = Some(0);
        self.shared.search.lock().state = IndexState::Building;
        match self.fill() {
            Ok(index) => {
                self.index = index;
                self.retry.succeed();
                self.n_failures = 0;
                let mut status = self.shared.search.lock();
                (status.state, status.committed_at) = (IndexState::Current, Some(now()));
                tracing::info!("the search index is up to date again");
            }
            Err(error) => self.fail(&error),
        }
        Ok(())
    }

    /// The index, with all that the catalogue has; `None` if the engine closes.
    fn fill(&self) -> Result<Option<SearchIndex>, SearchError> {
        let covered = self.shared.facts.read().catalogue_changed;
        if self.n_failures > ATTEMPTS_WITH_FILES {
            tracing::warn!("the files of the search index are removed, and it is built again");
            remove_search(&self.dir)?;
        }
        let mut index = SearchIndex::reopen(&search_in(&self.dir), self.settings.clone(), self.reader.clone())?;
        warn_if_rebuilt(&index);
        if index.covered() == covered.0 {
            index.reload()?;
            return Ok(Some(index));
        }
        let mut next: ItemIdx = 0;
        loop {
            let items: Vec<IndexChange> = {
                let facts = self.shared.facts.read();
                let end = facts.entries().len() as ItemIdx;
                (next..end).take(CHUNK).map(|item| IndexChange::of_item(&facts, item)).collect()
            };
            if items.is_empty() {
                break;
            }
            if self.shared.must_stop() {
                return Ok(None);
            }
            next += items.len() as ItemIdx;
            items.into_iter().try_for_each(|item| apply(&mut index, item))?;
        }
        index.set_covered(covered.0);
        index.commit()?;
        Ok(Some(index))
    }
}

/// Whether a change brings an item whose title has Chinese characters.
fn has_han_title(change: &IndexChange) -> bool {
    matches!(change, IndexChange::Item(_, item) if item.title.as_deref().is_some_and(has_han))
}

/// Loads the dictionary of Chinese on a thread of its own, so that neither the start nor the first search waits for it.
/// Searches that come meanwhile wait for the rest of that time.
fn load_dictionary(reader: &SearchReader) {
    tracing::debug!("loading the dictionary of Chinese");
    let reader = reader.clone();
    // Without a thread the first search loads it.
    let _ = std::thread::Builder::new().name("accrue-han".into()).spawn(move || reader.load_dictionary());
}

/// Keeps what can be suggested.
fn suggest(shared: &Shared, changes: &[IndexChange]) {
    let items = changes.iter().filter_map(|change| match change {
        IndexChange::Item(item, described) => Some((*item, Some(&**described))),
        IndexChange::Removed(item) => Some((*item, None)),
        IndexChange::Covered(_) => None,
    });
    let mut items = items.peekable();
    if items.peek().is_some() {
        let mut suggestions = shared.suggestions.write();
        items.for_each(|(item, described)| suggestions.set(item, described));
    }
}

fn apply(index: &mut SearchIndex, change: IndexChange) -> Result<(), SearchError> {
    match change {
        IndexChange::Item(item_idx, item) => index.upsert(item_idx, &item),
        IndexChange::Removed(item_idx) => index.remove(item_idx),
        IndexChange::Covered(offset) => {
            index.set_covered(offset.0);
            Ok(())
        }
    }
}
