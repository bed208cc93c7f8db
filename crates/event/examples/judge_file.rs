//! Judges a whole file through a mapping, and prints the verdicts and the time they took.
//!
//!     zstd -dc y2009_2010.tsv.zst | cargo run --release -p accrue-event --example judge_file -- mapping.toml
//!
//! The catalogue is the last price of each item in the file. The time of arrival is fixed, so that two runs give the
//! same verdicts.

use std::collections::HashMap;
use std::io::Read as _;
use std::time::Instant;

use accrue_event::{
    BoundMapping, Check, CheckSettings, ContentIds, EventType, KnownItem, Mapped, Mapping, Outcome, Price, RawEvent,
    RuleCounters, RuleStatistics, Timestamp,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("give the path of a mapping file; the data comes on stdin")?;
    let mapping: Mapping = toml::from_str(&std::fs::read_to_string(path)?)?;
    let mut data = Vec::new();
    std::io::stdin().read_to_end(&mut data)?;
    let delimiter = u8::try_from(mapping.delimiter.unwrap_or(','))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(data.as_slice());
    let header = reader.headers()?.clone();
    let mut bound = mapping.bind(&header.iter().collect::<Vec<_>>())?;
    let rows: Vec<csv::StringRecord> = reader.into_records().collect::<Result<_, _>>()?;

    let mut counters = RuleCounters::default();
    let mut items = HashMap::new();
    let check = Check::new(CheckSettings::default(), RuleStatistics::default())?;
    let raw = map(&mut bound, &rows, &check, &mut counters, &mut items);
    println!("{} rows", rows.len());
    let tally = identify_and_judge(check, raw, &mut counters, &items);
    println!("{} items, {} returns, {} events of guests", items.len(), tally.returns, tally.guests);
    println!("{counters:#?}");
    Ok(())
}

fn map(
    bound: &mut BoundMapping,
    rows: &[csv::StringRecord],
    check: &Check,
    counters: &mut RuleCounters,
    items: &mut HashMap<Box<str>, Price>,
) -> Vec<RawEvent> {
    let mut events = Vec::with_capacity(rows.len());
    let mut row_cells = Vec::new();
    let best = best_of(rows, |row| {
        row_cells.clear();
        row_cells.extend(row.iter());
        let described = match bound.apply(&row_cells) {
            Mapped::Event { event, item, .. } => {
                events.push(event);
                item
            }
            Mapped::Item(item) => Some(Box::new(item)),
            Mapped::User(_)
            | Mapped::ItemRemoved(_)
            | Mapped::UserRemoved(_)
            | Mapped::Skipped
            | Mapped::WithoutItem => None,
            Mapped::Quarantined { rejection, .. } => {
                counters.count_quarantined(rejection.reason.code());
                None
            }
        };
        if let Some((item, _)) = described.and_then(|item| check.judge_item(&item).ok()) {
            items.insert(item.id.as_str().into(), item.price.unwrap_or(Price::ZERO));
        }
    });
    println!("map, with the check of the item: {best:.0} ns each");
    events
}

/// Counts that can be compared with a description of the data.
#[derive(Default)]
struct Tally {
    returns: usize,
    guests: usize,
}

fn identify_and_judge(
    mut check: Check,
    mut raw: Vec<RawEvent>,
    counters: &mut RuleCounters,
    items: &HashMap<Box<str>, Price>,
) -> Tally {
    let received_at = Timestamp::parse("2026-11-21T10:00:00Z").expect("a time");
    let mut ids = ContentIds::default();
    let best = best_of(&mut raw, |raw| ids.assign(raw));
    println!("id from content: {best:.0} ns each");
    let mut tally = Tally::default();
    let best = best_of(&raw, |raw| {
        let known = |price: &Price| KnownItem { price: Some(*price), category: Some("all") };
        let outcome = check.judge(raw, received_at, |id| items.get(id.as_str()).map(known));
        counters.count(&outcome);
        if let Outcome::Accepted(event) | Outcome::Repaired(event, _) = outcome {
            let item = event.item.as_ref().and_then(|id| items.get(id.as_str())).map(known);
            check.observe(&event, item);
            tally.returns += usize::from(event.event_type == EventType::Return);
            tally.guests += usize::from(event.user.is_none());
        }
    });
    println!("judge + observe, with two look-ups of the item: {best:.0} ns each");
    tally
}

/// Applies a function to each element and returns the nanoseconds per element in the fastest thousand. On a shared
/// machine slower thousands include other programs' load.
fn best_of<T>(all: impl IntoIterator<Item = T>, mut each: impl FnMut(T)) -> f64 {
    let mut best = f64::MAX;
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        let start = Instant::now();
        let n = all.by_ref().take(1000).map(&mut each).count();
        if n == 1000 || best == f64::MAX {
            best = best.min(start.elapsed().as_nanos() as f64 / n as f64);
        }
    }
    best
}
