//! What came of a source: events, descriptions, removals and refused records, and how far the source was read by them.
//! Descriptions and removals are judged in their order, and then the events in theirs.
//!
//! All of it is one commit, so that after a crash the records and the position are both in the log, or neither is. Changes of
//! an item that follow each other within a batch are compared with each other and not only with the facts: a description that
//! returns to what the facts have is a change like any other.

use accrue_event::{
    MisspeltFields, RawEvent, RawItem, RawPatch, RawUser, RawValue, Reason, RecordKind, Refusal, Rejection, Repair,
    User,
};
use accrue_store::{Body, Facts, SourcePosition};

use super::batch::{Change, Incoming, Ingested, Refused, Sender};
use super::check::with_kind_in_code;
use super::group::NewInGroup;
use super::overlay::Overlay;
use super::patch::{not_in_catalogue, patch_record};
use super::writer::Writer;
use crate::error::EngineError;

/// A change that is taken: its record, and the repairs that were made.
type Taken = (Body, Vec<Repair>);

impl Writer {
    /// Takes what came of a source. The index of an outcome is the place in `changes`.
    pub fn changes(&mut self, changes: Vec<Change>, position: Option<SourcePosition>) -> Result<Ingested, EngineError> {
        let shared = self.shared.clone();
        let mut outcome = Ingested::default();
        let mut bodies = Vec::with_capacity(changes.len() + 1);
        let mut refusals = Vec::new();
        let events = self.descriptions(&shared.facts.read(), changes, &mut outcome, &mut refusals, &mut bodies);
        let mut group = NewInGroup::default();
        if !events.is_empty() {
            self.events_of_changes(events, &mut group, &mut outcome, &mut bodies)?;
        }
        outcome.duplicates += self.refuse(refusals, &mut group, &mut outcome, &mut bodies)?;
        outcome.quarantined.sort_by_key(|refused| refused.index);
        let is_new = |read: &SourcePosition| shared.facts.read().sources.get(&read.source) != Some(&read.position);
        bodies.extend(position.filter(is_new).map(|read| Body::SourceRead(Box::new(read))));
        let n_records = bodies.len() as u64;
        let start = self.commit(self.clock.stamp(), bodies)?;
        Ok(Ingested { offset: start.0 + n_records, ..outcome })
    }

    /// Takes the descriptions among the changes, and returns the events with their places.
    fn descriptions(
        &self,
        facts: &Facts,
        changes: Vec<Change>,
        outcome: &mut Ingested,
        refusals: &mut Vec<(usize, Refusal)>,
        bodies: &mut Vec<Body>,
    ) -> Vec<(usize, RawEvent)> {
        let mut events = Vec::new();
        let mut misspelt = MisspeltFields::default();
        let mut overlay = Overlay::default();
        for (index, change) in changes.into_iter().enumerate() {
            let judged = match &change {
                Change::Event(_) | Change::Refused(_) => Ok(None),
                Change::Item(raw) => {
                    misspelt.look_at_item(raw);
                    self.item(facts, &mut overlay, raw)
                }
                Change::Patch(raw) => {
                    misspelt.look_at_item(&raw.item);
                    self.patched(facts, &mut overlay, raw, outcome)
                }
                Change::User(raw) => self.user(facts, &mut overlay, raw),
                Change::ItemRemoved(id) => self.item_removed(facts, &mut overlay, id),
                Change::UserRemoved(id) => self.user_removed(facts, &mut overlay, id),
            };
            match (judged, change) {
                (_, Change::Event(event)) => events.push((index, event)),
                (_, Change::Refused(refusal)) => refusals.push((index, refusal)),
                (Ok(None), _) => outcome.duplicates += 1,
                (Ok(Some((body, repairs))), _) => {
                    outcome.take(repairs.iter().map(Repair::code));
                    bodies.push(body);
                }
                (Err(rejection), change) => match refusal(rejection, &change) {
                    Ok(refusal) => refusals.push((index, refusal)),
                    Err(Rejection { reason, detail }) => {
                        let refused = Refused { index, reason: reason.code().into(), detail: detail.into() };
                        outcome.quarantined.push(refused);
                    }
                },
            }
        }
        outcome.dropped = misspelt.take_dropped();
        outcome.misspelt = misspelt.into_vec();
        events
    }

    fn events_of_changes(
        &mut self,
        events: Vec<(usize, RawEvent)>,
        group: &mut NewInGroup,
        outcome: &mut Ingested,
        bodies: &mut Vec<Body>,
    ) -> Result<(), EngineError> {
        let arrival = self.clock.read();
        let (places, events): (Vec<usize>, Vec<_>) =
            events.into_iter().map(|(place, event)| (place, Incoming::Record(event))).unzip();
        let (judged, _) = self.judge(events, &Sender::Operator, arrival, group, bodies)?;
        outcome.accepted += judged.accepted;
        outcome.repaired += judged.repaired;
        outcome.duplicates += judged.duplicates;
        outcome.add_notes(judged.repairs, judged.misspelt);
        outcome.add_warnings(judged.dropped, judged.leap);
        let moved = |refused: Refused| Refused { index: places[refused.index], ..refused };
        outcome.quarantined.extend(judged.quarantined.into_iter().map(moved));
        outcome.refused_again.extend(judged.refused_again.into_iter().map(moved));
        Ok(())
    }

    fn item(&self, facts: &Facts, overlay: &mut Overlay, raw: &RawItem) -> Result<Option<Taken>, Rejection> {
        let (item, repairs) = self.check.judge_item(raw)?;
        Ok(overlay.describe_item(facts, &item).then(|| (Body::Item(Box::new(item)), repairs)))
    }

    fn patched(
        &self,
        facts: &Facts,
        overlay: &mut Overlay,
        raw: &RawPatch,
        outcome: &mut Ingested,
    ) -> Result<Option<Taken>, Rejection> {
        let id = self.check.patched_id(raw)?;
        let before = overlay.item(facts, &id).ok_or_else(|| not_in_catalogue(&id))?;
        let (after, repairs) = self.check.judge_patch(raw, before)?;
        if after == *before {
            outcome.note_lost(&repairs);
            return Ok(None);
        }
        let body = patch_record(before, &after);
        overlay.describe_item(facts, &after);
        Ok(Some((body, repairs)))
    }

    /// An item that nothing has named, or that is retired, stays as it is.
    fn item_removed(&self, facts: &Facts, overlay: &mut Overlay, id: &RawValue) -> Result<Option<Taken>, Rejection> {
        let named = RawItem { id: id.clone(), ..RawItem::default() };
        let id = self.check.item_id(&named).ok_or_else(|| {
            let detail = "id: an item that is removed needs the id of an item";
            Rejection::new(Reason::Malformed, detail)
        })?;
        if !overlay.is_sold(facts, &id) {
            return Ok(None);
        }
        overlay.remove_item(id.clone());
        Ok(Some((Body::ItemRetired(id), Vec::new())))
    }

    fn user(&self, facts: &Facts, overlay: &mut Overlay, raw: &RawUser) -> Result<Option<Taken>, Rejection> {
        let (user, repairs) = self.check.judge_user(raw)?;
        Ok(overlay.describe_user(facts, &user).then(|| (Body::User(user), repairs)))
    }

    fn user_removed(&self, facts: &Facts, overlay: &mut Overlay, id: &RawValue) -> Result<Option<Taken>, Rejection> {
        let named = RawUser { id: id.clone(), ..RawUser::default() };
        let judged = self.check.judge_user(&named);
        let (User { id, .. }, _) = judged.map_err(|refused| Rejection::new(Reason::Malformed, refused.detail))?;
        if overlay.user(facts, &id).is_none() {
            return Ok(None);
        }
        overlay.remove_user(id.clone());
        Ok(Some((Body::UserRemoved(id), Vec::new())))
    }
}

/// A refused description as the quarantine keeps it. A patch is not kept, because by the time it is let in the item may have
/// changed; a removal is kept as one that cannot be read, because what is let in becomes a description.
fn refusal(rejection: Rejection, change: &Change) -> Result<Refusal, Rejection> {
    let of_id = |id: &RawValue| RawItem { id: id.clone(), ..RawItem::default() }.to_json();
    let (kind, rejection, raw) = match change {
        Change::Item(raw) => (RecordKind::Items, with_kind_in_code(RecordKind::Items, rejection), raw.to_json()),
        Change::User(raw) => (RecordKind::Users, with_kind_in_code(RecordKind::Users, rejection), raw.to_json()),
        Change::ItemRemoved(id) => (RecordKind::Items, rejection, of_id(id)),
        Change::UserRemoved(id) => (RecordKind::Users, rejection, of_id(id)),
        Change::Patch(_) | Change::Event(_) | Change::Refused(_) => {
            return Err(with_kind_in_code(RecordKind::Items, rejection));
        }
    };
    Ok(Refusal::of(kind, rejection, raw))
}
