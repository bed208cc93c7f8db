//! What a shopper likes about items: `s(i) = Σ_e w(type_e, age_e) · cos(e, i)` over the events e of their history.
//!
//! `cos` is the cosine of the items' descriptions (brand, categories, tags, words of the title), weighted by inverse document
//! frequency; `w` is a table by event type and age, learned by gradient descent on the pairwise logistic loss (BPR, Rendle et
//! al. 2009), so the shop itself tells how fast interest fades. Needs descriptions, and so also places an item that nobody
//! has chosen yet.

use std::sync::Arc;

use accrue_event::{Item, ItemPatch};
use accrue_store::{ItemIdx, Vocabulary};
use serde::{Deserialize, Serialize};

use crate::accumulator::Accumulator;
use crate::cow::CowVec;
use crate::decay::log2;
use crate::weights::MAX_TYPES;
use crate::{Context, Step};

/// Ages are binned by powers of two of minutes: the last bin begins after about a year.
const N_AGES: usize = 20;
/// Descriptors kept of an item.
const MAX_DESCRIPTORS: usize = 16;
/// Events of the history that count.
const REACH: usize = 40;
/// Step of the gradient descent.
const RATE: f32 = 0.05;
/// The table learns from one event in so many: it is small and moves slowly.
const LEARN_ONE_IN: u64 = 4;
/// Where the pairs for learning come from in the random numbers.
const STREAM: u64 = 0x5052_4546;

type Descriptors = Arc<[u32]>;

/// Where a descriptor comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Brand,
    Category,
    Tag,
    Title,
}

/// How many fields there are.
const N_FIELDS: u32 = 4;

/// Descriptions as sets of descriptors, and the learned table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    names: Arc<Vocabulary>,
    /// How many items have a descriptor.
    frequency: CowVec<u32>,
    items: CowVec<Descriptors>,
    n_described: u32,
    /// `w`, by type and age.
    table: Vec<f32>,
}

/// A shopper's liking by descriptor, prepared for one request.
#[derive(Clone, Debug, Default)]
pub struct Liking {
    descriptors: Accumulator<1>,
}

impl Default for Preference {
    fn default() -> Self {
        let table = (0..MAX_TYPES * N_AGES).map(|place| 1.0 / (1 + place % N_AGES) as f32).collect();
        Self {
            names: Arc::default(),
            frequency: CowVec::new(256, 0),
            items: CowVec::new(16, Descriptors::from([])),
            n_described: 0,
            table,
        }
    }
}

impl Preference {
    /// Takes over all that `other` knows of descriptions; the learned table stays.
    pub fn take_descriptions(&mut self, other: &Self) {
        let Self { names, frequency, items, n_described, table: _ } = other.clone();
        (self.names, self.frequency, self.items, self.n_described) = (names, frequency, items, n_described);
    }

    /// Takes in what an item is like; replaces all that was known.
    pub fn describe(&mut self, index: ItemIdx, item: &Item) {
        let empty = Box::default();
        self.replace(index, Field::Brand, item.brand.iter());
        self.replace(index, Field::Category, item.categories.iter());
        self.replace(index, Field::Tag, item.tags.iter());
        self.replace(index, Field::Title, [item.title.as_ref().unwrap_or(&empty)].into_iter());
    }

    /// Takes in the fields that changed.
    pub fn patch(&mut self, index: ItemIdx, patch: &ItemPatch) {
        if let Some(brand) = &patch.brand {
            self.replace(index, Field::Brand, [brand].into_iter());
        }
        if let Some(categories) = &patch.categories {
            self.replace(index, Field::Category, categories.iter());
        }
        if let Some(tags) = &patch.tags {
            self.replace(index, Field::Tag, tags.iter());
        }
        if let Some(title) = &patch.title {
            self.replace(index, Field::Title, [title].into_iter());
        }
    }

    /// Puts one field's descriptors in the place of those that it had.
    fn replace<'a>(&mut self, index: ItemIdx, field: Field, texts: impl Iterator<Item = &'a Box<str>>) {
        let old = self.items.get(index as usize).clone();
        let mut descriptors: Vec<u32> = old.iter().copied().filter(|&known| known % N_FIELDS != field as u32).collect();
        for text in texts {
            let text = text.to_lowercase();
            if field == Field::Title {
                let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 1);
                descriptors.extend(words.map(|word| self.descriptor(field, word)));
            } else {
                descriptors.push(self.descriptor(field, &text));
            }
        }
        descriptors.sort_unstable();
        descriptors.dedup();
        descriptors.truncate(MAX_DESCRIPTORS);
        if descriptors[..] == old[..] {
            return;
        }
        for &descriptor in old.iter() {
            *self.frequency.get_mut(descriptor as usize) -= 1;
        }
        for &descriptor in &descriptors {
            *self.frequency.get_mut(descriptor as usize) += 1;
        }
        self.n_described = self.n_described + u32::from(old.is_empty()) - u32::from(descriptors.is_empty());
        *self.items.get_mut(index as usize) = descriptors.into();
    }

    /// The number of a descriptor; its field can be read off it.
    fn descriptor(&mut self, field: Field, text: &str) -> u32 {
        let name = format!("{}{text}", field as u32);
        let number = self.names.get(&name).unwrap_or_else(|| Arc::make_mut(&mut self.names).intern(&name));
        number * N_FIELDS + field as u32
    }

    /// Squared inverse document frequency: what a shared descriptor adds to a dot product.
    fn rarity(&self, descriptor: u32) -> f32 {
        let frequency = *self.frequency.get(descriptor as usize) as f32;
        let idf = log2((1.0 + self.n_described as f32) / (1.0 + frequency)).max(0.0);
        idf * idf
    }

    fn norm(&self, descriptors: &[u32]) -> f32 {
        descriptors.iter().map(|&descriptor| self.rarity(descriptor)).sum::<f32>().sqrt()
    }

    /// Cosine of two items' descriptions; zero where one has none.
    pub fn cosine(&self, a: ItemIdx, b: ItemIdx) -> f32 {
        let (a, b) = (self.items.get(a as usize), self.items.get(b as usize));
        let (mut shared, mut left, mut right) = (0.0, 0, 0);
        while left < a.len() && right < b.len() {
            match a[left].cmp(&b[right]) {
                std::cmp::Ordering::Less => left += 1,
                std::cmp::Ordering::Greater => right += 1,
                std::cmp::Ordering::Equal => {
                    shared += self.rarity(a[left]);
                    (left, right) = (left + 1, right + 1);
                }
            }
        }
        if shared > 0.0 { shared / (self.norm(a) * self.norm(b)) } else { 0.0 }
    }

    fn cell(type_code: u8, age_ms: i64) -> usize {
        let minutes = age_ms.max(0) as f32 / 60_000.0;
        let age = (log2(1.0 + minutes) as usize).min(N_AGES - 1);
        usize::from(type_code).min(MAX_TYPES - 1) * N_AGES + age
    }

    /// The learned weight of an event of that type and age.
    pub fn weight(&self, type_code: u8, age_ms: i64) -> f32 {
        self.table[Self::cell(type_code, age_ms)]
    }

    /// Learns which events of the history speak for the item that was chosen rather than for one drawn at random.
    pub fn learn(&mut self, step: &Step<'_>) {
        let item = step.event.item;
        if step.weight <= 0.0 || step.n_items < 2 || self.items.get(item as usize).is_empty() {
            return;
        }
        let mut draws = accrue_kernel::Draws::new(step.seed, STREAM, step.offset);
        if draws.below(LEARN_ONE_IN) != 0 {
            return;
        }
        let other = draws.below(u64::from(step.n_items)) as ItemIdx;
        if other == item {
            return;
        }
        let recent = step.context.past.iter().rev().take(REACH);
        let pulls: Vec<(usize, f32)> = recent
            .filter(|past| step.context.weight(past) > 0.0)
            .map(|past| {
                let pull = self.cosine(past.item, item) - self.cosine(past.item, other);
                (Self::cell(past.type_code, step.context.now_ms - past.at_ms()), pull)
            })
            .collect();
        let margin: f32 = pulls.iter().map(|&(cell, pull)| self.table[cell] * pull).sum();
        let rate = RATE * step.weight * accrue_kernel::sigmoid(-margin);
        for (cell, pull) in pulls {
            self.table[cell] = (self.table[cell] + rate * pull).clamp(0.0, 10.0);
        }
    }

    /// Sums the history's descriptors, each event by its learned weight.
    pub fn prepare(&self, context: &Context<'_>, prepared: &mut Liking) {
        prepared.descriptors.clear(self.names.len() * N_FIELDS as usize);
        for past in context.past.iter().rev().take(REACH) {
            let sign = if context.weight(past) < 0.0 { -1.0 } else { f32::from(context.weight(past) > 0.0) };
            let descriptors = self.items.get(past.item as usize);
            let norm = self.norm(descriptors);
            if norm <= 0.0 || sign == 0.0 {
                continue;
            }
            let weight = sign * self.weight(past.type_code, context.now_ms - past.at_ms()) / norm;
            for &descriptor in descriptors.iter() {
                prepared.descriptors.entry(descriptor)[0] += weight * self.rarity(descriptor);
            }
        }
    }

    /// How much the shopper should like the item; zero where nothing is known.
    pub fn score(&self, prepared: &Liking, item: ItemIdx) -> f32 {
        let descriptors = self.items.get(item as usize);
        let liking: f32 = descriptors.iter().map(|&descriptor| prepared.descriptors.get(descriptor)[0]).sum();
        if liking == 0.0 { 0.0 } else { liking / self.norm(descriptors) }
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        self.table.len() as u64
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        self.frequency.copied_bytes() + self.items.copied_bytes()
    }
}
