//! Tests of the whole simulator: the order of policies, reproducibility, valid events.

use std::collections::HashSet;

use accrue_event::{EventType, Price};

use super::*;

/// Smaller than the default shop, so that unoptimised tests are fast.
fn small(seed: u64) -> SimulatorSettings {
    SimulatorSettings { seed, n_items: 800, n_shoppers: 200, visits_per_day: 400.0, ..Default::default() }
}

fn next_visit(shop: &mut Simulator) -> Visit {
    loop {
        if let Step::Visit(visit) = shop.next_step() {
            return visit;
        }
    }
}

fn run_to_day(shop: &mut Simulator, day: f64) {
    while shop.now().days_since(shop.settings().start) < day {
        shop.next_step();
    }
}

/// The debug output of `n_steps` steps, with the best page for even visits and a fixed page for odd ones.
fn transcript(settings: SimulatorSettings, n_steps: usize) -> String {
    let mut shop = Simulator::new(settings);
    let mut transcript = String::new();
    for _ in 0..n_steps {
        let step = shop.next_step();
        if let Step::Visit(visit) = &step {
            let shown = if visit.number % 2 == 0 { shop.best_page(visit) } else { ids(&shop, 10) };
            transcript.push_str(&format!("{:?}", shop.respond(visit, &shown)));
        }
        transcript.push_str(&format!("{step:?}\n"));
    }
    transcript
}

fn ids(shop: &Simulator, n: usize) -> Vec<ItemId> {
    shop.items().iter().take(n).map(|item| item.id.clone()).collect()
}

#[test]
fn oracle_beats_popular_beats_random() {
    let run = |policy: Policy| -> Vec<[PolicyReport; 2]> {
        (1..=3).map(|seed| run_policy(&mut Simulator::new(small(seed)), &policy, 3_000)).collect()
    };
    let per_visit = |reports: &[[PolicyReport; 2]], kind: usize| {
        let of_page = |report: &PolicyReport| report.expected_clicks / report.n_visits.max(1) as f64;
        reports.iter().map(|report| of_page(&report[kind])).sum::<f64>() / reports.len() as f64
    };
    let policies = [run(Policy::Random), run(Policy::Popular), run(Policy::Oracle)];
    for (kind, margin) in [(0, 2.0), (1, 1.5)] {
        let [random, popular, oracle] = [0, 1, 2].map(|policy| per_visit(&policies[policy], kind));
        assert!(popular > margin * random && oracle > 4.0 * popular, "{kind}: {random}, {popular}, {oracle}");
    }
    for report in policies.iter().flatten().flatten() {
        // The standard deviation of a Poisson distribution is an upper bound for that of such cascades.
        let off = (report.n_clicks as f64 - report.expected_clicks).abs();
        assert!(off < 4.0 * report.expected_clicks.sqrt(), "{report:?}");
        assert!(report.expected_clicks <= 1.001 * report.best_expected_clicks, "{report:?}");
    }
    for [all, _] in &policies[0] {
        let closed_form = all.random_expected_clicks / all.expected_clicks;
        assert!((0.9..1.15).contains(&closed_form), "the closed form is {closed_form} of what random pages are worth");
    }
}

/// Results named `sim-v1` must stay comparable: a changed model gets another name, such as `sim-v2`.
#[test]
fn sim_v1_is_unchanged() {
    let mut shop = Simulator::new(small(1));
    let mut transcript = String::new();
    for _ in 0..200 {
        let visit = next_visit(&mut shop);
        let shown = shop.best_page(&visit);
        let outcome = shop.respond(&visit, &shown);
        transcript.push_str(&format!("{:x}\n", outcome.expected_clicks.to_bits()));
        for event in &outcome.events {
            let item = event.item.as_ref().map_or("", |item| item.as_str());
            transcript.push_str(&format!("{} {} {item} {}\n", event.id, event.event_type, event.at.0));
        }
    }
    assert_eq!(
        random::hash_text(&transcript),
        0x1c89_97e3_6101_a259,
        "the results differ from those published as sim-v1"
    );
}

#[test]
fn every_byte_depends_on_the_seed() {
    assert_eq!(transcript(small(7), 400), transcript(small(7), 400));
    assert_ne!(transcript(small(7), 20), transcript(small(8), 20));
}

#[test]
fn visits_do_not_depend_on_the_pages() {
    let visits = |answer: bool| {
        let mut shop = Simulator::new(small(3));
        let visits = (0..2_000).map(|_| {
            let visit = next_visit(&mut shop);
            if answer {
                let page = shop.best_page(&visit);
                shop.respond(&visit, &page);
            }
            (visit.at, visit.session, visit.shopper, std::mem::discriminant(&visit.request))
        });
        visits.collect::<Vec<_>>()
    };
    assert_eq!(visits(true), visits(false));
}

#[test]
fn pages_for_the_tastes_of_day_0_lose_value_by_day_60_and_none_without_drift() {
    let kept = |drift| {
        let mut shop = Simulator::new(SimulatorSettings { drift, ..small(2) });
        let frozen = Policy::Frozen(shop.tastes());
        run_to_day(&mut shop, 60.0);
        let report = run_policy(&mut shop, &frozen, 2_000)[0];
        report.expected_clicks / report.best_expected_clicks
    };
    assert!((0.67..0.9).contains(&kept(1.0)), "kept {}", kept(1.0));
    assert_eq!(kept(0.0), 1.0);
}

#[test]
fn pages_may_be_empty_or_contain_unknown_or_too_many_items() {
    let mut shop = Simulator::new(small(4));
    for _ in 0..300 {
        let visit = next_visit(&mut shop);
        let nothing = shop.respond(&visit, &[]);
        assert_eq!((nothing.n_clicks, nothing.expected_clicks), (0, 0.0));
        assert!(nothing.events.iter().all(|event| event.position.is_none()));
        let mut shown = shop.best_page(&visit);
        let whole = shop.respond(&visit, &shown);
        shown.push("sku-00001".into());
        shown[0] = "no-such-item".into();
        let outcome = shop.respond(&visit, &shown);
        assert_eq!((outcome.n_unknown, outcome.n_beyond), (1, 1));
        assert!(outcome.events.iter().all(|event| event.position != Some(0)));
        assert!(outcome.expected_clicks.is_finite() && outcome.expected_clicks < whole.best_expected_clicks);
    }
}

#[test]
fn shops_without_items_or_accounts_keep_running() {
    for (n_items, n_shoppers) in [(0, 20), (1, 0), (40, 1)] {
        let settings = SimulatorSettings { n_items, n_shoppers, new_products_per_day: 0.0, ..small(5) };
        let [report, _] = run_policy(&mut Simulator::new(settings), &Policy::Oracle, 300);
        assert_eq!(report.n_visits, 300);
        assert!(report.expected_clicks.is_finite());
    }
}

#[test]
fn events_satisfy_the_rules_of_the_check() {
    let mut shop = Simulator::new(small(6));
    let mut seen = HashSet::new();
    let mut types = HashSet::new();
    for _ in 0..2_000 {
        let visit = next_visit(&mut shop);
        let shown = shop.best_page(&visit);
        let mut outcome = shop.respond(&visit, &shown);
        outcome.credit("r-1");
        assert!(outcome.events.is_sorted_by_key(|event| event.at));
        for event in &outcome.events {
            assert!(seen.insert(event.id.clone()), "{} is repeated", event.id);
            assert!((0..=230_000).contains(&(event.at.0 - visit.at.0)));
            assert_eq!(event.shopper(), visit.shopper);
            assert!(event.quantity > 0 && event.value.is_finite());
            assert_eq!(event.recommendation_id.is_some(), event.position.is_some());
            if let Some(position) = event.position {
                assert_eq!(event.item.as_ref(), Some(&shown[position as usize]));
            }
            let is_priced = matches!(event.event_type, EventType::Cart | EventType::Purchase);
            assert_eq!(event.price.is_some_and(|price| price > Price::ZERO), is_priced);
            types.insert(event.event_type.name().to_string());
        }
    }
    for name in ["impression", "click", "view", "favorite", "cart", "purchase", "search"] {
        assert!(types.contains(name), "no {name} in 2,000 visits");
    }
}

#[test]
fn searches_have_answers_and_the_best_page_contains_them() {
    let mut shop = Simulator::new(small(8));
    let (mut n_searches, mut n_relevant, mut n_shown) = (0, 0, 0);
    while n_searches < 300 {
        let visit = next_visit(&mut shop);
        let Request::Search(query) = &visit.request else { continue };
        n_searches += 1;
        assert!(shop.items().iter().any(|item| shop.is_relevant(query, &item.id)), "{query:?} finds nothing");
        let page = shop.best_page(&visit);
        n_relevant += page.iter().take(3).filter(|item| shop.is_relevant(query, item)).count();
        n_shown += 3;
    }
    assert!(n_relevant * 10 > n_shown * 6, "{n_relevant} of {n_shown} answers on top are relevant");
}

#[test]
fn items_out_of_stock_are_never_clicked_nor_on_the_best_page() {
    let mut shop = Simulator::new(SimulatorSettings { stock_outs_per_day: 200.0, ..small(9) });
    run_to_day(&mut shop, 3.0);
    let gone: Vec<ItemId> =
        shop.items().iter().filter(|item| !item.can_be_shown()).take(10).map(|item| item.id.clone()).collect();
    assert_eq!(gone.len(), 10);
    let visit = next_visit(&mut shop);
    assert_eq!(shop.respond(&visit, &gone).expected_clicks, 0.0);
    assert!(shop.best_page(&visit).iter().all(|item| !gone.contains(item)));
}

#[test]
fn the_steps_describe_all_changes_of_the_catalogue() {
    let mut shop = Simulator::new(small(10));
    let mut known = shop.items_at_start();
    let (mut n_new, mut n_prices, mut n_stocks) = (0, 0, 0);
    while shop.now().days_since(shop.settings().start) < 15.0 {
        let find =
            |item: &ItemId, known: &[Item]| known.iter().position(|other| other.id == *item).expect("a known item");
        match shop.next_step() {
            Step::Visit(_) => {}
            Step::NewItems(items) => {
                n_new += items.len();
                assert!(items.iter().all(|item| item.published_at == Some(shop.now())));
                known.extend(items);
            }
            Step::PriceChange { item, price, .. } => {
                n_prices += 1;
                let idx = find(&item, &known);
                known[idx].price = Price::from_f32(price);
            }
            Step::StockChange { item, stock, .. } => {
                n_stocks += 1;
                let idx = find(&item, &known);
                known[idx].stock = Some(stock);
            }
        }
    }
    assert_eq!(known, shop.items());
    assert_eq!(shop.items_at_start(), Simulator::new(small(10)).items());
    assert!(n_new > 40 && n_prices > 300 && n_stocks > 150, "{n_new} {n_prices} {n_stocks}");
}

#[test]
fn the_number_of_visits_per_day_matches_the_settings() {
    let mut shop = Simulator::new(small(11));
    let mut n_visits = 0;
    while shop.now().days_since(shop.settings().start) < 20.0 {
        n_visits += usize::from(matches!(shop.next_step(), Step::Visit(_)));
    }
    assert!((7_500..8_500).contains(&n_visits), "{n_visits} visits in 20 days of 400");
}

#[test]
fn an_upheaval_makes_earlier_tastes_less_useful() {
    // Pages for the tastes of the first day are still good on the second, unless all tastes changed in between.
    let worth_of_yesterday = |upheaval_every_days| {
        let settings = SimulatorSettings { upheaval_every_days, visits_per_day: 1_500.0, ..small(3) };
        let mut shop = Simulator::new(settings);
        let tastes = shop.tastes();
        run_policy(&mut shop, &Policy::Random, 1_500);
        let [all, _] = run_policy(&mut shop, &Policy::Frozen(tastes), 800);
        all.expected_clicks / all.best_expected_clicks
    };
    let (calm, shaken) = (worth_of_yesterday(0), worth_of_yesterday(1));
    assert!(calm > 0.9 && shaken < calm - 0.1, "{calm} {shaken}");
}

#[test]
fn a_log_is_reproducible_and_a_longer_one_begins_with_it() {
    let log = |days| {
        simulated_log(SimulatorSettings { n_items: 100, n_shoppers: 20, visits_per_day: 60.0, ..small(6) }, days)
    };
    let (short, long) = (log(2), log(3));
    assert!(short.events.len() > 50 && long.events.len() > short.events.len());
    assert_eq!(short.events, long.events[..short.events.len()]);
    assert_eq!(short.items[..100], long.items[..100]);
}
