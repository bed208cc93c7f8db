//! Scenes: what each kind of page of a shop does in its stages.
//!
//! In: the settings of scenes, as a file or a request has them. Out: for the scene of a request, which sources find
//! candidates and how many, what becomes of the rest of the shop, and how candidates are put in order. Settings are
//! data: names of the registry and numbers. `docs/pages.md` describes them.

mod settings;
pub(crate) mod source_names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use accrue_event::{EventType, SettingFault, nearest};
use accrue_model::Part;
use accrue_model::ranker::N_HEADS;
use serde::{Deserialize, Serialize};

pub use self::settings::{
    CapsSettings, DiversitySettings, FatigueSettings, PriceSetting, SceneSettings, ValueSettings,
};
use crate::Seen;

/// Candidates of all sources of a page, at most.
pub(crate) const MAX_CANDIDATES: usize = 100_000;
/// Places of a list.
pub(crate) const MAX_PLACES: usize = crate::MAX_DEPTH;
/// The part of the expected first purchases for which the scene `home` keeps places.
const HOME_ROOM: f32 = 0.5;
/// How many items like the page's stand first on the scene `product`, at most.
const SIMILAR_FIRST: usize = 20;
/// The share of the places of the first page on which new products may stand, on the scenes `home` and `category`: one
/// of ten. On the others the shopper is about to do something: a product page answers what else there is, a basket is
/// paid, a search has said what is wanted, a mailing cannot be taken back.
const NEW_PRODUCTS: f32 = 0.1;
/// Items of one category among ten places of the scene `email`.
const EMAIL_PER_CATEGORY: usize = 3;

/// What becomes of the items that no source found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rest {
    /// Where the sources find few, the rest of the shop competes with them; otherwise it follows behind them.
    #[default]
    Compete,
    /// It follows behind what the sources find.
    Behind,
    /// The page has what the sources find, and nothing else.
    Never,
}

/// How diverse places are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiversityKind {
    /// By maximal marginal relevance: unlike the most similar item above.
    #[default]
    Mmr,
    /// By a determinantal point process: unlike all items above together.
    Dpp,
}

/// What makes items alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LikeBy {
    /// Rare words, brands, categories and tags that descriptions have in common.
    Descriptions,
    /// Vectors of an encoder, or, without one, rows of matrix factorization.
    Vectors,
    /// Common categories.
    Categories,
    /// The same brand.
    Brands,
}

/// How unlike the items of a scene are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Diversity {
    pub strength: f32,
    pub kind: DiversityKind,
    pub by: Vec<LikeBy>,
    /// Places of the list that are diversified, from the top.
    pub places: usize,
}

/// How many items of one kind may stand within so many places of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    pub category: Option<usize>,
    pub brand: Option<usize>,
    pub per: usize,
}

/// From which impression on each one lowers an item, and by how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fatigue {
    pub after: u32,
    pub strength: f32,
}

/// What the worth of a purchase is multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PriceBy {
    /// The item's price.
    Price,
    /// An attribute that is a number.
    Attribute(Box<str>),
}

/// What each action is worth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// Of a click, a cart, a purchase.
    pub weights: [f32; N_HEADS],
    pub price: Option<PriceBy>,
}

/// A scene with defaults for what it does not set.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Where candidates come from: the names of sources, each with the most that it may give; `None` is as many as it gives by
    /// itself.
    pub sources: Vec<(&'static str, Option<usize>)>,
    /// The names of the sources whose candidates stand before all others.
    pub first: Vec<&'static str>,
    /// Whether the sources are those of the server, which are passed over where their models do not learn.
    pub has_own_sources: bool,
    pub max_candidates: usize,
    pub rest: Rest,
    pub seen: Seen,
    pub seen_pinned: bool,
    pub room_for_new: f32,
    pub diversity: Diversity,
    pub caps: Option<Caps>,
    pub fatigue: Option<Fatigue>,
    /// By what the best candidates are ordered in place of their scores.
    pub value: Option<Value>,
    /// Places of the first page, from 1, that campaigns bid for, in order.
    pub sponsored: Vec<usize>,
    /// The share of the places of the first page on which new products may stand.
    pub new_products: f32,
}

impl Scene {
    /// A page of which nothing is said.
    fn plain() -> Self {
        Self {
            sources: vec![(source_names::MODELS, None), (source_names::NEW, None)],
            first: Vec::new(),
            has_own_sources: true,
            max_candidates: MAX_CANDIDATES,
            rest: Rest::Compete,
            seen: Seen::Keep,
            seen_pinned: false,
            room_for_new: 0.0,
            diversity: Diversity {
                strength: 0.0,
                kind: DiversityKind::Mmr,
                by: vec![LikeBy::Descriptions],
                places: MAX_PLACES,
            },
            caps: None,
            fatigue: None,
            value: None,
            sponsored: Vec::new(),
            new_products: 0.0,
        }
    }

    /// The plain page with the candidates of these sources before all others.
    fn with_first<const N: usize>(first: [(&'static str, Option<usize>); N]) -> Self {
        let mut scene = Self::plain();
        scene.first = first.map(|(name, _)| name).to_vec();
        scene.sources.splice(0..0, first);
        scene
    }

    /// Whether the page has nothing but what the shopper bought.
    pub fn has_only_bought(&self) -> bool {
        self.rest == Rest::Never && matches!(self.sources[..], [(source_names::BOUGHT, _)])
    }

    /// What is done with items chosen before, where the request says `asked`.
    pub fn seen<'s>(&'s self, asked: &'s Seen) -> &'s Seen {
        if *asked == Seen::AsScene || self.seen_pinned { &self.seen } else { asked }
    }

    /// Whether the request asks for something else than the scene allows.
    pub fn overrules(&self, asked: &Seen) -> bool {
        self.seen_pinned && *asked != Seen::AsScene && *asked != self.seen
    }

    /// What the scene does, in the form in which it is written.
    fn written(&self) -> SceneSettings {
        let seen = self.seen.text().unwrap_or_else(|| "keep".to_owned());
        let limited = self.sources.iter().filter_map(|&(source, limit)| Some((source.into(), limit?)));
        SceneSettings {
            like: None,
            sources: Some(self.sources.iter().map(|(source, _)| (*source).into()).collect()),
            limit: Some(limited.collect()),
            first: Some(self.first.iter().map(|name| (*name).into()).collect()),
            max_candidates: Some(self.max_candidates),
            rest: Some(self.rest),
            seen: Some(seen.into()),
            seen_pinned: Some(self.seen_pinned),
            room_for_new: Some(self.room_for_new),
            diversity: Some(DiversitySettings {
                strength: Some(self.diversity.strength),
                kind: Some(self.diversity.kind),
                by: Some(self.diversity.by.clone()),
                places: Some(self.diversity.places),
            }),
            caps: Some(match self.caps {
                Some(Caps { category, brand, per }) => CapsSettings { category, brand, per: Some(per) },
                None => CapsSettings::default(),
            }),
            fatigue: Some(match self.fatigue {
                Some(Fatigue { after, strength }) => FatigueSettings { after: Some(after), strength: Some(strength) },
                None => FatigueSettings::default(),
            }),
            value: Some(ValueSettings::of(self.value.as_ref())),
            sponsored: Some(self.sponsored.clone()),
            new_products: Some(self.new_products),
        }
    }
}

/// The scenes of a shop, checked and read.
#[derive(Clone, Debug)]
pub struct Scenes {
    plain: Scene,
    by_name: BTreeMap<Box<str>, Scene>,
}

/// The scenes that every server has.
const BUILT_IN: [&str; 7] = ["home", "product", "basket", "category", "search", "again", "email"];

fn built_in(name: &str) -> Scene {
    let drop = |event_type: EventType| Seen::DropTypes(vec![event_type]);
    let (neighbours, bought_together) = (Part::Neighbours.name(), Part::BoughtTogether.name());
    match name {
        "home" => Scene { room_for_new: HOME_ROOM, new_products: NEW_PRODUCTS, ..Scene::plain() },
        // What could be taken instead of the item.
        "product" => Scene::with_first([(source_names::SIMILAR, Some(SIMILAR_FIRST))]),
        // What goes with what is in the basket.
        "basket" => {
            Scene { seen: drop(EventType::Cart), ..Scene::with_first([(bought_together, None), (neighbours, None)]) }
        }
        // The best sellers of a category may be unknown to models of this shopper.
        "category" => {
            let mut scene = Scene::plain();
            scene.new_products = NEW_PRODUCTS;
            scene.sources.push((source_names::TRENDING, None));
            scene
        }
        "search" => Scene::with_first([(source_names::AFTER_SEARCH, None)]),
        "again" => Scene { sources: vec![(source_names::BOUGHT, None)], rest: Rest::Never, ..Scene::plain() },
        // A mailing that offers what its reader has is not read.
        "email" => Scene {
            seen: drop(EventType::Purchase),
            caps: Some(Caps { category: Some(EMAIL_PER_CATEGORY), brand: None, per: settings::PER }),
            ..Scene::plain()
        },
        _ => Scene::plain(),
    }
}

static DEFAULT: LazyLock<Scenes> = LazyLock::new(|| Scenes {
    plain: Scene::plain(),
    by_name: BUILT_IN.iter().map(|name| ((*name).into(), built_in(name))).collect(),
});

impl Scenes {
    /// The scenes that every server has, as they are without settings.
    pub fn built_in() -> &'static Self {
        &DEFAULT
    }

    /// Checks and reads the scenes that a shop describes, which may ask sources of these names; those that every server has stay
    /// beside them. [`Scenes::read`] gives it the names of all sources.
    pub(crate) fn read_with(
        written: &BTreeMap<Box<str>, SceneSettings>,
        known_sources: &[&'static str],
    ) -> Result<Self, SettingFault> {
        settings::check_names(written)?;
        let mut scenes = DEFAULT.clone();
        for name in written.keys() {
            let scene = read_one(written, name, known_sources, &mut Vec::new())?;
            scenes.by_name.insert(name.clone(), scene);
        }
        Ok(scenes)
    }

    /// The scenes with their names.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, &Scene)> {
        self.by_name.iter().map(|(name, scene)| (&**name, scene))
    }

    /// Checks the types of events in `seen`; `is_own` tells those that the shop's settings name.
    ///
    /// # Errors
    /// The first type that does not exist.
    pub fn check_types(&self, is_own: impl Fn(&str) -> bool) -> Result<(), SettingFault> {
        for (name, scene) in &self.by_name {
            let Seen::DropTypes(types) = &scene.seen else { continue };
            let unknown = |event_type: &&EventType| match event_type {
                EventType::Custom(own) => !is_own(own),
                _ => false,
            };
            if let Some(unknown) = types.iter().find(unknown) {
                let built_in = EventType::BUILT_IN.iter().map(EventType::name).collect::<Vec<_>>().join(", ");
                let expected = format!("types of events; the built-in ones are {built_in}");
                return Err(SettingFault::new(format!("{name}.seen"), unknown, expected));
            }
        }
        Ok(())
    }

    /// The scene of a request.
    pub(crate) fn of(&self, name: Option<&str>) -> &Scene {
        name.and_then(|name| self.by_name.get(name)).unwrap_or(&self.plain)
    }

    /// Whether there is no scene of this name and it is probably a misspelt one. Other names are the shop's own, which
    /// only its models know.
    pub(crate) fn is_misspelt(&self, name: &str) -> bool {
        self.near(name).is_some()
    }

    /// Whether a page of this scene has nothing but what the shopper bought.
    pub fn has_only_bought(&self, name: &str) -> bool {
        self.of(Some(name)).has_only_bought()
    }

    /// The scene that a name of none is probably a misspelling of.
    pub fn near(&self, name: &str) -> Option<&str> {
        if self.has(name) { None } else { nearest(name, self.by_name.keys().map(|known| &**known)) }
    }

    /// Whether there is a scene of this name.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The names of all scenes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// All scenes by name, with everything that they do written out.
    pub fn written(&self) -> BTreeMap<Box<str>, SceneSettings> {
        self.by_name.iter().map(|(name, scene)| (name.clone(), scene.written())).collect()
    }
}

impl Default for Scenes {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

/// Reads a scene and those that it is like; `above` are the scenes that are being read.
fn read_one<'w>(
    written: &'w BTreeMap<Box<str>, SceneSettings>,
    name: &'w str,
    known_sources: &[&'static str],
    above: &mut Vec<&'w str>,
) -> Result<Scene, SettingFault> {
    let Some(own) = written.get(name) else { return Ok(built_in(name)) };
    above.push(name);
    let mut scene = match own.like.as_deref() {
        None => built_in(name),
        Some(like) if above.contains(&like) => {
            let expected = format!("a scene that is not like `{name}` itself");
            return Err(SettingFault::new(format!("{name}.like"), like, expected));
        }
        Some(like) if written.contains_key(like) || BUILT_IN.contains(&like) => {
            read_one(written, like, known_sources, above)?
        }
        Some(like) => {
            let known: Vec<&str> = written.keys().map(|name| &**name).chain(BUILT_IN).collect();
            let expected = match nearest(like, known.iter().copied()) {
                Some(near) => format!("a scene; did you mean `{near}`?"),
                None => format!("a scene: {}", known.join(", ")),
            };
            return Err(SettingFault::new(format!("{name}.like"), like, expected));
        }
    };
    above.pop();
    own.apply_to(&mut scene, known_sources).map_err(|fault| fault.within(name))?;
    Ok(scene)
}
