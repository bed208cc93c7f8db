//! Judges a whole file through a mapping and prints what became of its rows and how long that took.
//!
//!     zstd -dc y2009_2010.tsv.zst | cargo run --release -p accrue-event --example judge_file -- mapping.toml
//!
//! The catalogue is the last price that a row told of each item. The time of arrival is fixed, so that two runs agree.

use std::collections::HashMap;
use std::io::Read as _;
use std::time::Instant;

use accrue_event::{
    BoundMapping, Check, CheckSettings, ContentIds, Event, KnownItem, Mapped, Mapping, Outcome, RawEvent, RuleCounters,
    RuleStatistics, Timestamp,
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
    let bound = mapping.bind(&header.iter().collect::<Vec<_>>())?;
    let rows: Vec<csv::StringRecord> = reader.into_records().collect::<Result<_, _>>()?;

    let start = Instant::now();
    let cells: usize = rows.iter().map(|row| row.iter().map(str::len).sum::<usize>()).sum();
    println!("{} rows, {cells} bytes in cells, read in {:.3} s", rows.len(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut counters = RuleCounters::default();
    let mut items = HashMap::new();
    let check = Check::new(CheckSettings::default(), RuleStatistics::default())?;
    let raw = map(&bound, &rows, &check, &mut counters, &mut items);
    report("map (with items)", start, rows.len());
    let events = identify_and_judge(check, raw, &mut counters, &items);
    let returns = events.iter().filter(|event| event.event_type.name() == "return").count();
    let guests = events.iter().filter(|event| event.user.is_none()).count();
    println!("{} items, {returns} returns, {guests} events of guests", items.len());
    println!("{counters:#?}");
    Ok(())
}

fn map(
    bound: &BoundMapping,
    rows: &[csv::StringRecord],
    check: &Check,
    counters: &mut RuleCounters,
    items: &mut HashMap<Box<str>, f32>,
) -> Vec<RawEvent> {
    let mut events = Vec::with_capacity(rows.len());
    let mut row_cells = Vec::new();
    for row in rows {
        row_cells.clear();
        row_cells.extend(row.iter());
        let described = match bound.apply(&row_cells) {
            Mapped::Event { event, item } => {
                events.push(event);
                item
            }
            Mapped::Item(item) => Some(Box::new(item)),
            Mapped::User(_) => None,
            Mapped::Quarantined { rejection, .. } => {
                counters.count_quarantined(rejection.reason.code());
                None
            }
        };
        if let Some((item, _)) = described.and_then(|item| check.judge_item(&item).ok()) {
            items.insert(item.id.as_str().into(), item.price.unwrap_or(0.0));
        }
    }
    events
}

fn identify_and_judge(
    mut check: Check,
    mut raw: Vec<RawEvent>,
    counters: &mut RuleCounters,
    items: &HashMap<Box<str>, f32>,
) -> Vec<Event> {
    let received_at = Timestamp::parse("2026-11-21T10:00:00Z").expect("a time");
    let start = Instant::now();
    let mut ids = ContentIds::default();
    raw.iter_mut().for_each(|raw| ids.assign(raw));
    report("id from content", start, raw.len());
    let start = Instant::now();
    let mut events = Vec::with_capacity(raw.len());
    for raw in &raw {
        let known = |price: &f32| KnownItem { price: Some(*price), category: Some("all") };
        let outcome = check.judge(raw, received_at, |id| items.get(id.as_str()).map(known));
        counters.count(&outcome);
        if let Outcome::Accepted(event) | Outcome::Repaired(event, _) = outcome {
            let item = event.item.as_ref().and_then(|id| items.get(id.as_str())).map(known);
            check.observe(&event, item);
            events.push(event);
        }
    }
    report("judge + observe", start, raw.len());
    events
}

fn report(what: &str, start: Instant, n: usize) {
    println!("{what}: {:.0} ns each", start.elapsed().as_nanos() as f64 / n.max(1) as f64);
}
