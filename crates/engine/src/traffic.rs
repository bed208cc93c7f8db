//! Live traffic: which shopper is in which arm of an experiment, which answers are drawn by chance, and which are
//! recorded.
//!
//! In: settings, a visitor, an answer's id. Out: the arm (a function of the experiment's name and the shopper alone, so
//! it holds for as long as both do), and how the answer's first places are drawn. Refuses arms that cannot be
//! distinguished or cannot be served. An arm changes what is *shown*; its models learn from all shoppers, or from its
//! own alone ([`ArmLearning`]).

use std::ops::Bound;

use accrue_event::{DAY_MS, SettingFault, Shopper, Timestamp};
use accrue_model::{DrawCost, Exploration, Part, Thompson};
use accrue_serve::{Explore, NewTrial, Visitor};
use accrue_store::{Assignment, DrawAccount, Share, Split, shopper_hash, shopper_name};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seeds of the hashes, so that choices are independent of each other: which answers are drawn, what is drawn, which
/// shoppers the good version answers, on which answers new products may stand, and how they are drawn.
const WHETHER: u64 = 2;
const WHAT: u64 = 3;
const GOOD: u64 = 4;
const NEW: u64 = 5;
const NEW_SEED: u64 = 6;
/// Largest share of answers that are drawn where a budget limits what draws cost.
const MAX_SHARE: f64 = 0.5;
/// Largest number of arms.
const MAX_ARMS: usize = 16;

/// Which answers are recorded, how first places are drawn, and the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Which answers are recorded in the log: `true`, `false`, or a share of them.
    pub record: RecordShare,
    /// Which answers are drawn by chance, and how.
    pub explore: ExploreSettings,
    /// In which answers new products may stand, and what that may cost.
    pub new_products: NewProductsSettings,
    /// An experiment that is running.
    pub experiment: Option<ExperimentSettings>,
    /// Share of shoppers, different ones each day, that the good version answers, 0 to 1.
    pub good_share: f64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            record: Default::default(),
            explore: Default::default(),
            new_products: Default::default(),
            experiment: None,
            good_share: 0.01,
        }
    }
}

impl ServeConfig {
    pub(crate) fn validate(&self, learned: Part) -> Result<(), SettingFault> {
        let recorded = self.record.share();
        if !(0.0..=1.0).contains(&recorded) {
            return Err(SettingFault::new("record", recorded, "true, false, or a share from 0 to 1"));
        }
        self.explore.validate().map_err(|fault| fault.within("explore"))?;
        if self.explore.budget.is_some() && recorded < 1.0 {
            let expected = "true with `explore.budget`: what is not recorded is not counted";
            return Err(SettingFault::new("record", recorded, expected));
        }
        self.new_products.validate().map_err(|fault| fault.within("new_products"))?;
        SettingFault::check("good_share", self.good_share, 0.0..=1.0)?;
        let Some(experiment) = &self.experiment else { return Ok(()) };
        experiment.validate(learned).map_err(|fault| fault.within("experiment"))?;
        if recorded == 0.0 {
            let expected = "above 0 while an experiment is running: answers that are not kept cannot be compared";
            return Err(SettingFault::new("record", recorded, expected));
        }
        Ok(())
    }
}

/// A share of answers: all, none, or a number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordShare {
    /// All or none.
    Whole(bool),
    /// This share, chosen by a hash of the answer's id.
    Part(f64),
}

impl RecordShare {
    /// The share as a number.
    pub fn share(self) -> f64 {
        match self {
            Self::Whole(all) => f64::from(u8::from(all)),
            Self::Part(share) => share,
        }
    }
}

impl Default for RecordShare {
    fn default() -> Self {
        Self::Whole(true)
    }
}

/// Which answers are drawn by chance, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExploreSettings {
    /// Share of answers, 0 to 1.
    pub share: f64,
    /// Places that are drawn, from the top: 1 to 3.
    pub places: usize,
    /// The best items that compete for them: 2 to 20.
    pub among: usize,
    /// If drawn by rank: number of ranks over which the probability falls to 1/e; `inf` for equal probabilities.
    pub temperature: f32,
    /// The rule by which they are drawn.
    pub by: ExploreBy,
    /// Clicks that draws may cost in a window of `budget_days`; no draw is made once they may have cost as many. `None`
    /// sets no limit.
    pub budget: Option<f64>,
    /// Days of a window, 1 to 365.
    pub budget_days: u16,
}

/// The rule by which the first places are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExploreBy {
    /// The rank alone.
    #[default]
    Rank,
    /// Thompson sampling: an item is drawn with the probability that it is the best, given the uncertainty of its
    /// score.
    Belief,
}

impl Default for ExploreSettings {
    fn default() -> Self {
        let Exploration { places, among, temperature } = Exploration::default();
        Self { share: 0.0, places, among, temperature, by: ExploreBy::Rank, budget: None, budget_days: 30 }
    }
}

impl ExploreSettings {
    fn exploration(&self) -> Exploration {
        Exploration { places: self.places, among: self.among, temperature: self.temperature }
    }

    fn how(&self) -> Explore {
        match self.by {
            ExploreBy::Rank => Explore::Rank(self.exploration()),
            ExploreBy::Belief => Explore::Belief(Thompson { places: self.places, among: self.among }),
        }
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("share", self.share, 0.0..=1.0)?;
        SettingFault::check("budget_days", self.budget_days, 1..=365)?;
        if let Some(budget) = self.budget {
            SettingFault::check("budget", budget, 1.0..=1e9)?;
            if self.share > MAX_SHARE {
                let expected =
                    format!("at most {MAX_SHARE} with a `budget`: what draws cost is seen beside answers without");
                return Err(SettingFault::new("share", self.share, expected));
            }
        }
        self.exploration().validate()
    }

    /// Whether draws of this cost may have reached the budget.
    pub(crate) fn is_spent(&self, cost: DrawCost) -> bool {
        self.budget.is_some_and(|budget| cost.at_most >= budget)
    }
}

/// In which answers new products may stand, and what that may cost. On how many places they may stand is a setting of
/// the scene.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewProductsSettings {
    /// Share of answers, 0 to 0.5. The others are those that they are compared with.
    pub share: f64,
    /// Clicks that new products may cost in a window of `budget_days`; none is shown any more once they may have cost as
    /// many. 0 sets no limit.
    pub budget: f64,
    /// Days of a window, 1 to 365.
    pub budget_days: u16,
    /// Days for which a product is new, 1 to 365.
    pub max_age_days: u16,
    /// Clicks after which a product is known, 1 to 1000.
    pub enough_clicks: u64,
}

impl Default for NewProductsSettings {
    fn default() -> Self {
        // The bound of the cost grows with the root of the clicks that are compared; 500 are reached after some 10,000 of
        // them, or as soon as that many are really lost.
        Self { share: MAX_SHARE, budget: 500.0, budget_days: 30, max_age_days: 30, enough_clicks: 20 }
    }
}

impl NewProductsSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("share", self.share, 0.0..=MAX_SHARE)?;
        SettingFault::check("budget", self.budget, 0.0..=1e9)?;
        SettingFault::check("budget_days", self.budget_days, 1..=365)?;
        SettingFault::check("max_age_days", self.max_age_days, 1..=365)?;
        SettingFault::check("enough_clicks", self.enough_clicks, 1..=1_000)
    }

    /// What a page needs to know of them.
    pub(crate) fn trial(&self, is_shown: bool, seed: u64) -> NewTrial {
        NewTrial { is_shown, seed, max_age_days: self.max_age_days, enough_clicks: self.enough_clicks }
    }

    /// Whether new products of this cost may have reached the budget.
    pub(crate) fn is_spent(&self, cost: DrawCost) -> bool {
        self.budget > 0.0 && cost.at_most >= self.budget
    }
}

/// An experiment: a name and its arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentSettings {
    /// Its name. Another name splits the shoppers differently.
    pub name: String,
    /// What the models learn from.
    #[serde(default)]
    pub learning: ArmLearning,
    /// The arms. The others are compared with the first one.
    pub arms: Vec<ArmSettings>,
}

/// What the models behind an arm learn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArmLearning {
    /// One learner learns from all arms: the difference is that of what is shown, with equally good models behind it.
    #[default]
    Shared,
    /// Each arm's models begin as a copy of the shared ones and learn from its own shoppers alone: the difference
    /// includes what an arm learns by itself, from a part of the traffic.
    OwnArm,
}

/// One arm. The server's settings hold for what it does not name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmSettings {
    /// Its name.
    pub name: String,
    /// Share of shoppers; those of all arms sum to 1.
    pub share: f64,
    /// Which part of the models scores.
    pub part: Option<Part>,
    /// Weight of diversity, 0 to 1, if a request does not give it.
    pub diversity: Option<f32>,
    /// Share of answers that are drawn, 0 to 1.
    pub explore: Option<f64>,
}

impl ExperimentSettings {
    /// Refuses arms that cannot be distinguished, whose shares do not sum to 1, or that cannot be served; `learned` is
    /// the part that is learned.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self, learned: Part) -> Result<(), SettingFault> {
        check_name("name", &self.name)?;
        let n_arms = self.arms.len();
        if !(2..=MAX_ARMS).contains(&n_arms) {
            return Err(SettingFault::new("arms", format!("a list of {n_arms}"), format!("a list of 2 to {MAX_ARMS}")));
        }
        for (place, arm) in self.arms.iter().enumerate() {
            arm.validate(learned).map_err(|fault| fault.within(&format!("arms[{place}]")))?;
            if self.arms[..place].iter().any(|other| other.name == arm.name) {
                return Err(SettingFault::new(format!("arms[{place}].name"), &arm.name, "different from all others"));
            }
        }
        let sum: f64 = self.arms.iter().map(|arm| arm.share).sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(SettingFault::new("arms.share", format!("{sum} in total"), "1 in total"));
        }
        Ok(())
    }
}

fn check_name(key: &str, name: &str) -> Result<(), SettingFault> {
    if (1..=64).contains(&name.len()) {
        return Ok(());
    }
    Err(SettingFault::new(key, format!("a text of {} bytes", name.len()), "a text of 1 to 64 bytes"))
}

impl ExperimentSettings {
    /// The assignment of shoppers to arms.
    pub fn split(&self) -> Split {
        let share = |arm: &ArmSettings| Share { name: arm.name.as_str().into(), share: arm.share };
        Split { experiment: self.name.as_str().into(), arms: self.arms.iter().map(share).collect() }
    }
}

impl ArmSettings {
    fn validate(&self, learned: Part) -> Result<(), SettingFault> {
        check_name("name", &self.name)?;
        SettingFault::check("share", self.share, (Bound::Excluded(0.0), Bound::Included(1.0)))?;
        let is_learned = |part| learned == Part::Blend || part == learned || part == Part::Popularity;
        if let Some(part) = self.part.filter(|&part| !is_learned(part)) {
            let expected = format!("{}, the only part that is learned (`model.part`)", learned.name());
            return Err(SettingFault::new("part", part.name(), expected));
        }
        SettingFault::check("diversity", self.diversity.unwrap_or(0.0), 0.0..=1.0)?;
        SettingFault::check("explore", self.explore.unwrap_or(0.0), 0.0..=1.0)
    }
}

/// How one request is answered, as far as traffic decides it.
#[derive(Clone, Debug)]
pub struct Treatment<'t> {
    /// Hash of the shopper; `None` for a visitor without an id, who could not be recognised again.
    pub shopper: Option<u64>,
    /// Whether the good version answers.
    pub is_by_good: bool,
    /// How the first places are drawn, if they are, and the seed of the draw.
    pub explore: Option<(Explore, u64)>,
    /// Whether new products may stand on it; `None` where it is not among the answers that are compared.
    pub new_trial: Option<NewTrial>,
    /// The arm, as records name it; `None` for a visitor without an id, and without an experiment.
    pub assignment: Option<Assignment>,
    arm: Option<&'t ArmSettings>,
}

impl Treatment<'_> {
    /// Without a draw, if that would be one that the budget `explore` of the server does not allow any more. An arm of
    /// an experiment has a share of its own, which no budget limits.
    pub fn within(self, explore: &ExploreSettings, account: &DrawAccount) -> Self {
        let is_limited = explore.budget.is_some() && self.explore.is_some() && self.assignment.is_none();
        if is_limited && explore.is_spent(DrawCost::of(account.window(explore.budget_days.into()))) {
            return Self { explore: None, ..self };
        }
        self
    }

    /// Without new products where they may have cost their budget in the window of this moment. Then neither kind of
    /// answer counts, so that both are of the same hours.
    pub fn within_new(self, settings: &NewProductsSettings, account: &DrawAccount, now: Timestamp) -> Self {
        let window = account.window_at(settings.budget_days.into(), now);
        if self.new_trial.is_some() && settings.is_spent(DrawCost::of(window)) {
            return Self { new_trial: None, ..self };
        }
        self
    }

    /// The part of the models that scores, if the arm names one.
    pub fn part(&self) -> Option<Part> {
        self.arm.and_then(|arm| arm.part)
    }

    /// Weight of diversity, if the arm has one.
    pub fn diversity(&self) -> Option<f32> {
        self.arm.and_then(|arm| arm.diversity)
    }
}

/// Decides how each visitor is answered.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    explore: ExploreSettings,
    new_products: NewProductsSettings,
    /// Whether every answer is recorded. What is not recorded cannot be compared.
    records_all: bool,
    experiment: Option<(ExperimentSettings, Split)>,
    good_share: f64,
}

impl Traffic {
    /// With these settings, which must be valid.
    pub fn new(settings: &ServeConfig) -> Self {
        let experiment = settings.experiment.clone().map(|experiment| (experiment.clone(), experiment.split()));
        Self {
            explore: settings.explore,
            new_products: settings.new_products,
            records_all: settings.record.share() >= 1.0,
            experiment,
            good_share: settings.good_share,
        }
    }

    /// Decides how the answer `answer_id` to this visitor is made, at the stream time `now_ms`. A user is recognised by
    /// the id, a guest by the session.
    pub fn treatment(&self, visitor: &Visitor, answer_id: &str, now_ms: i64) -> Treatment<'_> {
        let shopper = visitor.shopper();
        let hash = shopper.as_ref().map(shopper_hash);
        let (arm, assignment) =
            self.experiment.as_ref().zip(hash).map_or((None, None), |((experiment, split), hash)| {
                let arm = &experiment.arms[split.arm_of(hash)];
                let (experiment, name) = (experiment.name.as_str().into(), arm.name.as_str().into());
                (Some(arm), Some(Assignment { experiment, arm: name }))
            });
        let is_by_good = shopper.is_some_and(|shopper| self.is_by_good(&shopper, now_ms));
        let explore = self.exploration(arm, answer_id);
        // Arms are compared with each other, so chance must not add to what they show.
        let new_trial = if arm.is_none() && explore.is_none() { self.new_trial(answer_id) } else { None };
        Treatment { shopper: hash, is_by_good, explore, new_trial, assignment, arm }
    }

    /// Whether the good version answers this shopper on the day of `now_ms`. It answers a different small share of
    /// shoppers each day, so that not all choices follow from pages of the current model.
    fn is_by_good(&self, shopper: &Shopper, now_ms: i64) -> bool {
        let day = now_ms.div_euclid(DAY_MS);
        self.good_share > 0.0 && unit(&format!("{day}\0{}", shopper_name(shopper)), GOOD) < self.good_share
    }

    /// How the answer with this id is drawn, if it is one of those that are, and the seed of the draw.
    fn exploration(&self, arm: Option<&ArmSettings>, answer_id: &str) -> Option<(Explore, u64)> {
        let share = arm.and_then(|arm| arm.explore).unwrap_or(self.explore.share);
        let is_drawn = unit(answer_id, WHETHER) < share;
        is_drawn.then(|| (self.explore.how(), xxh3_64_with_seed(answer_id.as_bytes(), WHAT)))
    }

    /// Whether new products may stand on the answer with this id, and the seed of their draws.
    fn new_trial(&self, answer_id: &str) -> Option<NewTrial> {
        let settings = &self.new_products;
        (settings.share > 0.0 && self.records_all).then(|| {
            let seed = xxh3_64_with_seed(answer_id.as_bytes(), NEW_SEED);
            settings.trial(unit(answer_id, NEW) < settings.share, seed)
        })
    }
}

/// The text's hash as a number in 0..1.
fn unit(text: &str, seed: u64) -> f64 {
    (xxh3_64_with_seed(text.as_bytes(), seed) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(toml: &str) -> ExperimentSettings {
        toml::from_str(toml).unwrap()
    }

    const TWO: &str = "name = 'x'\narms = [{ name = 'a', share = 0.8 }, { name = 'b', share = 0.2, explore = 1.0 }]";

    fn traffic(toml: &str) -> Traffic {
        let experiment = experiment(toml);
        let split = experiment.split();
        Traffic { experiment: Some((experiment, split)), ..Traffic::default() }
    }

    fn user(n: u32) -> Visitor {
        Visitor { user: Some(format!("u{n}").as_str().into()), session: Some(format!("s{n}").as_str().into()) }
    }

    #[test]
    fn shoppers_are_split_by_the_shares_and_stay_where_they_are() {
        let (one, other) = (traffic(TWO), traffic(&TWO.replace("'x'", "'y'")));
        let arm = |traffic: &Traffic, n| traffic.treatment(&user(n), "r", 0).assignment.unwrap().arm;
        let in_b = (0..10_000).filter(|&n| &*arm(&one, n) == "b").count();
        assert!((1_900..2_100).contains(&in_b), "{in_b}");
        let again = traffic(TWO);
        assert!((0..1_000).all(|n| arm(&one, n) == arm(&again, n)));
        let both = (0..10_000).filter(|&n| &*arm(&one, n) == "b" && &*arm(&other, n) == "b").count();
        assert!((300..500).contains(&both), "another name splits differently: {both}");
        let stranger = one.treatment(&Visitor::default(), "r", 0);
        assert!(stranger.assignment.is_none() && stranger.shopper.is_none());
    }

    #[test]
    fn another_share_of_shoppers_is_answered_by_the_good_version_each_day() {
        let traffic = Traffic { good_share: 0.1, ..Traffic::default() };
        let is_by_good =
            |traffic: &Traffic, visitor: &Visitor, now_ms| traffic.treatment(visitor, "r", now_ms).is_by_good;
        let day =
            |day: i64| (0..5_000).filter(|&n| is_by_good(&traffic, &user(n), day * DAY_MS + 7)).collect::<Vec<_>>();
        let (one, other) = (day(20_000), day(20_001));
        assert!((430..570).contains(&one.len()) && (430..570).contains(&other.len()), "{} {}", one.len(), other.len());
        assert!(one.iter().filter(|n| other.contains(n)).count() < 100);
        assert!(!is_by_good(&traffic, &Visitor::default(), 0), "a visitor without an id cannot be recognised");
        assert!((0..5_000).all(|n| !is_by_good(&Traffic::default(), &user(n), 0)));
    }

    #[test]
    fn an_arm_may_draw_more_answers_than_the_rest() {
        let traffic = traffic(TWO);
        let arms = &traffic.experiment.as_ref().unwrap().0.arms;
        let drawn = |arm| (0..1_000).filter(|n| traffic.exploration(Some(arm), &format!("r{n}")).is_some()).count();
        assert_eq!((drawn(&arms[0]), drawn(&arms[1])), (0, 1_000));
    }

    #[test]
    fn experiments_that_cannot_be_run_are_refused() {
        let cases = [
            (TWO.replace("0.2", "0.3"), "`arms.share` is 1.1 in total"),
            (TWO.replace("'b'", "'a'"), "`arms[1].name` is a, but must be different"),
            (TWO.replace("explore = 1.0", "explore = 2.0"), "`arms[1].explore` is 2"),
            (TWO.replace("explore = 1.0", "part = 'neighbours'"), "must be repeat, the only part that is learned"),
            ("name = 'x'\narms = [{ name = 'a', share = 1.0 }]".into(), "`arms` is a list of 1"),
            (TWO.replace("'x'", "''"), "1 to 64 bytes"),
        ];
        for (toml, told) in cases {
            let error = experiment(&toml).validate(Part::Repeat).unwrap_err().to_string();
            assert!(error.contains(told), "{toml}: {error}");
        }
        assert_eq!(experiment(TWO).validate(Part::Repeat), Ok(()));
        let unrecorded =
            ServeConfig { record: RecordShare::Whole(false), experiment: Some(experiment(TWO)), ..Default::default() };
        assert_eq!(unrecorded.validate(Part::Blend).unwrap_err().key, "record");
        assert!(ExploreSettings { share: 1.5, ..Default::default() }.validate().is_err());
        assert!(ExploreSettings { among: 1, ..Default::default() }.validate().is_err());
    }

    fn served(id: &str, is_drawn: bool) -> accrue_store::Served {
        accrue_store::Served {
            recommendation_id: id.into(),
            page: accrue_store::Page::Recommend,
            user: None,
            session: None,
            version: 1,
            learned: accrue_store::Offset(0),
            first_position: 0,
            items: vec!["mug".into(), "cup".into()],
            propensities: if is_drawn { vec![0.5, 1.0] } else { Vec::new() },
            arm: None,
            ranks: Vec::new(),
            asked: Box::default(),
            sponsored: Vec::new(),
            published: false,
            trial: accrue_store::Trial::None,
        }
    }

    #[test]
    fn new_products_end_with_their_budget_and_come_back_with_the_next_window() {
        let mut account = DrawAccount::default();
        let at = |day: i64, n: u32| accrue_event::Timestamp(day * DAY_MS + i64::from(n));
        let mut serve = |n: u32, is_drawn: bool| account.serve(&served(&format!("r{n}"), is_drawn), at(0, n));
        (0..200).for_each(|n| serve(n, n % 2 == 0));
        let settings = NewProductsSettings { budget: 25.0, budget_days: 2, ..NewProductsSettings::default() };
        let traffic = Traffic { new_products: settings, records_all: true, ..Traffic::default() };
        let trial = |account: &DrawAccount, day: i64, n: u32| {
            let treatment = traffic.treatment(&user(n), &format!("x{n}"), 0);
            treatment.within_new(&settings, account, at(day, n)).new_trial.map(|trial| trial.is_shown)
        };
        // The rest of the day and the next one: nothing is shown, and nothing that could make the bound smaller is counted.
        for n in 0..1_000 {
            assert_eq!((trial(&account, 0, 200 + n), trial(&account, 1, n)), (None, None));
        }
        let n_shown = (0..100).filter(|&n| trial(&account, 2, n) == Some(true)).count();
        assert!((30..70).contains(&n_shown), "{n_shown}");
    }

    #[test]
    fn draws_end_where_they_may_have_cost_their_budget() {
        let mut account = DrawAccount::default();
        for n in 0..200 {
            account.serve(&served(&format!("r{n}"), n % 2 == 0), accrue_event::Timestamp(n));
        }
        let explore = |budget| ExploreSettings { share: 0.5, budget, ..ExploreSettings::default() };
        let is_drawn = |explore: ExploreSettings, traffic: Traffic, n: u32| {
            traffic.treatment(&user(n), &format!("x{n}"), 0).within(&explore, &account).explore.is_some()
        };
        let n_drawn = |budget| {
            let traffic = || Traffic { explore: explore(budget), ..Traffic::default() };
            (0..100).filter(|&n| is_drawn(explore(budget), traffic(), n)).count()
        };
        assert!((30..70).contains(&n_drawn(None)) && n_drawn(None) == n_drawn(Some(100.0)));
        assert_eq!(n_drawn(Some(10.0)), 0, "a hundred draws may have cost as many clicks");
        // The arm draws all of its answers, whatever the budget of the server is.
        let in_arm = (0..100).filter(|&n| is_drawn(explore(Some(10.0)), traffic(TWO), n)).count();
        assert!((5..40).contains(&in_arm), "{in_arm}");
    }

    #[test]
    fn a_budget_needs_answers_without_draws_and_a_record_of_both() {
        let explore = |share, budget, budget_days| ExploreSettings {
            share,
            budget: Some(budget),
            budget_days,
            ..ExploreSettings::default()
        };
        for (settings, key) in [
            (explore(0.6, 100.0, 30), "share"),
            (explore(0.1, 0.0, 30), "budget"),
            (explore(0.1, f64::NAN, 30), "budget"),
            (explore(0.1, 100.0, 0), "budget_days"),
            (explore(0.1, 100.0, 366), "budget_days"),
        ] {
            assert_eq!(settings.validate().unwrap_err().key, key, "{settings:?}");
        }
        let unrecorded =
            ServeConfig { record: RecordShare::Part(0.5), explore: explore(0.1, 100.0, 30), ..Default::default() };
        assert_eq!(unrecorded.validate(Part::Blend).unwrap_err().key, "record");
    }
}
