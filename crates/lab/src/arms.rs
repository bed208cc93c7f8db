//! What an experiment's difference estimates: simulated shops in which the true difference is known.
//!
//! A treatment may change not only what is shown but also what is learned from it. For a third of its days, a shop's
//! front pages show what its models rank best. Then the rest is simulated four times with the same visitors: all pages
//! by the first policy, all pages by the treatment (the difference of the two is the true effect of choosing the
//! treatment), and twice with half of the shoppers in each arm: once with one learner for both arms, once with a
//! learner for each. Out: the true effect and both estimates, in shares of the best pages' expected clicks, over the
//! last third of the days; means over shops with their standard errors. The bias of a shared learner is the subject of
//! Holtz et al., *Reducing symbiosis bias through better A/B tests of recommendation algorithms* (2023).

use accrue_event::{DAY_MS, EventType, ItemId, Timestamp};
use accrue_kernel::Draws;
use accrue_model::{Context, Exploration, Prepared, Scored, Version};
use accrue_store::{Body, CheckedEvent, Facts, Offset, Record, Share, Split, session_hash, shopper_hash};
use accrue_train::{LearnSettings, Learner};
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::simulator::{Outcome, Request, Simulator, SimulatorSettings, Step, Visit};

/// Stream of the random numbers that draw pages.
const SHOWN: u64 = 0x4152_4d53;
/// Number of pages between two publications.
const PUBLISHED_EVERY: u64 = 32;
/// The policy of the second arm; the first arm shows what the models rank best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// The most popular items, the same for all shoppers.
    Popular,
    /// The first three positions are drawn uniformly from the best twenty items.
    Explore,
}

impl Treatment {
    /// All treatments.
    pub const ALL: [Self; 2] = [Self::Popular, Self::Explore];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Popular => "popular",
            Self::Explore => "explore",
        }
    }
}

/// Settings of the evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmsSettings {
    /// The treatment.
    pub treatment: Treatment,
    /// Number of shops; their seeds are consecutive, from the learner's seed on.
    pub shops: u64,
    /// Days of each shop; a third of them are before the experiment.
    pub days: u32,
    /// The learner's settings.
    pub learn: LearnSettings,
}

/// A mean over shops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OverShops {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// The results. All values are shares of the best pages' clicks; differences are those of the second arm to the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmsReport {
    /// The treatment.
    pub treatment: Treatment,
    /// Number of shops.
    pub shops: u64,
    /// Mean number of front pages per shop that were evaluated.
    pub pages: f64,
    /// All pages by the first policy.
    pub first: OverShops,
    /// All pages by the second policy.
    pub second: OverShops,
    /// The true effect: the difference between the two policies above.
    pub truth: OverShops,
    /// The difference between arms with one learner.
    pub shared: OverShops,
    /// The difference between arms with a learner each.
    pub own_arm: OverShops,
    /// The error of the estimate with one learner, shop by shop.
    pub shared_error: OverShops,
    /// The error of the estimate with a learner for each arm, shop by shop.
    pub own_arm_error: OverShops,
}

/// Simulates the shops one after another; `progress` is called with the share done.
///
/// # Errors
/// Errors of the learner, and [`LabError::Empty`] if there is no page to evaluate.
pub fn evaluate_arms(settings: &ArmsSettings, progress: &dyn Fn(f64)) -> Result<ArmsReport, LabError> {
    let mut found: [Vec<f64>; 7] = Default::default();
    let mut pages = 0.0;
    for number in 0..settings.shops {
        let seed = settings.learn.seed + number;
        let halves = || split(&format!("shop {seed}"), &[0.5, 0.5]);
        let mut n_done = 0.0;
        let mut run = |shown: Split, separate: bool| {
            let run = Run::new(settings, seed, shown, separate).run();
            n_done += 1.0;
            progress((number as f64 + n_done / 4.0) / settings.shops as f64);
            run
        };
        let first = run(split("all", &[1.0, 0.0]), false)?;
        let second = run(split("all", &[0.0, 1.0]), false)?;
        let (shared, own) = (run(halves(), false)?, run(halves(), true)?);
        pages += (first[0].n as f64) / settings.shops as f64;
        let (first, second) = (first[0].share(), second[1].share());
        let [truth, shared, own] =
            [second - first, shared[1].share() - shared[0].share(), own[1].share() - own[0].share()];
        for (found, figure) in found.iter_mut().zip([first, second, truth, shared, own, shared - truth, own - truth]) {
            found.push(figure);
        }
    }
    if pages == 0.0 {
        return Err(LabError::Empty("there is no page to evaluate"));
    }
    let [first, second, truth, shared, own_arm, shared_error, own_arm_error] = found.map(|found| over_shops(&found));
    let ArmsSettings { treatment, shops, .. } = *settings;
    Ok(ArmsReport { treatment, shops, pages, first, second, truth, shared, own_arm, shared_error, own_arm_error })
}

fn split(name: &str, shares: &[f64]) -> Split {
    let arms = shares.iter().zip(["first", "second"]).map(|(&share, name)| Share { name: name.into(), share });
    Split { experiment: name.into(), arms: arms.collect() }
}

fn over_shops(found: &[f64]) -> OverShops {
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    let variance = found.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    OverShops { mean, standard_error: (variance / n).sqrt() }
}

/// Expected clicks of pages, and of the best pages for the same visitors.
#[derive(Clone, Copy, Debug, Default)]
struct PageValue {
    n: u64,
    clicks: f64,
    best: f64,
}

impl PageValue {
    fn add(&mut self, outcome: &Outcome) {
        self.n += 1;
        self.clicks += outcome.expected_clicks;
        self.best += outcome.best_expected_clicks;
    }

    fn share(self) -> f64 {
        self.clicks / self.best.max(f64::MIN_POSITIVE)
    }
}

/// A shop whose front pages are filled by the arms' policies.
struct Run {
    treatment: Treatment,
    seed: u64,
    days: u32,
    shown: Split,
    /// Settings that take effect when the experiment begins, if the arms learn separately.
    separate: Option<LearnSettings>,
    begun: bool,
    shop: Simulator,
    facts: Facts,
    learner: Learner,
    version: Version,
    n_pages: u64,
    prepared: Prepared,
}

impl Run {
    fn new(settings: &ArmsSettings, seed: u64, shown: Split, separate: bool) -> Self {
        let shop =
            SimulatorSettings { seed, n_items: 400, n_shoppers: 600, visits_per_day: 500.0, ..Default::default() };
        let mut learn = LearnSettings { seed, predict_one_in: u64::MAX, ..settings.learn.clone() };
        // What is learned is compared, without rollbacks.
        learn.guard.enabled = false;
        let facts = Facts::new(learn.history_capacity);
        let mut learner = Learner::new(learn.clone());
        let separate = separate.then(|| LearnSettings { arms: Some(shown.clone()), ..learn });
        let version = learner.publish();
        Self {
            treatment: settings.treatment,
            seed,
            days: settings.days,
            shown,
            separate,
            begun: false,
            shop: Simulator::new(shop),
            facts,
            learner,
            version,
            n_pages: 0,
            prepared: Prepared::default(),
        }
    }

    /// Simulates all days; returns the value of the pages of the last third, by arm.
    fn run(mut self) -> Result<[PageValue; 2], LabError> {
        let start_ms = self.shop.settings().start.0;
        let third_ms = i64::from(self.days) * DAY_MS / 3;
        let [begin_ms, judge_ms, end_ms] = [1, 2, 3].map(|thirds| start_ms + thirds * third_ms);
        let mut values = [PageValue::default(); 2];
        for item in self.shop.items_at_start() {
            self.take(Timestamp(start_ms), Body::Item(Box::new(item)))?;
        }
        loop {
            let step = self.shop.next_step();
            if self.shop.now().0 >= end_ms {
                return Ok(values);
            }
            match step {
                Step::NewItems(items) => {
                    for item in items {
                        self.take(self.shop.now(), Body::Item(Box::new(item)))?;
                    }
                }
                Step::Visit(visit) if visit.request == Request::Home => {
                    if visit.at.0 >= begin_ms && !self.begun {
                        self.begin(visit.at)?;
                    }
                    let arm = if self.begun { self.shown.arm_of(shopper_hash(&visit.shopper)) } else { 0 };
                    let page = self.page(&visit, arm);
                    let outcome = self.shop.respond(&visit, &page);
                    if visit.at.0 >= judge_ms {
                        values[arm].add(&outcome);
                    }
                    for event in outcome.events {
                        if event.event_type != EventType::Impression {
                            let at = event.at;
                            self.take(at, Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None }))?;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, now: Timestamp) -> Result<(), LabError> {
        self.begun = true;
        match self.separate.take() {
            Some(settings) => self.take(now, Body::Settings(settings.to_record().into())),
            None => Ok(()),
        }
    }

    fn take(&mut self, received_at: Timestamp, body: Body) -> Result<(), LabError> {
        let record = Record { offset: Offset(self.facts.end.0), received_at, body };
        self.facts.apply(&record);
        Ok(self.learner.step(record.offset, received_at.0, self.facts.resolve(&record))?)
    }

    /// The front page for a visit, by the arm's policy.
    fn page(&mut self, visit: &Visit, arm: usize) -> Vec<ItemId> {
        if self.n_pages.is_multiple_of(PUBLISHED_EVERY) {
            self.version = self.learner.publish();
        }
        self.n_pages += 1;
        let treatment = Some(self.treatment).filter(|_| arm == 1);
        let shopper = self.facts.shopper(&visit.shopper).unwrap_or(u32::MAX);
        let session = Some(session_hash(visit.session.as_str()));
        let version = self.version.of_shopper(Some(shopper_hash(&visit.shopper)));
        let history = self.facts.histories.get(shopper);
        let context = Context::new(&history, session, visit.at.0, &version.weights);
        let items = self.shop.items();
        let n = visit.n.max(20);
        let is_shown = |item: u32| items.get(item as usize).is_some_and(|item| item.can_be_shown());
        let ranked: Vec<Scored> = match treatment {
            Some(Treatment::Popular) => {
                let leaders = version.ensemble.popularity().leaders(visit.at.0);
                leaders.filter(|leader| is_shown(leader.item)).take(n).collect()
            }
            _ => version.ensemble.rank(&context, &mut self.prepared, n, is_shown),
        };
        let ids: Vec<&ItemId> = ranked.iter().map(|scored| &items[scored.item as usize].id).collect();
        let order: Vec<u32> = if treatment == Some(Treatment::Explore) {
            let exploration = Exploration { places: 3, among: 20, temperature: f32::INFINITY };
            exploration.draw(ids.len(), &mut Draws::new(self.seed, SHOWN, visit.number)).ranks
        } else {
            (0..ids.len() as u32).collect()
        };
        order.into_iter().take(visit.n).map(|rank| ids[rank as usize].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use accrue_model::{Part, Settings};

    use super::*;

    fn report(treatment: Treatment, part: Part) -> ArmsReport {
        let models = Settings { part, ..Settings::default() };
        let learn = LearnSettings { models, ..LearnSettings::default() };
        evaluate_arms(&ArmsSettings { treatment, shops: 2, days: 6, learn }, &|_| {}).unwrap()
    }

    #[test]
    fn a_treatment_with_a_small_effect_has_small_estimates() {
        let report = report(Treatment::Popular, Part::Popularity);
        assert!(report.pages > 200.0 && report.first.mean > 0.02 && report.first.mean < 1.0, "{report:?}");
        for difference in [report.truth, report.shared, report.own_arm] {
            assert!(difference.mean.abs() < 0.04, "{report:?}");
        }
    }

    #[test]
    fn results_are_reproducible_and_separate_learners_change_the_estimate() {
        let explore = report(Treatment::Explore, Part::Neighbours);
        assert_eq!(explore, report(Treatment::Explore, Part::Neighbours));
        assert!(explore.truth.mean != 0.0 && explore.shared != explore.own_arm, "{explore:?}");
        let error = explore.own_arm.mean - explore.truth.mean;
        assert!((explore.own_arm_error.mean - error).abs() < 1e-12, "{explore:?}");
    }
}
