//! What a file takes back: events that it says were cancelled or given back, and whole orders whose lines it does not name.
//!
//! In: such events as they would have been, and the log. Out: returns, each with the id of what it takes back and `-return`
//! behind it, so that the same file again counts once. A refund that names an order and no line is about all of its lines,
//! which the log has by the order's id (`ID`, `ID#2`, `ID#3` …); one of an order that the log does not have is refused,
//! because what it says would be lost silently.

use accrue_engine::{Change, Engine, EngineError, Incoming, Ingested};
use accrue_event::{
    Cell as _, Event, EventId, EventType, RawEvent, RawValue, Reason, RecordKind, Refusal, Rejection, Undo, clean_id,
};
use accrue_ingest::taken_back;

use super::part::{Part, add};

/// Lines of an order that are looked for at once: after as many without one, it has no more.
const LINES: usize = 64;
/// Lines of an order that are taken back, at most.
const MAX_LINES: usize = 4_096;

/// Takes back the events of a batch, after its other events. Returns how many of them were never counted, and are left out.
pub(super) fn take(
    engine: &Engine,
    undone: Vec<(usize, RawEvent, Undo)>,
    ingested: &mut Ingested,
) -> Result<u64, EngineError> {
    let (orders, events): (Vec<_>, Vec<_>) = undone.into_iter().partition(|(_, _, undo)| undo.is_of_order());
    let mut n_left_out = 0;
    let mut returns = Part::default();
    if !events.is_empty() {
        let ids = events.iter().map(|(_, event, _)| EventId::from(&*clean_id(&event.id.text()))).collect();
        for ((index, event, undo), is_known) in events.into_iter().zip(engine.has_events(ids)?) {
            match undo {
                Undo::IfKnown if !is_known => n_left_out += 1,
                _ => returns.push(index, Incoming::Record(taken_back(event))),
            }
        }
    }
    if !returns.entries.is_empty() {
        let taken = engine.ingest(returns.entries)?;
        add(ingested, taken, &returns.places);
    }
    for (index, event, undo) in orders {
        let lines = of_order(engine, event, undo, &[])?;
        if lines.is_empty() {
            n_left_out += 1;
            continue;
        }
        let incoming = lines.into_iter().filter_map(|change| match change {
            Change::Event(line) => Some(Incoming::Record(line)),
            Change::Refused(refusal) => Some(Incoming::Refused(refusal)),
            _ => None,
        });
        let incoming: Vec<Incoming<RawEvent>> = incoming.collect();
        let places = vec![index; incoming.len()];
        add(ingested, as_one(engine.ingest(incoming)?), &places);
    }
    Ok(n_left_out)
}

/// What was taken of all lines of an order, counted as one record of the file.
fn as_one(taken: Ingested) -> Ingested {
    let is_new = taken.accepted + taken.repaired > 0;
    let quarantined: Vec<_> = taken.quarantined.into_iter().take(1).filter(|_| !is_new).collect();
    Ingested {
        accepted: u64::from(is_new),
        repaired: 0,
        duplicates: u64::from(!is_new && quarantined.is_empty()),
        quarantined,
        ..taken
    }
}

/// The returns of all lines of an order, of which the first has the id of `event` as a purchase, in the log or among what
/// comes before; if there is none a refusal, or nothing where the order need not be known.
pub(super) fn of_order(
    engine: &Engine,
    event: RawEvent,
    undo: Undo,
    before: &[Change],
) -> Result<Vec<Change>, EngineError> {
    let mut lines = Vec::new();
    for start in (0..MAX_LINES).step_by(LINES) {
        let ids = ids_of_lines(&event, start);
        let of_batch = before.iter().filter_map(|change| match change {
            Change::Event(other) if ids.iter().any(|id| *id.as_str() == *clean_id(&other.id.text())) => Some(other),
            _ => None,
        });
        let n_before = lines.len();
        lines.extend(of_batch.cloned());
        let known = engine.find_events(ids)?.into_iter().flatten();
        lines.extend(known.filter(|line| line.event_type == EventType::Purchase).map(as_sent));
        if lines.len() == n_before {
            break;
        }
    }
    if lines.is_empty() && undo == Undo::KnownOrder {
        return Ok(Vec::new());
    }
    if lines.is_empty() {
        return Ok(vec![Change::Refused(unknown_order(&event))]);
    }
    let back = |line: RawEvent| Change::Event(RawEvent { at: event.at.clone(), ..taken_back(line) });
    Ok(lines.into_iter().map(back).collect())
}

/// The ids that lines of an order have, from the one behind `start` on: that of the event, and with their numbers.
pub(super) fn ids_of_lines(event: &RawEvent, start: usize) -> Vec<EventId> {
    let first = event.id.text();
    let id = |number: usize| match number {
        1 => EventId::from(&*clean_id(&first)),
        number => EventId::from(&*clean_id(&format!("{first}#{number}"))),
    };
    (start + 1..=start + LINES).map(id).collect()
}

/// The refusal of a refund that names an order which is not known, and none of its lines.
pub(super) fn unknown_order(event: &RawEvent) -> Refusal {
    let id = event.id.text();
    let detail = format!(
        "it names no item, and no purchase with the id {id:?} is known, so it cannot be told what was given back; ingest the orders \
         before their refunds"
    );
    Refusal::of(RecordKind::Events, Rejection::new(Reason::Rule("unknown_order".into()), detail), event.to_json())
}

/// A purchase of the log as a source would send it.
fn as_sent(line: Event) -> RawEvent {
    let text = |text: Option<&str>| text.map_or(RawValue::Null, RawValue::text);
    RawEvent {
        id: RawValue::text(line.id.as_str()),
        user: text(line.user.as_ref().map(|user| user.as_str())),
        session: text(line.session.as_ref().map(|session| session.as_str())),
        item: text(line.item.as_ref().map(|item| item.as_str())),
        quantity: RawValue::Int(line.quantity.into()),
        price: line.price.map_or(RawValue::Null, |price| RawValue::Float(price.to_f64())),
        source: text(line.source.as_deref()),
        ..RawEvent::default()
    }
}
