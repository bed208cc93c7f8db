//! What each stage of a page does for what shoppers buy next: pages with one stage changed, and what diversity costs.
//!
//! Corpus: with `--datasets`, a real shop's year, learned up to nine tenths of its events; otherwise the retail-like
//! stream. Then, for each customer with a past who comes back, a page of 20 is compared with the products of the next day
//! on which they buy. `hr20` is the share of pages with one of them, `ndcg20` has a gain of 1 for each; `distance` is the mean
//! over the pairs of a page of one less the cosine of their descriptions. The customers' histories are those at the end
//! of what was learned.

use std::collections::{BTreeMap, BTreeSet};

use accrue_engine::learn_settings;
use accrue_event::{DAY_MS, Event, EventType, Item, ItemId, Price, Timestamp};
use accrue_model::{Part, Version};
use accrue_serve::{Campaigns, CatalogueSettings, RecommendRequest, Rules, SceneSettings, Scenes, Shop, Visitor};
use accrue_store::{Body, CheckedEvent, Facts, Offset, Record};
use accrue_train::Learner;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::corpus::{described, item_name, user_name};
use super::dataset;
use super::measure::{Figure, Row, Target, row};
use super::shop::retail_corpus;

/// Places of a page.
const N: usize = 20;
/// The share of the events that is learned.
const LEARNED: f64 = 0.9;

macro_rules! variants {
    ($($name:literal: $scene:literal, $part:expr;)+) => {
        /// The pages that are compared: a name, a scene, and the part of the models that ranks.
        const VARIANTS: &[(&str, &str, Option<Part>)] = &[$(($name, $scene, $part)),+];
        const ROWS: &[Row] = &[$(
            row(concat!("page_", $name, "_hr20"), "share", Target::None),
            row(concat!("page_", $name, "_ndcg20"), "ratio", Target::None),
            row(concat!("page_", $name, "_distance"), "ratio", Target::None),
        )+];
    };
}

variants! {
    "home": r#"{"like":"home"}"#, None;
    "sources_without_new": r#"{"like":"home","sources":["models"],"rest":"compete"}"#, None;
    "sources_popularity_alone": r#"{"like":"home","sources":["popularity"],"rest":"behind"}"#, None;
    "sources_neighbours_alone": r#"{"like":"home","sources":["neighbours"],"rest":"behind"}"#, None;
    "filter_bought": r#"{"like":"home","seen":"drop:purchase"}"#, None;
    "rank_by_popularity": r#"{"like":"home"}"#, Some(Part::Popularity);
    "rank_by_neighbours": r#"{"like":"home"}"#, Some(Part::Neighbours);
    "rerank_off": r#"{"like":"home","room_for_new":0}"#, None;
    "mmr_05": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.05}}"#, None;
    "mmr_10": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.1}}"#, None;
    "mmr_20": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.2}}"#, None;
    "mmr_30": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.3}}"#, None;
    "dpp_05": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.05,"kind":"dpp"}}"#, None;
    "dpp_10": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.1,"kind":"dpp"}}"#, None;
    "dpp_20": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.2,"kind":"dpp"}}"#, None;
    "dpp_30": r#"{"like":"home","room_for_new":0,"diversity":{"strength":0.3,"kind":"dpp"}}"#, None;
}

pub(super) const BENCHES: &[Bench] = &[Bench {
    only_when_named: true,
    ..bench(
        "page_stages",
        "pages of 20 with one stage changed, against what the customer buys next: what does each stage do, and what does diversity \
         cost?",
        ROWS,
        page_stages,
    )
}];

/// A purchase.
struct Bought {
    user: u32,
    item: u32,
    at_ms: i64,
    body: Body,
}

fn page_stages(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let (items, bought) = match &bed.datasets {
        Some(datasets) => real(datasets)?,
        None => simulated(bed.size.pick(2_000, 100_000, 350_000)),
    };
    let (learned, later) = bought.split_at((bought.len() as f64 * LEARNED) as usize);
    bed.note(format!("  learning {} events of {} items", learned.len(), items.len()));
    let (facts, version) = learn(bed, &items, learned)?;
    let next = next_baskets(learned, later);
    let mut figures = Vec::new();
    for (name, scene, part) in VARIANTS {
        let scene: SceneSettings = serde_json::from_str(scene)?;
        let scenes = Scenes::read(&[("judged".into(), scene)].into())?;
        let judged = judge(&facts, &version, &scenes, *part, &next);
        bed.note(format!("  {name:<26} hr@20 {:.4}  ndcg@20 {:.4}  distance {:.4}", judged[0], judged[1], judged[2]));
        figures.extend(judged.map(|value| Figure { value, samples: next.len() as u64 }));
    }
    Ok(figures)
}

/// A real shop's year with the titles and the first prices of its articles.
fn real(datasets: &std::path::Path) -> anyhow::Result<(Vec<Item>, Vec<Bought>)> {
    let (events, articles) = dataset::online_retail_described(datasets)?;
    let item = |(number, article): (usize, &dataset::Article)| Item {
        title: Some(article.title.as_str().into()),
        price: Price::new(article.price),
        ..Item::bare(item_name(number as u32).as_str().into())
    };
    let items = articles.iter().enumerate().map(item).collect();
    let bought = events.iter().enumerate().map(|(number, of)| {
        let event = Event {
            user: Some(user_name(of.shopper).as_str().into()),
            item: Some(item_name(of.item).as_str().into()),
            quantity: of.quantity,
            ..Event::bare(format!("e{number}").as_str().into(), EventType::Purchase, Timestamp(of.at_ms))
        };
        let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
        Bought { user: of.shopper, item: of.item, at_ms: of.at_ms, body }
    });
    Ok((items, bought.collect()))
}

fn simulated(n_events: u64) -> (Vec<Item>, Vec<Bought>) {
    let corpus = retail_corpus(n_events);
    let bought =
        corpus.lines().map(|line| Bought { user: line.user, item: line.item, at_ms: line.at_ms, body: line.body() });
    ((0..corpus.n_items as u32).map(described).collect(), bought.collect())
}

fn learn(bed: &Bed<'_>, items: &[Item], learned: &[Bought]) -> anyhow::Result<(Facts, Version)> {
    let mut settings = learn_settings(&bed.config);
    (settings.predict_one_in, settings.guard.enabled) = (u64::MAX, false);
    let mut facts = Facts::new(settings.history_capacity);
    let mut learner = Learner::new(settings);
    let first_ms = learned.first().map_or(0, |bought| bought.at_ms);
    let described = items.iter().map(|item| (first_ms, Body::Item(Box::new(item.clone()))));
    let bodies = described.chain(learned.iter().map(|bought| (bought.at_ms, bought.body.clone())));
    for (offset, (at_ms, body)) in (0..).zip(bodies) {
        let record = Record { offset: Offset(offset), received_at: Timestamp(at_ms), body };
        facts.apply(&record);
        learner.step(record.offset, at_ms, facts.resolve(&record))?;
    }
    let version = learner.publish();
    Ok((facts, version))
}

/// What each customer with a past buys on the first day on which they come back.
fn next_baskets(learned: &[Bought], later: &[Bought]) -> BTreeMap<u32, BTreeSet<ItemId>> {
    let known: BTreeSet<u32> = learned.iter().map(|bought| bought.user).collect();
    let mut days: BTreeMap<u32, i64> = BTreeMap::new();
    let mut next: BTreeMap<u32, BTreeSet<ItemId>> = BTreeMap::new();
    for Bought { user, item, at_ms, .. } in later.iter().filter(|bought| known.contains(&bought.user)) {
        let day = at_ms.div_euclid(DAY_MS);
        if *days.entry(*user).or_insert(day) == day {
            next.entry(*user).or_default().insert(item_name(*item).as_str().into());
        }
    }
    next
}

/// Hit rate, NDCG and distance of the pages of these customers.
fn judge(
    facts: &Facts,
    version: &Version,
    scenes: &Scenes,
    part: Option<Part>,
    next: &BTreeMap<u32, BTreeSet<ItemId>>,
) -> [f64; 3] {
    let shop = Shop {
        facts,
        version,
        now_ms: facts.stream_time.0,
        catalogue: CatalogueSettings::DEFAULT,
        rules: Rules::NONE,
        scenes,
        campaigns: Campaigns::NONE,
    };
    let mut sums = [0.0; 3];
    for (user, basket) in next {
        let visitor = Visitor { user: Some(user_name(*user).as_str().into()), session: None };
        let scene = Some("judged".into());
        let page = shop.recommend(&RecommendRequest { visitor, scene, n: N, part, ..RecommendRequest::default() });
        let is_hit: Vec<bool> = page.items.iter().map(|item| basket.contains(&item.id)).collect();
        let gain = |place: usize| 1.0 / ((place + 2) as f64).log2();
        let gained: f64 = (0..is_hit.len()).filter(|&place| is_hit[place]).map(gain).sum();
        let best: f64 = (0..basket.len().min(N)).map(gain).sum();
        sums[0] += f64::from(u8::from(is_hit.contains(&true)));
        sums[1] += gained / best.max(f64::MIN_POSITIVE);
        let items: Vec<u32> = page.items.iter().filter_map(|item| facts.items.get(item.id.as_str())).collect();
        sums[2] += distance(version, &items);
    }
    sums.map(|sum| sum / next.len().max(1) as f64)
}

/// The mean distance of the pairs of a page.
fn distance(version: &Version, items: &[u32]) -> f64 {
    let catalogue = &version.ensemble.catalogue;
    let pairs =
        items.iter().enumerate().flat_map(|(place, &item)| items[..place].iter().map(move |&other| (item, other)));
    let (sum, n) = pairs
        .fold((0.0, 0_u32), |(sum, n), (item, other)| (sum + 1.0 - f64::from(catalogue.cosine(item, other)), n + 1));
    sum / f64::from(n.max(1))
}
