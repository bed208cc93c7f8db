//! Digests, replay and lists for all users, made from the files of a data folder. Reads only, also beside a running server.

use std::path::Path;

use accrue_event::UserId;
use accrue_serve::{Campaigns, RecommendRequest, Recommendation, Shop, Visitor};
use accrue_store::{LogReader, Offset};
use accrue_train::{Digest, Recovered, TrainError, recover};
use serde::Serialize;

use crate::clock::of_request;
use crate::config::{Config, learn_settings};
use crate::error::EngineError;
use crate::folder::checkpoints_in;
use crate::in_force::rules::ReadRules;
use crate::in_force::scenes::ReadScenes;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// The records before this offset were folded.
    pub offset: u64,
    /// Digest of all states, folded from the log alone.
    pub state: String,
    /// Whether the states recovered from the newest checkpoint have the same bytes; `None` if that was not asked for.
    pub equal: Option<bool>,
    /// Parts that differ.
    pub differing: Vec<String>,
}

/// Both folds at `at` (the log's end where nothing is said), from a checkpoint if there is one that helps.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn digest(dir: &Path, config: &Config, at: Option<Offset>) -> Result<Digest, EngineError> {
    let mut log = LogReader::open(config.log_place(dir))?;
    let recovered = folded(&mut log, dir, config, at, true)?;
    Ok(accrue_train::digest(&mut log, &recovered.facts, &recovered.learner)?)
}

/// Folds the log from its beginning up to `to`; with `verify`, compares with what the checkpoints give.
///
/// # Errors
/// If the folder holds no log, a damaged one, or one whose beginning was pruned.
pub fn replay(dir: &Path, config: &Config, to: Option<Offset>, verify: bool) -> Result<Replay, EngineError> {
    let mut log = LogReader::open(config.log_place(dir))?;
    let start = log.start();
    if start > Offset(0) {
        let settings = learn_settings(config);
        let end = log.end();
        let kept = match verify {
            true => recover(&mut log, &checkpoints_in(dir), &settings, end, true)?.converted(),
            false => Vec::new(),
        };
        return Err(TrainError::BeginningPruned { start, kept }.into());
    }
    let alone = folded(&mut log, dir, config, to, false)?;
    let alone = accrue_train::digest(&mut log, &alone.facts, &alone.learner)?;
    let mut replay = Replay { offset: alone.offset, state: alone.state.clone(), equal: None, differing: Vec::new() };
    if verify {
        let kept = folded(&mut log, dir, config, Some(Offset(alone.offset)), true)?;
        let kept = accrue_train::digest(&mut log, &kept.facts, &kept.learner)?;
        let differing = alone.parts.iter().filter(|(name, digest)| kept.parts.get(*name) != Some(digest));
        replay.differing = differing.map(|(name, _)| name.clone()).collect();
        replay.equal = Some(kept == alone);
    }
    Ok(replay)
}

/// Both folds at `at`, without the log's later records.
pub(crate) fn folded(
    log: &mut LogReader,
    dir: &Path,
    config: &Config,
    at: Option<Offset>,
    from_checkpoint: bool,
) -> Result<Recovered, EngineError> {
    let end = log.end();
    let until = at.unwrap_or(end);
    if until > end {
        let message = format!("the log ends at {end}, so there is no state at {until}");
        return Err(EngineError::Invalid { field: "offset", message });
    }
    let mut recovered = recover(log, &checkpoints_in(dir), &learn_settings(config), until, from_checkpoint)?;
    recovered.catch_up(log)?;
    Ok(recovered)
}

/// Lists for `users` (all that are known where nothing is said), each handed to `take` in order. `prepare` makes the request,
/// of which the visitor is each of them.
///
/// # Errors
/// Those of [`digest`], and whatever `prepare` and `take` return.
pub fn recommendations<E: From<EngineError>>(
    dir: &Path,
    config: &Config,
    users: Option<Vec<UserId>>,
    prepare: impl FnOnce(&Shop<'_>) -> Result<RecommendRequest, E>,
    mut take: impl FnMut(&Shop<'_>, UserId, Recommendation) -> Result<(), E>,
) -> Result<(), E> {
    at_rest(dir, config, |shop| {
        let request = prepare(&shop)?;
        let users = users.unwrap_or_else(|| shop.facts.user_names().map(UserId::from).collect());
        for user in users {
            let visitor = Visitor { user: Some(user.clone()), session: None };
            let list = shop.recommend(&RecommendRequest { visitor, ..request.clone() });
            take(&shop, user, list)?;
        }
        Ok(())
    })?
}

/// Reads a shop as the log and the checkpoints have it, with everything learned. The folder is not changed, and a server
/// may run on it.
///
/// # Errors
/// Those of [`digest`].
pub fn at_rest<T>(dir: &Path, config: &Config, read: impl FnOnce(Shop<'_>) -> T) -> Result<T, EngineError> {
    let mut log = LogReader::open(config.log_place(dir))?;
    let mut recovered = folded(&mut log, dir, config, None, true)?;
    let version = recovered.learner.publish();
    let (facts, now_ms) = (&recovered.facts, of_request(recovered.facts.stream_time));
    let (rules, scenes) = (ReadRules::default().of(facts), ReadScenes::new(&config.scene).of(facts));
    let catalogue = config.catalogue;
    // Nothing is shown to a shopper, so nothing is sold.
    let campaigns = Campaigns::NONE;
    Ok(read(Shop { facts, version: &version, now_ms, catalogue, rules: &rules.1, scenes: &scenes.1, campaigns }))
}
