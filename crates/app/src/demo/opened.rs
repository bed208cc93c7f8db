//! The first message of the demo: where the server is, which shop it is, and commands to paste.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use accrue_event::{Shopper, Timestamp};
use accrue_lab::simulator::{Request, Simulator, Step};
use serde::Serialize;

use super::drive::{BASELINE_PERCENT, escaped};
use super::folder::Folder;

/// Visits that are searched for a shopper who comes soon and a query.
const N_AHEAD: u64 = 500;

/// The shop that was opened.
#[derive(Clone, Debug, Serialize)]
pub struct Opened {
    /// The server's address, `http://HOST:PORT`.
    pub listening: String,
    /// Where a browser shows the shop to its visitors.
    pub storefront: String,
    /// Where a browser shows what the server does.
    pub console: String,
    /// Always true: its shoppers are simulated.
    pub simulated: bool,
    /// The name of the simulator.
    pub simulator: &'static str,
    /// The seed of its random numbers.
    pub seed: u64,
    /// Items in the catalogue.
    pub items: usize,
    /// Shoppers with an account.
    pub shoppers: usize,
    /// When simulated time begins.
    pub start: Timestamp,
    /// The data folder.
    pub data: PathBuf,
    /// Whether the folder is removed when the demo ends.
    pub temporary: bool,
    /// A shopper who comes often.
    pub shopper: String,
    /// An item.
    pub item: String,
    /// A query of one of the next visits.
    pub query: String,
}

impl Opened {
    pub(super) fn new(shop: &Simulator, address: SocketAddr, folder: &Folder) -> Self {
        let (shopper, query) = ahead(shop);
        let settings = shop.settings();
        let item = shop.items().first().map_or_else(String::new, |item| item.id.as_str().to_owned());
        Self {
            listening: format!("http://{address}"),
            storefront: format!("http://{address}/"),
            console: format!("http://{address}/console"),
            simulated: true,
            simulator: "sim-v1",
            seed: settings.seed,
            items: settings.n_items,
            shoppers: settings.n_shoppers,
            start: settings.start,
            data: folder.path().to_owned(),
            temporary: folder.is_temporary(),
            shopper,
            item,
            query,
        }
    }
}

/// The shopper of most of the next visits, and the first query among them. No page is served for this.
fn ahead(shop: &Simulator) -> (String, String) {
    let mut shop = Simulator::new(shop.settings().clone());
    let mut n_visits: HashMap<String, u32> = HashMap::new();
    let mut query = None;
    for _ in 0..N_AHEAD {
        let Step::Visit(visit) = shop.next_step() else { continue };
        if let Shopper::User(user) = visit.shopper {
            *n_visits.entry(user.as_str().to_owned()).or_default() += 1;
        }
        if let Request::Search(text) = visit.request {
            query.get_or_insert(text);
        }
    }
    let often = n_visits.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
    (often.map_or_else(String::new, |(user, _)| user), query.unwrap_or_default().into())
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listening, storefront, console, simulator, seed, items, shoppers, start, shopper, item, query, ..
        } = self;
        writeln!(f, "listening on {listening}\n")?;
        writeln!(f, "In a browser: the shop, in which you are a shopper; and what the server does.\n")?;
        writeln!(f, "  storefront  {storefront}")?;
        writeln!(f, "  console     {console}\n")?;
        writeln!(
            f,
            "This shop is simulated ({simulator}, seed {seed}): {items} items and {shoppers} shoppers, none of whom exist."
        )?;
        writeln!(f, "The server, its HTTP interface and what it learns are real. Visits begin on {start},")?;
        writeln!(
            f,
            "4,000 on a simulated day. Of the front pages, {BASELINE_PERCENT} % show what is popular and {BASELINE_PERCENT} % items drawn at random,"
        )?;
        writeln!(f, "to compare what is learned with, on the same traffic.\n")?;
        let (shopper, query, path) = (escaped(shopper), escaped(query), escaped(item));
        writeln!(
            f,
            "The same in another terminal: a shopper who comes often; what puts a thing into your cart changes for you"
        )?;
        writeln!(f, "(keep the `at`: this shop has a calendar of its own); a search; items alike:\n")?;
        writeln!(f, "  curl -s '{listening}/v1/recommend/{shopper}?n=3&explain=true'")?;
        writeln!(f, "  curl -s '{listening}/v1/events' -H 'content-type: application/json' \\")?;
        writeln!(f, r#"    -d '{{"type":"cart","user":"you","item":"{item}","at":"{start}"}}'"#)?;
        writeln!(f, "  curl -s '{listening}/v1/recommend/you?n=3&explain=true'")?;
        writeln!(f, "  curl -s '{listening}/v1/search?q={query}&user={shopper}&n=3'")?;
        writeln!(f, "  curl -s '{listening}/v1/items/{path}/similar?n=3'\n")?;
        if self.temporary {
            writeln!(f, "Ctrl-C ends it and removes its data ({}).", self.data.display())
        } else {
            writeln!(f, "Ctrl-C ends it; its data stays in {}.", self.data.display())
        }
    }
}
