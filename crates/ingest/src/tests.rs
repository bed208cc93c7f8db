//! Readers on files as they come: whole, odd, damaged, cut short.

use std::io::{Cursor, Read, Write as _};
use std::path::Path;

use accrue_event::{Mapping, RawEvent, RawValue, RecordKind};
use proptest::prelude::*;

use super::lines::{Found, Lines};
use super::*;

/// Hands out few bytes at a time, so that every boundary is met.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.1);
        self.0.read(&mut buffer[..n])
    }
}

pub(super) fn open(name: &str, bytes: &[u8], settings: &ReadSettings) -> Result<Reader, ReadError> {
    let bytes = Trickle(Cursor::new(bytes.to_vec()), 7);
    Reader::from_bytes(Path::new(name), bytes, settings, &Progress::default())
}

/// All records as texts, `line: record`, and what ended the file.
pub(super) fn read(name: &str, bytes: &[u8], settings: &ReadSettings) -> (Vec<String>, Option<ReadError>) {
    let mut reader = match open(name, bytes, settings) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut records = Vec::new();
    loop {
        match reader.next_batch(3) {
            Ok(batch) if batch.entries.is_empty() => return (records, None),
            Ok(Batch { entries, lines, .. }) => {
                records.extend(entries.iter().zip(lines).map(|(entry, line)| show(line, entry)))
            }
            Err(error) => return (records, Some(error)),
        }
    }
}

fn show(line: u64, entry: &Entry) -> String {
    match entry {
        Entry::Event(event, _) => {
            let event = RawEvent { id: RawValue::Null, ..event.clone() };
            format!("{line}: {}", event.to_json())
        }
        Entry::Undone(event, undo) => format!("{line}: {undo:?} {}", event.to_json()),
        Entry::Item(item) => format!("{line}: {}", item.to_json()),
        Entry::Patch(patch) => format!("{line}: {} {:?}", patch.item.to_json(), patch.cleared),
        Entry::User(user) => format!("{line}: {}", user.to_json()),
        Entry::ItemRemoved(id) | Entry::UserRemoved(id) => format!("{line}: removes {id:?}"),
        Entry::Unreadable(refusal) => format!("{line}: {}", refusal.rejection),
    }
}

fn records(name: &str, text: &str) -> Vec<String> {
    let (records, end) = read(name, text.as_bytes(), &ReadSettings::default());
    assert!(end.is_none(), "{end:?}");
    records
}

fn view(line: u64, user: &str, item: &str) -> String {
    format!(r#"{line}: {{"type":"view","user":{user:?},"item":{item:?}}}"#)
}

#[test]
fn csv_cells_may_hold_delimiters_quotes_and_line_ends() {
    let csv = "\u{FEFF}type,user,item\r\nview,u1,\"a,b\"\r\nview,\"u \"\"x\"\"\",\"c\nd\"\r\n\r\nview,u2,12\"\n";
    let expected = [view(2, "u1", "a,b"), view(3, "u \"x\"", "c\nd"), view(6, "u2", "12\"")];
    assert_eq!(records("a.csv", csv), expected);
}

#[test]
fn a_stray_quote_costs_its_own_line() {
    let csv = "type,user,item\nview,u1,\"a\nview,u2,b\nview,\"u3\" x,c\nview,u4,d";
    let expected = [
        "2: malformed: line 2: text after a closing quote; double the quotes inside a cell".to_owned(),
        view(3, "u2", "b"),
        "4: malformed: line 4: text after a closing quote; double the quotes inside a cell".to_owned(),
        view(5, "u4", "d"),
    ];
    assert_eq!(records("a.csv", csv), expected);
    let open = records("a.csv", "type,user,item\nview,u1,\"a\nview,u2,b\n");
    assert_eq!(open, ["2: malformed: line 2: a quote that is never closed".to_owned(), view(3, "u2", "b")]);
}

#[test]
fn cells_in_quotes_between_tabs_are_recognised() {
    let quoted =
        "type\tuser\titem\nview\tu1\ta\nview\tu2\t\"The \"\"b\"\"\tc\"\nview\tu3\t\"d\ne\"\nview\tu4\t12\" plate\n";
    let expected =
        [view(2, "u1", "a"), view(3, "u2", "The \"b\"\tc"), view(4, "u3", "d\ne"), view(6, "u4", "12\" plate")];
    assert_eq!(records("a.tsv", quoted), expected);
    // Signs for inches and quoted words at the beginning of cells.
    let signs = "type\tuser\titem\nview\tu1\t\"Best\" mug\nview\tu2\t\"open\nview\tu3\tc\n";
    assert_eq!(records("a.tsv", signs), [view(2, "u1", "\"Best\" mug"), view(3, "u2", "\"open"), view(4, "u3", "c")]);
}

#[test]
fn between_tabs_a_quote_is_a_character() {
    let tsv = "type\tuser\titem\nview\tu1\t\"12 inch\nview\tu2\t\"b\"\n";
    assert_eq!(records("a.tsv", tsv), [view(2, "u1", "\"12 inch"), view(3, "u2", "\"b\"")]);
    let settings = ReadSettings { quotes: Some(Quotes::On), ..ReadSettings::default() };
    let (quoted, _) = read("a.tsv", b"type\tuser\titem\nview\tu2\t\"b\tc\"\n", &settings);
    assert_eq!(quoted, [view(2, "u2", "b\tc")]);
}

#[test]
fn unreadable_lines_are_told_and_the_rest_goes_on() {
    let (csv, end) =
        read("a.csv", b"type,user,item\nview,u1\nview,u\xFF,b\nview,u2,b\nview,\xC3\xA9,b\n", &ReadSettings::default());
    assert!(end.is_none());
    let expected = [
        r#"2: {"type":"view","user":"u1"}"#.to_owned(),
        "3: malformed: line 3: not UTF-8; if the whole file is in another encoding, name it in the mapping (`encoding`)"
            .to_owned(),
        view(4, "u2", "b"),
        view(5, "é", "b"),
    ];
    assert_eq!(csv, expected);
    let json = "{\"type\":\"view\",\"user\":\"u1\",\"item\":\"a\"}\n\n{\"type\":\n7\n{\"type\":\"view\",\"user\":\"u2\",\"item\":\"b\"}";
    let json = records("a.ndjson", json);
    assert_eq!((json.len(), &json[0], &json[3]), (4, &view(1, "u1", "a"), &view(5, "u2", "b")));
    assert!(json[1].starts_with("3: malformed: line 3: not a JSON object: it ends before"), "{}", json[1]);
    assert!(json[2].starts_with("4: malformed: line 4: not a JSON object: must be an object"), "{}", json[2]);
}

#[test]
fn a_line_of_any_length_is_passed_over() {
    let mut json = vec![b'x'; MAX_LINE_BYTES + (1 << 20)];
    json.extend(b"\n{\"type\":\"view\",\"user\":\"u1\",\"item\":\"a\"}\n");
    let mut reader =
        Reader::from_bytes(Path::new("a.ndjson"), Cursor::new(json), &ReadSettings::default(), &Progress::default())
            .unwrap();
    let batch = reader.next_batch(10).unwrap();
    let shown: Vec<String> = batch.entries.iter().zip(&batch.lines).map(|(entry, line)| show(*line, entry)).collect();
    assert_eq!(shown, ["1: malformed: line 1: longer than 16 MiB".to_owned(), view(2, "u1", "a")]);
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Lines that do not compress well, so that every cut falls into the middle.
fn long_csv(n: u64) -> String {
    let line = |i: u64| format!("view,u{},{}\n", i * 7919 % 1009, i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    format!("type,user,item\n{}", (0..n).map(line).collect::<String>())
}

#[test]
fn compressed_files_are_read_by_their_first_bytes() {
    let csv = long_csv(100);
    let expected = records("a.csv", &csv);
    assert_eq!(expected.len(), 100);
    for bytes in [zstd(&csv), gzip(&csv)] {
        assert_eq!(read("renamed.csv", &bytes, &ReadSettings::default()).0, expected);
    }
    assert_eq!(read("a.csv.zst", &zstd(&csv), &ReadSettings::default()).0, expected);
    let mut twice = gzip(&csv);
    twice.extend(gzip("view,last,x\n"));
    assert_eq!(read("a.csv.gz", &twice, &ReadSettings::default()).0.len(), 101, "gzip members follow each other");
    twice.extend([0; 1_000]);
    assert_eq!(read("a.csv.gz", &twice, &ReadSettings::default()).0.len(), 101, "zeros fill a block");
    let (_, end) = read("a.csv.zst", csv.as_bytes(), &ReadSettings::default());
    assert!(end.unwrap().to_string().contains("the name ends in .zst, but the content is not compressed that way"));
}

#[test]
fn a_file_cut_short_gives_its_whole_lines_and_then_an_error() {
    let csv = long_csv(20_000);
    let whole = records("a.csv", &csv);
    for (bytes, name) in [(zstd(&csv), "a.csv.zst"), (gzip(&csv), "a.csv.gz")] {
        let cut = &bytes[..bytes.len() * 3 / 4];
        let (records, end) = read(name, cut, &ReadSettings::default());
        assert!(records.len() > 1000 && records.len() < whole.len(), "{name}: {}", records.len());
        assert_eq!(records, whole[..records.len()], "{name}: no half line");
        let Some(ReadError::Broken { line, .. }) = end else { panic!("{name}: {end:?}") };
        assert_eq!(line, records.len() as u64 + 1, "{name}: the header is a line");
    }
}

#[test]
fn the_form_is_told_by_name_or_content() {
    let cases = [
        ("a.csv", "", Format::Csv),
        ("a.TSV.zst", "", Format::Tsv),
        ("a.jsonl.gz", "", Format::Ndjson),
        ("a.parquet", "", Format::Parquet),
        ("-", "{\"a\":1}", Format::Ndjson),
        ("ml-100k.inter", "user_id:token\titem_id:token\n1,2", Format::Tsv),
        ("-", "\u{FEFF}a,b\tc\n", Format::Tsv),
        ("-", "a,b", Format::Csv),
        ("-", "PAR1", Format::Parquet),
    ];
    for (name, content, format) in cases {
        let told = Format::from_name(Path::new(name)).unwrap_or_else(|| Format::from_content(content.as_bytes()));
        assert_eq!(told, format, "{name} {content:?}");
    }
}

#[test]
fn files_that_cannot_be_read_at_all_say_what_would_help() {
    let pairs = [("item", "sku"), ("type", "'view'")];
    let mapped = ReadSettings { mapping: Mapping::from_pairs(pairs).unwrap(), ..ReadSettings::default() };
    let cases: [(&str, &[u8], ReadSettings, &str); 6] = [
        ("a.csv", b"<!DOCTYPE html><html>", ReadSettings::default(), "a page of HTML"),
        ("a.xlsx", b"PK\x03\x04rest", ReadSettings::default(), "save it as CSV"),
        ("a.xls", b"\xD0\xCF\x11\xE0rest", ReadSettings::default(), "old Excel workbook"),
        ("a.csv", b"what,who\n", ReadSettings::default(), "no column for `type`; the header has: what, who"),
        ("a.csv", b"what,who\n", mapped, "`sku`, which the file does not have; it has: what, who"),
        (
            "a.csv",
            b"a\"b,\"c\"d\n",
            ReadSettings::default(),
            "the header has a quote that is never closed, or text after one",
        ),
    ];
    for (name, bytes, settings, message) in cases {
        let error = read(name, bytes, &settings).1.map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(message), "{name}: {error}");
    }
}

#[test]
fn headers_may_be_given_and_an_empty_file_is_no_error() {
    let columns = ["user", "item", "value"].map(String::from).to_vec();
    let mapping = Mapping::from_pairs([("type", "'rating'")]).unwrap();
    let settings = ReadSettings { columns: Some(columns), mapping, ..ReadSettings::default() };
    let (records, end) = read("u.data", b"196\t242\t3\n", &settings);
    assert!(end.is_none(), "{end:?}");
    assert_eq!(records, [r#"1: {"type":"rating","user":"196","item":"242","value":3}"#]);
    let columns = ["id", "title"].map(String::from).to_vec();
    let mapping = Mapping { kind: RecordKind::Items, ..Mapping::default() };
    let settings = ReadSettings { columns: Some(columns), mapping, ..ReadSettings::default() };
    let (marked, _) = read("a.csv", b"\xEF\xBB\xBF\"A1\",\"Mug, blue\"\n\"A2\",Cup\n", &settings);
    assert_eq!(marked, [r#"1: {"id":"A1","title":"Mug, blue"}"#, r#"2: {"id":"A2","title":"Cup"}"#]);
    assert_eq!(read("a.csv", b"", &ReadSettings::default()).0, [""; 0]);
    assert!(read("a.csv", b"", &ReadSettings::default()).1.is_none());
}

#[test]
fn catalogues_and_customers_have_their_own_kind() {
    let kind = |kind| ReadSettings { mapping: Mapping { kind, ..Mapping::default() }, ..ReadSettings::default() };
    let (items, _) = read("a.csv", b"id,title,price\nm1,Mug,9.9\n", &kind(RecordKind::Items));
    assert_eq!(items, [r#"2: {"id":"m1","title":"Mug","price":9.9}"#]);
    let (users, _) = read("a.ndjson", b"{\"id\":\"u1\",\"attributes\":{\"age\":7}}\n", &kind(RecordKind::Users));
    assert_eq!(users, [r#"1: {"id":"u1","attributes":{"age":7}}"#]);
}

#[test]
fn the_same_file_has_the_same_ids_and_true_repeats_stay_apart() {
    let csv = "type,user,item\nview,u1,a\nview,u1,b\nview,u1,a\nview,u1,b\n";
    let ids = || {
        let mut reader = open("a.csv", csv.as_bytes(), &ReadSettings::default()).unwrap();
        let mut ids = Vec::new();
        // Batches of one: ordinals count over the file.
        while let Some(Entry::Event(event, _)) = reader.next_batch(1).unwrap().entries.pop() {
            let RawValue::Text(id) = event.id else { panic!("an id") };
            ids.push(id);
        }
        ids
    };
    let distinct: std::collections::BTreeSet<_> = ids().into_iter().collect();
    assert_eq!((ids().len(), distinct.len()), (4, 4));
    assert_eq!(ids(), ids());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No bytes make a reader panic, loop or lose a line: each line that is not blank comes out as something.
    #[test]
    fn readers_never_panic_and_account_for_every_line(
        body in prop::collection::vec(prop::sample::select(b"\"\"\",,\t\n\n\r a{}:[]1\xC3\xA9\xFF\0\\".to_vec()), 0..200),
        name in prop::sample::select(vec!["a.csv", "a.tsv", "a.ndjson", "-"]),
        has_header in any::<bool>(),
    ) {
        let header: &[u8] = if has_header { b"type,user,item\n" } else { b"" };
        let bytes = [header, &body].concat();
        let (records, end) = read(name, &bytes, &ReadSettings::default());
        let is_blank = |line: &&[u8]| line.trim_ascii().is_empty();
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).count();
        // A line may hold many elements of an array, or a part of a value.
        let is_array = !has_header && body.trim_ascii_start().starts_with(b"[");
        let is_object = !has_header && body.trim_ascii_start().starts_with(b"{");
        // Objects on one line are read one by one.
        let first_line = body.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_joined = is_object && first_line.split(|byte| matches!(byte, b' ' | b'\t' | b',' | b'\r')).collect::<Vec<_>>().concat().windows(2).any(|two| two == b"}{");
        // Zeros at the beginning may be recognised as UTF-16, which has other lines.
        let may_be_wide = !has_header && body.contains(&0);
        if end.is_none() && name == "a.ndjson" && !is_array && !is_joined && !may_be_wide {
            prop_assert_eq!(records.len(), lines + usize::from(has_header));
        }
        if !is_array && !is_object && !may_be_wide {
            prop_assert!(records.len() <= bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count());
        }
    }

    /// Quoted cells come back as they were, whatever is in them and however the bytes arrive.
    #[test]
    fn quoted_cells_read_back(cells in prop::collection::vec("[a\",\n\ré ]{0,6}", 1..6), step in 1..9_usize) {
        let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let mut text = String::from("type,user,item\n");
        cells.iter().for_each(|cell| text.push_str(&format!("view,u1,{}\n", quoted(cell))));
        let bytes = Trickle(Cursor::new(text.into_bytes()), step);
        let mut reader =
            Reader::from_bytes(Path::new("a.csv"), bytes, &ReadSettings::default(), &Progress::default()).unwrap();
        let batch = reader.next_batch(100).unwrap();
        let items: Vec<String> = batch.entries.iter().map(|entry| match entry {
            Entry::Event(RawEvent { item: RawValue::Text(item), .. }, _) => item.to_string(),
            Entry::Event(RawEvent { item: RawValue::Null, .. }, _) => String::new(),
            other => format!("{other:?}"),
        }).collect();
        prop_assert_eq!(items, cells);
    }

    /// Lines are those that `split` finds, however the bytes arrive.
    #[test]
    fn lines_do_not_depend_on_how_bytes_arrive(
        bytes in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..60),
        step in 1..9_usize,
    ) {
        let mut lines = Lines::new(Trickle(Cursor::new(bytes.clone()), step));
        let mut found = Vec::new();
        while let Found::Line(len) = lines.find(0).unwrap() {
            found.push(lines.peek(len).to_vec());
            lines.take(len, 1);
        }
        let mut expected: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if expected.last().is_some_and(Vec::is_empty) {
            expected.pop();
        }
        prop_assert_eq!(found, expected);
    }
}

/// Records, and what was recognised of the file.
pub(super) fn read_with_notes(name: &str, bytes: &[u8], settings: &ReadSettings) -> (Vec<String>, Vec<String>) {
    let mut reader = open(name, bytes, settings).unwrap();
    let batch = reader.next_batch(1000).unwrap();
    let shown = batch.entries.iter().zip(&batch.lines).map(|(entry, line)| show(*line, entry)).collect();
    (shown, reader.take_notes())
}

#[test]
fn tables_of_spreadsheets_are_recognised() {
    let expected = [view(2, "u1", "A"), view(3, "u2", "B")];
    let check = |text: &str, notes: &[&str]| {
        let (records, told) = read_with_notes("a.csv", text.as_bytes(), &ReadSettings::default());
        assert_eq!(
            (&records[..], told),
            (&expected[..], notes.iter().map(|note| (*note).to_owned()).collect()),
            "{text:?}"
        );
    };
    check("type,user,item\rview,u1,A\rview,u2,B", &["lines that end with CR alone"]);
    check("type,user,item\r\r\nview,u1,A\r\r\nview,u2,B\r\r\n", &[]);
    check("type;user;item\nview;u1;A\nview;u2;B\n;;\n", &["semicolons"]);
    check("type|user|item\r\nview|u1|A\r\nview|u2|B\r\n", &["vertical bars"]);
    check("type,user,item\nview,u1,A,\nview,u2,B,,\n", &[]);
    check("type,user,item,\nview,u1,A\nview,u2,B,\n", &[]);
    let (records, _) = read_with_notes("a.csv", b"sep=;\r\ntype;user;item\r\nview;u1;A\r\n", &ReadSettings::default());
    assert_eq!(records, [view(3, "u1", "A")]);
    let (records, _) = read_with_notes("a.csv", b"type,user,item\nview,u1,A,more\n", &ReadSettings::default());
    assert_eq!(records, ["2: malformed: line 2: 4 columns, but the header has 3"]);
}

#[test]
fn arrays_and_values_over_several_lines_are_read_as_records() {
    let expected = |lines: [u64; 2]| [view(lines[0], "u1", "A"), view(lines[1], "u,\"]}", "B")];
    let (first, second) =
        (r#"{"type":"view","user":"u1","item":"A"}"#, r#"{"type":"view","user":"u,\"]}","item":"B"}"#);
    let pretty = |object: &str| object.replace("{\"type", "{\n  \"type").replace(",\"item", ",\n \"item");
    assert_eq!(records("a.json", &format!("[{first},{second}]")), expected([1, 1]));
    assert_eq!(records("a.json", &format!("\u{FEFF} [\n {first},\n {second}\n]\n")), expected([2, 3]));
    assert_eq!(records("a.json", &format!("{{\"events\": [{first},\n{second}], \"next\": 3}}")), expected([1, 2]));
    assert_eq!(records("a.json", &format!("{{\n\"data\": [\n{first},\n{second}]}}")), expected([3, 4]));
    assert_eq!(records("a.json", &format!("{}\n{}\n", pretty(first), pretty(second))), expected([1, 4]));
    assert_eq!(records("a.json", &format!("{first}\n{second}\n")), expected([1, 2]));
    assert_eq!(records("a.json", "[]"), Vec::<String>::new());
    let broken = format!("[{first}, 7, {{\"type\": }}, {second}, {{\"type\":\"view\"");
    let (broken, end) = read("a.json", broken.as_bytes(), &ReadSettings::default());
    assert_eq!((broken.len(), &broken[0], &broken[3]), (4, &expected([1, 1])[0], &expected([1, 1])[1]));
    for (place, why) in [(1, "not a JSON object: must be an object"), (2, "is not expected")] {
        assert!(broken[place].contains(why), "{}", broken[place]);
    }
    assert!(end.unwrap().to_string().contains("does not end"));
}

fn mapped(toml_pairs: &[(&str, &str)]) -> Mapping {
    Mapping::from_pairs(toml_pairs.iter().copied()).unwrap()
}

#[test]
fn the_decimal_sign_of_a_table_is_recognised_from_its_prices() {
    let read_prices = |text: &str, mapping: Mapping| {
        let settings =
            ReadSettings { mapping: Mapping { kind: RecordKind::Items, ..mapping }, ..ReadSettings::default() };
        read_with_notes("a.csv", text.as_bytes(), &settings)
    };
    let price = |line: u64, id: &str, price: &str| format!("{line}: {{\"id\":{id:?},\"price\":{price}}}");
    let (records, notes) = read_prices("id;price\nA;9,99\nB;1.299\nC;1.234,50 €\n", Mapping::default());
    let euro = "4: {\"id\":\"C\",\"price\":1234.5,\"currency\":\"EUR\"}".to_owned();
    assert_eq!(records, [price(2, "A", "9.99"), price(3, "B", "1299"), euro]);
    assert_eq!(notes, ["semicolons", "decimal commas"]);
    let (records, notes) = read_prices("id,price\nA,\"9,99\"\nB,1.299\n", Mapping::default());
    assert_eq!(
        (records, notes),
        (vec![price(2, "A", "9.99"), price(3, "B", "1299")], vec!["decimal commas".to_owned()])
    );
    let (records, notes) = read_prices("id;price\nA;9.99\nB;\"1,299\"\n", Mapping::default());
    assert_eq!((records, notes), (vec![price(2, "A", "9.99"), price(3, "B", "1299")], vec!["semicolons".to_owned()]));
    let (records, _) = read_prices("id;price\nA;9.99\nB;9,99\n", Mapping::default());
    assert_eq!(records, [price(2, "A", "9.99"), price(3, "B", "9.99")], "both signs occur");
    let given = Mapping { decimal: accrue_event::Decimal::Comma, ..Mapping::default() };
    assert_eq!(read_prices("id;price\nA;1.299\n", given).0, [price(2, "A", "1299")]);
}

#[test]
fn comments_escapes_and_titles_of_reports_are_no_cells() {
    let expected = [view(2, "u1", "A"), view(4, "u2", "B,\"x")];
    let settings = ReadSettings {
        mapping: Mapping { comment: Some('#'), escape: Some('\\'), ..Mapping::default() },
        ..ReadSettings::default()
    };
    let text = "type,user,item\nview,u1,A\n# exported at night\nview,u2,B\\,\\\"x\n";
    assert_eq!(read("a.csv", text.as_bytes(), &settings).0, expected);
    let quoted = "type,user,item\nview,u1,A\n#\nview,u2,\"B,\\\"x\"\n";
    assert_eq!(read("a.csv", quoted.as_bytes(), &settings).0, expected);
    let unset = "type,user,item\nview,u1,A\n\nview,u2,\"B,\\\"x\"\n";
    let (records, notes) = read_with_notes("a.csv", unset.as_bytes(), &ReadSettings::default());
    assert_eq!((&records[..], notes), (&expected[..], vec!["quotes behind backslashes".to_owned()]));
    let tabs = "type\tuser\tsession\titem\nview\t\\N\ts1\ta\\tb\n";
    let expected = ["2: {\"type\":\"view\",\"session\":\"s1\",\"item\":\"a\\tb\"}".to_owned()];
    assert_eq!(read("a.tsv", tabs.as_bytes(), &settings).0, expected, "as MySQL writes");
    let report = "Events of the shop\n\ntype;user;item\nview;u1;A\n";
    let (records, notes) = read_with_notes("a.csv", report.as_bytes(), &ReadSettings::default());
    assert_eq!(
        (records, notes),
        (vec![view(4, "u1", "A")], vec!["semicolons".to_owned(), "2 lines before the header".to_owned()])
    );
}

#[test]
fn records_of_a_file_need_a_time_unless_all_are_of_now() {
    let settings = ReadSettings { needs_time: true, ..ReadSettings::default() };
    let error = read("a.csv", b"type,user,item,Buchungsdatum\n", &settings).1.unwrap().to_string();
    assert!(error.contains("no column for the time") && error.contains("perhaps it is `Buchungsdatum`"), "{error}");
    let (records, end) = read("a.csv", b"type,user,item,timestamp\nview,u1,A,2019-03-01\nview,u1,B,\n", &settings);
    assert!(end.is_none(), "{end:?}");
    assert!(records[0].contains("\"at\":\"2019-03-01\""), "{}", records[0]);
    assert!(records[1].starts_with("3: bad_time: line 3: at: missing"), "{}", records[1]);
    let (records, _) = read("a.ndjson", b"{\"type\":\"view\",\"user\":\"u1\",\"item\":\"A\"}", &settings);
    assert!(records[0].starts_with("1: bad_time"), "{}", records[0]);
    assert_eq!(read("a.csv", b"type,user,item\nview,u1,A\n", &ReadSettings::default()).0, [view(2, "u1", "A")]);
}

#[test]
fn lines_that_a_rule_skips_are_counted() {
    let rule = accrue_event::MappingRule {
        when: Some(accrue_event::Condition {
            column: "type".into(),
            equals: Some("Total".into()),
            starts_with: None,
            matches: None,
            not_matches: None,
            empty: None,
            below: None,
        }),
        skip: true,
        ..accrue_event::MappingRule::default()
    };
    let mapping = Mapping { rule: vec![rule], ..Mapping::default() };
    let mut reader =
        open("a.csv", b"type,user,item\nview,u1,A\nTotal,,\n", &ReadSettings { mapping, ..ReadSettings::default() })
            .unwrap();
    let batch = reader.next_batch(10).unwrap();
    assert_eq!((batch.entries.len(), batch.n_skipped), (1, 1));
}

#[test]
fn elements_of_an_array_are_events_with_ids_of_their_own() {
    let mapping = mapped(&[("type", "event"), ("item", "items[].id"), ("id", "order")]);
    let settings = ReadSettings { mapping, ..ReadSettings::default() };
    let text = "{\"event\":\"purchase\",\"user\":\"u\",\"order\":\"o1\",\"items\":[{\"id\":\"a\"},{\"id\":\"b\"}]}\n";
    let mut reader = open("a.ndjson", text.as_bytes(), &settings).unwrap();
    let batch = reader.next_batch(10).unwrap();
    let ids: Vec<String> = batch
        .entries
        .iter()
        .map(|entry| match entry {
            Entry::Event(event, _) => event.to_json(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(batch.lines, [1, 1]);
    assert!(ids[0].starts_with("{\"id\":\"o1\"") && ids[1].starts_with("{\"id\":\"o1#2\""), "{ids:?}");
}

#[test]
fn rows_without_their_last_cells_have_empty_ones() {
    let settings =
        ReadSettings { mapping: Mapping { kind: RecordKind::Items, ..Mapping::default() }, ..ReadSettings::default() };
    let text = "id,title,brand,price\nA,Mug\nC,Cup,Acme,3\nD,Pan,Ac";
    let (found, notes) = read_with_notes("a.csv", text.as_bytes(), &settings);
    let expected = [
        r#"2: {"id":"A","title":"Mug"}"#,
        r#"3: {"id":"C","title":"Cup","brand":"Acme","price":3}"#,
        "4: malformed: line 4: 3 columns, but the header has 4",
    ];
    assert_eq!(found, expected, "the end of the file cuts the last row");
    assert_eq!(notes, ["rows without their last cells, which are taken as empty"]);
}

#[test]
fn objects_with_nothing_between_them_are_read() {
    let one = |user: &str| format!(r#"{{"type":"view","user":"{user}","item":"i"}}"#);
    for (name, between) in [("a", ""), ("a.json", ""), ("a.ndjson", ""), ("a.json", " ")] {
        let text = [one("u"), one("v"), one("w")].join(between);
        let (found, error) = read(name, text.as_bytes(), &ReadSettings::default());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(found, ["u", "v", "w"].map(|user| view(1, user, "i")), "{name}");
    }
}

#[test]
fn blanks_before_quotes_signs_against_spreadsheets_and_nulls_are_no_cells() {
    let items = |text: &str| {
        let mapping = Mapping { kind: RecordKind::Items, ..Mapping::default() };
        read("a.csv", text.as_bytes(), &ReadSettings { mapping, ..ReadSettings::default() }).0
    };
    assert_eq!(
        items("id, title, price\nA, \"Mug, blue\", 3\nB, Cup, \"4\"\n"),
        [r#"2: {"id":"A","title":"Mug, blue","price":3}"#, r#"3: {"id":"B","title":" Cup","price":4}"#]
    );
    assert_eq!(items("id,title\nA, \"big\" mug\n"), [r#"2: {"id":"A","title":" \"big\" mug"}"#]);
    assert_eq!(
        items("id,title,price\n\"=\"\"007\"\"\",Mug,\\N\n=\"008\",Cup,1\n"),
        [r#"2: {"id":"007","title":"Mug"}"#, r#"3: {"id":"008","title":"Cup","price":1}"#]
    );
}
