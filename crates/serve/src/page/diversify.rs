//! Re-ranking: within windows of the list, items that are unlike those above them are moved up, and no more of one
//! category or brand stand together than the scene allows.
//!
//! In each window the places are filled one by one ([`greedy`](super::greedy)): by score, by maximal marginal relevance
//! ([`mmr`](super::mmr)) or by a determinantal point process ([`dpp`](super::dpp)), always with an item that the caps
//! allow; where none is allowed, with the best. Scores do not change. The relevance of an item is its score, scaled to 0
//! for the lowest of the window and 1 for the highest.
//!
//! A window is [`WINDOW`] places of the ranked list, for every page. So every place is filled by one of the [`WINDOW`]
//! items ranked around it, the windows before a page need no work, and the cost grows with the page and not with its
//! offset: at most `(n + 2 · WINDOW) · WINDOW` pairs are compared. A scene can also limit the places of the list that are
//! diversified; behind them the order is that of the scores.

use std::borrow::Cow;
use std::ops::Range;

use super::dpp::Dpp;
use super::greedy::{Filled, Greedy, fill};
use super::likeness::{Kinds, Likeness};
use super::mmr::Mmr;
use super::work::Stage;
use super::{Candidate, Share, Situation};
use crate::scene::{Caps, DiversityKind};
use crate::{Degraded, ReasonCode};

/// Places of the ranked list that are reordered together.
pub(super) const WINDOW: usize = 200;

/// Text for an item that is above its rank by score.
const MOVED_UP: Share =
    Share { code: ReasonCode::Diversity, text: Cow::Borrowed("unlike the items above it"), added: 0.0 };
/// The same where only caps moved it.
const OTHERS_CAPPED: Share =
    Share { code: ReasonCode::Diversity, text: Cow::Borrowed("enough of other kinds stands above it"), added: 0.0 };

/// How many places of a ranked list are needed to fill `page`: where it is reordered, all up to the end of its last
/// window.
pub(super) fn reach(situation: &Situation<'_>, page: &Range<usize>) -> usize {
    let reorders = diversity(situation) > 0.0 || situation.scene.caps.is_some();
    if reorders { page.end.next_multiple_of(WINDOW) } else { page.end }
}

fn diversity(situation: &Situation<'_>) -> f32 {
    situation.request.diversity.unwrap_or(situation.scene.diversity.strength)
}

/// Reorders the windows of a ranked list that overlap `page`, a range of its places.
pub(super) fn diversify(situation: &Situation<'_>, mut ranked: Vec<Candidate>, page: Range<usize>) -> Vec<Candidate> {
    let (strength, caps) = (diversity(situation), situation.scene.caps.as_ref());
    if strength <= 0.0 && caps.is_none() {
        return ranked;
    }
    let most = situation.scene.diversity.places;
    if strength > 0.0 && page.end > most && !page.is_empty() {
        situation.work.fall_back(Stage::Rerank, Degraded::DiversityCut);
    }
    let mut begins = 0;
    for window in ranked.chunks_mut(WINDOW) {
        let ends = begins + window.len();
        if page.start < ends && begins < page.end {
            let n = page.end.min(ends) - begins;
            let n_diverse = if strength > 0.0 { n.min(most.saturating_sub(begins)) } else { 0 };
            let filled = pick(situation, window, (strength, n_diverse), caps, n);
            if filled.unmet.is_some_and(|place| begins + place >= page.start) {
                situation.work.fall_back(Stage::Rerank, Degraded::CapsUnmet);
            }
            reorder(window, &filled.picked, if n_diverse > 0 { MOVED_UP } else { OTHERS_CAPPED });
        }
        begins = ends;
    }
    ranked
}

/// The ranks of the items that fill the first `n` places of a window, the first `n_diverse` of them by diversity.
fn pick(
    situation: &Situation<'_>,
    window: &[Candidate],
    (strength, n_diverse): (f32, usize),
    caps: Option<&Caps>,
    n: usize,
) -> Filled {
    // Mostly the first and the last, but a scene may have placed an item above better ones.
    let scores = window.iter().map(|candidate| candidate.score);
    let (low, high) =
        scores.clone().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), score| (low.min(score), high.max(score)));
    let span = (high - low).max(1e-6);
    let relevance: Vec<f32> = scores.map(|score| (score - low) / span).collect();
    let kinds = caps.map(|caps| (caps, Kinds::of(situation, window)));
    let allows = || {
        let mut near = kinds.as_ref().map(|(caps, kinds)| Near::new(caps, kinds));
        move |picked: &[usize], item: usize| near.as_mut().is_none_or(|near| near.allows(picked, item))
    };
    if n_diverse == 0 {
        return fill(&mut ByRank, window.len(), n, allows());
    }
    let likeness = Likeness::of(situation, window);
    let similarity = |a: usize, b: usize| likeness.between(a, b);
    let diverse = match situation.scene.diversity.kind {
        DiversityKind::Mmr => fill(&mut Mmr::new(&relevance, strength, similarity), window.len(), n_diverse, allows()),
        DiversityKind::Dpp => fill(&mut Dpp::new(&relevance, strength, similarity), window.len(), n_diverse, allows()),
    };
    if n_diverse == n {
        return diverse;
    }
    // Behind the diversified places the order is that of the ranks; what has a place counts for the caps.
    let behind = fill(&mut Behind(diverse.picked.clone()), window.len(), n, allows());
    Filled { unmet: diverse.unmet.or(behind.unmet), ..behind }
}

/// How many items of each category and brand stand among the latest places, counted along with the places.
struct Near<'k> {
    caps: &'k Caps,
    kinds: &'k Kinds,
    /// By number of the category.
    categories: Vec<usize>,
    /// By number of the brand.
    brands: Vec<usize>,
    /// Places that were counted.
    n: usize,
}

impl<'k> Near<'k> {
    fn new(caps: &'k Caps, kinds: &'k Kinds) -> Self {
        let end = |most: Option<u32>| most.map_or(0, |most| most as usize + 1);
        let categories = end(kinds.categories.iter().flatten().max().copied());
        let brands = end(kinds.brands.iter().flatten().max().copied());
        Self { caps, kinds, categories: vec![0; categories], brands: vec![0; brands], n: 0 }
    }

    /// Whether an item may stand behind those that are picked: not more of one category or brand among so many places.
    fn allows(&mut self, picked: &[usize], item: usize) -> bool {
        while self.n < picked.len() {
            self.count(picked[self.n], |count| *count += 1);
            self.n += 1;
            if let Some(left_behind) = self.n.checked_sub(self.caps.per) {
                self.count(picked[left_behind], |count| *count -= 1);
            }
        }
        let Self { caps, kinds, .. } = self;
        let of_category = |category: &u32| self.categories[*category as usize];
        let of_brand = |brand: u32| self.brands[brand as usize];
        caps.category.is_none_or(|most| kinds.categories[item].iter().all(|category| of_category(category) < most))
            && caps.brand.is_none_or(|most| kinds.brands[item].is_none_or(|brand| of_brand(brand) < most))
    }

    fn count(&mut self, item: usize, change: impl Fn(&mut usize)) {
        let categories = &self.kinds.categories[item];
        categories.iter().for_each(|&category| change(&mut self.categories[category as usize]));
        self.kinds.brands[item].iter().for_each(|&brand| change(&mut self.brands[brand as usize]));
    }
}

/// The order of the ranks.
struct ByRank;

impl Greedy for ByRank {
    fn bound(&self, item: usize) -> f32 {
        -(item as f32)
    }

    fn is_exact(&mut self, _: usize) -> bool {
        true
    }

    fn pick(&mut self, _: usize, _: &[usize]) {}
}

/// These items first, in this order, then the order of the ranks.
struct Behind(Vec<usize>);

impl Greedy for Behind {
    fn bound(&self, item: usize) -> f32 {
        let place = self.0.iter().position(|&first| first == item);
        place.map_or(-(item as f32), |place| (WINDOW - place) as f32)
    }

    fn is_exact(&mut self, _: usize) -> bool {
        true
    }

    fn pick(&mut self, _: usize, _: &[usize]) {}
}

/// Puts the picked ranks first; the others follow in their order.
fn reorder(window: &mut [Candidate], picked: &[usize], moved_up: Share) {
    let mut is_left = vec![true; window.len()];
    picked.iter().for_each(|&rank| is_left[rank] = false);
    let left = (0..window.len()).filter(|&rank| is_left[rank]);
    let mut reordered: Vec<Candidate> = picked.iter().copied().chain(left).map(|rank| window[rank].clone()).collect();
    for (place, &rank) in picked.iter().enumerate() {
        if rank > place {
            reordered[place].shares.push(moved_up.clone());
        }
    }
    window.clone_from_slice(&reordered);
}
