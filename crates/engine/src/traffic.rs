//! Live traffic: which shopper is in which arm of an experiment, which answers are drawn by chance, and which are
//! recorded.
//!
//! In: settings, a visitor, an answer's id. Out: the arm (a function of the experiment's name and the shopper alone, so
//! it holds for as long as both do), and how the answer's first places are drawn. Refuses arms that cannot be
//! distinguished or cannot be served. An arm changes what is *shown*; its models learn from all shoppers, or from its
//! own alone ([`ArmLearning`]).

mod settings;

use accrue_event::{DAY_MS, Shopper, Timestamp};
use accrue_model::{DrawCost, Part};
use accrue_serve::{Explore, NewTrial, Visitor};
use accrue_store::{Assignment, DrawAccount, Split, shopper_hash, shopper_name};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use self::settings::{
    ArmLearning, ArmSettings, ExperimentSettings, ExploreBy, ExploreSettings, NewProductsSettings, RecordShare,
    ServeConfig,
};

/// Seeds of the hashes, so that choices are independent of each other: which answers are drawn, what is drawn, which
/// shoppers the good version answers, on which answers new products may stand, and how they are drawn.
const WHETHER: u64 = 2;
const WHAT: u64 = 3;
const GOOD: u64 = 4;
const NEW: u64 = 5;
const NEW_SEED: u64 = 6;

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
            version: 1,
            items: vec!["mug".into(), "cup".into()],
            propensities: if is_drawn { vec![0.5, 1.0] } else { Vec::new() },
            ..accrue_store::Served::bare(id.into(), accrue_store::Page::Recommend)
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
