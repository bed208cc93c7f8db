//! The schedule of the shop: visits, new products, changes of price and stock. It does not depend on the pages shown,
//! except for the item that the next page of a session starts from.

use accrue_event::{DAY_MS, ItemId, Price, SessionId, Shopper, Timestamp, UserId};
use accrue_kernel::ln;

use super::catalogue::{FULL_STOCK, query_words, shelf_price};
use super::click::{Appeal, Focus};
use super::random::{Random, Stream};
use super::shoppers::{Profile, guest, intents};
use super::words::FAMILIES;
use super::{Request, Simulator, Step, Visit};

const HOUR_MS: i64 = 3_600_000;
/// Probability that a session has another page.
const NEXT_PAGE_CHANCE: f64 = 0.4;
/// Shortest time between two pages of a session; the events of the first are over by then.
pub(super) const NEXT_PAGE_MS: i64 = 240_000;
/// Number of pages of the longest session.
const MAX_PAGES: u8 = 6;
/// Number of products of a weekly launch.
const LAUNCH: usize = 8;
/// Number of families by which the demand is rotated in an upheaval; it returns to the start after as many upheavals as
/// there are families.
const UPHEAVAL_FAMILIES: usize = 11;
/// Number of items that a visitor considers when they decide what to look for.
const IN_MIND: usize = 8;
/// Visits per hour of the day (UTC), relative to the mean.
const HOURS: [f64; 24] = [
    0.35, 0.25, 0.2, 0.15, 0.15, 0.25, 0.45, 0.7, 0.9, 1.05, 1.15, 1.25, 1.3, 1.2, 1.1, 1.1, 1.2, 1.35, 1.6, 1.9, 2.1,
    1.95, 1.45, 0.9,
];

/// The state of a session between two pages.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) identity: Identity,
    pub(super) families: [u8; 2],
    pub(super) page: u8,
    /// Whether another page follows.
    pub(super) has_next_page: bool,
}

/// The visitor's index if they have an account.
#[derive(Clone, Copy, Debug)]
pub(super) enum Identity {
    Known(usize),
    Guest,
}

/// An entry of the schedule.
pub(super) enum Pending {
    Arrival,
    Page(Session),
    DayStart,
    Launch { family: usize, n_products: usize },
    Price { idx: usize, price: f32 },
    Stock { idx: usize, stock: u32 },
}

impl Simulator {
    pub(super) fn begin(&mut self) {
        self.add_to_schedule(self.settings.start, Pending::DayStart);
        self.add_to_schedule(self.next_arrival(self.settings.start), Pending::Arrival);
    }

    /// The next step. There is always one.
    pub fn next_step(&mut self) -> Step {
        loop {
            let ((at, _), pending) = self.schedule.pop_first().expect("an arrival is always pending");
            self.now = Timestamp(at);
            match pending {
                Pending::DayStart => self.plan_day(),
                Pending::Arrival => {
                    let session = self.begin_session();
                    self.add_to_schedule(self.next_arrival(self.now), Pending::Arrival);
                    return Step::Visit(self.visit(session));
                }
                Pending::Page(session) => return Step::Visit(self.visit(session)),
                Pending::Launch { family, n_products } => return self.launch(family, n_products),
                Pending::Price { idx, price } => return self.change_price(idx, price),
                Pending::Stock { idx, stock } => return self.change_stock(idx, stock),
            }
        }
    }

    fn add_to_schedule(&mut self, at: Timestamp, pending: Pending) {
        self.schedule.insert((at.0, self.n_entries), pending);
        self.n_entries += 1;
    }

    /// The time of the next arrival of a Poisson process whose rate changes by the hour: an exponential draw is used up
    /// hour by hour.
    fn next_arrival(&self, after: Timestamp) -> Timestamp {
        let pages_per_session = (1..MAX_PAGES).fold(1.0, |pages, _| 1.0 + NEXT_PAGE_CHANCE * pages);
        let per_ms = self.settings.visits_per_day / pages_per_session / DAY_MS as f64;
        let draw = Random::new(self.settings.seed, Stream::Arrival, self.n_sessions).uniform();
        let mut left = -f64::from(ln(draw as f32));
        let mut at = after.0;
        // The loop ends within weeks: a draw is at most 37, and a day uses up at least 0.6.
        loop {
            let hour_end = (at.div_euclid(HOUR_MS) + 1) * HOUR_MS;
            let rate = per_ms * HOURS[(at.rem_euclid(DAY_MS) / HOUR_MS) as usize];
            let until_hour_end = rate * (hour_end - at) as f64;
            if left < until_hour_end {
                return Timestamp(at + (left / rate) as i64);
            }
            left -= until_hour_end;
            at = hour_end;
        }
    }

    fn begin_session(&mut self) -> Session {
        let number = self.n_sessions;
        self.n_sessions += 1;
        let mut random = Random::new(self.settings.seed, Stream::Session, number);
        let is_guest = random.chance(self.settings.guest_share) || self.shoppers.len() == 0;
        let identity = if is_guest { Identity::Guest } else { Identity::Known(self.shoppers.pick(&mut random)) };
        let profile = self.profile(identity, number);
        let bought = self.bought(identity);
        let families = intents(&profile, bought, self.now, &self.catalogue, &mut random);
        Session { number, identity, families, page: 0, has_next_page: false }
    }

    fn profile(&mut self, identity: Identity, session: u64) -> Profile {
        match identity {
            Identity::Known(n) => {
                self.shoppers.walk(n, self.now.day(), &self.catalogue.centres);
                self.shoppers.person(n).profile.clone()
            }
            Identity::Guest => guest(self.settings.seed, session, &self.catalogue.centres),
        }
    }

    /// The remembered purchases of a visitor.
    pub(super) fn bought(&self, identity: Identity) -> &[(u32, Timestamp)] {
        match identity {
            Identity::Known(n) => &self.shoppers.person(n).bought,
            Identity::Guest => &[],
        }
    }

    fn visit(&mut self, mut session: Session) -> Visit {
        let number = self.n_visits;
        self.n_visits += 1;
        let mut random = Random::new(self.settings.seed, Stream::Request, number);
        let profile = self.profile(session.identity, session.number);
        let (request, landed) = self.request(&session, &profile, &mut random);
        session.has_next_page = session.page + 1 < MAX_PAGES && random.chance(NEXT_PAGE_CHANCE);
        if session.has_next_page {
            let next_at = Timestamp(self.now.0 + random.between(NEXT_PAGE_MS as f64, 2.0 * NEXT_PAGE_MS as f64) as i64);
            let next = Session { page: session.page + 1, ..session.clone() };
            self.add_to_schedule(next_at, Pending::Page(next));
        }
        let session_id = SessionId::new(format!("session-{:06}", session.number));
        let shopper = match session.identity {
            Identity::Known(n) => Shopper::User(UserId::new(format!("shopper-{n:04}"))),
            Identity::Guest => Shopper::Guest(session_id.clone()),
        };
        let (at, n) = (self.now, self.settings.page_size);
        Visit { number, shopper, session: session_id, at, request, n, hidden: session, profile, landed }
    }

    /// The kind of page, and whether an item's page was entered from outside.
    fn request(&mut self, session: &Session, profile: &Profile, random: &mut Random) -> (Request, bool) {
        let clicked = self.clicked.remove(&session.number);
        let kind = random.uniform();
        let (home, similar) = if session.page == 0 { (0.65, 0.1) } else { (0.25, 0.45) };
        let Some(wanted) = self.wanted(session, profile, random) else { return (Request::Home, false) };
        if kind < home {
            (Request::Home, false)
        } else if kind < home + similar {
            let context = clicked.unwrap_or(wanted);
            (Request::Similar(self.catalogue.items[context].id.clone()), clicked.is_none())
        } else {
            (Request::Search(self.catalogue.query_for(wanted, random)), false)
        }
    }

    /// The item with the largest appeal among a few random ones of the session's family.
    fn wanted(&self, session: &Session, profile: &Profile, random: &mut Random) -> Option<usize> {
        let of_family = &self.catalogue.by_family[session.families[0] as usize];
        let appeal = Appeal::new(&self.catalogue, profile, session.families, &Focus::Home, self.now);
        let mut best = None;
        for _ in 0..IN_MIND.min(of_family.len()) {
            let idx = of_family[random.below(of_family.len())] as usize;
            let value = appeal.of(idx);
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, idx));
            }
        }
        best.map(|(_, idx)| idx)
    }

    fn plan_day(&mut self) {
        let settings = self.settings.clone();
        let (dawn, day) = (self.now, self.now.day());
        let mut random = Random::new(settings.seed, Stream::DayPlan, day as u64);
        let within_day =
            |random: &mut Random, days: f64| Timestamp(dawn.0 + ((days + random.uniform()) * DAY_MS as f64) as i64);
        self.add_to_schedule(Timestamp(dawn.0 + DAY_MS), Pending::DayStart);
        if settings.is_upheaval(day) {
            self.catalogue.demand.rotate_left(UPHEAVAL_FAMILIES);
        }
        for _ in 0..random.count(settings.new_products_per_day) {
            let family = random.below(FAMILIES.len());
            let at = within_day(&mut random, 0.0);
            self.add_to_schedule(at, Pending::Launch { family, n_products: 1 });
        }
        if settings.new_products_per_day > 0.0 && day.rem_euclid(7) == 0 {
            let family = random.below(FAMILIES.len());
            let at = within_day(&mut random, 0.0);
            self.add_to_schedule(at, Pending::Launch { family, n_products: LAUNCH });
        }
        let n_items = self.catalogue.items.len();
        if n_items == 0 {
            return;
        }
        for _ in 0..random.count(settings.sales_per_day) {
            let idx = random.below(n_items);
            let list_price = self.catalogue.traits[idx].list_price;
            let price = shelf_price(f64::from(list_price) * random.between(0.6, 0.88));
            let (begin, end) = (within_day(&mut random, 0.0), random.between(2.0, 9.0));
            self.add_to_schedule(begin, Pending::Price { idx, price });
            let end = within_day(&mut random, end);
            self.add_to_schedule(end, Pending::Price { idx, price: list_price });
        }
        for _ in 0..random.count(settings.stock_outs_per_day) {
            let idx = random.below(n_items);
            let (begin, end) = (within_day(&mut random, 0.0), random.between(1.0, 6.0));
            self.add_to_schedule(begin, Pending::Stock { idx, stock: 0 });
            let end = within_day(&mut random, end);
            self.add_to_schedule(end, Pending::Stock { idx, stock: FULL_STOCK });
        }
    }

    fn launch(&mut self, family: usize, n_products: usize) -> Step {
        let n_before = self.catalogue.items.len();
        for _ in 0..n_products {
            self.catalogue.add_product(family, self.now, usize::MAX);
        }
        if n_products > 1 {
            self.catalogue.launched_at[family] = Some(self.now);
        }
        Step::NewItems(self.catalogue.items[n_before..].to_vec())
    }

    fn change_price(&mut self, idx: usize, price: f32) -> Step {
        self.catalogue.traits[idx].price = price;
        self.catalogue.items[idx].price = Price::from_f32(price);
        Step::PriceChange { item: self.item_id(idx), price, at: self.now }
    }

    fn change_stock(&mut self, idx: usize, stock: u32) -> Step {
        self.catalogue.traits[idx].in_stock = stock > 0;
        self.catalogue.items[idx].stock = Some(stock);
        Step::StockChange { item: self.item_id(idx), stock, at: self.now }
    }

    pub(super) fn item_id(&self, idx: usize) -> ItemId {
        self.catalogue.items[idx].id.clone()
    }

    /// What the page of this request is about.
    pub(super) fn focus(&self, request: &Request) -> Focus {
        match request {
            Request::Home => Focus::Home,
            Request::Similar(item) => self.catalogue.find(item).map_or(Focus::Home, Focus::Item),
            Request::Search(query) => Focus::Query(query_words(query)),
        }
    }
}
