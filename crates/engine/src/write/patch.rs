//! Patches: changes of some fields of items.
//!
//! In: partial descriptions. Out: records of the log with what they change of the catalogue, and the outcome. A patch never
//! makes an item: one for an item that the catalogue does not have is refused. Refused patches are not kept, because by the
//! time one is let in the item may have changed.

use accrue_event::{Item, ItemId, ItemPatch, MisspeltFields, RawPatch, Reason, RecordKind, Rejection, Repair};
use accrue_store::{Body, Facts};

use super::batch::{Incoming, Ingested, Refused};
use super::check::with_kind_in_code;
use super::overlay::Overlay;
use super::writer::Writer;
use crate::error::EngineError;

impl Writer {
    /// Changes some fields of items. Each patch sees what those before it in the batch have changed.
    pub fn patches(&mut self, patches: Vec<Incoming<RawPatch>>) -> Result<Ingested, EngineError> {
        let mut bodies = Vec::new();
        let mut outcome = Ingested::default();
        let mut misspelt = MisspeltFields::default();
        let shared = self.shared.clone();
        let facts = shared.facts.read();
        let mut overlay = Overlay::default();
        for (index, incoming) in patches.into_iter().enumerate() {
            let judged = match incoming {
                Incoming::Refused(refusal) => Err(refusal.rejection),
                Incoming::Record(raw) => {
                    misspelt.look_at_item(&raw.item);
                    self.check.patched_id(&raw).and_then(|id| self.patch(&facts, &mut overlay, &id, &raw, &mut outcome))
                }
            };
            match judged {
                Err(rejection) => {
                    let Rejection { reason, detail } = with_kind_in_code(RecordKind::Items, rejection);
                    outcome.quarantined.push(Refused { index, reason: reason.code().into(), detail: detail.into() });
                }
                Ok(None) => outcome.duplicates += 1,
                Ok(Some((body, repairs))) => {
                    outcome.take(repairs.iter().map(Repair::code));
                    bodies.push(body);
                }
            }
        }
        drop(facts);
        outcome.dropped = misspelt.take_dropped();
        outcome.misspelt = misspelt.into_vec();
        self.finish(outcome, Vec::new(), bodies)
    }

    /// The record of a patch, and its repairs; `None` if it changes nothing.
    fn patch(
        &self,
        facts: &Facts,
        overlay: &mut Overlay,
        id: &ItemId,
        raw: &RawPatch,
        outcome: &mut Ingested,
    ) -> Result<Option<(Body, Vec<Repair>)>, Rejection> {
        let before = overlay.item(facts, id).ok_or_else(|| not_in_catalogue(id))?;
        let (after, repairs) = self.check.judge_patch(raw, before)?;
        if after == *before {
            outcome.note_lost(&repairs);
            return Ok(None);
        }
        let body = patch_record(before, &after);
        overlay.describe_item(facts, &after);
        Ok(Some((body, repairs)))
    }
}

/// The record that makes one description of the other: the change, or, where a patch cannot say it, all of the new one.
pub(crate) fn patch_record(before: &Item, after: &Item) -> Body {
    match ItemPatch::between(before, after) {
        Some(patch) => Body::ItemPatched { id: after.id.clone(), patch: Box::new(patch) },
        None => Body::Item(Box::new(after.clone())),
    }
}

pub(super) fn not_in_catalogue(id: &ItemId) -> Rejection {
    let detail = format!("id: the catalogue has no item {:?}; send its description first", excerpt(id.as_str()));
    Rejection::new(Reason::NotInCatalogue, detail)
}

/// The beginning of an id, for a message.
fn excerpt(id: &str) -> &str {
    let end = (0..=id.len().min(80)).rev().find(|end| id.is_char_boundary(*end)).unwrap_or(0);
    &id[..end]
}
