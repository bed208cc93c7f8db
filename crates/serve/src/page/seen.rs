//! What the shopper's own events, and the request, keep off the page.
//!
//! In: the request and the shopper's past. Out: the items that are left out, and those that only follow behind all
//! others. Whatever `seen` asks for, a "not interested" is heard: a disliked item is left out, and an item that was
//! sent back comes last. A later cart, favorite or purchase of the item says otherwise. A view or a click does not,
//! because a shopper may look at a page without having changed their mind.

use std::collections::{BTreeMap, HashSet};

use accrue_event::EventType;
use accrue_store::{ItemIdx, PastEvent};

use super::Situation;
use crate::filter::FilterPass;
use crate::shop::Product;
use crate::{Grouping, Seen, Shop};

/// What is left out and what comes last.
pub(super) struct KeptOff {
    left_out: Group,
    last: Group,
}

/// Items, or the products that they are.
struct Group {
    /// Sorted.
    items: Vec<ItemIdx>,
    /// Empty where each variant is an item of its own. Only membership is read.
    products: HashSet<Product>,
}

impl Group {
    fn new(shop: &Shop<'_>, grouping: Grouping, mut items: Vec<ItemIdx>) -> Self {
        items.sort_unstable();
        items.dedup();
        let products = match grouping {
            Grouping::Product => items.iter().map(|&item| shop.product(item)).collect(),
            Grouping::Item => HashSet::new(),
        };
        Self { items, products }
    }

    fn has(&self, shop: &Shop<'_>, item: ItemIdx) -> bool {
        self.items.binary_search(&item).is_ok()
            || (!self.products.is_empty() && self.products.contains(&shop.product(item)))
    }
}

/// What the shopper last said about an item.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    No,
    SentBack,
}

impl KeptOff {
    pub fn new(situation: &Situation<'_>) -> Self {
        let Situation { shop, request, about, context, .. } = situation;
        let mut left_out: Vec<ItemIdx> = about.to_vec();
        for id in &request.exclude {
            match shop.facts.items.get(id.as_str()) {
                Some(item) => left_out.push(item),
                // The id of a product of which only the variants were described.
                None => left_out.extend(shop.facts.products.variants_of(id.as_str())),
            }
        }
        match situation.scene.seen(&request.seen) {
            Seen::AsScene | Seen::Keep => {}
            Seen::Drop => left_out.extend(context.past.iter().map(|past| past.item)),
            Seen::DropTypes(types) => left_out.extend(with_types(shop, context.past, types)),
        }
        // What was said about one variant, a size that did not fit, holds for this variant only; a dislike is of the
        // product.
        let mut last = Vec::new();
        for (item, said) in latest_said(shop, context.past) {
            match said {
                Said::Nothing => {}
                Said::No => left_out.push(item),
                Said::SentBack => last.push(item),
            }
        }
        Self { left_out: Group::new(shop, request.grouping, left_out), last: Group::new(shop, Grouping::Item, last) }
    }

    /// Whether the item stays off the page.
    pub fn leaves_out(&self, shop: &Shop<'_>, item: ItemIdx) -> bool {
        self.left_out.has(shop, item)
    }

    /// How many of the products (or items) that stay off the page are on sale and pass the filter.
    pub fn n_left_out(&self, shop: &Shop<'_>, filter: Option<&FilterPass<'_>>) -> usize {
        let Group { items, products } = &self.left_out;
        if products.is_empty() {
            return items.iter().filter(|&&item| shop.may_recommend(item, filter)).count();
        }
        products.iter().filter(|&&product| shop.may_recommend_product(product, filter)).count()
    }

    /// Whether the item follows behind all others.
    pub fn puts_last(&self, item: ItemIdx) -> bool {
        self.last.items.binary_search(&item).is_ok()
    }

    /// The items that follow behind all others, by index.
    pub fn last(&self) -> &[ItemIdx] {
        &self.last.items
    }
}

/// The items of the past that the shopper last said no to, or sent back, by index.
pub(super) fn unwanted(shop: &Shop<'_>, past: &[PastEvent]) -> Vec<ItemIdx> {
    let said = latest_said(shop, past).into_iter();
    said.filter(|&(_, said)| said != Said::Nothing).map(|(item, _)| item).collect()
}

/// The items that the shopper bought and kept, by index.
pub(super) fn bought(shop: &Shop<'_>, past: &[PastEvent]) -> Vec<ItemIdx> {
    with_types(shop, past, &[EventType::Purchase])
}

/// The items of the past with an event of one of `types`, by index. A return cancels a purchase, and a purchase takes the
/// item out of the cart.
fn with_types(shop: &Shop<'_>, past: &[PastEvent], types: &[EventType]) -> Vec<ItemIdx> {
    let code = |event_type: &EventType| shop.facts.type_code(event_type);
    let [purchase, sent_back, cart] = [EventType::Purchase, EventType::Return, EventType::Cart].map(|kind| code(&kind));
    let types: Vec<u8> = types.iter().filter_map(code).collect();
    let mut counts: BTreeMap<ItemIdx, PastOfItem> = BTreeMap::new();
    for event in past {
        let counted = counts.entry(event.item).or_default();
        let code = Some(event.type_code);
        if code == sent_back {
            counted.n_bought = counted.n_bought.saturating_sub(1);
        }
        if code == purchase {
            counted.n_bought += 1;
            counted.is_in_cart = false;
        } else if code == cart {
            counted.is_in_cart = true;
        } else if types.contains(&event.type_code) {
            counted.has_other = true;
        }
    }
    let drops = |code: Option<u8>| code.is_some_and(|code| types.contains(&code));
    let (drops_bought, drops_cart) = (drops(purchase), drops(cart));
    let is_seen = |counted: PastOfItem| {
        counted.has_other || (drops_bought && counted.n_bought > 0) || (drops_cart && counted.is_in_cart)
    };
    counts.into_iter().filter(|&(_, counted)| is_seen(counted)).map(|(item, _)| item).collect()
}

/// What a past has of one item.
#[derive(Clone, Copy, Default)]
struct PastOfItem {
    n_bought: u32,
    is_in_cart: bool,
    /// An event of another type that is asked about.
    has_other: bool,
}

/// The latest statement about each item of the past, by index.
fn latest_said(shop: &Shop<'_>, past: &[PastEvent]) -> BTreeMap<ItemIdx, Said> {
    let weights = &shop.version.weights;
    let of = |event_type: EventType| shop.facts.type_code(&event_type);
    let sent_back = of(EventType::Return);
    // A rating has a value on a scale that only the shop knows.
    let says_nothing = [EventType::View, EventType::Click, EventType::Rating].map(of);
    let mut said: BTreeMap<ItemIdx, Said> = BTreeMap::new();
    for event in past {
        let (code, weight) = (Some(event.type_code), weights.get(event.type_code));
        let statement = if code == sent_back {
            Said::SentBack
        } else if weight < 0.0 || code == of(EventType::Dislike) {
            Said::No
        } else if weight > 0.0 && !says_nothing.contains(&code) {
            Said::Nothing
        } else {
            continue;
        };
        if statement != Said::Nothing || said.contains_key(&event.item) {
            said.insert(event.item, statement);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use accrue_event::EventType::{self, Cart, Dislike, Purchase, Return, View};

    use crate::fixture::{Fixture, Size, item_name};
    use crate::{Grouping, RecommendRequest, Seen};

    /// 40 items, of which 0 and 1, 5 and 6 … are variants of one product.
    const N_ITEMS: usize = 40;

    /// Asks for every item after a past of these events, and says at which place item `number` is.
    fn place(past: &[(EventType, u64)], seen: Seen, grouping: Grouping, number: u64) -> Option<usize> {
        let fixture = Fixture::new(Size { n_items: N_ITEMS as u64, n_unmet: 0, n_events: 200, ..Size::default() });
        let events =
            past.iter().zip(1..).map(|((kind, item), at_s)| fixture.event(kind.clone(), *item, at_s)).collect();
        let request = RecommendRequest { events: Some(events), n: N_ITEMS, seen, grouping, ..Default::default() };
        let answer = fixture.shop().recommend(&request);
        answer.items.iter().position(|item| item.id.as_str() == item_name(number))
    }

    fn kept(past: &[(EventType, u64)], number: u64) -> Option<usize> {
        place(past, Seen::Keep, Grouping::Item, number)
    }

    #[test]
    fn a_disliked_item_is_left_out_until_it_is_chosen_again() {
        assert_eq!(kept(&[(Purchase, 3), (Dislike, 3)], 3), None);
        assert_eq!(kept(&[(Dislike, 3), (View, 3)], 3), None, "a view is no change of mind");
        assert!(kept(&[(Dislike, 3), (Cart, 3)], 3).is_some());
    }

    #[test]
    fn a_dislike_is_of_all_variants_unless_each_is_an_item_of_its_own() {
        assert_eq!(place(&[(Dislike, 5)], Seen::Keep, Grouping::Product, 6), None);
        assert!(place(&[(Dislike, 5)], Seen::Keep, Grouping::Item, 6).is_some());
    }

    #[test]
    fn an_item_that_was_sent_back_is_the_last() {
        assert_eq!(kept(&[(Purchase, 3), (Return, 3)], 3), Some(N_ITEMS - 1));
        assert!(kept(&[(Purchase, 3), (Return, 3), (Purchase, 3)], 3) < Some(N_ITEMS - 1));
    }

    #[test]
    fn only_items_with_the_named_events_are_left_out_and_a_return_cancels_its_purchase() {
        let place = |past: &[(EventType, u64)], types: Vec<EventType>, number| {
            place(past, Seen::DropTypes(types), Grouping::Item, number)
        };
        let past = [(View, 3), (Purchase, 4), (Cart, 8)];
        assert!(place(&past, vec![Purchase], 3).is_some() && place(&past, vec![Purchase], 8).is_some());
        assert_eq!(place(&past, vec![Purchase], 4), None);
        assert_eq!((place(&past, vec![View, Cart], 3), place(&past, vec![View, Cart], 8)), (None, None));
        assert!(place(&[(Purchase, 3), (Return, 3)], vec![Purchase], 3).is_some());
        assert_eq!(place(&[(Purchase, 3), (Purchase, 3), (Return, 3)], vec![Purchase], 3), None);
        assert!(place(&[(Cart, 3), (Purchase, 3)], vec![Cart], 3).is_some(), "it is no longer in the cart");
        assert_eq!(place(&[(Cart, 3), (Purchase, 3)], vec![Cart, Purchase], 3), None);
        assert_eq!(place(&[(Purchase, 3), (Cart, 3)], vec![Cart], 3), None);
    }

    #[test]
    fn what_was_bought_leaves_out_its_other_variants() {
        assert_eq!(place(&[(Purchase, 5)], Seen::DropTypes(vec![Purchase]), Grouping::Product, 6), None);
        assert!(place(&[(Purchase, 5)], Seen::DropTypes(vec![Purchase]), Grouping::Item, 6).is_some());
    }
}
