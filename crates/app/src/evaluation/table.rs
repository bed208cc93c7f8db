//! Tables of choices with named columns, for protocols of fitted models: CSV, TSV, NDJSON, Parquet.
//!
//! In: a file, and a mapping of its columns or none. Out: rows for the `lab` crate, and the numbers of those that were
//! left out, by reason. Without a mapping the columns are known by the names that data sets use (`user_id`,
//! `item_id`, `rating`, `timestamp` and others).

use std::io::Read as _;
use std::path::Path;

use accrue_engine::Config;
use accrue_event::{
    Check, CheckSettings, EventType, Mapping, Outcome, RateSettings, RawEvent, RawValue, RuleStatistics, Timestamp,
    Undo,
};
use accrue_ingest::{Entry, Format, Progress, ReadSettings, Reader, Sample, taken_back};
use accrue_lab::read::{BanditCells, BanditData};
use accrue_lab::{Row, Table};
use anyhow::{Context as _, bail};

use super::left_out::{BATCH, LeftOut, Refused};
use super::request::Request;

/// Records whose names are looked at to know the columns.
const LOOKED_AT: usize = 1_000;
/// The first bytes of a file that gzip compressed.
const GZIP: [u8; 2] = [0x1F, 0x8B];
/// Bytes of a file's first line that are looked at.
const FIRST_LINE_BYTES: u64 = 4_096;

/// How tables are to be read.
#[derive(Clone, Debug, Default)]
pub struct TableSettings {
    /// The mapping of the columns; known names if there is none.
    pub mapping: Option<Mapping>,
    /// Without a mapping: the columns that are not known by their names.
    pub named: Mapping,
    /// The names of the columns of a file without a header.
    pub columns: Option<Vec<String>>,
    /// The types of events that are choices; otherwise all in which the shopper wants the item.
    pub types: Option<Vec<String>>,
}

impl TableSettings {
    /// Those of a request.
    pub fn of(request: &Request) -> Self {
        let Request { mapping, named, columns, .. } = request.clone();
        Self { mapping, named, columns, types: None }
    }
}

/// The names of a field in data sets, in letters and digits alone.
const KNOWN: [(&str, &[&str]); 6] = [
    (
        "user",
        &[
            "user",
            "userid",
            "uid",
            "customer",
            "customerid",
            "visitor",
            "visitorid",
            "reviewerid",
            "memberid",
            "clientid",
            "shopperid",
        ],
    ),
    ("session", &["session", "sessionid", "basketid", "invoice", "invoiceno", "orderid"]),
    (
        "item",
        &[
            "item",
            "itemid",
            "iid",
            "product",
            "productid",
            "movieid",
            "bookid",
            "isbn",
            "asin",
            "sku",
            "stockcode",
            "songid",
            "trackid",
            "artistid",
            "articleid",
            "gameid",
        ],
    ),
    (
        "at",
        &["at", "timestamp", "time", "ts", "datetime", "date", "eventtime", "unixtime", "unixreviewtime", "createdat"],
    ),
    ("value", &["value", "rating", "ratings", "stars", "score", "overall"]),
    ("type", &["type", "event", "eventtype", "eventname", "behavior", "behaviour", "action"]),
];

/// The field that a column of this name is.
fn field_of(column: &str) -> Option<&'static str> {
    // RecBole writes `user_id:token`.
    let name = column.split(':').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    KNOWN.iter().find(|(_, names)| names.contains(&&*name)).map(|(field, _)| *field)
}

/// Whether the file is a table, and no file in a protocol's own form of lines. `lines_have_headers` says whether that
/// form may begin with a header of its own, whose first columns are user and item.
///
/// # Errors
/// If the file cannot be read.
pub fn is_table(path: &Path, settings: &TableSettings, lines_have_headers: bool) -> anyhow::Result<bool> {
    if settings.mapping.is_some() || settings.columns.is_some() || settings.named != Mapping::default() {
        return Ok(true);
    }
    match Format::from_name(path) {
        Some(Format::Parquet | Format::Csv | Format::Ndjson | Format::Xml) => return Ok(true),
        Some(Format::Tsv) | None => {}
    }
    let first = first_line(path).with_context(|| format!("{} cannot be read", path.display()))?;
    // No protocol's own form is read from gzip.
    if Format::from_content(&first) == Format::Parquet || first.starts_with(&GZIP) {
        return Ok(true);
    }
    let text = String::from_utf8_lossy(&first);
    let line = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    let delimiter = ['\t', ',', ';', '|'].into_iter().find(|&delimiter| line.contains(delimiter));
    let fields: Vec<Option<&str>> = delimiter.map_or_else(Vec::new, |delimiter| {
        line.split(delimiter).map(|cell| field_of(cell.trim().trim_matches('"'))).collect()
    });
    if lines_have_headers && delimiter == Some('\t') && fields.starts_with(&[Some("user"), Some("item")]) {
        return Ok(false);
    }
    let has = |field| fields.contains(&Some(field));
    Ok(has("item") && (has("user") || has("session")))
}

fn first_line(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(4).read_to_end(&mut bytes)?;
    if bytes == *b"PAR1" || bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    bytes.clear();
    accrue_lab::read::open(path)?.take(FIRST_LINE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The mapping of a table's columns by their known names.
///
/// # Errors
/// If the file cannot be read, or no column is known as an item or as a user.
pub fn known_columns(path: &Path, settings: &TableSettings) -> anyhow::Result<Mapping> {
    // A header must have these fields, or constants in their place.
    let constants = ["type", "user", "item"].map(|field| (field.into(), STAND_IN.into())).into();
    let stand_in = Mapping { constants, ..Mapping::default() };
    let plain = ReadSettings { columns: settings.columns.clone(), mapping: stand_in, ..ReadSettings::default() };
    let mut reader = Reader::open(path, &plain, &Progress::default())?;
    let mut names: Vec<Box<str>> = Vec::new();
    let mut see = |name: &str| {
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    };
    for entry in reader.next_batch(LOOKED_AT)?.entries {
        let Entry::Event(event, _) = entry else { continue };
        let has = |value: &RawValue| !value.is_missing() && *value != RawValue::text(STAND_IN);
        // The reader gives each event an id.
        event.fields().filter(|(name, value)| *name != "id" && has(value)).for_each(|(name, _)| see(name));
        event.properties.iter().for_each(|(name, _)| see(name));
    }
    let mut mapping = settings.named.clone();
    for (field, known) in KNOWN {
        let is_named = mapping.fields.contains_key(field) || mapping.constants.contains_key(field);
        if is_named || names.iter().any(|name| **name == *field) {
            continue;
        }
        // Of several known columns, that of the more usual name.
        let rank = |name: &&str| known.iter().position(|known| is_same(name, known));
        if let Some(column) = names.iter().map(|name| &**name).filter(|name| rank(name).is_some()).min_by_key(rank) {
            mapping.fields.extend(Mapping::from_pairs([(field, column)])?.fields);
        }
    }
    let has = |field: &str| {
        mapping.constants.contains_key(field)
            || names.iter().any(|name| **name == *field)
            || mapping.fields.contains_key(field)
    };
    if !has("item") || !(has("user") || has("session")) {
        // As the file writes them: the reader has given some of them the names of fields.
        let names = Sample::open(path, &plain).map_or_else(|_| names.join(", "), |sample| sample.columns.join(", "));
        bail!(
            "{}: no column is known as the {}; its columns are {}. Name them: --map user=COLUMN,item=COLUMN, or give a file \
             without a header its names: --columns user_id,item_id,rating,timestamp. For an export that `accrue ingest` \
             recognises name its mapping (--mapping shopify-orders), or evaluate what was taken in: accrue export events",
            path.display(),
            if has("item") { "user" } else { "item" },
            names
        );
    }
    if !has("type") {
        let word = if has("value") { "rating" } else { "view" };
        mapping.constants.insert("type".into(), word.into());
    }
    Ok(mapping)
}

fn is_same(column: &str, known: &str) -> bool {
    let name = column.split(':').next().unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).eq(known.chars())
}

/// Reads a table; returns it with the numbers of rows that were left out.
///
/// # Errors
/// If the file cannot be read or does not fit the mapping.
pub fn read_table(
    config: &Config,
    path: &Path,
    settings: &TableSettings,
    by_session: bool,
) -> anyhow::Result<(Table, Refused)> {
    let mapping = match &settings.mapping {
        Some(mapping) => mapping.clone(),
        None => known_columns(path, settings)?,
    };
    let read_settings = ReadSettings { mapping, columns: settings.columns.clone(), ..ReadSettings::default() };
    let mut reader = Reader::open(path, &read_settings, &Progress::default())?;
    let rates = RateSettings { actions: 0, ..config.check.rates.clone() };
    let check = Check::new(CheckSettings { rates, ..config.check_settings() }, RuleStatistics::default())?;
    let mut table = Table { path: path.into(), ..Table::default() };
    let mut refused = Refused::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            return Ok((table, refused));
        }
        for entry in batch.entries {
            let row = match entry {
                Entry::Event(event, _) => row_of(event, &check, settings, by_session, &mut table),
                Entry::Undone(event, Undo::Always) => {
                    row_of(taken_back(event), &check, settings, by_session, &mut table)
                }
                Entry::Undone(_, Undo::IfKnown | Undo::Order | Undo::KnownOrder) => continue,
                Entry::Unreadable(refusal) => Err(refusal.rejection.reason.into()),
                Entry::Item(_) | Entry::Patch(_) | Entry::User(_) | Entry::ItemRemoved(_) | Entry::UserRemoved(_) => {
                    bail!("{}: the mapping is for events here", path.display())
                }
            };
            match row {
                Ok(row) => table.rows.push(row),
                Err(reason) => *refused.entry(reason).or_default() += 1,
            }
        }
    }
}

/// A log of shown items and clicks. CSV is left to the reader of its published form, unless columns are named.
///
/// # Errors
/// If the file cannot be read.
pub fn read_bandit(path: &Path, settings: &TableSettings) -> anyhow::Result<BanditData> {
    let is_plain = settings.mapping.is_none() && settings.columns.is_none() && settings.named == Mapping::default();
    if is_plain && !matches!(Format::from_name(path), Some(Format::Parquet | Format::Ndjson | Format::Tsv)) {
        return Ok(BanditData::File(path.into()));
    }
    let mut mapping = settings.mapping.clone().unwrap_or_else(|| settings.named.clone());
    for (field, column) in [("item", "item_id"), ("type", "'impression'"), ("session", "'-'")] {
        let is_named = mapping.fields.contains_key(field) || mapping.constants.contains_key(field);
        if !is_named {
            let one = Mapping::from_pairs([(field, column)])?;
            mapping.fields.extend(one.fields);
            mapping.constants.extend(one.constants);
        }
    }
    let read_settings = ReadSettings { mapping, columns: settings.columns.clone(), ..ReadSettings::default() };
    let mut reader = Reader::open(path, &read_settings, &Progress::default())?;
    let mut rows = Vec::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.entries.is_empty() {
            return Ok(BanditData::Cells(path.into(), rows));
        }
        for entry in batch.entries {
            let Entry::Event(event, _) = entry else { bail!("{}: a row cannot be read", path.display()) };
            let property =
                |name: &str| event.properties.iter().find(|(own, _)| **own == *name).map(|(_, value)| cell(value));
            let features = event.properties.iter().filter(|(name, _)| name.starts_with("user_feature"));
            let features: Vec<String> = features.map(|(_, value)| cell(value)).collect();
            rows.push(BanditCells {
                item: cell(&event.item),
                position: cell(&event.position),
                click: property("click").unwrap_or_default(),
                propensity: property("propensity_score").unwrap_or_default(),
                user: if features.is_empty() { cell(&event.user) } else { features.join(":") },
            });
        }
    }
}

/// A value as the text of a cell; whole numbers without a fraction, marks as 0 and 1.
fn cell(value: &RawValue) -> String {
    match value {
        RawValue::Text(text) => text.to_string(),
        RawValue::Int(number) => number.to_string(),
        RawValue::Bool(is_set) => u8::from(*is_set).to_string(),
        RawValue::Float(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The row of an event, or the reason why it is none.
fn row_of(
    event: RawEvent,
    check: &Check,
    settings: &TableSettings,
    by_session: bool,
    table: &mut Table,
) -> Result<Row, LeftOut> {
    let number = match &event.at {
        RawValue::Int(number) => Some(*number as f64),
        RawValue::Float(number) => Some(*number),
        RawValue::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    let has_words = number.is_none() && !event.at.is_missing();
    // Only what makes a choice is checked: a price that cannot be read does not matter here. A number is a time of any
    // unit, of which only the order matters.
    let checked = RawEvent {
        event_type: event.event_type.clone(),
        user: event.user,
        session: event.session,
        item: event.item,
        value: event.value.clone(),
        at: if has_words { event.at } else { RawValue::Int(STAND_IN_MS) },
        ..RawEvent::default()
    };
    let checked = match check.judge(&checked, Timestamp(i64::MAX / 4), |_| None) {
        Outcome::Quarantined(rejection) => return Err(rejection.reason.into()),
        Outcome::Accepted(checked) | Outcome::Repaired(checked, _) => checked,
    };
    let name = checked.event_type.name();
    let is_choice = match &settings.types {
        Some(types) => types.iter().any(|kept| kept == name),
        None => !matches!(
            checked.event_type,
            EventType::Impression | EventType::Search | EventType::Return | EventType::Dislike
        ),
    };
    if !is_choice {
        return Err(LeftOut::OtherType);
    }
    let (user, session) = (checked.user.as_ref().map(|id| id.as_str()), checked.session.as_ref().map(|id| id.as_str()));
    let (first, second) = if by_session { (session, user) } else { (user, session) };
    let user = first.or(second).unwrap_or_default();
    let item = checked.item.as_ref().map(|id| id.as_str()).unwrap_or_default();
    let negatives = event.properties.iter().filter(|(name, _)| NEGATIVES.contains(&&**name));
    let negatives = negatives.flat_map(|(_, value)| words(value)).collect::<Vec<_>>();
    Ok(Row {
        user: table.users.number(user),
        item: table.items.number(item),
        rating: (!event.value.is_missing()).then_some(checked.value),
        time: if has_words { Some(checked.at.0 as f64) } else { number.filter(|number| number.is_finite()) },
        negatives: negatives.iter().map(|negative| table.items.number(negative)).collect(),
    })
}

/// A time that the check accepts, where it is not the time of the choice.
const STAND_IN_MS: i64 = 1_600_000_000_000;
/// A constant in the place of a column that is not known yet.
const STAND_IN: &str = "?";
/// The columns with items that were not chosen.
const NEGATIVES: [&str; 2] = ["negatives", "negative_items"];

/// The ids in a list, or in a text between spaces, commas or bars.
fn words(value: &RawValue) -> Vec<String> {
    match value {
        RawValue::Text(text) => {
            text.split([' ', ',', '|', ';']).filter(|word| !word.is_empty()).map(str::to_string).collect()
        }
        RawValue::Int(number) => vec![number.to_string()],
        RawValue::List(values) => values.iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn read(name: &str, text: &str, settings: &TableSettings) -> anyhow::Result<(Table, Refused)> {
        let (_dir, path) = file(name, text);
        read_table(&Config::default(), &path, settings, false)
    }

    #[test]
    fn columns_are_known_by_the_names_of_public_data_sets() {
        for (name, header) in [
            ("ratings.csv", "userId,movieId,rating,timestamp"),
            ("a.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float"),
            ("reviews.csv", "reviewerID,asin,overall,unixReviewTime"),
            ("semicolons.csv", "customer_id;sku;rating;date"),
        ] {
            let delimiter = header.chars().find(|c| "\t,;".contains(*c)).unwrap();
            let row = ["7", "m1", "4.5", "964982703"].join(&delimiter.to_string());
            let (_dir, path) = file(name, &format!("{header}\n{row}\n"));
            assert!(is_table(&path, &TableSettings::default(), false).unwrap(), "{name}");
            let (table, refused) = read(name, &format!("{header}\n{row}\n"), &TableSettings::default()).unwrap();
            assert_eq!((table.rows[0].rating, table.rows[0].time), (Some(4.5), Some(964_982_703.0)), "{name}");
            assert!(refused.is_empty());
        }
    }

    #[test]
    fn a_protocols_own_form_of_lines_is_no_table() {
        for (name, text) in [("lines.txt", "1 2 3\n2 3\n"), ("pairs.tsv", "1\t2\n"), ("sessions.txt", "5 6\t7\n")] {
            let (_dir, path) = file(name, text);
            assert!(!is_table(&path, &TableSettings::default(), false).unwrap(), "{name}");
        }
        let (_dir, path) = file("test.tsv", "user_id\titem_id\trating\tts\tnegatives\n1\t2\t5\t9\t3\t4\n");
        assert!(!is_table(&path, &TableSettings::default(), true).unwrap());
    }

    #[test]
    fn rows_that_are_no_choices_are_left_out_with_their_reason() {
        let text = "type,user,item,at\nview,u1,a,2026-01-01T00:00:00Z\nreturn,u1,a,2026-01-02T00:00:00Z\n\
                    view,,a,2026-01-01T00:00:00Z\nview,u2,b,yesterday\n";
        let (table, refused) = read("events.csv", text, &TableSettings::default()).unwrap();
        assert_eq!((table.rows.len(), table.rows[0].rating), (1, None));
        let expected = [("bad_time", 1), ("no_shopper", 1), ("other_type", 1)];
        let refused: Vec<_> = refused.iter().map(|(reason, n)| (reason.code(), *n)).collect();
        assert_eq!(refused, expected);
        let types = Some(vec!["return".to_string()]);
        let (table, _) = read("events.csv", text, &TableSettings { types, ..TableSettings::default() }).unwrap();
        assert_eq!(table.rows.len(), 1);
    }

    #[test]
    fn a_file_whose_columns_are_not_known_says_how_to_name_them() {
        let message = read("cart.csv", "uid,sid\n1,2\n", &TableSettings::default()).unwrap_err().to_string();
        assert!(message.contains("no column is known as the item") && message.contains("uid, sid"), "{message}");
        let named = Mapping::from_pairs([("item", "sid")]).unwrap();
        let (table, _) =
            read("cart.csv", "uid,sid,timestamp\n1,2,3\n", &TableSettings { named, ..TableSettings::default() })
                .unwrap();
        assert_eq!((table.items.name(0), table.rows[0].time), (Some("2"), Some(3.0)));
        let columns = Some(["user_id", "item_id"].map(String::from).to_vec());
        let (table, _) =
            read("cart.csv", "1,2\n1,3\n", &TableSettings { columns, ..TableSettings::default() }).unwrap();
        assert_eq!(table.rows.len(), 2);
    }
}
