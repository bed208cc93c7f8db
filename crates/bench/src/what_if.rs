//! How long the estimates of `accrue what-if` take, after the pages were made again.
//!
//! Corpus: 100,000 pages of 10 by 30,000 shoppers, whose first two places were drawn; the proposal exchanges them.

use std::hint::black_box;
use std::time::Instant;

use accrue_kernel::{Draws, random};
use accrue_lab::off_policy::OffPolicySettings;
use accrue_lab::what_if::{JudgedPage, WhatIfSettings, judge};
use accrue_model::Exploration;

use super::bed::Bed;
use super::bench::{Bench, bench};
use super::measure::{Figure, Target, row};

pub(super) const BENCHES: &[Bench] = &[bench(
    "what_if",
    "what another policy would have earned, estimated from 10^6 impressions: how long?",
    &[row("what_if_million_s", "s", Target::AtMost(10.0))],
    what_if,
)];

/// Stream of the random numbers.
const STREAM: u64 = 0x5748_4946;
/// Items of a page.
const PAGE: usize = 10;
const DRAWN: Exploration = Exploration { places: 2, among: 4, temperature: 4.0 };

fn what_if(bed: &mut Bed<'_>) -> anyhow::Result<Vec<Figure>> {
    let n_pages = bed.size.pick(5_000, 100_000, 100_000);
    let pages: Vec<JudgedPage> = (0..n_pages).map(page).collect();
    let settings = WhatIfSettings { top: PAGE, off_policy: OffPolicySettings::default() };
    let began = Instant::now();
    let report = black_box(judge(&pages, &settings));
    let took = began.elapsed().as_secs_f64();
    anyhow::ensure!(report.clicks.is_estimated(), "no estimate: {report:?}");
    Ok(vec![Figure { value: took, samples: (n_pages as usize * PAGE) as u64 }])
}

fn page(number: u64) -> JudgedPage {
    let block = (random(1, STREAM, number, 0) % 200) as u32 * PAGE as u32;
    let current: Vec<u32> = (block..block + PAGE as u32).collect();
    let drawn = DRAWN.draw(PAGE, &mut Draws::new(2, STREAM, number));
    let clicked = |place: usize| f64::from(u8::from(random(3, STREAM, number, place as u32).is_multiple_of(20)));
    let mut proposed = current.clone();
    proposed.swap(0, 1);
    JudgedPage {
        shopper: (random(4, STREAM, number, 0) % 30_000) as u32,
        shown: drawn.ranks.iter().map(|&rank| current[rank as usize]).collect(),
        clicks: (0..PAGE).map(clicked).collect(),
        purchases: vec![0.0; PAGE],
        ranks: drawn.ranks,
        propensities: drawn.propensities,
        current,
        proposed,
    }
}
