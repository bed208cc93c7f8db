//! Lists that are the same for every visitor: items like one item, what is in demand, what is new.
//!
//! In: the facts and the version. Out: up to `n` items, one of each variant group, each with the one reason for it; and how
//! many there are in all.
//!
//! A list holds under any filter. The models keep their leaders in order, and a filter may leave too few of them. Then
//! one pass over the catalogue orders all items that pass; its cost is bounded by the size of the catalogue, and by what the
//! conditions of the filter may read (`filter/pass.rs`).

use std::collections::{BinaryHeap, HashSet};

use accrue_event::{DAY_MS, Timestamp};
use accrue_model::Scored;
use accrue_store::ItemIdx;

use crate::filter::FilterPass;
use crate::page::Variants;
use crate::rules::ActiveRules;
use crate::shop::Product;
use crate::{Degraded, Grouping, ListRequest, Reason, ReasonCode, Recommendation, Recommended, Shop};

/// Items whose descriptions are compared with that of one item, at most, newest first.
const MAX_COMPARED: usize = 100_000;
/// How long an item counts as just published: a fortnight.
const LATELY_MS: i64 = 14 * 24 * 3600 * 1000;

impl Shop<'_> {
    /// How many products a list of everything may have; items, if each variant counts. Looks at the whole catalogue, or as
    /// far as the filter may read.
    pub fn n_on_sale(&self, list: &ListRequest) -> usize {
        self.n_counted(list, |_| true)
    }

    /// How many of them were ever chosen, which are those that [`Shop::trending`] lists.
    pub fn n_popular(&self, list: &ListRequest) -> usize {
        let popularity = self.version.ensemble.popularity();
        let is_chosen = |item: ItemIdx| popularity.weekly_level(item) > f32::NEG_INFINITY;
        let products = &self.facts.products;
        let of_product = |item| match products.of(item).filter(|_| list.grouping == Grouping::Product) {
            Some(product) => {
                products.parent(product).is_some_and(is_chosen)
                    || products.variants(product).iter().any(|&other| is_chosen(other))
            }
            None => false,
        };
        self.n_counted(list, |item| is_chosen(item) || of_product(item))
    }

    fn n_counted(&self, list: &ListRequest, is_listed: impl Fn(ItemIdx) -> bool) -> usize {
        let shop = self.with_incomplete(list.incomplete);
        let rules = ActiveRules::of(self, None, list.filter.as_ref());
        let filter = self.pass(list.filter.as_ref());
        let mut products = HashSet::new();
        let counts = |&item: &ItemIdx| {
            is_listed(item)
                && shop.may_recommend(item, filter.as_ref())
                && !rules.hides(self, item)
                && match shop.counted(item, list.grouping) {
                    Product::OfVariants(product) => products.insert(product),
                    Product::Alone(_) => true,
                }
        };
        (0..self.facts.items.len() as u32).filter(counts).count()
    }

    /// Items like `item`: neighbours by the shoppers' choices, then, where those do not fill the page, by description.
    pub fn similar(&self, item: ItemIdx, list: &ListRequest) -> Recommendation {
        let (shop, n, grouping) = (self.with_incomplete(list.incomplete), list.n, list.grouping);
        let own = self.counted(item, grouping);
        let is_other = |other: ItemIdx| self.counted(other, grouping) != own;
        let rules = ActiveRules::of(self, None, list.filter.as_ref());
        let filter = self.pass(list.filter.as_ref());
        let may = |other: ItemIdx| shop.may_recommend(other, filter.as_ref()) && !rules.hides(self, other);
        let acceptable = |other: ItemIdx| is_other(other) && may(other);
        let mut variants = Variants::new(self, grouping);
        let neighbours = self.version.ensemble.neighbours();
        let neighbours =
            neighbours.map_or_else(Vec::new, |neighbours| neighbours.similar(item, usize::MAX >> 1)).into_iter();
        let neighbours = neighbours.filter(|scored| acceptable(scored.item) && variants.is_first(scored.item));
        let chosen: Vec<Scored> = neighbours.take(n).collect();
        let mut degraded = Vec::new();
        if chosen.is_empty() {
            degraded.push(Degraded::NoNeighbours.name());
        }
        let mut described = Vec::new();
        if chosen.len() < n {
            let known: HashSet<ItemIdx> = chosen.iter().map(|scored| scored.item).collect();
            // An item that is only described alike ranks below all that were chosen together.
            let below = chosen.last().map_or(1.0, |weakest| weakest.score);
            let n_wanted = n - chosen.len();
            let alike = self.described_alike(item, below, &|other| acceptable(other) && !known.contains(&other));
            described.extend(alike.filter(|scored| variants.is_first(scored.item)).take(n_wanted));
        }
        let text = format!("chosen together with {}", self.title(item));
        let mut items = self.list(chosen, ReasonCode::ChosenTogether, &text);
        items.extend(self.list(described, ReasonCode::DescribedAlike, &format!("described like {}", self.title(item))));
        self.full_list(items, n, filter.as_ref(), degraded)
    }

    /// The acceptable items whose descriptions are like that of `item`, most alike first; scores are cosines times
    /// `scale`.
    fn described_alike(
        &self,
        item: ItemIdx,
        scale: f32,
        accept: &dyn Fn(ItemIdx) -> bool,
    ) -> impl Iterator<Item = Scored> + use<> {
        let catalogue = &self.version.ensemble.catalogue;
        let others = (0..self.facts.items.len() as u32).rev().take(MAX_COMPARED);
        let alike = others.map(|other| Scored { item: other, score: scale * catalogue.cosine(item, other) });
        best_first(&mut alike.filter(|scored| scored.score > 0.0 && accept(scored.item)))
    }

    /// The items that are most popular at the moment. Products that were never chosen are not listed; a variant that may not be
    /// shown is represented by the best one of its product that may, because what sold is the product.
    pub fn trending(&self, list: &ListRequest) -> Recommendation {
        let (shop, n) = (self.with_incomplete(list.incomplete), list.n);
        let popularity = self.version.ensemble.popularity();
        let now_ms = self.facts.stream_time.0;
        let rules = ActiveRules::of(self, None, list.filter.as_ref());
        let filter = self.pass(list.filter.as_ref());
        let may = |item: ItemIdx| shop.may_recommend(item, filter.as_ref()) && !rules.hides(self, item);
        // By level and not by the count at this moment, which is rounded to 0 when the latest choice is years old.
        let level = |item| popularity.weekly_level(item);
        let first = |popular: &mut dyn Iterator<Item = ItemIdx>| -> Vec<Scored> {
            let mut variants = Variants::new(self, list.grouping);
            // Products of which one variant was looked for in the place of another: each is looked through once.
            let mut looked_through = HashSet::new();
            let mut shown = |item: ItemIdx| -> Option<ItemIdx> {
                if may(item) {
                    return Some(item);
                }
                let product = self.facts.products.of(item).filter(|_| list.grouping == Grouping::Product)?;
                if !looked_through.insert(product) {
                    return None;
                }
                let others = self.facts.products.variants(product).iter().copied().filter(|&other| may(other));
                others.max_by(|&a, &b| level(a).total_cmp(&level(b)).then(b.cmp(&a)))
            };
            let shown = popular.filter_map(|item| Some((shown(item)?, item)));
            let first = shown.filter(|&(item, _)| variants.is_first(item)).take(n);
            first.map(|(item, sold)| Scored { item, score: popularity.weekly(sold, now_ms) }).collect()
        };
        let is_chosen = |item: &ItemIdx| level(*item) > f32::NEG_INFINITY;
        let leaders = popularity.leaders(now_ms).map(|leader| leader.item);
        let mut listed = first(&mut leaders.filter(is_chosen));
        if listed.len() < n && popularity.n_leaders() < self.facts.items.len() {
            let of_level = |item| Scored { item, score: level(item) };
            let mut all = (0..self.facts.items.len() as u32).filter(is_chosen).map(of_level);
            listed = first(&mut best_first(&mut all).map(|scored| scored.item));
        }
        let items = self.list(listed, ReasonCode::Popular, "popular now");
        self.full_list(items, n, filter.as_ref(), Vec::new())
    }

    /// The newest items, newest first, by the date of publication, or by the first sight of an item that has none; the
    /// score is the age in days, negated.
    pub fn new_items(&self, list: &ListRequest) -> Recommendation {
        let (shop, n) = (self.with_incomplete(list.incomplete), list.n);
        let mut variants = Variants::new(self, list.grouping);
        let rules = ActiveRules::of(self, None, list.filter.as_ref());
        let filter = self.pass(list.filter.as_ref());
        let may = |item: ItemIdx| shop.may_recommend(item, filter.as_ref()) && !rules.hides(self, item);
        let newest = self.newest().filter(|&(_, item)| may(item));
        let first = newest.filter(|&(_, item)| variants.is_first(item)).take(n);
        let age_days = |at_ms: i64| (self.now_ms - at_ms) as f32 / DAY_MS as f32;
        let scored = first.map(|(at_ms, item)| Scored { item, score: -age_days(at_ms) });
        let items = self.list(scored, ReasonCode::NewItem, "new in the shop");
        self.full_list(items, n, filter.as_ref(), Vec::new())
    }

    /// Items from the newest on, each with the time from which it counts as new. Looks as far as the result is read.
    fn newest(&self) -> impl Iterator<Item = (i64, ItemIdx)> {
        let (ensemble, overview, now_ms) = (&self.version.ensemble, self.facts.overview(), self.now_ms);
        let published = overview.published(..=Timestamp(now_ms)).map(|(at, item)| (at.0, item));
        let n_items = self.facts.items.len() as u32;
        // Most catalogues have dates for all items or for none.
        let n_undated = if overview.n_published() < u64::from(n_items) { n_items } else { 0 };
        let is_undated =
            |item: &ItemIdx| self.facts.entry(*item).is_some_and(|entry| entry.item.published_at.is_none());
        let first_seen = |item| ensemble.first_seen_ms(item).unwrap_or(now_ms);
        // Not in the order of the indices: the first event of an item may be years before its description.
        let undated = (0..n_undated).filter(is_undated).map(|item| (first_seen(item), item));
        let mut undated = undated.collect::<BinaryHeap<_>>();
        let undated = std::iter::from_fn(move || undated.pop());
        let (mut published, mut undated) = (published.peekable(), undated.peekable());
        std::iter::from_fn(move || match (published.peek(), undated.peek()) {
            (Some((at_ms, _)), Some((seen_ms, _))) if at_ms < seen_ms => undated.next(),
            (None, _) => undated.next(),
            (Some(_), _) => published.next(),
        })
    }

    /// The latest `n` items that were published within the last [`LATELY_MS`]. An item whose date of publication comes
    /// days after its description is not among the newest of the models, so it would have no place to begin with.
    pub(crate) fn just_published(&self, n: usize) -> impl Iterator<Item = ItemIdx> + use<'_> {
        let since = Timestamp(self.now_ms.saturating_sub(LATELY_MS));
        self.facts.overview().published(since..=Timestamp(self.now_ms)).map(|(_, item)| item).take(n)
    }

    fn list(&self, picked: impl IntoIterator<Item = Scored>, code: ReasonCode, text: &str) -> Vec<Recommended> {
        let recommended = |scored: Scored| Recommended {
            reasons: vec![Reason::plain(code.name(), text, scored.score)],
            ..self.recommended(scored.item, scored.score)
        };
        picked.into_iter().map(recommended).collect()
    }

    fn full_list(
        &self,
        items: Vec<Recommended>,
        n: usize,
        filter: Option<&FilterPass<'_>>,
        mut degraded: Vec<&'static str>,
    ) -> Recommendation {
        degraded.extend(filter.filter(|filter| filter.is_cut()).map(|_| Degraded::FilterCut.name()));
        if items.len() < n {
            degraded.push(Degraded::FewCandidates.name());
        }
        self.recommendation(items, degraded)
    }
}

/// The items by falling score, equal scores by item. Ordering is done as far as the result is read.
fn best_first(items: &mut dyn Iterator<Item = Scored>) -> impl Iterator<Item = Scored> + use<> {
    let mut heap: BinaryHeap<Ordered> = items.map(Ordered).collect();
    std::iter::from_fn(move || heap.pop().map(|Ordered(best)| best))
}

/// A scored item; the larger is listed first.
struct Ordered(Scored);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.score.total_cmp(&other.0.score).then(other.0.item.cmp(&self.0.item))
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

#[cfg(test)]
mod tests {
    use accrue_store::ItemIdx;

    use crate::filter::Filter;
    use crate::fixture::{Fixture, Size};
    use crate::page::Variants;
    use crate::{Grouping, ListRequest, Recommendation};

    /// More items were chosen than the models keep leaders of, and there are more items than they keep newest of.
    fn large_shop() -> Fixture {
        Fixture::new(Size { n_items: 1_200, n_favourites: 1_100, n_events: 3_000, ..Size::default() })
    }

    /// The first `n` of a whole catalogue that was put in the order of the list.
    fn wanted(
        shop: &Fixture,
        ordered: &[ItemIdx],
        filter: Option<&Filter>,
        n: usize,
        stand_in: StandIn<'_>,
    ) -> Vec<String> {
        let mut variants = Variants::new(&shop.shop(), Grouping::Product);
        let filter = shop.shop().pass(filter);
        let may = |item: &ItemIdx| shop.shop().may_recommend(*item, filter.as_ref());
        let shown = ordered.iter().filter_map(|&item| if may(&item) { Some(item) } else { stand_in(item, &may) });
        let name = |item| shop.facts.items.name(item).unwrap().to_owned();
        shown.filter(|&item| variants.is_first(item)).take(n).map(name).collect()
    }

    /// The item that is listed for one that may not be shown.
    type StandIn<'a> = &'a dyn Fn(ItemIdx, &dyn Fn(&ItemIdx) -> bool) -> Option<ItemIdx>;

    fn check(
        shop: &Fixture,
        ordered: &[ItemIdx],
        stand_in: StandIn<'_>,
        list: impl Fn(&ListRequest) -> Recommendation,
    ) {
        let narrow = (0..9).map(|price| Some(format!("price:{price}")));
        for filter in narrow.chain([None, Some("brand:brand1".into())]) {
            let filter = filter.map(|text| Filter::parse(&text).unwrap());
            for n in [1, 5, 40, 1_000] {
                let answer = list(&ListRequest { n, filter: filter.clone(), ..ListRequest::default() });
                let listed: Vec<&str> = answer.items.iter().map(|item| item.id.as_str()).collect();
                assert_eq!(listed, wanted(shop, ordered, filter.as_ref(), n, stand_in), "{filter:?} {n}");
                assert_eq!(answer.degraded.contains(&"few_candidates"), listed.len() < n);
            }
        }
    }

    #[test]
    fn what_is_popular_under_a_filter_is_the_most_popular_that_passes_it() {
        let shop = large_shop();
        let popularity = shop.version.ensemble.popularity();
        let mut ordered: Vec<ItemIdx> = (0..shop.facts.items.len() as u32).collect();
        ordered.retain(|&item| popularity.weekly_level(item) > f32::NEG_INFINITY);
        assert!(ordered.len() > popularity.n_leaders() + 100);
        ordered.sort_by(|&a, &b| popularity.weekly_level(b).total_cmp(&popularity.weekly_level(a)).then(a.cmp(&b)));
        // The variant of the same product that sold best, of those that may be shown.
        let stand_in = |item: ItemIdx, may: &dyn Fn(&ItemIdx) -> bool| {
            let product = shop.facts.products.of(item)?;
            let mut variants = shop.facts.products.variants(product).to_vec();
            variants
                .sort_by(|&a, &b| popularity.weekly_level(b).total_cmp(&popularity.weekly_level(a)).then(a.cmp(&b)));
            variants.into_iter().find(|item| may(item))
        };
        check(&shop, &ordered, &stand_in, |list| shop.shop().trending(list));
    }

    #[test]
    fn totals_of_lists_count_what_they_show_and_nothing_else() {
        let shop = large_shop();
        for filter in [None, Some("brand:brand1"), Some("price:3")] {
            for grouping in [Grouping::Product, Grouping::Item] {
                let filter = filter.map(|text| Filter::parse(text).unwrap());
                let list = ListRequest { n: 10_000, filter, grouping, ..ListRequest::default() };
                let (popular, new) =
                    (shop.shop().trending(&list).items.len(), shop.shop().new_items(&list).items.len());
                assert_eq!((shop.shop().n_popular(&list), shop.shop().n_on_sale(&list)), (popular, new));
                assert!(popular < new, "some items were never chosen: {popular} {new}");
            }
        }
    }

    #[test]
    fn what_is_new_under_a_filter_is_the_newest_that_passes_it() {
        let shop = large_shop();
        assert!(shop.version.ensemble.newest().count() < 1_000);
        let ordered: Vec<ItemIdx> = (0..shop.facts.items.len() as u32).rev().collect();
        check(&shop, &ordered, &|_, _| None, |list| shop.shop().new_items(list));
    }

    #[test]
    fn many_variants_of_one_product_do_not_shorten_a_list_of_similar_items() {
        let shop = Fixture::new(Size { n_events: 0, n_unmet: 0, variant_each: 2, ..Size::default() });
        let list = shop.shop().similar(0, &ListRequest { n: 150, ..ListRequest::default() });
        assert_eq!(list.items.len(), 150, "of 350 products");
    }
}
