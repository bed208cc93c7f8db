//! Why one item stands where it does for one shopper, for an engineer: the reasons of its page, and for each cited
//! event what the page would be without it.
//!
//! The reasons are those that a page with `explain` has. The counterfactual does not use them: the history is built
//! again event by event without the cited one, and the page is made from that. So a share that is not the difference of
//! the two scores would be seen.

use std::collections::BTreeSet;

use accrue_event::ItemId;
use accrue_store::{History, Interaction, ItemIdx, PastEvent};
use serde::Serialize;

use super::work::Work;
use super::{make, make_after};
use crate::request::CitedEvent;
use crate::shop::{VisitorHistory, with_scratch};
use crate::{Reason, ReasonCode, RecommendRequest, Recommendation, Recommended, Shop, filter::Filter};

/// Places of the list in which the item is looked for.
const LOOKED_AT: usize = 1_000;
/// The largest difference of two sums of the same shares, as a part of their size.
const ROUNDING: f32 = 1e-4;

/// Why an item stands where it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// Its place in the list, from 0; `None` if it is not among the first 1,000.
    pub place: Option<usize>,
    /// The variant of the same product that stands in the list in its place, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sibling: Option<Sibling>,
    /// Its score.
    pub score: f32,
    /// What the score is made of.
    pub reasons: Vec<Reason>,
    /// Whether the shares of the reasons sum to the score.
    pub is_whole: bool,
    /// What the page would be without each cited event.
    pub without: Vec<WithoutEvent>,
    /// What the page could not do.
    pub degraded: Vec<&'static str>,
}

/// A variant that stands in the list, of which the product has one place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sibling {
    /// Its id.
    pub item: ItemId,
    /// Its title, or that of its product.
    pub title: Option<Box<str>>,
    /// Its place in the list, from 0.
    pub place: usize,
}

/// The item on a page that is made without one event of the past.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WithoutEvent {
    /// The item of the event.
    pub item: Option<ItemId>,
    /// The event.
    pub event: CitedEvent,
    /// What the reason says that the event adds to the score.
    pub share: f32,
    /// The score without the event; `None` if the page would not have the item, of which the event is the only ground.
    pub score: Option<f32>,
    /// The place without it.
    pub place: Option<usize>,
    /// Whether the two scores differ by the share. Where the page would not have the item, these are the scores of the
    /// models.
    pub is_confirmed: bool,
}

impl Shop<'_> {
    /// Why an item stands where it does on the page of this request, which says nothing of `offset`. `None` if the page
    /// may not show it.
    pub fn why(&self, request: &RecommendRequest, item: &ItemId) -> Option<Why> {
        let shop = self.with_incomplete(request.incomplete);
        let Explained { place, sibling, answer } = explained(&shop, request, item)?;
        let found = answer.items.iter().find(|found| found.id == *item)?;
        let past = shop.past(&request.visitor, None, &about(&shop, request));
        let sum: f32 = found.reasons.iter().map(|reason| reason.share).sum();
        let rounding = ROUNDING * found.score.abs().max(1.0);
        let mut used = BTreeSet::new();
        let cited = found.reasons.iter().filter_map(|reason| Some((reason, reason.event.as_ref()?)));
        let mut without = Vec::new();
        for (reason, event) in cited {
            let Some(at) = place_in(&shop, past.history.past(), reason, event, &mut used) else { continue };
            let history = rebuilt(past.history.past(), at);
            let other = VisitorHistory { history, ..past.clone() };
            let (score, place, difference) = match scored(&shop, request, item, &other) {
                Some((score, of_models, place)) => (Some(score), place, by_models(found) - of_models),
                None => {
                    (None, None, model_score(&shop, request, item, &past) - model_score(&shop, request, item, &other))
                }
            };
            without.push(WithoutEvent {
                item: reason.item.clone(),
                event: event.clone(),
                share: reason.share,
                score,
                place,
                is_confirmed: (difference - reason.share).abs() <= rounding,
            });
        }
        Some(Why {
            place,
            sibling,
            score: found.score,
            reasons: found.reasons.clone(),
            is_whole: (sum - found.score).abs() <= rounding,
            without,
            degraded: answer.degraded.clone(),
        })
    }
}

impl Shop<'_> {
    /// The variant of the item's product that stands in the list of this request, for an item that may not.
    pub fn shown_sibling(&self, request: &RecommendRequest, item: &ItemId) -> Option<Sibling> {
        let shop = self.with_incomplete(request.incomplete);
        sibling(&shop, &list_of(&shop, request), item)
    }
}

/// The beginning of the list, as far as an item is looked for.
fn list_of(shop: &Shop<'_>, request: &RecommendRequest) -> Recommendation {
    make(*shop, &RecommendRequest { n: LOOKED_AT, offset: 0, ..request.clone() }, &Work::default())
}

fn about(shop: &Shop<'_>, request: &RecommendRequest) -> Vec<ItemIdx> {
    request.items.iter().filter_map(|item| shop.facts.items.get(item.as_str())).collect()
}

/// An item's place in the list, or that of a variant of its product, and the page of `request.n` items that has the item,
/// with reasons.
struct Explained {
    place: Option<usize>,
    sibling: Option<Sibling>,
    answer: Recommendation,
}

fn explained(shop: &Shop<'_>, request: &RecommendRequest, item: &ItemId) -> Option<Explained> {
    let list = list_of(shop, request);
    let place = list.items.iter().position(|found| found.id == *item);
    let n = request.n.max(1);
    let request = match place {
        Some(place) => RecommendRequest { offset: place / n * n, n, explain: true, ..request.clone() },
        None => RecommendRequest { explain: true, ..only(request, item)? },
    };
    let sibling = if place.is_none() { sibling(shop, &list, item) } else { None };
    Some(Explained { place, sibling, answer: make(*shop, &request, &Work::default()) })
}

/// The first item of a list that is a variant of the same product.
fn sibling(shop: &Shop<'_>, list: &Recommendation, item: &ItemId) -> Option<Sibling> {
    let product_of = |id: &ItemId| shop.facts.products.of(shop.facts.items.get(id.as_str())?);
    let product = product_of(item)?;
    let place = list.items.iter().position(|found| product_of(&found.id) == Some(product))?;
    let id = list.items[place].id.clone();
    let described = shop.facts.described(shop.facts.items.get(id.as_str())?)?.to_item();
    Some(Sibling { item: id, title: described.title, place })
}

/// The same request for this item alone.
fn only(request: &RecommendRequest, item: &ItemId) -> Option<RecommendRequest> {
    let quoted = item.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    let alone = format!("id:\"{quoted}\"");
    let filter = match &request.filter {
        Some(filter) => format!("{alone} AND ({filter})"),
        None => alone,
    };
    Some(RecommendRequest { filter: Some(Filter::parse(&filter).ok()?), n: 1, offset: 0, ..request.clone() })
}

/// The score without what its value adds on scenes that order by it: that depends on all other candidates, so that an
/// event's share is one of the rest.
fn by_models(found: &Recommended) -> f32 {
    let is_value = |reason: &&Reason| reason.code == ReasonCode::Value.name();
    found.score - found.reasons.iter().filter(is_value).map(|reason| reason.share).sum::<f32>()
}

/// The score that the models give the item for this past, whether or not a page may show it; 0 for an unknown one.
fn model_score(shop: &Shop<'_>, request: &RecommendRequest, item: &ItemId, past: &VisitorHistory) -> f32 {
    let Some(item) = shop.facts.items.get(item.as_str()) else { return 0.0 };
    let ensemble = &shop.version.ensemble;
    with_scratch(|prepared| {
        ensemble.prepare(&past.context(shop, request.circumstances()), prepared);
        prepared.score_by(request.part);
        ensemble.score_all(prepared, &[item])[0]
    })
}

/// The score of the item, that score without its value, and the place, for this past. `None` if the page does not have
/// it.
fn scored(
    shop: &Shop<'_>,
    request: &RecommendRequest,
    item: &ItemId,
    past: &VisitorHistory,
) -> Option<(f32, f32, Option<usize>)> {
    let explain = shop.scenes.of(request.scene.as_deref()).value.is_some();
    let whole = RecommendRequest { n: LOOKED_AT, offset: 0, explain, ..request.clone() };
    let about = about(shop, request);
    let list = make_after(*shop, &whole, &about, past, &Work::default());
    if let Some(place) = list.items.iter().position(|found| found.id == *item) {
        let found = &list.items[place];
        return Some((found.score, by_models(found), Some(place)));
    }
    let alone = make_after(*shop, &only(request, item)?, &about, past, &Work::default());
    alone.items.first().map(|found| (found.score, by_models(found), None))
}

/// The place in the past of the event that a reason cites: the latest of its kind that no other reason cites.
fn place_in(
    shop: &Shop<'_>,
    past: &[PastEvent],
    reason: &Reason,
    event: &CitedEvent,
    used: &mut BTreeSet<usize>,
) -> Option<usize> {
    let item = shop.facts.items.get(reason.item.as_ref()?.as_str())?;
    let is_it = |place: &usize| {
        let of = &past[*place];
        of.item == item
            && of.at_ms() / 1000 == event.at.0 / 1000
            && shop.facts.type_of(of.type_code).is_some_and(|kind| kind.to_string() == event.event_type)
    };
    let place = (0..past.len()).rev().filter(|place| !used.contains(place)).find(is_it)?;
    used.insert(place);
    Some(place)
}

/// The history without one event, built from the others one by one. Visits stay as they are.
fn rebuilt(past: &[PastEvent], without: usize) -> History {
    let mut history = History::default();
    let mut visit = 0;
    for (place, event) in past.iter().enumerate() {
        visit += u32::from(event.starts_visit);
        if place == without {
            continue;
        }
        let (item, type_code, at_ms, value) = (event.item, event.type_code, event.at_ms(), event.value());
        let session = Some(visit);
        let again = Interaction { shopper: 0, item, type_code, at_ms, session, value, quantity: 1 };
        history.push(&again, past.len());
    }
    history
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, Size, user};

    #[test]
    fn every_cited_event_is_confirmed_by_the_page_without_it() {
        let fixture = Fixture::new(Size { n_events: 900, n_users: 8, ..Size::default() });
        let shop = fixture.shop();
        let mut n_cited = 0;
        for number in 0..8 {
            for scene in [None, Some("home")] {
                let request =
                    RecommendRequest { visitor: user(number), scene: scene.map(Into::into), ..Default::default() };
                let page = shop.recommend(&RecommendRequest { explain: true, ..request.clone() });
                for (place, found) in page.items.iter().enumerate() {
                    let why = shop.why(&request, &found.id).unwrap();
                    assert_eq!((why.place, why.score, &why.reasons), (Some(place), found.score, &found.reasons));
                    assert!(why.is_whole, "{why:?}");
                    let n_events = found.reasons.iter().filter(|reason| reason.event.is_some()).count();
                    assert_eq!(why.without.len(), n_events);
                    assert!(why.without.iter().all(|without| without.is_confirmed), "{why:?}");
                    n_cited += n_events;
                }
            }
        }
        assert!(n_cited > 100, "{n_cited}");
    }

    #[test]
    fn an_item_of_which_the_event_is_the_only_ground_is_not_on_the_page_without_it() {
        let fixture = Fixture::new(Size { n_events: 900, n_users: 8, ..Size::default() });
        let shop = fixture.shop();
        let mut n_gone = 0;
        for number in 0..8 {
            let request = RecommendRequest { visitor: user(number), scene: Some("again".into()), ..Default::default() };
            let page = shop.recommend(&RecommendRequest { explain: true, ..request.clone() });
            for found in &page.items {
                let why = shop.why(&request, &found.id).unwrap_or_else(|| panic!("{} stands on the page", found.id));
                assert!(why.is_whole && why.without.iter().all(|without| without.is_confirmed), "{why:?}");
                let gone = why.without.iter().filter(|without| without.score.is_none());
                n_gone += gone.inspect(|without| assert_eq!(without.place, None)).count();
            }
        }
        assert!(n_gone > 5, "{n_gone}");
    }

    #[test]
    fn an_item_deep_in_the_list_or_off_the_page_is_told_apart() {
        let fixture = Fixture::new(Size::default());
        let shop = fixture.shop();
        let request = RecommendRequest { visitor: user(1), ..Default::default() };
        let deep = shop.recommend(&RecommendRequest { offset: 300, n: 1, ..request.clone() });
        let why = shop.why(&request, &deep.items[0].id).unwrap();
        assert_eq!((why.place, why.is_whole), (Some(300), true));
        assert_eq!(shop.why(&request, &"nothing".into()), None);
        let excluded = RecommendRequest { exclude: vec![deep.items[0].id.clone()], ..request };
        assert_eq!(shop.why(&excluded, &deep.items[0].id), None);
        assert_eq!(why.sibling, None);
    }

    #[test]
    fn of_a_variant_that_is_not_shown_the_sibling_in_its_place_is_told() {
        let fixture = Fixture::new(Size::default());
        let shop = fixture.shop();
        let request = RecommendRequest { visitor: user(1), ..Default::default() };
        let shown = shop.recommend(&RecommendRequest { n: LOOKED_AT, ..request.clone() });
        let parent_of = |id: &ItemId| shop.facts.find(id).and_then(|entry| entry.item.parent.clone());
        let is_shown = |id: &ItemId| shown.items.iter().any(|found| found.id == *id);
        let has_shown_sibling = |id: &ItemId| {
            let parent = parent_of(id);
            parent.is_some() && shown.items.iter().any(|found| parent_of(&found.id) == parent)
        };
        let mut n_told = 0;
        let ids = fixture.facts.entries().iter().map(|entry| &entry.item.id);
        for id in ids.filter(|id| !is_shown(id) && has_shown_sibling(id)) {
            let told = shop.shown_sibling(&request, id).unwrap_or_else(|| panic!("{id} has a sibling on the page"));
            assert_eq!((&shown.items[told.place].id, parent_of(&told.item)), (&told.item, parent_of(id)));
            if let Some(why) = shop.why(&request, id) {
                assert_eq!((why.place, why.sibling), (None, Some(told)));
                n_told += 1;
            }
        }
        assert!(n_told > 10, "{n_told}");
    }
}
