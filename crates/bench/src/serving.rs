//! How long pages take: inside the server on one core, over HTTP, and the scan that finds items by their vectors.
//!
//! Corpus: 100,000 items × 64 numbers, 20,000 customers, 1,000,000 events, seed 7, trained; over HTTP the retail-like
//! shop (4,000 items, 4,000 customers, 350,000 events), where Gorse answers 445 requests/s with a p99 of 74 ms.

use std::hint::black_box;
use std::time::Instant;

use accrue_kernel::{Draws, QuantisedQuery, TopK, quantise, scan};
use accrue_model::ranker::{ClickHeads, ColumnNames, Followed, Keys, PageFeatures, moment};
use accrue_model::{Context, Prepared, Version};
use accrue_serve::{Campaigns, CatalogueSettings, PredictRequest, RecommendRequest, Rules, Scenes, Shop, Visitor};
use accrue_store::Facts;

use super::bed::{Bed, Trained};
use super::bench::{Bench, bench};
use super::client::{deal, get, load};
use super::corpus::{Corpus, user_name};
use super::measure::{Figure, Target, row};
use super::sample::{figure, median_rate, ms_since, quantile};

pub(super) const BENCHES: &[Bench] = &[
    bench(
        "recommend_http",
        "pages of 10 in a retail-like shop over 8 connections: 10 times Gorse's 445 requests/s, within its p99?",
        &[
            row("recommend_http", "requests/s", Target::AtLeast(4_450.0)),
            row("recommend_http_p99_ms", "ms", Target::AtMost(74.0)),
        ],
        over_http,
    ),
    bench(
        "recommend",
        "a page of 10 by the whole blend inside the server, 100,000 items x 64, one core: how long?",
        &[row("recommend_p50_ms", "ms", Target::AtMost(1.0)), row("recommend_p99_ms", "ms", Target::AtMost(5.0))],
        recommend,
    ),
    bench(
        "value",
        "300 candidates ordered by Σ weight x P(action) of the click heads, the shop of `recommend`, one core: how long?",
        &[row("value_300_p50_ms", "ms", Target::AtMost(1.5)), row("value_300_p99_ms", "ms", Target::None)],
        value,
    ),
    bench(
        "page",
        "the same with all that a scene may ask for: 300 candidates by value, diversity, caps, reasons: how long?",
        &[row("page_p50_ms", "ms", Target::AtMost(2.0)), row("page_p99_ms", "ms", Target::AtMost(6.0))],
        page,
    ),
    bench(
        "int8_scan",
        "the 100 best of 100,000 x 64 by int8: how many queries a second, over one array and over the model's chunks?",
        &[
            row("int8_scan", "queries/s", Target::AtLeast(4_500.0)),
            row("int8_scan_in_chunks", "queries/s", Target::None),
        ],
        int8_scan,
    ),
];

const STREAM: u64 = 0x5345_5256;

fn recommend(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_requests = bed.size.pick(50, 5_000, 20_000);
    let Trained { facts, version, corpus } = bed.trained()?;
    pages((facts, version, *corpus), Scenes::built_in(), &RecommendRequest::default(), n_requests)
}

/// What the scene of the bench `page` asks for.
const SCENE: &str = r#"{"shelf":{"value":{"click":1,"cart":3,"purchase":10},"diversity":{"strength":0.2,"kind":"dpp"},
    "caps":{"brand":3},"room_for_new":0.5,"fatigue":{"after":3,"strength":0.4}}}"#;

/// The whole pipeline: what is retrieved is ranked, the 300 best are ordered by value, the list is diversified and
/// explained.
fn page(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let (n_requests, n_impressions) = (bed.size.pick(20, 3_000, 10_000), bed.size.pick(2_000, 50_000, 200_000));
    let Trained { facts, version, corpus } = bed.trained()?;
    let mut version = version.clone();
    version.clicks = Some(heads_after(facts, &version, *corpus, n_impressions));
    let scenes = Scenes::read(&serde_json::from_str(SCENE)?)?;
    let asked = RecommendRequest { scene: Some("shelf".into()), explain: true, ..RecommendRequest::default() };
    pages((facts, &version, *corpus), &scenes, &asked, n_requests)
}

/// Times pages of random customers.
fn pages(
    (facts, version, corpus): (&Facts, &Version, Corpus),
    scenes: &Scenes,
    asked: &RecommendRequest,
    n_requests: usize,
) -> anyhow::Result<Vec<Figure>> {
    let shop = Shop {
        facts,
        version,
        now_ms: facts.stream_time.0,
        catalogue: CatalogueSettings::DEFAULT,
        rules: Rules::NONE,
        scenes,
        campaigns: Campaigns::NONE,
    };
    let mut draws = Draws::new(corpus.seed, STREAM, 0);
    let mut took = Vec::with_capacity(n_requests);
    for request in 0..n_requests + n_requests / 10 {
        let user = Some(user_name(draws.below(corpus.n_users) as u32).as_str().into());
        let asked = RecommendRequest { visitor: Visitor { user, session: None }, ..asked.clone() };
        let started = Instant::now();
        let answer = black_box(shop.recommend(&asked));
        // The first tenth warms up caches.
        if request >= n_requests / 10 {
            took.push(ms_since(started));
        }
        anyhow::ensure!(answer.items.len() == 10, "a page of {} items", answer.items.len());
    }
    Ok(vec![figure(&mut took, 0.5), figure(&mut took, 0.99)])
}

/// The click heads predict for the 300 best of a page, as a scene with `value` asks them to.
fn value(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    const N_CANDIDATES: usize = 300;
    let (n_requests, n_impressions) = (bed.size.pick(20, 2_000, 10_000), bed.size.pick(2_000, 50_000, 200_000));
    let Trained { facts, version, corpus } = bed.trained()?;
    let mut version = version.clone();
    version.clicks = Some(heads_after(facts, &version, *corpus, n_impressions));
    let shop = Shop {
        facts,
        version: &version,
        now_ms: facts.stream_time.0,
        catalogue: CatalogueSettings::DEFAULT,
        rules: Rules::NONE,
        scenes: Scenes::built_in(),
        campaigns: Campaigns::NONE,
    };
    let mut draws = Draws::new(corpus.seed, STREAM, 3);
    let mut took = Vec::with_capacity(n_requests);
    for request in 0..n_requests + n_requests / 10 {
        let user = Some(user_name(draws.below(corpus.n_users) as u32).as_str().into());
        let visitor = Visitor { user, session: None };
        let asked = RecommendRequest { visitor: visitor.clone(), n: N_CANDIDATES, ..RecommendRequest::default() };
        let items = shop.recommend(&asked).items.into_iter().map(|item| item.id).collect();
        let asked = PredictRequest { visitor, items, ..PredictRequest::default() };
        let started = Instant::now();
        let foreseen = black_box(shop.predict(&asked));
        if request >= n_requests / 10 {
            took.push(ms_since(started));
        }
        anyhow::ensure!(foreseen.items.iter().all(|item| item.probabilities.is_some()), "an item without a prediction");
    }
    Ok(vec![figure(&mut took, 0.5), figure(&mut took, 0.99)])
}

/// Click heads that learned from impressions of the corpus's customers, of which every tenth led to a click.
fn heads_after(facts: &Facts, version: &Version, corpus: Corpus, n_impressions: usize) -> ClickHeads {
    let (ensemble, mut heads, mut prepared) = (&version.ensemble, ClickHeads::new(1), Prepared::default());
    let names = ColumnNames::of(&ensemble.columns());
    let mut draws = Draws::new(corpus.seed, STREAM, 4);
    let mut keys = Keys::default();
    for page in 0..n_impressions.div_ceil(10) {
        let history = facts.histories.get(draws.below(facts.shoppers.len() as u64) as u32);
        let context = Context::new(&history, None, moment(facts.stream_time.0), &version.weights);
        ensemble.prepare(&context, &mut prepared);
        let items: Vec<u32> = (0..10).map(|_| draws.below(corpus.n_items) as u32).collect();
        let shown = ensemble.item_features(&context, &prepared, &items, |place| Some(place as u32));
        let of_page = PageFeatures::of(&context);
        keys.begin(&of_page);
        for (place, shown) in shown.iter().enumerate() {
            keys.show(&of_page, shown, &ensemble.catalogue, &names);
            let followed = if (page + place) % 10 == 0 { Followed::CLICK } else { Followed::NOTHING };
            let foreseen = heads.foresee(&keys);
            heads.learn(&keys, &foreseen, followed);
        }
    }
    heads
}

fn over_http(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_requests = bed.size.pick(200, 8_000, 20_000);
    let server = bed.retail()?;
    let mut draws = Draws::new(7, STREAM, 1);
    let (mut rates, mut took) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let users = (0..n_requests).map(|_| draws.below(4_000));
        let requests = deal(users.map(|user| get(&format!("/v1/recommend/u{user}?n=10"))), 8);
        let load = load(server.address, &requests, |body| {
            anyhow::ensure!(body.len() > 200, "a short answer: {}", String::from_utf8_lossy(body));
            Ok(())
        })?;
        rates.push(n_requests as f64 / load.seconds);
        took.extend(load.latencies_ms);
    }
    let p50 = quantile(&mut took, 0.5);
    bed.note(format!("  p50 {p50:.2} ms"));
    Ok(vec![median_rate(rates, took.len() as u64), figure(&mut took, 0.99)])
}

fn int8_scan(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_queries = bed.size.pick(5, 400, 1_000);
    let n_rows = bed.size.pick(1_000, 100_000, 100_000);
    let whole = contiguous(n_rows, n_queries);
    let Trained { facts, version, corpus } = bed.trained()?;
    let factorization =
        version.ensemble.factorization().ok_or_else(|| anyhow::anyhow!("the shop learns no factorization"))?;
    let mut rates = Vec::new();
    for round in 0..5 {
        let mut draws = Draws::new(corpus.seed, STREAM, 2 + round);
        let shoppers: Vec<Vec<f32>> = (0..n_queries)
            .map(|_| {
                let history = facts.histories.get(draws.below(facts.shoppers.len() as u64) as u32);
                factorization.shopper(&Context::new(&history, None, facts.stream_time.0, &version.weights))
            })
            .collect();
        let started = Instant::now();
        for shopper in &shoppers {
            black_box(factorization.nearest(shopper, 100));
        }
        rates.push(n_queries as f64 / started.elapsed().as_secs_f64());
    }
    Ok(vec![whole, median_rate(rates, 5 * n_queries as u64)])
}

/// Codes and scales in one array each, of full width.
fn contiguous(n_rows: usize, n_queries: usize) -> Figure {
    const DIM: usize = 64;
    let mut draws = Draws::new(7, STREAM, 1 << 32);
    let (mut codes, mut scales) = (vec![0_i8; n_rows * DIM], vec![0.0; n_rows]);
    for (codes, scale) in codes.chunks_exact_mut(DIM).zip(&mut scales) {
        let row: Vec<f32> = (0..DIM).map(|_| draws.normal()).collect();
        *scale = quantise(&row, codes);
    }
    let queries: Vec<Vec<f32>> = (0..n_queries).map(|_| (0..DIM).map(|_| draws.normal()).collect()).collect();
    let mut scores = vec![0.0; n_rows];
    let mut rates = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        for query in &queries {
            scan(&QuantisedQuery::new(query), &codes, &scales, &mut scores);
            let mut best = TopK::new(100);
            for (row, &score) in scores.iter().enumerate() {
                if score > best.threshold() {
                    best.push(score, row as u32);
                }
            }
            black_box(best.into_sorted());
        }
        rates.push(n_queries as f64 / started.elapsed().as_secs_f64());
    }
    median_rate(rates, 5 * n_queries as u64)
}
