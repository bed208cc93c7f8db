//! A synthetic shop that behaves like a retail one: heavy-tailed items and customers, baskets of about 20 lines,
//! habits.
//!
//! In: a seed and sizes. Out: lines in the order of time, each in any form that a bench needs. A line's item is one of
//! the customer's own twelve (3 in 10), of the basket's theme (3 in 10), or of the whole shop with weight 1/rank. Three
//! lines in four are purchases, the rest views. Nothing is stored: line `i` of basket `b` is a function of (seed, b,
//! i).

use std::fmt::Write as _;

use accrue_engine::Incoming;
use accrue_event::{DAY_MS, Event, EventId, EventType, Item, ItemId, Price, RawEvent, RawValue, Timestamp};
use accrue_kernel::{Draws, random};
use accrue_store::{Body, CheckedEvent, Interaction};

/// 2023-01-01; far enough back that no check takes it for the future.
const START_MS: i64 = 1_672_531_200_000;
const YEAR_MS: i64 = 365 * DAY_MS;
/// A basket has 1 to `2 * MEAN_LINES - 1` lines.
const MEAN_LINES: u64 = 20;
/// Items of a theme.
const THEME: u64 = 50;
/// Items that a customer buys repeatedly.
const OWN: u64 = 12;

const BASKET: u64 = 1;
const HABIT: u64 = 2;
const ID: u64 = 3;

/// How large a shop, and how long a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corpus {
    pub seed: u64,
    pub n_users: u64,
    pub n_items: u64,
    pub n_events: u64,
    /// Whether customers come in turns; otherwise their shares of events are unequal, as in a real shop.
    pub even: bool,
    /// Which section of the shop's life: sections share no event id and follow each other.
    pub stretch: u64,
}

/// One line of a basket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub user: u32,
    pub item: u32,
    pub at_ms: i64,
    pub bought: bool,
    pub quantity: u32,
    id: u64,
}

impl Corpus {
    pub fn new(n_users: u64, n_items: u64, n_events: u64) -> Self {
        Self { seed: 7, n_users, n_items, n_events, even: false, stretch: 0 }
    }

    /// The next section of the same shop.
    pub fn later(self, stretch: u64, n_events: u64) -> Self {
        Self { stretch, n_events, ..self }
    }

    pub fn lines(self) -> impl Iterator<Item = Line> {
        let n_baskets = (self.n_events / MEAN_LINES).max(1) as i64;
        let (first_ms, length_ms) = match self.stretch {
            0 => (START_MS, YEAR_MS),
            later => (START_MS + YEAR_MS + later as i64 * 3_600_000, 3_600_000),
        };
        let step_ms = (length_ms / n_baskets).max(1);
        let baskets = (0..).flat_map(move |basket: u64| {
            let number = self.stretch << 40 | basket;
            let mut draws = Draws::new(self.seed, BASKET, number);
            let n_lines = 1 + draws.below(2 * MEAN_LINES - 1);
            let user = if self.even { (number % self.n_users) as u32 } else { self.user(&mut draws) };
            let theme = draws.below(self.n_items.div_ceil(THEME)) * THEME;
            let at_ms = first_ms + basket as i64 * step_ms;
            (0..n_lines).map(move |line| Line {
                user,
                item: self.item(user, theme, &mut draws),
                at_ms,
                bought: draws.below(4) > 0,
                quantity: 1 + draws.below(6) as u32,
                id: random(self.seed, ID, number, line as u32),
            })
        });
        baskets.take(self.n_events as usize)
    }

    fn user(&self, draws: &mut Draws) -> u32 {
        let share = f64::from(draws.uniform());
        (share * share * self.n_users as f64) as u32
    }

    fn item(&self, user: u32, theme: u64, draws: &mut Draws) -> u32 {
        let item = match draws.below(10) {
            0..3 => ranked(random(self.seed, HABIT, u64::from(user), draws.below(OWN) as u32), self.n_items),
            3..6 => theme + ranked(draws.next_u64(), THEME),
            _ => ranked(draws.next_u64(), self.n_items),
        };
        item.min(self.n_items - 1) as u32
    }
}

/// A rank below `n`, with a probability of about 1/rank.
fn ranked(bits: u64, n: u64) -> u64 {
    let uniform = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    ((n as f64).powf(uniform) as u64).clamp(1, n) - 1
}

pub(super) fn user_name(user: u32) -> String {
    format!("u{user}")
}

pub(super) fn item_name(item: u32) -> String {
    format!("sku-{item}")
}

/// The item's description for the catalogue.
pub(super) fn described(item: u32) -> Item {
    let mut described = Item::bare(ItemId::from(item_name(item).as_str()));
    described.title = Some(format!("Article {item} of theme {}", u64::from(item) / THEME).into());
    described.brand = Some(format!("Maker {}", item % 97).into());
    described.categories = vec![format!("theme {}", u64::from(item) / THEME).into()];
    described.price = Price::from_f32(price(item));
    described
}

fn price(item: u32) -> f32 {
    0.5 + (item.wrapping_mul(2_654_435_761) >> 22) as f32 * 0.05
}

impl Line {
    fn event_type(&self) -> EventType {
        if self.bought { EventType::Purchase } else { EventType::View }
    }

    /// With users and items as their own indices, for a learner without names.
    pub fn interaction(&self) -> Interaction {
        let code =
            EventType::BUILT_IN.iter().position(|known| *known == self.event_type()).expect("both types are built in");
        Interaction {
            shopper: self.user,
            item: self.item,
            type_code: code as u8,
            at_ms: self.at_ms,
            session: None,
            value: 1.0,
            quantity: self.quantity,
        }
    }

    /// As a raw record, as parsed from what a shop sends.
    pub fn raw(&self) -> RawEvent {
        RawEvent {
            id: RawValue::text(format!("{:016x}", self.id)),
            event_type: RawValue::text(self.event_type().name()),
            user: RawValue::text(user_name(self.user)),
            item: RawValue::text(item_name(self.item)),
            at: RawValue::Int(self.at_ms),
            quantity: RawValue::Int(i64::from(self.quantity)),
            price: RawValue::Float(f64::from(price(self.item))),
            source: RawValue::text("web"),
            ..RawEvent::default()
        }
    }

    /// As a shop sends it: one line of NDJSON.
    pub fn write_json(&self, out: &mut String) {
        let Self { id, user, item, at_ms, quantity, .. } = self;
        let (event_type, price) = (self.event_type(), price(self.item));
        writeln!(
            out,
            r#"{{"id":"{id:016x}","type":"{event_type}","user":"u{user}","item":"sku-{item}","at":{at_ms},"quantity":{quantity},"price":{price:.2},"source":"web"}}"#,
        )
        .expect("writing to a String does not fail");
    }

    /// As the check accepts it, for filling a log.
    pub fn body(&self) -> Body {
        let event = Event {
            user: Some(user_name(self.user).as_str().into()),
            item: Some(item_name(self.item).as_str().into()),
            quantity: self.quantity,
            price: Price::from_f32(price(self.item)),
            source: Some("web".into()),
            ..Event::bare(EventId::new(format!("{:016x}", self.id)), self.event_type(), Timestamp(self.at_ms))
        };
        Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None })
    }
}

/// `lines` as bodies of NDJSON, `batch` events each.
pub(super) fn ndjson(lines: impl Iterator<Item = Line>, batch: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    let mut lines = lines.peekable();
    while lines.peek().is_some() {
        let mut body = String::with_capacity(batch * 140);
        lines.by_ref().take(batch).for_each(|line| line.write_json(&mut body));
        bodies.push(body);
    }
    bodies
}

/// Batches as the engine accepts them.
pub(super) fn batches(corpus: Corpus, size: usize) -> Vec<Vec<Incoming<RawEvent>>> {
    let mut lines = corpus.lines().peekable();
    let mut batches = Vec::new();
    while lines.peek().is_some() {
        batches.push(lines.by_ref().take(size).map(|line| Incoming::Record(line.raw())).collect());
    }
    batches
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_stream_is_seeded_ordered_and_of_the_requested_length() {
        let corpus = Corpus::new(100, 400, 5000);
        let lines: Vec<Line> = corpus.lines().collect();
        assert_eq!(lines.len(), 5000);
        assert_eq!(lines, corpus.lines().collect::<Vec<_>>());
        assert!(lines.is_sorted_by_key(|line| line.at_ms));
        assert!(lines.iter().all(|line| line.user < 100 && line.item < 400));
        let ids: BTreeSet<u64> =
            lines.iter().chain(&corpus.later(1, 5000).lines().collect::<Vec<_>>()).map(|l| l.id).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn a_few_items_and_customers_make_most_of_it() {
        let lines: Vec<Line> = Corpus::new(1000, 4000, 50_000).lines().collect();
        let share = |n: usize| n as f64 / lines.len() as f64;
        let top_items = share(lines.iter().filter(|line| line.item < 400).count());
        let top_users = share(lines.iter().filter(|line| line.user < 100).count());
        assert!((0.4..0.8).contains(&top_items) && (0.2..0.5).contains(&top_users), "{top_items} {top_users}");
    }

    #[test]
    fn json_and_raw_records_are_equal() {
        for line in Corpus::new(10, 50, 40).lines() {
            let mut text = String::new();
            line.write_json(&mut text);
            let read: RawEvent = serde_json::from_str(&text).unwrap();
            let raw = line.raw();
            assert_eq!(
                (&read.id, &read.event_type, &read.user, &read.item),
                (&raw.id, &raw.event_type, &raw.user, &raw.item)
            );
            assert_eq!((read.at, read.quantity), (raw.at, raw.quantity));
        }
    }
}
