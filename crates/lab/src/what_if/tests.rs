use std::collections::BTreeMap;

use accrue_event::{EventType, ItemId, Shopper};
use accrue_kernel::{Draws, random};
use accrue_model::Exploration;

use super::*;
use crate::simulator::{Request, Simulator, SimulatorSettings, Step, Visit};

const SHOWN: u64 = 0x5748_4154;
const BOOST: u64 = 0x424f_4f53;
/// One shopper in this number is observed.
const SEEN_ONE_IN: u64 = 4;
const LOGGING: Exploration = Exploration { places: 2, among: 4, temperature: 4.0 };
const PAGE: usize = 6;
/// Proposals that are judged on one shop's log.
const POLICIES: u64 = 8;

fn settings(top: usize) -> WhatIfSettings {
    WhatIfSettings { top, off_policy: OffPolicySettings::default() }
}

/// The page of a proposal: the best four by rank and a boost of the item's own, the first two of them first.
fn proposed(policy: u64, ranked: &[ItemId], numbers: &mut Numbers) -> Vec<ItemId> {
    let mut boosted: Vec<(f64, usize)> = ranked[..ranked.len().min(LOGGING.among)]
        .iter()
        .enumerate()
        .map(|(rank, item)| {
            let boost = random(policy, BOOST, numbers.of(item.as_str()).into(), 0) as f64 / u64::MAX as f64;
            (4.0 * boost - rank as f64, rank)
        })
        .collect();
    boosted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let first: Vec<usize> = boosted.iter().take(LOGGING.places).map(|&(_, rank)| rank).collect();
    let rest = (0..ranked.len()).filter(|rank| !first.contains(rank));
    first.iter().copied().chain(rest).map(|rank| ranked[rank].clone()).collect()
}

fn clicks(shop: &Simulator, visit: &Visit, page: &[ItemId]) -> f64 {
    shop.chances(visit, page).iter().map(|place| place.examined * place.clicked).sum()
}

/// What the pages that a proposal changes earn in truth: under the ranked order, and under the proposal.
#[derive(Clone, Copy, Default)]
struct Truth {
    n: f64,
    kept: f64,
    proposed: f64,
}

/// The observed pages of a shop by proposal, and what each proposal earns.
fn shop(seed: u64, visits: usize) -> (Vec<Vec<JudgedPage>>, Vec<Truth>) {
    let (n_items, n_shoppers) = (200, 400);
    let mut shop =
        Simulator::new(SimulatorSettings { seed, n_items, n_shoppers, page_size: PAGE, ..Default::default() });
    let mut pages = vec![Vec::new(); POLICIES as usize];
    let (mut truths, mut n_visits) = (vec![Truth::default(); POLICIES as usize], 0);
    let (mut users, mut numbers) = (BTreeMap::<Shopper, u32>::new(), Numbers::default());
    while n_visits < visits {
        let Step::Visit(visit) = shop.next_step() else { continue };
        if visit.request != Request::Home {
            continue;
        }
        n_visits += 1;
        let ranked = shop.best_page(&visit);
        let kept = clicks(&shop, &visit, &ranked);
        let wanted: Vec<Vec<ItemId>> =
            (0..POLICIES).map(|policy| proposed(seed * POLICIES + policy, &ranked, &mut numbers)).collect();
        for (truth, page) in truths.iter_mut().zip(&wanted).filter(|(_, page)| **page != ranked) {
            truth.n += 1.0;
            truth.kept += kept;
            truth.proposed += clicks(&shop, &visit, page);
        }
        let drawn = LOGGING.draw(ranked.len(), &mut Draws::new(seed, SHOWN, visit.number));
        let shown: Vec<ItemId> = drawn.ranks.iter().map(|&rank| ranked[rank as usize].clone()).collect();
        let outcome = shop.respond(&visit, &shown);
        let next = users.len() as u32;
        let shopper = *users.entry(visit.shopper.clone()).or_insert(next);
        if !random(seed, SHOWN, shopper.into(), 1).is_multiple_of(SEEN_ONE_IN) {
            continue;
        }
        let mut clicks = vec![0.0; shown.len()];
        for event in outcome.events.iter().filter(|event| event.event_type == EventType::Click) {
            if let Some(click) = event.position.and_then(|place| clicks.get_mut(place as usize)) {
                *click = 1.0;
            }
        }
        let mut of = |items: &[ItemId]| items.iter().map(|item| numbers.of(item.as_str())).collect::<Vec<u32>>();
        let page = JudgedPage {
            shopper,
            shown: of(&shown),
            ranks: drawn.ranks.clone(),
            propensities: drawn.propensities.clone(),
            purchases: vec![0.0; shown.len()],
            clicks,
            current: of(&ranked),
            proposed: Vec::new(),
        };
        for (pages, wanted) in pages.iter_mut().zip(&wanted) {
            pages.push(JudgedPage { proposed: of(wanted), ..page.clone() });
        }
    }
    (pages, truths)
}

/// The share of proposals whose true clicks, and whose true change, the intervals contain.
fn coverage(shops: u64, visits: usize) -> (f64, f64) {
    let (mut n_policies, mut n_covered, mut n_changes) = (0.0, 0.0, 0.0);
    for seed in 1..=shops {
        let (logs, truths) = shop(seed, visits);
        for (pages, truth) in logs.iter().zip(truths) {
            let report = judge(pages, &settings(PAGE));
            assert_eq!((report.reproduced, report.judged, report.drawn), (1.0, 1.0, pages.len()));
            assert!(report.changed > 0.3);
            let Judgement::Estimated { proposed, change, n_effective, .. } = report.clicks else {
                panic!("{report:?}");
            };
            assert!(n_effective > 100.0);
            let contains = |ci: crate::Interval, truth: f64| f64::from(u8::from(ci.0 <= truth && truth <= ci.1));
            n_policies += 1.0;
            n_covered += contains(proposed.ci95, truth.proposed / truth.n);
            n_changes += contains(change.ci95, (truth.proposed - truth.kept) / truth.n);
        }
    }
    (n_covered / n_policies, n_changes / n_policies)
}

#[test]
fn intervals_contain_the_true_clicks_of_a_few_proposals() {
    let (covered, changes) = coverage(3, 10_000);
    assert!(covered >= 0.8 && changes >= 0.8, "{covered} {changes}");
}

#[test]
#[ignore = "minutes: cargo test --workspace --lib what_if -- --ignored --nocapture"]
fn intervals_contain_the_true_clicks_of_400_proposals_as_often_as_stated() {
    let (covered, changes) = coverage(50, 10_000);
    eprintln!("covered: clicks {covered:.3}, change {changes:.3}");
    assert!(covered >= 0.93 && changes >= 0.93, "{covered} {changes}");
}

/// A drawn page whose proposal exchanges the first two items.
fn random_page(number: u64, n: usize) -> JudgedPage {
    let ranked: Vec<u32> = (0..n as u32).map(|place| place + (random(1, 2, number, 0) % 50) as u32 * 20).collect();
    let drawn = LOGGING.draw(n, &mut Draws::new(3, SHOWN, number));
    let mut proposed = ranked.clone();
    proposed.swap(0, 1);
    JudgedPage {
        shopper: (number / 3) as u32,
        shown: drawn.ranks.iter().map(|&rank| ranked[rank as usize]).collect(),
        clicks: (0..n as u32)
            .map(|place| f64::from(u8::from(random(4, 5, number, place).is_multiple_of(20))))
            .collect(),
        purchases: vec![0.0; n],
        ranks: drawn.ranks,
        propensities: drawn.propensities,
        current: ranked,
        proposed,
    }
}

fn refusal(report: &WhatIfReport) -> (&str, f64) {
    let Judgement::Refused { refused, n_effective } = &report.clicks else { panic!("{report:?}") };
    (refused, *n_effective)
}

#[test]
fn a_log_without_draws_and_settings_that_change_nothing_are_refused_with_the_reason() {
    let plain = |number: u64, changes: bool| {
        let page = random_page(number, 5);
        let (ranks, propensities, shown) = (Vec::new(), Vec::new(), page.current.clone());
        let proposed = if changes { page.proposed.clone() } else { page.current.clone() };
        JudgedPage { ranks, propensities, shown, proposed, ..page }
    };
    let same: Vec<JudgedPage> = (0..400).map(|number| plain(number, false)).collect();
    let report = judge(&same, &settings(5));
    assert!(refusal(&report).0.contains("none of the 400 pages"), "{report:?}");
    assert_eq!((report.changed, report.drawn, report.judged), (0.0, 0, 0.0));
    let some: Vec<JudgedPage> = (0..400).map(|number| plain(number, number % 4 == 0)).collect();
    let report = judge(&some, &settings(5));
    let (refused, n_effective) = refusal(&report);
    assert!(refused.contains("25.0 %") && refused.contains("serve.explore.share"), "{refused}");
    assert_eq!((n_effective, report.reproduced), (0.0, 1.0));
    assert_eq!(refusal(&judge(&[], &settings(5))), ("there is no page to judge by", 0.0));
}

#[test]
fn a_page_is_made_again_if_all_but_its_sponsored_item_is() {
    let page = |number: u64| {
        let page = random_page(number, 5);
        let mut shown = page.current.clone();
        shown.pop();
        if number.is_multiple_of(4) {
            shown.swap(0, 1);
        }
        JudgedPage { ranks: Vec::new(), propensities: Vec::new(), shown, ..page }
    };
    let report = judge(&(0..400).map(page).collect::<Vec<_>>(), &settings(5));
    assert_eq!(report.reproduced, 0.75);
}

/// Pages with draws, of which the proposal changes one in `one_in`; that one in a way that no draw shows, or as a draw
/// may.
fn mostly_unchanged(one_in: u64, reached: bool) -> Vec<JudgedPage> {
    let page = |number: u64| {
        let page = random_page(number, 5);
        let proposed = match (number.is_multiple_of(one_in), reached) {
            (true, true) => page.proposed.clone(),
            (true, false) => page.current.iter().rev().copied().collect(),
            (false, _) => page.current.clone(),
        };
        JudgedPage { proposed, ..page }
    };
    (0..8_000).map(page).collect()
}

#[test]
fn pages_that_stay_as_they_were_count_for_nothing() {
    let report = judge(&mostly_unchanged(100, true), &settings(5));
    let (refused, n_effective) = refusal(&report);
    assert!(refused.contains("at least 100") && n_effective < 30.0, "80 of 8,000 pages change: {report:?}");
    assert_eq!((report.changed, report.judged), (0.01, 1.0));
    let report = judge(&mostly_unchanged(4, false), &settings(5));
    assert!(refusal(&report).0.contains("of the 2000 drawn pages that the settings change"), "{report:?}");
    assert_eq!((report.changed, report.judged, refusal(&report).1), (0.25, 0.0, 0.0));
    // The same estimate, whether pages that do not change are there or not.
    let all = mostly_unchanged(4, true);
    let changed: Vec<JudgedPage> = all.iter().filter(|page| page.proposed != page.current).cloned().collect();
    assert_eq!(judge(&all, &settings(5)).clicks, judge(&changed, &settings(5)).clicks);
    let any = OffPolicySettings { least_effective: f64::NAN, ..OffPolicySettings::default() };
    assert!(!judge(&all, &WhatIfSettings { top: 5, off_policy: any }).clicks.is_estimated());
}

#[test]
fn too_few_effective_pages_are_refused_with_their_number() {
    let pages: Vec<JudgedPage> = (0..300).map(|number| random_page(number, 5)).collect();
    let few = judge(&pages, &settings(5));
    let Judgement::Refused { refused, n_effective } = &few.clicks else { panic!("{few:?}") };
    assert!((5.0..100.0).contains(n_effective) && refused.contains("at least 100"), "{few:?}");
}

#[test]
fn a_page_that_no_draw_reaches_cannot_be_judged() {
    let reach = Reach { places: 2, among: 4 };
    let ranked = [10, 11, 12, 13, 14, 15];
    for (wanted, is_reached) in [
        (&[10, 11, 12][..], true),
        (&[13, 10, 11, 12, 14, 15], true),
        (&[13, 10, 12], false),
        (&[14, 10, 11], false),
        (&[10, 11, 13], false),
        (&[10, 99, 11], false),
        (&[12], true),
    ] {
        assert_eq!(reach.has(&ranked, wanted), is_reached, "{wanted:?}");
    }
    let mut pages: Vec<JudgedPage> = (0..4_000).map(|number| random_page(number, 5)).collect();
    let whole = judge(&pages, &settings(5));
    for page in pages.iter_mut().step_by(2) {
        page.proposed = vec![page.current[4], 1_000_000, page.current[0]];
    }
    let half = judge(&pages, &settings(5));
    assert_eq!((whole.judged, half.judged), (1.0, 0.5));
    assert!(half.clicks.is_estimated());
}

#[test]
fn a_sample_keeps_the_smallest_keys() {
    let mut sample = Sample::new(3);
    for key in [50, 10, 40, 20, 30] {
        sample.offer(key, key);
    }
    assert_eq!((sample.n_offered(), sample.get_mut(50)), (5, None));
    assert_eq!(sample.into_elements().collect::<Vec<u64>>(), [10, 20, 30]);
}
