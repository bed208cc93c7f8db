//! What the models know of the items themselves: when each was first seen, and the descriptors of its description.
//!
//! In: descriptions, changes of them, and first sights. Out: for any member, an item's age, the newest items, and the
//! cosine of two descriptions. All members share it. When the learner goes back to an earlier version, it keeps the
//! current catalogue, so that the earlier models know what the shop sells now. It learns nothing.

use std::sync::Arc;

use accrue_event::{DAY_MS, Item, ItemPatch};
use accrue_store::{Descriptor, ItemIdx, ItemVector, Vocabulary};
use serde::{Deserialize, Serialize};

use crate::cow::CowVec;
use crate::decay::log2;
use crate::facets::Facets;
use crate::vectors::Vectors;

/// Newest items kept in order.
const N_NEWEST: usize = 256;
/// Descriptors kept of an item.
const MAX_DESCRIPTORS: usize = 16;
/// The first sight of an item that was never seen.
const NEVER: i64 = i64::MAX;

/// An item whose first event is further before its description than this was not new when it was described.
const LONG_MS: i64 = 30 * DAY_MS;

type Descriptors = Arc<[u32]>;

/// The field that a descriptor comes from. The same word in two fields makes two descriptors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Brand,
    Category,
    Tag,
    Title,
}

/// The names of the fields, in their order.
const FIELDS: [&str; N_FIELDS as usize] = ["brand", "category", "tag", "title"];
/// How many fields there are.
const N_FIELDS: u32 = 4;

/// Items as the learned state knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    items: Items,
    vectors: Vectors,
    /// `None` where no member needs them.
    facets: Option<Facets>,
}

/// What is known of items without an encoder: a section of checkpoints, as the vectors are another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Items {
    /// When each item was first seen, in milliseconds since 1970; [`NEVER`] for an index that was not.
    first_seen: CowVec<i64>,
    /// Newest items, newest last.
    newest: Vec<ItemIdx>,
    /// Names of descriptors.
    names: Arc<Vocabulary>,
    /// How many items have a descriptor.
    frequency: CowVec<u32>,
    /// Squared inverse document frequency of each descriptor, as it was when descriptions were weighed last.
    rarity: CowVec<f32>,
    /// The sorted descriptors of each item, and the length of its description as a vector of them.
    described: CowVec<Described>,
    n_described: u32,
    /// Descriptions are weighed again when this many items are described.
    weigh_at: u32,
}

/// An item's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Described {
    descriptors: Descriptors,
    norm: f32,
}

impl Default for Items {
    fn default() -> Self {
        Self {
            first_seen: CowVec::new(256, NEVER),
            newest: Vec::new(),
            names: Arc::default(),
            frequency: CowVec::new(256, 0),
            rarity: CowVec::new(256, 0.0),
            described: CowVec::new(16, Described { descriptors: Descriptors::from([]), norm: 0.0 }),
            n_described: 0,
            weigh_at: 0,
        }
    }
}

impl Catalogue {
    /// Every item has an index below this.
    pub fn n_items(&self) -> u32 {
        self.items.first_seen.len() as u32
    }

    /// Records the first sight of an item; later ones change nothing.
    pub fn see(&mut self, item: ItemIdx, at_ms: i64) {
        if *self.items.first_seen.get(item as usize) == NEVER {
            *self.items.first_seen.get_mut(item as usize) = at_ms;
            self.items.newest.push(item);
            if self.items.newest.len() > 2 * N_NEWEST {
                self.items.newest.drain(..N_NEWEST);
            }
        }
    }

    /// Takes in that an item was chosen at this time. If that was before its first sight, which was then the arrival of its
    /// description, it has been there since: a catalogue may arrive years after the first orders. An item that was there
    /// for long already is not one of the newest.
    pub fn date(&mut self, item: ItemIdx, at_ms: i64) {
        let first_seen_ms = *self.items.first_seen.get(item as usize);
        if first_seen_ms == NEVER || first_seen_ms <= at_ms {
            return;
        }
        *self.items.first_seen.get_mut(item as usize) = at_ms;
        if first_seen_ms.saturating_sub(at_ms) > LONG_MS {
            self.items.newest.retain(|&newest| newest != item);
        }
    }

    /// When the item was first seen, in milliseconds since 1970.
    pub fn first_seen_ms(&self, item: ItemIdx) -> Option<i64> {
        Some(*self.items.first_seen.get(item as usize)).filter(|&at_ms| at_ms != NEVER)
    }

    /// Days since the first sight of an item; 0 for one that was never seen.
    #[inline]
    pub fn age_days(&self, item: ItemIdx, now_ms: i64) -> f32 {
        (now_ms.saturating_sub(*self.items.first_seen.get(item as usize)).max(0) as f64 / DAY_MS as f64) as f32
    }

    /// The newest items, newest first.
    pub fn newest(&self) -> impl Iterator<Item = ItemIdx> + '_ {
        self.items.newest.iter().rev().copied()
    }

    /// Replaces an item's description.
    pub fn describe(&mut self, index: ItemIdx, item: &Item) {
        self.replace(index, Field::Brand, item.brand.iter());
        self.replace(index, Field::Category, item.categories.iter());
        self.replace(index, Field::Tag, item.tags.iter());
        self.replace(index, Field::Title, item.title.iter());
        if let Some(facets) = &mut self.facets {
            facets.describe(index, item);
        }
    }

    /// Replaces the fields that a change names.
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
        if let Some(facets) = &mut self.facets {
            facets.patch(index, patch);
        }
    }

    /// Keeps facets from now on, or no longer. Items that were described before get those that their descriptors tell:
    /// their prices and further attributes are known when they are described again.
    pub(crate) fn keep_facets(&mut self, keep: bool) {
        if keep == self.facets.is_some() {
            return;
        }
        self.facets = keep.then(|| {
            let mut facets = Facets::default();
            for item in 0..self.items.described.len() {
                let descriptors = &self.items.described.get(item).descriptors;
                let texts = descriptors.iter().filter_map(|descriptor| {
                    let name = self.items.names.name(descriptor / N_FIELDS)?;
                    Some((FIELDS[(descriptor % N_FIELDS) as usize], name.get(1..)?))
                });
                facets.restore(item as ItemIdx, texts);
            }
            facets
        });
    }

    /// Brand, categories, tags, words of the title, price and further attributes of an item, hashed: at most 32, equal in
    /// every shop. Empty where no member asks for them ([`Settings::needs_facets`](crate::Settings::needs_facets)).
    #[inline]
    pub fn facets(&self, item: ItemIdx) -> &[Descriptor] {
        self.facets.as_ref().map_or(&[], |facets| facets.of(item))
    }

    pub(crate) fn kept_facets(&self) -> Option<&Facets> {
        self.facets.as_ref()
    }

    /// Replaces an item's vector.
    pub fn encode(&mut self, index: ItemIdx, vector: &ItemVector) {
        self.vectors.put(index, vector);
    }

    /// What an encoder computed for items.
    #[inline]
    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// What is known of items without an encoder.
    pub(crate) fn items(&self) -> &Items {
        &self.items
    }

    /// A catalogue of the parts that checkpoints keep.
    pub(crate) fn of(items: Items, vectors: Vectors, facets: Option<Facets>) -> Self {
        Self { items, vectors, facets }
    }

    /// Replaces the descriptors that an item has from one field.
    fn replace<'a>(&mut self, index: ItemIdx, field: Field, texts: impl Iterator<Item = &'a Box<str>>) {
        let old = self.items.described.get(index as usize).descriptors.clone();
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
            *self.items.frequency.get_mut(descriptor as usize) -= 1;
        }
        for &descriptor in &descriptors {
            *self.items.frequency.get_mut(descriptor as usize) += 1;
        }
        self.items.n_described = self.items.n_described + u32::from(old.is_empty()) - u32::from(descriptors.is_empty());
        for &descriptor in &descriptors {
            *self.items.rarity.get_mut(descriptor as usize) = self.rarity_now(descriptor);
        }
        let norm = self.norm(&descriptors);
        *self.items.described.get_mut(index as usize) = Described { descriptors: descriptors.into(), norm };
        if self.items.n_described >= self.items.weigh_at {
            self.weigh();
        }
    }

    /// Updates the weights of all descriptors. A frequency changes with every description, and all scores would change
    /// with it. So the weights are updated each time the number of described items has grown by an eighth; then the
    /// cost per description does not grow with the shop, and a shop of a few items has the weights of them all.
    fn weigh(&mut self) {
        self.items.weigh_at = self.items.n_described + self.items.n_described / 8 + 1;
        for descriptor in 0..self.items.frequency.len() as u32 {
            let rarity = self.rarity_now(descriptor);
            if *self.items.rarity.get(descriptor as usize) != rarity {
                *self.items.rarity.get_mut(descriptor as usize) = rarity;
            }
        }
        for item in 0..self.items.described.len() {
            let Described { descriptors, norm } = self.items.described.get(item);
            let now = self.norm(descriptors);
            if *norm != now {
                self.items.described.get_mut(item).norm = now;
            }
        }
    }

    /// Squared inverse document frequency.
    fn rarity_now(&self, descriptor: u32) -> f32 {
        let frequency = *self.items.frequency.get(descriptor as usize) as f32;
        let idf = log2((1.0 + self.items.n_described as f32) / (1.0 + frequency)).max(0.0);
        idf * idf
    }

    fn norm(&self, descriptors: &[u32]) -> f32 {
        descriptors.iter().map(|&descriptor| self.rarity(descriptor)).sum::<f32>().sqrt()
    }

    /// The number of a descriptor; its remainder by [`N_FIELDS`] is the field.
    fn descriptor(&mut self, field: Field, text: &str) -> u32 {
        let name = format!("{}{text}", field as u32);
        let number = self.items.names.get(&name).unwrap_or_else(|| Arc::make_mut(&mut self.items.names).intern(&name));
        number * N_FIELDS + field as u32
    }

    /// Every descriptor is below this.
    pub fn n_descriptors(&self) -> usize {
        self.items.names.len() * N_FIELDS as usize
    }

    /// The sorted descriptors of an item, and the length of its description as a vector of them; empty and 0 for one
    /// without a description.
    #[inline]
    pub fn description(&self, item: ItemIdx) -> (&[u32], f32) {
        let Described { descriptors, norm } = self.items.described.get(item as usize);
        (descriptors, *norm)
    }

    /// What a shared descriptor adds to a dot product of two descriptions: its squared inverse document frequency.
    #[inline]
    pub fn rarity(&self, descriptor: u32) -> f32 {
        *self.items.rarity.get(descriptor as usize)
    }

    /// Asks for the descriptions of items to be brought into the cache.
    pub fn prefetch(&self, items: impl Iterator<Item = ItemIdx> + Clone) {
        items.clone().for_each(|item| self.items.described.prefetch(item as usize));
        items.for_each(|item| accrue_kernel::prefetch(self.description(item).0));
    }

    /// Cosine of two items' descriptions; zero where one has none.
    pub fn cosine(&self, a: ItemIdx, b: ItemIdx) -> f32 {
        let ((a, norm_a), (b, norm_b)) = (self.description(a), self.description(b));
        let (mut shared, mut left, mut right) = (0.0, 0, 0);
        while left < a.len() && right < b.len() {
            let (of_a, of_b) = (a[left], b[right]);
            if of_a == of_b {
                shared += self.rarity(of_a);
            }
            // Both steps without a branch, because the processor cannot predict which of two descriptors is larger.
            left += usize::from(of_a <= of_b);
            right += usize::from(of_b <= of_a);
        }
        if shared > 0.0 { shared / (norm_a * norm_b) } else { 0.0 }
    }

    /// Refers to the memory of `other` wherever both hold the same values.
    pub fn share_with(&mut self, other: &Self) {
        self.items.first_seen.share_with(&other.items.first_seen);
        if self.items.names == other.items.names {
            self.items.names = other.items.names.clone();
        }
        self.items.frequency.share_with(&other.items.frequency);
        self.items.rarity.share_with(&other.items.rarity);
        self.items.described.share_with(&other.items.described);
        self.vectors.share_with(&other.vectors);
        if let (Some(mine), Some(theirs)) = (&mut self.facets, &other.facets) {
            mine.share_with(theirs);
        }
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        self.items.first_seen.copied_bytes()
            + self.items.frequency.copied_bytes()
            + self.items.rarity.copied_bytes()
            + self.items.described.copied_bytes()
            + self.vectors.copied_bytes()
            + self.facets.as_ref().map_or(0, Facets::copied_bytes)
    }
}
