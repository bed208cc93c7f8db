//! `--guess`: a mapping to start from, and the first records as they would go in.

use std::path::Path;

use accrue_event::{Mapping, RecordKind, usual_column};
use accrue_ingest::{Entry, Progress, ReadSettings, Reader, Sample};
use serde::Serialize;

use super::Sink as _;
use super::contents::{in_place_of_stock, kind_of};
use super::dry_run::DryRun;
use super::form::{excerpt, form_of, quoted, with_form};
use super::order_guess::{self, looks_like_orders};
use super::order_times::{joined, time_format};
use super::orders::{self, OrderColumns};
use super::systems::System;
use super::{Arguments, item_columns, kind_of as kind_of_flags, money, reviews};
use crate::cli::problem::Problem;
use crate::cli::{Context, Exit};

/// Records that are shown.
const SHOWN: usize = 10;

/// Characters of a record that are shown.
const MAX_RECORD_CHARS: usize = 1000;
/// Columns without a field that are listed.
const MAX_LISTED: usize = 100;

/// A mapping and what it makes of the first records.
#[derive(Debug, Serialize)]
struct GuessedMapping {
    mapping: String,
    records: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    line: u64,
    record: String,
    /// Why the check would refuse it.
    refused: Option<String>,
}

/// Prints a mapping for a file on stdout, and its first records on stderr. What the command line says of the file is part of the
/// mapping.
pub(super) fn run(
    context: &Context,
    path: &Path,
    settings: &ReadSettings,
    arguments: &Arguments,
) -> anyhow::Result<Exit> {
    let kind = kind_of_flags(arguments);
    let mut settings = settings.clone();
    super::complete::say(&mut settings.mapping, arguments.as_of.as_deref(), arguments.image_base.as_deref())?;
    let settings = &settings;
    if path == Path::new("-") {
        return Err(
            Problem::new("--guess reads a file twice, and standard input only once", "save it as a file").into()
        );
    }
    let sample = Sample::open(path, settings)?;
    if sample.columns.is_empty() {
        let hint = "--guess reads tables with a header, and objects in JSON";
        return Err(Problem::new(format!("{}: no columns were found", path.display()), hint).into());
    }
    let text = text_for(context, path, &sample, settings, kind);
    let mut mapping: Mapping = toml::from_str(&text)?;
    super::complete::complete(&mut mapping, None, None)?;
    let mut dry_run = DryRun::new(&context.config.engine.check, settings.is_patch)?;
    let mut records = Vec::new();
    let read = Reader::open(path, &ReadSettings { mapping, ..settings.clone() }, &Progress::default());
    match read.and_then(|mut reader| reader.next_batch(SHOWN)) {
        Ok(batch) => {
            for (entry, line) in batch.entries.into_iter().zip(batch.lines) {
                let record = excerpt_of(&shown(&entry), MAX_RECORD_CHARS);
                let refused = dry_run.take(vec![entry])?.quarantined.pop();
                records.push(Shown {
                    line,
                    record,
                    refused: refused.map(|it| format!("{}: {}", it.reason, it.detail)),
                });
            }
            context.output.note(&table(&records));
        }
        Err(error) => context.output.note(&format!("the file does not go in with this mapping yet: {error}")),
    }
    context.output.result(&GuessedMapping { mapping: text, records }, |guess| guess.mapping.clone())?;
    Ok(Exit::Success)
}

/// The mapping as a file would have it. One that the command line names, with fields, is where it begins.
fn text_for(
    context: &Context,
    path: &Path,
    sample: &Sample,
    settings: &ReadSettings,
    kind: Option<RecordKind>,
) -> String {
    let given = &settings.mapping;
    let file = path.display().to_string();
    if !given.fields.is_empty() {
        return written(sample, given, kind, &file);
    }
    let known = match System::recognise(sample, kind) {
        Some((system, _)) => Some(format!("# {file} is {}.\n#\n{}", system.title, system.text_for(sample))),
        None => {
            let lacking = System::lacking(sample, kind);
            lacking.into_iter().for_each(|(system, column)| context.output.note(&system.told_lacking(&column)));
            reviews::mapping_text(sample).filter(|_| kind.is_none()).and_then(Result::ok)
        }
    };
    match known {
        Some(text) => with_form(&text, given),
        None => written(sample, given, kind, &file),
    }
}

fn shown(entry: &Entry) -> String {
    match entry {
        Entry::Event(event, None) => event.to_json(),
        Entry::Event(event, Some(item)) => format!("{} and of the item {}", event.to_json(), item.to_json()),
        Entry::Undone(event, _) => format!("a return of {}", event.to_json()),
        Entry::Item(item) => item.to_json(),
        Entry::Patch(patch) if patch.cleared.is_empty() => patch.item.to_json(),
        Entry::Patch(patch) => format!("{} and clears {}", patch.item.to_json(), patch.cleared.join(", ")),
        Entry::User(user) => user.to_json(),
        Entry::ItemRemoved(id) | Entry::UserRemoved(id) => format!("removes {id:?}"),
        Entry::Unreadable(refusal) => refusal.raw.to_string(),
    }
}

fn table(records: &[Shown]) -> String {
    if records.is_empty() {
        return "the file has no records".to_owned();
    }
    let mut text = String::from("the first records would go in as:\n");
    for Shown { line, record, refused } in records {
        text.push_str(&format!("  line {line}: {record}\n"));
        if let Some(refused) = refused {
            text.push_str(&format!("    refused, {refused}\n"));
        }
    }
    text.push_str("write the mapping to a file, change it, and use it with --mapping FILE (--check writes nothing)");
    text
}

/// A mapping by the usual names of columns. `given` is what is known before: how the file is written, and fields.
pub(super) fn written(sample: &Sample, given: &Mapping, kind: Option<RecordKind>, file: &str) -> String {
    let columns: Vec<&str> = sample.columns.iter().map(String::as_str).filter(|column| !column.is_empty()).collect();
    let of_mapping = Some(given.kind).filter(|kind| *kind != RecordKind::Events);
    let is_order = |orders: &OrderColumns<'_>| orders.are_purchases(sample) || looks_like_orders(orders, sample);
    let orders = OrderColumns::of(sample).filter(is_order);
    let kind = kind.or(of_mapping).unwrap_or_else(|| match orders {
        Some(_) => RecordKind::Events,
        None if in_place_of_stock(sample).is_some() => RecordKind::Events,
        None => kind_of(&columns),
    });
    let mut draft = Draft::of(sample, given, kind, columns, orders.filter(|_| kind == RecordKind::Events));
    if kind == RecordKind::Items {
        draft.find_price();
    }
    let constants = if kind == RecordKind::Events { draft.constants() } else { String::new() };
    let mut text = format!(
        "# A mapping for {file}, as a start. docs/mapping.md explains every key.\n{}\nkind = \"{}\"\n",
        draft.doubts(),
        kind.name()
    );
    text.push_str(&form_of(sample, given));
    if let Some((field, column)) = draft.found.iter().find(|(field, _)| matches!(*field, "at" | "published_at")) {
        let mut texts = sample.joined(&draft.source_of(field, column));
        texts.retain(|text| !text.trim().is_empty());
        text.push_str(&time_format(&texts));
    }
    text.push_str(&draft.dropped());
    if let Some(orders) = &draft.orders {
        text.push_str(&order_guess::fill_down(orders, sample));
    }
    text.push_str(&draft.fields());
    text.push_str(&constants);
    if kind == RecordKind::Events {
        text.push_str(&draft.item_of_events());
    }
    if kind == RecordKind::Items {
        text.push_str(&money::sale_table(&draft.unused_beside_price()));
    }
    if let Some((_, column)) = draft.found.iter().find(|(field, column)| *field == "type" && column.contains("metric"))
    {
        text.push_str(&rules_for_metrics(sample, column));
    }
    text.push_str(&draft.rest());
    text
}

/// What is found of a mapping so far.
struct Draft<'s> {
    sample: &'s Sample,
    kind: RecordKind,
    columns: Vec<&'s str>,
    /// Field and column.
    found: Vec<(&'static str, &'s str)>,
    missing: Vec<&'static str>,
    remarks: Vec<(&'static str, String)>,
    orders: Option<OrderColumns<'s>>,
}

impl<'s> Draft<'s> {
    fn of(
        sample: &'s Sample,
        given: &Mapping,
        kind: RecordKind,
        columns: Vec<&'s str>,
        orders: Option<OrderColumns<'s>>,
    ) -> Self {
        let of_orders = orders.map(|orders| orders.fields()).unwrap_or_default();
        let mut found: Vec<(&str, &str)> = Vec::new();
        let mut missing = Vec::new();
        for field in kind.fields().iter().copied() {
            // JSON:API calls every record an `event`, and says the kind of what a record refers to.
            let is_kind = |column: &str| {
                let says_kind = || sample.texts(column).all(|text| matches!(text, "event" | ""));
                field == "type" && (column.ends_with(".data.type") || says_kind())
            };
            let is_others = |column: &&str| {
                let is_of_order = of_orders.iter().any(|(known, used)| used == column && *known != field);
                is_of_order || orders.is_some_and(|orders| orders.is_taken(column))
            };
            let is_free =
                |column: &&str| !found.iter().any(|(_, used)| used == column) && !is_kind(column) && !is_others(column);
            let free: Vec<&str> = columns.iter().copied().filter(is_free).collect();
            let named = given
                .fields
                .get(field)
                .and_then(|names| names.iter().find_map(|name| free.iter().copied().find(|known| *known == name)));
            let of_order = || of_orders.iter().find(|(known, _)| *known == field).map(|(_, column)| *column);
            // Who bought is what the orders say: another column may have the names of the staff.
            let usual = || usual_column(kind, field, &free).filter(|_| field != "user" || orders.is_none());
            match named.or_else(of_order).or_else(usual) {
                Some(column) => found.push((field, column)),
                None => missing.push(field),
            }
        }
        Self { sample, kind, columns, found, missing, remarks: Vec::new(), orders }
    }

    /// What is open of a table of orders that are not clearly purchases.
    fn doubts(&self) -> String {
        let unclear = self.orders.filter(|orders| !orders.are_purchases(self.sample));
        unclear.map(|orders| order_guess::remarks(&orders, self.sample)).unwrap_or_default()
    }

    /// The column of a field as a mapping names it: the day and the time of day of orders are joined.
    fn source_of(&self, field: &str, column: &str) -> String {
        let clock = self.orders.and_then(|orders| orders.clock).filter(|_| field == "at");
        clock.map_or_else(|| column.to_owned(), |clock| joined(column, clock))
    }

    fn has(&self, field: &str) -> bool {
        self.found.iter().any(|(known, _)| *known == field)
    }

    fn take(&mut self, field: &'static str, column: &'s str) {
        self.found.push((field, column));
        self.missing.retain(|missing| *missing != field);
    }

    fn unused(&self) -> Vec<&'s str> {
        self.columns.iter().copied().filter(|column| !self.found.iter().any(|(_, used)| used == column)).collect()
    }

    /// The price of products by its values, if no column has a usual name of it.
    fn find_price(&mut self) {
        if !self.missing.contains(&"price") {
            return;
        }
        if let Some((price, others)) = money::columns(self.sample, self.unused().into_iter()).split_first() {
            let others: Vec<String> = others.iter().map(|other| quoted(other)).collect();
            let or = if others.is_empty() { String::new() } else { format!("; or {}", others.join(", ")) };
            self.remarks.push(("price", format!(" (by its values{or})")));
            self.take("price", price);
        }
    }

    /// The type of all events, if no column has it.
    fn constants(&mut self) -> String {
        if self.has("type") {
            return String::new();
        }
        let rating = self
            .columns
            .iter()
            .copied()
            .find(|column| matches!(column.to_lowercase().as_str(), "rating" | "stars" | "score"));
        let (event_type, why) = match rating {
            _ if self.orders.is_some_and(|orders| orders.are_purchases(self.sample)) => {
                ("purchase", "every record is a line of an order")
            }
            _ if self.orders.is_some() => ("purchase", "perhaps not of every record"),
            Some(_) => ("rating", "every record is a rating"),
            None if self.has("quantity") || self.has("price") => {
                ("purchase", "every record is a purchase; perhaps it is something else")
            }
            None => ("view", "every record is a view; perhaps it is something else"),
        };
        self.missing.retain(|field| *field != "type");
        if let Some(column) = rating.filter(|_| !self.has("value")) {
            self.take("value", column);
        }
        format!("\n[constants]\ntype = \"{event_type}\"    # {why}\n")
    }

    /// The key for the columns of customers, which events need not keep, and for what is private of items. Of orders nothing
    /// is kept that the mapping does not name: the number of a parcel that the next export adds would make another event.
    fn dropped(&self) -> String {
        let mut unused = self.unused();
        let (dropped, why) = match self.kind {
            RecordKind::Events if self.orders.is_some() => {
                (vec!["*"], "what changes from export to export makes no other event")
            }
            RecordKind::Events => (item_columns::personal(&unused), "of customers"),
            RecordKind::Items => {
                unused.retain(|column| accrue_event::is_private(column).is_some());
                (unused, "of persons, and what the shop pays")
            }
            RecordKind::Users => return String::new(),
        };
        let dropped: Vec<String> = dropped.into_iter().map(quoted).collect();
        match dropped.is_empty() {
            true => String::new(),
            false => format!("drop_columns = [{}]    # {why}\n", dropped.join(", ")),
        }
    }

    /// The table of fields, and what is needed for a record and was not found.
    fn fields(&self) -> String {
        let mut text = String::from("\n[fields]\n");
        for (field, column) in &self.found {
            let examples: Vec<String> =
                self.sample.texts(column).filter(|text| !text.trim().is_empty()).take(2).map(excerpt).collect();
            let more = self.remarks.iter().find(|(known, _)| known == field).map_or("", |(_, remark)| remark.as_str());
            let remark =
                if examples.is_empty() { String::new() } else { format!("    # {}{more}", examples.join(", ")) };
            let source = self.source_of(field, column);
            // A line without an hour has the day.
            let names =
                if source == **column { quoted(column) } else { format!("[{}, {}]", quoted(&source), quoted(column)) };
            text.push_str(&format!("{field} = {names}{remark}\n"));
        }
        for field in self.missing.iter().filter(|field| is_needed(self.kind, field, &self.found)) {
            text.push_str(&format!("# {field} = \"…\"    # needed, and no column has a usual name of it\n"));
        }
        text
    }

    /// The columns without a field, and that of the price.
    fn unused_beside_price(&self) -> Vec<&'s str> {
        let price = self.found.iter().filter(|(field, _)| *field == "price").map(|(_, column)| *column);
        self.unused().into_iter().chain(price).collect()
    }

    /// What lines say of their items, and which lines are none of products.
    fn item_of_events(&self) -> String {
        let columns = self.columns_of_items();
        let mut text = item_of_events(self.sample, &columns, &self.found);
        if let Some(orders) = self.orders {
            let says_price = text.contains("\nprice = ");
            if let Some(price) = orders.price.filter(|_| text.contains("\ntitle = ") && !says_price) {
                text.push_str(&format!("price = {}\n", quoted(price)));
            }
            let described = self.described(&columns);
            let title = described.first().map(|(_, title)| title.as_str());
            text.push_str(&orders.rules(title));
        }
        text
    }

    /// The columns of an order that describe its item.
    fn described(&self, columns: &[&str]) -> Vec<(&'static str, String)> {
        let Some(item) = self.orders.and_then(|orders| orders.item) else { return Vec::new() };
        let column_of = |field: &str| self.found.iter().find(|(known, _)| *known == field).map(|(_, column)| *column);
        item_columns::described(self.sample, columns, item, column_of("user").or(column_of("session")))
    }

    /// The columns that may describe items: those of orders without what is of the customer.
    fn columns_of_items(&self) -> Vec<&'s str> {
        let mut columns = self.columns.clone();
        if let Some(orders) = self.orders {
            let personal = orders::of_customers(&self.unused());
            columns.retain(|column| !orders.is_taken(column) && !personal.contains(column));
        }
        columns
    }

    /// Remarks about fields without a column, and columns without a field.
    fn rest(&self) -> String {
        let optional: Vec<&str> =
            self.missing.iter().copied().filter(|field| !is_needed(self.kind, field, &self.found)).collect();
        let mut text = String::new();
        if !optional.is_empty() {
            text.push_str(&format!("\n# Without a column: {}.\n", optional.join(", ")));
        }
        let mut rest = self.unused();
        let of_item = self.described(&self.columns_of_items());
        rest.retain(|column| {
            !self.orders.is_some_and(|orders| orders.is_taken(column))
                && !of_item.iter().any(|(_, used)| used == column)
        });
        if !rest.is_empty() {
            let what = if self.kind == RecordKind::Events { "properties" } else { "attributes" };
            text.push_str(&match self.orders {
                Some(_) => "\n# These are left out; `[properties]` keeps those that never change:\n".to_owned(),
                None => format!("\n# These become {what} under their own names; `drop_columns` leaves columns out:\n"),
            });
            let listed = rest.iter().take(MAX_LISTED);
            listed.for_each(|column| text.push_str(&format!("#   {}\n", excerpt_of(column, 80))));
            if rest.len() > MAX_LISTED {
                text.push_str(&format!("#   … and {} more\n", rest.len() - MAX_LISTED));
            }
        }
        text
    }
}

/// The table `[item]` of a file of events: what its rows say of the items.
fn item_of_events(sample: &Sample, columns: &[&str], found: &[(&str, &str)]) -> String {
    let column_of = |field: &str| found.iter().find(|(known, _)| *known == field).map(|(_, column)| *column);
    let Some(item) = column_of("item") else { return String::new() };
    let described = item_columns::described(sample, columns, item, column_of("user").or(column_of("session")));
    if described.is_empty() {
        let name = item_columns::ambiguous_name(columns).map(|name| {
            format!(
                "\n# [item]\n# title = {}    # if it is the name of the item, and not that of the customer\n",
                quoted(name)
            )
        });
        return name.unwrap_or_default();
    }
    let lines = described.iter().map(|(field, column)| format!("{field} = {}\n", quoted(column)));
    format!("\n[item]    # what the rows say of the items\n{}", lines.collect::<String>())
}

/// A rule for each metric that is known by its id alone, to be filled in; without one its records are left out.
fn rules_for_metrics(sample: &Sample, column: &str) -> String {
    let mut ids: Vec<&str> = sample.texts(column).filter(|text| !text.trim().is_empty()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut text = String::from("\n# The metrics are ids: say what each of them is, and leave out the others.\n");
    for id in ids.iter().take(MAX_LISTED) {
        let (column, id) = (quoted(column), quoted(id));
        text.push_str(&format!(
            "# [[rule]]\n# when = {{ column = {column}, equals = {id} }}\n# set = {{ type = \"view\" }}    # or skip = true\n"
        ));
    }
    text
}

fn is_needed(kind: RecordKind, field: &str, found: &[(&str, &str)]) -> bool {
    let has = |field: &str| found.iter().any(|(known, _)| *known == field);
    match (kind, field) {
        (RecordKind::Events, "user") => !has("session"),
        (RecordKind::Events, "item") => !has("query"),
        (RecordKind::Events, "at") | (_, "id") => kind != RecordKind::Events || field == "at",
        (RecordKind::Items, "title") => true,
        _ => false,
    }
}

/// A text on one line, cut where it is too long to be read.
fn excerpt_of(text: &str, most: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let start: String = chars.by_ref().take(most).collect();
    match chars.count() {
        0 => start,
        n => format!("{start} … and {n} characters more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(table: &[&[&str]]) -> Sample {
        let texts = |row: &&[&str]| row.iter().map(|text| (*text).to_owned()).collect();
        Sample {
            columns: texts(&table[0]),
            rows: table[1..].iter().map(texts).collect(),
            is_table: true,
            ..Sample::default()
        }
    }

    #[test]
    fn a_history_and_a_catalogue_are_told_apart() {
        let text = written(
            &sample(&[&["user_id", "item_id", "rating", "timestamp"], &["1", "2", "3", "881250949"]]),
            &Mapping::default(),
            None,
            "u.csv",
        );
        for line in [
            "kind = \"events\"",
            "user = \"user_id\"    # 1",
            "at = \"timestamp\"",
            "type = \"rating\"",
            "value = \"rating\"",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let text = written(
            &sample(&[&["Artikelnummer", "Bezeichnung", "Preis"], &["7", "Tasse", "9,99 €"]]),
            &Mapping::default(),
            None,
            "a.csv",
        );
        for line in
            ["kind = \"items\"", "id = \"Artikelnummer\"", "title = \"Bezeichnung\"", "price = \"Preis\"    # 9,99 €"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert!(toml::from_str::<Mapping>(&text).is_ok());
    }
}
