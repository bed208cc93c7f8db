//! From a page shown to what the visitor does with it, and what the truth says it was worth.

use accrue_event::{Attributes, Event, EventId, EventType, ItemId, SessionId, Shopper, Timestamp};

use super::click::{Gaze, PositionChance, best_page, cascade, expected_clicks, goes_on, random_expectation};
use super::dice::{Roll, Stream};
use super::shoppers::Profile;
use super::stream::{NEXT_PAGE_MS, Who};
use super::words::FAMILIES;
use super::{Outcome, Request, Simulator, Tastes, Visit};

/// All events of a page lie within this time.
const MAX_PAGE_MS: i64 = 230_000;

impl Simulator {
    /// Shows a page to a visitor. Ids that the shop does not have leave their position empty; a page may be empty.
    /// A visit may be answered later than the next one is asked, but once only.
    pub fn respond(&mut self, visit: &Visit, shown: &[ItemId]) -> Outcome {
        let (page, n_unknown) = self.page_of(visit, shown);
        let wishes = self.wishes(visit, &visit.profile);
        let chances = cascade(&self.catalogue, &visit.profile, &wishes, &page);
        let best: Vec<Option<usize>> =
            best_page(&self.catalogue, &visit.profile, &wishes, visit.n).into_iter().map(Some).collect();
        let best = cascade(&self.catalogue, &visit.profile, &wishes, &best);
        let events = self.act(visit, &page, &chances, &wishes);
        let outcome = Outcome {
            n_clicks: events.iter().filter(|event| event.event_type == EventType::Click).count(),
            events,
            expected_clicks: expected_clicks(&chances),
            best_expected_clicks: expected_clicks(&best),
            random_expected_clicks: random_expectation(&self.catalogue, &visit.profile, &wishes, visit.n),
            n_unknown,
            n_beyond: shown.len().saturating_sub(visit.n),
        };
        debug_assert!(outcome.expected_clicks.is_finite() && outcome.best_expected_clicks.is_finite());
        outcome
    }

    /// The truth about each position of a page before anything happens on it: what an off-policy estimate is checked against.
    pub fn chances(&self, visit: &Visit, shown: &[ItemId]) -> Vec<PositionChance> {
        let (page, _) = self.page_of(visit, shown);
        cascade(&self.catalogue, &visit.profile, &self.wishes(visit, &visit.profile), &page)
    }

    /// The best page under the truth, as in [`Outcome::best_expected_clicks`].
    pub fn best_page(&self, visit: &Visit) -> Vec<ItemId> {
        self.page_for(visit, &visit.profile)
    }

    /// The page that would be best if tastes stood where they stood then; all else is as it is now.
    pub fn page_for_tastes(&self, visit: &Visit, tastes: &Tastes) -> Vec<ItemId> {
        let mut profile = visit.profile.clone();
        if let Who::Known(n) = visit.hidden.who
            && let Some(taste) = tastes.0.get(n)
        {
            profile.taste = *taste;
        }
        self.page_for(visit, &profile)
    }

    fn page_for(&self, visit: &Visit, profile: &Profile) -> Vec<ItemId> {
        let wishes = self.wishes(visit, profile);
        best_page(&self.catalogue, profile, &wishes, visit.n).into_iter().map(|idx| self.item_id(idx)).collect()
    }

    fn page_of(&self, visit: &Visit, shown: &[ItemId]) -> (Vec<Option<usize>>, usize) {
        let page: Vec<_> = shown.iter().take(visit.n).map(|item| self.catalogue.find(item)).collect();
        let n_unknown = page.iter().filter(|place| place.is_none()).count();
        (page, n_unknown)
    }

    fn wishes(&self, visit: &Visit, profile: &Profile) -> Vec<f32> {
        let focus = self.focus(&visit.request);
        let gaze = Gaze::new(&self.catalogue, profile, visit.hidden.families, &focus, visit.at);
        gaze.wishes(self.bought(visit.hidden.who))
    }

    /// Goes down the page by chance. Each position has its own roll, so that what happens at one shifts no other's luck.
    fn act(&mut self, visit: &Visit, page: &[Option<usize>], chances: &[PositionChance], wishes: &[f32]) -> Vec<Event> {
        let mut diary = Diary::open(visit, self.settings.seed, self.n_events);
        if let Request::Search(_) = visit.request {
            diary.write(EventType::Search);
        }
        if let (Request::Similar(context), true) = (&visit.request, visit.landed) {
            diary.write(EventType::View).item = Some(context.clone());
        }
        let mut basket = Vec::new();
        for (position, (&shown, chance)) in page.iter().zip(chances).enumerate() {
            let counter = visit.number << 16 | position as u64;
            let mut roll = Roll::new(self.settings.seed, Stream::Respond, counter);
            diary.wait(roll.between(400.0, 2_000.0));
            let mut satisfied = false;
            if let Some(idx) = shown {
                diary.at_position(EventType::Impression, self.item_id(idx), position);
                if roll.chance(chance.clicked) {
                    satisfied = roll.chance(chance.satisfied);
                    basket.extend(self.open_item(&mut diary, &mut roll, position, idx, wishes[idx]));
                    self.note_click(visit, idx);
                }
            }
            if satisfied || !roll.chance(goes_on(&visit.profile, position)) {
                break;
            }
        }
        self.check_out(visit, &mut diary, &basket);
        self.n_events += diary.events.len() as u64;
        diary.events
    }

    /// A click, and what follows on the item's page.
    fn open_item(
        &self,
        diary: &mut Diary<'_>,
        roll: &mut Roll,
        position: usize,
        idx: usize,
        wish: f32,
    ) -> Option<Purchase> {
        let wish = f64::from(wish);
        let traits = &self.catalogue.traits[idx];
        diary.at_position(EventType::Click, self.item_id(idx), position);
        diary.wait(150.0);
        diary.at_position(EventType::View, self.item_id(idx), position);
        diary.wait(roll.between(2_000.0, 9_000.0));
        if roll.chance(0.03 + 0.12 * wish) {
            diary.at_position(EventType::Favorite, self.item_id(idx), position);
        }
        if !roll.chance(0.06 + 0.5 * wish) {
            return None;
        }
        let uses_up = FAMILIES[traits.family as usize].cycle_days > 0.0;
        let quantity = if uses_up { 1 + roll.below(3) as u32 } else { 1 };
        let event = diary.at_position(EventType::Cart, self.item_id(idx), position);
        (event.price, event.quantity) = (Some(traits.price), quantity);
        roll.chance(0.55).then_some(Purchase { position, idx, quantity })
    }

    /// The session's next page may start from the item clicked last.
    fn note_click(&mut self, visit: &Visit, idx: usize) {
        let still_to_come = visit.hidden.goes_on && self.now.0 < visit.at.0 + NEXT_PAGE_MS;
        if still_to_come {
            self.clicked.insert(visit.hidden.number, idx);
        }
    }

    fn check_out(&mut self, visit: &Visit, diary: &mut Diary<'_>, basket: &[Purchase]) {
        for purchase in basket {
            diary.wait(12_000.0);
            let event = diary.at_position(EventType::Purchase, self.item_id(purchase.idx), purchase.position);
            (event.price, event.quantity) = (Some(self.catalogue.traits[purchase.idx].price), purchase.quantity);
            if let Who::Known(n) = visit.hidden.who {
                self.shoppers.remember(n, purchase.idx, visit.at, &self.catalogue);
            }
        }
    }
}

struct Purchase {
    position: usize,
    idx: usize,
    quantity: u32,
}

/// Writes down what one visitor does on one page.
struct Diary<'a> {
    visit: &'a Visit,
    seed: u64,
    n_before: u64,
    waited_ms: i64,
    events: Vec<Event>,
}

impl<'a> Diary<'a> {
    fn open(visit: &'a Visit, seed: u64, n_before: u64) -> Self {
        Self { visit, seed, n_before, waited_ms: 0, events: Vec::with_capacity(16) }
    }

    fn wait(&mut self, ms: f64) {
        self.waited_ms = (self.waited_ms + ms as i64).min(MAX_PAGE_MS);
    }

    fn at_position(&mut self, event_type: EventType, item: ItemId, position: usize) -> &mut Event {
        let event = self.write(event_type);
        (event.item, event.position) = (Some(item), Some(position as u32));
        event
    }

    fn write(&mut self, event_type: EventType) -> &mut Event {
        let user = match &self.visit.shopper {
            Shopper::User(user) => Some(user.clone()),
            Shopper::Guest(_) => None,
        };
        let session: SessionId = self.visit.session.clone();
        let query = match &self.visit.request {
            Request::Search(query) => Some(query.clone()),
            _ => None,
        };
        let number = self.n_before + self.events.len() as u64;
        self.events.push(Event {
            id: EventId::new(format!("sim-{}-{number}", self.seed)),
            event_type,
            user,
            session: Some(session),
            item: None,
            at: Timestamp(self.visit.at.0 + self.waited_ms),
            value: 1.0,
            quantity: 1,
            price: None,
            query,
            source: Some("sim".into()),
            recommendation_id: None,
            position: None,
            properties: Attributes::new(),
        });
        self.events.last_mut().expect("just pushed")
    }
}
