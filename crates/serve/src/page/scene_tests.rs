//! Tests of scenes: what their sources, caps and diversity change on a page.

use std::collections::BTreeSet;

use accrue_event::Timestamp;
use accrue_store::{Body, CheckedEvent, ItemIdx, Record};
use proptest::prelude::*;

use super::tests::{ids, requests, with_shop};
use super::{Stage, StageWork};
use crate::filter::Filter;
use crate::fixture::{Fixture, Size, item_name, user};
use crate::{Grouping, RecommendRequest, Recommendation, Recommended, Scenes};

/// Scenes whose sources and rest differ, by name.
fn scenes() -> Scenes {
    let toml = "[few]\nsources = ['trending', 'neighbours']\nlimit = { trending = 12 }\n\
                [only]\nsources = ['models', 'similar', 'bought', 'replenishment']\nrest = 'never'\n\
                [cut]\nsources = ['models', 'new']\nmax_candidates = 9\n\
                [front]\nlike = 'home'\nsources = ['models', 'new', 'trending', 'similar']\nrest = 'compete'\n\
                diversity = { strength = 0.4 }\n\
                [capped]\ncaps = { brand = 2, category = 4 }\n\
                [ahead]\nsources = ['models', 'new', 'trending', 'similar']\nfirst = ['trending', 'similar']\nrest = 'compete'\n\
                [dpp]\nlike = 'capped'\n\
                diversity = { strength = 0.5, kind = 'dpp', by = ['vectors', 'brands', 'categories'], places = 37 }\n\
                [tired]\nfatigue = { after = 2 }\ndiversity = { strength = 0.2, by = ['descriptions', 'brands'] }";
    Scenes::read(&toml::from_str(toml).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pages_of_any_scene_are_cut_from_one_list(
        request in requests(),
        scene in proptest::sample::select(
            &["few", "only", "cut", "front", "again", "capped", "dpp", "tired", "ahead", "product", "basket", "email"][..]
        ),
        n in 1..60_usize,
        at in 0..300_usize,
    ) {
        with_shop(|fixture| {
            let scenes = scenes();
            let shop = fixture.shop_with(&scenes);
            let request = RecommendRequest { scene: Some(scene.into()), ..request };
            let page = |offset, n| shop.recommend(&RecommendRequest { offset, n, n_on_sale: Some(700), ..request.clone() });
            let whole = page(0, 1000);
            let mut parts = Vec::new();
            while let next = page(parts.len(), n) && !next.items.is_empty() {
                parts.extend(next.items);
            }
            prop_assert_eq!(ids(&parts), ids(&whole.items), "pages of {} are another list", n);
            let cut = page(at, n).items;
            prop_assert_eq!(ids(&cut), ids(&whole.items[at.min(whole.items.len())..(at + n).min(whole.items.len())]));
            let distinct: BTreeSet<&str> = ids(&whole.items).into_iter().collect();
            prop_assert_eq!(distinct.len(), whole.items.len());
            if scene == "only" {
                prop_assert_eq!(whole.total, Some(whole.items.len()));
                prop_assert!(whole.items.len() < 400, "the rest of the shop is not there");
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_stage_that_does_less_than_its_scene_asks_for_says_so() {
    with_shop(|fixture| {
        let scenes = scenes();
        let shop = fixture.shop_with(&scenes);
        let ask = |scene: &str| {
            shop.recommend_measured(&RecommendRequest {
                visitor: user(1),
                scene: Some(scene.into()),
                ..RecommendRequest::default()
            })
        };
        let (cut, work) = ask("cut");
        assert!(cut.degraded.contains(&"candidates_cut"), "{:?}", cut.degraded);
        assert!(work.of(Stage::Sources).fell_back && work.of(Stage::Sources).n_out == 9, "{work:?}");
        let toml = "[a]\nsources = ['bought_together', 'trending']";
        let scenes = Scenes::read(&toml::from_str(toml).unwrap()).unwrap();
        let request = RecommendRequest { scene: Some("a".into()), ..RecommendRequest::default() };
        let other = fixture.shop_with(&scenes).recommend(&request);
        assert!(other.degraded.contains(&"source_unavailable") && other.items.len() == 10, "{:?}", other.degraded);
        let (home, work) = ask("home");
        assert!(home.degraded.is_empty(), "{:?}", home.degraded);
        let of = |stage| work.of(stage);
        assert!(of(Stage::Filter).n_in >= of(Stage::Filter).n_out && of(Stage::Rank).n_in == of(Stage::Rank).n_out);
        assert_eq!((of(Stage::Rerank).n_out, of(Stage::Explain)), (10, StageWork::default()));
        let misspelt = ask("hmoe").0;
        assert!(misspelt.degraded.contains(&"unknown_scene"), "{:?}", misspelt.degraded);
        assert!(ask("our own page").0.degraded.is_empty());
    });
}

#[test]
fn what_stands_first_is_what_the_named_sources_find() {
    with_shop(|fixture| {
        let about = fixture.facts.items.get("i3").unwrap();
        let request = |scene: Option<&str>, n| RecommendRequest {
            visitor: user(1),
            scene: scene.map(Into::into),
            items: vec!["i3".into()],
            grouping: Grouping::Item,
            n,
            ..RecommendRequest::default()
        };
        let likeness = |scene: Option<&str>, n| {
            let page = fixture.shop().recommend(&request(scene, n));
            let cosine = |item: &Recommended| {
                fixture.version.ensemble.catalogue.cosine(about, fixture.facts.items.get(item.id.as_str()).unwrap())
            };
            page.items.iter().map(cosine).collect::<Vec<f32>>()
        };
        let product = likeness(Some("product"), 60);
        let behind = product[20..].iter().copied().fold(0.0, f32::max);
        assert!(
            product[..20].iter().all(|first| *first >= behind),
            "the 20 that are most alike stand first: {product:?}"
        );
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        assert!(mean(&product[..10]) > 1.5 * mean(&likeness(None, 10)));
        let (whole, rest) = (likeness(Some("product"), 1000).len(), likeness(None, 1000).len());
        assert_eq!(whole, rest, "nothing is lost or doubled");
    });
}

#[test]
fn trending_is_of_the_category_of_the_page() {
    with_shop(|fixture| {
        let toml = "[a]\nsources = ['trending']\nrest = 'never'";
        let scenes = Scenes::read(&toml::from_str(toml).unwrap()).unwrap();
        let shop = fixture.shop_with(&scenes);
        let request = RecommendRequest {
            scene: Some("a".into()),
            items: vec![item_name(3).as_str().into()],
            ..RecommendRequest::default()
        };
        let category = |id: &str| {
            let item = fixture.facts.items.get(id).unwrap();
            fixture.facts.described(item).unwrap().categories()[0].to_string()
        };
        let page = shop.recommend(&request);
        assert!(page.items.len() > 3, "{page:?}");
        assert!(page.items.iter().all(|item| category(item.id.as_str()) == category("i3")), "{page:?}");
    });
}

#[test]
fn no_more_of_one_kind_stands_together_than_the_caps_allow() {
    with_shop(|fixture| {
        let scenes = scenes();
        let shop = fixture.shop_with(&scenes);
        let kinds = |id: &str| {
            let item = fixture.facts.described(fixture.facts.items.get(id).unwrap()).unwrap();
            (item.brand().unwrap().to_owned(), item.categories()[0].to_string())
        };
        let most = |page: &Recommendation| {
            type Kind = (String, String);
            let kinds: Vec<Kind> = page.items.iter().map(|item| kinds(item.id.as_str())).collect();
            let of = |is_it: fn(&Kind, &Kind) -> bool| {
                let counts = kinds.windows(10).flat_map(|window| {
                    window.iter().map(|one| window.iter().filter(|other| is_it(one, other)).count())
                });
                counts.max().unwrap()
            };
            (of(|one, other| one.0 == other.0), of(|one, other| one.1 == other.1))
        };
        for visitor in 0..6 {
            let ask = |scene: Option<&str>| {
                let scene = scene.map(Into::into);
                shop.recommend(&RecommendRequest {
                    visitor: user(visitor),
                    scene,
                    n: 60,
                    ..RecommendRequest::default()
                })
            };
            let (brand, category) = most(&ask(None));
            assert!(brand > 2 || category > 4, "the order by score has more: {brand} {category}");
            for scene in ["capped", "dpp"] {
                let page = ask(Some(scene));
                let (brand, category) = most(&page);
                assert!(brand <= 2 && category <= 4, "{scene}: {brand} {category}");
                assert!(!page.degraded.contains(&"caps_unmet"), "{:?}", page.degraded);
            }
        }
        let one_brand = RecommendRequest {
            scene: Some("capped".into()),
            filter: Some(Filter::parse("brand:brand1").unwrap()),
            ..RecommendRequest::default()
        };
        let page = shop.recommend(&one_brand);
        assert!(page.items.len() == 10 && page.degraded.contains(&"caps_unmet"), "{:?}", page.degraded);
        let deep = RecommendRequest { scene: Some("dpp".into()), n: 40, ..RecommendRequest::default() };
        assert!(shop.recommend(&deep).degraded.contains(&"diversity_cut"));
    });
}

#[test]
fn a_page_is_more_diverse_the_more_its_scene_asks_for_it() {
    with_shop(|fixture| {
        let catalogue = &fixture.version.ensemble.catalogue;
        let distance = |page: &Recommendation| {
            let items: Vec<ItemIdx> =
                page.items.iter().map(|item| fixture.facts.items.get(item.id.as_str()).unwrap()).collect();
            let pairs = (0..items.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
            let (sum, n) =
                pairs.fold((0.0, 0.0), |(sum, n), (a, b)| (sum + 1.0 - catalogue.cosine(items[a], items[b]), n + 1.0));
            sum / n
        };
        for kind in ["mmr", "dpp"] {
            let of = |strength: f32| {
                let toml = format!("[a.diversity]\nstrength = {strength}\nkind = '{kind}'");
                let scenes = Scenes::read(&toml::from_str(&toml).unwrap()).unwrap();
                let shop = fixture.shop_with(&scenes);
                let ask = |visitor| {
                    let scene = Some("a".into());
                    shop.recommend(&RecommendRequest { visitor: user(visitor), scene, ..RecommendRequest::default() })
                };
                (0..10).map(|visitor| distance(&ask(visitor))).sum::<f32>() / 10.0
            };
            let (plain, some, much) = (of(0.0), of(0.3), of(0.8));
            assert!(plain < some && some < much, "{kind}: {plain} {some} {much}");
        }
    });
}

#[test]
fn what_was_shown_often_and_never_chosen_stands_lower_and_says_so() {
    let mut fixture = Fixture::new(Size::default());
    let scenes = scenes();
    let request =
        RecommendRequest { scene: Some("tired".into()), explain: true, visitor: user(1), ..Default::default() };
    let before = fixture.shop_with(&scenes).recommend(&request);
    let first = before.items[0].id.clone();
    for _ in 0..3 {
        let mut event = fixture.event(accrue_event::EventType::Impression, 0, 1);
        (event.item, event.user) = (Some(first.clone()), Some("u1".into()));
        let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
        let offset = fixture.facts.end;
        fixture.facts.apply(&Record { offset, received_at: Timestamp(0), body });
    }
    let after = fixture.shop_with(&scenes).recommend(&RecommendRequest { n: 100, ..request.clone() });
    let place = after.items.iter().position(|item| item.id == first).unwrap();
    let lowered = &after.items[place];
    assert!(place > 0 && (before.items[0].score - lowered.score - 0.8).abs() < 1e-4, "{place} {lowered:?}");
    let reason = lowered.reasons.iter().find(|reason| reason.code == "shown_often").unwrap();
    assert_eq!((reason.share, &*reason.text), (-0.8, "shown 3 times and not chosen"));
    let plain = fixture.shop_with(&scenes).recommend(&RecommendRequest { scene: None, ..request.clone() });
    assert_eq!(plain.items[0].id, first, "other scenes are as they were");
    let other = fixture.shop_with(&scenes).recommend(&RecommendRequest { visitor: user(2), ..request });
    assert!(other.items.iter().all(|item| item.reasons.iter().all(|reason| reason.code != "shown_often")));
}
