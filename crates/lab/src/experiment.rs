//! What came of an experiment: served answers joined with the events that name them.
//!
//! In: the log. Out: for each arm shoppers, answers, clicks, carts and purchases, click-through with two intervals, differences from
//! the first arm, whether the split is the declared one, and what another way of filling the drawn places would have earned.
//!
//! The interval that may be read at any time is over shoppers, each with one number that never changes again: the share of the
//! answers of their first `window` that led to a click, taken `attribution` after that window's end. Whoever is younger does not
//! count yet. All times are those of arrival, so a late file cannot change what was final.
//! An arm is that of the shopper's first answer; answers under another arm (other shares, another merge) are counted and left out.

use std::collections::{BTreeMap, HashMap, VecDeque};

use accrue_event::{Event, EventType};
use accrue_store::{Body, LogPlace, LogReader, Offset, Page, Record, Served, Split, StoreError};
use serde::Serialize;

use crate::Interval;
use crate::off_policy::{
    Balance, ConfidenceSequence, Decision, Estimate, Estimates, ListPolicy, OffPolicyError, OffPolicySettings,
    ShownList, clustered, difference, estimate,
};

/// Records of the log read at once.
const CHUNK: usize = 4096;
/// An interval at any time is wrong with this probability at most.
const ALPHA: f64 = 0.05;
/// How long an event may stand in the log before its answer; answers wait a tenth of a second.
const EARLY_MS: i64 = 60_000;

/// What is asked of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportSettings {
    /// Milliseconds from a shopper's first answer in which answers count for the interval.
    pub window_ms: i64,
    /// Milliseconds behind that window in which their clicks count.
    pub attribution_ms: i64,
    /// The policy that drawn answers are asked about.
    pub policy: ListPolicy,
    /// How estimates are made.
    pub off_policy: OffPolicySettings,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No answer names the experiment.
    #[error("no recorded answer belongs to {}; the log contains {known}", named(.name))]
    Unknown {
        /// The experiment that was asked for.
        name: Option<String>,
        /// Those that there are.
        known: String,
    },
}

fn named(name: &Option<String>) -> String {
    name.as_ref().map_or("any experiment".into(), |name| format!("the experiment {name:?}"))
}

/// What came of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExperimentReport {
    /// Its name.
    pub experiment: String,
    /// Records read.
    pub offset: u64,
    /// By arm, in the order of the settings or of their first answers.
    pub arms: Vec<ArmReport>,
    /// Of the other arms from the first.
    pub differences: Vec<Difference>,
    /// How unlikely the split of shoppers is under the declared shares, at all times together; below .01, look for a fault before
    /// anything else. `None` where the settings do not declare the experiment.
    pub split_p_value: Option<f64>,
    /// Answers of shoppers who were in another arm before; left out.
    pub n_moved: u64,
}

/// What came of an arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmReport {
    /// Its name.
    pub arm: String,
    /// Shoppers who had an answer.
    pub shoppers: u64,
    /// Answers.
    pub answers: u64,
    /// Answers that led to a click.
    pub clicked: u64,
    /// Clicks.
    pub clicks: u64,
    /// Items put into a cart.
    pub carts: u64,
    /// Lines bought.
    pub purchases: u64,
    /// Share of answers that led to a click, with the interval over shoppers for one look.
    pub click_through: Option<Estimate>,
    /// Shoppers whose number is final.
    pub closed: u64,
    /// Mean over those of the share of their answers that led to a click.
    pub per_shopper: Option<f64>,
    /// Its 95 % interval, which may be read at any time.
    pub anytime95: Interval,
    /// What the policy that was asked about would have earned in clicks per answer.
    pub off_policy: OffPolicyReport,
}

/// How far an arm is from the first, in click-through per shopper.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The arm.
    pub arm: String,
    /// The first.
    pub from: String,
    /// Of the means.
    pub value: Option<f64>,
    /// 95 % interval, which may be read at any time, for all arms together.
    pub anytime95: Interval,
}

/// An estimate from drawn answers, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OffPolicyReport {
    /// The estimate.
    Estimated(Box<Estimates>),
    /// The refusal.
    Refused {
        /// Drawn answers.
        n: usize,
        /// Why.
        refused: String,
    },
}

/// Reads the log of a data folder. Without a name, the declared experiment is meant, or the last one in the log.
///
/// # Errors
/// [`ReportError`].
pub fn report(
    place: impl Into<LogPlace>,
    name: Option<&str>,
    declared: Option<&Split>,
    settings: &ReportSettings,
) -> Result<ExperimentReport, ReportError> {
    let mut log = LogReader::open(place)?;
    let (start, end) = (log.start(), log.end());
    let mut wanted = name.map(str::to_string).or_else(|| declared.map(|declared| declared.experiment.to_string()));
    let mut last: BTreeMap<String, Offset> = BTreeMap::new();
    if wanted.is_none() {
        each(&mut log, start, end, |record| {
            if let Some(arm) = served(record).and_then(|served| served.arm.as_ref()) {
                last.insert(arm.experiment.to_string(), record.offset);
            }
        })?;
        wanted = last.iter().max_by_key(|(_, offset)| **offset).map(|(name, _)| name.clone());
    }
    let declared = declared.filter(|declared| Some(&*declared.experiment) == wanted.as_deref());
    let mut tally = Tally::default();
    if let Some(declared) = declared {
        tally.arms = declared.arms.iter().map(|arm| arm.name.to_string()).collect();
    }
    each(&mut log, start, end, |record| tally.take(record, wanted.as_deref().unwrap_or_default()))?;
    if tally.answers.is_empty() {
        let known = match tally.others.is_empty() {
            true => "none".to_string(),
            false => tally.others.keys().cloned().collect::<Vec<_>>().join(", "),
        };
        return Err(ReportError::Unknown { name: wanted, known });
    }
    Ok(tally.report(wanted.unwrap_or_default(), end, declared, settings))
}

fn each(log: &mut LogReader, start: Offset, end: Offset, mut take: impl FnMut(&Record)) -> Result<(), StoreError> {
    let mut from = start;
    while from < end {
        from = log.read(from, CHUNK.min((end.0 - from.0) as usize), |record| take(&record))?;
    }
    Ok(())
}

fn served(record: &Record) -> Option<&Served> {
    match &record.body {
        Body::Served(served) if served.page == Page::Recommend => Some(served),
        _ => None,
    }
}

/// An answer and what came of it.
struct Answer {
    shopper: u32,
    at_ms: i64,
    /// When its first click came in.
    clicked_ms: Option<i64>,
    clicks: u64,
    carts: u64,
    purchases: u64,
    drawn: Option<Box<DrawnAnswer>>,
}

/// An answer whose first places were drawn, with a click for each item or none.
struct DrawnAnswer {
    items: Vec<u32>,
    ranks: Vec<u32>,
    propensities: Vec<f32>,
    rewards: Vec<f64>,
}

struct ShopperTally {
    arm: usize,
    first_ms: i64,
    answers: Vec<u32>,
}

/// The join, while the log is read.
#[derive(Default)]
struct Tally {
    arms: Vec<String>,
    answers: Vec<Answer>,
    /// Looked up only.
    by_id: HashMap<Box<str>, u32>,
    by_shopper: HashMap<(bool, Box<str>), u32>,
    by_item: HashMap<Box<str>, u32>,
    /// Events whose answer is not met yet: answers are written behind the events that they are committed with.
    early: HashMap<Box<str>, Vec<(i64, Event)>>,
    /// Their arrivals, so that they can be dropped.
    early_order: VecDeque<(i64, Box<str>)>,
    /// In the order of their first answers.
    shoppers: Vec<ShopperTally>,
    /// Other experiments that were met.
    others: BTreeMap<String, u64>,
    n_moved: u64,
    /// The latest arrival.
    now_ms: i64,
}

impl Tally {
    fn take(&mut self, record: &Record, name: &str) {
        self.now_ms = record.received_at.0;
        match &record.body {
            Body::Event(checked) | Body::Released { event: checked, .. } => self.event(&checked.event, self.now_ms),
            Body::Served(_) => {
                if let Some((served, arm)) = served(record).and_then(|served| Some((served, served.arm.as_ref()?))) {
                    match &*arm.experiment == name {
                        true => self.answer(served, &arm.arm),
                        false => *self.others.entry(arm.experiment.to_string()).or_default() += 1,
                    }
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, served: &Served, arm: &str) {
        let key: (bool, Box<str>) = match (&served.user, &served.session) {
            (Some(user), _) => (true, user.as_str().into()),
            (None, Some(session)) => (false, session.as_str().into()),
            (None, None) => return,
        };
        let arm = self.arms.iter().position(|known| known == arm).unwrap_or_else(|| {
            self.arms.push(arm.to_string());
            self.arms.len() - 1
        });
        let (number, first_ms) = (self.answers.len() as u32, self.now_ms);
        let next = self.shoppers.len() as u32;
        let shopper = *self.by_shopper.entry(key).or_insert(next);
        if shopper == next {
            self.shoppers.push(ShopperTally { arm, first_ms, answers: Vec::new() });
        }
        let known = &mut self.shoppers[shopper as usize];
        if known.arm != arm {
            self.n_moved += 1;
            return;
        }
        known.answers.push(number);
        let is_permutation = || {
            let mut sorted = served.ranks.clone();
            sorted.sort_unstable();
            sorted.into_iter().eq(0..served.items.len() as u32)
        };
        let is_drawn = !served.ranks.is_empty() && served.propensities.len() == served.items.len() && is_permutation();
        let drawn = is_drawn.then(|| {
            let number = |item: &accrue_event::ItemId| {
                let next = self.by_item.len() as u32;
                *self.by_item.entry(item.as_str().into()).or_insert(next)
            };
            Box::new(DrawnAnswer {
                items: served.items.iter().map(number).collect(),
                ranks: served.ranks.clone(),
                propensities: served.propensities.clone(),
                rewards: vec![0.0; served.items.len()],
            })
        });
        self.by_id.insert(served.recommendation_id.clone(), number);
        let (at_ms, clicks, carts, purchases) = (self.now_ms, 0, 0, 0);
        self.answers.push(Answer { shopper, at_ms, clicked_ms: None, clicks, carts, purchases, drawn });
        for (at_ms, event) in self.early.remove(&served.recommendation_id).unwrap_or_default() {
            self.event(&event, at_ms);
        }
    }

    fn event(&mut self, event: &Event, at_ms: i64) {
        let Some(id) = &event.recommendation_id else { return };
        let Some(answer) = self.by_id.get(id.as_str()).and_then(|&number| self.answers.get_mut(number as usize)) else {
            self.early.entry(id.as_str().into()).or_default().push((at_ms, event.clone()));
            self.early_order.push_back((at_ms, id.as_str().into()));
            while self.early_order.front().is_some_and(|(first_ms, _)| at_ms - first_ms > EARLY_MS) {
                self.early_order.pop_front().map(|(_, id)| self.early.remove(&id));
            }
            return;
        };
        match event.event_type {
            EventType::Click => {
                answer.clicks += 1;
                answer.clicked_ms.get_or_insert(at_ms);
                let item = event.item.as_ref().and_then(|item| self.by_item.get(item.as_str()));
                if let (Some(drawn), Some(item)) = (&mut answer.drawn, item)
                    && let Some(place) = drawn.items.iter().position(|shown| shown == item)
                {
                    drawn.rewards[place] = 1.0;
                }
            }
            EventType::Cart => answer.carts += 1,
            EventType::Purchase => answer.purchases += 1,
            _ => {}
        }
    }

    fn report(
        &self,
        experiment: String,
        end: Offset,
        declared: Option<&Split>,
        settings: &ReportSettings,
    ) -> ExperimentReport {
        let n_pairs = (self.arms.len() - 1).max(1) as f64;
        let sequences = self.sequences(ALPHA, settings);
        // Two arms for each difference, and all differences together.
        let paired = self.sequences(ALPHA / (2.0 * n_pairs), settings);
        let arms = (0..self.arms.len()).map(|arm| self.arm(arm, &sequences[arm], settings)).collect();
        let differences = (1..self.arms.len()).map(|arm| Difference {
            arm: self.arms[arm].clone(),
            from: self.arms[0].clone(),
            value: paired[arm].mean().zip(paired[0].mean()).map(|(value, from)| value - from),
            anytime95: difference(&paired[0], &paired[arm]),
        });
        ExperimentReport {
            experiment,
            offset: end.0,
            arms,
            differences: differences.collect(),
            split_p_value: declared.and_then(|declared| self.split(declared)),
            n_moved: self.n_moved,
        }
    }

    /// Each arm's closed shoppers, in the order in which they closed.
    fn sequences(&self, alpha: f64, settings: &ReportSettings) -> Vec<ConfidenceSequence> {
        let mut sequences = vec![ConfidenceSequence::new(alpha); self.arms.len()];
        for shopper in &self.shoppers {
            let closes_ms = shopper.first_ms.saturating_add(settings.window_ms);
            let final_ms = closes_ms.saturating_add(settings.attribution_ms);
            if final_ms >= self.now_ms {
                break;
            }
            let answers = shopper.answers.iter().map(|&answer| &self.answers[answer as usize]);
            let (mut n, mut n_clicked) = (0.0, 0.0);
            for answer in answers.filter(|answer| answer.at_ms <= closes_ms) {
                n += 1.0;
                n_clicked += f64::from(u8::from(answer.clicked_ms.is_some_and(|at_ms| at_ms <= final_ms)));
            }
            if n > 0.0 {
                sequences[shopper.arm].observe(n_clicked / n);
            }
        }
        sequences
    }

    fn arm(&self, arm: usize, sequence: &ConfidenceSequence, settings: &ReportSettings) -> ArmReport {
        let of_arm = || self.answers.iter().filter(|answer| self.shoppers[answer.shopper as usize].arm == arm);
        let sum = |count: fn(&Answer) -> u64| of_arm().map(count).sum();
        let clicked = |answer: &Answer| u64::from(answer.clicked_ms.is_some());
        ArmReport {
            arm: self.arms[arm].clone(),
            shoppers: self.shoppers.iter().filter(|shopper| shopper.arm == arm).count() as u64,
            answers: of_arm().count() as u64,
            clicked: sum(clicked),
            clicks: sum(|answer| answer.clicks),
            carts: sum(|answer| answer.carts),
            purchases: sum(|answer| answer.purchases),
            click_through: clustered(of_arm().map(|answer| (answer.shopper, clicked(answer) as f64, 1.0))),
            closed: sequence.n(),
            per_shopper: sequence.mean(),
            anytime95: sequence.interval(),
            off_policy: off_policy(of_arm(), settings),
        }
    }

    /// How unlikely the split is; `None` if an arm was met that is not declared.
    fn split(&self, declared: &Split) -> Option<f64> {
        let share = |name: &String| declared.arms.iter().find(|arm| *arm.name == **name).map(|arm| arm.share);
        let mut balance = Balance::new(self.arms.iter().map(share).collect::<Option<_>>()?);
        self.shoppers.iter().for_each(|shopper| balance.observe(shopper.arm));
        Some(balance.p_value())
    }
}

fn off_policy<'a>(answers: impl Iterator<Item = &'a Answer>, settings: &ReportSettings) -> OffPolicyReport {
    let decision = |answer: &Answer| -> Option<Decision> {
        let DrawnAnswer { items, ranks, propensities, rewards } = &**answer.drawn.as_ref()?;
        let list = ShownList { user: answer.shopper, items, ranks, propensities, rewards };
        Some(list.decision(&settings.policy))
    };
    let decisions: Vec<Decision> = answers.filter_map(decision).collect();
    let refused = |error: OffPolicyError| OffPolicyReport::Refused { n: decisions.len(), refused: error.to_string() };
    estimate(&decisions, &settings.off_policy)
        .map_or_else(refused, |estimates| OffPolicyReport::Estimated(Box::new(estimates)))
}
