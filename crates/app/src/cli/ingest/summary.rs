//! The outcome of all records, by reason, with the first few that were refused.

use std::collections::BTreeMap;
use std::time::Duration;

use accrue_engine::{Ingested, TimeLeap};
use accrue_event::{ItemNotes, MisspeltField, RawItem, RawValue, says_withdrawn};
use serde::Serialize;

use super::described::Described;
use super::repeated::Repeated;
use crate::cli::output::{columns, count};

/// Refused records of each reason that are shown.
const EXAMPLES: usize = 3;

/// Refused records after which, without one that was taken, a file is not read further.
const HOPELESS: u64 = 10_000;

/// Repairs that change how a value is written, and not what it says.
const SPELLINGS: [&str; 13] = [
    "control_removed",
    "field_alias",
    "id_repaired",
    "language_chosen",
    "markup_removed",
    "nfc",
    "number_from_text",
    "text_from_number",
    "text_from_object",
    "time_alias",
    "trimmed",
    "type_alias",
    "uppercased",
];

/// The result of an ingest; `read` is the sum of the other four.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    read: u64,
    accepted: u64,
    repaired: u64,
    /// The repaired records by the code of each repair; a record may have several.
    repairs: BTreeMap<Box<str>, u64>,
    duplicates: u64,
    quarantined: BTreeMap<String, u64>,
    /// Lines that a rule of the mapping leaves out; not among those that were read.
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    /// Those among them that have no item where the mapping looks for it.
    #[serde(skip_serializing_if = "is_zero")]
    without_item: u64,
    /// What the items lack, if there were any.
    #[serde(skip_serializing_if = "Described::is_empty")]
    items: Described,
    /// Of the items that pages can show, how many have no title, where events came and no products.
    #[serde(skip_serializing_if = "Option::is_none")]
    untitled: Option<Untitled>,
    /// Names that were kept as attributes or properties, and are near the name of a field that the record lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misspelt: Vec<MisspeltField>,
    /// Attributes and properties that were left out, with the number of records.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dropped: BTreeMap<Box<str>, u64>,
    /// Ids of products that several rows of one file have.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<Repeated>,
    /// Attributes of items that are of persons, hide them, or may be stocks.
    #[serde(skip_serializing_if = "ItemNotes::is_empty")]
    attributes: ItemNotes,
    /// Products of which a rule of the mapping, or their own column, says that they are not available.
    #[serde(skip_serializing_if = "is_none")]
    unavailable: u64,
    /// An event that is much newer than all before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    leap: Option<TimeLeap>,
    /// `null` if nothing was written.
    offset: Option<u64>,
    seconds: f64,
    /// Products that were retired because a whole catalogue lacks them.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<u64>,
    /// Whether products that a whole catalogue lacks were not retired, because that would not have been safe.
    #[serde(skip)]
    is_sync_refused: bool,
    /// How many of the duplicates are refused records.
    #[serde(skip)]
    refused_again: u64,
    #[serde(skip)]
    examples: BTreeMap<String, Vec<String>>,
    /// Of each file, how many records were read, and how many of them are in the log as facts.
    #[serde(skip)]
    files: BTreeMap<String, (u64, u64)>,
    #[serde(skip)]
    is_dry: bool,
    /// Refused patches are not kept.
    #[serde(skip)]
    is_patch: bool,
}

impl Summary {
    pub fn new(is_dry: bool, is_patch: bool) -> Self {
        Self { is_dry, is_patch, ..Self::default() }
    }

    /// Adds the outcome of a batch of `n` records of `file`.
    pub fn add(&mut self, file: &str, n: u64, places: Places<'_>, ingested: &Ingested) {
        let n_quarantined = ingested.quarantined.len() as u64;
        debug_assert_eq!(n, ingested.accepted + ingested.repaired + ingested.duplicates + n_quarantined);
        self.read += n;
        self.accepted += ingested.accepted;
        self.repaired += ingested.repaired;
        self.duplicates += ingested.duplicates;
        let refused_again = ingested.refused_again.len() as u64;
        self.refused_again += refused_again;
        let (read, taken) = self.files.entry(file.to_owned()).or_default();
        *read += n;
        *taken += ingested.accepted + ingested.repaired + ingested.duplicates - refused_again;
        let mut notes = Ingested {
            repairs: std::mem::take(&mut self.repairs),
            misspelt: std::mem::take(&mut self.misspelt),
            dropped: std::mem::take(&mut self.dropped),
            leap: self.leap,
            ..Ingested::default()
        };
        notes.add_notes(ingested.repairs.clone(), ingested.misspelt.clone());
        notes.add_warnings(ingested.dropped.clone(), ingested.leap);
        (self.repairs, self.misspelt) = (notes.repairs, notes.misspelt);
        (self.dropped, self.leap) = (notes.dropped, notes.leap);
        if !self.is_dry {
            self.offset = Some(ingested.offset);
        }
        for refused in &ingested.quarantined {
            let reason = refused.reason.clone();
            let examples = self.examples.entry(reason.clone()).or_default();
            if examples.len() < EXAMPLES {
                let line = places.lines.get(refused.index).copied().unwrap_or_default();
                let detail = refused.detail.strip_prefix(&format!("line {line}: ")).unwrap_or(&refused.detail);
                examples.push(format!("{file}:{}: {detail}", places.text(refused.index)));
            }
            *self.quarantined.entry(reason).or_default() += 1;
        }
    }

    /// Counts products that were retired.
    pub fn retire(&mut self, n: u64, offset: u64) {
        self.retired = Some(n);
        self.offset = self.offset.map(|known| known.max(offset));
    }

    /// Notes that products which the file lacks were to be retired, and that this would not have been safe.
    pub fn refuse_sync(&mut self) {
        self.is_sync_refused = true;
    }

    /// Whether it was so. Nobody reads the notes of a nightly job, so its exit code must tell.
    pub fn is_sync_refused(&self) -> bool {
        self.is_sync_refused
    }

    /// Records that were read so far.
    pub fn n_read(&self) -> u64 {
        self.read
    }

    /// Counts lines that the mapping leaves out.
    pub fn skip(&mut self, n: u64) {
        self.skipped += n;
    }

    /// Counts those of the lines that are left out which have no item where the mapping looks for it.
    pub fn leave_without_item(&mut self, n: u64) {
        self.without_item += n;
    }

    /// Sets which ids several rows of a file have. Events come after products, and repeat none.
    pub fn repeat(&mut self, repeated: Option<Repeated>) {
        self.repeated = repeated.or(self.repeated.take());
    }

    /// Looks at the attributes of an item, for what is told of them.
    pub fn look_at(&mut self, item: &RawItem) {
        self.attributes.look_at(item);
        let is_text = matches!(item.available, RawValue::Text(_));
        self.unavailable += u64::from(is_text && says_withdrawn(&item.available));
    }

    /// Sets what the items lack.
    pub fn describe(&mut self, items: Described) {
        self.items = items;
    }

    /// Records the time until everything was durable.
    pub fn finish(&mut self, elapsed: Duration) {
        self.seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
    }

    /// Whether a record was refused, now or when it was sent before.
    pub fn any_refused(&self) -> bool {
        !self.quarantined.is_empty() || self.refused_again > 0
    }

    /// Whether there were records, and not one of them is in the log as a fact.
    pub fn all_refused(&self) -> bool {
        self.read > 0 && self.accepted + self.repaired + self.duplicates == self.refused_again
    }

    /// The files with records of which not one is in the log as a fact.
    pub fn files_refused(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|(_, (read, taken))| *read > 0 && *taken == 0).map(|(file, _)| &**file)
    }

    /// Whether events were taken and no products came with them.
    pub fn is_of_events_alone(&self) -> bool {
        self.items.is_empty() && self.accepted + self.repaired > 0
    }

    /// Sets how many of the items that pages can show have no title.
    pub fn tell_untitled(&mut self, (items, without_title): (u64, u64)) {
        self.untitled = (without_title > 0).then_some(Untitled { items, without_title });
    }

    /// Whether enough records were refused, with none accepted, that the rest is expected to be refused too; each
    /// refused record is kept.
    pub fn is_hopeless(&self) -> bool {
        self.read >= HOPELESS && self.all_refused()
    }

    /// How many records came so far, for a reading without an end.
    pub fn progress(&self) -> String {
        let refused: u64 = self.quarantined.values().sum();
        format!("{} read, {} known before, {} refused", count(self.read), count(self.duplicates), count(refused))
    }

    /// The text of the progress bar.
    pub fn rate(&self, elapsed: Duration) -> String {
        let per_second = self.read as f64 / elapsed.as_secs_f64().max(1e-3);
        let refused: u64 = self.quarantined.values().sum();
        format!("{} read, {} refused, {}/s", count(self.read), count(refused), count(per_second as u64))
    }

    pub fn table(&self) -> String {
        let refused: u64 = self.quarantined.values().sum();
        let mut text = columns(&self.rows(refused));
        text.push_str(&self.items.text());
        if let Some(repeated) = &self.repeated {
            text.push_str(&repeated.text());
        }
        if let Some(Untitled { items, without_title }) = self.untitled {
            text.push_str(&format!(
                "\n{} of {} items have no title: pages show their ids, and search does not find them. Ingest the products, or \
                 name a column of the events as `[item] title` in a mapping, which --guess prints\n",
                count(without_title),
                count(items)
            ));
        }
        if self.read == 0 && self.skipped > 0 {
            text.push_str(
                "\nnothing was taken: rules of the mapping (`skip`) leave out every record, or none has an item where the \
                 mapping looks for it; --guess shows the columns of the file\n",
            );
        }
        text.push_str(&self.names());
        if let Some(leap) = &self.leap {
            text.push_str(&format!("\nwarning: {leap}\n"));
        }
        for (reason, examples) in &self.examples {
            text.push_str(&format!("\n{reason}\n"));
            examples.iter().for_each(|example| text.push_str(&format!("  {example}\n")));
        }
        match self.offset {
            Some(offset) => text.push_str(&format!("\nthe log ends at {}\n", count(offset))),
            None if self.is_dry => text.push_str("\nnothing was written\n"),
            None => {}
        }
        if refused > 0 && !self.is_dry && !self.is_patch {
            text.push_str("`accrue quarantine list` shows what was refused\n");
        }
        text
    }

    /// The counts of the records.
    fn rows(&self, refused: u64) -> Vec<Vec<String>> {
        let per_second = count((self.read as f64 / self.seconds.max(1e-3)) as u64);
        let mut rows = vec![
            vec![format!("read in {:.1} s, {per_second}/s", self.seconds), count(self.read)],
            vec!["accepted".into(), count(self.accepted)],
            vec!["repaired".into(), count(self.repaired)],
            vec![if self.is_patch { "unchanged" } else { "duplicates" }.into(), count(self.duplicates)],
            vec![if self.is_patch { "refused" } else { "quarantined" }.into(), count(refused)],
        ];
        if let Some(retired) = self.retired {
            rows.push(vec!["retired".into(), count(retired)]);
        }
        if self.refused_again > 0 {
            rows.insert(4, vec!["  refused before".into(), count(self.refused_again)]);
        }
        let is_spelling = |code: &str| SPELLINGS.contains(&code);
        if self.repaired > 0 && self.repairs.keys().all(|code| is_spelling(code)) {
            rows[2][0] = "repaired (other spellings alone)".into();
        }
        let repairs = self.repairs.iter().map(|(code, n)| {
            let what = if is_spelling(code) { " (spelling)" } else { "" };
            vec![format!("  {code}{what}"), count(*n)]
        });
        rows.splice(3..3, repairs);
        if self.skipped > 0 {
            rows.insert(1, vec!["skipped by the mapping".into(), count(self.skipped)]);
            if self.without_item > 0 {
                rows.insert(2, vec!["  without an item where it looks".into(), count(self.without_item)]);
            }
        }
        rows.extend(self.quarantined.iter().map(|(reason, n)| vec![format!("  {reason}"), count(*n)]));
        rows
    }

    /// What is told of names of columns.
    fn names(&self) -> String {
        let of_records = |n: &u64| format!("{} {}", count(*n), if *n == 1 { "record" } else { "records" });
        let misspelt = self.misspelt.iter().map(|MisspeltField { name, near, records }| {
            format!("\n`{name}` is kept under its name ({}); was `{near}` meant?", of_records(records))
        });
        let dropped = self.dropped.iter().map(|(name, n)| {
            if name.eq_ignore_ascii_case("variants") {
                return format!(
                    "\n`{name}` is left out ({}): in a mapping `id = \"{name}[].id\"` makes each variant an item, and `parent = \"id\"` names \
                     their product",
                    of_records(n)
                );
            }
            format!(
                "\n`{name}` is left out ({}): its value is an object; a path such as `{name}.name` in a mapping reads a part \
                 of it",
                of_records(n)
            )
        });
        let ItemNotes { persons, hidden_by, perhaps_stocks, ends, .. } = &self.attributes;
        let persons =
            persons.iter().map(|(name, n)| format!("\n`{name}` is left out ({}): it is of a person", of_records(n)));
        let hidden = hidden_by
            .iter()
            .map(|(name, n)| format!("\n`{name}` says of {} that it is not to be shown", of_records(n)));
        let stocks = perhaps_stocks.iter().map(|(name, n)| {
            format!(
                "\n`{name}` is kept under its name ({}) and is no stock: `stock = \"{name}\"` in a mapping takes it for one",
                of_records(n)
            )
        });
        let ends = ends.iter().map(|(name, n)| {
            format!(
                "\n`{name}` is kept under its name ({}) and hides nothing when it is over: leave such products out of the export, or send \
                 `available`",
                of_records(n)
            )
        });
        let unavailable = (self.unavailable > 0).then(|| {
            let n = count(self.unavailable);
            format!("\nproducts that are not shown, because the file says that they are drafts, archived or not available: {n}")
        });
        let hidden = hidden.chain(unavailable);
        let mut text: String = misspelt.chain(dropped).chain(persons).chain(hidden).chain(stocks).chain(ends).collect();
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn is_none(n: &u64) -> bool {
    *n == 0
}

/// Where the records of a batch stand in their file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'l> {
    /// The line of each, from 1.
    pub lines: &'l [u64],
    /// Records of the file before these.
    pub n_before: u64,
}

impl Places<'_> {
    /// The line of a record, and its number if the line has several: an array of JSON may have all of them.
    fn text(&self, index: usize) -> String {
        let line = |index: usize| self.lines.get(index).copied();
        let own = line(index).unwrap_or_default();
        let is_shared = line(index + 1) == Some(own) || (index > 0 && line(index - 1) == Some(own));
        match is_shared {
            true => format!("{own}, record {}", self.n_before + index as u64 + 1),
            false => own.to_string(),
        }
    }
}

/// Items that pages can show.
#[derive(Clone, Copy, Debug, Serialize)]
struct Untitled {
    items: u64,
    without_title: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_engine::Refused;

    #[test]
    fn batches_add_up_and_examples_name_their_lines() {
        let mut summary = Summary::new(false, false);
        let refused = |index, detail: &str| Refused { index, reason: "no_item".into(), detail: detail.into() };
        let ingested = Ingested {
            accepted: 2,
            quarantined: (1..=4).map(|index| refused(index, "item: a view needs one")).collect(),
            offset: 6,
            ..Ingested::default()
        };
        summary.add("a.csv", 6, Places { lines: &[2, 3, 4, 5, 6, 7], n_before: 0 }, &ingested);
        summary.finish(Duration::from_millis(1500));
        let json = r#"{"read":6,"accepted":2,"repaired":0,"repairs":{},"duplicates":0,"quarantined":{"no_item":4},"offset":6,"seconds":1.5}"#;
        assert_eq!(serde_json::to_string(&summary).unwrap(), json);
        assert_eq!(summary.examples["no_item"].len(), EXAMPLES);
        assert!(summary.table().contains("a.csv:3: item: a view needs one"));
        assert!(summary.any_refused() && !summary.all_refused());
        assert_eq!(summary.files_refused().count(), 0);
        let all_refused =
            Ingested { quarantined: vec![refused(0, "item: a view needs one")], offset: 7, ..Ingested::default() };
        summary.add("b.csv", 1, Places { lines: &[2], n_before: 0 }, &all_refused);
        assert_eq!((summary.files_refused().collect::<Vec<_>>(), summary.all_refused()), (vec!["b.csv"], false));
        let places = Places { lines: &[1, 1, 2], n_before: 10 };
        assert_eq!([0, 1, 2].map(|index| places.text(index)), ["1, record 11", "1, record 12", "2"]);
    }

    #[test]
    fn repairs_are_counted_by_their_reasons_and_misspelt_names_are_told() {
        let mut summary = Summary::new(false, false);
        let found = MisspeltField { name: "stok".into(), near: "stock".into(), records: 2 };
        let ingested = || {
            let mut ingested = Ingested { misspelt: vec![found.clone()], ..Ingested::default() };
            ingested.take(["trimmed", "number_from_text"]);
            ingested.take(["trimmed"]);
            ingested.take([]);
            ingested
        };
        summary.add("a.csv", 3, Places { lines: &[2, 3, 4], n_before: 0 }, &ingested());
        summary.add("a.csv", 3, Places { lines: &[5, 6, 7], n_before: 3 }, &ingested());
        let json: serde_json::Value = serde_json::to_value(&summary).unwrap();
        assert_eq!((&json["accepted"], &json["repaired"]), (&2.into(), &4.into()));
        assert_eq!(json["repairs"], serde_json::json!({"trimmed": 4, "number_from_text": 2}));
        assert_eq!(json["misspelt"], serde_json::json!([{"name": "stok", "near": "stock", "records": 4}]));
        let lines = summary.table();
        let place = |text: &str| lines.lines().position(|line| line.starts_with(text)).unwrap();
        assert!(place("repaired (other") < place("  trimmed") && place("  trimmed") < place("duplicates"), "{lines}");
        assert!(lines.contains("`stok` is kept under its name (4 records); was `stock` meant?"), "{lines}");
    }
}
