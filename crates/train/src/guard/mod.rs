//! The guard: holds what is being learned against the last version known good, and says when it does harm.
//!
//! In: each choice, before it is learned, with both models. Out: a [`Finding`]: go on, keep the choice from learning, harm was
//! found, or a current model on probation has proved itself. Everything here is part of the fold: a rollback needs no record, and a replay
//! takes the same one at the same offset.
//!
//! Two tests run side by side, each by slices of the traffic (new shoppers, new items, types of events, sources). The *stream* test
//! takes choices as they come, both predictions made before the choice is learned. The *anchor* test takes the holdout:
//! choices from before the suspect time that no model learned as they came. They stay in their shoppers' histories, so a member that
//! learns earlier choices again may have learned some of them since. A model that learns flipped labels looks better on flipped labels,
//! but not on these. Hypothesis of each: given the past, the current model's mean NDCG@20 is at least `1 - tolerance` of the good version's. `α` is spent over restarts as
//! `α · 6 / (π k)²`, half of each share on all choices and half on the slices, so that false alarms stay below `α` for ever.
//!
//! Which choices are examined is decided by seed, offset and what was seen before, never by the choice itself; so the tests look
//! closer once they suspect something, and stay valid.

mod capital;
mod probe;

use std::ops::Bound;

use accrue_event::SettingFault;
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Prepared, TypeWeights};
use accrue_store::{Interaction, Names, PagedVec};
use serde::{Deserialize, Serialize};

pub(crate) use self::capital::Capital;
pub(crate) use self::probe::ranks_of;
use self::probe::{N_SLICES, Probe, SliceNames, Slices};

/// Stream of the random numbers of the guard.
const STREAM: u64 = 0x4755_4152;
/// Trusted anchors with which the anchor test begins: a young shop's few are of one day, and say little of the next.
const ENOUGH_ANCHORS: usize = 128;
/// Examinations on the stream that tell whether the current model foresees it better, and the share of it that is excused on anchors.
const ENOUGH_ON_STREAM: u64 = 100;
const EXCUSE: f64 = 0.25;
/// Suspicion from which on the tests look closer.
const SUSPICION: f64 = 4.0;
/// Capital from which on nothing is proposed or confirmed.
const HOLD: f64 = 8.0;
/// How close: so many anchors for each choice.
const CLOSER: usize = 16;
/// A current model on probation returns when it is shown to lose less than this share of the tolerance: poison that goes on shows late.
const CLEARED: f64 = 0.5;
/// How rich that makes whoever bets on it, and after how many examinations they begin anew: what was may be over.
const CLEARED_AT: f64 = 100.0;
const CLEARING: u64 = 8_192;
/// It also has to foresee the stream again, at least this share as well as sound versions did, over so many examinations: what comes
/// from nobody's taste cannot be foreseen, while a shop that has changed can.
const NORMAL_AGAIN: f64 = 0.5;
const ENOUGH_AGAIN: u64 = 64;
/// Anchors in a page of a checkpoint.
const PROBES: usize = 16;
/// No share lost above this is ever harmless.
const MOST_TOLERANCE: f64 = 0.4;

/// Settings of the guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// One choice in so many is kept from learning, as an anchor.
    pub anchor_one_in: u64,
    /// Anchors kept, the latest of those that are trusted.
    pub anchors: usize,
    /// The anchor test examines one anchor for so many choices (sixteen for each once it suspects something), the stream test a
    /// quarter as often.
    pub test_one_in: u64,
    /// Examinations in a second, at most, by the times at which records came in: while a long past is taken in, few are enough.
    pub tests_per_s: u64,
    /// Share of NDCG@20 whose loss counts as harmless: a sound model deviates too, because a model that follows the shop also follows its noise.
    pub tolerance: f64,
    /// The chance ever to roll back without cause.
    pub alpha: f64,
    /// A version is sealed after so many choices learned (a young shop: earlier).
    pub version_every: u64,
    /// A sealed version is known good after so many more without an alarm.
    pub confirm_after: u64,
    /// Versions kept to go back to, besides the good one and the next.
    pub versions_kept: usize,
}

impl GuardSettings {
    /// Choices since the end of the good version, at most, while all goes well.
    pub(crate) fn usual_age(&self) -> u64 {
        self.version_every.saturating_add(self.confirm_after).max(1)
    }

    /// Share whose loss counts as harmless now: more as the good version ages. One of long ago knows little of the shop of today;
    /// without that, one false alarm would freeze a shop that changes for ever, by a version that happened to do well on these very
    /// anchors.
    fn tolerance_at(&self, since_good: u64) -> f64 {
        let age = (since_good as f64 / self.usual_age() as f64).max(1.0);
        (self.tolerance * age).min(MOST_TOLERANCE)
    }
}

impl GuardSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("anchor_one_in", self.anchor_one_in, 2..)?;
        SettingFault::check("anchors", self.anchors, 128..=100_000)?;
        SettingFault::check("test_one_in", self.test_one_in, 1..=u64::MAX / 4)?;
        SettingFault::check("tests_per_s", self.tests_per_s, 1..=1_000_000)?;
        SettingFault::check("version_every", self.version_every, 1_000..)?;
        SettingFault::check("confirm_after", self.confirm_after, 500..=self.version_every)?;
        SettingFault::check("versions_kept", self.versions_kept, 0..=100)?;
        SettingFault::check("tolerance", self.tolerance, 0.0..=MOST_TOLERANCE)?;
        SettingFault::check("alpha", self.alpha, (Bound::Excluded(0.0), Bound::Excluded(1.0)))
    }
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            anchor_one_in: 64,
            anchors: 2_048,
            test_one_in: 2,
            tests_per_s: 250,
            tolerance: 0.15,
            alpha: 0.01,
            version_every: 8_000,
            confirm_after: 4_000,
            versions_kept: 2,
        }
    }
}

/// A choice before it is learned.
pub(crate) struct Observation<'a> {
    pub(crate) offset: u64,
    pub(crate) seed: u64,
    pub(crate) context: Context<'a>,
    pub(crate) event: Interaction,
    /// What it says by name.
    pub(crate) names: Names<'a>,
    /// What its type is worth; only what is worth something is foreseen.
    pub(crate) weight: f32,
    /// When its record came in.
    pub(crate) received_ms: i64,
    /// Whether the current model is on probation, and if so, how far.
    pub(crate) probation: Probation,
    /// Choices since the end of the good version.
    pub(crate) since_good: u64,
}

/// Whether the current model has to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probation {
    /// It has not: it serves.
    None,
    /// It has learned less than what was undone, so that the same harm would not show yet.
    TooSoon,
    /// It has learned as much: now it may show that it does no harm.
    Due,
}

/// What the guard makes of a choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Learn it.
    GoOn,
    /// It is an anchor: do not learn it.
    Withhold,
    /// The current model does harm.
    Alarm(Alarm),
    /// The current model on probation does none.
    Cleared,
}

/// How an alarm came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Which test: `stream` or `anchor`.
    pub test: Box<str>,
    /// Whose choices: `all`, `new shoppers`, `new items`, a type of event, or `source` and its name.
    pub slice: Box<str>,
    /// Choices examined since the test began.
    pub examined: u64,
    /// Share of the good version's NDCG@20 that was lost.
    pub loss: f64,
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { test, slice, examined, loss } = self;
        write!(f, "{test} test, {slice}: {:.1} % of NDCG@20 lost over {examined} choices", 100.0 * loss)
    }
}

/// Mean NDCG@20 of the current model and of the good version over the same choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Choices examined.
    pub n: u64,
    current: f64,
    good: f64,
}

impl Tally {
    fn add(&mut self, [current, good]: [f64; 2]) {
        self.n += 1;
        self.current += current;
        self.good += good;
    }

    /// Mean NDCG@20 of what was learned.
    pub fn current(&self) -> f64 {
        self.current / self.n.max(1) as f64
    }

    /// Mean NDCG@20 of the version that it was held against.
    pub fn good(&self) -> f64 {
        self.good / self.n.max(1) as f64
    }

    /// Share of the good version's that was lost; below 0 if the current model has more.
    fn loss(&self) -> f64 {
        if self.good > 0.0 { 1.0 - self.current / self.good } else { 0.0 }
    }
}

/// One test over one slice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Test {
    capital: Capital,
    tally: Tally,
}

/// State of the guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guard {
    /// By slice.
    stream: Vec<Test>,
    /// By slice.
    anchor: Vec<Test>,
    slices: SliceNames,
    /// Against the hypothesis that a current model on probation harms.
    clearing: Capital,
    /// The stream since that began.
    clearing_stream: Tally,
    /// Mean NDCG@20 of the last sound version on the stream.
    normal: f64,
    /// Times that the tests began anew.
    restarts: u64,
    /// Anchors from before the good version's end.
    trusted: PagedVec<Probe, PROBES>,
    /// Anchors since.
    pending: PagedVec<Probe, PROBES>,
    stream_ms: i64,
    /// Examinations saved up, in thousandths, and up to when.
    credit: i64,
    paid_ms: i64,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            stream: vec![Test::default(); N_SLICES],
            anchor: vec![Test::default(); N_SLICES],
            slices: SliceNames::default(),
            clearing: Capital::default(),
            clearing_stream: Tally::default(),
            normal: 0.0,
            restarts: 0,
            trusted: PagedVec::default(),
            pending: PagedVec::default(),
            stream_ms: i64::MIN,
            credit: 0,
            paid_ms: 0,
        }
    }
}

impl Guard {
    /// Examines a choice that is about to be learned by `current`. `good` is `None` while no version is known good.
    pub(crate) fn observe(
        &mut self,
        settings: &GuardSettings,
        choice: &Observation<'_>,
        current: &Ensemble,
        good: Option<&Ensemble>,
        prepared: &mut Prepared,
    ) -> Finding {
        let Observation { offset, seed, context, event, names, weight, received_ms, probation, since_good } = choice;
        self.stream_ms = self.stream_ms.max(event.at_ms);
        let mut draws = Draws::new(*seed, STREAM, *offset);
        let first_seen_ms = current.first_seen_ms(event.item);
        // Of an item that nobody knew nothing could be foreseen.
        let is_choice = *weight > 0.0 && first_seen_ms.is_some();
        // Without a past a page is what sells just now, and of older choices an older version always knows that better.
        let has_past = context.past.len() >= probe::NEW_SHOPPER;
        let is_anchor = draws.below(settings.anchor_one_in.max(1)) == 0 && is_choice && has_past;
        let tolerance = settings.tolerance_at(*since_good);
        let is_close = *probation != Probation::None || self.suspects();
        let one_in = if is_close { 1 } else { settings.test_one_in.max(1) };
        let n_anchors = if is_close { CLOSER } else { usize::from(draws.below(one_in) == 0) };
        let tests_stream = draws.below(4 * one_in) == 0 && is_choice && self.affords(settings, *received_ms);
        let source = self.slices.meet(event.type_code, names);
        let slices = Slices::of(context, event, source, first_seen_ms);
        let mut alarm = None;
        if let Some(good) = good {
            if tests_stream {
                let ndcgs = ranks_of([current, good], [context, context], event.item, &mut draws, prepared).ndcgs();
                alarm = self.test(0, ndcgs, slices, tolerance, settings.alpha);
                if *probation == Probation::Due {
                    self.clearing_stream.add(ndcgs);
                }
            }
            for _ in 0..n_anchors {
                if alarm.is_some() || self.trusted.len() < ENOUGH_ANCHORS || !self.affords(settings, *received_ms) {
                    break;
                }
                let probe = &self.trusted[draws.below(self.trusted.len() as u64) as usize];
                let [of_current, of_good] =
                    probe.ndcgs([current, good], self.stream_ms, context.weights, &mut draws, prepared);
                let slices = probe.slices;
                let tolerance = (tolerance + self.excuse()).min(MOST_TOLERANCE);
                alarm = self.test(1, [of_current, of_good], slices, tolerance, settings.alpha);
                if *probation == Probation::Due {
                    if self.clearing.n() == CLEARING {
                        self.begin_clearing();
                    }
                    self.clearing.add(of_current - (1.0 - CLEARED * tolerance) * of_good);
                }
            }
        }
        if let Some(alarm) = alarm {
            return Finding::Alarm(alarm);
        }
        if *probation == Probation::Due && self.is_cleared() {
            return Finding::Cleared;
        }
        if !is_anchor {
            return Finding::GoOn;
        }
        self.pending.push(Probe::new(*offset, context, event, slices.lasting()));
        let surplus = self.pending.len().saturating_sub(settings.anchors);
        self.pending.drain_front(surplus);
        Finding::Withhold
    }

    /// What is excused on anchors because the current model foresees the stream better than the good version does: a shop whose season turned
    /// forgets a little of the old one, and random labels cannot be foreseen at all.
    fn excuse(&self) -> f64 {
        let [stream, _] = self.tallies();
        if stream.n >= ENOUGH_ON_STREAM { EXCUSE * (-stream.loss()).max(0.0) } else { 0.0 }
    }

    /// Whether there is time for one more examination, by the times at which records came in.
    fn affords(&mut self, settings: &GuardSettings, received_ms: i64) -> bool {
        let per_s = i64::try_from(settings.tests_per_s).unwrap_or(i64::MAX).max(1);
        let since = received_ms.saturating_sub(self.paid_ms).max(0);
        self.paid_ms = self.paid_ms.max(received_ms);
        // In thousandths of an examination; a second's worth is saved up at most.
        self.credit = self.credit.saturating_add(since.saturating_mul(per_s)).min(per_s.saturating_mul(1_000));
        let affords = self.credit >= 1_000;
        self.credit -= if affords { 1_000 } else { 0 };
        affords
    }

    fn begin_clearing(&mut self) {
        self.clearing = Capital::default();
        self.clearing_stream = Tally::default();
    }

    /// Whether the current model harms little, and foresees the stream as it used to be foreseen.
    fn is_cleared(&self) -> bool {
        let stream = self.clearing_stream;
        let is_normal = stream.n >= ENOUGH_AGAIN && stream.current() >= NORMAL_AGAIN * self.normal;
        self.clearing.value() >= CLEARED_AT && is_normal
    }

    /// A version has stood the tests: so well is the stream foreseen while all is well.
    pub(crate) fn note_sound(&mut self) {
        let [stream, _] = self.tallies();
        if stream.n >= ENOUGH_ON_STREAM {
            self.normal = stream.current();
        }
    }

    /// Whether the gambler has gained on the current model as a whole: then nothing is proposed or confirmed.
    pub(crate) fn holds(&self) -> bool {
        [&self.stream, &self.anchor].iter().any(|test| test[0].capital.value() >= HOLD)
    }

    /// Whether a test has begun to gain on the current model, or a part of it.
    fn suspects(&self) -> bool {
        [&self.stream, &self.anchor].iter().any(|test| test.iter().any(|slice| slice.capital.suspicion() >= SUSPICION))
    }

    /// Takes one pair of NDCGs in (current model, good version); the alarm that it sets off, if it does.
    fn test(&mut self, test: usize, ndcgs: [f64; 2], slices: Slices, tolerance: f64, alpha: f64) -> Option<Alarm> {
        // The share of this restart; the shares of all restarts sum to alpha.
        let round = (self.restarts + 1) as f64;
        let alpha = alpha * 6.0 / (std::f64::consts::PI * round).powi(2);
        let tests = if test == 0 { &mut self.stream } else { &mut self.anchor };
        let mut alarm = None;
        for slice in slices.iter() {
            let Test { capital, tally } = &mut tests[slice];
            tally.add(ndcgs);
            capital.add((1.0 - tolerance) * ndcgs[1] - ndcgs[0]);
            let share = if slice == 0 { 4.0 } else { 4.0 * (N_SLICES - 1) as f64 };
            if capital.value() * alpha >= share && alarm.is_none() {
                alarm = Some(Alarm {
                    test: ["stream", "anchor"][test].into(),
                    slice: self.slices.of(slice).into(),
                    examined: tally.n,
                    loss: tally.loss(),
                });
            }
        }
        alarm
    }

    /// Begins all tests anew, with the next share of `α`.
    pub(crate) fn restart(&mut self) {
        self.restarts += 1;
        self.stream = vec![Test::default(); N_SLICES];
        self.anchor = vec![Test::default(); N_SLICES];
        self.begin_clearing();
    }

    /// A version that ends at this offset is known good: anchors from before it are trusted.
    pub(crate) fn trust_before(&mut self, offset: u64, n_anchors: usize) {
        let n = self.pending.partition_point(|probe| probe.offset < offset);
        self.trusted.extend(self.pending.drain_front(n));
        let surplus = self.trusted.len().saturating_sub(n_anchors);
        self.trusted.drain_front(surplus);
    }

    /// Forgets anchors that nobody vouches for.
    pub(crate) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Anchors that are trusted.
    pub(crate) fn n_anchors(&self) -> usize {
        self.trusted.len()
    }

    /// NDCG since the tests began, over all choices: on the stream and on anchors.
    pub(crate) fn tallies(&self) -> [Tally; 2] {
        [self.stream[0].tally, self.anchor[0].tally]
    }

    /// Mean NDCG@20 of a model over all trusted anchors: what the rollback of a test or a report is measured by.
    pub(crate) fn anchor_ndcg(&self, model: &Ensemble, weights: &TypeWeights, prepared: &mut Prepared) -> f64 {
        let ndcg = |(place, probe): (usize, &Probe)| {
            let mut draws = Draws::new(0, STREAM, place as u64);
            probe.ndcgs([model, model], self.stream_ms, weights, &mut draws, prepared)[0]
        };
        self.trusted.iter().enumerate().map(ndcg).sum::<f64>() / self.trusted.len().max(1) as f64
    }
}
