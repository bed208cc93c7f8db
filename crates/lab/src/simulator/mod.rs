//! A simulated shop whose true click model is known: the simulator `sim-v1`.
//!
//! In: settings with a seed, and the pages that a recommender shows. Out: a stream of [`Step`]s (page requests, new
//! products, prices, stock), and for each page the events that it causes and its true value. The loop is closed: the
//! pages decide what is clicked and bought, and purchases change what is wanted later. The simulator uses no HTTP,
//! reads no clock and learns nothing. The same settings and pages give the same bytes; every random number is a
//! function of (seed, purpose, counter). The time of each visit, its visitor and kind of page, the drift of tastes and
//! the changes of the catalogue do not depend on the pages, so that policies are compared on the same visitors; only
//! the memory of purchases does.
//!
//! # The click model
//!
//! Items and tastes are points in a Poincaré ball of four dimensions with `δ(a,b) = 2|a−b|² / ((1−|a|²)(1−|b|²))`. An
//! item's point depends on family, style word, material, brand and a little noise; a taste does a random walk with rare
//! jumps. The appeal of item `i` to a visitor with taste `u` is
//!
//! ```text
//! a_i   = min(0.85, renewal · min(0.85, fit(δ(u, x_i)) · relevance · price · quality_i · brand · fresh))   0 if not in stock
//! fit   = 0.03 + 0.97·(3t² − 2t³),  t = clamp((1.5 − δ)/1.38, 0, 1)                a threshold at both ends
//! relevance, home     1 first family of the visit, 0.8 second, 0.22 same department, 0.06 else; · (½ + ½·season)
//!            similar  1/(1 + δ(x_i, x_context)) in its family, 0.3 its own variants, 0.4·(home) else, 0 itself
//!            search   max(home, 0.6) if all words of the query match, 0.08·(home) else
//! price, d = price/(usual·budget):  0.55 + 1.125d for d < 0.4 · 1 up to 1 · 1/(1 + thrift²(d−1)²) beyond; · 1.2 on sale
//! brand = 1.3 a favourite, 1 else     fresh = 1 + 1.2·curiosity·max(0, 1 − age/14 d)
//! renewal = 1, but for what was bought: lasting goods 0.12 for 120 days, then 0.5; consumables with a cycle of T days
//!           0.25 before 0.6 T, 2 from 0.9 T to 2.5 T
//! ```
//!
//! The visitor examines the positions of a page in order (a cascade). Similar items reduce each other's appeal, and a
//! satisfied visitor leaves:
//!
//! ```text
//! c_k     = a_k / (1 + 0.4·Σ_{j<k} m(j,k))      m = 3 variants of one product; ¼ + ¾·max(0, 1 − 2δ) in a family; 0 else
//! E_0     = 1,   E_{k+1} = E_k · patience · (¾ at the fold, k = 4) · (1 − c_k·(0.15 + 0.6·a_k))
//! clicks  = Σ E_k · c_k                         exact, since m depends on the page and not on what happened
//! ```
//!
//! The model contains no dot product, no softmax and no co-occurrence, so no learner of this program has its form.
//! After a click the item's page is viewed; favourites, carts and purchases follow with probabilities that grow with
//! `a`.
//!
//! A visit's first family is drawn with weight `demand · season · novelty · renewal / (0.08 + δ(u, centre))⁴`; on
//! average a shopper's most likely of the 28 families is drawn about half of the time.
//!
//! Expected clicks per page (default settings, seed 1, 20,000 pages): random 0.06, most popular 0.25, the best page
//! 1.06. Pages that are best for the tastes of the first day, with everything else current, keep 0.93 of the best value
//! after 15 days, 0.87 after 30, 0.81 after 60. The oracle knows the families of each visit, which no learner can know:
//! it is an upper bound and not a target.
//!
//! # Example
//!
//! ```
//! use accrue_lab::simulator::{Simulator, SimulatorSettings, Step};
//!
//! let mut shop = Simulator::new(SimulatorSettings { n_items: 200, n_shoppers: 50, ..Default::default() });
//! let shown: Vec<_> = shop.items().iter().take(10).map(|item| item.id.clone()).collect();
//! let visit = loop {
//!     if let Step::Visit(visit) = shop.next_step() {
//!         break visit;
//!     }
//! };
//! let outcome = shop.respond(&visit, &shown);
//! assert!(outcome.expected_clicks <= outcome.best_expected_clicks);
//! ```

mod baseline;
mod catalogue;
mod click;
mod log;
mod place;
mod random;
mod respond;
mod shoppers;
mod stream;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, HashMap};

use accrue_event::{Event, Item, ItemId, SessionId, Shopper, Timestamp};

pub use baseline::{Policy, PolicyReport, run_policy};
pub use click::PositionChance;
pub use log::simulated_log;

use catalogue::{Catalogue, query_words};
use place::Place;
use shoppers::{Profile, Shoppers};
use stream::{Pending, Session};

/// The size of the shop and the rates of its changes.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorSettings {
    /// The seed; everything is a function of it and the pages shown.
    pub seed: u64,
    /// Number of items in the catalogue at the start.
    pub n_items: usize,
    /// Number of shoppers with an account.
    pub n_shoppers: usize,
    /// The time at which the simulation begins.
    pub start: Timestamp,
    /// Mean number of page requests per day, at least 1.
    pub visits_per_day: f64,
    /// Number of items that a request asks for.
    pub page_size: usize,
    /// Share of sessions by guests.
    pub guest_share: f64,
    /// Speed at which tastes change; 0 keeps them constant.
    pub drift: f64,
    /// Number of days after which all tastes are drawn again and the demand moves to other families; 0 for never.
    pub upheaval_every_days: u32,
    /// New products per day, in addition to a weekly launch of several products in one family.
    pub new_products_per_day: f64,
    /// Sales that begin per day; each ends after some days.
    pub sales_per_day: f64,
    /// Items that go out of stock per day; each is back after some days.
    pub stock_outs_per_day: f64,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            n_items: 2_000,
            n_shoppers: 1_000,
            // 2026-01-05, a Monday.
            start: Timestamp(1_767_571_200_000),
            visits_per_day: 4_000.0,
            page_size: 10,
            guest_share: 0.2,
            drift: 1.0,
            upheaval_every_days: 0,
            new_products_per_day: 3.0,
            sales_per_day: 20.0,
            stock_outs_per_day: 10.0,
        }
    }
}

/// The next event of the simulation.
#[derive(Clone, Debug)]
pub enum Step {
    /// A page request, to be answered with [`Simulator::respond`].
    Visit(Visit),
    /// New products, at their `published_at`.
    NewItems(Vec<Item>),
    /// The beginning or end of a sale.
    PriceChange {
        /// The item.
        item: ItemId,
        /// The new price.
        price: f32,
        /// The time.
        at: Timestamp,
    },
    /// An item goes out of stock or is back.
    StockChange {
        /// The item.
        item: ItemId,
        /// The new number of pieces; 0 hides the item.
        stock: u32,
        /// The time.
        at: Timestamp,
    },
}

/// The kind of a page request.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The front page.
    Home,
    /// Items similar to this one, on its page.
    Similar(ItemId),
    /// The results for a query.
    Search(Box<str>),
}

/// One page request. The state that drives it is private.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Index of the page request, from 0.
    pub number: u64,
    /// The shopper.
    pub shopper: Shopper,
    /// The session that the page is part of; it has one or more pages.
    pub session: SessionId,
    /// The time of the request.
    pub at: Timestamp,
    /// The kind of page.
    pub request: Request,
    /// Number of items requested; further ones are not examined.
    pub n: usize,
    hidden: Session,
    profile: Profile,
    /// Whether the visitor entered an item's page from outside the shop.
    landed: bool,
}

/// The events of a page, and its true value.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Impressions of the examined items, clicks, views, favourites, carts and purchases (and before them the search or
    /// the entry page), in time order, within four minutes of the request.
    pub events: Vec<Event>,
    /// Number of clicks among them.
    pub n_clicks: usize,
    /// Exact expected clicks of the page.
    pub expected_clicks: f64,
    /// Expected clicks of the best page from the whole catalogue: filled greedily, then improved by exchanging adjacent
    /// items. Another page is rarely better, and then only slightly.
    pub best_expected_clicks: f64,
    /// Expected clicks of a page drawn uniformly from the items in stock, ignoring their similarity.
    pub random_expected_clicks: f64,
    /// Number of ids on the page that are not in the catalogue; each leaves its position empty.
    pub n_unknown: usize,
    /// Number of items beyond the `n` requested, which are not examined.
    pub n_beyond: usize,
}

impl Outcome {
    /// Sets the recommendation id of all events with a position in the server's answer.
    pub fn credit(&mut self, recommendation_id: &str) {
        for event in self.events.iter_mut().filter(|event| event.position.is_some()) {
            event.recommendation_id = Some(recommendation_id.into());
        }
    }

    /// Difference of the expected clicks to those of the best page.
    pub fn regret(&self) -> f64 {
        self.best_expected_clicks - self.expected_clicks
    }
}

impl SimulatorSettings {
    /// Whether all tastes and demands change at the start of this day.
    fn is_upheaval(&self, day: i64) -> bool {
        let since = day - self.start.day();
        self.upheaval_every_days > 0 && since > 0 && since % i64::from(self.upheaval_every_days) == 0
    }
}

/// The tastes of all shoppers on one day; only the simulator can use them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tastes(Vec<Place>);

/// The running shop.
pub struct Simulator {
    settings: SimulatorSettings,
    catalogue: Catalogue,
    shoppers: Shoppers,
    now: Timestamp,
    /// What happens next, by time and then by order of insertion.
    schedule: BTreeMap<(i64, u64), Pending>,
    n_entries: u64,
    n_sessions: u64,
    n_visits: u64,
    n_events: u64,
    /// The last click of each session that has another page.
    clicked: HashMap<u64, usize>,
}

impl Simulator {
    /// Creates the shop.
    ///
    /// # Panics
    /// If `visits_per_day` is below 1, or a rate or the drift is negative or not finite.
    pub fn new(settings: SimulatorSettings) -> Self {
        assert!(settings.visits_per_day >= 1.0, "visits_per_day must be at least 1");
        let SimulatorSettings {
            visits_per_day, drift, new_products_per_day, sales_per_day, stock_outs_per_day, ..
        } = settings;
        for rate in [visits_per_day, drift, new_products_per_day, sales_per_day, stock_outs_per_day] {
            assert!(rate.is_finite() && rate >= 0.0, "a rate is {rate}, but must be finite and at least 0");
        }
        let catalogue = Catalogue::new(settings.seed, settings.n_items, settings.start);
        let shoppers = Shoppers::new(&settings, &catalogue.centres);
        let mut simulator = Self {
            now: settings.start,
            settings,
            catalogue,
            shoppers,
            schedule: BTreeMap::new(),
            n_entries: 0,
            n_sessions: 0,
            n_visits: 0,
            n_events: 0,
            clicked: HashMap::new(),
        };
        simulator.begin();
        simulator
    }

    /// The settings.
    pub fn settings(&self) -> &SimulatorSettings {
        &self.settings
    }

    /// The catalogue before the first step.
    pub fn items_at_start(&self) -> Vec<Item> {
        Catalogue::new(self.settings.seed, self.settings.n_items, self.settings.start).items
    }

    /// The current catalogue.
    pub fn items(&self) -> &[Item] {
        &self.catalogue.items
    }

    /// The time of the last step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether an item answers a query: all words of the query are in the title, the brand or the family's alternative
    /// name.
    pub fn is_relevant(&self, query: &str, item: &ItemId) -> bool {
        self.catalogue.find(item).is_some_and(|idx| self.catalogue.matches(&query_words(query), idx))
    }

    /// The current tastes of all shoppers, for [`page_for_tastes`](Self::page_for_tastes).
    pub fn tastes(&mut self) -> Tastes {
        Tastes(self.shoppers.tastes(self.now.day(), &self.catalogue.centres))
    }
}
