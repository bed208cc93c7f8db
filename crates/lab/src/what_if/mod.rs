//! What other settings would have earned, judged on pages that were served.
//!
//! In: served pages with what was clicked and bought on them, each with the page that the current settings make of the
//! same request again, and the one that the proposed settings make. Out: clicks and purchases per page under both, with
//! 95 % intervals over shoppers, or the reason why the log cannot tell.
//!
//! The estimators are those of [`off_policy`](crate::off_policy): the page is the decision, its propensity the product
//! of those of its first `top` places, and the target policy shows one page with certainty. A page can be judged only
//! where the log could have shown it: the first places filled from those that compete for them, the others in their
//! order. Without draws no page can be judged.
//!
//! **Only pages that the proposal changes count.** On the others both policies earn the same, whatever that is, so they
//! say nothing about the proposal; counted, they would make a log with few changed pages look sufficient and the
//! interval of the change look narrow. The estimate is refused where nothing changes, where too few effective pages
//! change, and where most of those that change cannot be judged, because the rest need not be like them.
//!
//! Both policies are estimated on the same pages, and the interval of the change is that of the paired difference.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::off_policy::{
    Cell, Decision, Estimate, OffPolicyError, OffPolicySettings, clustered, doubly_robust, n_effective,
};

/// The least share of the changed pages that must be judged: with fewer, the estimate would be one of the smaller part.
const LEAST_JUDGED: f64 = 0.5;

/// A served page, and what settings make of its request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgedPage {
    /// The shopper.
    pub shopper: u32,
    /// The items as they were shown.
    pub shown: Vec<u32>,
    /// For each the place that the models gave it; empty if nothing was drawn.
    pub ranks: Vec<u32>,
    /// For each the probability of its place, given those above; empty if nothing was drawn.
    pub propensities: Vec<f32>,
    /// For each the clicks, 0 or 1.
    pub clicks: Vec<f64>,
    /// For each the purchases, 0 or 1.
    pub purchases: Vec<f64>,
    /// The page that the current settings make again.
    pub current: Vec<u32>,
    /// The page that the proposed settings make.
    pub proposed: Vec<u32>,
}

/// How pages are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WhatIfSettings {
    /// Places of a page that count, from the top.
    pub top: usize,
    /// How estimates are made.
    pub off_policy: OffPolicySettings,
}

/// What the proposal would have earned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhatIfReport {
    /// Served pages that were made again.
    pub pages: usize,
    /// Their shoppers.
    pub shoppers: usize,
    /// Pages of which first places were drawn by chance.
    pub drawn: usize,
    /// Places of a page that count.
    pub top: usize,
    /// The share of pages that the current settings make again as they were served, before any draw.
    pub reproduced: f64,
    /// The share of pages that the proposal changes, compared with the current settings.
    pub changed: f64,
    /// The share of the pages with draws that change which the log can judge, because it could have shown what either
    /// of the settings shows; 0 if none changes.
    pub judged: f64,
    /// Clicks on the counted places, per changed page.
    pub clicks: Judgement,
    /// Purchases of items at the counted places, per changed page.
    pub purchases: Judgement,
}

/// An estimate, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Judgement {
    /// Per page, over the pages that the proposal changes and that can be judged.
    Estimated {
        /// What was earned by the pages as they were served.
        logged: Estimate,
        /// What the current settings earn.
        current: Estimate,
        /// What the proposal earns.
        proposed: Estimate,
        /// The proposal less the current settings.
        change: Estimate,
        /// Pages of the proposal itself that would say as much.
        n_effective: f64,
    },
    /// There is no estimate.
    Refused {
        /// Why, and what would help.
        refused: String,
        /// Pages of the proposal itself that would say as much.
        n_effective: f64,
    },
}

impl Judgement {
    /// Whether there is an estimate.
    pub fn is_estimated(&self) -> bool {
        matches!(self, Self::Estimated { .. })
    }
}

/// Which pages a log could have shown: the first `places` filled from the best `among`, the others in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    places: usize,
    among: usize,
}

impl Reach {
    /// Of the draws that are in the log.
    fn of(pages: &[JudgedPage]) -> Self {
        let mut reach = Self::default();
        for page in pages.iter().filter(|page| is_drawn(page)) {
            let places = page.propensities.iter().rposition(|&chance| chance < 1.0).map_or(0, |last| last + 1);
            reach.places = reach.places.max(places);
            let among = page.ranks.iter().take(places).map(|&rank| rank as usize + 1).max();
            reach.among = reach.among.max(among.unwrap_or(0));
        }
        reach
    }

    /// Whether a draw could have put these items first. `ranked` is the page before the draw.
    fn has(self, ranked: &[u32], wanted: &[u32]) -> bool {
        let Some(ranks) = wanted.iter().map(|item| ranked.iter().position(|other| other == item)).collect() else {
            return false;
        };
        let ranks: Vec<usize> = ranks;
        let (drawn, rest) = ranks.split_at(self.places.min(ranks.len()));
        let mut left = (0..ranked.len()).filter(|rank| !drawn.contains(rank));
        drawn.iter().all(|&rank| rank < self.among.max(1)) && rest.iter().all(|&rank| left.next() == Some(rank))
    }
}

fn is_drawn(page: &JudgedPage) -> bool {
    page.propensities.len() == page.shown.len() && page.ranks.len() == page.shown.len() && !page.shown.is_empty()
}

/// The page before its first places were drawn.
fn ranked(page: &JudgedPage) -> Vec<u32> {
    let mut ranked = page.shown.clone();
    if is_drawn(page) {
        for (&rank, &item) in page.ranks.iter().zip(&page.shown) {
            if let Some(place) = ranked.get_mut(rank as usize) {
                *place = item;
            }
        }
    }
    ranked
}

/// Whether the page that is made now has at its first places what was shown. Sponsored items are no part of what was shown here, so a
/// page of ten with one of them is compared at nine places.
fn is_reproduced(page: &JudgedPage, top: usize) -> bool {
    let shown = ranked(page);
    let n = shown.len().min(top);
    page.current.len() >= n && page.current[..n] == shown[..n]
}

/// Judges a proposal on pages that were served.
pub fn judge(pages: &[JudgedPage], settings: &WhatIfSettings) -> WhatIfReport {
    let top = settings.top;
    let first = |items: &[u32]| items[..items.len().min(top)].to_vec();
    let mut shoppers: Vec<u32> = pages.iter().map(|page| page.shopper).collect();
    shoppers.sort_unstable();
    shoppers.dedup();
    let n_reproduced = pages.iter().filter(|page| is_reproduced(page, top)).count();
    let n_drawn = pages.iter().filter(|page| is_drawn(page)).count();
    let changed: Vec<&JudgedPage> = pages.iter().filter(|page| first(&page.current) != first(&page.proposed)).collect();
    let n_changed = changed.len();
    let reach = Reach::of(pages);
    let drawn: Vec<&JudgedPage> = changed.into_iter().filter(|page| is_drawn(page)).collect();
    let can_be_judged = |page: &&JudgedPage| {
        let ranked = ranked(page);
        reach.has(&ranked, &first(&page.proposed)) && reach.has(&ranked, &first(&page.current))
    };
    let judged: Vec<&JudgedPage> = drawn.iter().copied().filter(can_be_judged).collect();
    let effective = n_effective(&weights(&judged, top).collect::<Vec<f64>>());
    let known =
        Known { n_pages: pages.len(), top, n_changed, n_drawn, n_drawn_changed: drawn.len(), n_judged: judged.len() };
    let of = |rewards: fn(&JudgedPage) -> &[f64]| {
        let estimated = match known.refusal() {
            Some(refused) => Err(refused),
            None => estimate(&judged, top, rewards, effective, &settings.off_policy).map_err(|error| error.to_string()),
        };
        estimated.unwrap_or_else(|refused| Judgement::Refused { refused, n_effective: effective })
    };
    WhatIfReport {
        pages: pages.len(),
        shoppers: shoppers.len(),
        drawn: n_drawn,
        top,
        reproduced: share(n_reproduced, pages.len()),
        changed: share(n_changed, pages.len()),
        judged: share(judged.len(), drawn.len()),
        clicks: of(|page| &page.clicks),
        purchases: of(|page| &page.purchases),
    }
}

fn share(n: usize, of: usize) -> f64 {
    if of > 0 { n as f64 / of as f64 } else { 0.0 }
}

/// How many pages there are of each kind.
#[derive(Clone, Copy, Debug)]
struct Known {
    n_pages: usize,
    top: usize,
    n_changed: usize,
    n_drawn: usize,
    n_drawn_changed: usize,
    n_judged: usize,
}

impl Known {
    /// Why these pages cannot say anything about the proposal, however many there are of the other kinds.
    fn refusal(self) -> Option<String> {
        let Self { n_pages, top, n_changed, n_drawn, n_drawn_changed, n_judged } = self;
        if n_pages == 0 {
            return Some("there is no page to judge by".to_owned());
        }
        if n_changed == 0 {
            return Some(format!(
                "the settings change none of the {n_pages} pages among their first {top} places, so there is nothing \
                 to judge; does a name or a filter match nothing?"
            ));
        }
        let percent = |n, of| format!("{:.1} %", 100.0 * share(n, of));
        if n_drawn == 0 {
            return Some(format!(
                "no answer of this log was drawn by chance, so nothing is known of the {} of pages that the settings \
                 change; let the server draw the first places of some answers (`serve.explore.share`), and ask again",
                percent(n_changed, n_pages)
            ));
        }
        (share(n_judged, n_drawn_changed) < LEAST_JUDGED).then(|| {
            format!(
                "of the {n_drawn_changed} drawn pages that the settings change, a draw could have shown only {} as \
                 proposed, and the others need not be like them; count fewer places (`--top`), propose less, or let \
                 more places be drawn (`serve.explore.places`, `among`)",
                percent(n_judged, n_drawn_changed)
            )
        })
    }
}

/// The page as a decision of the log; the target policy shows `wanted`.
fn decision(page: &JudgedPage, wanted: &[u32], top: usize, rewards: &[f64]) -> Decision {
    let n = page.shown.len().min(top);
    let cell = |place: usize, item: u32| Cell { item, place: place as u32 };
    let (shown, wanted) = (&page.shown[..n], &wanted[..wanted.len().min(top)]);
    Decision {
        user: page.shopper,
        propensity: page.propensities[..n].iter().map(|&chance| f64::from(chance)).product(),
        target: f64::from(u8::from(shown == wanted)),
        shown: shown
            .iter()
            .zip(rewards)
            .enumerate()
            .map(|(place, (&item, &reward))| (cell(place, item), reward))
            .collect(),
        expected: wanted.iter().enumerate().map(|(place, &item)| (cell(place, item), 1.0)).collect(),
    }
}

/// The weights of the pages under the proposal.
fn weights<'p>(pages: &'p [&JudgedPage], top: usize) -> impl Iterator<Item = f64> + 'p {
    pages.iter().map(move |page| {
        let decision = decision(page, &page.proposed, top, &page.clicks);
        decision.target / decision.propensity.max(f64::MIN_POSITIVE)
    })
}

fn estimate(
    pages: &[&JudgedPage],
    top: usize,
    rewards: fn(&JudgedPage) -> &[f64],
    effective: f64,
    settings: &OffPolicySettings,
) -> Result<Judgement, OffPolicyError> {
    // A bound that is no number refuses too.
    if effective.partial_cmp(&settings.least_effective).is_none_or(Ordering::is_lt) {
        return Err(OffPolicyError::TooFewEffective { effective, least: settings.least_effective });
    }
    let under = |wanted: fn(&JudgedPage) -> &[u32]| -> Vec<Decision> {
        pages.iter().map(|page| decision(page, wanted(page), top, rewards(page))).collect()
    };
    let (proposed, current) = (under(|page| &page.proposed), under(|page| &page.current));
    let (earned, kept) = (doubly_robust(&proposed, settings)?, doubly_robust(&current, settings)?);
    let over = |value: &dyn Fn(usize) -> f64| {
        let terms = (0..pages.len()).map(|page| (pages[page].shopper, value(page), 1.0));
        clustered(terms).ok_or(OffPolicyError::TooFewUsers { n_users: pages.len().min(1) })
    };
    Ok(Judgement::Estimated {
        logged: over(&|page| proposed[page].reward())?,
        current: over(&|page| kept[page])?,
        proposed: over(&|page| earned[page])?,
        change: over(&|page| earned[page] - kept[page])?,
        n_effective: effective,
    })
}

/// Numbers for names, in the order in which they are met.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Only looked up.
    known: HashMap<Box<str>, u32>,
}

impl Numbers {
    /// The number of a name.
    pub fn of(&mut self, name: &str) -> u32 {
        let next = self.known.len() as u32;
        match self.known.get(name) {
            Some(&number) => number,
            None => {
                self.known.insert(name.into(), next);
                next
            }
        }
    }
}

/// A sample of at most so many elements: those with the smallest keys, which are hashes.
#[derive(Debug)]
pub struct Sample<T> {
    most: usize,
    kept: BTreeMap<u64, T>,
    n_offered: u64,
}

impl<T> Sample<T> {
    /// Nothing yet.
    pub fn new(most: usize) -> Self {
        Self { most, kept: BTreeMap::new(), n_offered: 0 }
    }

    /// Offers an element; returns whether it is kept for now, and the one that made room.
    pub fn offer(&mut self, key: u64, element: T) -> (bool, Option<T>) {
        self.n_offered += 1;
        if self.kept.len() == self.most && self.kept.last_key_value().is_none_or(|(last, _)| key >= *last) {
            return (false, None);
        }
        self.kept.insert(key, element);
        let removed = if self.kept.len() > self.most { self.kept.pop_last().map(|(_, element)| element) } else { None };
        (true, removed)
    }

    /// The element with this key, if it is kept.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        self.kept.get_mut(&key)
    }

    /// Elements that were offered.
    pub fn n_offered(&self) -> u64 {
        self.n_offered
    }

    /// The elements that are kept, by key.
    pub fn into_elements(self) -> impl Iterator<Item = T> {
        self.kept.into_values()
    }
}
