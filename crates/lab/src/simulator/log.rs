//! What a shop's log would hold after some days: a stream for the stream protocol whose drift is known.
//!
//! In: settings of the shop and a number of days. Out: the events that its visitors cause, and the catalogue. One page in two is the
//! best under the truth, the other is drawn evenly: a shop whose shelves somebody arranges who knows the visitors, and enough
//! chance that what they want shows. The pages do not depend on any model that is judged by the stream.

use accrue_event::ItemId;

use super::baseline::draw;
use super::dice::{Roll, Stream};
use super::{Simulator, SimulatorSettings, Step};
use crate::stream::StreamData;

const DAY_MS: i64 = 86_400_000;

/// The log of `days` days of that shop.
pub fn simulated_log(settings: SimulatorSettings, days: u32) -> StreamData {
    let mut shop = Simulator::new(settings);
    let end_ms = shop.settings().start.0 + i64::from(days) * DAY_MS;
    let mut data = StreamData::default();
    data.items.extend(shop.items_at_start().into_iter().map(|item| (0, item)));
    loop {
        let step = shop.next_step();
        if shop.now().0 >= end_ms {
            // Items that came behind the last event were brought by none.
            data.items.retain(|&(place, _)| place < data.events.len());
            return data;
        }
        match step {
            Step::NewItems(items) => data.items.extend(items.into_iter().map(|item| (data.events.len(), item))),
            Step::Visit(visit) => {
                let mut roll = Roll::new(shop.settings().seed, Stream::Policy, visit.number);
                let shown: Vec<ItemId> =
                    if roll.chance(0.5) { shop.best_page(&visit) } else { draw(&shop, visit.n, &mut roll) };
                data.events.extend(shop.respond(&visit, &shown).events);
            }
            Step::PriceChange { .. } | Step::StockChange { .. } => {}
        }
    }
}
