//! The engine: a shop's data folder in use. A program that wants recommendations without HTTP links this crate.
//!
//! One writer thread checks, appends and applies; one learner thread follows the log and publishes; one thread keeps the search
//! index; a server has one more that learns challengers; any number of readers answer from the facts and the published version.
//! Writes pass a bounded queue and are committed in groups: append → durable → applied to the facts → acknowledged.

mod answers;
mod asked;
mod challenge;
mod challenging;
pub mod config;
mod contract;
mod erasing;
mod fitting;
mod forgetting;
mod indexing;
mod judging;
mod learning;
mod offline;
pub mod online_model;
mod release;
mod resetting;
mod running;
mod served;
mod shared;
pub mod traffic;
mod verdict;
mod versioning;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use accrue_event::{
    Check, Event, Item, ItemId, Outcome, RawEvent, RawItem, RawUser, Rejection, SessionId, User, UserId,
};
use accrue_serve::filter::Filter;
use accrue_serve::{Recommendation, Shop};
use accrue_store::{Body, Checkpoints, Facts, Offset};
use accrue_train::{LearnSettings, ResetSettings};
use arc_swap::ArcSwap;

pub use self::answers::Answered;
pub use self::asked::{Asked, Changes, with_changes};
pub use self::challenge::{ChallengeReport, challenge};
pub use self::contract::{
    ChallengerState, ChallengerStatus, EngineError, FitStatus, GuardStatus, Incoming, Ingested, QuarantinedRecord,
    Refused, Status,
};
use self::erasing::Erasing;
pub use self::erasing::{Erased, ErasingState, ErasingStatus};
pub use self::forgetting::{Forgotten, finish_forgetting, forget, traces};
pub use self::judging::coded;
pub use self::offline::{Replay, UserList, digest, recommendations, replay};
use self::running::{Ending, Running, Waiting};
pub use self::versioning::Versions;
use self::writer::{Job, Reply, now};
use crate::config::Config;
use crate::traffic::{ExperimentSettings, Learning, Traffic};

/// A shop's data folder, opened. Cheap to clone; all clones are one engine.
#[derive(Clone)]
pub struct Engine {
    home: Arc<Home>,
}

/// The folder, and the threads that have it now.
struct Home {
    dir: PathBuf,
    config: Config,
    resets: Option<ResetSettings>,
    running: ArcSwap<Running>,
    /// Writers of records hold it shared; while the folder changes hands (`erasing.rs`), they wait.
    turn: tokio::sync::RwLock<()>,
    /// The rules alone, without what the stream taught them.
    rules: Check,
    traffic: Traffic,
    erasing: Erasing,
}

/// Where the parts of a data folder lie.
pub fn checkpoints_in(dir: &Path) -> Checkpoints {
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
        Self::start(dir, config, Some(&config.learn.reset))
    }

    fn start(dir: &Path, config: &Config, resets: Option<&ResetSettings>) -> Result<Self, EngineError> {
        finish_forgetting(dir, config)?;
        let running = Running::open(dir, config, resets)?;
        let home = Home {
            dir: dir.into(),
            config: config.clone(),
            resets: resets.cloned(),
            running: ArcSwap::from_pointee(running),
            turn: Default::default(),
            rules: Check::new(config.check.clone(), Default::default())?,
            traffic: Traffic::new(&config.serve),
            erasing: Erasing::default(),
        };
        Ok(Self { home: Arc::new(home) })
    }

    fn running(&self) -> Arc<Running> {
        self.home.running.load_full()
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
        let _turn = self.home.turn.read().await;
        let answer = self.running().submit(job, Waiting::Refuse)?;
        answer.await.unwrap_or(Err(EngineError::Closing))
    }

    fn ask_blocking<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EngineError> {
        let _turn = self.home.turn.blocking_read();
        let answer = self.running().submit(job, Waiting::Block)?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closing))
    }

    /// An item's description.
    pub fn item(&self, id: &ItemId) -> Option<Item> {
        let running = self.running();
        let facts = running.shared.facts.read();
        facts.find(id).filter(|entry| !entry.retired).map(|entry| entry.item.clone())
    }

    /// A user's description; a bare one for a user known from events alone.
    pub fn user(&self, id: &UserId) -> Option<User> {
        if self.home.erasing.hides(id) {
            return None;
        }
        self.running().shared.facts.read().user(id)
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

    /// The events of a history that is given with a request: those that the check lets in, as it would from the front door
    /// (but for its rules about rates and outliers, which look at a stream), and the others with the reason. Nothing is kept.
    pub fn judge_inline(&self, events: Vec<RawEvent>) -> (Vec<Event>, Vec<Refused>) {
        let running = self.running();
        let facts = running.shared.facts.read();
        let (mut history, mut refused) = (Vec::with_capacity(events.len()), Vec::new());
        for (index, raw) in events.into_iter().enumerate() {
            match self.home.rules.judge(&raw, now(), |item| facts.known_item(item)) {
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
        self.running().with_shop(read)
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
        let running = self.running();
        let offsets: Vec<Offset> = {
            let facts = running.shared.facts.read();
            let wanted =
                facts.quarantine.range(from..).filter(|(_, known)| reason.is_none_or(|sought| sought == &***known));
            wanted.map(|(&offset, _)| offset).take(limit).collect()
        };
        let mut log = running.log.lock();
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
        let running = self.running();
        let shared = &running.shared;
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
            repeats_passed: learner.n_repeats_passed,
            steps_skipped: version.ensemble.sequence().map_or(0, accrue_model::Sequence::n_skipped),
            fits: version.ensemble.fitted().map(FitStatus::of),
            copied_bytes_per_event: learner.copied_bytes as f64 / learner.n_learned.max(1) as f64,
            quality: learner.quality.clone(),
            arms: version.arms.iter().flat_map(|(split, _)| &split.arms).map(|arm| arm.name.to_string()).collect(),
            guard: GuardStatus::of(&shared.versions.load(), learner.tallies),
            challenger: self.challenger(shared.versions.load().challenger.clone()),
        }
    }

    /// Blocks until everything that was applied by now is learned and published, or learning has failed.
    pub fn wait_until_learned(&self) {
        let running = self.running();
        let shared = &running.shared;
        let mut progress = shared.progress.lock();
        let target = progress.applied;
        while progress.learned < target && !progress.closing && shared.learner.load().failed.is_none() {
            shared.moved.wait_for(&mut progress, Duration::from_millis(100));
        }
    }

    /// Stops taking writes, lets the learner finish, writes a checkpoint, closes the log. A forgetting that is under way is finished by
    /// the next opening. Safe to call twice.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`] if the log had failed before.
    pub fn close(&self) -> Result<(), EngineError> {
        self.home.erasing.close();
        self.running().close(Ending::Saved)
    }
}

fn unknown_item(id: &ItemId) -> EngineError {
    EngineError::NotFound { what: "item", id: id.to_string() }
}

fn known_item(facts: &Facts, id: &ItemId) -> Result<(), EngineError> {
    facts.find(id).filter(|entry| !entry.retired).map(|_| ()).ok_or_else(|| unknown_item(id))
}

/// The part of the configuration that the learned state depends on.
pub fn learn_settings(config: &Config) -> LearnSettings {
    let own_arms = config.serve.experiment.as_ref().filter(|experiment| experiment.learning == Learning::OwnArm);
    LearnSettings {
        seed: config.learn.seed,
        history_capacity: config.learn.history_capacity,
        same_item_a_day: config.learn.same_item_a_day,
        predict_one_in: config.learn.predict_one_in,
        drift: config.learn.drift.clone(),
        impressions: config.learn.impressions.clone(),
        guard: config.learn.guard.clone(),
        weights: config.check.types.iter().map(|(name, weight)| (name.to_string(), *weight)).collect(),
        models: config.model.clone(),
        arms: own_arms.map(ExperimentSettings::split),
    }
}
