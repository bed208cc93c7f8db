//! The features of an impression: what was known when an item was shown.
//!
//! In: the shopper's [`Context`] (what they did, scene, search text, device, attributes, time), the item, its place, and
//! what every model of the ensemble computes for it. Out: [`PageFeatures`] and [`ItemFeatures`], which are kept until the
//! label is known, and from them the [`Keys`] of the heads. The learner makes them when an impression arrives and the
//! server when it is asked for probabilities, both by the functions of this file, so that training sees what serving
//! saw.

use accrue_store::{Circumstances, Descriptor, ItemIdx};
use serde::{Deserialize, Serialize};

use crate::{Catalogue, Column, Context};

/// Milliseconds of an hour and a day.
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// The last place that has a feature of its own; further ones share it.
const LAST_PLACE: u32 = 40;
/// Knots of the ensemble's score, and the scores at the first and the last.
const N_SCORE_KNOTS: usize = 57;
const SCORES: (f32, f32) = (-14.0, 14.0);
/// Shares between knots are kept in this many steps.
const STEPS: f32 = 255.0;

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// The moment of an impression as its features have it: the end of the minute, so that all items of a page have the
/// same and nothing that the shopper did lies behind it.
pub fn moment(at_ms: i64) -> i64 {
    at_ms + (-at_ms).rem_euclid(MINUTE_MS)
}

/// What a feature says; a part of its key.
#[derive(Clone, Copy)]
enum Kind {
    Page = 1,
    Hour,
    Weekday,
    Past,
    Depth,
    Item,
    ItemInScene,
    Described,
    DescribedInScene,
    Place,
    PlaceInScene,
    Chosen,
    Last,
    Score,
    ScoreInScene,
    Column,
}

/// Which sum of vectors a feature belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Of the page and the shopper.
    Context,
    /// Of the item.
    Item,
}

/// The key of a feature: a hash whose upper bits are the well-mixed ones.
fn key(kind: Kind, a: u64, b: u64) -> u64 {
    let mixed = (kind as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ a.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 31).wrapping_add(b).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ mixed >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What is the same for all items of a page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PageFeatures {
    /// The scene's descriptor; 0 if it is unknown.
    scene: u32,
    /// Values of scene, search text and device, then of the shopper's attributes.
    values: Vec<u32>,
    hour: u8,
    weekday: u8,
    /// Magnitude of the number of events that are known of the shopper.
    n_past: u8,
    /// Events of this visit, at most 15.
    depth: u8,
    /// The latest item of the shopper.
    last: Option<ItemIdx>,
}

impl PageFeatures {
    /// Of a page in this situation.
    pub fn of(context: &Context<'_>) -> Self {
        let scene = Circumstances { scene: context.circumstances.scene, ..Circumstances::default() };
        let of_page = context.circumstances.descriptors().chain(context.descriptors.iter().copied());
        Self {
            scene: scene.descriptors().next().map_or(0, |scene| scene.value),
            values: of_page.map(|Descriptor { value, .. }| value).collect(),
            hour: (context.now_ms.rem_euclid(DAY_MS) / HOUR_MS) as u8,
            weekday: context.now_ms.div_euclid(DAY_MS).rem_euclid(7) as u8,
            n_past: (context.past.len() as u32 + 1).ilog2() as u8,
            depth: context.in_visit.min(15) as u8,
            last: context.past.last().map(|past| past.item),
        }
    }
}

/// What is an item's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemFeatures {
    /// The item.
    pub item: ItemIdx,
    /// Its place on the page, from 0.
    place: Option<u8>,
    /// How often the shopper chose it before, at most 3.
    n_chosen: u8,
    /// Where the score lies between its knots.
    score: (u8, u8),
    /// Where each column lies between its knots.
    columns: Box<[(u8, u8)]>,
}

impl ItemFeatures {
    /// Of an item with this score and these places of its columns, as [`located`] gives them.
    pub(crate) fn new(
        context: &Context<'_>,
        item: ItemIdx,
        place: Option<u32>,
        score: f32,
        columns: Box<[(u8, u8)]>,
    ) -> Self {
        let chosen = context.past.iter().filter(|past| past.item == item && context.weight(past) > 0.0);
        let (mut knot, mut share) = ([0], [0.0]);
        let layout = accrue_kernel::Layout::Linear { low: SCORES.0, high: SCORES.1 };
        accrue_kernel::locate(layout, N_SCORE_KNOTS, &[score], &mut knot, &mut share);
        Self {
            item,
            place: place.map(|place| place.min(LAST_PLACE) as u8),
            n_chosen: chosen.take(3).count() as u8,
            score: located(knot[0], share[0]),
            columns,
        }
    }
}

/// A place between knots in two bytes.
pub(crate) fn located(knot: u32, share: f32) -> (u8, u8) {
    (knot as u8, (share * STEPS).round() as u8)
}

/// The hashes of the columns' names, which keep a column's weights when others come and go.
#[derive(Clone, Debug, Default)]
pub struct ColumnNames(Vec<u64>);

impl ColumnNames {
    /// Of these columns.
    pub fn of(columns: &[Column]) -> Self {
        let hash = |name: &str| {
            let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
            name.bytes().fold(0xCBF2_9CE4_8422_2325, byte)
        };
        Self(columns.iter().map(|column| hash(column.name)).collect())
    }
}

/// The features of one impression as the heads take them. Its memory is reused.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    linear: Vec<(u64, f32)>,
    paired: Vec<(u64, Side)>,
    /// Features of the page, which stand first in both.
    n_of_page: (usize, usize),
}

impl Keys {
    /// Features with a weight, and their values.
    pub(crate) fn linear(&self) -> &[(u64, f32)] {
        &self.linear
    }

    /// Features with a vector.
    pub(crate) fn paired(&self) -> &[(u64, Side)] {
        &self.paired
    }

    /// Those of the page, with a weight.
    pub(crate) fn linear_of_page(&self) -> &[(u64, f32)] {
        &self.linear[..self.n_of_page.0]
    }

    /// Those of the item, with a weight.
    pub(crate) fn linear_of_item(&self) -> &[(u64, f32)] {
        &self.linear[self.n_of_page.0..]
    }

    /// Those of the page, with a vector.
    pub(crate) fn paired_of_page(&self) -> &[(u64, Side)] {
        &self.paired[..self.n_of_page.1]
    }

    /// Those of the item, with a vector.
    pub(crate) fn paired_of_item(&self) -> &[(u64, Side)] {
        &self.paired[self.n_of_page.1..]
    }

    /// Begins a page: its features stay for all of its items.
    pub fn begin(&mut self, page: &PageFeatures) {
        self.linear.clear();
        self.paired.clear();
        let PageFeatures { values, hour, weekday, n_past, depth, last, .. } = page;
        for &value in values {
            let value = key(Kind::Page, u64::from(value), 0);
            self.linear.push((value, 1.0));
            self.paired.push((value, Side::Context));
        }
        let counted = [(Kind::Hour, hour), (Kind::Weekday, weekday), (Kind::Past, n_past), (Kind::Depth, depth)];
        for (kind, &value) in counted {
            let value = key(kind, u64::from(value), 0);
            self.linear.push((value, 1.0));
            self.paired.push((value, Side::Context));
        }
        if let Some(last) = last {
            self.paired.push((key(Kind::Last, u64::from(*last), 0), Side::Context));
        }
        self.n_of_page = (self.linear.len(), self.paired.len());
    }

    /// Adds the features of one item, in place of those of the item before.
    pub fn show(&mut self, page: &PageFeatures, shown: &ItemFeatures, catalogue: &Catalogue, names: &ColumnNames) {
        self.linear.truncate(self.n_of_page.0);
        self.paired.truncate(self.n_of_page.1);
        let (scene, item) = (u64::from(page.scene), u64::from(shown.item));
        // These first, where `without_own` finds them.
        let own = key(Kind::Item, item, 0);
        self.linear.push((own, 1.0));
        self.paired.push((own, Side::Item));
        self.linear.push((key(Kind::ItemInScene, item, scene), 1.0));
        for &descriptor in catalogue.description(shown.item).0 {
            let described = key(Kind::Described, u64::from(descriptor), 0);
            self.linear.push((described, 1.0));
            self.paired.push((described, Side::Item));
            self.linear.push((key(Kind::DescribedInScene, u64::from(descriptor), scene), 1.0));
        }
        if let Some(place) = shown.place {
            self.linear.push((key(Kind::Place, u64::from(place), 0), 1.0));
            self.linear.push((key(Kind::PlaceInScene, u64::from(place), scene), 1.0));
        }
        self.linear.push((key(Kind::Chosen, u64::from(shown.n_chosen), 0), 1.0));
        self.between(Kind::Score, 0, shown.score);
        self.between(Kind::ScoreInScene, scene, shown.score);
        for (&name, &column) in names.0.iter().zip(&shown.columns) {
            self.between(Kind::Column, name, column);
        }
    }

    /// Removes what was learned of the item shown last itself, so that only what it is like is left.
    pub fn without_own(&mut self) {
        self.linear[self.n_of_page.0].1 = 0.0;
        self.linear[self.n_of_page.0 + 1].1 = 0.0;
        self.paired.remove(self.n_of_page.1);
    }

    /// The two knots around a value, which share it.
    fn between(&mut self, kind: Kind, of: u64, (knot, share): (u8, u8)) {
        let share = f32::from(share) / STEPS;
        self.linear.push((key(kind, of, u64::from(knot)), 1.0 - share));
        if share > 0.0 {
            self.linear.push((key(kind, of, u64::from(knot) + 1), share));
        }
    }
}
