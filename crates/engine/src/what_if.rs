//! Pages made again: what the current settings and proposed ones make of requests that were answered before.
//!
//! In: a data folder, recorded requests, a [`Proposal`]. Out: for each request the page of the current settings and
//! that of the proposal, both from the facts that the answer had, which were ahead of its models, and from models that
//! had learned no more than those. The log is read again from the newest checkpoint that helps: one thread learns and
//! publishes, another folds the facts and makes pages. The folder is not changed, and a server may run on it.
//!
//! Models are published at most [`VERSIONS`] times over all requests, so a page may be made by models that are a little
//! older than those that answered. What is learned differently (`[model]`, `[learn]`) cannot be judged here: that takes
//! a challenger.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use accrue_event::{ItemId, SettingFault, ShopRule};
use accrue_model::{Part, Version};
use accrue_serve::filter::Filter;
use accrue_serve::{Campaigns, Grouping, IncompleteItems, RecommendRequest, Rules, Scenes, Seen, Shop, Visitor};
use accrue_store::{Facts, LogReader, Offset, Record, Served};
use accrue_train::{Learner, Recovered, TrainError, follow, recover};
use serde::{Deserialize, Serialize};

use crate::config::{Config, learn_settings};
use crate::error::{EngineError, ProposalError};
use crate::folder::checkpoints_in;
use crate::in_force::rules::ReadRules;
use crate::in_force::scenes::{ReadScenes, WrittenScenes};

/// Publications over all requests, at most.
const VERSIONS: u64 = 400;
/// Versions that wait for their pages.
const WAITING: usize = 2;
/// Records folded at once.
const CHUNK: u64 = 4_096;

/// Settings that are to be judged. What it does not name stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proposal {
    /// Scenes, each in the place of the one of its name.
    pub scene: WrittenScenes,
    /// Rules of the shop, in the place of all.
    pub rule: Option<Vec<ShopRule>>,
    /// The part of the models that scores.
    pub part: Option<Part>,
}

impl Proposal {
    /// Checks the proposal under the settings of a shop and what its log has.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self, config: &Config, facts: &Facts) -> Result<(), ProposalError> {
        let scenes = self.scenes_over(ReadScenes::written_in_force(&config.scene, facts))?;
        scenes.check_types(|own| config.check.types.contains_key(own)).map_err(scene_fault)?;
        scenes.check_models(&config.models()).map_err(scene_fault)?;
        Rules::read(self.rule.as_deref().unwrap_or_default())?;
        match self.part.and_then(|part| Some((part.name(), config.models().switched_off(part)?))) {
            Some((part, fault)) => Err(ProposalError::Part { part, fault }),
            None => Ok(()),
        }
    }

    /// The proposal's scenes beside these, of which it replaces those of the same names.
    fn scenes_over(&self, mut others: WrittenScenes) -> Result<Scenes, ProposalError> {
        others.extend(self.scene.clone());
        Scenes::read(&others).map_err(scene_fault)
    }
}

fn scene_fault(fault: SettingFault) -> ProposalError {
    ProposalError::Scene(fault.within("scene"))
}

/// What a request for recommendations asked for besides the visitor, so that its page can be made again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AskedPage {
    /// Items wanted.
    pub n: usize,
    /// The kind of page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scene: Option<Box<str>>,
    /// The kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Box<str>>,
    /// The search text that the page stood beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<str>>,
    /// What may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Box<str>>,
    /// Items that the page is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemId>,
    /// Items that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ItemId>,
    /// What was done with items chosen before; `None` is what the scene says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Box<str>>,
    /// Whether each variant was an item of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_variants: bool,
    /// Weight of diversity; `None` is what the scene says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f32>,
    /// Whether incomplete items could be recommended; `None` is what the settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<IncompleteItems>,
    /// The part of the models that scored; `None` is the one that the settings name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The facts had the records before this offset; `None` in the records of older builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Offset>,
}

/// Items that may be named in the record of a request; with more, the page cannot be made again.
const MAX_NAMED: usize = 300;

impl AskedPage {
    /// The form of the record; empty if the request names too many items.
    pub fn to_record(&self) -> Box<str> {
        if self.items.len() + self.exclude.len() > MAX_NAMED {
            return Box::default();
        }
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// The request that a record has; `None` if it has none that this build can read.
    fn of_record(asked: &str) -> Option<Self> {
        serde_json::from_str(asked).ok()
    }
}

/// What a request asks for, for its record; `None` if its page cannot be made again.
pub(crate) fn asked(request: &RecommendRequest) -> Option<AskedPage> {
    // Every field is named, so that one that is added is recorded too, or left out on purpose.
    let RecommendRequest {
        // In the record of the answer.
        visitor: _,
        offset: _,
        events,
        scene,
        device,
        query,
        items,
        n,
        filter,
        exclude,
        // What its other scenes show is in `exclude`.
        visit: _,
        seen,
        grouping,
        incomplete,
        diversity,
        part,
        // Follows from the catalogue.
        n_on_sale: _,
        // A page is made again without a draw, which the propensities of the record stand for.
        explore: _,
        // The same holds for new products, which are on no page that is made again.
        new_trial: _,
        explain: _,
        // What was sponsored is left out on both sides.
        lately_sponsored: _,
        may_be_sponsored: _,
    } = request;
    // An inline history is not recorded.
    events.is_none().then(|| AskedPage {
        n: *n,
        scene: scene.clone(),
        device: device.clone(),
        query: query.clone(),
        filter: filter.as_ref().map(|filter| filter.to_string().into()),
        items: items.clone(),
        exclude: exclude.clone(),
        seen: seen.text().map(Into::into),
        all_variants: *grouping == Grouping::Item,
        diversity: *diversity,
        incomplete: *incomplete,
        part: *part,
        known: None,
    })
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct AskedAgain {
    /// The offset of its record.
    pub offset: Offset,
    /// When it was answered, in milliseconds since 1970.
    pub at_ms: i64,
    /// The models had learned the records before this offset.
    pub learned: Offset,
    /// The facts had the records before this offset, which is no lower.
    pub known: Offset,
    /// The request.
    pub request: RecommendRequest,
}

impl AskedAgain {
    /// The request of a recorded answer; `None` if it cannot be made again.
    pub fn of(record: &Record, served: &Served) -> Option<Self> {
        let asked = AskedPage::of_record(&served.asked)?;
        let AskedPage {
            n,
            scene,
            device,
            query,
            filter,
            items,
            exclude,
            seen,
            all_variants,
            diversity,
            incomplete,
            part,
            known,
        } = asked;
        let seen = match &seen {
            Some(text) => Seen::read(text)?,
            None => Seen::AsScene,
        };
        let request = RecommendRequest {
            visitor: Visitor { user: served.user.clone(), session: served.session.clone() },
            scene,
            device,
            query,
            items,
            n,
            filter: filter.map(|filter| Filter::parse(&filter)).transpose().ok()?,
            exclude,
            seen,
            grouping: if all_variants { Grouping::Item } else { Grouping::Product },
            diversity,
            incomplete,
            part,
            ..RecommendRequest::default()
        };
        let learned = served.learned.min(record.offset);
        // An answer is recorded behind the events that it is committed with, and those may have come of it.
        let known = known.map_or(learned, |known| known.clamp(learned, record.offset));
        Some(Self { offset: record.offset, at_ms: record.received_at.0, learned, known, request })
    }
}

/// The pages of a request, as ids of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeAgain {
    /// By the current settings.
    pub current: Vec<ItemId>,
    /// By the proposal.
    pub proposed: Vec<ItemId>,
}

/// Why a what-if ended early.
const ENDED: &str = "the log was changed meanwhile, because a person is being forgotten; ask again";

/// Ends the work if its caller says so.
pub(crate) fn go_on(progress: &(dyn Fn(f64) -> bool + Sync)) -> Result<(), EngineError> {
    match progress(0.0) {
        true => Ok(()),
        false => Err(EngineError::Conflict { message: ENDED.to_owned() }),
    }
}

/// Makes the pages of recorded requests again, which are in the order of what their answers knew
/// ([`AskedAgain::known`]). `progress` is called with the share done and
/// says whether to go on.
///
/// # Errors
/// If the log cannot be read, or the states before the first request cannot be computed from what is left of it;
/// [`EngineError::Proposal`] if the proposal has a fault, by itself or beside the scenes that were in force;
/// [`EngineError::Conflict`] if `progress` ended it.
pub fn make_again(
    dir: &Path,
    config: &Config,
    asked: &[AskedAgain],
    proposal: &Proposal,
    progress: &(dyn Fn(f64) -> bool + Sync),
) -> Result<Vec<MadeAgain>, EngineError> {
    let mut log = LogReader::open(config.log_place(dir))?;
    let (settings, checkpoints) = (learn_settings(config), checkpoints_in(dir));
    let end = asked.iter().map(|asked| asked.offset).max().unwrap_or(log.end());
    let mut ended = recover(&mut log, &checkpoints, &settings, end, true)?;
    go_on(progress)?;
    proposal.check(config, &ended.facts)?;
    check_names(proposal, config, &mut ended)?;
    // The models of the end are not needed further, and a second set of them takes much memory.
    let Recovered { facts: ends, learner, .. } = ended;
    drop(learner);
    let (Some(first), Some(last)) = (asked.first(), asked.last()) else { return Ok(Vec::new()) };
    let begins = first.learned;
    let mut recovered = recover(&mut log, &checkpoints, &settings, begins, true)?;
    recovered.catch_up(&mut log)?;
    go_on(progress)?;
    let groups = groups(asked, last.offset.0.saturating_sub(begins.0));
    let later = ReadScenes::written_in_force(&config.scene, &ends);
    let (versions, made) = sync_channel::<Version>(WAITING);
    let (facts, mut learner) = (recovered.facts, recovered.learner);
    let mut other_log = LogReader::open(config.log_place(dir))?;
    std::thread::scope(|scope| {
        let boundaries: Vec<Offset> = groups.iter().map(|group| group.learned).collect();
        let learning = scope.spawn(move || learn(&mut learner, &ends, &mut other_log, &boundaries, versions));
        let mut pages = Pages::new(facts, log, config, proposal, later)?;
        let (mut all, mut is_ended) = (Vec::with_capacity(asked.len()), false);
        for group in &groups {
            // The learner ends early only with an error, which is returned below.
            let Ok(version) = made.recv() else { break };
            for asked in &asked[group.first..group.end] {
                all.push(pages.make(asked, &version)?);
            }
            if !progress(group.end as f64 / asked.len() as f64) {
                is_ended = true;
                break;
            }
        }
        drop(made);
        match learning.join() {
            Ok(_) if is_ended => Err(EngineError::Conflict { message: ENDED.to_owned() }),
            Ok(learned) => learned.map(|()| all).map_err(Into::into),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Refuses rules that name fields which no item has, as requests that change the rules are refused: such a rule would
/// hide or raise nothing, or everything.
fn check_names(proposal: &Proposal, config: &Config, ended: &mut Recovered) -> Result<(), EngineError> {
    let version = ended.learner.publish();
    let (facts, now_ms, catalogue) = (&ended.facts, ended.facts.stream_time.0, config.catalogue);
    let (rules, scenes, campaigns) = (Rules::NONE, Scenes::built_in(), Campaigns::NONE);
    let shop = Shop { facts, version: &version, now_ms, catalogue, rules, scenes, campaigns };
    for (place, rule) in proposal.rule.iter().flatten().enumerate() {
        shop.check_rule(rule).map_err(|fault| ProposalError::Rule(fault.within(&format!("rules[{place}]"))))?;
    }
    Ok(())
}

/// Requests that one version answers: those from `first` to before `end`.
struct Group {
    learned: Offset,
    first: usize,
    end: usize,
}

/// Groups of consecutive requests, so that there are at most [`VERSIONS`] over `n_records`.
fn groups(asked: &[AskedAgain], n_records: u64) -> Vec<Group> {
    let span = n_records / VERSIONS + 1;
    let mut groups: Vec<Group> = Vec::new();
    for (place, asked) in asked.iter().enumerate() {
        let learned = asked.learned;
        match groups.last_mut() {
            Some(group) if learned.0 < group.learned.0.saturating_add(span) => group.end = place + 1,
            _ => groups.push(Group { learned, first: place, end: place + 1 }),
        }
    }
    groups
}

/// Learns up to each boundary and publishes there, until no version is received any more.
fn learn(
    learner: &mut Learner,
    facts: &Facts,
    log: &mut LogReader,
    boundaries: &[Offset],
    versions: std::sync::mpsc::SyncSender<Version>,
) -> Result<(), TrainError> {
    for &boundary in boundaries {
        follow(learner, facts, log, boundary)?;
        if versions.send(learner.publish()).is_err() {
            break;
        }
    }
    Ok(())
}

/// Makes pages while the facts are folded.
struct Pages<'a> {
    facts: Facts,
    log: LogReader,
    config: &'a Config,
    proposal: &'a Proposal,
    /// The scenes that were in force when the last page was answered. A proposal that names one is judged also on pages
    /// from before there was that scene.
    later: WrittenScenes,
    /// In force.
    current_scenes: ReadScenes,
    current_rules: ReadRules,
    /// Of the proposal.
    scenes: Scenes,
    rules: Rules,
}

impl<'a> Pages<'a> {
    fn new(
        facts: Facts,
        log: LogReader,
        config: &'a Config,
        proposal: &'a Proposal,
        later: WrittenScenes,
    ) -> Result<Self, EngineError> {
        let rules = Rules::read(proposal.rule.as_deref().unwrap_or_default())?;
        let (current_scenes, current_rules) = (ReadScenes::new(&config.scene), ReadRules::default());
        let scenes = Scenes::default();
        let mut pages = Self { facts, log, config, proposal, later, current_scenes, current_rules, scenes, rules };
        pages.read_scenes()?;
        Ok(pages)
    }

    /// Reads the scenes of the proposal beside those that the facts have now.
    fn read_scenes(&mut self) -> Result<(), EngineError> {
        let mut others = self.later.clone();
        others.extend(ReadScenes::written_in_force(&self.config.scene, &self.facts));
        self.scenes = self.proposal.scenes_over(others)?;
        Ok(())
    }

    fn make(&mut self, asked: &AskedAgain, version: &Version) -> Result<MadeAgain, EngineError> {
        let before = self.facts.scenes.since;
        let until = asked.known;
        while self.facts.end < until {
            let n = CHUNK.min(until.0 - self.facts.end.0) as usize;
            let (log, facts) = (&mut self.log, &mut self.facts);
            log.read(facts.end, n, |record| facts.apply(&record))?;
        }
        if before != self.facts.scenes.since {
            self.read_scenes()?;
        }
        let facts = &self.facts;
        let (rules, scenes) = (self.current_rules.of(facts), self.current_scenes.of(facts));
        let catalogue = self.config.catalogue;
        // What was sponsored is no choice of a policy, and is left out on both sides.
        let (now_ms, campaigns) = (asked.at_ms, Campaigns::NONE);
        let shop = Shop { facts, version, now_ms, catalogue, rules: &rules.1, scenes: &scenes.1, campaigns };
        let ids = |shop: Shop<'_>, request: &RecommendRequest| {
            shop.recommend(request).items.into_iter().map(|item| item.id).collect::<Vec<ItemId>>()
        };
        let current = ids(shop, &asked.request);
        let part = self.proposal.part.or(asked.request.part);
        let other = RecommendRequest { part, ..asked.request.clone() };
        let rules = if self.proposal.rule.is_some() { &self.rules } else { shop.rules };
        let proposed = ids(Shop { rules, scenes: &self.scenes, ..shop }, &other);
        Ok(MadeAgain { current, proposed })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use accrue_store::{Body, Page};

    use super::*;

    fn served_with(asked: Box<str>) -> Served {
        Served { version: 1, asked, ..Served::bare("r1".into(), Page::Recommend) }
    }

    fn asked(learned: u64, offset: u64) -> AskedAgain {
        let request = RecommendRequest::default();
        AskedAgain { offset: Offset(offset), at_ms: 0, learned: Offset(learned), known: Offset(learned), request }
    }

    #[test]
    fn requests_share_versions_that_had_not_learned_more_than_theirs() {
        let asked: Vec<AskedAgain> = (0..5_000).map(|n| asked(10 * n, 10 * n + 3)).collect();
        let groups = groups(&asked, 50_000);
        assert!(groups.len() <= VERSIONS as usize + 1 && groups.len() > 100, "{}", groups.len());
        let mut next = 0;
        for group in &groups {
            assert_eq!(group.first, next);
            assert!(asked[group.first..group.end].iter().all(|asked| asked.learned >= group.learned));
            next = group.end;
        }
        assert_eq!(next, asked.len());
    }

    #[test]
    fn a_request_is_recorded_as_far_as_its_page_can_be_made_again() {
        let asked = AskedPage { n: 5, scene: Some("home".into()), ..AskedPage::default() };
        assert_eq!(&*asked.to_record(), r#"{"n":5,"scene":"home"}"#);
        assert_eq!(AskedPage::of_record(&asked.to_record()), Some(asked));
        assert_eq!((AskedPage::of_record(""), AskedPage::of_record("[")), (None, None));
        let many = AskedPage { exclude: vec!["mug".into(); 301], ..AskedPage::default() };
        assert_eq!(&*many.to_record(), "");
    }

    #[test]
    fn what_a_request_asks_for_is_read_again_from_its_record() {
        let request = RecommendRequest {
            scene: Some("cart".into()),
            device: Some("phone".into()),
            items: vec!["mug".into()],
            n: 7,
            filter: Some(Filter::parse("price:1..2").unwrap()),
            exclude: vec!["cup".into()],
            seen: Seen::read("drop:purchase").unwrap(),
            grouping: Grouping::Item,
            incomplete: Some(IncompleteItems::Show),
            diversity: Some(0.5),
            part: Some(Part::Blend),
            ..RecommendRequest::default()
        };
        let served = served_with(super::asked(&request).unwrap().to_record());
        let body = Body::Served(Box::new(served.clone()));
        let record = Record { offset: Offset(9), received_at: Default::default(), body };
        let again = AskedAgain::of(&record, &served).unwrap().request;
        assert_eq!(super::asked(&again), super::asked(&request));
        let known = |known: Option<u64>| {
            let asked = AskedPage { known: known.map(Offset), ..super::asked(&request).unwrap() };
            let served = Served { learned: Offset(4), ..served_with(asked.to_record()) };
            AskedAgain::of(&record, &served).unwrap().known
        };
        assert_eq!(known(None), Offset(4), "an older build did not say how far ahead the facts were");
        assert_eq!([Some(2), Some(7), Some(12)].map(known), [Offset(4), Offset(7), Offset(9)]);
        let inline = RecommendRequest { events: Some(Vec::new()), ..request };
        assert_eq!(super::asked(&inline), None);
    }

    #[test]
    fn a_proposal_is_checked_as_settings_are() {
        let (config, mut facts) = (Config::default(), Facts::new(1));
        facts.scenes.json = r#"{"campaign":{"seen":"drop"},"club":{"like":"home"}}"#.into();
        let check = |toml: &str| {
            let proposal: Proposal = toml::from_str(toml).map_err(|error| error.to_string())?;
            proposal.check(&config, &facts).map_err(|error| error.to_string())
        };
        assert_eq!(
            check("[scene.home]\nroom_for_new = 0.2\n[[rule]]\nname = 'a'\naction = 'hide'\nitems = ['b']"),
            Ok(())
        );
        assert_eq!(check("[scene.home]\nlike = 'campaign'"), Ok(()), "a scene that requests described");
        for (toml, said) in [
            ("[scene.home]\nsources = ['x']", "scene.home.sources[0]"),
            ("[scene.home]\nlike = 'club'", "like"),
            ("[scene.home]\nlike = 'nothing'", "scene.home.like"),
            ("[[rule]]\nname = 'a'\naction = 'hide'", "rules[0].items"),
            ("part = 'bought_together'", "bought_together"),
            ("part = 'x'", "one of"),
            ("[model]\npart = 'blend'", "unknown field `model`"),
        ] {
            let fault = check(toml).expect_err(toml);
            assert!(fault.contains(said), "{toml}: {fault}");
        }
    }

    #[test]
    fn the_scenes_of_a_proposal_stand_beside_those_in_force() {
        let written: BTreeMap<Box<str>, accrue_serve::SceneSettings> = toml::from_str("[a]\nseen = 'drop'").unwrap();
        let in_force = ReadScenes::written_in_force(&written, &Facts::new(1));
        assert_eq!(in_force, written);
    }
}
