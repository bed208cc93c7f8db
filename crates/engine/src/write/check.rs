//! The check of a batch: each record is judged, compared with what the log holds, and becomes a record of the log or a
//! count.
//!
//! Verdicts depend on the batch as it was sent and on the content of the log, never on how batches were grouped.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use accrue_event::{
    ContentIds, Event, EventId, ItemId, MisspeltField, MisspeltFields, Outcome, PUBLISHED_PREFIX, RawEvent, RawItem,
    RawUser, Reason, RecordKind, Refusal, Rejection, Repair, Timestamp, arrival_id, content_hash, lacks_id,
};
use accrue_store::{Body, CheckedEvent, Facts, Offset, PublishedRecord};

use super::absent::{Absent, retirements};
use super::batch::{Incoming, Ingested, Refused, Sender, TimeLeap};
use super::group::NewInGroup;
use super::overlay::Overlay;
use super::published::{Reach, inert_body};
use super::writer::Writer;
use crate::clock::{Arrival, ahead_of, hours};
use crate::error::EngineError;
use crate::shared::Shared;

/// How often it is told that the newest event is ahead of the clock.
const TELL_AHEAD: Duration = Duration::from_secs(3_600);

/// Adds what was searched for to an event that names the answer of a search.
fn fill_query(shared: &Shared, event: &mut Event) {
    if event.query.is_none()
        && let Some(answer) = &event.recommendation_id
    {
        event.query = shared.recent_searches.words(answer).map(Into::into);
    }
}

/// A batch after each of its events was judged by itself.
#[derive(Default)]
struct Judged {
    passed: Vec<CheckedEvent>,
    /// Refusals with their places in the batch.
    refusals: Vec<(usize, Refusal)>,
    /// Of the refusals by the check: the place in `refusals`, and the event's id if it can be read.
    rejected_ids: Vec<(usize, Option<EventId>)>,
    /// Names of properties that are near those of fields.
    misspelt: Vec<MisspeltField>,
    /// Names of properties that are left out.
    dropped: BTreeMap<Box<str>, u64>,
}

impl Writer {
    /// Judges a batch of events, and appends its records to `bodies`. Returns their number.
    pub fn judge(
        &mut self,
        batch: Vec<Incoming<RawEvent>>,
        sender: &Sender,
        arrival: Arrival,
        group: &mut NewInGroup,
        bodies: &mut Vec<Body>,
    ) -> Result<(Ingested, usize), EngineError> {
        let before = bodies.len();
        let mut outcome = Ingested::default();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut judged = self.judge_each(batch, sender, arrival, before as u64, &facts, group);
        let mut same = self.drop_known_refusals(&mut judged, group)?;
        judged.passed.iter_mut().for_each(|checked| fill_query(&shared, &mut checked.event));
        let Judged { passed, refusals, misspelt, dropped, .. } = judged;
        (outcome.misspelt, outcome.dropped) = (misspelt, dropped);
        same += if sender.is_published() {
            self.refuse_published(refusals, &facts, arrival.stamp, group, &mut outcome, bodies)?
        } else {
            self.refuse(refusals, group, &mut outcome, bodies)?
        };
        let mut conflicting = 0;
        let mut newest = facts.stream_time.max(group.newest);
        let known = self.log.find_events(passed.iter().map(|checked| &checked.event.id))?;
        for (checked, known) in passed.into_iter().zip(known) {
            let hash = content_hash(&checked.event);
            let first = match known {
                Some(offset) => self.content_at(offset)?,
                None => group.events.get(&checked.event.id).map(|hash| Content::Hash(*hash)),
            };
            match first {
                // If the check set the time, it differs each time the event is sent, so the content cannot be compared.
                Some(Content::Inert) => same += 1,
                Some(Content::Hash(first)) if first == hash || at_was_set(&checked) => same += 1,
                Some(Content::Hash(_)) => conflicting += 1,
                None => {
                    group.events.insert(checked.event.id.clone(), hash);
                    outcome.take(checked.repairs.iter().map(|code| &**code));
                    let mut body = self.admit(checked, sender, arrival, &facts, group);
                    if let Body::Event(event) = &mut body {
                        self.mark_repeated(event, sender, arrival.stamp);
                        self.mark_traffic(event, sender, &facts, arrival.stamp);
                        outcome.leap = outcome.leap.or(TimeLeap::between(newest, event));
                        newest = newest.max(event.event.at);
                    }
                    let following = self.following(&body, sender, &facts, arrival.stamp, group);
                    bodies.push(body);
                    bodies.extend(following.into_iter().flatten());
                }
            }
        }
        group.newest = newest;
        if let Some(leap) = outcome.leap {
            tracing::warn!("{leap}");
        }
        self.tell_ahead(newest, arrival.clock);
        outcome.duplicates = same + conflicting;
        if outcome.duplicates > 0 {
            bodies.push(Body::Duplicates { same, conflicting });
        }
        Ok((outcome, bodies.len() - before))
    }

    /// Warns once an hour while the newest event is ahead of the clock.
    fn tell_ahead(&mut self, newest: Timestamp, clock: Timestamp) {
        let Some(ahead_s) = ahead_of(newest, clock) else { return };
        let now = Instant::now();
        if self.told_ahead.is_none_or(|told| now.duration_since(told) >= TELL_AHEAD) {
            self.told_ahead = Some(now);
            tracing::warn!(
                "the newest event is {} ahead of this machine's clock: either the clock is behind, or it was ahead when that event \
                 came in. Trends and days of campaigns, which are counted from the newest event, wait for the clock",
                hours(ahead_s)
            );
        }
    }

    /// The records that an event leads to: what its choice says of the search before it, and what it is charged for.
    fn following(
        &mut self,
        body: &Body,
        sender: &Sender,
        facts: &Facts,
        stamp: Timestamp,
        group: &mut NewInGroup,
    ) -> [Option<Body>; 2] {
        // Nothing is learned from an event without effect, and nothing about searches from one without its search text.
        let Body::Event(checked) = body else { return [None, None] };
        let event = &checked.event;
        let charge = self.charge(event, sender, facts, stamp, &mut group.charged);
        let query = event.query.as_ref().filter(|_| !checked.is_for_own_pages());
        let choice = query.and_then(|_| self.shared.recent_searches.choice(event, facts));
        [choice.map(|choice| Body::SearchChoice(Box::new(choice))), charge]
    }

    /// Judges each event by itself. `n_before` is the number of records before the batch in its group.
    fn judge_each(
        &self,
        batch: Vec<Incoming<RawEvent>>,
        sender: &Sender,
        arrival: Arrival,
        n_before: u64,
        facts: &Facts,
        group: &NewInGroup,
    ) -> Judged {
        let mut judged = Judged { passed: Vec::with_capacity(batch.len()), ..Judged::default() };
        let Judged { passed, refusals, rejected_ids, .. } = &mut judged;
        let mut misspelt = MisspeltFields::default();
        let mut ids = ContentIds::default();
        let mut unknown = UnknownItems::new(facts, group, self.check.settings().max_unknown_items);
        for (index, incoming) in batch.into_iter().enumerate() {
            let mut raw = match incoming {
                Incoming::Record(raw) => raw,
                Incoming::Refused(refusal) => {
                    refusals.push((index, refusal));
                    continue;
                }
            };
            let is_published = sender.is_published();
            let was_cut = is_published && self.bound_names(&mut raw);
            let lacks_id = lacks_id(&raw);
            if *sender == Sender::Shop && self.check.event_id(&raw).is_some_and(|id| id.is_published()) {
                // Its id is not looked up: the event of a published key that has it is another one.
                refusals.push((index, Refusal::of(RecordKind::Events, reserved_id(), raw.to_json())));
                continue;
            }
            ids.assign(&mut raw);
            sender.claim(&mut raw);
            // Nobody reads what a page is told, and anyone can send names.
            if !is_published {
                misspelt.look_at_event(&raw);
            }
            let outcome = self.check.judge(&raw, arrival.clock, |item| facts.known_item(item));
            let outcome = match is_published {
                true => only_published(self.bounded(outcome, was_cut)),
                false => unknown.admit(outcome),
            };
            match outcome {
                Outcome::Accepted(event) => passed.push(CheckedEvent { event, repairs: Vec::new(), raw: None }),
                Outcome::Repaired(mut event, mut repairs) => {
                    let was_filled = repairs.contains(&Repair::AtFilled);
                    if arrival.is_held() && (was_filled || repairs.contains(&Repair::AtClamped)) {
                        event.at = arrival.stamp;
                        repairs.push(Repair::AtHeld);
                    }
                    // Equal events without a time have equal content, so the id of each is made from its arrival.
                    if lacks_id && was_filled {
                        let place = (self.log.end().0 + n_before, index as u64);
                        event.id = sender.id(arrival_id(&event.id, arrival.clock, place));
                    }
                    let (repairs, raw) = (repair_codes(&repairs), self.kept_json(&raw, sender));
                    passed.push(CheckedEvent { event, repairs, raw });
                }
                Outcome::Quarantined(rejection) => {
                    rejected_ids.push((refusals.len(), self.check.event_id(&raw)));
                    refusals.push((index, Refusal::of(RecordKind::Events, rejection, raw.to_json())));
                }
            }
        }
        judged.dropped = misspelt.take_dropped();
        judged.misspelt = misspelt.into_vec();
        judged
    }

    /// Drops the refusals of events whose id is known, and returns their number. An event that the log has is a
    /// duplicate even if the rules would refuse it now: a batch that is sent again because its answer was lost must not
    /// be refused for the rate that it caused itself.
    fn drop_known_refusals(&self, judged: &mut Judged, group: &NewInGroup) -> Result<u64, EngineError> {
        let Judged { passed, refusals, rejected_ids, .. } = judged;
        // Most batches have no rejected event.
        if rejected_ids.is_empty() {
            return Ok(0);
        }
        let wanted = rejected_ids.iter().filter_map(|(_, id)| id.as_ref());
        let mut found = self.log.find_events(wanted)?.into_iter();
        let in_batch: HashSet<&EventId> = passed.iter().map(|checked| &checked.event.id).collect();
        let mut known = HashSet::new();
        for (place, id) in rejected_ids {
            let Some(id) = id else { continue };
            let is_in_log = found.next().flatten().is_some();
            if is_in_log || in_batch.contains(id) || group.events.contains_key(id) {
                known.insert(*place);
            }
        }
        let mut place = 0;
        refusals.retain(|_| {
            place += 1;
            !known.contains(&(place - 1))
        });
        Ok(known.len() as u64)
    }

    /// The record of an event that the check passed and the log does not have.
    fn admit(
        &mut self,
        mut checked: CheckedEvent,
        sender: &Sender,
        arrival: Arrival,
        facts: &Facts,
        group: &mut NewInGroup,
    ) -> Body {
        let named = checked.event.item.as_ref();
        let item = named.and_then(|item| facts.known_item(item));
        let reach = if sender.is_published() {
            self.limit_query(&mut checked.event, sender, arrival.stamp);
            self.admit_published(&checked.event, sender, facts, arrival, group)
        } else {
            group.items.extend(named.filter(|_| item.is_none()).cloned());
            Ok(Reach::All)
        };
        match reach {
            Err(why) => inert_body(checked, why),
            Ok(reach) => {
                if reach == Reach::OwnPages {
                    checked.repairs.push(Repair::OwnPages.code().into());
                }
                self.check.observe(&checked.event, item);
                Body::Event(checked)
            }
        }
    }

    /// Takes descriptions of items in; `absent` says what becomes of the items that the list does not name. A record that the
    /// check refuses still names its item, so that a fault in a feed never takes items out of the shop; if the item of
    /// a refused record cannot be read, any item may be meant, and none is retired.
    pub fn items(&mut self, items: Vec<Incoming<RawItem>>, absent: Absent) -> Result<Ingested, EngineError> {
        let mut bodies = Vec::new();
        let mut refusals = Vec::new();
        let mut outcome = Ingested::default();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut overlay = Overlay::default();
        let mut listed = BTreeSet::new();
        let records = readable(items, &mut refusals);
        let mut names_all = refusals.is_empty();
        let mut misspelt = MisspeltFields::default();
        for (index, raw) in records {
            misspelt.look_at_item(&raw);
            match self.check.judge_item(&raw) {
                Err(rejection) => {
                    match self.check.item_id(&raw) {
                        Some(id) => drop(listed.insert(id)),
                        None => names_all = false,
                    }
                    let rejection = with_kind_in_code(RecordKind::Items, rejection);
                    refusals.push((index, Refusal::of(RecordKind::Items, rejection, raw.to_json())));
                }
                Ok((item, repairs)) => {
                    listed.insert(item.id.clone());
                    if !overlay.describe_item(&facts, &item) {
                        outcome.duplicates += 1;
                        continue;
                    }
                    outcome.take(repairs.iter().map(Repair::code));
                    bodies.push(Body::Item(Box::new(item)));
                }
            }
        }
        outcome.dropped = misspelt.take_dropped();
        outcome.misspelt = misspelt.into_vec();
        // A feed of which nothing can be used is no catalogue.
        let any_taken = outcome.accepted + outcome.repaired + outcome.duplicates > 0;
        if absent != Absent::Stay {
            let is_safe = names_all && any_taken;
            let retired =
                if is_safe { retirements(&facts, facts.entries().len(), &listed, absent)? } else { Vec::new() };
            outcome.retired = Some(retired.len() as u64);
            bodies.extend(retired);
        }
        drop(facts);
        self.finish(outcome, refusals, bodies)
    }

    /// Takes descriptions of users in.
    pub fn users(&mut self, users: Vec<Incoming<RawUser>>) -> Result<Ingested, EngineError> {
        let mut bodies = Vec::new();
        let mut refusals = Vec::new();
        let mut outcome = Ingested::default();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut overlay = Overlay::default();
        for (index, raw) in readable(users, &mut refusals) {
            match self.check.judge_user(&raw) {
                Err(rejection) => {
                    let rejection = with_kind_in_code(RecordKind::Users, rejection);
                    refusals.push((index, Refusal::of(RecordKind::Users, rejection, raw.to_json())));
                }
                Ok((user, _)) if !overlay.describe_user(&facts, &user) => outcome.duplicates += 1,
                Ok((user, repairs)) => {
                    outcome.take(repairs.iter().map(Repair::code));
                    bodies.push(Body::User(user));
                }
            }
        }
        drop(facts);
        self.finish(outcome, refusals, bodies)
    }

    /// Commits a batch of descriptions with its refusals.
    pub(super) fn finish(
        &mut self,
        mut outcome: Ingested,
        mut refusals: Vec<(usize, Refusal)>,
        mut bodies: Vec<Body>,
    ) -> Result<Ingested, EngineError> {
        refusals.sort_by_key(|(index, _)| *index);
        outcome.duplicates += self.refuse(refusals, &mut NewInGroup::default(), &mut outcome, &mut bodies)?;
        let n_records = bodies.len() as u64;
        let start = self.commit(self.clock.stamp(), bodies)?;
        Ok(Ingested { offset: start.0 + n_records, ..outcome })
    }

    /// Puts refused records into quarantine. Returns how many of them were refused once before.
    pub(super) fn refuse(
        &self,
        refusals: Vec<(usize, Refusal)>,
        group: &mut NewInGroup,
        outcome: &mut Ingested,
        bodies: &mut Vec<Body>,
    ) -> Result<u64, EngineError> {
        if refusals.is_empty() {
            return Ok(0);
        }
        let n_before = outcome.refused_again.len();
        let known = self.log.find_refusals(refusals.iter().map(|(_, refusal)| refusal.id))?;
        for ((index, refusal), known) in refusals.into_iter().zip(known) {
            let Refusal { id, kind, rejection: Rejection { reason, detail }, raw } = refusal;
            let refused = Refused { index, reason: reason.code().into(), detail: detail.clone().into() };
            if known.is_some() || !group.refusals.insert(id) {
                outcome.refused_again.push(refused);
            } else {
                outcome.quarantined.push(refused);
                bodies.push(Body::Quarantined { id, kind, reason: reason.code().into(), detail, raw });
            }
        }
        Ok((outcome.refused_again.len() - n_before) as u64)
    }

    /// What the log has of the event at `offset`.
    fn content_at(&mut self, offset: Offset) -> Result<Option<Content>, EngineError> {
        Ok(self.reader.get(offset)?.and_then(|record| match record.body {
            Body::Event(checked) | Body::Released { event: checked, .. } => {
                Some(Content::Hash(content_hash(&checked.event)))
            }
            Body::Published(record) => match *record {
                PublishedRecord::Inert { .. } => Some(Content::Inert),
                PublishedRecord::Refusals { .. } => None,
            },
            _ => None,
        }))
    }
}

/// The items that events of a batch name and nothing has named before, as far as there is room for them. Each takes
/// memory for good, because records before and after refer to it: a tracker that sends something else as the item, such
/// as a time, would otherwise fill the memory.
struct UnknownItems<'a> {
    facts: &'a Facts,
    group: &'a NewInGroup,
    of_batch: HashSet<ItemId>,
    most: u64,
}

impl<'a> UnknownItems<'a> {
    fn new(facts: &'a Facts, group: &'a NewInGroup, most: u64) -> Self {
        Self { facts, group, of_batch: HashSet::new(), most }
    }

    /// Refuses an event about a further item if there is no room.
    fn admit(&mut self, outcome: Outcome) -> Outcome {
        let (Outcome::Accepted(event) | Outcome::Repaired(event, _)) = &outcome else { return outcome };
        let Some(item) = &event.item else { return outcome };
        let is_named = self.facts.items.get(item.as_str()).is_some()
            || self.group.items.contains(item)
            || self.of_batch.contains(item);
        if is_named {
            return outcome;
        }
        let n_unknown = self.facts.overview().n_unknown() + (self.group.items.len() + self.of_batch.len()) as u64;
        if n_unknown < self.most {
            self.of_batch.insert(item.clone());
            return outcome;
        }
        let detail = format!(
            "item: {item} is not in the catalogue, and events name {n_unknown} such items already (check.max_unknown_items); \
             send the catalogue, or correct what sends these ids, and release the event",
        );
        Outcome::Quarantined(Rejection::new(Reason::TooManyUnknownItems, detail))
    }
}

/// Refuses an event of a published key whose id is not in the key's namespace: by its id alone later stages know that it is
/// not the shop's own.
fn only_published(outcome: Outcome) -> Outcome {
    let is_outside = |event: &Event| !event.id.is_published();
    match outcome {
        Outcome::Accepted(event) | Outcome::Repaired(event, _) if is_outside(&event) => {
            Outcome::Quarantined(Rejection::new(Reason::BadId, "id: it cannot be read as an id"))
        }
        outcome => outcome,
    }
}

/// Why an event of the shop's own cannot have the id of a published key's event.
pub(super) fn reserved_id() -> Rejection {
    let detail =
        format!("id: ids that begin with {PUBLISHED_PREFIX} are those of events of published keys; send another");
    Rejection::new(Reason::ReservedId, detail)
}

/// The content of an event in the log, as far as it is kept.
enum Content {
    /// Its hash.
    Hash(u128),
    /// The event had no effect, and its content was not kept.
    Inert,
}

/// The records of a batch that could be read, with their indexes; the others go to `refusals`.
fn readable<R>(
    batch: Vec<Incoming<R>>,
    refusals: &mut Vec<(usize, Refusal)>,
) -> impl Iterator<Item = (usize, R)> + use<R> {
    let mut records = Vec::with_capacity(batch.len());
    for (index, incoming) in batch.into_iter().enumerate() {
        match incoming {
            Incoming::Record(raw) => records.push((index, raw)),
            Incoming::Refused(refusal) => refusals.push((index, refusal)),
        }
    }
    records.into_iter()
}

/// The rejection of an item or a user gets a code that names the kind (`item_…`, `user_…`); that of an event is
/// left as it is.
pub fn with_kind_in_code(kind: RecordKind, rejection: Rejection) -> Rejection {
    let prefix = match kind {
        RecordKind::Events => return rejection,
        RecordKind::Items => "item_",
        RecordKind::Users => "user_",
    };
    Rejection::new(Reason::Rule(format!("{prefix}{}", rejection.reason.code()).into()), rejection.detail)
}

/// Repairs as the log stores them.
pub(crate) fn repair_codes(repairs: &[Repair]) -> Vec<Box<str>> {
    repairs.iter().map(|repair| repair.code().into()).collect()
}

fn at_was_set(checked: &CheckedEvent) -> bool {
    let set = [Repair::AtFilled, Repair::AtClamped, Repair::AtHeld];
    checked.repairs.iter().any(|code| set.iter().any(|repair| &**code == repair.code()))
}
