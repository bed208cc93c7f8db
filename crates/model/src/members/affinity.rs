//! Affinity: what is chosen more often than usual in this scene, after this search, on this device, and by shoppers
//! whom the shop describes alike.
//!
//! In: choices with their [circumstances](accrue_store::Circumstances) and the shopper's
//! [descriptors](accrue_store::Descriptor). Out: for an item i the sum over the known values v of
//! `w · ln((c_vi + α) / (c_v · p_i + α))`: the logarithm of how many choices of i under v there were, over how many
//! there would be if v did not matter, shrunk towards 0 by α choices. Counts decay. A weight w belongs to an attribute.
//! It is learned pairwise: how much likelier than an item drawn at random the chosen one is, given how popular both
//! are. How much the sum adds to a score is learned by the blend: less as a visit goes on, because what a shopper did
//! soon says more than how the shop describes them.
//!
//! There is no row for a user: a value that is a shopper's own is not among the descriptors. A choice deep in a list
//! counts more than one at its head, because few shoppers look so far (Joachims, Swaminathan, Schnabel, *Unbiased
//! learning-to-rank with biased feedback*, WSDM 2017).

use accrue_event::SettingFault;
use accrue_kernel::{Draws, ln, sigmoid};
use accrue_store::{Descriptor, ItemIdx};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Column, Member, MemberSettings, ReasonKind};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::decay::{Decayed, HalfLife};
use crate::pairs::{self, PairRow};
use crate::{Context, Step};

/// Stream of random numbers.
const STREAM: u64 = 0x4146_464e;
/// Half-life of a choice, in days.
const HALF_LIFE_DAYS: f64 = 60.0;
/// α, in choices.
const SHRINK: f32 = 10.0;
/// The weight of an attribute before anything is learned, the step towards what is learned, and the largest weight.
const FIRST_WEIGHT: f32 = 0.5;
const RATE: f32 = 0.02;
const MAX_WEIGHT: f32 = 2.0;
/// Attributes that have weights, at most; others do not count.
const MAX_ATTRIBUTES: usize = 80;
/// Places of a value in the table; one that has to give way is the one with the fewest choices among them.
const WAYS: usize = 4;
/// A choice counts at most this many times for its place in a list.
const MAX_EXAMINED: f32 = 3.0;

/// Whether it learns, and how much it keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AffinitySettings {
    /// Whether the model learns. Off by default: it needs events with `scene`, `query` or `device`, or described users,
    /// and where users' attributes were measured they added nothing.
    pub enabled: bool,
    /// Values that are counted, at most: scenes, search texts, devices, and values of attributes.
    pub values: usize,
    /// Items that are counted for one value, at most.
    pub capacity: usize,
    /// Candidates of a page.
    pub candidates: usize,
}

impl Default for AffinitySettings {
    fn default() -> Self {
        Self { enabled: false, values: 4_096, capacity: 256, candidates: 50 }
    }
}

impl MemberSettings for AffinitySettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn switched_off(&self) -> Option<SettingFault> {
        (!self.enabled).then(|| SettingFault::new("enabled", false, "true"))
    }

    fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("values", self.values, WAYS..=1 << 24)?;
        SettingFault::check("capacity", self.capacity, 1..=1 << 16)
    }
}

/// Decayed counts of choices by value and item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Affinity {
    settings: AffinitySettings,
    half_life: HalfLife,
    /// The value in each place of the table; 0 is none. The places of a value are [`WAYS`] in a row.
    values: CowVec<u64>,
    /// The choices under the value in each place.
    rows: CowVec<PairRow<1>>,
    /// All choices, by item and in total.
    counts: CowVec<Decayed>,
    total: Decayed,
    /// By attribute.
    weights: BTreeMap<u32, f32>,
    #[serde(skip)]
    copied_bytes: u64,
}

impl PartialEq for Affinity {
    /// Bytes copied since the last save are not part of the state.
    fn eq(&self, other: &Self) -> bool {
        let Self { settings, half_life, values, rows, counts, total, weights, copied_bytes: _ } = self;
        (settings, half_life, total, weights) == (&other.settings, &other.half_life, &other.total, &other.weights)
            && *values == other.values
            && *rows == other.rows
            && *counts == other.counts
    }
}

/// What is known of a shopper and counts, with sums over the items that were chosen under it.
#[derive(Clone, Debug, Default)]
pub struct KnownValues {
    /// `Σ w · ln(1 + c_vi / α)`, and the share of an item among the choices, by which candidates are retrieved.
    sums: Accumulator<2>,
    /// Weight and number of choices of each value.
    values: Vec<(f32, f32)>,
    now: f64,
}

impl Member for Affinity {
    type Settings = AffinitySettings;
    type Situation = KnownValues;

    const COLUMNS: &'static [Column] = &[Column::linear("affinity", -3.0, 3.0, 0.2).because(ReasonKind::Circumstances)];
    const TIES_BY_POPULARITY: bool = true;

    fn new(settings: &AffinitySettings, _: u64) -> Option<Self> {
        settings.enabled.then(|| Self {
            settings: settings.clone(),
            half_life: HalfLife::days(HALF_LIFE_DAYS),
            values: CowVec::new(64, 0),
            rows: CowVec::new(16, PairRow::default()),
            counts: CowVec::new(256, Decayed::default()),
            total: Decayed::default(),
            weights: BTreeMap::new(),
            copied_bytes: 0,
        })
    }

    /// A table of another size begins empty.
    fn set_settings(&mut self, settings: &AffinitySettings, _: u64) -> bool {
        let fits = settings.values == self.settings.values;
        self.settings = settings.clone();
        fits
    }

    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut KnownValues) {
        if step.weight <= 0.0 {
            return;
        }
        let item = step.event.item;
        let position = self.half_life.position(step.event.at_ms);
        let known = known_values(&step.context);
        if step.n_items >= 2 && !known.is_empty() {
            let other = Draws::new(step.seed, STREAM, step.offset).below(u64::from(step.n_items)) as ItemIdx;
            self.learn_weights(step, &known, [item, other], position);
        }
        let amount = step.weight * examined(step.context.circumstances.position);
        let (epoch, unit) = HalfLife::unit(position);
        for (value, _) in known {
            let place = self.place_for(value, position);
            let row = pairs::row_mut(&mut self.rows, place, &mut self.copied_bytes);
            row.add(item, [amount * unit], epoch, self.settings.capacity);
        }
        self.counts.get_mut(item as usize).add(amount, position);
        self.total.add(amount, position);
    }

    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, known: &mut KnownValues) {
        let KnownValues { sums, values, now } = known;
        values.clear();
        for (value, share) in known_values(context) {
            let Some(place) = self.place_of(value) else { continue };
            if values.is_empty() {
                sums.clear(catalogue.n_items() as usize);
                *now = self.half_life.position(context.now_ms);
            }
            let row = self.rows.get(place as usize);
            let unit = row.unit_at(*now);
            let (weight, n) = (share * self.weight(value), row.totals[0] * unit);
            for (&item, [count]) in row.items().iter().zip(row.weights()) {
                let [sum, of_choices] = sums.entry(item);
                *sum += weight * ln(1.0 + count * unit / SHRINK);
                *of_choices += weight * count * unit / (n + SHRINK);
            }
            values.push((weight, n));
        }
    }

    fn columns(&self, _: &Catalogue, known: &KnownValues, items: &[ItemIdx], out: &mut [f32]) {
        if known.values.is_empty() {
            return;
        }
        let total = self.total.at(known.now).max(f32::MIN_POSITIVE);
        for (out, &item) in out.iter_mut().zip(items) {
            let share = self.counts.get(item as usize).at(known.now) / total;
            let expected = |&(weight, n): &(f32, f32)| weight * ln(1.0 + n * share / SHRINK);
            *out = known.sums.get(item)[0] - known.values.iter().map(expected).sum::<f32>();
        }
    }

    /// The items that are chosen most under the known values.
    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, known: &KnownValues, limit: usize, out: &mut Vec<ItemIdx>) {
        if known.values.is_empty() {
            return;
        }
        let mut best = accrue_kernel::TopK::new(limit);
        for &item in known.sums.touched() {
            best.push(known.sums.get(item)[1], item);
        }
        out.extend(best.into_sorted().into_iter().map(|(_, item)| item));
    }

    fn share_with(&mut self, other: &Self) {
        self.values.share_with(&other.values);
        self.rows.share_with(&other.rows);
        self.counts.share_with(&other.counts);
    }

    fn n_params(&self) -> u64 {
        (self.counts.len() + self.weights.len()) as u64
            + self.rows.iter().map(|row| row.items().len() as u64).sum::<u64>()
    }

    fn copied_bytes(&self) -> u64 {
        self.copied_bytes + self.values.copied_bytes() + self.rows.copied_bytes() + self.counts.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        let counts = self.counts.iter().chain([&self.total]);
        self.rows.iter().all(|row| row.is_finite())
            && counts.into_iter().all(Decayed::is_finite)
            && self.weights.values().all(|weight| weight.is_finite())
    }
}

impl Affinity {
    /// The first of the places of a value.
    fn first_place(&self, value: Descriptor) -> usize {
        value.value as usize % (self.settings.values / WAYS).max(1) * WAYS
    }

    fn place_of(&self, value: Descriptor) -> Option<u32> {
        let first = self.first_place(value);
        (first..first + WAYS).find(|&place| *self.values.get(place) == key(value)).map(|place| place as u32)
    }

    /// The place of a value; one that is new takes an empty place, or that of the value with the fewest choices.
    fn place_for(&mut self, value: Descriptor, now: f64) -> u32 {
        if let Some(place) = self.place_of(value) {
            return place;
        }
        let choices = |place: usize| {
            let row = self.rows.get(place);
            row.totals[0] * row.unit_at(now)
        };
        let first = self.first_place(value);
        let (mut weakest, mut least) = (first, choices(first));
        for place in first + 1..first + WAYS {
            let n = choices(place);
            if n < least {
                (weakest, least) = (place, n);
            }
        }
        *self.values.get_mut(weakest) = key(value);
        *self.rows.get_mut(weakest) = PairRow::default();
        weakest as u32
    }

    fn weight(&self, value: Descriptor) -> f32 {
        match self.weights.get(&value.attribute) {
            Some(&weight) => weight,
            None if self.weights.len() < MAX_ATTRIBUTES => FIRST_WEIGHT,
            None => 0.0,
        }
    }

    /// Raises the weights of attributes under whose values the chosen item has the larger affinity, and lowers the
    /// others.
    fn learn_weights(&mut self, step: &Step<'_>, known: &[(Descriptor, f32)], [chosen, other]: [ItemIdx; 2], now: f64) {
        let total = self.total.at(now).max(f32::MIN_POSITIVE);
        let [n_chosen, n_other] = [chosen, other].map(|item| self.counts.get(item as usize).at(now));
        let [of_chosen, of_other] = [n_chosen, n_other].map(|n| n / total);
        let pull = |&(value, share): &(Descriptor, f32)| {
            let row = self.rows.get(self.place_of(value)? as usize);
            let unit = row.unit_at(now);
            let affinity = |item: ItemIdx, of_all: f32| {
                let count = accrue_kernel::find(row.items(), item).map_or(0.0, |place| row.weights()[place][0] * unit);
                ln((count + SHRINK) / (row.totals[0] * unit * of_all + SHRINK))
            };
            Some((value, share * (affinity(chosen, of_chosen) - affinity(other, of_other))))
        };
        let pulls: Vec<(Descriptor, f32)> = known.iter().filter_map(pull).collect();
        let by_popularity = ln((n_chosen + 1.0) / (n_other + 1.0));
        let margin: f32 = by_popularity + pulls.iter().map(|&(value, pull)| self.weight(value) * pull).sum::<f32>();
        let rate = RATE * step.weight * step.rate_multiplier * sigmoid(-margin);
        for (value, pull) in pulls {
            let is_new = !self.weights.contains_key(&value.attribute);
            if is_new && self.weights.len() >= MAX_ATTRIBUTES {
                continue;
            }
            let weight = self.weights.entry(value.attribute).or_insert(FIRST_WEIGHT);
            *weight = (*weight + rate * pull).clamp(0.0, MAX_WEIGHT);
        }
    }
}

/// What is known of the page and the shopper, each value with its share: the values of a list share one weight.
fn known_values(context: &Context<'_>) -> Vec<(Descriptor, f32)> {
    let values = context.circumstances.descriptors().chain(context.descriptors.iter().copied());
    let mut known: Vec<(Descriptor, f32)> = values.map(|value| (value, 1.0)).collect();
    for place in 0..known.len() {
        let attribute = known[place].0.attribute;
        known[place].1 = 1.0 / known.iter().filter(|(other, _)| other.attribute == attribute).count() as f32;
    }
    known
}

/// How many times a choice at this place of a list counts: the reciprocal of how many shoppers look so far.
fn examined(position: Option<u32>) -> f32 {
    (1.0 + position.unwrap_or(0) as f32).sqrt().min(MAX_EXAMINED)
}

/// A value as a number that is not 0.
fn key(value: Descriptor) -> u64 {
    (u64::from(value.attribute) << 32 | u64::from(value.value)).max(1)
}

#[cfg(test)]
mod tests {
    use accrue_store::{Circumstances, Interaction};

    use super::*;
    use crate::TypeWeights;

    const N_ITEMS: u32 = 20;
    use accrue_event::DAY_MS;

    fn descriptor(attribute: u32, value: u32) -> Descriptor {
        Descriptor { attribute, value }
    }

    fn settings(values: usize) -> AffinitySettings {
        AffinitySettings { enabled: true, values, ..AffinitySettings::default() }
    }

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        (0..N_ITEMS).for_each(|item| catalogue.see(item, 0));
        catalogue
    }

    /// A member with its choices so far; each is an hour after the one before.
    struct Learned {
        affinity: Affinity,
        catalogue: Catalogue,
        n: u64,
    }

    impl Learned {
        fn new(settings: &AffinitySettings) -> Self {
            Self { affinity: Affinity::new(settings, 1).unwrap(), catalogue: catalogue(), n: 0 }
        }

        fn now_ms(&self) -> i64 {
            self.n as i64 * 3_600_000
        }

        fn choose(&mut self, item: ItemIdx, descriptors: &[Descriptor], position: Option<u32>) {
            let (weights, at_ms) = (TypeWeights::default(), self.now_ms());
            let circumstances = Circumstances { position, ..Circumstances::default() };
            let context = Context::between_visits(&[], at_ms, &weights).described(descriptors);
            let event = Interaction { shopper: 0, item, type_code: 0, at_ms, session: None, value: 1.0, quantity: 1 };
            let step = Step {
                offset: self.n,
                seed: 1,
                context: context.in_circumstances(circumstances),
                event,
                weight: 1.0,
                n_items: N_ITEMS,
                is_known: true,
                rate_multiplier: 1.0,
            };
            self.affinity.learn(&step, &self.catalogue, None, &mut KnownValues::default());
            self.n += 1;
        }

        fn known(&self, descriptors: &[Descriptor], now_ms: i64) -> KnownValues {
            let (weights, mut known) = (TypeWeights::default(), KnownValues::default());
            let context = Context::between_visits(&[], now_ms, &weights).described(descriptors);
            self.affinity.prepare(&self.catalogue, &context, &mut known);
            known
        }

        /// The column of all items.
        fn column(&self, descriptors: &[Descriptor]) -> Vec<f32> {
            let known = self.known(descriptors, self.now_ms());
            let items: Vec<ItemIdx> = (0..N_ITEMS).collect();
            let mut out = vec![0.0; items.len()];
            self.affinity.columns(&self.catalogue, &known, &items, &mut out);
            out
        }

        /// Choices of item 1 by shoppers with `a`, of item 2 by those with `b`, and of item 3 by both.
        fn with_tastes(mut self, a: Descriptor, b: Descriptor, n: usize) -> Self {
            for _ in 0..n {
                self.choose(1, &[a], None);
                self.choose(2, &[b], None);
                self.choose(3, &[a], None);
                self.choose(3, &[b], None);
            }
            self
        }
    }

    #[test]
    fn an_item_that_such_shoppers_choose_more_than_others_scores_more() {
        let (a, b) = (descriptor(7, 1), descriptor(7, 2));
        let learned = Learned::new(&settings(64)).with_tastes(a, b, 60);
        let column = learned.column(&[a]);
        assert!(column[1] > 0.1 && column[2] < -0.1, "{column:?}");
        assert!(column[3].abs() < 0.1 * column[1], "chosen by all alike: {column:?}");
        assert_eq!(column[9], 0.0, "never chosen");
        assert!(column.iter().all(|share| share.is_finite()));
    }

    #[test]
    fn nothing_is_said_of_a_shopper_without_a_known_value() {
        let (a, b) = (descriptor(7, 1), descriptor(7, 2));
        let learned = Learned::new(&settings(64)).with_tastes(a, b, 10);
        for unknown in [&[][..], &[descriptor(9, 5)]] {
            assert!(learned.column(unknown).iter().all(|&share| share == 0.0));
            let known = learned.known(unknown, learned.now_ms());
            let mut out = Vec::new();
            let weights = TypeWeights::default();
            let context = Context::between_visits(&[], learned.now_ms(), &weights);
            learned.affinity.retrieve(&learned.catalogue, &context, &known, 5, &mut out);
            assert_eq!(out, [0; 0]);
        }
    }

    #[test]
    fn the_most_chosen_under_a_value_are_candidates() {
        let (a, b) = (descriptor(7, 1), descriptor(7, 2));
        let mut learned = Learned::new(&settings(64)).with_tastes(a, b, 10);
        (0..30).for_each(|_| learned.choose(5, &[a], None));
        let known = learned.known(&[a], learned.now_ms());
        let weights = TypeWeights::default();
        let context = Context::between_visits(&[], learned.now_ms(), &weights);
        let mut out = Vec::new();
        learned.affinity.retrieve(&learned.catalogue, &context, &known, 2, &mut out);
        assert_eq!(out[0], 5);
        assert!(out.len() == 2 && !out.contains(&2), "{out:?}");
    }

    #[test]
    fn the_values_of_a_list_share_one_weight_and_counts_decay() {
        let (a, b) = (descriptor(7, 1), descriptor(7, 2));
        let learned = Learned::new(&settings(64)).with_tastes(a, b, 40);
        let (both, one) = (learned.column(&[a, b]), learned.column(&[a]));
        assert!(both[1].abs() < one[1], "{both:?} {one:?}");
        let count = |days: i64| {
            let known = learned.known(&[a], learned.now_ms() + days * DAY_MS);
            known.values[0].1
        };
        let half = count(60) / count(0);
        assert!((0.49..0.51).contains(&half), "half of a choice is left after 60 days: {half}");
    }

    #[test]
    fn a_choice_deep_in_a_list_counts_more_within_a_bound() {
        let counted = |position: Option<u32>| {
            let mut learned = Learned::new(&settings(64));
            learned.choose(1, &[descriptor(7, 1)], position);
            learned.known(&[descriptor(7, 1)], 0).values[0].1
        };
        let [unknown, first, fourth, deep] = [None, Some(0), Some(3), Some(10_000)].map(counted);
        assert_eq!(unknown, first);
        assert!((fourth / first - 2.0).abs() < 1e-3 && (deep / first - MAX_EXAMINED).abs() < 1e-3);
    }

    #[test]
    fn a_full_table_keeps_the_values_with_the_most_choices() {
        // One set of four places.
        let mut learned = Learned::new(&settings(WAYS));
        let value = |number: u32| descriptor(7, number);
        for _ in 0..20 {
            (0..3).for_each(|number| learned.choose(1, &[value(number)], None));
        }
        (10..40).for_each(|number| learned.choose(2, &[value(number)], None));
        let n_known = (0..40).filter(|&number| learned.affinity.place_of(value(number)).is_some()).count();
        assert_eq!(n_known, WAYS);
        assert!((0..3).all(|number| learned.affinity.place_of(value(number)).is_some()), "the latest one gave way");
    }

    #[test]
    fn attributes_that_predict_get_a_larger_weight_and_their_number_is_bounded() {
        let (a, b, noise) = (descriptor(7, 1), descriptor(7, 2), descriptor(8, 3));
        let mut learned = Learned::new(&settings(64));
        for _ in 0..400 {
            learned.choose(1, &[a, noise], None);
            learned.choose(2, &[b, noise], None);
        }
        assert!(learned.affinity.weight(a) > learned.affinity.weight(noise), "{:?}", learned.affinity.weights);
        for attribute in 0..200 {
            (0..2).for_each(|_| learned.choose(1, &[descriptor(100 + attribute, attribute)], None));
        }
        assert!(learned.affinity.weights.len() <= MAX_ATTRIBUTES);
        assert!(learned.affinity.weights.values().all(|weight| (0.0..=MAX_WEIGHT).contains(weight)));
    }

    #[test]
    fn a_saved_member_goes_on_as_if_it_had_not_stopped() {
        let (a, b) = (descriptor(7, 1), descriptor(7, 2));
        let mut learned = Learned::new(&settings(64)).with_tastes(a, b, 5);
        let saved = postcard::to_stdvec(&learned.affinity).unwrap();
        let back = postcard::from_bytes(&saved).unwrap();
        assert!(learned.affinity == back);
        let mut resumed = Learned { affinity: back, catalogue: catalogue(), n: learned.n };
        for learned in [&mut learned, &mut resumed] {
            learned.choose(4, &[a], None);
        }
        assert!(learned.affinity == resumed.affinity);
        assert!(!resumed.affinity.set_settings(&settings(128), 1), "a table of another size begins empty");
    }
}
