//! The encoder's thread: gives new and changed items their vectors.
//!
//! In: the numbers of items whose texts may have changed, from the writer. Out: records, through the writer's queue.
//! What an encoder computed is in the log from then on, so nothing else ever needs the encoder. Items that were
//! posted while the server runs come before the rest of the catalogue, which is encoded from the first item to the
//! last after a start with a new encoder. An encoder that cannot be opened is tried again after increasing waits;
//! items are served meanwhile without vectors, or with those that they have. An item whose picture is not in the
//! folder is encoded without it, and looked at again every minute: a shop may post the product before it copies the
//! picture.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use accrue_encode::{EncodeError, EncodedItem, ItemEncoder, ItemInput, eight_bits};
use accrue_event::Item;
use accrue_store::{Body, Encoded, Facts, ItemIdx, ItemVector};
use tokio::sync::oneshot;

use super::{ContentConfig, ContentState, PictureStatus};
use crate::backoff::Backoff;
use crate::error::EngineError;
use crate::shared::Shared;
use crate::write::job::Job;

/// Items encoded at once: a fifth of a second of work for a small network, after which newly posted items come first.
const BATCH: usize = 32;
/// The same where pictures are read, which take longer.
const BATCH_WITH_PICTURES: usize = 8;
/// Items that are looked at for a batch.
const LOOK: usize = 4_096;
/// When items whose pictures were missing or unusable, which may be half copied, are looked at again, and how many are
/// remembered. All are after a start.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const MAX_MISSING: usize = 100_000;
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
    /// Items whose pictures were not there or could not be used, and when they were last looked at.
    missing: BTreeSet<ItemIdx>,
    looked: Instant,
}

/// Why the thread has nothing more to do.
struct Ended;

impl EncoderThread {
    pub fn new(config: ContentConfig, shared: Arc<Shared>, jobs: SyncSender<Job>) -> Self {
        let n_items = shared.facts.read().entries().len() as ItemIdx;
        {
            let mut status = shared.content.lock();
            (status.state, status.encoder) = (ContentState::Opening, config.encoder.clone());
            status.waiting = u64::from(n_items);
            let pictures = PictureStatus { encoder: config.image_encoder.clone(), ..PictureStatus::default() };
            status.pictures = Some(pictures).filter(|pictures| !pictures.encoder.is_empty());
        }
        let (changed, missing) = (VecDeque::new(), BTreeSet::new());
        Self { config, shared, jobs, changed, rest: 0..n_items, missing, looked: Instant::now() }
    }

    /// Serves the queue until its sender is gone.
    pub fn run(mut self, changes: &Receiver<ItemIdx>) {
        // Either end means that the engine closes.
        if let Ok(encoder) = self.open(changes) {
            let Err(Ended) = self.encode_all(&encoder, changes);
        }
    }

    /// Opens the encoder, again and again until that succeeds.
    fn open(&mut self, changes: &Receiver<ItemIdx>) -> Result<Arc<ItemEncoder>, Ended> {
        let mut retry = RETRY;
        loop {
            match ItemEncoder::open(&self.config.item_encoder()) {
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
        self.shared.content.lock().fail(error.to_owned());
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
        encoder: &ItemEncoder,
        changes: &Receiver<ItemIdx>,
    ) -> Result<std::convert::Infallible, Ended> {
        let (space, mut retry) = (encoder.space().0, RETRY);
        self.report(space);
        loop {
            let is_idle = self.changed.is_empty() && self.rest.is_empty();
            self.take(changes, if is_idle { PATIENCE } else { Duration::ZERO })?;
            self.look_again();
            if self.changed.is_empty() && self.rest.is_empty() {
                continue;
            }
            let batch = self.next_batch(encoder);
            if let Err(fault) = self.encode(encoder, batch) {
                let wait = retry.fail();
                tracing::error!(%fault, wait_ms = wait.as_millis(), "items were not encoded; they are tried again");
                self.fail(&fault.to_string());
                self.rest = 0..self.shared.facts.read().entries().len() as ItemIdx;
                self.wait(wait, changes)?;
            } else {
                retry.succeed();
                self.report(space);
            }
        }
    }

    /// Puts the items whose pictures were missing back into the queue, once their time has come.
    fn look_again(&mut self) {
        if !self.missing.is_empty() && self.looked.elapsed() >= LOOK_AGAIN {
            self.changed.extend(std::mem::take(&mut self.missing));
            self.looked = Instant::now();
        }
    }

    /// The next items that have no vector in the space for what is known of them now: those that changed, then the
    /// rest.
    fn next_batch(&mut self, encoder: &ItemEncoder) -> Vec<ItemInput> {
        let space = encoder.space().0;
        let most = if encoder.reads_pictures() { BATCH_WITH_PICTURES } else { BATCH };
        let mut batch: Vec<ItemInput> = Vec::new();
        for _ in 0..LOOK / BATCH {
            if batch.len() == most || self.changed.is_empty() && self.rest.is_empty() {
                break;
            }
            // Files are looked for without the lock of the facts: a disk may be slow.
            for (item, described, encoded) in self.copies(most - batch.len()) {
                let Some(input) = encoder.input(&described) else { continue };
                self.remember_missing(item, input.lacks_picture);
                let is_new = encoded != Encoded { space, text: input.hash };
                // An item that changed twice is in the queue twice.
                if input.is_known() && is_new && batch.iter().all(|other| other.id != input.id) {
                    batch.push(input);
                }
            }
        }
        batch
    }

    /// Copies of those of the next `n` items that the shop has described, and what was encoded of each last.
    fn copies(&mut self, n: usize) -> Vec<(ItemIdx, Item, Encoded)> {
        let facts = self.shared.facts.read();
        let next = std::iter::from_fn(|| self.changed.pop_front().or_else(|| self.rest.next()));
        let copy = |item| Some((item, described(&facts, item)?, facts.encoded(item)));
        next.take(n).filter_map(copy).collect()
    }

    fn remember_missing(&mut self, item: ItemIdx, lacks_picture: bool) {
        if !lacks_picture {
            self.missing.remove(&item);
        } else if self.missing.len() < MAX_MISSING {
            if self.missing.is_empty() {
                self.looked = Instant::now();
            }
            self.missing.insert(item);
        }
    }

    fn report(&self, space: u64) {
        let encoded = self.shared.facts.read().n_encoded(space);
        let mut status = self.shared.content.lock();
        (status.encoded, status.waiting) = (encoded, (self.changed.len() + self.rest.len()) as u64);
        status.state = if self.rest.is_empty() { ContentState::Current } else { ContentState::Encoding };
        if let Some(pictures) = &mut status.pictures {
            pictures.missing = self.missing.len() as u64;
        }
    }

    /// Counts the pictures of a batch, and tells why those that could not be used could not.
    fn report_pictures(&mut self, batch: &[ItemInput], encoded: &[EncodedItem]) {
        for (input, fault) in
            batch.iter().zip(encoded).filter_map(|(input, encoded)| Some((input, encoded.fault.as_ref()?)))
        {
            tracing::warn!(item = %input.id, %fault, "the item's picture cannot be used; its text is");
            let item = self.shared.facts.read().items.get(input.id.as_str());
            item.into_iter().for_each(|item| self.remember_missing(item, true));
        }
        let mut status = self.shared.content.lock();
        let Some(pictures) = &mut status.pictures else { return };
        for (input, encoded) in batch.iter().zip(encoded).filter(|(input, _)| input.has_picture()) {
            match &encoded.fault {
                Some(fault) => {
                    pictures.unusable += 1;
                    pictures.last_error = Some(format!("{}: {fault}", input.id));
                }
                None => pictures.encoded += 1,
            }
        }
    }

    /// Encodes a batch, and waits until its records are in the log.
    fn encode(&mut self, encoder: &ItemEncoder, batch: Vec<ItemInput>) -> Result<(), BatchError> {
        if batch.is_empty() {
            return Ok(());
        }
        let encoded = encoder.encode(&batch, 1)?;
        self.report_pictures(&batch, &encoded);
        let space = encoder.space().0;
        let bodies: Vec<Body> = batch
            .into_iter()
            .zip(encoded)
            .filter_map(|(ItemInput { id: item, hash: text, .. }, encoded)| {
                let (scale, codes) = eight_bits(&encoded.vector?);
                Some(Body::Encoded(Box::new(ItemVector { item, space, text, scale, codes })))
            })
            .collect();
        let (reply, answer) = oneshot::channel();
        let job = Job::Edit(Box::new(move |_, _| Ok(bodies)), reply);
        // Either failure of the channel means that the writer has ended, and so does the engine.
        self.jobs.send(job).map_err(|_| EngineError::Closing)?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closing))?;
        Ok(())
    }
}

/// Why a batch of items was not encoded.
#[derive(Debug, thiserror::Error)]
enum BatchError {
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] EncodeError),
    /// The vectors were not written.
    #[error(transparent)]
    Unwritten(#[from] EngineError),
}

/// An item with what it has from its product; `None` if the shop has not described it.
pub(crate) fn described(facts: &Facts, item: ItemIdx) -> Option<Item> {
    facts.entry(item).filter(|entry| entry.is_described())?;
    Some(facts.described(item)?.to_item())
}
