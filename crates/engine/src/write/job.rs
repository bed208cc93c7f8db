//! What the writer can be asked to do.

use accrue_event::{Check, Event, EventId, RawEvent, RawItem, RawPatch, RawUser};
use accrue_store::{Body, Detached, Facts, Offset, SourcePosition};
use tokio::sync::oneshot;

use super::absent::Absent;
use super::batch::{Change, Incoming, Ingested, Sender};
use crate::error::EngineError;

/// A job of the writer, with the place where its answer goes.
pub(crate) enum Job {
    /// Take events in.
    Events(Vec<Incoming<RawEvent>>, Sender, Reply<Ingested>),
    /// Describe items, and do this with those that are not listed.
    Items(Vec<Incoming<RawItem>>, Absent, Reply<Ingested>),
    /// Change some fields of items.
    Patches(Vec<Incoming<RawPatch>>, Reply<Ingested>),
    /// Describe users.
    Users(Vec<Incoming<RawUser>>, Reply<Ingested>),
    /// Tell which events the log has.
    Find(Vec<EventId>, Reply<Vec<bool>>),
    /// Give these events, as far as the log has them.
    Read(Vec<EventId>, Reply<Vec<Option<Event>>>),
    /// Take what came of a source, with how far it was read.
    Changes(Vec<Change>, Option<SourcePosition>, Reply<Ingested>),
    /// Write the records that an edit makes.
    Edit(Edit, Reply<Offset>),
    /// Judge quarantined records again, and take in those that pass.
    Release(Vec<Offset>, Reply<Ingested>),
    /// Drop quarantined records.
    Drop(Vec<Offset>, Reply<u64>),
    /// Take the segments before `cut` out of the log, unless a record from `searched` on looks back at them.
    Detach {
        /// The log begins there afterwards.
        cut: Offset,
        /// The records before this one were searched for such as look back.
        searched: Offset,
        /// `None` if a record looks back.
        reply: Reply<Option<Detached>>,
    },
    /// Stop.
    Close,
}

/// Makes records, given the facts and the check as they are when its turn comes.
pub(crate) type Edit = Box<dyn FnOnce(&Facts, &Check) -> Result<Vec<Body>, EngineError> + Send>;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;
