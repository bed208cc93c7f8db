//! [`Engine`]: writes, reads and the state of a shop's data folder.
//!
//! What an operator decides about versions and challengers is in `operator.rs`, forgetting in `forget/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accrue_event::{
    Check, Event, EventId, Item, ItemId, Outcome, RawEvent, RawItem, RawPatch, RawUser, Rejection, SessionId, User,
    UserId,
};
use accrue_serve::{ListRequest, NewListed, Recommendation, Shop};
use accrue_store::{Body, Facts, Offset, PendingErasure, SourcePosition};
use accrue_train::ResetSettings;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::challenger::status::{ChallengerState, ChallengerStatus};
use crate::clock::now;
use crate::config::Config;
use crate::error::{EngineError, Resource};
use crate::forget::at_rest::finish_forgetting;
use crate::forget::status::Erasure;
use crate::page_work::PageCounters;
use crate::running::{Running, Shutdown, WhenFull};
use crate::shared::Progress;
use crate::status::{ClickStatus, GuardStatus, Status};
use crate::totals::Totals;
use crate::traffic::Traffic;
use crate::transfer::take_up_parts;
use crate::visits::Visits;
use crate::what_if_status::WhatIfJob;
use crate::write::absent::{Absent, retirements};
use crate::write::addresses::AddressCounts;
use crate::write::batch::{Change, Incoming, Ingested, QuarantinedRecord, Refused, Sender};
use crate::write::job::{Job, Reply};
use crate::write::kept::KeptBytes;

/// Bytes of records after which a page of the quarantine ends.
const QUARANTINE_PAGE_BYTES: usize = 4 << 20;

/// A shop's data folder, opened. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// The folder, and the threads that work on it now.
pub(crate) struct Inner {
    pub dir: PathBuf,
    pub config: Config,
    /// `None` if the engine does not serve.
    pub resets: Option<ResetSettings>,
    pub running: ArcSwap<Running>,
    /// Writes hold it shared. Forgetting holds it alone while it replaces the threads, so that writes wait.
    pub writes: tokio::sync::RwLock<()>,
    /// The rules alone, without statistics of the stream.
    rules: Check,
    pub traffic: Traffic,
    pub totals: Totals,
    pub pages: PageCounters,
    pub visits: Visits,
    /// Pages that each address asked for with a published key and that are bounded.
    pub counted_pages: Mutex<AddressCounts>,
    /// Bytes of the log that pages with published keys took on this day.
    pub kept_pages: Mutex<KeptBytes<()>>,
    pub erasure: Erasure,
    pub what_if: WhatIfJob,
}

impl Engine {
    /// Opens or creates the folder, recovers the newest checkpoint and the rest of the log, and starts the threads.
    ///
    /// # Errors
    /// If another process holds the folder, or what lies there cannot be used.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, EngineError> {
        Self::start(dir, config, None)
    }

    /// [`Engine::open`] for a server, which runs for long: it also trains challengers, periodically as `learn.reset`
    /// says, and on request.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub fn open_to_serve(dir: &Path, config: &Config) -> Result<Self, EngineError> {
        Self::start(dir, config, Some(&config.learn.reset))
    }

    fn start(dir: &Path, config: &Config, resets: Option<&ResetSettings>) -> Result<Self, EngineError> {
        let mut config = config.clone();
        take_up_parts(dir, &mut config)?;
        let config = &config;
        let unfinished = match finish_forgetting(dir, config) {
            Ok(()) => None,
            // A server that answers without those records, and tries again, is better than none.
            Err(error) if resets.is_some() => Some((PendingErasure::of(dir).noted()?, error)),
            Err(error) => return Err(error),
        };
        let running = match &unfinished {
            None => Running::open(dir, config, resets)?,
            Some((noted, _)) => Running::open_without(dir, config, resets, &noted.offsets)?,
        };
        let inner = Inner {
            dir: dir.into(),
            config: config.clone(),
            resets: resets.cloned(),
            running: ArcSwap::from_pointee(running),
            writes: Default::default(),
            rules: Check::new(config.check_settings(), Default::default())?,
            traffic: Traffic::new(&config.serve),
            totals: Totals::default(),
            pages: PageCounters::default(),
            visits: Visits::default(),
            counted_pages: Mutex::default(),
            kept_pages: Mutex::default(),
            erasure: Erasure::default(),
            what_if: WhatIfJob::default(),
        };
        let engine = Self { inner: Arc::new(inner) };
        if let Some((noted, error)) = unfinished {
            engine.inner.erasure.hide(noted.users);
            engine.retry_erasure(&error);
        }
        Ok(engine)
    }

    pub(crate) fn running(&self) -> Arc<Running> {
        self.inner.running.load_full()
    }

    /// Takes a batch of events in: each is in the log or in quarantine, durably, when this returns.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Closing`].
    pub fn ingest(&self, batch: Vec<Incoming<RawEvent>>) -> Result<Ingested, EngineError> {
        self.ask_blocking(|reply| Job::Events(batch, Sender::Operator, reply))
    }

    /// [`Engine::ingest`] without blocking the caller's thread; refuses at once when too many writes wait. Events with
    /// a published key have ids, shoppers and statistics of the key's own, and create no items.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`], and [`EngineError::Overloaded`].
    pub async fn ingest_from(&self, sender: Sender, batch: Vec<Incoming<RawEvent>>) -> Result<Ingested, EngineError> {
        self.ask(|reply| Job::Events(batch, sender, reply)).await
    }

    /// Which of these events the log has, in the order of `ids`. Erased ones and those of pruned segments are not found.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`].
    pub fn has_events(&self, ids: Vec<EventId>) -> Result<Vec<bool>, EngineError> {
        self.ask_blocking(|reply| Job::Find(ids, reply))
    }

    /// These events as the log has them, in the order of `ids`; erased ones and those of pruned segments are not found.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`].
    pub fn find_events(&self, ids: Vec<EventId>) -> Result<Vec<Option<Event>>, EngineError> {
        self.ask_blocking(|reply| Job::Read(ids, reply))
    }

    /// New or changed items; `absent` says what becomes of items that are not in the list. Items whose description has
    /// not changed count as duplicates; refused ones go into quarantine.
    ///
    /// # Errors
    /// [`EngineError::UnsafeSync`], of which nothing was taken, and those of [`Engine::ingest_from`].
    pub async fn put_items(
        &self,
        items: Vec<Incoming<RawItem>>,
        absent: impl Into<Absent>,
    ) -> Result<Ingested, EngineError> {
        let absent = absent.into();
        self.ask(|reply| Job::Items(items, absent, reply)).await
    }

    /// [`Engine::put_items`] for callers without a runtime.
    ///
    /// # Errors
    /// Those of [`Engine::put_items`].
    pub fn put_items_blocking(&self, items: Vec<RawItem>, absent: impl Into<Absent>) -> Result<Ingested, EngineError> {
        let (items, absent) = (items.into_iter().map(Incoming::Record).collect(), absent.into());
        self.ask_blocking(|reply| Job::Items(items, absent, reply))
    }

    /// Retires every item that is not listed, for a catalogue that came in several batches; returns how many. Before the first of
    /// them, the facts had `n_before` items. The list
    /// names also the items whose records were refused, see [`Engine::item_id`].
    ///
    /// # Errors
    /// [`EngineError::UnsafeSync`], and those of [`Engine::ingest`].
    pub fn retire_absent_blocking(
        &self,
        n_before: usize,
        listed: BTreeSet<ItemId>,
        absent: Absent,
    ) -> Result<u64, EngineError> {
        let (count, counted) = std::sync::mpsc::channel();
        let edit = move |facts: &Facts, _: &Check| {
            let bodies = retirements(facts, n_before, &listed, absent)?;
            // The receiver waits for the answer of this very job.
            let _ = count.send(bodies.len() as u64);
            Ok(bodies)
        };
        self.ask_blocking(|reply| Job::Edit(Box::new(edit), reply))?;
        Ok(counted.recv().unwrap_or_default())
    }

    /// The item that a description is about, also where the description itself is refused; `None` if its id cannot be
    /// read.
    pub fn item_id(&self, raw: &RawItem) -> Option<ItemId> {
        self.inner.rules.item_id(raw)
    }

    /// New or changed descriptions of users. Those that have not changed count as duplicates; refused ones go into
    /// quarantine.
    ///
    /// # Errors
    /// Those of [`Engine::ingest_from`].
    pub async fn put_users(&self, users: Vec<Incoming<RawUser>>) -> Result<Ingested, EngineError> {
        self.ask(|reply| Job::Users(users, reply)).await
    }

    /// [`Engine::put_users`] for callers without a runtime: one commit for the batch.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`].
    pub fn put_users_blocking(&self, users: Vec<RawUser>) -> Result<Ingested, EngineError> {
        let users = users.into_iter().map(Incoming::Record).collect();
        self.ask_blocking(|reply| Job::Users(users, reply))
    }

    /// Changes some fields of items, through the check. Patches of items that the catalogue does not have are refused,
    /// and refused patches are not kept.
    ///
    /// # Errors
    /// Those of [`Engine::ingest_from`].
    pub async fn patch_items(&self, patches: Vec<Incoming<RawPatch>>) -> Result<Ingested, EngineError> {
        self.ask(|reply| Job::Patches(patches, reply)).await
    }

    /// [`Engine::patch_items`] for callers without a runtime.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`].
    pub fn patch_items_blocking(&self, patches: Vec<RawPatch>) -> Result<Ingested, EngineError> {
        let patches = patches.into_iter().map(Incoming::Record).collect();
        self.ask_blocking(|reply| Job::Patches(patches, reply))
    }

    /// Takes what came of a source in its order, and how far the source was read by that, in one commit: after a crash
    /// either both are in the log or neither is.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`].
    pub fn take_changes(
        &self,
        changes: Vec<Change>,
        position: Option<SourcePosition>,
    ) -> Result<Ingested, EngineError> {
        self.ask_blocking(|reply| Job::Changes(changes, position, reply))
    }

    /// How far a source was read; `None` if nothing of it was.
    pub fn source_position(&self, source: &str) -> Option<Box<str>> {
        self.running().shared.facts.read().sources.get(source).cloned()
    }

    /// Takes an item out of the shop, a product with its variants.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_from`].
    pub async fn retire_item(&self, id: ItemId) -> Result<(), EngineError> {
        self.edit(move |facts, _| {
            known_item(facts, &id)?;
            let mut bodies = vec![Body::ItemRetired(id.clone())];
            bodies.extend(variants_on_sale(facts, &id).into_iter().map(Body::ItemRetired));
            Ok(bodies)
        })
        .await
    }

    /// Removes a user's description (not their events).
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_from`].
    pub async fn remove_user(&self, id: UserId) -> Result<(), EngineError> {
        self.edit(move |facts, _| match facts.user(&id) {
            Some(_) => Ok(vec![Body::UserRemoved(id)]),
            None => Err(EngineError::NotFound { what: Resource::User, id: id.to_string() }),
        })
        .await
    }

    /// A guest turned out to be a user.
    ///
    /// # Errors
    /// Those of [`Engine::ingest_from`].
    pub async fn merge(&self, session: SessionId, user: UserId) -> Result<(), EngineError> {
        self.edit(move |_, _| Ok(vec![Body::Merged { session, user }])).await
    }

    /// Judges quarantined records again under the rules of now, and takes in those that pass; returns what became of
    /// them.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_from`].
    pub async fn release(&self, offsets: Vec<Offset>) -> Result<Ingested, EngineError> {
        self.ask(|reply| Job::Release(offsets, reply)).await
    }

    /// Drops quarantined records; returns how many.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_from`].
    pub async fn drop_quarantined(&self, offsets: Vec<Offset>) -> Result<u64, EngineError> {
        self.ask(|reply| Job::Drop(offsets, reply)).await
    }

    pub(crate) async fn edit(
        &self,
        edit: impl FnOnce(&Facts, &Check) -> Result<Vec<Body>, EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.ask(|reply| Job::Edit(Box::new(edit), reply)).await.map(|_| ())
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EngineError> {
        let _writes = self.inner.writes.read().await;
        let answer = self.running().submit(job, WhenFull::Refuse)?;
        answer.await.unwrap_or(Err(EngineError::Closing))
    }

    pub(crate) fn ask_blocking<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EngineError> {
        let _writes = self.inner.writes.blocking_read();
        let answer = self.running().submit(job, WhenFull::Wait)?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closing))
    }

    /// An item's description.
    pub fn item(&self, id: &ItemId) -> Option<Item> {
        let running = self.running();
        let facts = running.shared.facts.read();
        facts.find(id).filter(|place| !place.is_retired()).map(|place| place.read().into_owned().item)
    }

    /// A user's description; a bare one for a user known from events alone.
    pub fn user(&self, id: &UserId) -> Option<User> {
        if self.inner.erasure.hides(id) {
            return None;
        }
        self.running().shared.facts.read().user(id)
    }

    /// Items like this one. How many there are in all is not counted.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn similar(&self, id: &ItemId, list: &ListRequest) -> Result<Recommendation, EngineError> {
        self.with_shop(|shop| {
            let item = shop.facts.items.get(id.as_str()).ok_or_else(|| unknown_item(id))?;
            Ok(shop.similar(item, list))
        })
    }

    /// What the shop as a whole does lately.
    ///
    /// # Errors
    /// None at present.
    pub fn trending(&self, list: &ListRequest) -> Result<Recommendation, EngineError> {
        Ok(self.with_shop(|shop| {
            let total = Some(self.inner.totals.n_popular(&shop, list));
            Recommendation { total, ..shop.trending(list) }
        }))
    }

    /// The newest items.
    ///
    /// # Errors
    /// None at present.
    pub fn new_items(&self, list: &ListRequest) -> Result<Recommendation, EngineError> {
        Ok(self.with_shop(|shop| {
            let total = Some(self.inner.totals.n_on_sale(&shop, list));
            Recommendation { total, ..shop.new_items(list) }
        }))
    }

    /// The latest `n` new products, and how well each is known.
    pub fn library(&self, n: usize) -> Vec<NewListed> {
        let settings = &self.inner.config.serve.new_products;
        self.with_shop(|shop| shop.library(n, &settings.trial(true, 0)))
    }

    /// The events of a history that is given with a request: those that the check accepts, by the same rules as for
    /// events that are stored (except those about rates and outliers, which need a stream), and the others with the
    /// reason. Nothing is stored.
    pub fn judge_inline(&self, events: Vec<RawEvent>) -> (Vec<Event>, Vec<Refused>) {
        let running = self.running();
        let facts = running.shared.facts.read();
        let (mut history, mut refused) = (Vec::with_capacity(events.len()), Vec::new());
        for (index, raw) in events.into_iter().enumerate() {
            match self.inner.rules.judge(&raw, now(), |item| facts.known_item(item)) {
                Outcome::Accepted(event) | Outcome::Repaired(event, _) => history.push(event),
                Outcome::Quarantined(Rejection { reason, detail }) => {
                    refused.push(Refused { index, reason: reason.code().into(), detail: detail.into() });
                }
            }
        }
        (history, refused)
    }

    /// The settings that the folder was opened with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Runs a read against the facts and the version of this moment.
    pub fn with_shop<T>(&self, read: impl FnOnce(Shop<'_>) -> T) -> T {
        self.running().with_shop(read)
    }

    /// Records in quarantine from `from` on, optionally of one reason, and the offset of the one that follows them: at
    /// most `limit`, and fewer where they are long.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn quarantine(
        &self,
        from: Offset,
        limit: usize,
        reason: Option<&str>,
    ) -> Result<(Vec<QuarantinedRecord>, Option<Offset>), EngineError> {
        let running = self.running();
        let offsets: Vec<Offset> = {
            let facts = running.shared.facts.read();
            let wanted =
                facts.quarantine.range(from..).filter(|(_, known)| reason.is_none_or(|sought| sought == &***known));
            wanted.map(|(&offset, _)| offset).take(limit.saturating_add(1)).collect()
        };
        let mut log = running.log.lock();
        let mut records = Vec::with_capacity(offsets.len());
        let mut n_bytes = 0;
        for offset in offsets {
            if records.len() == limit || n_bytes > QUARANTINE_PAGE_BYTES {
                return Ok((records, Some(offset)));
            }
            let Some(record) = log.get(offset)? else { continue };
            if let Body::Quarantined { kind, reason, detail, raw, .. } = record.body {
                n_bytes += raw.len();
                let (reason, detail, raw) = (reason.into(), detail.into(), raw.into());
                records.push(QuarantinedRecord {
                    offset: offset.0,
                    received_at: record.received_at,
                    kind,
                    reason,
                    detail,
                    raw,
                });
            }
        }
        Ok((records, None))
    }

    /// The state of the engine. Probes ask for it, so it does not wait for a page: where the facts are not free within
    /// 20 ms, what it says of them is what it said last.
    pub fn status(&self) -> Status {
        let running = self.running();
        let shared = &running.shared;
        let learner = shared.learner.load();
        let version = shared.version.load();
        let checkpoint = shared.checkpoint.lock().clone();
        let of_facts = shared.status_of_facts(&self.inner.config.serve);
        let (pages, stages) = self.inner.pages.status();
        let Progress { learned, applied, .. } = *shared.progress.lock();
        Status {
            log_end: of_facts.log_end.max(applied.0),
            learned: learned.0,
            version: version.number,
            poisoned: shared.poisoned.load().as_ref().map(|cause| cause.to_string()),
            learner_failed: learner.failed.clone(),
            checkpoint_age_s: checkpoint.written_at.map(|at| now().0.saturating_sub(at.0).max(0) as f64 / 1e3),
            checkpoint,
            search: shared.search.lock().clone(),
            content: shared.content.lock().clone(),
            erasure_failed: self.inner.erasure.slot().status.failed.clone(),
            pages,
            stages,
            served_lost: shared.served.n_lost(),
            repeats_passed: learner.n_repeats_skipped,
            members: version.ensemble.members.reports(),
            clicks: ClickStatus::of(&version, learner.impressions),
            copied_bytes_per_event: learner.copied_bytes as f64 / learner.n_learned.max(1) as f64,
            quality: learner.quality.clone(),
            arms: version.arms.iter().flat_map(|(split, _)| &split.arms).map(|arm| arm.name.to_string()).collect(),
            guard: GuardStatus::of(&shared.versions.load(), learner.tallies),
            challenger: self.challenger_status(shared.versions.load().challenger.clone()),
            ..of_facts
        }
    }

    /// The challenger as the mailbox has it; `otherwise` if the engine does not serve.
    pub(crate) fn challenger_status(&self, otherwise: ChallengerStatus) -> ChallengerStatus {
        let now = self.running().shared.mailbox.status();
        if now.state == ChallengerState::Off { otherwise } else { now }
    }

    /// Blocks until everything that was applied by now is learned and published, or learning has failed.
    pub fn wait_until_learned(&self) {
        self.wait_until_learned_while(|_, _| true);
    }

    /// How many records of the log are learned and published, and how many there are.
    pub fn learned(&self) -> (u64, u64) {
        let Progress { learned, applied, .. } = *self.running().shared.progress.lock();
        (learned.0, applied.0)
    }

    /// [`Engine::wait_until_learned`], which ends as soon as `go_on` returns `false`. `go_on` is called several times
    /// a second, with the number of learned records and the number to learn.
    pub fn wait_until_learned_while(&self, mut go_on: impl FnMut(u64, u64) -> bool) {
        let running = self.running();
        let shared = &running.shared;
        let target = shared.progress.lock().applied;
        loop {
            let learned = {
                let mut progress = shared.progress.lock();
                if progress.learned < target && !progress.closing && shared.learner.load().failed.is_none() {
                    shared.progressed.wait_for(&mut progress, Duration::from_millis(100));
                }
                if progress.learned >= target || progress.closing || shared.learner.load().failed.is_some() {
                    return;
                }
                progress.learned
            };
            if !go_on(learned.0, target.0) {
                return;
            }
        }
    }

    /// Stops taking writes, gives the learner two seconds to catch up, writes a checkpoint where it is, closes the log.
    /// What is left to learn is learned after the next opening, and so is an erasure finished that is under way. Safe
    /// to call twice.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] if the log had failed before.
    pub fn close(&self) -> Result<(), EngineError> {
        self.inner.erasure.close();
        self.running().close(Shutdown::Save)
    }
}

fn unknown_item(id: &ItemId) -> EngineError {
    EngineError::NotFound { what: Resource::Item, id: id.to_string() }
}

/// The variants of a product that are not retired, without the product itself.
fn variants_on_sale(facts: &Facts, parent: &ItemId) -> Vec<ItemId> {
    let entries = facts.products.variants_of(parent.as_str()).iter().filter_map(|&variant| facts.entry(variant));
    let others = entries.filter(|entry| !entry.retired && entry.item.id != *parent);
    others.map(|entry| entry.item.id.clone()).collect()
}

fn known_item(facts: &Facts, id: &ItemId) -> Result<(), EngineError> {
    facts.find(id).filter(|entry| !entry.is_retired()).map(|_| ()).ok_or_else(|| unknown_item(id))
}
