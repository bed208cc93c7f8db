//! New products: on scenes that say so, a few places of the first page are drawn among the items that stand there and
//! products that are new in the shop, so that the shop learns who likes them.
//!
//! A product is new for [`NewTrial::max_age_days`], until it was clicked [`NewTrial::enough_clicks`] times or shown
//! [`MAX_IMPRESSIONS`] times. The models hardly know it, so by score alone it would rarely stand on a page, and would stay
//! unknown. Its belief ([`accrue_model::new_product`]) begins with what is expected of its category, its brand and its
//! price, and for this shopper with what the click heads expect; impressions and clicks narrow it. For each place, one
//! number is drawn from the belief of each new product and compared with what is expected of the item that the page has
//! there (Thompson sampling): a new product takes the place as often as it is likely to be the better one. Before the
//! heads have learned enough the item of the page cannot be compared, and the best drawn product takes the place.
//!
//! The item that stood there and those below move down by one place, unless the product comes from further below. What
//! leaves the page at its end begins the next one, at `next_offset` of the answer; a product that comes from below the
//! page can be met again on a further one. The answer says for each place which
//! probability its item had. The cost of all this in clicks is bounded by the engine's budget, which compares answers
//! in which new products may stand with those in which they may not; both kinds are chosen among pages on which one
//! could have stood.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use accrue_event::DAY_MS;
use accrue_kernel::{Draws, TopK};
use accrue_model::{Gaussian, Thompson, new_product};
use accrue_store::{ItemIdx, NewProduct, NewSlot, ShownClicked, Trial};

use super::retrieve::Retrieval;
use super::{Candidate, Share, Situation};
use crate::predict::has_learned_enough;
use crate::request::NewTrial;
use crate::rules::with_pins;
use crate::shop::Product;
use crate::{ReasonCode, Shop};

/// Stream of the random numbers that draw them.
const STREAM: u64 = 0x4e45_5750;
/// New products that are looked at, at most, the latest first; those of them that the models score; and the best of
/// these, which are drawn.
const MAX_LOOKED_AT: usize = 1_024;
const MAX_SCORED: usize = 128;
const MAX_DRAWN: usize = 24;
/// Impressions after which a product is not new any more, however rarely it was clicked.
pub(crate) const MAX_IMPRESSIONS: u64 = 1_000;
/// The first place that may be drawn, from 0: what stands above it is what the shopper came for.
const FIRST_PLACE: usize = 2;

/// Text for a new product.
const NEW: Share = Share {
    code: ReasonCode::Exploration,
    text: Cow::Borrowed("new in the shop, shown to learn who likes it"),
    added: 0.0,
};

/// The page of a request with its new products.
pub(super) struct Tried {
    pub page: Vec<Candidate>,
    pub trial: Trial,
    /// Where the next page begins, if something left this one.
    pub next_offset: Option<usize>,
}

/// Draws the places of the page that the scene has for new products. What rules pin stays at its places.
pub(super) fn try_new(situation: &Situation<'_>, retrieval: &Retrieval<'_>, page: Vec<Candidate>) -> Tried {
    let Situation { request, scene, .. } = situation;
    let none = |page| Tried { page, trial: Trial::None, next_offset: None };
    let Some(trial) = &request.new_trial else { return none(page) };
    let places = places(scene.new_products, page.len());
    if places.is_empty() || request.offset > 0 {
        return none(page);
    }
    let mut new = candidates(situation, retrieval, &page, trial);
    if new.is_empty() {
        return none(page);
    }
    if !trial.is_shown {
        return Tried { page, trial: Trial::Without, next_offset: None };
    }
    let mut draws = Draws::new(trial.seed, STREAM, 0);
    let mut slots = Vec::new();
    let is_pinned = |candidate: &Candidate| situation.rules.pinned_by(candidate.item).is_some();
    let (pins, mut free): (Vec<_>, Vec<_>) = page.into_iter().enumerate().partition(|(_, on_page)| is_pinned(on_page));
    for place in places {
        let n_pinned = pins.iter().filter(|(pinned, _)| *pinned < place).count();
        let nth = place - n_pinned;
        if pins.iter().any(|(pinned, _)| *pinned == place) || nth >= free.len() {
            continue;
        }
        // A product that stands above needs no place.
        new.retain(|new| free[..=nth].iter().all(|(_, candidate)| candidate.item != new.item));
        let Some(drawn) = draw(situation, free[nth].1.item, place, &new, &mut draws) else { break };
        let slot = |is_new| NewSlot { place: place as u16, propensity: drawn.propensity, is_new };
        let Some(chosen) = drawn.new else {
            slots.push(slot(false));
            continue;
        };
        let mut candidate = new.remove(chosen);
        // What brought it onto the page stays among its reasons.
        if let Some(below) = free.iter().position(|(_, other)| other.item == candidate.item) {
            candidate = free.remove(below).1;
            candidate.shares.push(NEW);
        }
        free.insert(nth, (place, candidate));
        slots.push(slot(true));
    }
    let n_free = request.n.min(free.len() + pins.len()) - pins.len();
    // What leaves the page begins the next one.
    let next_offset = free.get(n_free).map(|(place, _)| *place);
    free.truncate(n_free);
    let page = with_pins(free.into_iter().map(|(_, candidate)| candidate), pins);
    Tried { page, trial: Trial::With(slots), next_offset }
}

/// The places that are drawn, where new products may have this share of `n`.
fn places(share: f32, n: usize) -> Vec<usize> {
    // A tenth of ten places is one, also after rounding.
    let n_places = ((share * n as f32 + 1e-3) as usize).min(n.saturating_sub(FIRST_PLACE));
    let n_below = n.saturating_sub(FIRST_PLACE);
    (0..n_places).map(|nth| FIRST_PLACE + nth * n_below / n_places).collect()
}

/// The new products that could stand on the page, of each product one item.
fn candidates(
    situation: &Situation<'_>,
    retrieval: &Retrieval<'_>,
    page: &[Candidate],
    trial: &NewTrial,
) -> Vec<Candidate> {
    let Situation { shop, request, prepared, rules, .. } = situation;
    let counted = |item: ItemIdx| shop.counted(item, request.grouping);
    let on_page: BTreeSet<ItemIdx> = page.iter().map(|candidate| candidate.item).collect();
    let pinned: BTreeSet<Product> = rules.pins().iter().map(|pin| counted(pin.item)).collect();
    let mut barred: BTreeSet<Product> = page.iter().map(|candidate| counted(candidate.item)).collect();
    let mut since = BTreeMap::new();
    let mut items: Vec<ItemIdx> = Vec::new();
    for (item, new) in shop.facts.new_products.latest().take(MAX_LOOKED_AT) {
        let product = counted(item);
        let is_free = !pinned.contains(&product) && (on_page.contains(&item) || !barred.contains(&product));
        // A product is walked once, however many variants it has.
        let mut first_since = || *since.entry(shop.product(item)).or_insert_with(|| shop.first_since(item));
        if is_free
            && shop.is_unknown(new, trial)
            && !is_known_for_longer(new, first_since())
            && retrieval.accepts(item)
            && rules.buries(shop, item).is_none()
        {
            barred.insert(product);
            items.push(item);
            if items.len() == MAX_SCORED {
                break;
            }
        }
    }
    let scores = shop.version.ensemble.score_all(prepared, &items);
    situation.work.score(items.len());
    let mut best = TopK::new(MAX_DRAWN);
    items.iter().zip(scores).for_each(|(&item, score)| best.push(score, item));
    best.into_sorted().into_iter().map(|(score, item)| Candidate { item, score, shares: vec![NEW] }).collect()
}

/// What was drawn for a place.
struct DrawnPlace {
    /// The new product, as its place among the candidates; `None` if the item of the page keeps the place.
    new: Option<usize>,
    propensity: f32,
}

/// Draws the item of a place, at which `there` stands; `None` if there is no new product left.
fn draw(
    situation: &Situation<'_>,
    there: ItemIdx,
    place: usize,
    new: &[Candidate],
    draws: &mut Draws,
) -> Option<DrawnPlace> {
    if new.is_empty() {
        return None;
    }
    let Situation { shop, context, prepared, .. } = situation;
    let mut items: Vec<ItemIdx> = new.iter().map(|candidate| candidate.item).collect();
    let shown: Vec<Known> = items.iter().map(|&item| Known::of(shop, item)).collect();
    let heads = shop.version.clicks.as_ref().filter(|heads| has_learned_enough(heads));
    let mut beliefs: Vec<Gaussian> = match heads {
        None => shown.iter().map(|known| new_product::belief(known.expected, known.expected, known.shown)).collect(),
        Some(heads) => {
            items.push(there);
            // What the heads learned of a new product itself is in its counts, which the belief has.
            let foreseen = shop.foresee_as(heads, context, prepared, &items, |_| Some(place as u32), new.len());
            let of_new = shown.iter().zip(&foreseen);
            let mut beliefs: Vec<Gaussian> =
                of_new.map(|(known, &[click, ..])| new_product::belief(click, known.expected, known.shown)).collect();
            // What is known of the item of the page is far more certain than of any new one.
            let of_page = foreseen.last().map_or(0.0, |&[click, ..]| click);
            beliefs.push(Gaussian { mean: accrue_kernel::ln(of_page.max(1e-6)), variance: 0.0 });
            beliefs
        }
    };
    // A draw between items of one score would be decided by their order.
    beliefs.iter_mut().for_each(|belief| belief.variance = belief.variance.max(1e-6));
    let drawn = Thompson { places: 1, among: beliefs.len() }.draw(&beliefs, draws);
    let first = *drawn.ranks.first()? as usize;
    Some(DrawnPlace { new: (first < new.len()).then_some(first), propensity: *drawn.propensities.first()? })
}

/// What is known of a new product.
struct Known {
    expected: f32,
    shown: ShownClicked,
}

impl Known {
    fn of(shop: &Shop<'_>, item: ItemIdx) -> Self {
        let library = &shop.facts.new_products;
        Self {
            expected: shop.expected_of(item),
            shown: library.get(item).map_or_else(Default::default, NewProduct::seen),
        }
    }
}

impl Shop<'_> {
    /// The probability of a click that is expected of an item by its kinds.
    pub(crate) fn expected_of(&self, item: ItemIdx) -> f32 {
        let library = &self.facts.new_products;
        match self.facts.described(item) {
            Some(described) => new_product::expected(library.of_all(), library.of_kinds(described.own())),
            None => new_product::expected(library.of_all(), std::iter::empty()),
        }
    }

    /// Whether a product of the library is still new, and no variant of one that the shop has had for longer.
    pub(crate) fn is_new(&self, item: ItemIdx, new: &NewProduct, trial: &NewTrial) -> bool {
        self.is_unknown(new, trial) && !is_known_for_longer(new, self.first_since(item))
    }

    /// Whether a product of the library is young and little is known of it.
    fn is_unknown(&self, new: &NewProduct, trial: &NewTrial) -> bool {
        // By the time of the stream, as the library has it: a shop whose events are imported lives in their time. What is not
        // published yet is not accepted by any page.
        let age_ms = self.facts.stream_time.0.saturating_sub(new.since_ms);
        let is_young = age_ms <= i64::from(trial.max_age_days) * DAY_MS;
        is_young && new.shown.clicks < trial.enough_clicks && new.seen().impressions < MAX_IMPRESSIONS
    }

    /// Since when the shop has had the first variant of the item's product; `None` if it had one before the library
    /// began.
    fn first_since(&self, item: ItemIdx) -> Option<i64> {
        let library = &self.facts.new_products;
        let since = |item: &ItemIdx| library.get(*item).map(|new| new.since_ms);
        match self.product(item) {
            Product::Alone(_) => since(&item),
            Product::OfVariants(product) => {
                let variants = self.facts.products.variants(product).iter().map(since);
                variants.collect::<Option<Vec<i64>>>().and_then(|since| since.into_iter().min())
            }
        }
    }
}

/// Whether the first variant of a new product came more than a day before it.
fn is_known_for_longer(new: &NewProduct, first_since: Option<i64>) -> bool {
    first_since.is_none_or(|first| new.since_ms - first > DAY_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use accrue_model::ranker::Followed;

    use super::*;
    use crate::fixture::{Fixture, Size, item_name, user};
    use crate::{RecommendRequest, Recommendation, SceneSettings, Scenes};

    const N: usize = 10;

    /// 60 items, of which the last ten came after the events, so that they are new.
    fn shop() -> Fixture {
        Fixture::new(Size { n_items: 60, n_unmet: 10, n_events: 300, variant_each: 100, ..Size::default() })
    }

    fn is_new(id: &str) -> bool {
        (50..60).any(|number| id == item_name(number))
    }

    fn trial(seed: u64, is_shown: bool) -> NewTrial {
        NewTrial { is_shown, seed, max_age_days: 30, enough_clicks: 20 }
    }

    fn request(scene: &str, new_trial: Option<NewTrial>) -> RecommendRequest {
        let scene = Some(scene.into());
        RecommendRequest { visitor: user(1), scene, n: N, new_trial, explain: true, ..RecommendRequest::default() }
    }

    fn ids(page: &Recommendation) -> Vec<&str> {
        page.items.iter().map(|item| item.id.as_str()).collect()
    }

    /// A scene on which nothing but what is asked for stands, so that no new product is there by itself.
    fn scenes(new_products: f32) -> Scenes {
        let settings = format!(r#"{{"sources":["popularity"],"new_products":{new_products}}}"#);
        let settings: SceneSettings = serde_json::from_str(&settings).unwrap();
        Scenes::read(&[("shelf".into(), settings)].into()).unwrap()
    }

    #[test]
    fn new_products_have_their_share_of_the_places_and_never_the_first_two() {
        assert_eq!(places(0.1, 10), [2]);
        assert_eq!(places(0.1, 20), [2, 11]);
        assert_eq!(places(0.3, 10), [2, 4, 7]);
        assert_eq!(places(1.0, 5), [2, 3, 4]);
        for (share, n) in [(0.0, 10), (0.1, 9), (0.5, 2), (1.0, 0)] {
            assert!(places(share, n).is_empty(), "{share} {n}");
        }
    }

    #[test]
    fn a_new_product_that_no_source_found_stands_on_its_place_with_a_reason() {
        let (shop, scenes) = (shop(), scenes(0.1));
        let shop = shop.shop_with(&scenes);
        let plain = shop.recommend(&request("shelf", None));
        assert!(ids(&plain).iter().all(|id| !is_new(id)), "{:?}", ids(&plain));
        let page = shop.recommend(&request("shelf", Some(trial(7, true))));
        let Trial::With(slots) = &page.trial else { panic!("{:?}", page.trial) };
        assert_eq!((slots.len(), slots[0].place, slots[0].is_new), (1, 2, true));
        assert!(slots[0].propensity > 0.0 && slots[0].propensity < 1.0);
        let mut wanted = ids(&plain);
        let new = ids(&page)[2];
        assert!(is_new(new));
        wanted.insert(2, new);
        wanted.truncate(N);
        assert_eq!((ids(&page), page.next_offset), (wanted, Some(N - 1)), "what left the page begins the next one");
        let item = &page.items[2];
        assert!(item.reasons.iter().any(|reason| reason.text == "new in the shop, shown to learn who likes it"));
        let sum: f32 = item.reasons.iter().map(|reason| reason.share).sum();
        assert!((sum - item.score).abs() < 1e-3, "{item:?}");
        assert_eq!(page, shop.recommend(&request("shelf", Some(trial(7, true)))), "the same for the same seed");
    }

    #[test]
    fn places_are_drawn_as_often_as_their_propensities_say() {
        let (shop, scenes) = (shop(), scenes(0.1));
        let shop = shop.shop_with(&scenes);
        let (mut drawn, n) = (BTreeMap::new(), 2_000);
        for seed in 0..n {
            let page =
                shop.recommend(&RecommendRequest { explain: false, ..request("shelf", Some(trial(seed, true))) });
            let Trial::With(slots) = &page.trial else { panic!("{:?}", page.trial) };
            let counted = drawn.entry(ids(&page)[2].to_owned()).or_insert((0, slots[0].propensity));
            counted.0 += 1;
            assert_eq!(counted.1, slots[0].propensity);
        }
        assert!(drawn.len() > 3, "{drawn:?}");
        let sum: f32 = drawn.values().map(|(_, propensity)| propensity).sum();
        assert!(sum > 0.98 && sum < 1.001, "{drawn:?}");
        for (item, (count, propensity)) in drawn {
            let (share, propensity) = (f64::from(count) / n as f64, f64::from(propensity));
            let four_errors = 4.0 * (propensity * (1.0 - propensity) / n as f64).sqrt();
            assert!((share - propensity).abs() < four_errors, "{item}: {share} {propensity}");
        }
    }

    #[test]
    fn an_answer_without_new_products_is_the_plain_page_and_says_that_one_could_have_stood_there() {
        let (shop, scenes) = (shop(), scenes(0.1));
        let shop = shop.shop_with(&scenes);
        let plain = shop.recommend(&request("shelf", None));
        let without = shop.recommend(&request("shelf", Some(trial(7, false))));
        assert_eq!(without.trial, Trial::Without);
        assert_eq!(Recommendation { trial: Trial::None, ..without }, plain);
    }

    #[test]
    fn scenes_further_pages_and_pages_without_a_new_product_have_no_such_place() {
        let shop = shop();
        let asked = |request: RecommendRequest| shop.shop().recommend(&request).trial;
        let shown = Some(trial(7, true));
        for scene in ["home", "category"] {
            assert!(matches!(asked(request(scene, shown)), Trial::With(_)), "{scene}");
        }
        for scene in ["product", "basket", "search", "again", "email", "other"] {
            assert_eq!(asked(request(scene, shown)), Trial::None, "{scene}");
        }
        let exclude = (50..60).map(|number| item_name(number).as_str().into()).collect();
        for (why, request) in [
            ("the next page", RecommendRequest { offset: N, ..request("home", shown) }),
            ("few places", RecommendRequest { n: 5, ..request("home", shown) }),
            ("all are excluded", RecommendRequest { exclude, ..request("home", shown) }),
            ("known", request("home", Some(NewTrial { enough_clicks: 0, ..trial(7, true) }))),
        ] {
            assert_eq!(asked(request), Trial::None, "{why}");
        }
        let mut later = shop;
        later.facts.stream_time.0 += 31 * DAY_MS;
        assert_eq!(later.shop().recommend(&request("home", shown)).trial, Trial::None, "too old");
    }

    #[test]
    fn an_item_that_is_clicked_often_keeps_its_place_and_one_that_never_is_gives_it_away() {
        let scenes = scenes(0.1);
        let n_taken = |are_new_clicked: bool| {
            let mut shop = shop();
            shop.learn_clicks(60_000, 60, |item, turn| match turn % 2 == 0 && (item >= 50) == are_new_clicked {
                true => Followed::CLICK,
                false => Followed::NOTHING,
            });
            let shop = shop.shop_with(&scenes);
            let is_taken = |seed: &u64| {
                let page = shop.recommend(&request("shelf", Some(trial(*seed, true))));
                matches!(&page.trial, Trial::With(slots) if slots[0].is_new)
            };
            (0..60).filter(is_taken).count()
        };
        let (clicked, never) = (n_taken(true), n_taken(false));
        assert!(clicked > 55 && never < 10, "{clicked} {never}");
    }

    #[test]
    fn variants_of_a_product_that_is_known_for_longer_are_not_new() {
        // Items 0 and 1, 5 and 6 … are variants of one product; 50 to 59 are new, 49 is known.
        let shop = Fixture::new(Size { n_items: 60, n_unmet: 9, n_events: 300, variant_each: 50, ..Size::default() });
        let library = &shop.facts.new_products;
        let of = |number: u64| {
            let item = shop.facts.items.get(&item_name(number)).unwrap();
            library.get(item).is_some_and(|new| shop.shop().is_new(item, new, &trial(1, true)))
        };
        assert!(of(55) && !of(40));
        assert!(!of(51), "a variant of item 50, which the shop had before the events");
    }
}
