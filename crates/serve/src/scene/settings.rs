//! What a shop says of its scenes, in a file of settings or over HTTP, and the checks of it.

use std::collections::BTreeMap;

use accrue_event::{EventType, SettingFault, nearest};
use serde::{Deserialize, Serialize};

use super::source_names::MAX_LIMIT;
use super::{Caps, DiversityKind, Fatigue, LikeBy, MAX_PLACES, PriceBy, Rest, Scene, Value};
use crate::Seen;

/// Scenes that a shop may describe.
const MAX_SCENES: usize = 64;
/// Longest name of a scene, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A scene as the shop writes it. What it leaves out is as in the scene that `like` names, else as in the scene of the
/// same name that the server has, else as on every page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SceneSettings {
    /// The scene whose settings hold where this one says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<Box<str>>,
    /// Where candidates come from, in the order in which they are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<Box<str>>>,
    /// Candidates of a source, at most, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<BTreeMap<Box<str>, usize>>,
    /// Of the sources, those whose candidates stand before all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Vec<Box<str>>>,
    /// Candidates of all sources together, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_candidates: Option<usize>,
    /// What becomes of the rest of the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// What is done with items chosen before, where a request does not say it: `keep`, `drop`, `drop:purchase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Box<str>>,
    /// Whether a request cannot say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_pinned: Option<bool>,
    /// The part of the expected first purchases for which places are kept, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_for_new: Option<f32>,
    /// How unlike the items are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<DiversitySettings>,
    /// How many items of one kind stand together, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<CapsSettings>,
    /// How far items are lowered that the shopper was shown often and did not choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fatigue: Option<FatigueSettings>,
    /// What actions are worth, where the best candidates are ordered by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueSettings>,
    /// Places of the first page, from 1, that campaigns bid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsored: Option<Vec<usize>>,
    /// The share of the places of the first page on which new products may stand, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_products: Option<f32>,
}

/// What each action is worth. While all are 0, the order is that of the scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValueSettings {
    /// Of a click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub click: Option<f32>,
    /// Of a cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cart: Option<f32>,
    /// Of a purchase; of one unit of money where `price` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase: Option<f32>,
    /// What the worth of a purchase is multiplied by: `true` for the item's price, or the name of an attribute that is a
    /// number, such as a margin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceSetting>,
}

/// `true`, `false`, or the name of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PriceSetting {
    /// Whether it is the price.
    Price(bool),
    /// This attribute.
    Attribute(Box<str>),
}

/// How unlike each other the items of a scene are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiversitySettings {
    /// How much diversity weighs against score, 0 to 1, where a request does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f32>,
    /// How diverse places are filled: `mmr` or `dpp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<DiversityKind>,
    /// What makes items alike: `descriptions`, `vectors`, `categories`, `brands`; the mean of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Vec<LikeBy>>,
    /// Places of the list that are diversified, from the top; behind them the order is that of the scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<usize>,
}

/// How many items of one kind may stand together. Without `category` and `brand` there is no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapsSettings {
    /// Items of one category among `per` places, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<usize>,
    /// Items of one brand among `per` places, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<usize>,
    /// Consecutive places of the list that are counted together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<usize>,
}

/// How far items are lowered that the shopper was shown often. Without `after` none is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FatigueSettings {
    /// The impression since the last choice of the item from which on each one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// What each one lowers the score by, a logarithm of a probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f32>,
}

impl SceneSettings {
    /// Changes what the scene says into `scene`, which is what it has without this. `known` has the names of all sources.
    pub(super) fn apply_to(&self, scene: &mut Scene, known: &[&'static str]) -> Result<(), SettingFault> {
        self.apply_sources(scene, known)?;
        self.apply_limits(scene, known)?;
        if let Some(most) = self.max_candidates {
            SettingFault::check("max_candidates", most, 1..=super::MAX_CANDIDATES)?;
            scene.max_candidates = most;
        }
        scene.rest = self.rest.unwrap_or(scene.rest);
        self.apply_seen(scene)?;
        if let Some(part) = self.room_for_new {
            SettingFault::check("room_for_new", part, 0.0..=1.0)?;
            scene.room_for_new = part;
        }
        if let Some(diversity) = &self.diversity {
            diversity.apply_to(scene).map_err(|fault| fault.within("diversity"))?;
        }
        if let Some(caps) = &self.caps {
            scene.caps = caps.read().map_err(|fault| fault.within("caps"))?;
        }
        if let Some(fatigue) = &self.fatigue {
            scene.fatigue = fatigue.read().map_err(|fault| fault.within("fatigue"))?;
        }
        if let Some(value) = &self.value {
            scene.value = value.read().map_err(|fault| fault.within("value"))?;
        }
        if let Some(places) = &self.sponsored {
            check_slots(places)?;
            scene.sponsored = places.clone();
        }
        if let Some(share) = self.new_products {
            SettingFault::check("new_products", share, 0.0..=1.0)?;
            scene.new_products = share;
        }
        Ok(())
    }

    /// Which sources the scene asks.
    fn apply_sources(&self, scene: &mut Scene, known: &[&'static str]) -> Result<(), SettingFault> {
        if let Some(names) = &self.sources {
            if names.is_empty() {
                return Err(SettingFault::new("sources", "an empty list", "a list of at least one source"));
            }
            scene.sources.clear();
            for (place, name) in names.iter().enumerate() {
                let source = named(name, &format!("sources[{place}]"), known)?;
                if scene.sources.iter().any(|(asked, _)| *asked == source) {
                    return Err(SettingFault::new(format!("sources[{place}]"), name, "different from all others"));
                }
                scene.sources.push((source, None));
            }
            // A source that the shop chose would have no effect if the whole shop competed with it.
            scene.rest = Rest::Behind;
            scene.has_own_sources = false;
            scene.first.clear();
        }
        Ok(())
    }

    /// How many candidates the sources give, and whose come first.
    fn apply_limits(&self, scene: &mut Scene, known: &[&'static str]) -> Result<(), SettingFault> {
        for (name, &limit) in self.limit.iter().flatten() {
            let key = format!("limit.{name}");
            let source = named(name, &key, known)?;
            SettingFault::check(&key, limit, 1..=MAX_LIMIT)?;
            match scene.sources.iter_mut().find(|(asked, _)| *asked == source) {
                Some((_, of_source)) => *of_source = Some(limit),
                None => return Err(SettingFault::new(key, limit, "left out: the scene does not ask this source")),
            }
        }
        if let Some(names) = &self.first {
            scene.first.clear();
            for (place, name) in names.iter().enumerate() {
                let key = format!("first[{place}]");
                let source = named(name, &key, known)?;
                if !scene.sources.iter().any(|(asked, _)| *asked == source) {
                    return Err(SettingFault::new(key, name, "one of the scene's sources"));
                }
                scene.first.push(source);
            }
        }
        Ok(())
    }

    fn apply_seen(&self, scene: &mut Scene) -> Result<(), SettingFault> {
        if let Some(text) = &self.seen {
            let expected = "keep, drop, or drop: with types of events such as drop:purchase";
            scene.seen = Seen::read(text).ok_or_else(|| SettingFault::new("seen", short(text), expected))?;
        }
        scene.seen_pinned = self.seen_pinned.unwrap_or(scene.seen_pinned);
        let drops_bought = match &scene.seen {
            Seen::Drop => true,
            Seen::DropTypes(types) => types.contains(&EventType::Purchase),
            Seen::AsScene | Seen::Keep => false,
        };
        if drops_bought && scene.has_only_bought() {
            let seen = self.seen.as_deref().unwrap_or("drop");
            return Err(SettingFault::new("seen", seen, "keep: the scene has nothing but what was bought"));
        }
        Ok(())
    }
}

impl DiversitySettings {
    fn apply_to(&self, scene: &mut Scene) -> Result<(), SettingFault> {
        if let Some(strength) = self.strength {
            SettingFault::check("strength", strength, 0.0..=1.0)?;
            scene.diversity.strength = strength;
        }
        scene.diversity.kind = self.kind.unwrap_or(scene.diversity.kind);
        if let Some(by) = &self.by {
            let is_twice = |(place, kind)| by[..place].contains(kind);
            if by.is_empty() || by.iter().enumerate().any(is_twice) {
                let expected = "a list of descriptions, vectors, categories, brands, each at most once";
                return Err(SettingFault::new("by", format!("{by:?}").to_lowercase(), expected));
            }
            scene.diversity.by = by.clone();
        }
        if let Some(places) = self.places {
            SettingFault::check("places", places, 1..=MAX_PLACES)?;
            scene.diversity.places = places;
        }
        Ok(())
    }
}

/// Places that caps count together where the scene does not say it.
pub(super) const PER: usize = 10;
/// What an impression lowers a score by where the scene does not say it: its probability by a third.
const DEFAULT_STRENGTH: f32 = 0.4;

impl CapsSettings {
    fn read(&self) -> Result<Option<Caps>, SettingFault> {
        let per = self.per.unwrap_or(PER);
        SettingFault::check("per", per, 2..=100)?;
        for (key, most) in [("category", self.category), ("brand", self.brand)] {
            SettingFault::check(key, most.unwrap_or(1), 1..=per)?;
        }
        let is_limited = self.category.is_some() || self.brand.is_some();
        Ok(is_limited.then_some(Caps { category: self.category, brand: self.brand, per }))
    }
}

impl FatigueSettings {
    fn read(&self) -> Result<Option<Fatigue>, SettingFault> {
        let strength = self.strength.unwrap_or(DEFAULT_STRENGTH);
        SettingFault::check("strength", strength, 0.0..=5.0)?;
        SettingFault::check("after", self.after.unwrap_or(1), 1..=1_000)?;
        Ok(self.after.map(|after| Fatigue { after, strength }))
    }
}

/// Sponsored places of a page, at most, and the last of them.
const MAX_SLOTS: usize = 10;
const LAST_SLOT: usize = 100;

fn check_slots(places: &[usize]) -> Result<(), SettingFault> {
    let is_good = places.len() <= MAX_SLOTS
        && places.iter().all(|place| (1..=LAST_SLOT).contains(place))
        && places.is_sorted_by(|a, b| a < b);
    let expected = format!("at most {MAX_SLOTS} places from 1 to {LAST_SLOT}, each above the one before");
    if is_good { Ok(()) } else { Err(SettingFault::new("sponsored", format!("{places:?}"), expected)) }
}

/// The largest worth of an action.
const MAX_WORTH: f32 = 1e6;
/// Longest name of an attribute, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 256;

impl ValueSettings {
    fn read(&self) -> Result<Option<Value>, SettingFault> {
        let worth = |key: &str, worth: Option<f32>| {
            let worth = worth.unwrap_or(0.0);
            SettingFault::check(key, worth, 0.0..=MAX_WORTH).map(|()| worth)
        };
        let weights = [worth("click", self.click)?, worth("cart", self.cart)?, worth("purchase", self.purchase)?];
        let price = match &self.price {
            None | Some(PriceSetting::Price(false)) => None,
            Some(PriceSetting::Price(true)) => Some(PriceBy::Price),
            Some(PriceSetting::Attribute(name)) => {
                if name.trim().is_empty() || name.len() > MAX_ATTRIBUTE_BYTES {
                    let expected = "true, false, or the name of an attribute that is a number";
                    return Err(SettingFault::new("price", format!("{:?}", short(name)), expected));
                }
                Some(PriceBy::Attribute(name.clone()))
            }
        };
        if price.is_some() && weights[2] == 0.0 {
            return Err(SettingFault::new(
                "purchase",
                0.0,
                "above 0, because `price` multiplies the worth of a purchase",
            ));
        }
        Ok((weights != [0.0; 3]).then_some(Value { weights, price }))
    }

    /// The settings of a value.
    pub(super) fn of(value: Option<&Value>) -> Self {
        let Some(Value { weights: [click, cart, purchase], price }) = value else { return Self::default() };
        let price = price.as_ref().map(|by| match by {
            PriceBy::Price => PriceSetting::Price(true),
            PriceBy::Attribute(name) => PriceSetting::Attribute(name.clone()),
        });
        Self { click: Some(*click), cart: Some(*cart), purchase: Some(*purchase), price }
    }
}

/// The source of this name, which `key` names.
fn named(name: &str, key: &str, known: &[&'static str]) -> Result<&'static str, SettingFault> {
    if let Some(source) = known.iter().copied().find(|known| *known == name) {
        return Ok(source);
    }
    let expected = match nearest(name, known.iter().copied()) {
        Some(near) => format!("a source; did you mean `{near}`? There are: {}", known.join(", ")),
        None => format!("a source: {}", known.join(", ")),
    };
    Err(SettingFault::new(key, name, expected))
}

/// Refuses names that no request can have, and more scenes than are kept.
pub(super) fn check_names(written: &BTreeMap<Box<str>, SceneSettings>) -> Result<(), SettingFault> {
    if written.len() > MAX_SCENES {
        let expected = format!("at most {MAX_SCENES} scenes");
        return Err(SettingFault::new("scene", format!("{} scenes", written.len()), expected));
    }
    for name in written.keys() {
        let is_good = (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.trim() == &**name
            && !name.chars().any(|c| c.is_control() || c.is_uppercase());
        if !is_good {
            let expected = format!("a name of 1 to {MAX_NAME_BYTES} bytes, in lower case, without blanks around it");
            return Err(SettingFault::new(short(name), format!("{:?}", short(name)), expected));
        }
    }
    Ok(())
}

/// A name as messages show it.
fn short(name: &str) -> String {
    name.chars().take(MAX_NAME_BYTES).filter(|c| !c.is_control()).collect()
}
