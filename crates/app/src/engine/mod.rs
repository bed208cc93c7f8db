//! The engine: a shop's data folder brought to life.
//!
//! One writer thread checks, appends and applies; one learner thread follows the log and publishes; one thread keeps the search
//! index; a server has one more that learns challengers; any number of readers answer from the facts and the published version.
//! Writes pass a bounded queue and are committed in groups: append → durable → applied to the facts → acknowledged.

mod challenge;
mod challenging;
mod contract;
mod forgetting;
mod indexing;
mod judging;
mod learning;
mod offline;
mod release;
mod resetting;
mod served;
mod shared;
mod verdict;
mod versioning;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use accrue_event::{
    Check, Event, Item, ItemId, Outcome, RawEvent, RawItem, RawUser, Rejection, SessionId, User, UserId,
};
use accrue_serve::filter::Filter;
use accrue_serve::search::{Opened, SearchIndex, SearchReader};
use accrue_serve::{RecommendRequest, Recommendation, SearchAnswer, SearchRequest, Shop};
use accrue_store::{Body, Checkpoints, Facts, Log, LogReader, Offset, Served};
use accrue_train::{LearnSettings, ResetSettings, recover};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::oneshot;

pub use self::challenge::{ChallengeReport, challenge};
use self::challenging::Challenging;
pub use self::contract::{
    ChallengerState, ChallengerStatus, EngineError, GuardStatus, Incoming, Ingested, QuarantinedRecord, Refused, Status,
};
pub use self::forgetting::{Forgotten, finish_forgetting, forget, traces};
pub(crate) use self::judging::coded;
use self::learning::{Learning, Rhythm};
pub use self::offline::{Replay, UserList, digest, recommendations, replay};
use self::resetting::Resetting;
use self::served::ServedQueue;
use self::shared::{Indexed, Progress, Shared, indexed};
pub use self::versioning::Versions;
use self::writer::{Job, Reply, Writer, now};
use crate::config::Config;
use crate::experiment::Traffic;

/// Writes that may wait; beyond it callers are told to come back.
const QUEUE: usize = 1_024;

/// A shop's data folder, opened. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
    search: SearchReader,
    /// The rules alone, without what the stream taught them.
    rules: Check,
    log: Mutex<LogReader>,
    traffic: Traffic,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<()>,
    learner: JoinHandle<()>,
    indexer: JoinHandle<()>,
    challenger: Option<JoinHandle<()>>,
}

/// Where the parts of a data folder lie.
pub(crate) fn checkpoints_in(dir: &Path) -> Checkpoints {
    Checkpoints::new(dir.join("checkpoints"))
}

fn search_in(dir: &Path) -> PathBuf {
    dir.join("search")
}

impl Engine {
    /// Opens or creates the folder, recovers the newest checkpoint and the rest of the log, and starts the threads.
    ///
    /// # Errors
    /// If another process holds the folder, or what lies there cannot be used.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, EngineError> {
        Self::start(dir, config, None)
    }

    /// [`Engine::open`] for a server, which goes on for long: it learns its models again by itself, as `learn.reset` says.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub fn open_to_serve(dir: &Path, config: &Config) -> Result<Self, EngineError> {
        let resets = Some(&config.learn.reset).filter(|resets| resets.every_events > 0);
        Self::start(dir, config, resets)
    }

    fn start(dir: &Path, config: &Config, resets: Option<&ResetSettings>) -> Result<Self, EngineError> {
        finish_forgetting(dir, config)?;
        let mut log = Log::open(dir, (&config.log).into())?;
        let settings = learn_settings(config);
        let checkpoints = checkpoints_in(dir);
        let mut recovered = recover(&mut log.reader(), &checkpoints, &settings, log.end(), true)?;
        for error in &recovered.skipped {
            tracing::warn!(%error, "a checkpoint was passed over");
        }
        record_settings(&mut log, &mut recovered.facts, &settings)?;
        let index = open_index(dir, config, &recovered.facts)?;
        let search = index.reader();
        let check = Check::new(config.check.clone(), recovered.facts.statistics.clone())?;
        let rules = Check::new(config.check.clone(), Default::default())?;

        let mut learner = recovered.learner;
        let (changes, changed) = std::sync::mpsc::channel();
        let shared = Arc::new(Shared {
            progress: Mutex::new(Progress {
                applied: recovered.facts.end,
                learned: learner.end(),
                // A reset may have been due when the last server ended.
                called: resets.is_some(),
                closing: false,
            }),
            version: arc_swap::ArcSwap::from_pointee(learner.publish()),
            versions: arc_swap::ArcSwap::from_pointee(Versions::of(&learner)),
            learner: Default::default(),
            facts: RwLock::new(recovered.facts),
            poisoned: Default::default(),
            moved: Condvar::new(),
            index: Mutex::new(Some(changes)),
            served: ServedQueue::new(config.serve.record.share()),
            desk: Default::default(),
        });
        let (jobs, queue) = sync_channel(QUEUE);
        let reader = log.reader();
        let rhythm = Rhythm {
            publish_every: Duration::from_millis(config.learn.publish_every_ms),
            checkpoint_every: config.learn.checkpoint_every_events,
            checkpoints_kept: config.learn.checkpoints_kept,
        };
        let saved = recovered.checkpoint.map_or(Offset(0), |_| learner.end());
        let resetting = resets.map(|resets| Resetting::new(resets.clone(), log.end()));
        if let Some(resetting) = &resetting {
            shared.desk.tell(learner.end(), resetting.status(&learner));
        }
        let mut learning = Learning::new(learner, log.reader(), checkpoints, rhythm, saved, shared.clone());
        let challenger = resets.map(|resets| {
            let challenging = Challenging::new(shared.clone(), log.reader(), jobs.clone(), resets.share);
            thread("challenger", move || challenging.run())
        });
        if let Some(resetting) = resetting {
            learning = learning.resetting(resetting);
        }
        let writer = Writer::new(log, check, shared.clone());
        let threads = Threads {
            writer: thread("writer", move || writer.run(&queue)),
            learner: thread("learner", move || learning.run()),
            indexer: thread("indexer", move || indexing::run(index, &changed)),
            challenger,
        };
        let threads = Mutex::new(Some(threads));
        let (log, traffic) = (Mutex::new(reader), Traffic::new(&config.serve));
        Ok(Self { inner: Arc::new(Inner { shared, jobs, search, rules, log, traffic, threads }) })
    }

    /// Takes a batch of events in: each is in the log or in quarantine, durably, when this returns.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Closing`].
    pub fn ingest(&self, batch: Vec<Incoming<RawEvent>>) -> Result<Ingested, EngineError> {
        self.ask_blocking(|reply| Job::Events(batch, reply))
    }

    /// The same without blocking the caller's thread; refuses at once when too many writes wait.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`], and [`EngineError::Overloaded`].
    pub async fn ingest_async(&self, batch: Vec<impl Into<Incoming<RawEvent>>>) -> Result<Ingested, EngineError> {
        let batch = batch.into_iter().map(Into::into).collect();
        self.ask(|reply| Job::Events(batch, reply)).await
    }

    /// New or changed items; with `sync`, items that are absent from the list are retired. Items that are known just so count
    /// as duplicates; refused ones go into quarantine.
    ///
    /// # Errors
    /// Those of [`Engine::ingest_async`].
    pub async fn put_items(&self, items: Vec<Incoming<RawItem>>, sync: bool) -> Result<Ingested, EngineError> {
        self.ask(|reply| Job::Items(items, sync, reply)).await
    }

    /// [`Engine::put_items`] for callers without a runtime.
    ///
    /// # Errors
    /// Those of [`Engine::ingest`].
    pub fn put_items_blocking(&self, items: Vec<RawItem>, sync: bool) -> Result<Ingested, EngineError> {
        let items = items.into_iter().map(Incoming::Record).collect();
        self.ask_blocking(|reply| Job::Items(items, sync, reply))
    }

    /// New or changed descriptions of users. Users who are known just so count as duplicates; refused ones go into quarantine.
    ///
    /// # Errors
    /// Those of [`Engine::ingest_async`].
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

    /// Changes some fields of an item, through the check.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::Refused`], and those of [`Engine::ingest_async`].
    pub async fn patch_item(&self, id: ItemId, patch: RawItem) -> Result<Item, EngineError> {
        let sought = id.clone();
        self.edit(move |facts, check| {
            known_item(facts, &id)?;
            let (patch, _) = check.judge_patch(&patch).map_err(EngineError::Refused)?;
            Ok(vec![Body::ItemPatched { id, patch: Box::new(patch) }])
        })
        .await?;
        self.item(&sought).ok_or_else(|| unknown_item(&sought))
    }

    /// Takes an item out of the shop.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_async`].
    pub async fn retire_item(&self, id: ItemId) -> Result<(), EngineError> {
        self.edit(move |facts, _| {
            known_item(facts, &id)?;
            Ok(vec![Body::ItemRetired(id)])
        })
        .await
    }

    /// Forgets a user's description (not their events).
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_async`].
    pub async fn remove_user(&self, id: UserId) -> Result<(), EngineError> {
        self.edit(move |facts, _| match facts.user(&id) {
            Some(_) => Ok(vec![Body::UserRemoved(id)]),
            None => Err(EngineError::NotFound { what: "user", id: id.to_string() }),
        })
        .await
    }

    /// A guest turned out to be a user.
    ///
    /// # Errors
    /// Those of [`Engine::ingest_async`].
    pub async fn merge(&self, session: SessionId, user: UserId) -> Result<(), EngineError> {
        self.edit(move |_, _| Ok(vec![Body::Merged { session, user }])).await
    }

    /// Judges quarantined records again under the rules of now and lets in those that pass; returns what became of them.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_async`].
    pub async fn release(&self, offsets: Vec<Offset>) -> Result<Ingested, EngineError> {
        self.ask(|reply| Job::Release(offsets, reply)).await
    }

    /// Gives quarantined records up; returns how many.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest_async`].
    pub async fn drop_quarantined(&self, offsets: Vec<Offset>) -> Result<u64, EngineError> {
        self.ask(|reply| Job::Drop(offsets, reply)).await
    }

    async fn edit(
        &self,
        edit: impl FnOnce(&Facts, &Check) -> Result<Vec<Body>, EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.ask(|reply| Job::Edit(Box::new(edit), reply)).await.map(|_| ())
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EngineError> {
        let answer = self.submit(job, Waiting::Refuse)?;
        answer.await.unwrap_or(Err(EngineError::Closing))
    }

    fn ask_blocking<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EngineError> {
        let answer = self.submit(job, Waiting::Block)?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closing))
    }

    fn submit<T>(
        &self,
        job: impl FnOnce(Reply<T>) -> Job,
        waiting: Waiting,
    ) -> Result<oneshot::Receiver<Result<T, EngineError>>, EngineError> {
        if let Some(cause) = &*self.inner.shared.poisoned.load() {
            return Err(EngineError::Poisoned(cause.to_string()));
        }
        let (reply, answer) = oneshot::channel();
        match waiting {
            Waiting::Block => self.inner.jobs.send(job(reply)).map_err(|_| EngineError::Closing)?,
            Waiting::Refuse => self.inner.jobs.try_send(job(reply)).map_err(|error| match error {
                TrySendError::Full(_) => EngineError::Overloaded,
                TrySendError::Disconnected(_) => EngineError::Closing,
            })?,
        }
        Ok(answer)
    }

    /// An item's description.
    pub fn item(&self, id: &ItemId) -> Option<Item> {
        let facts = self.inner.shared.facts.read();
        facts.find(id).filter(|entry| !entry.retired).map(|entry| entry.item.clone())
    }

    /// A user's description; a bare one for a user known from events alone.
    pub fn user(&self, id: &UserId) -> Option<User> {
        self.inner.shared.facts.read().user(id)
    }

    /// Recommendations. CPU-bound, about a millisecond.
    ///
    /// # Errors
    /// None at present; requests are checked where they are read.
    pub fn recommend(&self, request: &RecommendRequest) -> Result<Recommendation, EngineError> {
        Ok(self.with_shop(|shop| shop.recommend(request)))
    }

    /// Items like this one.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn similar(&self, id: &ItemId, n: usize, filter: Option<&Filter>) -> Result<Recommendation, EngineError> {
        self.with_shop(|shop| {
            let item = shop.facts.items.get(id.as_str()).ok_or_else(|| unknown_item(id))?;
            Ok(shop.similar(item, n, filter))
        })
    }

    /// What the shop as a whole does lately.
    ///
    /// # Errors
    /// None at present.
    pub fn trending(&self, n: usize, filter: Option<&Filter>) -> Result<Recommendation, EngineError> {
        Ok(self.with_shop(|shop| shop.trending(n, filter)))
    }

    /// The newest items.
    ///
    /// # Errors
    /// None at present.
    pub fn new_items(&self, n: usize, filter: Option<&Filter>) -> Result<Recommendation, EngineError> {
        Ok(self.with_shop(|shop| shop.new_items(n, filter)))
    }

    /// Search.
    ///
    /// # Errors
    /// If the index's files cannot be read.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchAnswer, EngineError> {
        Ok(self.with_shop(|shop| shop.search(&self.inner.search, request))?)
    }

    /// Who is in which arm, and which answers are drawn.
    pub fn traffic(&self) -> &Traffic {
        &self.inner.traffic
    }

    /// Has an answer written into the log with the next group, if it is one of the share that is recorded. Does not wait.
    pub fn record_served(&self, recommendation_id: &str, served: impl FnOnce() -> Served) {
        let shared = &self.inner.shared;
        if shared.served.keeps(recommendation_id) && shared.poisoned.load().is_none() {
            shared.served.push(served());
        }
    }

    /// The events of a history that is given with a request: those that the check lets in, as it would from the front door
    /// (but for its rules about rates and outliers, which look at a stream), and the others with the reason. Nothing is kept.
    pub fn judge_inline(&self, events: Vec<RawEvent>) -> (Vec<Event>, Vec<Refused>) {
        let facts = self.inner.shared.facts.read();
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

    /// Runs a read against the facts and the version of this moment.
    pub fn with_shop<T>(&self, read: impl FnOnce(Shop<'_>) -> T) -> T {
        let version = self.inner.shared.version.load();
        let facts = self.inner.shared.facts.read();
        read(Shop { facts: &facts, version: &version })
    }

    /// Records in quarantine from `from` on, at most `limit`, optionally of one reason.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn quarantine(
        &self,
        from: Offset,
        limit: usize,
        reason: Option<&str>,
    ) -> Result<Vec<QuarantinedRecord>, EngineError> {
        let offsets: Vec<Offset> = {
            let facts = self.inner.shared.facts.read();
            let wanted =
                facts.quarantine.range(from..).filter(|(_, known)| reason.is_none_or(|sought| sought == &***known));
            wanted.map(|(&offset, _)| offset).take(limit).collect()
        };
        let mut log = self.inner.log.lock();
        let mut records = Vec::with_capacity(offsets.len());
        for offset in offsets {
            let Some(record) = log.get(offset)? else { continue };
            if let Body::Quarantined { kind, reason, detail, raw, .. } = record.body {
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
        Ok(records)
    }

    /// Where the engine stands.
    pub fn status(&self) -> Status {
        let shared = &self.inner.shared;
        let learner = shared.learner.load();
        let version = shared.version.load();
        let facts = shared.facts.read();
        let counts = |counts: &std::collections::BTreeMap<Box<str>, u64>| {
            counts.iter().map(|(code, n)| (code.to_string(), *n)).collect()
        };
        Status {
            log_end: facts.end.0,
            learned: shared.progress.lock().learned.0,
            version: version.number,
            poisoned: shared.poisoned.load().as_ref().map(|cause| cause.to_string()),
            learner_failed: learner.failed.clone(),
            n_items: facts.items.len() as u64,
            n_shoppers: facts.shoppers.len() as u64,
            n_quarantined: facts.quarantine.len() as u64,
            accepted: facts.counters.accepted,
            repairs: counts(&facts.counters.repairs),
            reasons: counts(&facts.counters.quarantined),
            duplicates: facts.duplicates[0] + facts.duplicates[1],
            served_lost: shared.served.n_lost(),
            steps_skipped: version.ensemble.sequence.as_ref().map_or(0, accrue_model::Sequence::n_skipped),
            copied_bytes_per_event: learner.copied_bytes as f64 / learner.n_learned.max(1) as f64,
            quality: learner.quality.clone(),
            guard: GuardStatus::of(&shared.versions.load(), learner.tallies),
            challenger: self.challenger(shared.versions.load().challenger.clone()),
        }
    }

    /// Blocks until everything that was applied by now is learned and published, or learning has failed.
    pub fn wait_until_learned(&self) {
        let shared = &self.inner.shared;
        let mut progress = shared.progress.lock();
        let target = progress.applied;
        while progress.learned < target && !progress.closing && shared.learner.load().failed.is_none() {
            shared.moved.wait_for(&mut progress, Duration::from_millis(100));
        }
    }

    /// Stops taking writes, lets the learner finish, writes a checkpoint, closes the log. Safe to call twice.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] if the log had failed before.
    pub fn close(&self) -> Result<(), EngineError> {
        let Some(threads) = self.inner.threads.lock().take() else { return Ok(()) };
        let shared = &self.inner.shared;
        // A writer that is gone already needs no telling.
        let _ = self.inner.jobs.send(Job::Close);
        let writer = threads.writer.join();
        shared.progress.lock().closing = true;
        shared.moved.notify_all();
        let learner = threads.learner.join();
        shared.desk.close();
        let challenger = threads.challenger.map_or(Ok(()), JoinHandle::join);
        shared.index.lock().take();
        let indexer = threads.indexer.join();
        let ends = [("writer", writer), ("learner", learner), ("indexer", indexer), ("challenger", challenger)];
        for (name, ended) in ends {
            if ended.is_err() {
                tracing::error!(
                    thread = name,
                    "the thread had panicked; the log holds everything that was acknowledged"
                );
            }
        }
        match &*shared.poisoned.load() {
            Some(cause) => Err(EngineError::Poisoned(cause.to_string())),
            None => Ok(()),
        }
    }
}

/// What a caller does when the queue is full.
enum Waiting {
    Block,
    Refuse,
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).expect("the system has room for a few threads")
}

fn unknown_item(id: &ItemId) -> EngineError {
    EngineError::NotFound { what: "item", id: id.to_string() }
}

fn known_item(facts: &Facts, id: &ItemId) -> Result<(), EngineError> {
    facts.find(id).filter(|entry| !entry.retired).map(|_| ()).ok_or_else(|| unknown_item(id))
}

/// The part of the configuration that the learned state depends on.
pub(crate) fn learn_settings(config: &Config) -> LearnSettings {
    LearnSettings {
        seed: config.learn.seed,
        history_capacity: config.learn.history_capacity,
        predict_one_in: config.learn.predict_one_in,
        drift: config.learn.drift.clone(),
        impressions: config.learn.impressions.clone(),
        guard: config.learn.guard.clone(),
        weights: config.check.types.iter().map(|(name, weight)| (name.to_string(), *weight)).collect(),
        models: config.model.clone(),
    }
}

/// Settings that differ from those in force go into the log before anything else happens.
fn record_settings(log: &mut Log, facts: &mut Facts, settings: &LearnSettings) -> Result<(), EngineError> {
    let text = settings.to_record();
    if *facts.settings == *text {
        return Ok(());
    }
    let body = Body::Settings(text.into());
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let received_at = accrue_event::Timestamp(started.as_millis() as i64);
    log.append(received_at, std::slice::from_ref(&body))?;
    let mut reader = log.reader();
    reader.read(facts.end, 1, |record| facts.apply(&record))?;
    Ok(())
}

/// Opens the search index and gives it whatever it does not hold.
fn open_index(dir: &Path, config: &Config, facts: &Facts) -> Result<SearchIndex, EngineError> {
    let mut index = SearchIndex::open(Some(&search_in(dir)), config.search.clone())?;
    if let Opened::Rebuilt { reason } = index.opened() {
        tracing::warn!(%reason, "the search index is built again");
    }
    if index.covered() != facts.catalogue_changed.0 {
        for item in 0..facts.entries().len() as u32 {
            match indexed(facts, item) {
                Indexed::Item(item, description) => index.upsert(item, &description)?,
                _ => index.remove(item)?,
            }
        }
        index.set_covered(facts.catalogue_changed.0);
        index.commit()?;
    }
    Ok(index)
}
