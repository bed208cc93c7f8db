//! Whether intervals of scores contain later scores as often as they should.
//!
//! In: a stream of events. The first part of it is learned. Then, for some shoppers and items, the Gaussian belief
//! about matrix factorization's score is recorded ([`Factorization::belief`](accrue_model::Factorization::belief)). The
//! rest is learned, and the scores of the *same histories* are computed again. Out: the share of scores within the
//! recorded intervals, over all pairs and by width of the interval. This is calibration in the sense of Dawid, *The
//! well-calibrated Bayesian* (JASA 1982). A stream without choices is an error.

use accrue_kernel::Draws;
use accrue_model::{Context, Factorization, Gaussian, RowBelief};
use accrue_store::{Facts, ItemIdx, PastEvent, Record};
use accrue_train::{LearnSettings, Learner};

use crate::LabError;
use crate::stream::StreamData;

/// Stream of the random numbers that choose items.
const ITEMS: u64 = 0x6361_6c69;

/// The settings of the measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageSettings {
    /// Share of the records that is learned before the intervals are recorded.
    pub before: f64,
    /// The probability that an interval is to contain the score.
    pub share: f32,
    /// Most shoppers to measure.
    pub shoppers: usize,
    /// Number of items for each shopper, drawn uniformly from those that were chosen.
    pub items: usize,
    /// The learner's settings.
    pub learn: LearnSettings,
}

impl Default for CoverageSettings {
    fn default() -> Self {
        Self { before: 0.5, share: 0.8, shoppers: 500, items: 20, learn: LearnSettings::default() }
    }
}

/// The coverage of the intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// Number of pairs of a shopper and an item.
    pub n: usize,
    /// Share of the later scores that are within their intervals.
    pub held: f64,
    /// The same by width of the interval: the narrowest third, the middle third, the widest third.
    pub by_width: [f64; 3],
    /// Mean standard deviation in each third.
    pub deviations: [f64; 3],
    /// Root mean squared change of the scores, in each third.
    pub moved: [f64; 3],
}

/// The recorded beliefs about one shopper's scores.
struct Beliefs {
    past: Vec<PastEvent>,
    now_ms: i64,
    believed: Vec<(ItemIdx, Gaussian)>,
}

/// Learns the stream and compares later scores with the intervals recorded on the way.
///
/// # Errors
/// [`LabError::Empty`] if the first part of the stream has no choices; errors of the learner.
pub fn score_coverage(data: StreamData, settings: &CoverageSettings) -> Result<Coverage, LabError> {
    let records = data.into_records(None);
    let mut learn_settings = LearnSettings { predict_one_in: u64::MAX, ..settings.learn.clone() };
    learn_settings.guard.enabled = false;
    let (mut facts, mut learner) = (Facts::new(learn_settings.history_capacity), Learner::new(learn_settings));
    let (first, rest) = records.split_at((records.len() as f64 * settings.before) as usize);
    learn(&mut facts, &mut learner, first)?;
    let recorded =
        beliefs(factorization(&learner)?, &learner, first.last().map_or(0, |record| record.received_at.0), settings);
    learn(&mut facts, &mut learner, rest)?;

    let mut found = Vec::new();
    for Beliefs { past, now_ms, believed } in &recorded {
        let context = Context::between_visits(past, *now_ms, learner.weights());
        let factorization = factorization(&learner)?;
        let shopper = factorization.shopper(&context);
        found.extend(believed.iter().map(|&(item, belief)| (belief, factorization.score(&shopper, item))));
    }
    if found.is_empty() {
        return Err(LabError::Empty("the first part of the stream contains no choices"));
    }
    Ok(coverage(found, settings.share))
}

fn learn(facts: &mut Facts, learner: &mut Learner, records: &[Record]) -> Result<(), LabError> {
    for record in records {
        facts.apply(record);
        let fact = facts.resolve(record);
        learner.step(learner.end(), record.received_at.0, fact)?;
    }
    Ok(())
}

fn factorization(learner: &Learner) -> Result<&Factorization, LabError> {
    let why = "the settings leave out matrix factorization, whose intervals are compared";
    learner.ensemble().factorization().ok_or(LabError::Empty(why))
}

/// The current beliefs about the scores of some shoppers and items.
fn beliefs(factorization: &Factorization, learner: &Learner, now_ms: i64, settings: &CoverageSettings) -> Vec<Beliefs> {
    let histories = learner.histories();
    let n_items = learner.ensemble().n_items();
    let known = (0..histories.len() as u32).filter(|&shopper| histories.n_events(shopper) > 0);
    let of_shopper = |shopper: u32| {
        let past = histories.get(shopper).past().to_vec();
        let context = Context::between_visits(&past, now_ms, learner.weights());
        let (mean, variance) = (factorization.shopper(&context), factorization.shopper_variance(&context));
        let mut draws = Draws::new(settings.learn.seed, ITEMS, u64::from(shopper));
        let believed = (0..settings.items).map(|_| {
            let item = draws.below(u64::from(n_items)) as ItemIdx;
            (item, factorization.belief(RowBelief { mean: &mean, variance }, item))
        });
        Beliefs { believed: believed.collect(), past, now_ms }
    };
    // For an empty history the score is the bias, which is treated as known, so there is no interval to test.
    known.take(settings.shoppers).map(of_shopper).filter(|beliefs| beliefs.believed[0].1.variance > 0.0).collect()
}

fn coverage(mut found: Vec<(Gaussian, f32)>, share: f32) -> Coverage {
    found.sort_by(|a, b| a.0.variance.total_cmp(&b.0.variance).then(a.1.total_cmp(&b.1)));
    let holds = |&(belief, score): &(Gaussian, f32)| {
        let (low, high) = belief.interval(share);
        low <= score && score <= high
    };
    let thirds: Vec<&[(Gaussian, f32)]> = found.chunks(found.len().div_ceil(3)).collect();
    let mean = |of: &dyn Fn(&(Gaussian, f32)) -> f64| -> [f64; 3] {
        std::array::from_fn(|third| {
            let third = thirds.get(third).copied().unwrap_or(&[]);
            third.iter().map(of).sum::<f64>() / third.len().max(1) as f64
        })
    };
    Coverage {
        n: found.len(),
        held: found.iter().filter(|pair| holds(pair)).count() as f64 / found.len() as f64,
        by_width: mean(&|pair| f64::from(u8::from(holds(pair)))),
        deviations: mean(&|(belief, _)| f64::from(belief.deviation())),
        moved: mean(&|(belief, score)| f64::from(score - belief.mean).powi(2)).map(f64::sqrt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{SimulatorSettings, simulated_log};

    /// A shop in which tastes do not change, so that scores change only by learning. The constants of the Gaussian
    /// belief were chosen on seed 1 with 40 and 60 days.
    fn shop(seed: u64, days: u32) -> Coverage {
        let (n_items, n_shoppers, visits_per_day) = (800, 200, 400.0);
        let shop =
            SimulatorSettings { seed, n_items, n_shoppers, visits_per_day, drift: 0.0, ..SimulatorSettings::default() };
        score_coverage(simulated_log(shop, days), &CoverageSettings::default()).unwrap()
    }

    #[test]
    fn intervals_of_80_percent_contain_80_percent_of_later_scores() {
        let shops: Vec<Coverage> = [(2, 40), (3, 40), (2, 60)].iter().map(|&(seed, days)| shop(seed, days)).collect();
        for found in &shops {
            println!("{found:?}");
            assert!((found.held - 0.8).abs() < 0.03, "{found:?}");
            // The widths differ: scores with wider intervals changed more, and each third is covered.
            assert!(found.moved.is_sorted() && found.moved[2] > 1.5 * found.moved[0], "{found:?}");
            assert!(found.by_width.iter().all(|held| (held - 0.8).abs() < 0.08), "{found:?}");
        }
        let held = shops.iter().map(|found| found.held).sum::<f64>() / shops.len() as f64;
        assert!((held - 0.8).abs() < 0.02, "{held}");
    }

    #[test]
    fn a_stream_without_choices_is_refused() {
        let found = score_coverage(StreamData::default(), &CoverageSettings::default());
        assert!(matches!(found, Err(LabError::Empty(_))));
    }
}
