//! The coverage of the intervals: many simulated shops, in which the value of a policy that is never used is known.
//!
//! In each shop the best items of a front page are found, and a logging policy draws the first positions almost
//! uniformly; the target policy would draw them closer to their ranks. The estimates use a quarter of the shoppers. The
//! true value is the mean over all shoppers' visits, with the exact expected clicks of each page. Out: how often 95 %
//! intervals contain the true value, and the errors of the estimates.

use std::collections::BTreeMap;

use accrue_event::Shopper;
use accrue_kernel::Draws;
use accrue_model::Exploration;
use serde::Serialize;

use super::{Decision, Estimate, ListPolicy, OffPolicyError, OffPolicySettings, ShownList, estimate};
use crate::simulator::{Request, Simulator, SimulatorSettings, Step, Visit};

/// Streams of the random numbers that draw pages and choose the observed shoppers.
const SHOWN: u64 = 0x5348_4f57;
const SEEN: u64 = 0x5345_454e;
/// One shopper in this number is observed.
const SEEN_ONE_IN: u64 = 4;

/// The policy that fills the pages, and the one whose value is estimated.
const LOGGING: Exploration = Exploration { places: 2, among: 4, temperature: 4.0 };
const TARGET: Exploration = Exploration { places: 2, among: 4, temperature: 1.0 };

/// Number and size of the shops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoverageSettings {
    /// Number of shops; their seeds are consecutive, from `seed` on.
    pub seeds: u64,
    /// The first seed.
    pub seed: u64,
    /// Front pages of each shop, of which those of a quarter of the shoppers are observed.
    pub visits: usize,
}

impl Default for CoverageSettings {
    fn default() -> Self {
        Self { seeds: 200, seed: 1, visits: 4_000 }
    }
}

/// The quality of an estimator over the shops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Share of shops whose true value is within the 95 % interval.
    pub coverage: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean error.
    pub bias: f64,
    /// Mean width of the interval.
    pub width: f64,
}

/// The quality of all estimators.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CoverageReport {
    /// Number of shops.
    pub seeds: u64,
    /// Mean number of observed decisions per shop.
    pub n: f64,
    /// Mean number of effective decisions per shop.
    pub n_effective: f64,
    /// Mean reward of a page of the logging policy.
    pub logged: f64,
    /// Mean true value of a page of the target policy.
    pub truth: f64,
    /// The quality by estimator.
    pub estimators: BTreeMap<&'static str, Quality>,
}

/// Simulates the shops one after another; `progress` is called with the share done.
///
/// # Errors
/// [`OffPolicyError`] if the log of a shop contains too little information, for example because it has few visits.
pub fn coverage(settings: &CoverageSettings, progress: &dyn Fn(f64)) -> Result<CoverageReport, OffPolicyError> {
    let mut report = CoverageReport { seeds: settings.seeds, ..CoverageReport::default() };
    let each = 1.0 / settings.seeds.max(1) as f64;
    for number in 0..settings.seeds {
        let (decisions, truth) = shop(settings.seed + number, settings.visits);
        let estimates = estimate(&decisions, &OffPolicySettings { seed: settings.seed, ..Default::default() })?;
        report.n += each * estimates.n as f64;
        report.n_effective += each * estimates.n_effective;
        report.logged += each * estimates.logged.value;
        report.truth += each * truth;
        for (name, found) in [("ips", estimates.ips), ("snips", estimates.snips), ("dr", estimates.dr)] {
            let quality = report.estimators.entry(name).or_default();
            add(quality, found, truth, each);
        }
        progress((number + 1) as f64 * each);
    }
    for quality in report.estimators.values_mut() {
        quality.rmse = quality.rmse.sqrt();
    }
    Ok(report)
}

fn add(quality: &mut Quality, found: Estimate, truth: f64, each: f64) {
    let error = found.value - truth;
    quality.coverage += each * f64::from(u8::from(found.ci95.0 <= truth && truth <= found.ci95.1));
    quality.rmse += each * error * error;
    quality.bias += each * error;
    quality.width += each * (found.ci95.1 - found.ci95.0);
}

/// The observed decisions of one shop, and the target policy's true mean value over all visits.
fn shop(seed: u64, visits: usize) -> (Vec<Decision>, f64) {
    let mut shop = Simulator::new(SimulatorSettings {
        seed,
        n_items: 200,
        n_shoppers: 400,
        page_size: LOGGING.among,
        ..SimulatorSettings::default()
    });
    let (mut decisions, mut truth, mut n_visits) = (Vec::new(), 0.0, 0);
    let mut users: BTreeMap<Shopper, u32> = BTreeMap::new();
    let mut items: BTreeMap<String, u32> = BTreeMap::new();
    while n_visits < visits {
        let Step::Visit(visit) = shop.next_step() else { continue };
        if visit.request != Request::Home {
            continue;
        }
        n_visits += 1;
        let found = shop.best_page(&visit);
        truth += value(&shop, &visit, &found);
        let drawn = LOGGING.draw(found.len(), &mut Draws::new(seed, SHOWN, visit.number));
        let shown: Vec<_> = drawn.ranks.iter().map(|&rank| found[rank as usize].clone()).collect();
        let outcome = shop.respond(&visit, &shown);
        let next = users.len() as u32;
        let user = *users.entry(visit.shopper.clone()).or_insert(next);
        if !accrue_kernel::random(seed, SEEN, u64::from(user), 0).is_multiple_of(SEEN_ONE_IN) {
            continue;
        }
        let mut rewards = vec![0.0; shown.len()];
        for event in outcome.events.iter().filter(|event| event.event_type == accrue_event::EventType::Click) {
            if let Some(reward) = event.position.and_then(|place| rewards.get_mut(place as usize)) {
                *reward = 1.0;
            }
        }
        let mut number = |item: &accrue_event::ItemId| {
            let next = items.len() as u32;
            *items.entry(item.as_str().to_string()).or_insert(next)
        };
        let numbers: Vec<u32> = shown.iter().map(&mut number).collect();
        let list = ShownList {
            user,
            items: &numbers,
            ranks: &drawn.ranks,
            propensities: &drawn.propensities,
            rewards: &rewards,
        };
        decisions.push(list.decision(&ListPolicy::Drawn(TARGET)));
    }
    (decisions, truth / visits.max(1) as f64)
}

/// The exact expected clicks of the visit's page under the target policy.
fn value(shop: &Simulator, visit: &Visit, found: &[accrue_event::ItemId]) -> f64 {
    let worth = |(top, chance): (Vec<u32>, f64)| {
        let rest = (0..found.len() as u32).filter(|rank| !top.contains(rank));
        let page: Vec<_> = top.iter().copied().chain(rest).map(|rank| found[rank as usize].clone()).collect();
        let chances = shop.chances(visit, &page);
        chance * chances.iter().map(|place| place.examined * place.clicked).sum::<f64>()
    };
    TARGET.fillings(found.len()).into_iter().map(worth).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: CoverageSettings, least: f64, most: f64) {
        let report = coverage(&settings, &|_| {}).unwrap();
        for (name, quality) in &report.estimators {
            assert!((least..=most).contains(&quality.coverage), "{name}: {report:?}");
        }
        let rmse = |name| report.estimators[name].rmse;
        assert!(rmse("dr") < rmse("ips"), "{report:?}");
        assert!(report.truth > report.logged, "{report:?}");
    }

    #[test]
    fn intervals_contain_the_true_value_in_a_few_small_shops() {
        check(CoverageSettings { seeds: 12, visits: 1_600, ..Default::default() }, 0.75, 1.0);
    }

    #[test]
    #[ignore = "minutes: cargo test --release -p accrue-lab --lib off_policy -- --ignored"]
    fn intervals_contain_the_true_value_as_often_as_stated_over_200_shops() {
        check(CoverageSettings::default(), 0.92, 0.98);
    }
}
