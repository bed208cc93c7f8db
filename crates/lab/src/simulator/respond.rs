//! The visitor's behaviour on a page, and the page's true value.

use accrue_event::{Event, EventId, EventType, ItemId, Price, SessionId, Shopper, Timestamp};

use super::click::{Appeal, PositionChance, best_page, cascade, continuation, expected_clicks, random_expectation};
use super::random::{Random, Stream};
use super::shoppers::Profile;
use super::stream::{Identity, NEXT_PAGE_MS};
use super::words::FAMILIES;
use super::{Outcome, Request, Simulator, Tastes, Visit};

/// All events of a page are within this time.
const MAX_PAGE_MS: i64 = 230_000;

impl Simulator {
    /// Shows a page to a visitor. Ids that are not in the catalogue leave their position empty, and a page may be
    /// empty. A visit may be answered after the next request, but only once.
    pub fn respond(&mut self, visit: &Visit, shown: &[ItemId]) -> Outcome {
        let (page, n_unknown) = self.page_of(visit, shown);
        let appeals = self.appeals(visit, &visit.profile);
        let chances = cascade(&self.catalogue, &visit.profile, &appeals, &page);
        let best: Vec<Option<usize>> =
            best_page(&self.catalogue, &visit.profile, &appeals, visit.n).into_iter().map(Some).collect();
        let best = cascade(&self.catalogue, &visit.profile, &appeals, &best);
        let events = self.act(visit, &page, &chances, &appeals);
        let outcome = Outcome {
            n_clicks: events.iter().filter(|event| event.event_type == EventType::Click).count(),
            events,
            expected_clicks: expected_clicks(&chances),
            best_expected_clicks: expected_clicks(&best),
            random_expected_clicks: random_expectation(&self.catalogue, &visit.profile, &appeals, visit.n),
            n_unknown,
            n_beyond: shown.len().saturating_sub(visit.n),
        };
        debug_assert!(outcome.expected_clicks.is_finite() && outcome.best_expected_clicks.is_finite());
        outcome
    }

    /// The true probabilities at each position of a page, with which off-policy estimates are compared.
    pub fn chances(&self, visit: &Visit, shown: &[ItemId]) -> Vec<PositionChance> {
        let (page, _) = self.page_of(visit, shown);
        cascade(&self.catalogue, &visit.profile, &self.appeals(visit, &visit.profile), &page)
    }

    /// The best page, as in [`Outcome::best_expected_clicks`].
    pub fn best_page(&self, visit: &Visit) -> Vec<ItemId> {
        self.page_for(visit, &visit.profile)
    }

    /// The page that would be best for these earlier tastes, with everything else current.
    pub fn page_for_tastes(&self, visit: &Visit, tastes: &Tastes) -> Vec<ItemId> {
        let mut profile = visit.profile.clone();
        if let Identity::Known(n) = visit.hidden.identity
            && let Some(taste) = tastes.0.get(n)
        {
            profile.taste = *taste;
        }
        self.page_for(visit, &profile)
    }

    fn page_for(&self, visit: &Visit, profile: &Profile) -> Vec<ItemId> {
        let appeals = self.appeals(visit, profile);
        best_page(&self.catalogue, profile, &appeals, visit.n).into_iter().map(|idx| self.item_id(idx)).collect()
    }

    fn page_of(&self, visit: &Visit, shown: &[ItemId]) -> (Vec<Option<usize>>, usize) {
        let page: Vec<_> = shown.iter().take(visit.n).map(|item| self.catalogue.find(item)).collect();
        let n_unknown = page.iter().filter(|place| place.is_none()).count();
        (page, n_unknown)
    }

    fn appeals(&self, visit: &Visit, profile: &Profile) -> Vec<f32> {
        let focus = self.focus(&visit.request);
        let appeal = Appeal::new(&self.catalogue, profile, visit.hidden.families, &focus, visit.at);
        appeal.of_all(self.bought(visit.hidden.identity))
    }

    /// Draws the visitor's behaviour. Each position has its own random numbers, so that the outcome at one does not
    /// shift those of others.
    fn act(
        &mut self,
        visit: &Visit,
        page: &[Option<usize>],
        chances: &[PositionChance],
        appeals: &[f32],
    ) -> Vec<Event> {
        let mut recorder = Recorder::new(visit, self.settings.seed, self.n_events);
        if let Request::Search(_) = visit.request {
            recorder.record(EventType::Search);
        }
        if let (Request::Similar(context), true) = (&visit.request, visit.landed) {
            recorder.record(EventType::View).item = Some(context.clone());
        }
        let mut basket = Vec::new();
        for (position, (&shown, chance)) in page.iter().zip(chances).enumerate() {
            let counter = visit.number << 16 | position as u64;
            let mut random = Random::new(self.settings.seed, Stream::Respond, counter);
            recorder.wait(random.between(400.0, 2_000.0));
            let mut satisfied = false;
            if let Some(idx) = shown {
                recorder.at_position(EventType::Impression, self.item_id(idx), position);
                if random.chance(chance.clicked) {
                    satisfied = random.chance(chance.satisfied);
                    basket.extend(self.open_item(&mut recorder, &mut random, position, idx, appeals[idx]));
                    self.note_click(visit, idx);
                }
            }
            if satisfied || !random.chance(continuation(&visit.profile, position)) {
                break;
            }
        }
        self.check_out(visit, &mut recorder, &basket);
        self.n_events += recorder.events.len() as u64;
        recorder.events
    }

    /// A click, and the events on the item's page.
    fn open_item(
        &self,
        recorder: &mut Recorder<'_>,
        random: &mut Random,
        position: usize,
        idx: usize,
        appeal: f32,
    ) -> Option<Purchase> {
        let appeal = f64::from(appeal);
        let traits = &self.catalogue.traits[idx];
        recorder.at_position(EventType::Click, self.item_id(idx), position);
        recorder.wait(150.0);
        recorder.at_position(EventType::View, self.item_id(idx), position);
        recorder.wait(random.between(2_000.0, 9_000.0));
        if random.chance(0.03 + 0.12 * appeal) {
            recorder.at_position(EventType::Favorite, self.item_id(idx), position);
        }
        if !random.chance(0.06 + 0.5 * appeal) {
            return None;
        }
        let uses_up = FAMILIES[traits.family as usize].cycle_days > 0.0;
        let quantity = if uses_up { 1 + random.below(3) as u32 } else { 1 };
        let event = recorder.at_position(EventType::Cart, self.item_id(idx), position);
        (event.price, event.quantity) = (Price::from_f32(traits.price), quantity);
        random.chance(0.55).then_some(Purchase { position, idx, quantity })
    }

    /// Remembers a click if the session has another page, which may start from the clicked item.
    fn note_click(&mut self, visit: &Visit, idx: usize) {
        let still_to_come = visit.hidden.has_next_page && self.now.0 < visit.at.0 + NEXT_PAGE_MS;
        if still_to_come {
            self.clicked.insert(visit.hidden.number, idx);
        }
    }

    fn check_out(&mut self, visit: &Visit, recorder: &mut Recorder<'_>, basket: &[Purchase]) {
        for purchase in basket {
            recorder.wait(12_000.0);
            let event = recorder.at_position(EventType::Purchase, self.item_id(purchase.idx), purchase.position);
            let price = Price::from_f32(self.catalogue.traits[purchase.idx].price);
            (event.price, event.quantity) = (price, purchase.quantity);
            if let Identity::Known(n) = visit.hidden.identity {
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

/// Records the events of one visitor on one page.
struct Recorder<'a> {
    visit: &'a Visit,
    seed: u64,
    n_before: u64,
    waited_ms: i64,
    events: Vec<Event>,
}

impl<'a> Recorder<'a> {
    fn new(visit: &'a Visit, seed: u64, n_before: u64) -> Self {
        Self { visit, seed, n_before, waited_ms: 0, events: Vec::with_capacity(16) }
    }

    fn wait(&mut self, ms: f64) {
        self.waited_ms = (self.waited_ms + ms as i64).min(MAX_PAGE_MS);
    }

    fn at_position(&mut self, event_type: EventType, item: ItemId, position: usize) -> &mut Event {
        let event = self.record(event_type);
        (event.item, event.position) = (Some(item), Some(position as u32));
        event
    }

    fn record(&mut self, event_type: EventType) -> &mut Event {
        let user = match &self.visit.shopper {
            Shopper::User(user) => Some(user.clone()),
            _ => None,
        };
        let session: SessionId = self.visit.session.clone();
        let query = match &self.visit.request {
            Request::Search(query) => Some(query.clone()),
            _ => None,
        };
        let number = self.n_before + self.events.len() as u64;
        self.events.push(Event {
            user,
            session: Some(session),
            query: query.map(Into::into),
            source: Some("sim".into()),
            ..Event::bare(
                EventId::new(format!("sim-{}-{number}", self.seed)),
                event_type,
                Timestamp(self.visit.at.0 + self.waited_ms),
            )
        });
        self.events.last_mut().expect("just pushed")
    }
}
