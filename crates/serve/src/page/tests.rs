//! Tests of pages: that they are cut from one list, what they cost, what they say of themselves.

use std::collections::BTreeSet;

use accrue_kernel::Draws;
use accrue_model::{Exploration, Part, Thompson};
use accrue_store::ItemIdx;
use proptest::prelude::*;

use super::diversify::WINDOW;
use super::retrieve::MAX_SCANNED;
use super::slots::DEPTH;
use super::work::Work;
use super::{Variants, make};
use crate::filter::Filter;
use crate::fixture::{Fixture, Size, item_name, user};
use crate::{Explore, Grouping, ListRequest, Reason, RecommendRequest, Recommendation, Recommended, Seen, Visitor};

thread_local! {
    static SHOP: Fixture = Fixture::new(Size::default());
}

pub(super) fn with_shop<T>(test: impl FnOnce(&Fixture) -> T) -> T {
    SHOP.with(test)
}

/// A request of a random visitor with random options; the test sets `offset` and `n`.
pub(super) fn requests() -> impl Strategy<Value = RecommendRequest> {
    let filter = prop_oneof![
        Just(None),
        Just(Some("brand:brand1")),
        Just(Some("price:..50")),
        Just(Some("price:3 AND NOT category:category1")),
        Just(Some("brand:none")),
    ];
    let diversity = prop_oneof![Just(None), Just(Some(1.0)), (0.0..1.0_f32).prop_map(Some)];
    let part = prop_oneof![Just(None), Just(Some(Part::Popularity)), Just(Some(Part::Neighbours))];
    let excluded = proptest::collection::vec(0..400_u64, 0..20);
    let about = proptest::collection::vec(0..400_u64, 0..3);
    let grouping = prop_oneof![Just(Grouping::Product), Just(Grouping::Item)];
    (0..25_u64, filter, diversity, part, any::<bool>(), excluded, about, grouping).prop_map(
        |(visitor, filter, diversity, part, is_dropped, excluded, about, grouping)| {
            let ids = |numbers: Vec<u64>| numbers.into_iter().map(|number| item_name(number).as_str().into()).collect();
            RecommendRequest {
                // Five of the visitors have no history.
                visitor: user(visitor),
                filter: filter.map(|filter| Filter::parse(filter).unwrap()),
                seen: if is_dropped { Seen::Drop } else { Seen::Keep },
                exclude: ids(excluded),
                items: ids(about),
                grouping,
                diversity,
                part,
                ..RecommendRequest::default()
            }
        },
    )
}

fn page(fixture: &Fixture, request: &RecommendRequest, offset: usize, n: usize) -> Recommendation {
    fixture.shop().recommend(&RecommendRequest { offset, n, ..request.clone() })
}

/// The whole list, in pages of `n`.
fn list(fixture: &Fixture, request: &RecommendRequest, n: usize) -> Vec<Recommended> {
    let mut list = Vec::new();
    loop {
        let page = page(fixture, request, list.len(), n);
        let is_last = page.items.len() < n;
        assert_eq!(page.degraded.contains(&"few_candidates"), is_last, "{:?}", page.degraded);
        list.extend(page.items);
        if is_last {
            return list;
        }
    }
}

pub(super) fn ids(list: &[Recommended]) -> Vec<&str> {
    list.iter().map(|item| item.id.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pages_of_any_size_are_cut_from_one_list(request in requests(), n in 1..90_usize, at in 0..600_usize) {
        with_shop(|shop| {
            let whole = list(shop, &request, 1000);
            prop_assert!(list(shop, &request, n) == whole, "pages of {n} are another list");
            let cut = page(shop, &request, at, n).items;
            prop_assert_eq!(ids(&cut), ids(&whole[at.min(whole.len())..(at + n).min(whole.len())]));
            Ok(())
        })?;
    }

    #[test]
    fn the_list_holds_each_acceptable_variant_group_once_and_nothing_else(request in requests()) {
        with_shop(|shop| {
            let whole = list(shop, &request, 1000);
            let facts = &shop.facts;
            let past = shop.shop().past(&request.visitor, None, &[]);
            let name = |item: ItemIdx| facts.items.name(item).unwrap();
            let group = |item: ItemIdx| {
                let parent = facts.entry(item).unwrap().item.parent.as_deref();
                parent.filter(|_| request.grouping == Grouping::Product).unwrap_or(name(item)).to_owned()
            };
            let named = request.exclude.iter().chain(&request.items);
            let mut kept_off: BTreeSet<String> =
                named.filter_map(|named| facts.items.get(named.as_str())).map(group).collect();
            if request.seen == Seen::Drop {
                kept_off.extend(past.history.past().iter().map(|past| group(past.item)));
            }
            let is_kept_off = |item: ItemIdx| kept_off.contains(&group(item));
            let shown = shop.shop();
            let filter = shown.pass(request.filter.as_ref());
            let acceptable = (0..facts.items.len() as u32)
                .filter(|&item| shown.may_recommend(item, filter.as_ref()) && !is_kept_off(item));
            let wanted: BTreeSet<String> = acceptable.map(group).collect();
            let listed: Vec<ItemIdx> = ids(&whole).into_iter().map(|id| facts.items.get(id).unwrap()).collect();
            prop_assert!(listed.iter().all(|&item| !is_kept_off(item)));
            let groups: BTreeSet<String> = listed.iter().map(|&item| group(item)).collect();
            prop_assert_eq!(groups.len(), whole.len(), "a variant group is on the list twice");
            let n_on_sale = Some(shop.shop().n_on_sale(&request.list()));
            let total = page(shop, &RecommendRequest { n_on_sale, ..request.clone() }, 0, 1).total;
            prop_assert_eq!(total, Some(wanted.len()), "the total is the length of the list");
            prop_assert_eq!(groups, wanted);
            Ok(())
        })?;
    }

    #[test]
    fn reasons_sum_to_the_score(request in requests(), offset in 0..300_usize) {
        with_shop(|shop| {
            let plain = page(shop, &request, offset, 15);
            let explained = page(shop, &RecommendRequest { explain: true, ..request.clone() }, offset, 15);
            prop_assert_eq!(ids(&plain.items), ids(&explained.items));
            for item in &explained.items {
                let sum: f32 = item.reasons.iter().map(|reason| reason.share).sum();
                prop_assert!((sum - item.score).abs() <= 1e-4 * item.score.abs().max(1.0), "{item:?} sums to {sum}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn diversity_moves_items_only_within_their_window(request in requests()) {
        with_shop(|shop| {
            let ranked = list(shop, &RecommendRequest { diversity: None, ..request.clone() }, 500);
            let varied = list(shop, &request, 500);
            prop_assert_eq!(ranked.len(), varied.len());
            let rank = |id: &str| ranked.iter().position(|item| item.id.as_str() == id).unwrap();
            for (place, item) in varied.iter().enumerate() {
                let rank = rank(item.id.as_str());
                prop_assert!(place.abs_diff(rank) < WINDOW, "place {place}, rank {rank}");
                prop_assert_eq!(item.score, ranked[rank].score, "scores do not change");
            }
            if request.diversity.is_none() {
                prop_assert!(ranked == varied, "without diversity the order is that of the scores");
            }
            Ok(())
        })?;
    }

    #[test]
    fn an_exploring_page_has_the_items_of_the_plain_one(request in requests(), seed in any::<u64>(), by_rank in any::<bool>()) {
        with_shop(|shop| {
            let how = match by_rank {
                true => Explore::Rank(Exploration { places: 2, among: 8, temperature: 3.0 }),
                false => Explore::Belief(Thompson { places: 2, among: 8 }),
            };
            let drawing = RecommendRequest { explore: Some((how, seed)), explain: true, ..request.clone() };
            let (plain, drawn) = (page(shop, &request, 0, 12), page(shop, &drawing, 0, 12));
            if plain.items.len() < 2 {
                prop_assert!(drawn.ranks.is_empty());
                return Ok(());
            }
            prop_assert_eq!(drawn.ranks.len(), drawn.items.len());
            prop_assert_eq!(drawn.propensities.len(), drawn.items.len());
            for (place, (item, &rank)) in drawn.items.iter().zip(&drawn.ranks).enumerate() {
                prop_assert_eq!(&item.id, &plain.items[rank as usize].id);
                let is_noted = item.reasons.iter().any(|reason| reason.code == "exploration");
                prop_assert_eq!(is_noted, rank as usize > place);
            }
            let mut sorted = drawn.ranks.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..plain.items.len() as u32));
            prop_assert!(drawn.propensities.iter().all(|&chance| chance > 0.0 && chance <= 1.0));
            prop_assert!(page(shop, &drawing, 12, 12).ranks.is_empty(), "only a first page is drawn");
            Ok(())
        })?;
    }

    #[test]
    fn a_page_compares_no_more_than_its_own_windows(request in requests(), offset in 0..600_usize, n in 1..300_usize) {
        with_shop(|shop| {
            let work = Work::default();
            make(shop.shop(), &RecommendRequest { offset, n, ..request }, &work);
            let bound = (n + 2 * WINDOW) * WINDOW;
            prop_assert!(work.compared() <= bound as u64, "{} pairs for {n} items from {offset}", work.compared());
            Ok(())
        })?;
    }
}

#[test]
fn a_deep_page_scores_each_item_of_the_catalogue_at_most_once() {
    with_shop(|shop| {
        let work = |offset, n| {
            let work = Work::default();
            make(shop.shop(), &RecommendRequest { visitor: user(1), offset, n, ..Default::default() }, &work);
            work
        };
        let (first, next, last) = (work(0, 10), work(10, 10), work(9_990, 1000));
        assert_eq!(first.scored(), next.scored(), "the next page costs the same as the first");
        assert!(first.scored() < 250, "{}", first.scored());
        assert!(first.looked_at() < 250, "{}", first.looked_at());
        let n_items = shop.facts.items.len() as u64;
        assert!(last.scored() <= n_items && last.scored() <= 2 * MAX_SCANNED as u64);
        assert!(last.looked_at() <= n_items);
        assert_eq!(work(DEPTH, 1000).scored(), 0, "beyond the list nothing is scored");
    });
}

#[test]
fn diversity_costs_the_same_on_every_page() {
    let shop = Fixture::new(Size { n_items: 3_000, variant_each: 50, ..Size::default() });
    let compared = |offset, n| {
        let work = Work::default();
        let request = RecommendRequest { visitor: user(1), offset, n, diversity: Some(0.5), ..Default::default() };
        assert_eq!(make(shop.shop(), &request, &work).items.len(), n);
        work.compared()
    };
    let of_a_window = (WINDOW * (WINDOW - 1) / 2) as u64;
    assert!(compared(0, 10) <= 10 * WINDOW as u64);
    for offset in [0, 400, 1_000, 2_000, 2_600] {
        assert!(compared(offset, 10) <= 2 * of_a_window, "{offset}");
        assert!(compared(offset, 200) <= 3 * of_a_window, "{offset}");
    }
    assert!(compared(0, 1_000) <= 8 * of_a_window);
}

#[test]
fn a_list_ends_at_its_depth_and_says_so() {
    let n_items = DEPTH as u64 + 40;
    let shop =
        Fixture::new(Size { n_items, n_users: 2, n_events: 20, n_favourites: 200, variant_each: 1 << 40, n_unmet: 0 });
    let request = RecommendRequest { diversity: Some(0.3), ..RecommendRequest::default() };
    let check = |offset, n, n_items, degraded: &[&str]| {
        let page = page(&shop, &request, offset, n);
        assert_eq!((page.items.len(), &page.degraded[..]), (n_items, degraded), "{offset}, {n}");
    };
    check(DEPTH - 20, 20, 20, &["cold_user"]);
    check(DEPTH - 20, 30, 20, &["cold_user", "too_deep"]);
    check(DEPTH, 10, 0, &["cold_user", "too_deep"]);
    check(usize::MAX, usize::MAX, 0, &["cold_user", "too_deep"]);
}

#[test]
fn pages_say_what_is_missing() {
    let empty =
        Fixture::new(Size { n_items: 0, n_users: 1, n_events: 0, n_favourites: 0, variant_each: 2, n_unmet: 0 });
    let stranger = RecommendRequest::default();
    assert_eq!(page(&empty, &stranger, 0, 10).degraded, ["cold_user", "empty_catalogue"]);
    with_shop(|shop| {
        assert_eq!(page(shop, &stranger, 0, 10).degraded, ["cold_user"]);
        let known = RecommendRequest { visitor: user(1), ..RecommendRequest::default() };
        assert_eq!(page(shop, &known, 0, 10).degraded, [""; 0]);
        let narrow = RecommendRequest { filter: Some(Filter::parse("brand:none").unwrap()), ..known };
        assert_eq!(page(shop, &narrow, 0, 10).degraded, ["few_candidates"]);
    });
}

#[test]
fn a_narrow_filter_ranks_all_items_that_pass_it() {
    with_shop(|shop| {
        let filter = Some(Filter::parse("brand:brand1").unwrap());
        let narrow = list(shop, &RecommendRequest { visitor: user(2), filter, ..Default::default() }, 1000);
        assert!(narrow.len() > 30 && narrow.is_sorted_by(|a, b| a.score >= b.score));
        let wide = list(shop, &RecommendRequest { visitor: user(2), ..Default::default() }, 1000);
        assert!(!wide.is_sorted_by(|a, b| a.score >= b.score), "scanned items follow retrieved ones");
    });
}

#[test]
fn an_item_unknown_to_the_models_competes_in_the_first_tier() {
    with_shop(|shop| {
        let work = Work::default();
        let request = RecommendRequest { visitor: user(3), n: 200, explain: true, ..Default::default() };
        let answer = make(shop.shop(), &request, &work);
        let newest = item_name(Size::default().n_items - 1);
        let place = answer.items.iter().position(|item| *item.id.as_str() == newest).unwrap();
        assert!(answer.items[place].reasons.iter().all(|reason| reason.code != "catalogue"), "{place}");
        let scanned = answer.items.iter().position(|item| item.reasons.iter().any(|r| r.code == "catalogue")).unwrap();
        assert!(place < scanned, "{place}, {scanned}");
    });
}

#[test]
fn a_cited_share_is_the_difference_that_leaving_out_the_event_makes() {
    with_shop(|shop| {
        let mut n_cited = 0;
        for number in 0..5 {
            let visitor = user(number);
            let history: Vec<_> = shop.events.iter().filter(|event| event.user == visitor.user).cloned().collect();
            // Without the event another variant of a product may be the better one.
            let grouping = Grouping::Item;
            let asked = RecommendRequest { n: 20, grouping, explain: true, ..Default::default() };
            let stored = shop.shop().recommend(&RecommendRequest { visitor, ..asked.clone() });
            let with =
                |events| shop.shop().recommend(&RecommendRequest { events: Some(events), n: 1000, ..asked.clone() });
            assert_eq!(
                ids(&with(history.clone()).items)[..20],
                ids(&stored.items),
                "a stored and an inline history are equal"
            );
            for item in &stored.items[..3] {
                let cites = |reason: &&Reason| matches!(reason.code, "because_of_event" | "chosen_before");
                for reason in item.reasons.iter().filter(cites) {
                    let at = reason.event.as_ref().unwrap().at;
                    let others = history.iter().filter(|event| event.at.0 / 1000 != at.0 / 1000).cloned().collect();
                    let without = with(others).items.into_iter().find(|other| other.id == item.id).unwrap();
                    let lacks = item.score - without.score;
                    assert!((lacks - reason.share).abs() < 1e-4, "{lacks} and {reason:?}");
                    n_cited += 1;
                }
            }
        }
        assert!(n_cited > 5, "{n_cited} events are cited");
    });
}

#[test]
fn columns_of_all_kinds_are_explained() {
    with_shop(|shop| {
        let request = RecommendRequest { visitor: user(1), explain: true, ..Default::default() };
        let codes = |answer: &Recommendation| -> BTreeSet<&str> {
            answer.items.iter().flat_map(|item| item.reasons.iter().map(|reason| reason.code)).collect()
        };
        let answer = shop.shop().recommend(&request);
        let told = codes(&answer);
        assert!(told.is_superset(&["because_of_event", "popular", "new_item", "rest_of_history"].into()), "{told:?}");
        assert!(answer.items.iter().any(|item| item.reasons.iter().any(|r| r.code == "popular" && r.share > 0.0)));
        let stranger = shop.shop().recommend(&RecommendRequest { visitor: Visitor::default(), ..request.clone() });
        assert!(codes(&stranger).contains("no_history"));
        let varied = shop.shop().recommend(&RecommendRequest { diversity: Some(0.8), ..request });
        assert!(codes(&varied).contains("diversity"));
    });
}

#[test]
fn similar_items_are_moved_apart() {
    with_shop(|shop| {
        let alike = |diversity| {
            let request = RecommendRequest { visitor: user(4), diversity: Some(diversity), ..Default::default() };
            let items = page(shop, &request, 0, 10).items;
            let indices: Vec<ItemIdx> = ids(&items).into_iter().map(|id| shop.facts.items.get(id).unwrap()).collect();
            let cosine = |pair: &[ItemIdx]| shop.version.ensemble.catalogue.cosine(pair[0], pair[1]);
            indices.windows(2).map(cosine).sum::<f32>()
        };
        let (plain, some, most) = (alike(0.0), alike(0.5), alike(1.0));
        assert!(most <= some && some < plain, "{plain}, {some}, {most}");
    });
}

#[test]
fn lists_without_a_visitor_show_one_of_each_variant_group() {
    with_shop(|shop| {
        let mut draws = Draws::new(1, 2, 3);
        let liked = shop.facts.items.get(&item_name(draws.below(50))).unwrap();
        let list = ListRequest { n: 100, ..ListRequest::default() };
        for answer in [shop.shop().similar(liked, &list), shop.shop().trending(&list), shop.shop().new_items(&list)] {
            assert!(answer.items.len() > 20);
            let mut variants = Variants::new(&shop.shop(), Grouping::Product);
            for item in &answer.items {
                assert!(variants.is_first(shop.facts.items.get(item.id.as_str()).unwrap()), "{}", item.id);
                let sum: f32 = item.reasons.iter().map(|reason| reason.share).sum();
                assert_eq!((sum, item.reasons.len()), (item.score, 1));
            }
        }
    });
}
