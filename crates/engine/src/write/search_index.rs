//! The search index's thread: takes changes of the catalogue and commits them several times a second.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use accrue_event::Item;
use accrue_serve::search::{Opened, SearchError, SearchIndex, SearchSettings};
use accrue_store::{Facts, ItemIdx, Offset};

use crate::folder::search_in;

/// How long to wait for the next change before looking whether a commit is due.
const PATIENCE: Duration = Duration::from_millis(40);

/// A change for the search index.
pub(crate) enum IndexChange {
    /// The description of an item.
    Item(ItemIdx, Box<Item>),
    /// The item is no longer sold.
    Removed(ItemIdx),
    /// Every change before this offset was sent.
    Covered(Offset),
}

impl IndexChange {
    /// The item as the facts describe it now, with what it lacks from its product.
    pub fn of_item(facts: &Facts, item: ItemIdx) -> Self {
        let is_sold = facts.entry(item).is_some_and(|entry| !entry.retired);
        match facts.described(item).filter(|_| is_sold) {
            Some(described) => Self::Item(item, Box::new(described.to_item())),
            None => Self::Removed(item),
        }
    }
}

/// Opens the search index of a folder and gives it whatever it does not hold.
pub(crate) fn open(dir: &Path, settings: &SearchSettings, facts: &Facts) -> Result<SearchIndex, SearchError> {
    let mut index = SearchIndex::open(Some(&search_in(dir)), settings.clone())?;
    if let Opened::Rebuilt { reason } = index.opened() {
        tracing::warn!(%reason, "the search index is built again");
    }
    if index.covered() != facts.catalogue_changed.0 {
        for item in 0..facts.entries().len() as ItemIdx {
            apply(&mut index, IndexChange::of_item(facts, item))?;
        }
        apply(&mut index, IndexChange::Covered(facts.catalogue_changed))?;
        index.commit()?;
    }
    Ok(index)
}

/// Serves the queue until its sender is gone, then commits what is left.
pub(crate) fn run(mut index: SearchIndex, changes: &Receiver<IndexChange>) {
    let started = Instant::now();
    loop {
        let change = changes.recv_timeout(PATIENCE);
        let ended = matches!(change, Err(RecvTimeoutError::Disconnected));
        let done = change.map_or(Ok(()), |change| apply(&mut index, change));
        let done = done.and_then(|()| index.commit_if_due(started.elapsed().as_millis() as u64).map(|_| ()));
        if let Err(error) = done {
            tracing::error!(%error, "the search index is no longer updated; it is rebuilt at the next start");
            return;
        }
        if ended {
            if let Err(error) = index.close() {
                tracing::warn!(%error, "the search index was not closed properly; it is checked at the next start");
            }
            return;
        }
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
