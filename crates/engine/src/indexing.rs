//! The search index's thread: takes catalogue changes in and commits them several times a second.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use accrue_serve::search::{SearchError, SearchIndex};

use super::shared::Indexed;

/// How long to wait for the next change before looking whether a commit is due.
const PATIENCE: Duration = Duration::from_millis(40);

/// Serves the queue until its sender is gone, then commits what is left.
pub(super) fn run(mut index: SearchIndex, changes: &Receiver<Indexed>) {
    let started = Instant::now();
    loop {
        let change = changes.recv_timeout(PATIENCE);
        let ended = matches!(change, Err(RecvTimeoutError::Disconnected));
        let done = change.map_or(Ok(()), |change| take(&mut index, change));
        let done = done.and_then(|()| index.commit_if_due(started.elapsed().as_millis() as u64).map(|_| ()));
        if let Err(error) = done {
            tracing::error!(%error, "the search index stands still; it is rebuilt at the next start");
            return;
        }
        if ended {
            if let Err(error) = index.close() {
                tracing::warn!(%error, "the search index was not closed well; it is checked at the next start");
            }
            return;
        }
    }
}

fn take(index: &mut SearchIndex, change: Indexed) -> Result<(), SearchError> {
    match change {
        Indexed::Item(item_idx, item) => index.upsert(item_idx, &item),
        Indexed::Gone(item_idx) => index.remove(item_idx),
        Indexed::Covered(offset) => {
            index.set_covered(offset.0);
            Ok(())
        }
    }
}
