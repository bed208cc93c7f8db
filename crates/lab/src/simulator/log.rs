//! The log of a simulated shop after some days: a stream for the stream protocol, with known drift.
//!
//! In: settings of the shop and a number of days. Out: the events of its visitors, and the catalogue. One page in two
//! is the best page, and the other is drawn uniformly, so that the events show what visitors want. The pages do not
//! depend on any model that is evaluated on the stream.

use accrue_event::{DAY_MS, ItemId};

use super::baseline::draw;
use super::random::{Random, Stream};
use super::{Simulator, SimulatorSettings, Step};
use crate::stream::StreamData;

/// The log of `days` days of a shop with these settings.
pub fn simulated_log(settings: SimulatorSettings, days: u32) -> StreamData {
    let mut shop = Simulator::new(settings);
    let end_ms = shop.settings().start.0 + i64::from(days) * DAY_MS;
    let mut data = StreamData::default();
    data.items.extend(shop.items_at_start().into_iter().map(|item| (0, item)));
    loop {
        let step = shop.next_step();
        if shop.now().0 >= end_ms {
            // Items added after the last event came with none.
            data.items.retain(|&(place, _)| place < data.events.len());
            return data;
        }
        match step {
            Step::NewItems(items) => data.items.extend(items.into_iter().map(|item| (data.events.len(), item))),
            Step::Visit(visit) => {
                let mut random = Random::new(shop.settings().seed, Stream::Policy, visit.number);
                let shown: Vec<ItemId> =
                    if random.chance(0.5) { shop.best_page(&visit) } else { draw(&shop, visit.n, &mut random) };
                data.events.extend(shop.respond(&visit, &shown).events);
            }
            Step::PriceChange { .. } | Step::StockChange { .. } => {}
        }
    }
}
