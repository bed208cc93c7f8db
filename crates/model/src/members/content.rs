//! Content: what a shopper likes, by the vectors that an encoder computed from items' texts.
//!
//! A shopper is the decayed mean of the vectors of what they chose, `u = Σ_e w(type_e, age_e) · (v_e - m)`, where `m` is
//! the mean of all items' vectors and `w` is a table by event type and age, learned by gradient descent on the pairwise
//! logistic loss (BPR, Rendle et al. 2009). An item's score is the cosine of `u` and `v_i - m`. A second number is the
//! largest cosine with one of the last choices, or 0 where all are below 0, because a mean of different items hides it. A
//! third is the cosine with the very last one: a shopper who buys one item of a series often buys the next. All three know
//! an item that was never chosen. Where few have chosen it, they are repeated as numbers of their own: what is chosen
//! together says of other items whether likeness matters, and of a new one nothing, so the blend relies on likeness more
//! there.
//!
//! Without vectors every number is 0 and costs nothing.

use accrue_event::SettingFault;
use accrue_kernel::{Draws, QuantisedQuery};
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings};
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::decay::log2;
use crate::transfer::{InitSettings, part, read_part, size_if};
use crate::weights::MAX_TYPES;
use crate::{Context, Step};

/// Ages are binned by powers of two of minutes: the last bin begins after about a year.
const N_AGES: usize = 20;
/// Events of the history that count.
const REACH: usize = 40;
/// Choices that an item is compared with one by one.
const NEAR: usize = 12;
/// Step of the gradient descent.
const RATE: f32 = 0.05;
/// The table learns from one event in this many: it is small and changes slowly.
const LEARN_ONE_IN: u64 = 4;
/// An item with fewer choices is new.
const FEW: u32 = 10;
/// Most items that are scanned for candidates.
const SCANNED: usize = 16_384;
/// Stream of the random numbers that choose the pairs to learn from.
const STREAM: u64 = 0x434f_4e54;

/// Whether content is learned, and how many items it retrieves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentSettings {
    /// Whether it is learned.
    pub enabled: bool,
    /// Candidates of a page, of items that few have chosen.
    pub candidates: usize,
}

impl Default for ContentSettings {
    fn default() -> Self {
        Self { enabled: false, candidates: 50 }
    }
}

impl MemberSettings for ContentSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn switched_off(&self) -> Option<SettingFault> {
        (!self.enabled).then(|| SettingFault::new("enabled", false, "true"))
    }
}

/// The learned table, and how often each item was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    settings: ContentSettings,
    /// `w`, by type and age.
    table: Vec<f32>,
    chosen: CowVec<u32>,
}

/// A shopper in the space of vectors.
#[derive(Clone, Debug, Default)]
pub struct ShopperVector {
    sum: Vec<f32>,
    mean: Vec<f32>,
    /// `None` if nothing that the shopper chose has a vector.
    prepared: Option<Taste>,
}

/// A shopper's vector and last choices, ready to be compared with items.
#[derive(Clone, Debug)]
struct Taste {
    shopper: QuantisedQuery,
    mean: QuantisedQuery,
    /// `u·m` for the shopper's vector of norm 1.
    shopper_by_mean: f32,
    squared_mean: f32,
    recent: Vec<Recent>,
}

/// One of the last choices.
#[derive(Clone, Debug)]
struct Recent {
    item: ItemIdx,
    vector: QuantisedQuery,
    by_mean: f32,
    /// The length of its vector from the mean.
    length: f32,
}

impl Member for Content {
    type Settings = ContentSettings;
    type Situation = ShopperVector;

    const COLUMNS: &'static [Column] = &[
        Column::linear("content", -0.3, 0.9, 0.05),
        Column::linear("content_near", -0.3, 1.2, 0.05).alone(0.0),
        Column::linear("content_last", -0.3, 1.2, 0.0).alone(0.0),
        Column::linear("content_new", -0.3, 0.9, 0.0).alone(0.0),
        Column::linear("content_near_new", -0.3, 1.2, 0.0).alone(0.0),
        Column::linear("content_last_new", -0.3, 1.2, 0.0).alone(0.0),
    ];
    const RETRIEVES_FOR_LEARNING: bool = false;

    fn new(settings: &ContentSettings, _: u64) -> Option<Self> {
        let table = (0..MAX_TYPES * N_AGES).map(|place| 1.0 / (1 + place % N_AGES) as f32).collect();
        settings.enabled.then(|| Self { settings: settings.clone(), table, chosen: CowVec::new(256, 0) })
    }

    fn set_settings(&mut self, settings: &ContentSettings, _: u64) -> bool {
        self.settings = settings.clone();
        true
    }

    /// Learns which events of the history predict the chosen item better than one drawn at random.
    fn learn(&mut self, step: &Step<'_>, catalogue: &Catalogue, _: Option<&Self>, of_shopper: &mut ShopperVector) {
        let item = step.event.item;
        if step.weight <= 0.0 {
            return;
        }
        *self.chosen.get_mut(item as usize) += 1;
        let mut draws = Draws::new(step.seed, STREAM, step.offset);
        if draws.below(LEARN_ONE_IN) != 0 || step.n_items < 2 {
            return;
        }
        let other = draws.below(u64::from(step.n_items)) as ItemIdx;
        let vectors = catalogue.vectors();
        let (Some(chosen), Some(drawn)) = (vectors.get(item), vectors.get(other)) else { return };
        if other == item {
            return;
        }
        vectors.mean(&mut of_shopper.mean);
        let difference = &mut of_shopper.sum;
        difference.clear();
        difference.resize(vectors.width(), 0.0);
        chosen.add_to(1.0, difference);
        drawn.add_to(-1.0, difference);
        let by_mean = accrue_kernel::dot(difference, &of_shopper.mean);
        let difference = QuantisedQuery::new(difference);
        let recent = step.context.past.iter().rev().take(REACH);
        let pulls: Vec<(usize, f32)> = recent
            .filter(|past| step.context.weight(past) > 0.0)
            .filter_map(|past| {
                let pull = vectors.get(past.item)?.dot(&difference) - by_mean;
                Some((Self::cell(past.type_code, step.context.now_ms - past.at_ms()), pull))
            })
            .collect();
        let margin: f32 = pulls.iter().map(|&(cell, pull)| self.table[cell] * pull).sum();
        let rate = RATE * step.weight * accrue_kernel::sigmoid(-margin);
        for (cell, pull) in pulls {
            self.table[cell] = (self.table[cell] + rate * pull).clamp(0.0, 10.0);
        }
    }

    /// Sums the vectors of the history, each event by its learned weight.
    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, of_shopper: &mut ShopperVector) {
        of_shopper.prepared = None;
        let vectors = catalogue.vectors();
        if vectors.width() == 0 {
            return;
        }
        let ShopperVector { sum, mean, prepared } = of_shopper;
        vectors.mean(mean);
        sum.clear();
        sum.resize(vectors.width(), 0.0);
        let (mut mass, mut recent) = (0.0, Vec::new());
        let mean_query = QuantisedQuery::new(mean);
        let squared_mean = accrue_kernel::squared_norm(mean);
        for past in context.past.iter().rev().take(REACH) {
            let sign = if context.weight(past) < 0.0 { -1.0 } else { f32::from(context.weight(past) > 0.0) };
            let Some(vector) = vectors.get(past.item).filter(|_| sign != 0.0) else { continue };
            let weight = sign * self.weight(past.type_code, context.now_ms - past.at_ms());
            vector.add_to(weight, sum);
            mass += weight;
            if recent.len() < NEAR && sign > 0.0 && recent.iter().all(|recent: &Recent| recent.item != past.item) {
                let mut numbers = vec![0.0; vectors.width()];
                vector.add_to(1.0, &mut numbers);
                let by_mean = vector.dot(&mean_query);
                let squared = accrue_kernel::squared_norm(&numbers) - 2.0 * by_mean + squared_mean;
                let (vector, length) = (QuantisedQuery::new(&numbers), squared.max(FLOOR).sqrt());
                recent.push(Recent { item: past.item, vector, by_mean, length });
            }
        }
        accrue_kernel::axpy(-mass, mean, sum);
        let norm = accrue_kernel::squared_norm(sum).sqrt();
        if norm <= FLOOR {
            return;
        }
        accrue_kernel::scale(1.0 / norm, sum);
        *prepared = Some(Taste {
            shopper: QuantisedQuery::new(sum),
            shopper_by_mean: accrue_kernel::dot(sum, mean),
            mean: mean_query,
            squared_mean,
            recent,
        });
    }

    fn columns(&self, catalogue: &Catalogue, of_shopper: &ShopperVector, items: &[ItemIdx], out: &mut [f32]) {
        let Some(taste) = &of_shopper.prepared else { return };
        let vectors = catalogue.vectors();
        let (mean, rest) = out.split_at_mut(items.len());
        let (near, rest) = rest.split_at_mut(items.len());
        let (last, of_new) = rest.split_at_mut(items.len());
        for (place, &item) in items.iter().enumerate() {
            let Some(vector) = vectors.get(item).filter(|vector| vector.codes.len() == taste.mean.dimensions()) else {
                continue;
            };
            let by_mean = vector.dot(&taste.mean);
            // Its vector has norm 1, but for rounding.
            let length = (1.0 - 2.0 * by_mean + taste.squared_mean).max(FLOOR).sqrt();
            mean[place] = (vector.dot(&taste.shopper) - taste.shopper_by_mean) / length;
            let others = taste.recent.iter().filter(|recent| recent.item != item);
            let cosine = |recent: &Recent| {
                (vector.dot(&recent.vector) - by_mean - recent.by_mean + taste.squared_mean) / (length * recent.length)
            };
            let mut cosines = others.map(cosine);
            last[place] = cosines.next().unwrap_or(0.0);
            near[place] = cosines.fold(last[place].max(0.0), f32::max);
            if *self.chosen.get(item as usize) < FEW {
                let repeated = [mean[place], near[place], last[place]];
                of_new.iter_mut().skip(place).step_by(items.len()).zip(repeated).for_each(|(out, value)| *out = value);
            }
        }
    }

    fn retrieve(
        &self,
        catalogue: &Catalogue,
        _: &Context<'_>,
        of_shopper: &ShopperVector,
        limit: usize,
        out: &mut Vec<ItemIdx>,
    ) {
        if let Some(taste) = &of_shopper.prepared {
            let is_new = |item: ItemIdx| *self.chosen.get(item as usize) < FEW;
            out.extend(catalogue.vectors().nearest(&taste.shopper, SCANNED, limit, is_new));
        }
    }

    fn share_with(&mut self, other: &Self) {
        self.chosen.share_with(&other.chosen);
    }

    fn n_params(&self) -> u64 {
        self.table.len() as u64
    }

    fn copied_bytes(&self) -> u64 {
        self.chosen.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        self.table.iter().all(|weight| weight.is_finite())
    }

    /// The learned weights by type and age.
    fn part_for_others(&self) -> Option<Vec<u8>> {
        Some(part(&self.table))
    }

    fn begin_with(&mut self, part: &[u8], _: &InitSettings) {
        if let Some(weights) = read_part::<Vec<f32>>(part).filter(|weights| weights.len() == self.table.len()) {
            self.table = weights;
        }
    }

    fn size_of_part(bytes: &[u8]) -> Option<usize> {
        size_if(bytes, |weights: &Vec<f32>| weights.iter().all(|weight| weight.is_finite()))
    }
}

/// The smallest squared length that is divided by.
const FLOOR: f32 = 1e-6;

impl Content {
    fn cell(type_code: u8, age_ms: i64) -> usize {
        let minutes = age_ms.max(0) as f32 / 60_000.0;
        let age = (log2(1.0 + minutes) as usize).min(N_AGES - 1);
        usize::from(type_code).min(MAX_TYPES - 1) * N_AGES + age
    }

    /// The learned weight of an event of that type and age.
    fn weight(&self, type_code: u8, age_ms: i64) -> f32 {
        self.table[Self::cell(type_code, age_ms)]
    }
}

#[cfg(test)]
mod tests {
    use accrue_store::{Histories, Interaction, ItemVector};

    use super::*;
    use crate::TypeWeights;

    /// Items 0 and 1 are alike, and so are 2 and 3.
    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        for (item, numbers) in [[1.0, 0.0, 0.0], [0.9, 0.4, 0.0], [0.0, 0.0, 1.0], [0.0, 0.4, 0.9]].iter().enumerate() {
            let mut codes = vec![0; numbers.len()];
            let scale = accrue_kernel::quantise(numbers, &mut codes);
            let vector = ItemVector { item: "x".into(), space: 1, text: 1, scale, codes: codes.into() };
            catalogue.encode(item as ItemIdx, &vector);
        }
        catalogue
    }

    /// The columns of items, `[columns][items]`, for a shopper who chose these items, the last one last.
    fn columns(content: &Content, past: &[ItemIdx], items: &[ItemIdx]) -> Vec<Vec<f32>> {
        let (mut histories, mut weights) = (Histories::new(10), TypeWeights::default());
        weights.set(0, 1.0);
        for (place, &item) in past.iter().enumerate() {
            let at_ms = place as i64 * 60_000;
            let event = Interaction { shopper: 0, item, type_code: 0, at_ms, session: None, value: 1.0, quantity: 1 };
            histories.push(&event);
        }
        let history = histories.get(0);
        let context = Context::new(&history, None, past.len() as i64 * 60_000, &weights);
        let (catalogue, mut of_shopper) = (catalogue(), ShopperVector::default());
        content.prepare(&catalogue, &context, &mut of_shopper);
        let mut out = vec![0.0; Content::COLUMNS.len() * items.len()];
        content.columns(&catalogue, &of_shopper, items, &mut out);
        out.chunks_exact(items.len()).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn likeness_to_the_last_choice_is_a_number_of_its_own_and_all_are_repeated_for_items_that_few_chose() {
        let mut content = Content::new(&ContentSettings { enabled: true, candidates: 50 }, 1).unwrap();
        *content.chosen.get_mut(1) = FEW;
        let of = columns(&content, &[0, 2], &[1, 3]);
        let [_, near, last, ..] = &of[..] else { panic!("{of:?}") };
        assert!(near[0] > 0.5 && near[1] > 0.5, "each is near one of the choices: {of:?}");
        assert!(last[0] < 0.0 && last[1] > 0.5, "the last choice is like item 3 alone: {of:?}");
        for (column, repeated) in of[..3].iter().zip(&of[3..]) {
            assert_eq!(repeated, &[0.0, column[1]], "item 1 was chosen often: {of:?}");
        }
        let none = columns(&content, &[], &[1, 3]);
        assert!(none.iter().flatten().all(|&value| value == 0.0), "{none:?}");
    }

    #[test]
    fn an_item_is_not_compared_with_itself() {
        let content = Content::new(&ContentSettings { enabled: true, candidates: 50 }, 1).unwrap();
        let of = columns(&content, &[1, 0], &[0]);
        let compared = columns(&content, &[0, 1], &[0]);
        assert_eq!((of[1][0], of[2][0]), (compared[1][0], compared[2][0]), "with the choice before it instead");
    }
}
