//! What a request is answered from: the facts, current at the last acknowledgement, and the published version.

use std::cell::RefCell;

use accrue_event::{Event, EventType, Shopper, UserId};
use accrue_model::{Context, Prepared, Version};
use accrue_store::{Circumstances, Descriptor, Facts, History, Interaction, ItemIdx, ProductIdx, Trial, session_hash};

use crate::{Campaigns, CatalogueSettings, Grouping, Recommendation, Recommended, Rules, Scenes, Visitor};

/// Everything that an answer is computed from. Both parts are borrowed for one request and do not change under it.
#[derive(Clone, Copy)]
pub struct Shop<'a> {
    /// Names, catalogue and histories.
    pub facts: &'a Facts,
    /// The models.
    pub version: &'a Version,
    /// The time of the request, in milliseconds since 1970: items that are published later are not shown.
    pub now_ms: i64,
    /// Which items are shown.
    pub catalogue: CatalogueSettings,
    /// What the shop pins, boosts, buries and hides.
    pub rules: &'a Rules,
    /// What the stages of each kind of page do.
    pub scenes: &'a Scenes,
    /// What is sponsored into slots of pages.
    pub campaigns: &'a Campaigns,
}

/// Events of an inline history that are used; the oldest beyond it are ignored.
const INLINE_CAPACITY: usize = 500;

/// What counts as one thing where variants do not count on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Product {
    /// A product with variants.
    OfVariants(ProductIdx),
    /// An item that is no variant.
    Alone(ItemIdx),
}

thread_local! {
    /// Scratch memory of the thread that answers.
    static PREPARED: RefCell<Prepared> = RefCell::default();
}

/// Runs `answer` with this thread's scratch memory.
pub(crate) fn with_scratch<T>(answer: impl FnOnce(&mut Prepared) -> T) -> T {
    PREPARED.with(|prepared| answer(&mut prepared.borrow_mut()))
}

/// A visitor's past, as a request found it.
#[derive(Clone, Debug, Default)]
pub(crate) struct VisitorHistory {
    /// The events.
    pub history: History,
    /// The current visit.
    pub session: Option<u32>,
    /// How the shop describes the visitor, as far as several users are described alike.
    pub descriptors: Vec<Descriptor>,
}

impl VisitorHistory {
    /// The situation to score in.
    pub fn context<'a>(&'a self, shop: &Shop<'a>, circumstances: Circumstances<'a>) -> Context<'a> {
        self.context_after(&self.history, shop, circumstances)
    }

    /// The situation of the same visitor with another history.
    pub fn context_after<'a>(
        &'a self,
        history: &'a History,
        shop: &Shop<'a>,
        circumstances: Circumstances<'a>,
    ) -> Context<'a> {
        Context::new(history, self.session, shop.facts.stream_time.0, &shop.version.weights)
            .described(&self.descriptors)
            .in_circumstances(circumstances)
    }
}

impl<'a> Shop<'a> {
    /// The stored past of a visitor, or the inline one instead; then the items that the page is about, as if just
    /// viewed.
    pub(crate) fn past(&self, visitor: &Visitor, inline: Option<&[Event]>, page: &[ItemIdx]) -> VisitorHistory {
        let session = visitor.session.as_ref().map(|session| session_hash(session.as_str()));
        let mut past = match inline {
            Some(events) => self.inline_past(events, session),
            None => VisitorHistory { history: self.stored_history(visitor), session, descriptors: Vec::new() },
        };
        past.descriptors = visitor.user.as_ref().map(|user| self.facts.descriptors(user)).unwrap_or_default();
        let at_ms = self.facts.stream_time.0;
        for &item in page {
            let view = Interaction {
                shopper: 0,
                item,
                type_code: self.facts.type_code(&EventType::View).expect("built in"),
                at_ms,
                session: past.session,
                value: 1.0,
                quantity: 1,
            };
            past.history.push(&view, INLINE_CAPACITY);
        }
        past
    }

    fn stored_history(&self, visitor: &Visitor) -> History {
        let of = |shopper: Shopper| {
            let history = self.facts.histories.get(self.facts.shopper(&shopper)?);
            (!history.past().is_empty()).then_some(history)
        };
        let user = visitor.user.clone().and_then(|user| of(Shopper::User(user)));
        // A shopper who has just logged in may have only a guest's past so far.
        let guest = || visitor.session.clone().and_then(|session| of(Shopper::Guest(session)));
        let own = user.or_else(guest);
        // What the page itself reported of this visit. The request names the session, which no other visitor knows.
        let visit = visitor.session.clone().and_then(|session| of(Shopper::PublishedGuest(session)));
        // A user whom nothing of the shop's own names, neither an event nor a description, has nothing to imitate.
        let is_own = |user: &UserId| self.facts.shopper(&Shopper::User(user.clone())).is_some();
        let claimed = || {
            let user = visitor.user.clone().filter(|user| !is_own(user))?;
            of(Shopper::PublishedUser(user))
        };
        match (own, visit) {
            (Some(mut own), Some(visit)) => {
                own.absorb(&visit, INLINE_CAPACITY);
                own
            }
            (own, visit) => own.or(visit).or_else(claimed).unwrap_or_default(),
        }
    }

    /// What the visitor was shown at least `least` times lately without choosing it, each with how often.
    pub(crate) fn shown_often(&self, visitor: &Visitor, least: u32) -> Vec<(ItemIdx, u32)> {
        let mut shown: Vec<(ItemIdx, u32)> = Vec::new();
        if self.facts.shown.is_empty() {
            return shown;
        }
        let user = visitor.user.iter().cloned().map(Shopper::User);
        let sessions = visitor.session.iter().cloned();
        let guests = sessions.flat_map(|session| [Shopper::Guest(session.clone()), Shopper::PublishedGuest(session)]);
        for shopper in user.chain(guests).filter_map(|shopper| self.facts.shopper(&shopper)) {
            for (item, n) in self.facts.shown.of(shopper, self.facts.stream_time.0) {
                match shown.iter_mut().find(|(known, _)| *known == item) {
                    Some((_, known)) => *known += n,
                    None => shown.push((item, n)),
                }
            }
        }
        shown.retain(|&(_, n)| n >= least);
        shown
    }

    fn inline_past(&self, events: &[Event], session: Option<u32>) -> VisitorHistory {
        let mut history = History::default();
        let mut last_session = None;
        for event in events {
            let session = event.session.as_ref().map(|session| session_hash(session.as_str()));
            let item = event.item.as_ref().and_then(|item| self.facts.items.get(item.as_str()));
            if let (Some(item), Some(type_code)) = (item, self.facts.type_code(&event.event_type))
                && event.event_type != EventType::Impression
            {
                let (at_ms, value, quantity) = (event.at.0, event.value, event.quantity);
                let taken = Interaction { shopper: 0, item, type_code, at_ms, session, value, quantity };
                history.push(&taken, INLINE_CAPACITY);
                last_session = session;
            }
        }
        VisitorHistory { history, session: session.or(last_session), descriptors: Vec::new() }
    }

    /// The product that an item is: the one that it is a variant of, or the item alone.
    pub(crate) fn product(&self, item: ItemIdx) -> Product {
        self.facts.products.of(item).map_or(Product::Alone(item), Product::OfVariants)
    }

    /// The name of an item in a sentence.
    pub(crate) fn title(&self, item: ItemIdx) -> String {
        match self.facts.described(item) {
            Some(item) => item.title().unwrap_or(item.own().id.as_str()).to_string(),
            None => "an item".to_string(),
        }
    }

    /// Converts a scored item to the form of an answer.
    pub(crate) fn recommended(&self, item: ItemIdx, score: f32) -> Recommended {
        let id = self.facts.items.name(item).expect("scored items are in the vocabulary");
        Recommended { id: id.into(), score, reasons: Vec::new(), sponsored: None }
    }

    /// Items of the catalogue that the models do not know yet, newest first.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = ItemIdx> + use<> {
        let n_items = self.facts.items.len() as u32;
        (self.version.ensemble.n_items().min(n_items)..n_items).rev()
    }

    /// An answer by this version of the models.
    pub(crate) fn recommendation(&self, items: Vec<Recommended>, degraded: Vec<&'static str>) -> Recommendation {
        let (version, offset) = (self.version.number, self.version.offset);
        let (ranks, propensities) = (Vec::new(), Vec::new());
        Recommendation {
            version,
            offset,
            total: None,
            next_offset: None,
            degraded,
            items,
            ranks,
            propensities,
            trial: Trial::None,
        }
    }

    /// The variants of an item that is their parent.
    pub(crate) fn variants_of(&self, item: ItemIdx) -> &'a [ItemIdx] {
        let products = &self.facts.products;
        let product = products.of(item).filter(|&product| products.parent(product) == Some(item));
        product.map_or(&[], |product| products.variants(product))
    }

    /// What counts as one: the product, or the item where each variant counts.
    pub(crate) fn counted(&self, item: ItemIdx, grouping: Grouping) -> Product {
        match grouping {
            Grouping::Product => self.product(item),
            Grouping::Item => Product::Alone(item),
        }
    }
}
