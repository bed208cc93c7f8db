//! A shop that does not exist, whose truth is known: the simulator `sim-v1`.
//!
//! In: settings with a seed, and the pages that some recommender shows. Out: a stream of [`Step`]s (page requests, new
//! products, prices, stock) and, for each page shown, the events it causes and what it was worth under the truth. It
//! closes the loop: what is shown decides what is clicked, bought and hence wanted later. It speaks no HTTP, reads no clock
//! and learns nothing. The same settings and the same pages give the same bytes; all chance is a function of
//! (seed, what, which). Who comes when, for which kind of page, how tastes drift and the catalogue changes does not depend
//! on the pages shown, so policies can be compared on the same visitors; what they want also depends on what they bought.
//!
//! # The click model
//!
//! Items and tastes are places in a Poincaré ball of four dimensions with `δ(a,b) = 2|a−b|² / ((1−|a|²)(1−|b|²))`. An
//! item's place follows from family, style word, material, brand and a little noise; a taste walks, and jumps now and then.
//! A visitor with taste `u` wants item `i` by
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
//! On a page, the visitor goes down a cascade. Things alike use up each other's interest, and whoever is satisfied leaves:
//!
//! ```text
//! c_k     = a_k / (1 + 0.4·Σ_{j<k} m(j,k))      m = 3 variants of one product; ¼ + ¾·max(0, 1 − 2δ) in a family; 0 else
//! E_0     = 1,   E_{k+1} = E_k · patience · (¾ at the fold, k = 4) · (1 − c_k·(0.15 + 0.6·a_k))
//! clicks  = Σ E_k · c_k                         exact, since m depends on the page and not on what happened
//! ```
//!
//! No dot product, no softmax, no co-occurrence: none of our learners holds this form. After a click the item's page is
//! viewed; marking, cart and purchase follow by chances that grow with `a`.
//!
//! A visit's first family is drawn with weight `demand · season · novelty · renewal / (0.08 + δ(u, home))⁴`; a shopper
//! comes for the dearest of the 28 families about half of the time.
//!
//! What it is like (default settings, seed 1, 20,000 pages, expected clicks per page): random 0.06, most popular 0.25,
//! the truth 1.06. Tastes of the first day, with all else known, keep 0.93 of the best after 15 days, 0.87 after 30, 0.81 after 60.
//! The oracle knows what each visit is about, which no learner can: it is a ceiling, not a target.
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
mod dice;
mod log;
mod place;
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

/// What kind of shop, and how much of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatorSettings {
    /// Everything follows from this number and the pages shown.
    pub seed: u64,
    /// Items in the catalogue at the start.
    pub n_items: usize,
    /// Shoppers with an account.
    pub n_shoppers: usize,
    /// When the simulation begins.
    pub start: Timestamp,
    /// Page requests on an average day, at least 1.
    pub visits_per_day: f64,
    /// Items that a request asks for.
    pub page_size: usize,
    /// Share of sessions without a login.
    pub guest_share: f64,
    /// Speed at which tastes move; 0 holds them still.
    pub drift: f64,
    /// Every so many days all tastes are drawn anew, and what was asked for most is so no longer; 0 for never.
    pub upheaval_every_days: u32,
    /// New products per day, besides a launch of several in one family every week.
    pub new_products_per_day: f64,
    /// Sales that begin per day; each ends after some days.
    pub sales_per_day: f64,
    /// Items that run out per day; each comes back after some days.
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

/// What happens next in the shop.
#[derive(Clone, Debug)]
pub enum Step {
    /// Somebody asks for a page; answer through [`Simulator::respond`].
    Visit(Visit),
    /// Products come into the shop, at their `published_at`.
    NewItems(Vec<Item>),
    /// A sale begins or ends.
    PriceChange {
        /// Which item.
        item: ItemId,
        /// The price from now on.
        price: f32,
        /// When.
        at: Timestamp,
    },
    /// An item runs out, or is back.
    StockChange {
        /// Which item.
        item: ItemId,
        /// Pieces from now on; 0 hides the item.
        stock: u32,
        /// When.
        at: Timestamp,
    },
}

/// What a visitor asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The front page.
    Home,
    /// More like this item, whose page is open.
    Similar(ItemId),
    /// Results for a text.
    Search(Box<str>),
}

/// One page request. What drives it stays hidden.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Counts page requests from 0.
    pub number: u64,
    /// Whose history it belongs to.
    pub shopper: Shopper,
    /// The visit that this page is part of; one or more pages each.
    pub session: SessionId,
    /// When the page is asked for.
    pub at: Timestamp,
    /// What is asked for.
    pub request: Request,
    /// Items asked for; more are not looked at.
    pub n: usize,
    hidden: Session,
    profile: Profile,
    /// Came straight to an item's page, from outside the shop.
    landed: bool,
}

/// What a page led to, and what it was worth under the truth.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Impressions of what was looked at, clicks, views, marks, carts and purchases (and the search or landing before
    /// them), in the order of their times, which lie within four minutes of the request.
    pub events: Vec<Event>,
    /// Clicks among them.
    pub n_clicks: usize,
    /// Expected clicks of the page shown: exact.
    pub expected_clicks: f64,
    /// Expected clicks of the best page from the whole catalogue: filled greedily, then put in the best order that
    /// exchanging neighbours finds. Another page is rarely better, and barely.
    pub best_expected_clicks: f64,
    /// Expected clicks of a page drawn evenly from what is in stock (any likeness between its items neglected).
    pub random_expected_clicks: f64,
    /// Ids in the page that the shop does not have; each leaves its position empty.
    pub n_unknown: usize,
    /// Items shown beyond the `n` asked for, not looked at.
    pub n_beyond: usize,
}

impl Outcome {
    /// Names the server's answer in all events that stem from its list.
    pub fn credit(&mut self, recommendation_id: &str) {
        for event in self.events.iter_mut().filter(|event| event.position.is_some()) {
            event.recommendation_id = Some(recommendation_id.into());
        }
    }

    /// Expected clicks missed against the best page.
    pub fn regret(&self) -> f64 {
        self.best_expected_clicks - self.expected_clicks
    }
}

impl SimulatorSettings {
    /// Whether everything changes at the dawn of that day.
    fn is_upheaval(&self, day: i64) -> bool {
        let since = day - self.start.day();
        self.upheaval_every_days > 0 && since > 0 && since % i64::from(self.upheaval_every_days) == 0
    }
}

/// Where every shopper's taste stood on some day; only the simulator can read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tastes(Vec<Place>);

/// The shop in motion.
pub struct Simulator {
    settings: SimulatorSettings,
    catalogue: Catalogue,
    shoppers: Shoppers,
    now: Timestamp,
    /// What is due, by time and then by order of entry.
    agenda: BTreeMap<(i64, u64), Pending>,
    n_entries: u64,
    n_sessions: u64,
    n_visits: u64,
    n_events: u64,
    /// The last click of each session that goes on to another page.
    clicked: HashMap<u64, usize>,
}

impl Simulator {
    /// Opens the shop.
    ///
    /// # Panics
    /// If `visits_per_day` is below 1, or a rate or the drift is negative or not finite.
    pub fn new(settings: SimulatorSettings) -> Self {
        assert!(settings.visits_per_day >= 1.0, "visits_per_day must be at least 1");
        let SimulatorSettings {
            visits_per_day, drift, new_products_per_day, sales_per_day, stock_outs_per_day, ..
        } = settings;
        for rate in [visits_per_day, drift, new_products_per_day, sales_per_day, stock_outs_per_day] {
            assert!(rate.is_finite() && rate >= 0.0, "a rate of {rate} makes no shop");
        }
        let catalogue = Catalogue::new(settings.seed, settings.n_items, settings.start);
        let shoppers = Shoppers::new(&settings, &catalogue.homes);
        let mut simulator = Self {
            now: settings.start,
            settings,
            catalogue,
            shoppers,
            agenda: BTreeMap::new(),
            n_entries: 0,
            n_sessions: 0,
            n_visits: 0,
            n_events: 0,
            clicked: HashMap::new(),
        };
        simulator.open();
        simulator
    }

    /// What the shop was opened with.
    pub fn settings(&self) -> &SimulatorSettings {
        &self.settings
    }

    /// The catalogue to load before the first step, whatever happened since.
    pub fn items_at_start(&self) -> Vec<Item> {
        Catalogue::new(self.settings.seed, self.settings.n_items, self.settings.start).items
    }

    /// The catalogue as it is now.
    pub fn items(&self) -> &[Item] {
        &self.catalogue.items
    }

    /// The time of the last step.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether an item answers a query: all its words are in the title, the brand or the family's other name.
    pub fn is_relevant(&self, query: &str, item: &ItemId) -> bool {
        self.catalogue.find(item).is_some_and(|idx| self.catalogue.matches(&query_words(query), idx))
    }

    /// Every shopper's taste now, for [`page_for_tastes`](Self::page_for_tastes).
    pub fn tastes(&mut self) -> Tastes {
        Tastes(self.shoppers.tastes(self.now.day(), &self.catalogue.homes))
    }
}
