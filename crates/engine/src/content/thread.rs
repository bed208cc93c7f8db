//! The encoder's thread: gives new and changed items their vectors.
//!
//! In: the numbers of items whose texts may have changed, from the writer. Out: records, through the writer's queue. What
//! an encoder computed is in the log from then on, so nothing else ever needs the encoder. Items that were posted while
//! the server runs come before the rest of the catalogue, which is encoded from the first item to the last after a start
//! with a new encoder. An encoder that cannot be opened is tried again after increasing waits; items are served meanwhile
//! without vectors, or with those that they have.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use accrue_encode::{Encoder, Kind, eight_bits, item_text, text_hash};
use accrue_event::ItemId;
use accrue_store::{Body, Encoded, Facts, ItemIdx, ItemVector};
use tokio::sync::oneshot;

use super::{ContentConfig, ContentState};
use crate::backoff::Backoff;
use crate::shared::Shared;
use crate::write::job::Job;

/// Items encoded at once: a fifth of a second of work for a small network, after which newly posted items come first.
const BATCH: usize = 32;
/// Items that are looked at under one lock of the facts.
const LOOK: usize = 4_096;
/// How long to wait for the next change before looking whether the engine closes.
const PATIENCE: Duration = Duration::from_millis(40);
/// When an encoder or a write that failed is tried again.
const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));

/// What the thread works with.
pub(crate) struct EncoderThread {
    config: ContentConfig,
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    changed: VecDeque<ItemIdx>,
    /// Items of the catalogue that were not looked at yet.
    rest: Range<ItemIdx>,
}

/// Why the thread has nothing more to do.
struct Ended;

/// A text to encode.
struct Waiting {
    item: ItemId,
    text: String,
    hash: u64,
}

impl EncoderThread {
    pub fn new(config: ContentConfig, shared: Arc<Shared>, jobs: SyncSender<Job>) -> Self {
        let n_items = shared.facts.read().entries().len() as ItemIdx;
        {
            let mut status = shared.content.lock();
            (status.state, status.encoder) = (ContentState::Opening, config.encoder.clone());
            status.waiting = u64::from(n_items);
        }
        Self { config, shared, jobs, changed: VecDeque::new(), rest: 0..n_items }
    }

    /// Serves the queue until its sender is gone.
    pub fn run(mut self, changes: &Receiver<ItemIdx>) {
        // Either end means that the engine closes.
        if let Ok(encoder) = self.open(changes) {
            let Err(Ended) = self.encode_all(&encoder, changes);
        }
    }

    /// Opens the encoder, again and again until that succeeds.
    fn open(&mut self, changes: &Receiver<ItemIdx>) -> Result<Arc<Encoder>, Ended> {
        let mut retry = RETRY;
        loop {
            match Encoder::open(&self.config.encoder, &self.config.prefixes()) {
                Ok(encoder) => {
                    let mut status = self.shared.content.lock();
                    (status.space, status.last_error) = (Some(encoder.space().to_string()), None);
                    let encoder = Arc::new(encoder);
                    self.shared.queries.use_encoder(encoder.clone());
                    return Ok(encoder);
                }
                Err(error) => {
                    let wait = retry.fail();
                    tracing::error!(%error, wait_ms = wait.as_millis(), "the encoder cannot be opened; items get no vectors until it can");
                    self.fail(&error.to_string());
                    self.wait(wait, changes)?;
                }
            }
        }
    }

    fn fail(&self, error: &str) {
        let mut status = self.shared.content.lock();
        (status.state, status.last_error) = (ContentState::Failed, Some(error.to_owned()));
    }

    /// Waits, and takes changes meanwhile.
    fn wait(&mut self, time: Duration, changes: &Receiver<ItemIdx>) -> Result<(), Ended> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.take(changes, PATIENCE)?;
        }
        Ok(())
    }

    /// Takes the changes that have come, after waiting at most `patience` for the first.
    fn take(&mut self, changes: &Receiver<ItemIdx>, patience: Duration) -> Result<(), Ended> {
        match changes.recv_timeout(patience) {
            Ok(item) => self.changed.push_back(item),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Ended),
        }
        self.changed.extend(changes.try_iter());
        if self.shared.must_stop() { Err(Ended) } else { Ok(()) }
    }

    fn encode_all(
        &mut self,
        encoder: &Encoder,
        changes: &Receiver<ItemIdx>,
    ) -> Result<std::convert::Infallible, Ended> {
        let (space, mut retry) = (encoder.space().0, RETRY);
        self.report(space);
        loop {
            let is_idle = self.changed.is_empty() && self.rest.is_empty();
            self.take(changes, if is_idle { PATIENCE } else { Duration::ZERO })?;
            if self.changed.is_empty() && self.rest.is_empty() {
                continue;
            }
            let batch = self.next_batch(space);
            if let Err(fault) = self.encode(encoder, batch) {
                let wait = retry.fail();
                tracing::error!(%fault, wait_ms = wait.as_millis(), "items were not encoded; they are tried again");
                self.fail(&fault);
                self.rest = 0..self.shared.facts.read().entries().len() as ItemIdx;
                self.wait(wait, changes)?;
            } else {
                retry.succeed();
                self.report(space);
            }
        }
    }

    /// The next items whose texts have no vector in the space, at most [`BATCH`]: those that changed, then the rest.
    fn next_batch(&mut self, space: u64) -> Vec<Waiting> {
        let facts = self.shared.facts.read();
        let mut batch = Vec::new();
        for _ in 0..LOOK {
            if batch.len() == BATCH {
                break;
            }
            let Some(item) = self.changed.pop_front().or_else(|| self.rest.next()) else { break };
            // An item that changed twice is in the queue twice.
            let waiting = waiting(&facts, item, space);
            batch.extend(waiting.filter(|new| batch.iter().all(|other: &Waiting| other.item != new.item)));
        }
        batch
    }

    fn report(&self, space: u64) {
        let encoded = self.shared.facts.read().n_encoded(space);
        let mut status = self.shared.content.lock();
        (status.encoded, status.waiting) = (encoded, (self.changed.len() + self.rest.len()) as u64);
        status.state = if self.rest.is_empty() { ContentState::Current } else { ContentState::Encoding };
    }

    /// Encodes a batch, and waits until its records are in the log.
    fn encode(&self, encoder: &Encoder, batch: Vec<Waiting>) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = batch.iter().map(|waiting| &*waiting.text).collect();
        let vectors = encoder.encode(Some(Kind::Passage), &texts, 1).map_err(|error| error.to_string())?;
        let space = encoder.space().0;
        let bodies: Vec<Body> = batch
            .into_iter()
            .zip(vectors)
            .map(|(Waiting { item, hash, .. }, vector)| {
                let (scale, codes) = eight_bits(&vector);
                Body::Encoded(Box::new(ItemVector { item, space, text: hash, scale, codes }))
            })
            .collect();
        let (reply, answer) = oneshot::channel();
        let job = Job::Edit(Box::new(move |_, _| Ok(bodies)), reply);
        // Either failure of the channel means that the writer has ended, and so does the engine.
        self.jobs.send(job).map_err(|_| "the engine closes".to_string())?;
        match answer.blocking_recv() {
            Ok(written) => written.map(|_| ()).map_err(|error| error.to_string()),
            Err(_) => Err("the engine closes".into()),
        }
    }
}

/// What is to be encoded of an item: nothing if the shop has not described it, or if its text was encoded before.
fn waiting(facts: &Facts, item: ItemIdx, space: u64) -> Option<Waiting> {
    let entry = facts.entry(item).filter(|entry| entry.described)?;
    let text = item_text(&facts.described(item)?.to_item())?;
    let hash = text_hash(&text);
    let is_new = facts.encoded(item) != Encoded { space, text: hash };
    is_new.then(|| Waiting { item: entry.item.id.clone(), text, hash })
}
