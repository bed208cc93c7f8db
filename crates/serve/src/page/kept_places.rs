//! Kept places: room for products that the shopper has not bought, on scenes that say so (`room_for_new`; the scene
//! `home` does).
//!
//! Each of the products that a shopper buys again and again is likelier than any single new one, so a page by score alone
//! has hardly anything else, although much of what the shopper will buy next is new to them. So at every place, the part
//! of new products above it is at least `room_for_new` of the part of first purchases that is expected of this shopper
//! (calibrated recommendations: Steck, RecSys 2018; half on `home`, because a place for a new product leads to a purchase
//! more rarely). The expected part is learned from what the shopper did, and, as far as that is little, from what the
//! models expect of shoppers with the same history: the sum of the probabilities of all new candidates. The scores stay as
//! they are. A shopper who has bought nothing gets the page by score.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use accrue_event::EventType;
use accrue_model::Part;

use super::seen::bought;
use super::{Candidate, Share, Situation};
use crate::ReasonCode;
use crate::shop::Product;

/// How many purchases of the shopper weigh as much as what the models expect.
const AS_MANY: f32 = 10.0;
/// Candidates whose probabilities are summed.
const MAX_SUMMED: usize = 1_000;

/// Text for a product at a place that was kept for it.
const KEPT: Share = Share {
    code: ReasonCode::NewToYou,
    text: Cow::Borrowed("a place for something that you have not bought yet"),
    added: 0.0,
};

/// Keeps places for what the shopper has not bought, over all tiers of a list.
pub(super) struct KeptPlaces {
    /// `None` where the order is that of the scores.
    rule: Option<Rule>,
}

struct Rule {
    /// What the shopper bought.
    bought: BTreeSet<Product>,
    /// The part of the places that is kept, once the first tier is known.
    part: Option<f32>,
    n_placed: usize,
    n_new: usize,
}

impl KeptPlaces {
    pub fn new(situation: &Situation<'_>) -> Self {
        let Situation { shop, request, context, scene, .. } = situation;
        if scene.room_for_new == 0.0 {
            return Self { rule: None };
        }
        let bought = bought(shop, context.past).into_iter();
        let bought: BTreeSet<Product> = bought.map(|item| shop.counted(item, request.grouping)).collect();
        Self { rule: (!bought.is_empty()).then_some(Rule { bought, part: None, n_placed: 0, n_new: 0 }) }
    }

    /// The first `n` of a tier's candidates, which are given best first.
    pub fn fill(
        &mut self,
        situation: &Situation<'_>,
        ranked: impl Iterator<Item = Candidate>,
        n: usize,
    ) -> Vec<Candidate> {
        let Some(rule) = &mut self.rule else { return ranked.take(n).collect() };
        let ranked: Vec<Candidate> = ranked.collect();
        if rule.part.is_none() {
            rule.part = Some(rule.kept_part(situation, &ranked));
        }
        rule.fill(situation, ranked, n)
    }
}

impl Rule {
    fn is_new(&self, situation: &Situation<'_>, candidate: &Candidate) -> bool {
        !self.bought.contains(&situation.shop.counted(candidate.item, situation.request.grouping))
    }

    /// The part of the places that is kept.
    fn kept_part(&self, situation: &Situation<'_>, ranked: &[Candidate]) -> f32 {
        let (n_first, n) = purchases(situation);
        let Situation { shop, request, .. } = situation;
        // The scores of a single model are no logarithms of probabilities.
        let is_blend = request.part.unwrap_or(shop.version.ensemble.settings.part) == Part::Blend;
        let by_models = if is_blend { self.probability_of_new(situation, ranked) } else { 0.5 };
        situation.scene.room_for_new * (n_first as f32 + AS_MANY * by_models) / (n as f32 + AS_MANY)
    }

    /// The probability that the next choice is new to the shopper, by the models: their scores are the logarithms of
    /// probabilities, up to a common term.
    fn probability_of_new(&self, situation: &Situation<'_>, ranked: &[Candidate]) -> f32 {
        let ranked = &ranked[..ranked.len().min(MAX_SUMMED)];
        let best = ranked.iter().map(|candidate| candidate.score).fold(f32::NEG_INFINITY, f32::max);
        let (mut of_new, mut of_all) = (0.0, 0.0);
        for candidate in ranked {
            let odds = accrue_kernel::exp(candidate.score - best);
            of_all += odds;
            if self.is_new(situation, candidate) {
                of_new += odds;
            }
        }
        if of_all > 0.0 { of_new / of_all } else { 0.0 }
    }

    /// Merges the new and the bought by score, with a new one wherever there would be too few.
    fn fill(&mut self, situation: &Situation<'_>, ranked: Vec<Candidate>, n: usize) -> Vec<Candidate> {
        let part = self.part.unwrap_or(0.0);
        let places: Vec<(usize, Candidate)> = ranked.into_iter().enumerate().collect();
        let (mut new, mut bought): (VecDeque<_>, VecDeque<_>) =
            places.into_iter().partition(|(_, candidate)| self.is_new(situation, candidate));
        let mut filled = Vec::with_capacity(n.min(new.len() + bought.len()));
        while filled.len() < n {
            let by_score = |new: &VecDeque<(usize, Candidate)>, bought: &VecDeque<(usize, Candidate)>| {
                bought.front().is_none_or(|(rank, _)| new.front().is_some_and(|(other, _)| other < rank))
            };
            let is_too_few = (self.n_new as f32) < (part * (self.n_placed + 1) as f32).floor();
            let is_new = by_score(&new, &bought);
            let is_kept = is_too_few && !is_new && !new.is_empty();
            let next = if is_new || is_kept { new.pop_front() } else { bought.pop_front() };
            let Some((_, mut candidate)) = next else { break };
            if is_kept {
                candidate.shares.push(KEPT);
            }
            self.n_new += usize::from(is_new || is_kept);
            self.n_placed += 1;
            filled.push(candidate);
        }
        filled
    }
}

/// How many of the shopper's purchases were of a product that they had not bought before, and how many there are. In
/// the first visit everything is new, so it does not count.
fn purchases(situation: &Situation<'_>) -> (usize, usize) {
    let Situation { shop, request, context, .. } = situation;
    let purchase = shop.facts.type_code(&EventType::Purchase);
    let mut met = BTreeSet::new();
    let (mut n_first, mut n) = (0, 0);
    let mut n_visits = 0;
    for event in context.past {
        n_visits += usize::from(event.starts_visit);
        if Some(event.type_code) == purchase {
            let is_first = met.insert(shop.counted(event.item, request.grouping));
            if n_visits > 1 {
                n += 1;
                n_first += usize::from(is_first);
            }
        }
    }
    (n_first, n)
}

#[cfg(test)]
mod tests {
    use accrue_event::EventType::{Purchase, Return};

    use crate::fixture::{Fixture, Size, item_name};
    use crate::{Grouping, RecommendRequest, Recommendation, Recommended, SceneSettings, Scenes, Seen};

    /// The page of a shopper who bought thirty items, each once and in a visit of its own.
    fn ask(shop: &Fixture, scene: &str, n: usize, offset: usize) -> Recommendation {
        let events = Some((0..30).map(|item| shop.event(Purchase, item, 36_000 * item as i64)).collect());
        let (scene, grouping) = (Some(scene.into()), Grouping::Item);
        let request = RecommendRequest { events, scene, grouping, n, offset, explain: true, ..Default::default() };
        // As much room as is expected of first purchases: these shoppers rarely buy anything again.
        let settings: SceneSettings = serde_json::from_str(r#"{"like":"home","room_for_new":1}"#).unwrap();
        let scenes = Scenes::read(&[("front".into(), settings)].into()).unwrap();
        shop.shop_with(&scenes).recommend(&request)
    }

    fn ids(page: &Recommendation) -> Vec<&str> {
        page.items.iter().map(|item| item.id.as_str()).collect()
    }

    #[test]
    fn the_home_page_keeps_places_for_the_new_and_has_the_items_of_the_list_once() {
        let shop = Fixture::new(Size::default());
        let (home, plain) = (ask(&shop, "front", 1000, 0), ask(&shop, "other", 1000, 0));
        let again = ask(&shop, "again", 1000, 0);
        let bought = ids(&again);
        let n_new = |page: &Recommendation, n| ids(page)[..n].iter().filter(|id| !bought.contains(id)).count();
        assert_eq!(bought.len(), 30);
        let (by_score, with_room) = (n_new(&plain, 20), n_new(&home, 20));
        assert!(by_score < with_room && (7..=20).contains(&with_room), "{by_score} {with_room}");
        let is_kept = |item: &&Recommended| item.reasons.iter().any(|reason| reason.code == "new_to_you");
        assert!(home.items.iter().filter(is_kept).count() > 0);
        let sorted = |page: &Recommendation| {
            let mut ids: Vec<String> = ids(page).into_iter().map(str::to_owned).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(sorted(&home), sorted(&plain), "only the order differs");
        for n in [1, 7, 90] {
            // Which events the reasons cite depends on the page; the items and their scores do not.
            let pages = (0..home.items.len()).step_by(n).flat_map(|offset| ask(&shop, "front", n, offset).items);
            let pages: Vec<_> = pages.map(|item| (item.id, item.score)).collect();
            let whole: Vec<_> = home.items.iter().map(|item| (item.id.clone(), item.score)).collect();
            assert!(pages == whole, "pages of {n}");
        }
    }

    #[test]
    fn a_shopper_who_has_bought_nothing_gets_the_page_by_score() {
        let shop = Fixture::new(Size::default());
        let page = |scene: Option<&str>| {
            let scene = scene.map(Into::into);
            shop.shop().recommend(&RecommendRequest { scene, n: 50, ..Default::default() })
        };
        assert_eq!(page(Some("home")), page(None));
        assert!(page(Some("again")).items.is_empty());
    }

    #[test]
    fn buy_it_again_has_what_was_bought_and_kept_and_nothing_else() {
        let shop = Fixture::new(Size { n_items: 60, n_unmet: 0, n_events: 100, ..Size::default() });
        let past = [(Purchase, 3), (Purchase, 4), (Purchase, 3), (Purchase, 9), (Return, 4), (Purchase, 8)];
        let events = |past: &[_]| -> Vec<_> {
            past.iter().zip(1..).map(|((kind, item), at)| shop.event(Clone::clone(kind), *item, at)).collect()
        };
        let request = RecommendRequest {
            events: Some(events(&past)),
            scene: Some("again".into()),
            grouping: Grouping::Item,
            seen: Seen::Keep,
            ..Default::default()
        };
        let page = shop.shop().recommend(&request);
        let mut listed = ids(&page);
        listed.sort_unstable();
        assert_eq!(listed, [item_name(3), item_name(8), item_name(9)]);
        let without = RecommendRequest { exclude: vec!["i8".into()], ..request };
        assert_eq!(shop.shop().recommend(&without).items.len(), 2);
    }
}
