//! The true click model: the appeal of each item to a visitor, and the visitor's behaviour on a page. The formulas are
//! in the header of `simulator/mod.rs`; every function here is pure.

use accrue_event::Timestamp;

use super::catalogue::{Catalogue, season};
use super::place::{delta_between, one_minus_square};
use super::shoppers::{Profile, renewal};
use super::words::FAMILIES;

/// Scale of all appeals.
const BASE: f32 = 1.0;
/// The largest appeal.
const CEILING: f32 = 0.85;
/// δ up to which the fit is 1.
const NEAR: f32 = 0.12;
/// δ from which the fit is smallest.
const FAR: f32 = 1.5;
/// Position after which the visitor has to scroll.
const FOLD: usize = 4;
/// Share of the visitors who scroll.
const SCROLL: f64 = 0.75;
/// δ of two items of one family from which their overlap is smallest.
const ALIKE: f32 = 0.5;
/// Most passes of exchanging adjacent items of the best page.
const MAX_PASSES: usize = 4;
/// Number of items that the greedy page considers before it sorts all of them.
const HEAD: usize = 160;

/// The kind of page, with what it is about.
pub(super) enum Focus {
    /// The shop's front page.
    Home,
    /// The page of the item with this index.
    Item(usize),
    /// Results for the words with these hashes.
    Query(Vec<u64>),
}

/// The appeal of items to one visitor at one time: all factors that do not depend on the item are computed once.
pub(super) struct Appeal<'a> {
    catalogue: &'a Catalogue,
    profile: &'a Profile,
    taste_one_minus_square: f32,
    focus: &'a Focus,
    at: Timestamp,
    by_family: [f32; FAMILIES.len()],
}

impl<'a> Appeal<'a> {
    pub(super) fn new(
        catalogue: &'a Catalogue,
        profile: &'a Profile,
        families: [u8; 2],
        focus: &'a Focus,
        at: Timestamp,
    ) -> Self {
        let mut by_family = [0.0; FAMILIES.len()];
        let [first, second] = families.map(usize::from);
        for (idx, (factor, family)) in by_family.iter_mut().zip(FAMILIES).enumerate() {
            let same_department =
                [first, second].iter().any(|&wanted| FAMILIES[wanted].department == family.department);
            let intent = match idx {
                _ if idx == first => 1.0,
                _ if idx == second => 0.8,
                _ if same_department => 0.22,
                _ => 0.06,
            };
            *factor = intent * (0.5 + 0.5 * season(family, at));
        }
        Self { catalogue, profile, taste_one_minus_square: one_minus_square(&profile.taste), focus, at, by_family }
    }

    /// The appeal `a_i` of every item, including the effect of earlier purchases.
    pub(super) fn of_all(&self, bought: &[(u32, Timestamp)]) -> Vec<f32> {
        let mut appeals: Vec<f32> = (0..self.catalogue.traits.len()).map(|idx| self.of(idx)).collect();
        for &(item, bought_at) in bought {
            for variant in self.catalogue.variants(item as usize) {
                let cycle_days = FAMILIES[self.catalogue.traits[variant].family as usize].cycle_days;
                let factor = renewal(cycle_days, self.at.days_since(bought_at));
                appeals[variant] = (appeals[variant] * factor).min(CEILING);
            }
        }
        appeals
    }

    /// The appeal `a_i` of one item, without the effect of earlier purchases.
    pub(super) fn of(&self, idx: usize) -> f32 {
        let item = &self.catalogue.traits[idx];
        if !item.in_stock {
            return 0.0;
        }
        let delta = delta_between(&self.profile.taste, self.taste_one_minus_square, &item.place, item.one_minus_square);
        let brand = if self.profile.brands.contains(&item.brand) { 1.3 } else { 1.0 };
        let age_days = self.at.days_since(item.published_at) as f32;
        let fresh = 1.0 + 1.2 * self.profile.curiosity * (1.0 - age_days / 14.0).clamp(0.0, 1.0);
        let appeal = BASE * fit(delta) * self.relevance(idx) * self.price_reaction(idx) * item.quality * brand * fresh;
        appeal.min(CEILING)
    }

    fn relevance(&self, idx: usize) -> f32 {
        let item = &self.catalogue.traits[idx];
        let intent = self.by_family[item.family as usize];
        match self.focus {
            Focus::Home => intent,
            Focus::Item(context) if *context == idx => 0.0,
            Focus::Item(context) => {
                let context = &self.catalogue.traits[*context];
                let delta = delta_between(&context.place, context.one_minus_square, &item.place, item.one_minus_square);
                match (context.product == item.product, context.family == item.family) {
                    (true, _) => 0.3,
                    (false, true) => 1.0 / (1.0 + delta),
                    (false, false) => 0.4 * intent,
                }
            }
            Focus::Query(query) if self.catalogue.matches(query, idx) => intent.max(0.6),
            Focus::Query(_) => 0.08 * intent,
        }
    }

    fn price_reaction(&self, idx: usize) -> f32 {
        let item = &self.catalogue.traits[idx];
        let ratio = item.price / (item.usual_price * self.profile.budget);
        let reaction = match ratio {
            d if d < 0.4 => 0.55 + 0.45 * d / 0.4,
            d if d <= 1.0 => 1.0,
            d => {
                let excess = self.profile.thrift * (d - 1.0);
                1.0 / (1.0 + excess * excess)
            }
        };
        if item.price < 0.95 * item.list_price { 1.2 * reaction } else { reaction }
    }
}

/// A smooth threshold: 1 up to [`NEAR`], 0.03 from [`FAR`] on.
fn fit(delta: f32) -> f32 {
    let t = ((FAR - delta) / (FAR - NEAR)).clamp(0.0, 1.0);
    0.03 + 0.97 * t * t * (3.0 - 2.0 * t)
}

/// The probabilities at one position of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionChance {
    /// Probability that the visitor examines the position.
    pub examined: f64,
    /// Probability of a click if it is examined, given the items above.
    pub clicked: f64,
    /// Probability that the visitor leaves the page after that click.
    pub satisfied: f64,
}

/// `m`: the reduction of the appeal of `b` by an item `a` above it.
fn overlap(catalogue: &Catalogue, a: usize, b: usize) -> f32 {
    let (a, b) = (&catalogue.traits[a], &catalogue.traits[b]);
    if a.product == b.product {
        return 3.0;
    }
    if a.family != b.family {
        return 0.0;
    }
    0.25 + 0.75 * (1.0 - delta_between(&a.place, a.one_minus_square, &b.place, b.one_minus_square) / ALIKE).max(0.0)
}

fn saturated(appeal: f32, overlap: f32) -> f32 {
    appeal / (1.0 + 0.4 * overlap)
}

/// Probability that the visitor examines the position after `position`.
pub(super) fn continuation(profile: &Profile, position: usize) -> f64 {
    f64::from(profile.patience) * if position == FOLD { SCROLL } else { 1.0 }
}

fn satisfaction(appeal: f32) -> f64 {
    0.15 + 0.6 * f64::from(appeal)
}

/// The cascade over a page; `None` is a position without a known item.
pub(super) fn cascade(
    catalogue: &Catalogue,
    profile: &Profile,
    appeals: &[f32],
    page: &[Option<usize>],
) -> Vec<PositionChance> {
    let mut examined = 1.0;
    let mut chances = Vec::with_capacity(page.len());
    for (position, &shown) in page.iter().enumerate() {
        let (clicked, satisfied) = shown.map_or((0.0, 0.0), |idx| {
            let above = page[..position].iter().flatten();
            let taken: f32 = above.map(|&other| overlap(catalogue, other, idx)).sum();
            (f64::from(saturated(appeals[idx], taken)), satisfaction(appeals[idx]))
        });
        chances.push(PositionChance { examined, clicked, satisfied });
        examined *= continuation(profile, position) * (1.0 - clicked * satisfied);
    }
    chances
}

/// `Σ examined · clicked`.
pub(super) fn expected_clicks(chances: &[PositionChance]) -> f64 {
    chances.iter().map(|chance| chance.examined * chance.clicked).sum()
}

/// A page that is close to the best: filled greedily, then improved by exchanging adjacent items. Greedy order alone is
/// not the best, because a visitor who is satisfied at the top does not see the rest.
pub(super) fn best_page(catalogue: &Catalogue, profile: &Profile, appeals: &[f32], n: usize) -> Vec<usize> {
    let mut page: Vec<_> = greedy_page(catalogue, appeals, n).into_iter().map(Some).collect();
    let value = |page: &[Option<usize>]| expected_clicks(&cascade(catalogue, profile, appeals, page));
    let mut best = value(&page);
    for _ in 0..MAX_PASSES {
        let before = best;
        for upper in 0..page.len().saturating_sub(1) {
            page.swap(upper, upper + 1);
            let swapped = value(&page);
            if swapped > best {
                best = swapped;
            } else {
                page.swap(upper, upper + 1);
            }
        }
        if best == before {
            break;
        }
    }
    page.into_iter().flatten().collect()
}

/// Fills a page from the top, each time with the item that is most likely to be clicked below those chosen before. The
/// result is exact: an item's click probability is at most its appeal, so a scan in order of appeal may stop early.
fn greedy_page(catalogue: &Catalogue, appeals: &[f32], n: usize) -> Vec<usize> {
    let mut order: Vec<u32> = (0..appeals.len() as u32).collect();
    let best_first = |a: &u32, b: &u32| appeals[*b as usize].total_cmp(&appeals[*a as usize]).then(a.cmp(b));
    if order.len() > HEAD {
        order.select_nth_unstable_by(HEAD, best_first);
        order[..HEAD].sort_unstable_by(best_first);
    } else {
        order.sort_unstable_by(best_first);
    }
    let mut n_sorted = order.len().min(HEAD);
    let mut page: Vec<usize> = Vec::with_capacity(n);
    // The overlap of each candidate with the page so far, and the number of items of the page that it includes.
    let mut taken = vec![(0f32, 0usize); order.len()];
    while page.len() < n.min(appeals.len()) {
        let mut best: Option<(f32, usize)> = None;
        let mut rank = 0;
        while rank < order.len() {
            if rank == n_sorted {
                order[n_sorted..].sort_unstable_by(best_first);
                n_sorted = order.len();
            }
            let idx = order[rank] as usize;
            if best.is_some_and(|(chance, _)| appeals[idx] <= chance) {
                break;
            }
            let (overlapped, counted) = &mut taken[rank];
            for &above in &page[*counted..] {
                *overlapped += overlap(catalogue, above, idx);
            }
            *counted = page.len();
            let chance = saturated(appeals[idx], *overlapped);
            if !page.contains(&idx) && best.is_none_or(|(most, _)| chance > most) {
                best = Some((chance, idx));
            }
            rank += 1;
        }
        match best {
            Some((_, idx)) => page.push(idx),
            None => break,
        }
    }
    page
}

/// Expected clicks of `n` items drawn uniformly from those in stock, ignoring their small overlap.
pub(super) fn random_expectation(catalogue: &Catalogue, profile: &Profile, appeals: &[f32], n: usize) -> f64 {
    let open = || catalogue.traits.iter().zip(appeals).filter(|(item, _)| item.in_stock).map(|(_, &appeal)| appeal);
    let n_open = open().count().max(1) as f64;
    let clicked = open().map(f64::from).sum::<f64>() / n_open;
    let leaving = open().map(|appeal| f64::from(appeal) * satisfaction(appeal)).sum::<f64>() / n_open;
    let mut examined = 1.0;
    let mut clicks = 0.0;
    for position in 0..n {
        clicks += examined * clicked;
        examined *= continuation(profile, position) * (1.0 - leaving);
    }
    clicks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::random::{Random, Stream};
    use crate::simulator::shoppers::guest;

    const START: Timestamp = Timestamp(1_767_571_200_000);

    fn appeals(catalogue: &Catalogue, profile: &Profile, focus: &Focus) -> Vec<f32> {
        Appeal::new(catalogue, profile, [3, 7], focus, START).of_all(&[])
    }

    /// Expected clicks, computed from the tree of all outcomes.
    fn walk(chances: &[PositionChance], profile: &Profile, position: usize) -> f64 {
        let Some(chance) = chances.get(position) else { return 0.0 };
        let on = continuation(profile, position) * walk(chances, profile, position + 1);
        chance.clicked * (1.0 + (1.0 - chance.satisfied) * on) + (1.0 - chance.clicked) * on
    }

    #[test]
    fn expected_clicks_equal_the_tree_of_all_outcomes() {
        let catalogue = Catalogue::new(1, 400, START);
        for number in 0..50 {
            let profile = guest(1, number, &catalogue.centres);
            let appeals = appeals(&catalogue, &profile, &Focus::Home);
            let mut page: Vec<_> = greedy_page(&catalogue, &appeals, 12).into_iter().map(Some).collect();
            page[number as usize % 12] = None;
            let chances = cascade(&catalogue, &profile, &appeals, &page);
            let (sum, tree) = (expected_clicks(&chances), walk(&chances, &profile, 0));
            assert!((sum - tree).abs() < 1e-12, "{sum} is not {tree}");
            assert!(chances.is_sorted_by(|above, below| above.examined > below.examined));
        }
    }

    #[test]
    fn the_fast_greedy_page_equals_the_simple_one() {
        let catalogue = Catalogue::new(2, 700, START);
        for number in 0..60 {
            let profile = guest(2, number, &catalogue.centres);
            let focus = match number % 3 {
                0 => Focus::Home,
                1 => Focus::Item(number as usize),
                _ => Focus::Query(crate::simulator::catalogue::query_words("mug")),
            };
            let appeals = appeals(&catalogue, &profile, &focus);
            let mut plain: Vec<usize> = Vec::new();
            for _ in 0..10 {
                let chance = |idx: usize| {
                    saturated(appeals[idx], plain.iter().map(|&above| overlap(&catalogue, above, idx)).sum())
                };
                let free = (0..700).filter(|idx| !plain.contains(idx));
                let best = free.reduce(|a, b| {
                    let order = chance(b).total_cmp(&chance(a)).then(appeals[b].total_cmp(&appeals[a]));
                    if order.is_lt() { a } else { b }
                });
                plain.push(best.expect("there are more items"));
            }
            let value = |page: &[usize]| {
                let page: Vec<_> = page.iter().copied().map(Some).collect();
                expected_clicks(&cascade(&catalogue, &profile, &appeals, &page))
            };
            let quick = greedy_page(&catalogue, &appeals, 10);
            assert!((value(&quick) - value(&plain)).abs() < 1e-9, "{quick:?} for {plain:?}");
        }
    }

    #[test]
    fn random_exchanges_hardly_ever_improve_the_best_page() {
        let catalogue = Catalogue::new(3, 500, START);
        for number in 0..20 {
            let profile = guest(3, number, &catalogue.centres);
            let appeals = appeals(&catalogue, &profile, &Focus::Home);
            let page: Vec<_> = best_page(&catalogue, &profile, &appeals, 10).into_iter().map(Some).collect();
            let best = expected_clicks(&cascade(&catalogue, &profile, &appeals, &page));
            let mut random = Random::new(3, Stream::Policy, number);
            for _ in 0..200 {
                let mut other = page.clone();
                other.swap(random.below(10), random.below(10));
                other[random.below(10)] = Some(random.below(500));
                let value = expected_clicks(&cascade(&catalogue, &profile, &appeals, &other));
                assert!(value < 1.03 * best, "{value} against {best}");
            }
        }
    }

    #[test]
    fn overlap_price_age_and_purchases_change_the_appeal() {
        let mut catalogue = Catalogue::new(4, 400, START);
        let profile = Profile { curiosity: 1.0, budget: 1.0, thrift: 2.0, ..guest(4, 1, &catalogue.centres) };
        let idx =
            catalogue.traits.iter().position(|item| FAMILIES[item.family as usize].cycle_days == 0.0).expect("one");
        let appeal_in = |catalogue: &Catalogue| appeals(catalogue, &profile, &Focus::Home)[idx];
        let before = appeal_in(&catalogue);
        catalogue.traits[idx].price = catalogue.traits[idx].usual_price;
        let fair = appeal_in(&catalogue);
        catalogue.traits[idx].price *= 3.0;
        assert!(appeal_in(&catalogue) < 0.2 * fair);
        catalogue.traits[idx].price = catalogue.traits[idx].list_price;
        catalogue.traits[idx].published_at = START;
        assert!(appeal_in(&catalogue) > 1.5 * before);
        let appeal = Appeal::new(&catalogue, &profile, [3, 7], &Focus::Home, START);
        assert!(appeal.of_all(&[(idx as u32, START)])[idx] < 0.2 * appeal_in(&catalogue));
        assert_eq!(overlap(&catalogue, idx, idx), 3.0);
        assert!(saturated(0.5, 3.0) < 0.25);
    }
}
