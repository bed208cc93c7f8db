//! The shop's agenda: who comes when and asks for what, which products, prices and stocks change. Nothing here depends
//! on the pages shown, save which item the next page of a session starts from.

use accrue_event::{ItemId, SessionId, Shopper, Timestamp, UserId};
use accrue_kernel::ln;

use super::catalogue::{FULL_STOCK, query_words, shelf_price};
use super::click::{Focus, Gaze};
use super::dice::{Roll, Stream};
use super::shoppers::{Profile, guest, intents};
use super::words::FAMILIES;
use super::{Request, Simulator, Step, Visit};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// Chance that a session goes on to another page.
const GOES_ON: f64 = 0.4;
/// A session's next page comes no sooner than this after the one before; its events are over by then.
pub(super) const NEXT_PAGE_MS: i64 = 240_000;
/// Pages of the longest session.
const MAX_PAGES: u8 = 6;
/// Products that a weekly launch brings in one family.
const LAUNCH: usize = 8;
/// By so many families the demand moves on in an upheaval: it comes back to where it was after as many as there are.
const UPHEAVAL_FAMILIES: usize = 11;
/// Items that somebody has in mind before they choose what to look for.
const IN_MIND: usize = 8;
/// Visits per hour of the day (UTC) relative to the mean.
const HOURS: [f64; 24] = [
    0.35, 0.25, 0.2, 0.15, 0.15, 0.25, 0.45, 0.7, 0.9, 1.05, 1.15, 1.25, 1.3, 1.2, 1.1, 1.1, 1.2, 1.35, 1.6, 1.9, 2.1,
    1.95, 1.45, 0.9,
];

/// A visitor's session between two pages.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) who: Who,
    pub(super) families: [u8; 2],
    pub(super) page: u8,
    /// Another page will follow.
    pub(super) goes_on: bool,
}

/// A person, seen from inside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    Known(usize),
    Guest,
}

/// What waits in the agenda.
pub(super) enum Pending {
    Arrival,
    Page(Session),
    Dawn,
    Launch { family: usize, n_products: usize },
    Price { idx: usize, price: f32 },
    Stock { idx: usize, stock: u32 },
}

impl Simulator {
    pub(super) fn open(&mut self) {
        self.enter(self.settings.start, Pending::Dawn);
        self.enter(self.next_arrival(self.settings.start), Pending::Arrival);
    }

    /// The next thing that happens. Never ends.
    pub fn next_step(&mut self) -> Step {
        loop {
            let ((at, _), pending) = self.agenda.pop_first().expect("an arrival is always pending");
            self.now = Timestamp(at);
            match pending {
                Pending::Dawn => self.plan_day(),
                Pending::Arrival => {
                    let session = self.begin_session();
                    self.enter(self.next_arrival(self.now), Pending::Arrival);
                    return Step::Visit(self.visit(session));
                }
                Pending::Page(session) => return Step::Visit(self.visit(session)),
                Pending::Launch { family, n_products } => return self.launch(family, n_products),
                Pending::Price { idx, price } => return self.change_price(idx, price),
                Pending::Stock { idx, stock } => return self.change_stock(idx, stock),
            }
        }
    }

    fn enter(&mut self, at: Timestamp, pending: Pending) {
        self.agenda.insert((at.0, self.n_entries), pending);
        self.n_entries += 1;
    }

    /// The next of a stream of arrivals whose rate changes by the hour: an exponential amount of rate is used up on the way.
    fn next_arrival(&self, after: Timestamp) -> Timestamp {
        let pages_per_session = (1..MAX_PAGES).fold(1.0, |pages, _| 1.0 + GOES_ON * pages);
        let per_ms = self.settings.visits_per_day / pages_per_session / DAY_MS as f64;
        let draw = Roll::new(self.settings.seed, Stream::Arrival, self.n_sessions).uniform();
        let mut left = -f64::from(ln(draw as f32));
        let mut at = after.0;
        // Ends within weeks: a draw is at most 37, and a day uses up at least 0.6.
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
        let mut roll = Roll::new(self.settings.seed, Stream::Session, number);
        let is_guest = roll.chance(self.settings.guest_share) || self.shoppers.len() == 0;
        let who = if is_guest { Who::Guest } else { Who::Known(self.shoppers.pick(&mut roll)) };
        let profile = self.profile(who, number);
        let bought = self.bought(who);
        let families = intents(&profile, bought, self.now, &self.catalogue, &mut roll);
        Session { number, who, families, page: 0, goes_on: false }
    }

    fn profile(&mut self, who: Who, session: u64) -> Profile {
        match who {
            Who::Known(n) => {
                self.shoppers.walk(n, self.now.day(), &self.catalogue.homes);
                self.shoppers.person(n).profile.clone()
            }
            Who::Guest => guest(self.settings.seed, session, &self.catalogue.homes),
        }
    }

    /// What this person has bought, as far as anyone remembers.
    pub(super) fn bought(&self, who: Who) -> &[(u32, Timestamp)] {
        match who {
            Who::Known(n) => &self.shoppers.person(n).bought,
            Who::Guest => &[],
        }
    }

    fn visit(&mut self, mut session: Session) -> Visit {
        let number = self.n_visits;
        self.n_visits += 1;
        let mut roll = Roll::new(self.settings.seed, Stream::Request, number);
        let profile = self.profile(session.who, session.number);
        let (request, landed) = self.request(&session, &profile, &mut roll);
        session.goes_on = session.page + 1 < MAX_PAGES && roll.chance(GOES_ON);
        if session.goes_on {
            let next_at = Timestamp(self.now.0 + roll.between(NEXT_PAGE_MS as f64, 2.0 * NEXT_PAGE_MS as f64) as i64);
            let next = Session { page: session.page + 1, ..session.clone() };
            self.enter(next_at, Pending::Page(next));
        }
        let session_id = SessionId::new(format!("session-{:06}", session.number));
        let shopper = match session.who {
            Who::Known(n) => Shopper::User(UserId::new(format!("shopper-{n:04}"))),
            Who::Guest => Shopper::Guest(session_id.clone()),
        };
        let (at, n) = (self.now, self.settings.page_size);
        Visit { number, shopper, session: session_id, at, request, n, hidden: session, profile, landed }
    }

    /// What is asked for, and whether an item's page was entered from outside.
    fn request(&mut self, session: &Session, profile: &Profile, roll: &mut Roll) -> (Request, bool) {
        let clicked = self.clicked.remove(&session.number);
        let kind = roll.uniform();
        let (home, similar) = if session.page == 0 { (0.65, 0.1) } else { (0.25, 0.45) };
        let Some(wanted) = self.wanted(session, profile, roll) else { return (Request::Home, false) };
        if kind < home {
            (Request::Home, false)
        } else if kind < home + similar {
            let context = clicked.unwrap_or(wanted);
            (Request::Similar(self.catalogue.items[context].id.clone()), clicked.is_none())
        } else {
            (Request::Search(self.catalogue.query_for(wanted, roll)), false)
        }
    }

    /// What the visitor would like best of a few things they can think of.
    fn wanted(&self, session: &Session, profile: &Profile, roll: &mut Roll) -> Option<usize> {
        let of_family = &self.catalogue.by_family[session.families[0] as usize];
        let gaze = Gaze::new(&self.catalogue, profile, session.families, &Focus::Home, self.now);
        let mut best = None;
        for _ in 0..IN_MIND.min(of_family.len()) {
            let idx = of_family[roll.below(of_family.len())] as usize;
            let wish = gaze.wish(idx);
            if best.is_none_or(|(most, _)| wish > most) {
                best = Some((wish, idx));
            }
        }
        best.map(|(_, idx)| idx)
    }

    fn plan_day(&mut self) {
        let settings = self.settings.clone();
        let (dawn, day) = (self.now, self.now.day());
        let mut roll = Roll::new(settings.seed, Stream::Dawn, day as u64);
        let sometime =
            |roll: &mut Roll, days: f64| Timestamp(dawn.0 + ((days + roll.uniform()) * DAY_MS as f64) as i64);
        self.enter(Timestamp(dawn.0 + DAY_MS), Pending::Dawn);
        if settings.is_upheaval(day) {
            self.catalogue.demand.rotate_left(UPHEAVAL_FAMILIES);
        }
        for _ in 0..roll.count(settings.new_products_per_day) {
            let family = roll.below(FAMILIES.len());
            let at = sometime(&mut roll, 0.0);
            self.enter(at, Pending::Launch { family, n_products: 1 });
        }
        if settings.new_products_per_day > 0.0 && day.rem_euclid(7) == 0 {
            let family = roll.below(FAMILIES.len());
            let at = sometime(&mut roll, 0.0);
            self.enter(at, Pending::Launch { family, n_products: LAUNCH });
        }
        let n_items = self.catalogue.items.len();
        if n_items == 0 {
            return;
        }
        for _ in 0..roll.count(settings.sales_per_day) {
            let idx = roll.below(n_items);
            let list_price = self.catalogue.traits[idx].list_price;
            let price = shelf_price(f64::from(list_price) * roll.between(0.6, 0.88));
            let (begin, end) = (sometime(&mut roll, 0.0), roll.between(2.0, 9.0));
            self.enter(begin, Pending::Price { idx, price });
            let end = sometime(&mut roll, end);
            self.enter(end, Pending::Price { idx, price: list_price });
        }
        for _ in 0..roll.count(settings.stock_outs_per_day) {
            let idx = roll.below(n_items);
            let (begin, end) = (sometime(&mut roll, 0.0), roll.between(1.0, 6.0));
            self.enter(begin, Pending::Stock { idx, stock: 0 });
            let end = sometime(&mut roll, end);
            self.enter(end, Pending::Stock { idx, stock: FULL_STOCK });
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
        self.catalogue.items[idx].price = Some(price);
        Step::PriceChange { item: self.item_id(idx), price, at: self.now }
    }

    fn change_stock(&mut self, idx: usize, stock: u32) -> Step {
        self.catalogue.traits[idx].open = stock > 0;
        self.catalogue.items[idx].stock = Some(stock);
        Step::StockChange { item: self.item_id(idx), stock, at: self.now }
    }

    pub(super) fn item_id(&self, idx: usize) -> ItemId {
        self.catalogue.items[idx].id.clone()
    }

    /// What a visit's clicks are judged against.
    pub(super) fn focus(&self, request: &Request) -> Focus {
        match request {
            Request::Home => Focus::Home,
            Request::Similar(item) => self.catalogue.find(item).map_or(Focus::Home, Focus::Item),
            Request::Search(query) => Focus::Query(query_words(query)),
        }
    }
}
