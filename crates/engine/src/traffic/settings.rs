//! Settings of live traffic: which answers are recorded, how first places are drawn, where new products may stand, and
//! the experiment with its arms.

use std::ops::Bound;

use accrue_event::SettingFault;
use accrue_model::{DrawCost, Exploration, Part, Thompson};
use accrue_serve::{Explore, NewTrial};
use accrue_store::{Share, Split};
use serde::{Deserialize, Serialize};

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

    pub(super) fn how(&self) -> Explore {
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

fn check_name(key: &str, name: &str) -> Result<(), SettingFault> {
    if (1..=64).contains(&name.len()) {
        return Ok(());
    }
    Err(SettingFault::new(key, format!("a text of {} bytes", name.len()), "a text of 1 to 64 bytes"))
}
