//! `--check`: the same check on an empty shop, in memory; nothing is written.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use accrue_engine::{EngineError, Ingested, Refused, with_kind_in_code};
use accrue_event::{
    Cell as _, Check, CheckSettings, Item, ItemId, KnownItem, MisspeltFields, Outcome, RawEvent, RawItem, RawPatch,
    RawUser, RawValue, Reason, RecordKind, Refusal, RefusalId, Rejection, Repair, RuleStatistics, Timestamp, Undo,
    clean_id,
};
use accrue_ingest::{Entry, taken_back};
use xxhash_rust::xxh3::xxh3_128;

use super::Sink;
use super::described::Described;
use super::returns;

/// A check, and the ids that it has seen in this run.
pub(super) struct DryRun {
    check: Check,
    items: HashMap<ItemId, Item>,
    /// Hashes of the events' ids. Looked up only.
    ids: HashSet<u128>,
    /// Names of refused records. Looked up only.
    refused: HashSet<RefusalId>,
    received_at: Timestamp,
    described: Described,
    /// Records of the latest batch that say nothing.
    n_skipped: u64,
    /// Items are changes of some fields.
    is_patch: bool,
}

/// The outcome of one record.
enum Verdict {
    /// Taken, after these repairs.
    Taken(Vec<Repair>),
    Duplicate,
    /// It takes back what was never counted.
    LeftOut,
    Refused(Refusal),
}

fn refused(kind: RecordKind, rejection: Rejection, json: String) -> Verdict {
    Verdict::Refused(Refusal::of(kind, with_kind_in_code(kind, rejection), json))
}

fn refused_removal(kind: RecordKind, what: &str, json: String) -> Verdict {
    let detail = format!("id: {what} that is removed needs the id of one");
    Verdict::Refused(Refusal::of(kind, Rejection::new(Reason::Malformed, detail), json))
}

impl DryRun {
    pub fn new(settings: &CheckSettings, is_patch: bool) -> anyhow::Result<Self> {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        Ok(Self {
            check: Check::new(settings.clone(), RuleStatistics::default())?,
            items: HashMap::new(),
            ids: HashSet::new(),
            refused: HashSet::new(),
            received_at: Timestamp(i64::try_from(since_1970.as_millis())?),
            described: Described::default(),
            n_skipped: 0,
            is_patch,
        })
    }

    fn judge(&mut self, entry: Entry) -> Verdict {
        match entry {
            Entry::Unreadable(refusal) => Verdict::Refused(refusal),
            Entry::Item(item) if self.is_patch => self.judge_patch(&item.into()),
            Entry::Item(item) => {
                let verdict = self.judge_item(&item);
                if let Some(item) = self.check.item_id(&item).and_then(|id| self.items.get(&id)) {
                    self.described.add(item);
                }
                verdict
            }
            Entry::Patch(patch) => self.judge_patch(&patch),
            Entry::User(user) => match self.check.judge_user(&user) {
                Ok((_, repairs)) => Verdict::Taken(repairs),
                Err(rejection) => refused(RecordKind::Users, rejection, user.to_json()),
            },
            Entry::Undone(event, undo) if undo.is_of_order() => {
                let mut ids = returns::ids_of_lines(&event, 0).into_iter();
                match ids.any(|id| self.ids.contains(&xxh3_128(id.as_str().as_bytes()))) {
                    true => Verdict::Taken(Vec::new()),
                    false if undo == Undo::KnownOrder => Verdict::LeftOut,
                    false => Verdict::Refused(returns::unknown_order(&event)),
                }
            }
            Entry::Undone(event, undo) => {
                let is_known = self.ids.contains(&xxh3_128(clean_id(&event.id.text()).as_bytes()));
                match undo {
                    Undo::IfKnown if !is_known => Verdict::LeftOut,
                    _ => self.judge_event(&taken_back(event)),
                }
            }
            Entry::ItemRemoved(id) => {
                let named = RawItem { id, ..RawItem::default() };
                match self.check.item_id(&named) {
                    // The shop is empty, so it cannot be told which items there are.
                    Some(id) => {
                        self.items.remove(&id);
                        Verdict::Taken(Vec::new())
                    }
                    None => refused_removal(RecordKind::Items, "an item", named.to_json()),
                }
            }
            Entry::UserRemoved(id) => {
                let named = RawUser { id, ..RawUser::default() };
                match self.check.judge_user(&named) {
                    Ok(_) => Verdict::Taken(Vec::new()),
                    Err(_) => refused_removal(RecordKind::Users, "a user", named.to_json()),
                }
            }
            Entry::Event(event, item) => {
                if let Some(item) = item {
                    self.judge_item(&item);
                }
                self.judge_event(&event)
            }
        }
    }

    fn judge_item(&mut self, raw: &RawItem) -> Verdict {
        match self.check.judge_item(raw) {
            Ok((item, repairs)) => {
                self.items.insert(item.id.clone(), item);
                Verdict::Taken(repairs)
            }
            Err(rejection) => refused(RecordKind::Items, rejection, raw.to_json()),
        }
    }

    /// Judges a change alone: the shop is empty, so it cannot be told which items the catalogue lacks.
    fn judge_patch(&self, raw: &RawPatch) -> Verdict {
        let judged = self.check.patched_id(raw).and_then(|id| self.check.judge_patch(raw, &Item::bare(id)));
        match judged {
            Ok((_, repairs)) => Verdict::Taken(repairs),
            Err(rejection) => refused(RecordKind::Items, rejection, raw.item.to_json()),
        }
    }

    fn judge_event(&mut self, raw: &RawEvent) -> Verdict {
        let items = &self.items;
        let known = |id: &ItemId| items.get(id).map(known_item);
        let (event, verdict) = match self.check.judge(raw, self.received_at, known) {
            Outcome::Quarantined(rejection) => return refused(RecordKind::Events, rejection, raw.to_json()),
            Outcome::Accepted(event) => (event, Verdict::Taken(Vec::new())),
            Outcome::Repaired(event, repairs) => (event, Verdict::Taken(repairs)),
        };
        debug_assert!(raw.id != RawValue::Null, "the reader gives every event an id");
        if !self.ids.insert(xxh3_128(event.id.as_str().as_bytes())) {
            return Verdict::Duplicate;
        }
        let item = event.item.as_ref().and_then(known);
        self.check.observe(&event, item);
        verdict
    }
}

fn known_item(item: &Item) -> KnownItem<'_> {
    KnownItem { price: item.price, category: item.categories.first().map(|category| &**category) }
}

impl Sink for DryRun {
    fn described(&self) -> Described {
        self.described
    }

    fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.n_skipped)
    }

    fn take(&mut self, batch: Vec<Entry>) -> Result<Ingested, EngineError> {
        let mut ingested = Ingested::default();
        let mut misspelt = MisspeltFields::default();
        for (index, entry) in batch.into_iter().enumerate() {
            match &entry {
                Entry::Event(event, _) | Entry::Undone(event, _) => misspelt.look_at_event(event),
                Entry::Item(item) => misspelt.look_at_item(item),
                Entry::Patch(patch) => misspelt.look_at_item(&patch.item),
                Entry::User(_) | Entry::Unreadable(_) | Entry::ItemRemoved(_) | Entry::UserRemoved(_) => {}
            }
            match self.judge(entry) {
                Verdict::Taken(repairs) => ingested.take(repairs.iter().map(Repair::code)),
                Verdict::Duplicate => ingested.duplicates += 1,
                Verdict::LeftOut => self.n_skipped += 1,
                Verdict::Refused(Refusal { id, rejection: Rejection { reason, detail }, .. }) => {
                    let refused = Refused { index, reason: reason.code().into(), detail: detail.into() };
                    if self.refused.insert(id) {
                        ingested.quarantined.push(refused);
                    } else {
                        ingested.duplicates += 1;
                        ingested.refused_again.push(refused);
                    }
                }
            }
        }
        ingested.dropped = misspelt.take_dropped();
        ingested.misspelt = misspelt.into_vec();
        Ok(ingested)
    }
}
