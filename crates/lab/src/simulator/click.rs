//! The truth about clicks: how much a visitor wants each item, and what they do on a page. The formula is in the module's
//! header (`simulator/mod.rs`); every function here is pure.

use accrue_event::Timestamp;

use super::catalogue::{Catalogue, season};
use super::place::{room, spread_between};
use super::shoppers::{Profile, renewal};
use super::words::FAMILIES;

/// Scale of every wish.
const BASE: f32 = 1.0;
/// No item is clicked more often than this by those who see it.
const CEILING: f32 = 0.85;
/// δ below which taste is content.
const NEAR: f32 = 0.12;
/// δ beyond which taste sees nothing of interest.
const FAR: f32 = 1.5;
/// Pages are cut here by the screen: fewer look below.
const FOLD: usize = 4;
/// Share of those at the fold who scroll.
const SCROLL: f64 = 0.75;
/// δ of two items beyond which the one takes no special interest from the other.
const ALIKE: f32 = 0.5;
/// Rounds of exchanging neighbours on the best page.
const MAX_PASSES: usize = 4;
/// How many of the best items the greedy page looks at before it sorts them all.
const HEAD: usize = 160;

/// What the visitor is looking at.
pub(super) enum Focus {
    /// The shop's front page.
    Home,
    /// The page of the item with this index.
    Item(usize),
    /// Results for the words with these hashes.
    Query(Vec<u64>),
}

/// A visitor's eyes at one moment: all of the wish that does not depend on the item.
pub(super) struct Gaze<'a> {
    catalogue: &'a Catalogue,
    profile: &'a Profile,
    taste_room: f32,
    focus: &'a Focus,
    at: Timestamp,
    by_family: [f32; FAMILIES.len()],
}

impl<'a> Gaze<'a> {
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
            let neighbour = [first, second].iter().any(|&wanted| FAMILIES[wanted].department == family.department);
            let intent = match idx {
                _ if idx == first => 1.0,
                _ if idx == second => 0.8,
                _ if neighbour => 0.22,
                _ => 0.06,
            };
            *factor = intent * (0.5 + 0.5 * season(family, at));
        }
        Self { catalogue, profile, taste_room: room(&profile.taste), focus, at, by_family }
    }

    /// `a_i` for every item, with what was bought before.
    pub(super) fn wishes(&self, bought: &[(u32, Timestamp)]) -> Vec<f32> {
        let mut wishes: Vec<f32> = (0..self.catalogue.traits.len()).map(|idx| self.wish(idx)).collect();
        for &(item, bought_at) in bought {
            for variant in self.catalogue.variants(item as usize) {
                let cycle_days = FAMILIES[self.catalogue.traits[variant].family as usize].cycle_days;
                let again = renewal(cycle_days, self.at.days_since(bought_at));
                wishes[variant] = (wishes[variant] * again).min(CEILING);
            }
        }
        wishes
    }

    /// `a_i` of one item, as if it had never been bought.
    pub(super) fn wish(&self, idx: usize) -> f32 {
        let item = &self.catalogue.traits[idx];
        if !item.open {
            return 0.0;
        }
        let delta = spread_between(&self.profile.taste, self.taste_room, &item.place, item.room);
        let brand = if self.profile.brands.contains(&item.brand) { 1.3 } else { 1.0 };
        let age_days = self.at.days_since(item.published_at) as f32;
        let fresh = 1.0 + 1.2 * self.profile.curiosity * (1.0 - age_days / 14.0).clamp(0.0, 1.0);
        let wish = BASE * fit(delta) * self.relevance(idx) * self.price_reaction(idx) * item.quality * brand * fresh;
        wish.min(CEILING)
    }

    fn relevance(&self, idx: usize) -> f32 {
        let item = &self.catalogue.traits[idx];
        let intent = self.by_family[item.family as usize];
        match self.focus {
            Focus::Home => intent,
            Focus::Item(context) if *context == idx => 0.0,
            Focus::Item(context) => {
                let context = &self.catalogue.traits[*context];
                let delta = spread_between(&context.place, context.room, &item.place, item.room);
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
        let dear = item.price / (item.usual_price * self.profile.budget);
        let reaction = match dear {
            d if d < 0.4 => 0.55 + 0.45 * d / 0.4,
            d if d <= 1.0 => 1.0,
            d => {
                let pain = self.profile.thrift * (d - 1.0);
                1.0 / (1.0 + pain * pain)
            }
        };
        if item.price < 0.95 * item.list_price { 1.2 * reaction } else { reaction }
    }
}

/// Smooth threshold: 1 up to [`NEAR`], 0.03 from [`FAR`] on.
fn fit(delta: f32) -> f32 {
    let t = ((FAR - delta) / (FAR - NEAR)).clamp(0.0, 1.0);
    0.03 + 0.97 * t * t * (3.0 - 2.0 * t)
}

/// What happens at one position of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionChance {
    /// Probability that the visitor looks at it.
    pub examined: f64,
    /// Probability of a click once they look, given what stands above.
    pub clicked: f64,
    /// Probability that they leave the page for good after that click.
    pub satisfied: f64,
}

/// `m`: how much of the interest in `b` a higher `a` has taken.
fn overlap(catalogue: &Catalogue, a: usize, b: usize) -> f32 {
    let (a, b) = (&catalogue.traits[a], &catalogue.traits[b]);
    if a.product == b.product {
        return 3.0;
    }
    if a.family != b.family {
        return 0.0;
    }
    0.25 + 0.75 * (1.0 - spread_between(&a.place, a.room, &b.place, b.room) / ALIKE).max(0.0)
}

fn saturated(wish: f32, overlap: f32) -> f32 {
    wish / (1.0 + 0.4 * overlap)
}

/// How many go on looking below `position`.
pub(super) fn goes_on(profile: &Profile, position: usize) -> f64 {
    f64::from(profile.patience) * if position == FOLD { SCROLL } else { 1.0 }
}

fn satisfaction(wish: f32) -> f64 {
    0.15 + 0.6 * f64::from(wish)
}

/// The cascade down a page; `None` is a place that shows nothing we know.
pub(super) fn cascade(
    catalogue: &Catalogue,
    profile: &Profile,
    wishes: &[f32],
    page: &[Option<usize>],
) -> Vec<PositionChance> {
    let mut examined = 1.0;
    let mut chances = Vec::with_capacity(page.len());
    for (position, &shown) in page.iter().enumerate() {
        let (clicked, satisfied) = shown.map_or((0.0, 0.0), |idx| {
            let above = page[..position].iter().flatten();
            let taken: f32 = above.map(|&other| overlap(catalogue, other, idx)).sum();
            (f64::from(saturated(wishes[idx], taken)), satisfaction(wishes[idx]))
        });
        chances.push(PositionChance { examined, clicked, satisfied });
        examined *= goes_on(profile, position) * (1.0 - clicked * satisfied);
    }
    chances
}

/// `Σ examined · clicked`.
pub(super) fn expected_clicks(chances: &[PositionChance]) -> f64 {
    chances.iter().map(|chance| chance.examined * chance.clicked).sum()
}

/// The best page that is easily found: filled greedily, then put in the order in which no two neighbours should change
/// places (the most likely click on top is not always best: whoever is satisfied there sees no more).
pub(super) fn best_page(catalogue: &Catalogue, profile: &Profile, wishes: &[f32], n: usize) -> Vec<usize> {
    let mut page: Vec<_> = greedy_page(catalogue, wishes, n).into_iter().map(Some).collect();
    let value = |page: &[Option<usize>]| expected_clicks(&cascade(catalogue, profile, wishes, page));
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

/// Fills a page from the top, each time with the item most likely to be clicked below those already chosen.
/// Exact: an item's chance never exceeds its wish, so the scan in order of wishes may stop early.
fn greedy_page(catalogue: &Catalogue, wishes: &[f32], n: usize) -> Vec<usize> {
    let mut order: Vec<u32> = (0..wishes.len() as u32).collect();
    let best_first = |a: &u32, b: &u32| wishes[*b as usize].total_cmp(&wishes[*a as usize]).then(a.cmp(b));
    if order.len() > HEAD {
        order.select_nth_unstable_by(HEAD, best_first);
        order[..HEAD].sort_unstable_by(best_first);
    } else {
        order.sort_unstable_by(best_first);
    }
    let mut n_sorted = order.len().min(HEAD);
    let mut page: Vec<usize> = Vec::with_capacity(n);
    // What the page so far takes from the candidate, and how much of the page that counts.
    let mut taken = vec![(0f32, 0usize); order.len()];
    while page.len() < n.min(wishes.len()) {
        let mut best: Option<(f32, usize)> = None;
        let mut rank = 0;
        while rank < order.len() {
            if rank == n_sorted {
                order[n_sorted..].sort_unstable_by(best_first);
                n_sorted = order.len();
            }
            let idx = order[rank] as usize;
            if best.is_some_and(|(chance, _)| wishes[idx] <= chance) {
                break;
            }
            let (overlapped, counted) = &mut taken[rank];
            for &above in &page[*counted..] {
                *overlapped += overlap(catalogue, above, idx);
            }
            *counted = page.len();
            let chance = saturated(wishes[idx], *overlapped);
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

/// Expected clicks of `n` items drawn evenly from what is in stock, without the small loss to likeness.
pub(super) fn random_expectation(catalogue: &Catalogue, profile: &Profile, wishes: &[f32], n: usize) -> f64 {
    let open = || catalogue.traits.iter().zip(wishes).filter(|(item, _)| item.open).map(|(_, &wish)| wish);
    let n_open = open().count().max(1) as f64;
    let clicked = open().map(f64::from).sum::<f64>() / n_open;
    let leaving = open().map(|wish| f64::from(wish) * satisfaction(wish)).sum::<f64>() / n_open;
    let mut examined = 1.0;
    let mut clicks = 0.0;
    for position in 0..n {
        clicks += examined * clicked;
        examined *= goes_on(profile, position) * (1.0 - leaving);
    }
    clicks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::dice::{Roll, Stream};
    use crate::simulator::shoppers::guest;

    const START: Timestamp = Timestamp(1_767_571_200_000);

    fn wishes(catalogue: &Catalogue, profile: &Profile, focus: &Focus) -> Vec<f32> {
        Gaze::new(catalogue, profile, [3, 7], focus, START).wishes(&[])
    }

    /// Expected clicks by walking the whole tree of what can happen.
    fn walk(chances: &[PositionChance], profile: &Profile, position: usize) -> f64 {
        let Some(chance) = chances.get(position) else { return 0.0 };
        let on = goes_on(profile, position) * walk(chances, profile, position + 1);
        chance.clicked * (1.0 + (1.0 - chance.satisfied) * on) + (1.0 - chance.clicked) * on
    }

    #[test]
    fn expected_clicks_equal_the_tree_of_all_outcomes() {
        let catalogue = Catalogue::new(1, 400, START);
        for number in 0..50 {
            let profile = guest(1, number, &catalogue.homes);
            let wishes = wishes(&catalogue, &profile, &Focus::Home);
            let mut page: Vec<_> = greedy_page(&catalogue, &wishes, 12).into_iter().map(Some).collect();
            page[number as usize % 12] = None;
            let chances = cascade(&catalogue, &profile, &wishes, &page);
            let (sum, tree) = (expected_clicks(&chances), walk(&chances, &profile, 0));
            assert!((sum - tree).abs() < 1e-12, "{sum} is not {tree}");
            assert!(chances.is_sorted_by(|above, below| above.examined > below.examined));
        }
    }

    #[test]
    fn the_quick_greedy_page_is_the_plain_one() {
        let catalogue = Catalogue::new(2, 700, START);
        for number in 0..60 {
            let profile = guest(2, number, &catalogue.homes);
            let focus = match number % 3 {
                0 => Focus::Home,
                1 => Focus::Item(number as usize),
                _ => Focus::Query(crate::simulator::catalogue::query_words("mug")),
            };
            let wishes = wishes(&catalogue, &profile, &focus);
            let mut plain: Vec<usize> = Vec::new();
            for _ in 0..10 {
                let chance = |idx: usize| {
                    saturated(wishes[idx], plain.iter().map(|&above| overlap(&catalogue, above, idx)).sum())
                };
                let free = (0..700).filter(|idx| !plain.contains(idx));
                let best = free.reduce(|a, b| {
                    let order = chance(b).total_cmp(&chance(a)).then(wishes[b].total_cmp(&wishes[a]));
                    if order.is_lt() { a } else { b }
                });
                plain.push(best.expect("there are more items"));
            }
            let value = |page: &[usize]| {
                let page: Vec<_> = page.iter().copied().map(Some).collect();
                expected_clicks(&cascade(&catalogue, &profile, &wishes, &page))
            };
            let quick = greedy_page(&catalogue, &wishes, 10);
            assert!((value(&quick) - value(&plain)).abs() < 1e-9, "{quick:?} for {plain:?}");
        }
    }

    #[test]
    fn hardly_any_exchange_improves_the_best_page() {
        let catalogue = Catalogue::new(3, 500, START);
        for number in 0..20 {
            let profile = guest(3, number, &catalogue.homes);
            let wishes = wishes(&catalogue, &profile, &Focus::Home);
            let page: Vec<_> = best_page(&catalogue, &profile, &wishes, 10).into_iter().map(Some).collect();
            let best = expected_clicks(&cascade(&catalogue, &profile, &wishes, &page));
            let mut roll = Roll::new(3, Stream::Policy, number);
            for _ in 0..200 {
                let mut other = page.clone();
                other.swap(roll.below(10), roll.below(10));
                other[roll.below(10)] = Some(roll.below(500));
                let value = expected_clicks(&cascade(&catalogue, &profile, &wishes, &other));
                assert!(value < 1.03 * best, "{value} against {best}");
            }
        }
    }

    #[test]
    fn likeness_saturates_and_price_novelty_and_purchases_count() {
        let mut catalogue = Catalogue::new(4, 400, START);
        let profile = Profile { curiosity: 1.0, budget: 1.0, thrift: 2.0, ..guest(4, 1, &catalogue.homes) };
        let idx =
            catalogue.traits.iter().position(|item| FAMILIES[item.family as usize].cycle_days == 0.0).expect("one");
        let wish = |catalogue: &Catalogue| wishes(catalogue, &profile, &Focus::Home)[idx];
        let before = wish(&catalogue);
        catalogue.traits[idx].price = catalogue.traits[idx].usual_price;
        let fair = wish(&catalogue);
        catalogue.traits[idx].price *= 3.0;
        assert!(wish(&catalogue) < 0.2 * fair);
        catalogue.traits[idx].price = catalogue.traits[idx].list_price;
        catalogue.traits[idx].published_at = START;
        assert!(wish(&catalogue) > 1.5 * before);
        let gaze = Gaze::new(&catalogue, &profile, [3, 7], &Focus::Home, START);
        assert!(gaze.wishes(&[(idx as u32, START)])[idx] < 0.2 * wish(&catalogue));
        assert_eq!(overlap(&catalogue, idx, idx), 3.0);
        assert!(saturated(0.5, 3.0) < 0.25);
    }
}
