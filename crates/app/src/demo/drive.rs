//! A closed loop between the simulator and the server's HTTP interface: a visit requests a page, the simulator decides
//! what the visitor does with it, and the events are sent to the server.
//!
//! Two small shares of the front pages, chosen by the visit's number, are filled without the models: by `/v1/trending`,
//! and uniformly at random. They are the baselines, for the same visitors.

use std::time::{Duration, Instant};

use accrue_event::{Item, ItemId, Shopper};
use accrue_kernel::Draws;
use accrue_lab::simulator::{Outcome, Request, Simulator, Step, Visit};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::tally::{Arm, Page, Tally};

/// Front pages in a hundred that are filled with what is popular, and as many uniformly at random.
pub(super) const BASELINE_PERCENT: u64 = 8;
/// The limit of waiting for the search index.
const INDEX_PATIENCE: Duration = Duration::from_secs(5);
/// Streams of random numbers: the arm of a page, and the items of random pages.
const ARM: u64 = 0x44_41;
const DRAW: u64 = 0x44_44;

/// The server's list, of whatever kind.
#[derive(Debug, Deserialize)]
struct List {
    #[serde(alias = "search_id")]
    recommendation_id: String,
    /// What the models had learned; absent for searches.
    offset: Option<u64>,
    #[serde(alias = "hits")]
    items: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: ItemId,
}

/// The outcome of events or items.
#[derive(Debug, Deserialize)]
struct Taken {
    accepted: u64,
    repaired: u64,
    duplicates: u64,
    quarantined: Vec<IgnoredAny>,
    offset: u64,
}

/// Counts of the events by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Fates {
    /// Accepted as sent.
    pub accepted: u64,
    /// Accepted after repairs.
    pub repaired: u64,
    /// Known already.
    pub duplicates: u64,
    /// Refused.
    pub quarantined: u64,
}

/// The simulated shop, its connection to the server, and the figures so far.
pub(super) struct Drive {
    pub shop: Simulator,
    pub tally: Tally,
    pub fates: Fates,
    client: Client,
}

impl Drive {
    /// Posts the catalogue.
    pub fn open(shop: Simulator, mut client: Client, window: usize) -> Result<Self, ClientError> {
        client.send::<Taken>("POST", "/v1/items", &shop.items_at_start())?;
        Ok(Self { shop, tally: Tally::new(window), fates: Fates::default(), client })
    }

    /// Waits for the search index, which follows the catalogue on its own thread; continues without it after some
    /// seconds.
    pub fn wait_until_found(&mut self, query: &str, stop: &dyn Fn() -> bool) -> Result<(), ClientError> {
        let begun = Instant::now();
        while begun.elapsed() < INDEX_PATIENCE && !stop() {
            // The next page of a search is not counted as another search of a shopper's.
            let second = json!({ "query": query, "n": 1, "offset": 1 });
            let (found, _) = self.client.send::<Value>("POST", "/v1/search", &second)?;
            if found["total"].as_u64().is_some_and(|total| total > 0) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sends a change of the catalogue.
    pub fn pass_on(&mut self, step: Step) -> Result<(), ClientError> {
        match step {
            Step::NewItems(items) => self.client.send::<Taken>("POST", "/v1/items", &items).map(drop),
            Step::PriceChange { item, price, .. } => self.patch(&item, &json!({ "price": price })),
            Step::StockChange { item, stock, .. } => self.patch(&item, &json!({ "stock": stock })),
            Step::Visit(visit) => self.serve(&visit),
        }
    }

    fn patch(&mut self, item: &ItemId, change: &Value) -> Result<(), ClientError> {
        self.client.send::<IgnoredAny>("PATCH", &format!("/v1/items/{}", escaped(item.as_str())), change).map(drop)
    }

    /// One iteration of the loop.
    pub fn serve(&mut self, visit: &Visit) -> Result<(), ClientError> {
        let arm = arm(self.shop.settings().seed, visit);
        let (shown, list, answer) = match arm {
            Arm::Random => (draw(self.shop.items(), self.shop.settings().seed, visit), None, None),
            _ => {
                let (list, took) = self.ask(arm, visit)?;
                if let Some(end) = list.offset {
                    self.tally.answered(end, Instant::now());
                }
                let shown = list.items.into_iter().map(|item| item.id).collect::<Vec<_>>();
                (shown, Some(list.recommendation_id), Some(took))
            }
        };
        let mut outcome = self.shop.respond(visit, &shown);
        if let Some(id) = &list {
            outcome.credit(id);
        }
        self.report(&outcome)?;
        let Outcome { n_clicks, expected_clicks: expected, best_expected_clicks: best, .. } = outcome;
        self.tally.add(Page { arm, n_clicks, expected, best, answer }, outcome.events.len());
        Ok(())
    }

    fn ask(&mut self, arm: Arm, visit: &Visit) -> Result<(List, Duration), ClientError> {
        let n = visit.n;
        let user = match &visit.shopper {
            Shopper::User(user) => Some(user),
            _ => None,
        };
        match &visit.request {
            Request::Home if arm == Arm::Popular => self.client.get(&format!("/v1/trending?n={n}")),
            Request::Home => {
                let body = json!({ "user": user, "session": visit.session, "scene": "home", "n": n });
                self.client.send("POST", "/v1/recommend", &body)
            }
            Request::Similar(item) => self.client.get(&format!("/v1/items/{}/similar?n={n}", escaped(item.as_str()))),
            Request::Search(query) => {
                let body = json!({ "query": query, "user": user, "session": visit.session, "n": n });
                self.client.send("POST", "/v1/search", &body)
            }
        }
    }

    fn report(&mut self, outcome: &Outcome) -> Result<(), ClientError> {
        if outcome.events.is_empty() {
            return Ok(());
        }
        let (taken, _) = self.client.send::<Taken>("POST", "/v1/events", &outcome.events)?;
        self.tally.acknowledged(taken.offset, Instant::now());
        self.fates.accepted += taken.accepted;
        self.fates.repaired += taken.repaired;
        self.fates.duplicates += taken.duplicates;
        self.fates.quarantined += taken.quarantined.len() as u64;
        Ok(())
    }
}

/// The arm that fills a visit's page.
fn arm(seed: u64, visit: &Visit) -> Arm {
    match visit.request {
        Request::Similar(_) => Arm::Similar,
        Request::Search(_) => Arm::Search,
        Request::Home => match Draws::new(seed, ARM, visit.number).below(100) {
            lot if lot < BASELINE_PERCENT => Arm::Popular,
            lot if lot < 2 * BASELINE_PERCENT => Arm::Random,
            _ => Arm::Home,
        },
    }
}

/// Items in stock, drawn uniformly.
fn draw(items: &[Item], seed: u64, visit: &Visit) -> Vec<ItemId> {
    let mut draws = Draws::new(seed, DRAW, visit.number);
    let mut page: Vec<ItemId> = Vec::with_capacity(visit.n);
    // A limit, for shops with few items in stock.
    for _ in 0..20 * visit.n {
        if page.len() == visit.n || items.is_empty() {
            break;
        }
        let item = &items[draws.below(items.len() as u64) as usize];
        if item.can_be_shown() && !page.contains(&item.id) {
            page.push(item.id.clone());
        }
    }
    page
}

/// An id as a part of a path.
pub(super) fn escaped(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use accrue_lab::simulator::SimulatorSettings;

    use super::*;

    fn visits(n: usize) -> (Simulator, Vec<Visit>) {
        let mut shop = Simulator::new(SimulatorSettings { n_items: 200, n_shoppers: 50, ..Default::default() });
        let mut visits = Vec::new();
        while visits.len() < n {
            if let Step::Visit(visit) = shop.next_step() {
                visits.push(visit);
            }
        }
        (shop, visits)
    }

    #[test]
    fn baselines_fill_their_share_of_the_front_pages_alone() {
        let (_, visits) = visits(4_000);
        let count = |sought: Arm| visits.iter().filter(|visit| arm(1, visit) == sought).count() as f64;
        let homes = visits.iter().filter(|visit| visit.request == Request::Home).count() as f64;
        for baseline in [Arm::Popular, Arm::Random] {
            let share = 100.0 * count(baseline) / homes;
            assert!((share - BASELINE_PERCENT as f64).abs() < 2.5, "{baseline:?}: {share} %");
        }
        assert_eq!(count(Arm::Home) + count(Arm::Popular) + count(Arm::Random), homes);
    }

    #[test]
    fn a_random_page_shows_each_item_once_and_only_what_is_in_stock() {
        let (shop, visits) = visits(100);
        for visit in &visits {
            let page = draw(shop.items(), 1, visit);
            assert_eq!(page.len(), visit.n);
            for (place, id) in page.iter().enumerate() {
                assert!(!page[..place].contains(id));
                assert!(shop.items().iter().any(|item| item.id == *id && item.can_be_shown()));
            }
        }
    }

    #[test]
    fn ids_are_escaped_in_paths() {
        assert_eq!(escaped("sku-9"), "sku-9");
        assert_eq!(escaped("a b/ü"), "a%20b%2F%C3%BC");
    }
}
