//! The guard: compares the current model with the good version on the same choices, and raises an alarm when the
//! current model does harm.
//!
//! In: each choice before it is learned, with both models. Out: a [`Finding`]: learn the choice, withhold it, raise an
//! alarm, or end a probation. The guard is part of the fold: a rollback needs no record, because a replay reaches it at
//! the same offset.
//!
//! Two tests run at the same time, each for all choices and for slices of them (new shoppers, new items, types of
//! events, sources). The *stream* test examines choices as they arrive; both models predict before the choice is
//! learned. The *holdout* test examines trusted choices from before the time in question that were withheld from
//! learning. They stay in their shoppers' histories, so a member that learns earlier choices again may have learned
//! some of them since. A model that learns from false choices predicts false choices better, but not those of the
//! holdout.
//!
//! The hypothesis of each test: given the choices before, the mean NDCG@20 of the current model is at least
//! `1 - tolerance` times that of the good version. The k-th restart of the tests may spend `α · 6 / (π k)²`, half of it
//! on all choices and half on the slices, so that the probability of any false alarm, ever, stays below `α`.
//!
//! Which choices are examined depends on the seed, the offset and earlier choices, never on the choice itself. So the
//! tests stay valid although they examine more choices once they suspect harm.

mod capital;
mod holdout;

use std::ops::Bound;

use accrue_event::SettingFault;
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Prepared, TypeWeights};
use accrue_store::{Interaction, Names, PagedVec};
use serde::{Deserialize, Serialize};

pub(crate) use self::capital::Capital;
pub(crate) use self::holdout::ranks_of;
use self::holdout::{HoldoutChoice, N_SLICES, SliceNames, Slices};

/// Stream of the random numbers of the guard.
const STREAM: u64 = 0x4755_4152;
/// Trusted holdout choices with which the holdout test begins. The first few of a log are all of one day, and
/// tell little of the next.
const ENOUGH_IN_HOLDOUT: usize = 128;
/// Choices that the stream test must have examined before a gain on the stream adds to the holdout test's tolerance.
const ENOUGH_ON_STREAM: u64 = 100;
/// Share of the gain on the stream that is added to it.
const ALLOWANCE: f64 = 0.25;
/// Suspicion from which on the tests examine more choices.
const SUSPICION: f64 = 4.0;
/// Capital from which on no version is sealed or confirmed.
const HOLD: f64 = 8.0;
/// Holdout choices examined for each new choice while the tests suspect harm.
const EXAMINED_UNDER_SUSPICION: usize = 16;
/// A current model on probation is cleared when it is shown to lose less than this share of the tolerance. It is
/// stricter than the tolerance, because poison that continues shows late.
const CLEARED: f64 = 0.5;
/// The capital that shows it.
const CLEARED_AT: f64 = 100.0;
/// Examined choices after which the test that clears it begins again, because an early loss may be over.
const CLEARING: u64 = 8_192;
/// To be cleared, the current model must also predict the stream at least this share as well as sound versions did.
/// False choices follow no taste and cannot be predicted; the choices of a shop that has changed can.
const NORMAL_AGAIN: f64 = 0.5;
/// Choices of the stream over which that is measured, at least.
const ENOUGH_AGAIN: u64 = 64;
/// Holdout choices in a page of a checkpoint.
const PAGE: usize = 16;
/// The largest tolerance, however old the good version is.
const MAX_TOLERANCE: f64 = 0.4;

/// Settings of the guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardSettings {
    /// Whether there is a guard.
    pub enabled: bool,
    /// One choice in this many is withheld from learning, for the holdout.
    pub anchor_one_in: u64,
    /// Trusted holdout choices kept, the latest ones.
    pub anchors: usize,
    /// The holdout test examines one holdout choice for this many new choices (sixteen for each new choice once it
    /// suspects harm), the stream test a quarter as many choices.
    pub test_one_in: u64,
    /// Largest number of examinations in a second, by the times at which records arrived. It bounds the cost of taking
    /// in a long history at once.
    pub tests_per_s: u64,
    /// Share of NDCG@20 whose loss counts as harmless: a sound model deviates too, because a model that follows the
    /// shop also follows its noise.
    pub tolerance: f64,
    /// Bound on the probability that there is ever a rollback without cause.
    pub alpha: f64,
    /// A version is sealed after this many choices (earlier among the first).
    pub version_every: u64,
    /// A sealed version becomes the good version after this many more choices without an alarm.
    pub confirm_after: u64,
    /// Versions kept to roll back to, besides the good one and the sealed one.
    pub versions_kept: usize,
}

impl GuardSettings {
    /// Number of choices since the end of the good version, at most, while there is no alarm.
    pub(crate) fn usual_age(&self) -> u64 {
        self.version_every.saturating_add(self.confirm_after).max(1)
    }

    /// The share whose loss counts as harmless at this age of the good version. It grows with the age, because an old
    /// version knows little of the shop of today: with a fixed tolerance, one false alarm could hold a changing shop
    /// for ever to a version that happened to predict this holdout well.
    fn tolerance_at(&self, since_good: u64) -> f64 {
        let age = (since_good as f64 / self.usual_age() as f64).max(1.0);
        (self.tolerance * age).min(MAX_TOLERANCE)
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
        SettingFault::check("tolerance", self.tolerance, 0.0..=MAX_TOLERANCE)?;
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
    /// The names in the event.
    pub(crate) names: Names<'a>,
    /// Weight of its type; only choices above 0 are predicted.
    pub(crate) weight: f32,
    /// When its record arrived.
    pub(crate) received_ms: i64,
    /// Whether the current model is on probation, and how far.
    pub(crate) probation: Probation,
    /// Choices since the end of the good version.
    pub(crate) since_good: u64,
}

/// Whether the current model is on probation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probation {
    /// It is not, and serves.
    None,
    /// It has learned less than what was undone, so that the same harm would not show yet.
    TooSoon,
    /// It has learned as much, and may be cleared.
    Due,
}

/// What the guard decides about a choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Learn it.
    GoOn,
    /// It belongs to the holdout: do not learn it.
    Withhold,
    /// The current model does harm.
    Alarm(Alarm),
    /// The current model, which is on probation, does no harm.
    Cleared,
}

/// An alarm and its cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The test: `stream`, or `anchor` for the holdout test.
    pub test: Box<str>,
    /// The slice of choices: `all`, `new shoppers`, `new items`, a type of event, or `source` and its name.
    pub slice: Box<str>,
    /// Choices examined since the test began.
    pub examined: u64,
    /// Share of the good version's NDCG@20 that was lost.
    pub loss: f64,
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { test, slice, examined, loss } = self;
        let test = if **test == *TestKind::Holdout.name() { "holdout" } else { test };
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

    /// Mean NDCG@20 of the current model.
    pub fn current(&self) -> f64 {
        self.current / self.n.max(1) as f64
    }

    /// Mean NDCG@20 of the good version.
    pub fn good(&self) -> f64 {
        self.good / self.n.max(1) as f64
    }

    /// Share of the good version's NDCG@20 that was lost; below 0 if the current model's is larger.
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

/// Which of the two tests.
#[derive(Clone, Copy)]
enum TestKind {
    Stream,
    Holdout,
}

impl TestKind {
    /// The name in [`Alarm::test`] and in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Holdout => "anchor",
        }
    }
}

/// State of the guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guard {
    /// The stream test of each slice.
    stream: Vec<Test>,
    /// The holdout test of each slice.
    holdout: Vec<Test>,
    slices: SliceNames,
    /// Tests the hypothesis that a current model on probation does harm.
    clearing: Capital,
    /// The choices of the stream since that test began.
    clearing_stream: Tally,
    /// Mean NDCG@20 on the stream of the last version that was confirmed.
    normal: f64,
    /// How often the tests were restarted.
    restarts: u64,
    /// Holdout choices from before the end of the good version.
    trusted: PagedVec<HoldoutChoice, PAGE>,
    /// Holdout choices since then.
    pending: PagedVec<HoldoutChoice, PAGE>,
    stream_ms: i64,
    /// Examinations that may be made, in thousandths, as of `paid_ms`.
    credit: i64,
    paid_ms: i64,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            stream: vec![Test::default(); N_SLICES],
            holdout: vec![Test::default(); N_SLICES],
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
    /// Examines a choice that the current model is about to learn. `good` is `None` while there is no good version.
    pub(crate) fn observe(
        &mut self,
        settings: &GuardSettings,
        choice: &Observation<'_>,
        current: &Ensemble,
        good: Option<&Ensemble>,
        prepared: &mut Prepared,
    ) -> Finding {
        let Observation { offset, seed, context, event, names, weight, received_ms, probation, .. } = choice;
        self.stream_ms = self.stream_ms.max(event.at_ms);
        let mut draws = Draws::new(*seed, STREAM, *offset);
        let first_seen_ms = current.first_seen_ms(event.item);
        // An item without any earlier record cannot be predicted.
        let is_predictable = *weight > 0.0 && first_seen_ms.is_some();
        // Without a history a page shows what sells at the moment, and an older version always knows older choices
        // better.
        let has_past = context.past.len() >= holdout::NEW_SHOPPER;
        let is_withheld = draws.below(settings.anchor_one_in.max(1)) == 0 && is_predictable && has_past;
        let is_suspicious = *probation != Probation::None || self.suspects();
        let one_in = if is_suspicious { 1 } else { settings.test_one_in.max(1) };
        let n_holdout = match is_suspicious {
            true => EXAMINED_UNDER_SUSPICION,
            false => usize::from(draws.below(one_in) == 0),
        };
        let tests_stream = draws.below(4 * one_in) == 0 && is_predictable && self.affords(settings, *received_ms);
        let source = self.slices.note(event.type_code, names);
        let slices = Slices::of(context, event, source, first_seen_ms);
        let mut alarm = None;
        if let Some(good) = good {
            let models = [current, good];
            if tests_stream {
                alarm = self.examine_stream(settings, choice, models, slices, &mut draws, prepared);
            }
            for _ in 0..n_holdout {
                let is_ready = self.trusted.len() >= ENOUGH_IN_HOLDOUT;
                if alarm.is_some() || !is_ready || !self.affords(settings, *received_ms) {
                    break;
                }
                alarm = self.examine_holdout(settings, choice, models, &mut draws, prepared);
            }
        }
        if let Some(alarm) = alarm {
            return Finding::Alarm(alarm);
        }
        if *probation == Probation::Due && self.is_cleared() {
            return Finding::Cleared;
        }
        if !is_withheld {
            return Finding::GoOn;
        }
        self.pending.push(HoldoutChoice::new(*offset, context, event, slices.lasting()));
        let surplus = self.pending.len().saturating_sub(settings.anchors);
        self.pending.drain_front(surplus);
        Finding::Withhold
    }

    /// Lets both models predict the choice. `models` are the current model and the good version.
    fn examine_stream(
        &mut self,
        settings: &GuardSettings,
        choice: &Observation<'_>,
        models: [&Ensemble; 2],
        slices: Slices,
        draws: &mut Draws,
        prepared: &mut Prepared,
    ) -> Option<Alarm> {
        let Observation { context, event, probation, since_good, .. } = choice;
        let ndcgs = ranks_of(models, [context, context], event.item, draws, prepared).ndcgs();
        let alarm = self.test(TestKind::Stream, ndcgs, slices, settings.tolerance_at(*since_good), settings.alpha);
        if *probation == Probation::Due {
            self.clearing_stream.add(ndcgs);
        }
        alarm
    }

    /// Lets both models predict a trusted holdout choice, drawn at random. `models` are the current model and the good
    /// version.
    fn examine_holdout(
        &mut self,
        settings: &GuardSettings,
        choice: &Observation<'_>,
        models: [&Ensemble; 2],
        draws: &mut Draws,
        prepared: &mut Prepared,
    ) -> Option<Alarm> {
        let Observation { context, probation, since_good, .. } = choice;
        let held = &self.trusted[draws.below(self.trusted.len() as u64) as usize];
        let [of_current, of_good] = held.ndcgs(models, self.stream_ms, context.weights, draws, prepared);
        let slices = held.slices;
        let tolerance = (settings.tolerance_at(*since_good) + self.allowance()).min(MAX_TOLERANCE);
        let alarm = self.test(TestKind::Holdout, [of_current, of_good], slices, tolerance, settings.alpha);
        if *probation == Probation::Due {
            if self.clearing.n() == CLEARING {
                self.begin_clearing();
            }
            self.clearing.add(of_current - (1.0 - CLEARED * tolerance) * of_good);
        }
        alarm
    }

    /// What the holdout test tolerates in addition because the current model predicts the stream better than the good
    /// version does: when a shop's season changes, the models forget a little of the old one. False choices add
    /// nothing, because they cannot be predicted.
    fn allowance(&self) -> f64 {
        let [stream, _] = self.tallies();
        if stream.n >= ENOUGH_ON_STREAM { ALLOWANCE * (-stream.loss()).max(0.0) } else { 0.0 }
    }

    /// Whether `tests_per_s` allows one more examination, by the times at which records arrived; if so, it is counted.
    fn affords(&mut self, settings: &GuardSettings, received_ms: i64) -> bool {
        let per_s = i64::try_from(settings.tests_per_s).unwrap_or(i64::MAX).max(1);
        let since = received_ms.saturating_sub(self.paid_ms).max(0);
        self.paid_ms = self.paid_ms.max(received_ms);
        // In thousandths of an examination. At most those of one second are saved up.
        self.credit = self.credit.saturating_add(since.saturating_mul(per_s)).min(per_s.saturating_mul(1_000));
        let affords = self.credit >= 1_000;
        self.credit -= if affords { 1_000 } else { 0 };
        affords
    }

    fn begin_clearing(&mut self) {
        self.clearing = Capital::default();
        self.clearing_stream = Tally::default();
    }

    /// Whether the current model loses little on the holdout and predicts the stream about as well as sound versions
    /// did.
    fn is_cleared(&self) -> bool {
        let stream = self.clearing_stream;
        let is_normal = stream.n >= ENOUGH_AGAIN && stream.current() >= NORMAL_AGAIN * self.normal;
        self.clearing.value() >= CLEARED_AT && is_normal
    }

    /// A version was confirmed: keeps how well the stream is predicted without harm.
    pub(crate) fn note_sound(&mut self) {
        let [stream, _] = self.tallies();
        if stream.n >= ENOUGH_ON_STREAM {
            self.normal = stream.current();
        }
    }

    /// Whether a test over all choices suspects harm so strongly that no version may be sealed or confirmed.
    pub(crate) fn holds(&self) -> bool {
        [&self.stream, &self.holdout].iter().any(|tests| tests[0].capital.value() >= HOLD)
    }

    /// Whether any test, of all choices or of a slice, has begun to suspect harm.
    fn suspects(&self) -> bool {
        [&self.stream, &self.holdout].iter().any(|tests| tests.iter().any(|test| test.capital.suspicion() >= SUSPICION))
    }

    /// Adds one pair of NDCGs (current model, good version) to a test, and returns the alarm that follows, if one does.
    fn test(&mut self, kind: TestKind, ndcgs: [f64; 2], slices: Slices, tolerance: f64, alpha: f64) -> Option<Alarm> {
        // What this restart may spend; over all restarts it sums to alpha.
        let round = (self.restarts + 1) as f64;
        let alpha = alpha * 6.0 / (std::f64::consts::PI * round).powi(2);
        let tests = match kind {
            TestKind::Stream => &mut self.stream,
            TestKind::Holdout => &mut self.holdout,
        };
        let mut alarm = None;
        for slice in slices.iter() {
            let Test { capital, tally } = &mut tests[slice];
            tally.add(ndcgs);
            capital.add((1.0 - tolerance) * ndcgs[1] - ndcgs[0]);
            // There are two tests; each spends half of its part on all choices and divides the other half among the
            // slices.
            let parts = if slice == 0 { 4.0 } else { 4.0 * (N_SLICES - 1) as f64 };
            if capital.value() * alpha >= parts && alarm.is_none() {
                alarm = Some(Alarm {
                    test: kind.name().into(),
                    slice: self.slices.name(slice).into(),
                    examined: tally.n,
                    loss: tally.loss(),
                });
            }
        }
        alarm
    }

    /// Restarts all tests.
    pub(crate) fn restart(&mut self) {
        self.restarts += 1;
        self.stream = vec![Test::default(); N_SLICES];
        self.holdout = vec![Test::default(); N_SLICES];
        self.begin_clearing();
    }

    /// The version that ends at this offset is good: holdout choices from before it are trusted from now on.
    pub(crate) fn trust_before(&mut self, offset: u64, n_kept: usize) {
        let n = self.pending.partition_point(|choice| choice.offset < offset);
        self.trusted.extend(self.pending.drain_front(n));
        let surplus = self.trusted.len().saturating_sub(n_kept);
        self.trusted.drain_front(surplus);
    }

    /// Removes holdout choices that are not trusted.
    pub(crate) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Number of trusted holdout choices.
    pub(crate) fn n_holdout(&self) -> usize {
        self.trusted.len()
    }

    /// NDCG over all choices examined since the tests began: on the stream and on the holdout.
    pub(crate) fn tallies(&self) -> [Tally; 2] {
        [self.stream[0].tally, self.holdout[0].tally]
    }

    /// Mean NDCG@20 of a model over all trusted holdout choices.
    pub(crate) fn holdout_ndcg(&self, model: &Ensemble, weights: &TypeWeights, prepared: &mut Prepared) -> f64 {
        let ndcg = |(place, choice): (usize, &HoldoutChoice)| {
            let mut draws = Draws::new(0, STREAM, place as u64);
            choice.ndcgs([model, model], self.stream_ms, weights, &mut draws, prepared)[0]
        };
        self.trusted.iter().enumerate().map(ndcg).sum::<f64>() / self.trusted.len().max(1) as f64
    }
}
