//! The engine: a shop's data folder brought to life.
//!
//! One writer thread checks, appends and applies; one learner thread follows the log and publishes; any number of readers
//! answer from the facts and the published version. Requests reach the writer through a bounded queue and are committed in
//! groups: append → durable → applied to the facts → acknowledged.

use std::path::Path;

use accrue_event::{Item, ItemId, ItemPatch, RawEvent, RawItem, SessionId, User, UserId};
use accrue_serve::{RecommendRequest, Recommendation, SearchAnswer, SearchRequest};
use accrue_store::Offset;
use serde::Serialize;

use crate::config::Config;

/// What became of a batch of events. `received` = accepted + repaired + duplicates + quarantined.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ingested {
    /// Taken in as sent.
    pub accepted: u64,
    /// Taken in after repairs.
    pub repaired: u64,
    /// Known already by id.
    pub duplicates: u64,
    /// Refused, with reasons, in the order of the batch.
    pub quarantined: Vec<Refused>,
    /// The log's end after this batch: its records lie below.
    pub offset: u64,
}

/// A refused record of a batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Place in the batch, from 0.
    pub index: usize,
    /// Stable reason code.
    pub reason: &'static str,
    /// What exactly was wrong.
    pub detail: String,
}

/// Why the engine could not do what was asked. The HTTP layer turns these into problem documents.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The log cannot be written; reads go on.
    #[error("the log cannot be written: {0}")]
    Poisoned(String),
    /// The writer's queue is full.
    #[error("too many writes are waiting; try again shortly")]
    Overloaded,
    /// The engine is shutting down.
    #[error("the server is shutting down")]
    Closing,
    /// No such thing.
    #[error("{what} {id:?} is unknown")]
    NotFound {
        /// "item", "user", "quarantined record".
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The request cannot be answered as it is.
    #[error("{field}: {message}")]
    Invalid {
        /// Field of the request.
        field: &'static str,
        /// What was expected.
        message: String,
    },
    /// The data folder is not usable.
    #[error(transparent)]
    Store(#[from] accrue_store::StoreError),
}

/// A quarantined record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuarantinedRecord {
    /// Its place in the log: its name in `release` and `drop`.
    pub offset: u64,
    /// When it arrived (RFC 3339).
    pub received_at: accrue_event::Timestamp,
    /// Stable reason code.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
    /// The record as it was sent (JSON).
    pub raw: String,
}

/// Where the engine stands; what `/readyz`, `/metrics` and `/v1/quality` show.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Records in the log.
    pub log_end: u64,
    /// Records the published version has learned from.
    pub learned: u64,
    /// Number of the published version.
    pub version: u64,
    /// Whether the writer is poisoned, and why.
    pub poisoned: Option<String>,
    /// Items in the catalogue (described or met in events).
    pub n_items: u64,
    /// Users and guests known.
    pub n_shoppers: u64,
    /// Records in quarantine now.
    pub n_quarantined: u64,
    /// Events by repair code.
    pub repairs: std::collections::BTreeMap<String, u64>,
    /// Refusals by reason code.
    pub reasons: std::collections::BTreeMap<String, u64>,
    /// Events not kept because their id was known.
    pub duplicates: u64,
    /// Bytes copied by publications, per event learned.
    pub copied_bytes_per_event: f64,
    /// Prequential quality: predictions made before learning.
    pub quality: accrue_train::Quality,
}

/// A shop's data folder, opened. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Opens or creates the folder, recovers the newest checkpoint and the rest of the log, and starts the threads.
    pub fn open(_dir: &Path, _config: &Config) -> Result<Self, EngineError> {
        unimplemented!()
    }

    /// Takes a batch of events in. Blocks until it is durable and applied; call from a blocking context.
    /// Each entry is a raw record, or the reason why it could not even be read.
    pub fn ingest(&self, _batch: Vec<RawEvent>) -> Result<Ingested, EngineError> {
        unimplemented!()
    }

    /// The same without blocking the caller's thread.
    pub async fn ingest_async(&self, _batch: Vec<RawEvent>) -> Result<Ingested, EngineError> {
        unimplemented!()
    }

    /// New or changed items; with `sync`, items that are absent from the list are retired. Refused ones come back.
    pub async fn put_items(&self, _items: Vec<RawItem>, _sync: bool) -> Result<Ingested, EngineError> {
        unimplemented!()
    }

    /// Changes some fields of an item.
    pub async fn patch_item(&self, _id: ItemId, _patch: ItemPatch) -> Result<Item, EngineError> {
        unimplemented!()
    }

    /// Takes an item out of the shop.
    pub async fn retire_item(&self, _id: ItemId) -> Result<(), EngineError> {
        unimplemented!()
    }

    /// Describes a user.
    pub async fn put_user(&self, _user: User) -> Result<(), EngineError> {
        unimplemented!()
    }

    /// Forgets a user's description (not their events).
    pub async fn remove_user(&self, _id: UserId) -> Result<(), EngineError> {
        unimplemented!()
    }

    /// A guest turned out to be a user.
    pub async fn merge(&self, _session: SessionId, _user: UserId) -> Result<(), EngineError> {
        unimplemented!()
    }

    /// An item's description.
    pub fn item(&self, _id: &ItemId) -> Option<Item> {
        unimplemented!()
    }

    /// A user's description; a bare one for a user known from events alone.
    pub fn user(&self, _id: &UserId) -> Option<User> {
        unimplemented!()
    }

    /// Recommendations. CPU-bound, about a millisecond.
    pub fn recommend(&self, _request: &RecommendRequest) -> Result<Recommendation, EngineError> {
        unimplemented!()
    }

    /// Items like this one.
    pub fn similar(&self, _id: &ItemId, _n: usize, _filter: Option<&accrue_serve::filter::Filter>) -> Result<Recommendation, EngineError> {
        unimplemented!()
    }

    /// What the shop as a whole does lately.
    pub fn trending(&self, _n: usize, _filter: Option<&accrue_serve::filter::Filter>) -> Result<Recommendation, EngineError> {
        unimplemented!()
    }

    /// The newest items.
    pub fn new_items(&self, _n: usize, _filter: Option<&accrue_serve::filter::Filter>) -> Result<Recommendation, EngineError> {
        unimplemented!()
    }

    /// Search.
    pub fn search(&self, _request: &SearchRequest) -> Result<SearchAnswer, EngineError> {
        unimplemented!()
    }

    /// Records in quarantine, from `from` on, at most `limit`, optionally of one reason.
    pub fn quarantine(&self, _from: Offset, _limit: usize, _reason: Option<&str>) -> Result<Vec<QuarantinedRecord>, EngineError> {
        unimplemented!()
    }

    /// Judges quarantined records again under the rules of now and lets in those that pass; returns what became of them.
    pub async fn release(&self, _offsets: Vec<Offset>) -> Result<Ingested, EngineError> {
        unimplemented!()
    }

    /// Gives quarantined records up.
    pub async fn drop_quarantined(&self, _offsets: Vec<Offset>) -> Result<u64, EngineError> {
        unimplemented!()
    }

    /// Where the engine stands.
    pub fn status(&self) -> Status {
        unimplemented!()
    }

    /// Blocks until the learner has caught up with the log and published.
    pub fn wait_until_learned(&self) {
        unimplemented!()
    }

    /// Stops taking writes, lets the learner finish, writes a checkpoint, closes the log.
    pub fn close(&self) -> Result<(), EngineError> {
        unimplemented!()
    }
}
