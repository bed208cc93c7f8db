use accrue_event::{RuleAction, ShopRule};
use proptest::prelude::*;

use super::Rules;
use crate::filter::Filter;
use crate::fixture::{Fixture, Size, user};
use crate::{Grouping, ListRequest, RecommendRequest, Recommended, SearchRequest, Shop};

fn rule(name: &str, action: RuleAction, edit: impl FnOnce(&mut ShopRule)) -> ShopRule {
    let json = format!(r#"{{"name": "{name}", "action": "hide"}}"#);
    let mut rule: ShopRule = serde_json::from_str(&json).unwrap();
    rule.action = action;
    edit(&mut rule);
    rule
}

fn of(items: &[&str]) -> impl FnOnce(&mut ShopRule) {
    let items = items.iter().map(|id| (*id).into()).collect();
    move |rule| rule.items = items
}

fn read(rules: &[ShopRule]) -> Rules {
    Rules::read(rules).unwrap()
}

fn search(shop: &Shop<'_>, fixture: &Fixture, query: &str, filter: Option<&str>) -> Vec<Recommended> {
    let request = SearchRequest {
        query: query.into(),
        filter: filter.map(|filter| Filter::parse(filter).unwrap()),
        grouping: Grouping::Item,
        visitor: user(1),
        n: 1000,
        explain: true,
        ..SearchRequest::default()
    };
    shop.search(&fixture.index, &request).unwrap().hits
}

fn page(shop: &Shop<'_>, filter: Option<&str>, offset: usize, n: usize) -> Vec<Recommended> {
    let request = RecommendRequest {
        visitor: user(1),
        filter: filter.map(|filter| Filter::parse(filter).unwrap()),
        grouping: Grouping::Item,
        offset,
        n,
        explain: true,
        ..RecommendRequest::default()
    };
    shop.recommend(&request).items
}

fn place(hits: &[Recommended], id: &str) -> Option<usize> {
    hits.iter().position(|hit| hit.id.as_str() == id)
}

fn reasons(hits: &[Recommended], id: &str) -> String {
    let hit = &hits[place(hits, id).unwrap()];
    let sum: f32 = hit.reasons.iter().map(|reason| reason.share).sum();
    assert!((sum - hit.score).abs() < 1e-3 * (1.0 + hit.score.abs()), "{hit:?}");
    hit.reasons.iter().filter(|reason| reason.code == "rule").map(|reason| &*reason.text).collect()
}

#[test]
fn rules_pin_boost_bury_and_hide_in_searches_and_on_pages_and_are_reasons() {
    let fixture = Fixture::new(Size::default());
    let rules = read(&[
        rule("first", RuleAction::Pin, of(&["i300", "i301"])),
        rule("gone", RuleAction::Hide, of(&["i0"])),
        rule("last", RuleAction::Bury, of(&["i1"])),
        rule("own brand", RuleAction::Boost, |rule| {
            (rule.filter, rule.factor) = (Some("brand:brand3".into()), Some(50.0));
        }),
    ]);
    let shop = Shop { rules: &rules, ..fixture.shop() };
    let plain = fixture.shop();
    let both = [
        (search(&shop, &fixture, "mug", None), search(&plain, &fixture, "mug", None)),
        (search(&shop, &fixture, "", None), search(&plain, &fixture, "", None)),
        (page(&shop, None, 0, 1000), page(&plain, None, 0, 1000)),
    ];
    for (hits, before) in both {
        assert_eq!((place(&hits, "i300"), place(&hits, "i301"), place(&hits, "i0")), (Some(0), Some(1), None));
        assert_eq!((reasons(&hits, "i300"), hits.len()), ("pinned by rule first".into(), before.len() - 1));
        assert!(place(&hits, "i1").unwrap() + 40 > hits.len() && place(&before, "i1").unwrap() < hits.len() / 2);
        assert_eq!(reasons(&hits, "i1"), "put behind others by rule last");
        let boosted = &hits[2];
        assert_eq!(reasons(&hits, boosted.id.as_str()), "boosted by rule own brand");
        let number = fixture.facts.items.get(boosted.id.as_str()).unwrap();
        assert_eq!(fixture.facts.entry(number).unwrap().item.brand.as_deref(), Some("brand3"));
    }
    let list = |shop: &Shop<'_>| shop.trending(&ListRequest { n: 1000, ..ListRequest::default() }).items;
    assert!(place(&list(&plain), "i0").is_some() && place(&list(&shop), "i0").is_none());
    let (all, visible) = (ListRequest::default(), ListRequest { grouping: Grouping::Item, ..ListRequest::default() });
    assert_eq!(plain.n_on_sale(&visible) - 1, shop.n_on_sale(&visible));
    assert!(shop.n_on_sale(&all) <= plain.n_on_sale(&all));
}

#[test]
fn pages_with_pins_are_cut_from_one_list() {
    let fixture = Fixture::new(Size::default());
    let rules = read(&[
        rule("a", RuleAction::Pin, |rule| (rule.items, rule.position) = (vec!["i300".into(), "i5".into()], Some(8))),
        rule("b", RuleAction::Pin, |rule| (rule.items, rule.position) = (vec!["i400".into()], Some(8))),
        rule("c", RuleAction::Bury, |rule| rule.filter = Some("brand:brand1".into())),
    ]);
    let shop = Shop { rules: &rules, ..fixture.shop() };
    let whole = page(&shop, None, 0, 600);
    let at = |id| place(&whole, id).unwrap();
    assert_eq!((at("i300"), at("i400"), at("i5")), (7, 8, 9), "each the next free place, by position and name");
    for n in [1, 7, 90] {
        let pages = (0..600).step_by(n).flat_map(|offset| page(&shop, None, offset, n.min(600 - offset)));
        let ids = |items: &mut dyn Iterator<Item = Recommended>| -> Vec<String> {
            items.map(|item| item.id.to_string()).collect()
        };
        assert_eq!(ids(&mut pages.into_iter()), ids(&mut whole.iter().cloned()), "{n}");
    }
}

#[test]
fn a_rule_holds_for_its_query_its_category_and_its_time() {
    let fixture = Fixture::new(Size::default());
    let now_ms = fixture.shop().now_ms;
    let pinned = |edit: &dyn Fn(&mut ShopRule), query: &str, filter: Option<&str>| {
        let rules = read(&[rule("r", RuleAction::Pin, |rule| {
            rule.items = vec!["i300".into()];
            edit(rule);
        })]);
        let shop = Shop { rules: &rules, ..fixture.shop() };
        place(&search(&shop, &fixture, query, filter), "i300") == Some(0)
    };
    let of_query = |rule: &mut ShopRule| rule.query = Some("Mug NUMBER".into());
    assert!(pinned(&of_query, "mug  number", None) && !pinned(&of_query, "mug", None) && !pinned(&of_query, "", None));
    let entry = fixture.facts.find(&"i300".into()).unwrap();
    let category = entry.item.categories[0].to_string();
    let of_category = |rule: &mut ShopRule| rule.category = Some(category.to_uppercase().into());
    let selects = format!("price:0.. AND category:{category}");
    assert!(pinned(&of_category, "", Some(&selects)) && !pinned(&of_category, "mug", None));
    assert!(!pinned(&of_category, "mug", Some("NOT category:other")));
    let between = |from: i64, until: i64| {
        move |rule: &mut ShopRule| {
            let at = |ms| Some(accrue_event::Timestamp(now_ms + ms));
            (rule.from, rule.until) = (at(from), at(until));
        }
    };
    assert!(pinned(&between(0, 1), "mug", None));
    assert!(!pinned(&between(1, 2), "mug", None) && !pinned(&between(-2, 0), "mug", None));
}

#[test]
fn of_contradicting_rules_hiding_wins_then_pins_then_burials() {
    let fixture = Fixture::new(Size::default());
    let first = |rules: &[ShopRule]| {
        let rules = read(rules);
        let hits = search(&Shop { rules: &rules, ..fixture.shop() }, &fixture, "mug", None);
        (place(&hits, "i300") == Some(0), place(&hits, "i300").is_some())
    };
    let pin = || rule("pin", RuleAction::Pin, of(&["i300"]));
    let bury = || rule("bury", RuleAction::Bury, of(&["i300"]));
    let hide = || rule("hide", RuleAction::Hide, of(&["i300"]));
    assert_eq!(first(&[pin(), bury()]), (true, true));
    assert_eq!(first(&[pin(), bury(), hide()]), (false, false));
    let twice = rule("again", RuleAction::Pin, |rule| (rule.items, rule.position) = (vec!["i300".into()], Some(5)));
    assert_eq!(first(&[twice, pin()]), (true, true), "an item takes the first of its places");
}

#[test]
fn a_pin_shows_nothing_that_may_not_be_shown() {
    let fixture = Fixture::new(Size::default());
    let rules = read(&[rule("r", RuleAction::Pin, of(&["i300", "nothing", "i301"]))]);
    let shop = Shop { rules: &rules, ..fixture.shop() };
    let price = fixture.facts.find(&"i300".into()).unwrap().item.price.unwrap();
    let others = format!("NOT price:{price} AND NOT id:i301");
    for hits in [search(&shop, &fixture, "mug", Some(&others)), page(&shop, Some(&others), 0, 100)] {
        assert_eq!((place(&hits, "i300"), place(&hits, "i301")), (None, None));
    }
    let hits = search(&shop, &fixture, "zebra", None);
    assert_eq!((place(&hits, "i300"), place(&hits, "i301"), hits.len()), (Some(0), Some(1), 2), "also without a match");
}

#[test]
fn a_boost_by_an_attribute_grows_with_its_number() {
    let boost = rule("margin", RuleAction::Boost, |rule| {
        (rule.attribute, rule.full_at, rule.factor) = (Some("margin".into()), Some(0.5), Some(3.0));
    });
    let rules = read(&[boost]);
    let fixture = Fixture::new(Size { n_items: 10, n_unmet: 0, n_events: 10, ..Size::default() });
    let factor = |margin: Option<f64>| {
        let mut item = accrue_event::Item::bare("i1".into());
        item.attributes.extend(margin.map(|margin| ("margin".into(), accrue_event::Attribute::Number(margin))));
        let mut facts = accrue_store::Facts::new(1);
        let body = accrue_store::Body::Item(Box::new(item));
        let (offset, received_at) = (accrue_store::Offset(0), accrue_event::Timestamp(0));
        facts.apply(&accrue_store::Record { offset, received_at, body });
        let shop = Shop { facts: &facts, rules: &rules, ..fixture.shop() };
        super::ActiveRules::of(&shop, None, None).boost(&shop, 0)
    };
    assert_eq!([None, Some(0.0), Some(0.25), Some(0.5), Some(9.0)].map(factor), [1.0, 1.0, 2.0, 3.0, 3.0]);
}

#[test]
fn faults_are_told_with_their_field() {
    let fault = |action, edit: &dyn Fn(&mut ShopRule)| {
        let good = rule("good", RuleAction::Hide, of(&["a"]));
        let bad = rule("bad", action, |rule| edit(rule));
        Rules::read(&[good, bad]).unwrap_err().field
    };
    assert_eq!(fault(RuleAction::Hide, &|_| {}), "rules[1].items");
    assert_eq!(fault(RuleAction::Hide, &|rule| rule.filter = Some("price:".into())), "rules[1].filter");
    assert_eq!(
        fault(RuleAction::Hide, &|rule| (rule.items, rule.factor) = (vec!["a".into()], Some(2.0))),
        "rules[1].factor"
    );
    assert_eq!(fault(RuleAction::Boost, &|rule| rule.items = vec!["a".into()]), "rules[1].factor");
    for factor in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e9] {
        let edit = |rule: &mut ShopRule| (rule.items, rule.factor) = (vec!["a".into()], Some(factor));
        assert_eq!(fault(RuleAction::Boost, &edit), "rules[1].factor", "{factor}");
    }
    assert_eq!(fault(RuleAction::Pin, &|rule| rule.filter = Some("brand:a".into())), "rules[1].items");
    assert_eq!(
        fault(RuleAction::Pin, &|rule| (rule.items, rule.position) = (vec!["a".into()], Some(0))),
        "rules[1].position"
    );
    assert_eq!(
        fault(RuleAction::Hide, &|rule| (rule.items, rule.query) = (vec!["a".into()], Some("?".into()))),
        "rules[1].query"
    );
    let at = |ms| Some(accrue_event::Timestamp(ms));
    assert_eq!(
        fault(RuleAction::Hide, &|rule| (rule.items, rule.from, rule.until) = (vec!["a".into()], at(5), at(5))),
        "rules[1].until"
    );
    let twice = [rule("a", RuleAction::Hide, of(&["x"])), rule("a", RuleAction::Bury, of(&["y"]))];
    assert_eq!(Rules::read(&twice).unwrap_err().field, "rules[1].name");
    assert!(Rules::read(&vec![twice[0].clone(); super::MAX_RULES + 1]).is_err());
}

proptest! {
    #[test]
    fn no_rule_panics(
        action in 0..4_usize,
        name in ".{0,20}",
        query in prop::option::of(".{0,20}"),
        filter in prop::option::of("[a-z:()0-9. ]{0,20}"),
        factor in prop::option::of(any::<f32>()),
        full_at in prop::option::of(any::<f64>()),
        position in prop::option::of(any::<u32>()),
    ) {
        let actions = [RuleAction::Pin, RuleAction::Boost, RuleAction::Bury, RuleAction::Hide];
        let mut random = rule("r", actions[action], |rule| {
            (rule.query, rule.filter) = (query.map(Into::into), filter.map(Into::into));
            (rule.factor, rule.full_at, rule.position) = (factor, full_at, position);
            rule.attribute = full_at.map(|_| "a".into());
        });
        random.name = name.into();
        let _ = Rules::read(&[random]);
    }
}
