//! Batches of records as shops send them: a JSON array, one object, or one object per line.
//!
//! In: bytes. Out: raw records for the check, in order. A record that cannot be read keeps its position as a refused
//! one that holds the text, so that it reaches the quarantine and does not fail its batch. Only an array with unbalanced
//! brackets or quotes is refused as a whole, because the beginning of its next record is unknown.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use accrue_engine::Incoming;
use accrue_event::{ContentIds, RawEvent, RawItem, RawPatch, Reason, RecordKind, Refusal, RefusalId, Rejection};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Visitor};
use serde_json::Value;

use super::body::{Form, fault_of_text, malformed, position};
use super::problem::{Code, Problem};

/// An unreadable text is kept up to this length.
const KEPT_BYTES: usize = 4096;

/// A kind of record that comes in batches.
pub(super) trait Record: DeserializeOwned {
    /// Its name in the quarantine.
    const KIND: RecordKind;
}

impl Record for RawEvent {
    const KIND: RecordKind = RecordKind::Events;
}

impl Record for RawPatch {
    const KIND: RecordKind = RecordKind::Items;
}

impl Record for RawItem {
    const KIND: RecordKind = RecordKind::Items;
}

/// The records of a body, in order.
#[derive(Debug)]
pub(super) struct Batch<R> {
    pub(super) records: Vec<Incoming<R>>,
    /// Bytes of its body, decompressed.
    pub(super) n_bytes: usize,
    /// Distinguishes equal unreadable records.
    ids: ContentIds,
}

impl<R: Record> Batch<R> {
    /// Reads a body of at most `most` records.
    pub(super) fn read(body: &[u8], form: Form, most: usize) -> Result<Self, Problem> {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        let mut batch = Self { records: Vec::new(), n_bytes: body.len(), ids: ContentIds::default() };
        match (form, body.trim_ascii_start().first()) {
            (Form::Lines, None) => {}
            (Form::Json, None) => return Err(malformed(body, 0)),
            (Form::Lines, _) => batch.read_lines(body, most)?,
            (Form::Json, Some(b'{')) => batch.read_object_or_lines(body, most)?,
            (Form::Json, _) => batch.read_array(body, most)?,
        }
        Ok(batch)
    }

    fn read_array(&mut self, body: &[u8], most: usize) -> Result<(), Problem> {
        let full = Cell::new(false);
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = Elements { batch: self, most, full: &full }.deserialize(&mut json).and_then(|()| json.end());
        match read {
            Ok(()) => Ok(()),
            Err(_) if full.get() => Err(too_many(most)),
            Err(error) => match elements(body) {
                Some(elements) => {
                    *self = Self { records: Vec::new(), n_bytes: self.n_bytes, ids: ContentIds::default() };
                    self.read_elements(&elements, most)
                }
                None if error.is_data() => {
                    let at = position(body, &error);
                    Err(Problem::new(Code::MalformedJson, format!("expected an array of objects at byte {at}"))
                        .member("position", at))
                }
                None => Err(malformed(body, 0)),
            },
        }
    }

    /// Reads the elements of an array one by one, because one of them cannot be read: it has half a character, NaN, a
    /// number beyond all bounds.
    fn read_elements(&mut self, elements: &[&[u8]], most: usize) -> Result<(), Problem> {
        if elements.len() > most {
            return Err(too_many(most));
        }
        for (index, element) in elements.iter().enumerate() {
            match serde_json::from_slice(element) {
                Ok(ReadRecord::Record(record)) => self.records.push(Incoming::Record(record)),
                Ok(ReadRecord::Other(value)) => {
                    self.push_unreadable(&value.to_string(), format!("element {index}: a record is an object"));
                }
                Err(error) => {
                    let what = error.to_string();
                    let what = what.split(" at line ").next().unwrap_or(&what);
                    let at = position(element, &error);
                    self.push_unreadable(
                        &String::from_utf8_lossy(element),
                        format!("element {index}: {what} at its byte {at}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// One object; or several, each on a line of its own, without the content type that says so.
    fn read_object_or_lines(&mut self, body: &[u8], most: usize) -> Result<(), Problem> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<ReadRecord<R>>();
        let first = values.next();
        let rest = &body[values.byte_offset()..];
        match first {
            Some(Ok(entry)) if rest.trim_ascii().is_empty() => {
                if let Some(field) = wrapping(body) {
                    let detail = format!(
                        "the body is the array of records itself, or one record; this one has them in `{field}`"
                    );
                    return Err(Problem::new(Code::MalformedJson, detail).field(field));
                }
                self.push(entry, 1);
                Ok(())
            }
            Some(Ok(_)) if rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) == Some(&b'\n') => {
                self.read_lines(body, most)
            }
            // The first line cannot be read; what follows is another record.
            Some(Err(_))
                if value_end(body, 0).is_some_and(|end| {
                    let rest = &body[end..];
                    let next = rest.trim_ascii_start();
                    next.first() == Some(&b'{') && rest[..rest.len() - next.len()].contains(&b'\n')
                }) =>
            {
                self.read_lines(body, most)
            }
            _ => Err(malformed(body, 0)),
        }
    }

    fn read_lines(&mut self, body: &[u8], most: usize) -> Result<(), Problem> {
        for (line_idx, line) in body.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            if self.records.len() == most {
                return Err(too_many(most));
            }
            match serde_json::from_slice(line) {
                Ok(entry) => self.push(entry, line_idx + 1),
                Err(error) => {
                    let column = position(line, &error) + 1;
                    let fault = fault_of_text(&error);
                    self.push_unreadable(
                        &String::from_utf8_lossy(line),
                        format!("line {}, column {column}: {fault}", line_idx + 1),
                    );
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, entry: ReadRecord<R>, line: usize) {
        match entry {
            ReadRecord::Record(record) => self.records.push(Incoming::Record(record)),
            ReadRecord::Other(value) => {
                self.push_unreadable(&value.to_string(), format!("line {line}: a record is an object"));
            }
        }
    }

    fn push_unreadable(&mut self, text: &str, detail: String) {
        let kept = (0..=text.len().min(KEPT_BYTES)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.records.push(Incoming::Refused(Refusal {
            id: self.ids.repeated(RefusalId::of(R::KIND, text.as_bytes())),
            kind: R::KIND,
            rejection: Rejection::new(Reason::Malformed, detail),
            raw: text[..kept].into(),
        }));
    }

    /// The first record that could not be read, with its place.
    pub(super) fn first_unreadable(&self) -> Option<(usize, &Rejection)> {
        self.records.iter().enumerate().find_map(|(index, record)| match record {
            Incoming::Record(_) => None,
            Incoming::Refused(refusal) => Some((index, &refusal.rejection)),
        })
    }
}

/// The only field of an object, if its value is an array of objects: what other systems expect, and no record.
fn wrapping(body: &[u8]) -> Option<String> {
    let object: serde_json::Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut fields = object.into_iter();
    let (name, value) = fields.next().filter(|_| fields.len() == 0)?;
    let elements = value.as_array()?;
    (!elements.is_empty() && elements.iter().all(Value::is_object)).then_some(name)
}

/// The elements of an array, found by brackets and quotes alone; `None` if these are not balanced.
fn elements(body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut at = body.iter().position(|byte| !byte.is_ascii_whitespace())?;
    if body[at] != b'[' || !body[value_end(body, at)?..].trim_ascii().is_empty() {
        return None;
    }
    let mut elements = Vec::new();
    at += 1;
    loop {
        at += body[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
        if body[at] == b']' && elements.is_empty() {
            return Some(elements);
        }
        let end = value_end(body, at)?;
        elements.push(body[at..end].trim_ascii_end());
        match body.get(end)? {
            b',' => at = end + 1,
            b']' => return Some(elements),
            _ => {
                // White space behind an object or a text.
                at = end + body[end..].iter().position(|byte| !byte.is_ascii_whitespace())?;
                match body[at] {
                    b',' => at += 1,
                    b']' => return Some(elements),
                    _ => return None,
                }
            }
        }
    }
}

/// The end of the value that begins at `from`: behind its closing bracket or quote, or before the comma, bracket or line
/// break that ends a word or number.
fn value_end(body: &[u8], from: usize) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = from;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => {
                at += 1;
                loop {
                    match body.get(at)? {
                        b'\\' => at += 2,
                        b'"' => break,
                        _ => at += 1,
                    }
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => match open.pop() {
                None => return (at > from).then_some(at),
                Some(expected) if expected != byte => return None,
                Some(_) if open.is_empty() => return Some(at + 1),
                Some(_) => {}
            },
            b',' | b'\n' if open.is_empty() => return (at > from).then_some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn too_many(most: usize) -> Problem {
    Problem::new(Code::TooManyRecords, format!("a request may have {most} records; send several smaller ones"))
        .member("limit", most)
}

/// The parts of a batch: objects, and values that are not objects.
enum ReadRecord<R> {
    Record(R),
    Other(Value),
}

impl<'de, R: Deserialize<'de>> Deserialize<'de> for ReadRecord<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadRecordVisitor(PhantomData))
    }
}

struct ReadRecordVisitor<R>(PhantomData<R>);

impl<'de, R: Deserialize<'de>> Visitor<'de> for ReadRecordVisitor<R> {
    type Value = ReadRecord<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ReadRecord<R>, A::Error> {
        R::deserialize(MapAccessDeserializer::new(map)).map(ReadRecord::Record)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<ReadRecord<R>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(ReadRecord::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<ReadRecord<R>, E> {
        Ok(ReadRecord::Other(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<ReadRecord<R>, E> {
        Ok(ReadRecord::Other(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<ReadRecord<R>, E> {
        Ok(ReadRecord::Other(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<ReadRecord<R>, E> {
        Ok(ReadRecord::Other(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<ReadRecord<R>, E> {
        Ok(ReadRecord::Other(value.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<ReadRecord<R>, E> {
        Ok(ReadRecord::Other(value.into()))
    }
}

/// Reads the elements of an array directly into the batch; stops at the limit instead of holding what would be refused.
struct Elements<'b, R> {
    batch: &'b mut Batch<R>,
    most: usize,
    full: &'b Cell<bool>,
}

impl<'de, R: Record> DeserializeSeed<'de> for Elements<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, R: Record> Visitor<'de> for Elements<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(entry) = seq.next_element::<ReadRecord<R>>()? {
            if self.batch.records.len() == self.most {
                self.full.set(true);
                return Err(de::Error::custom("too many records"));
            }
            match entry {
                ReadRecord::Record(record) => self.batch.records.push(record.into()),
                ReadRecord::Other(value) => {
                    let index = self.batch.records.len();
                    self.batch.push_unreadable(&value.to_string(), format!("element {index}: a record is an object"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::RawValue;

    use super::*;

    /// Reads a body and returns the ids of its records, `!` for one that could not be read.
    fn ids(body: &str, form: Form) -> Result<Vec<String>, Code> {
        let batch = Batch::<RawEvent>::read(body.as_bytes(), form, 4).map_err(|problem| problem.code())?;
        let id = |record: &Incoming<RawEvent>| match record {
            Incoming::Record(RawEvent { id: RawValue::Text(id), .. }) => id.to_string(),
            Incoming::Record(other) => format!("{other:?}"),
            Incoming::Refused(refusal) => {
                assert_eq!(refusal.rejection.reason, Reason::Malformed);
                "!".into()
            }
        };
        let first = batch.records.iter().position(|record| matches!(record, Incoming::Refused(_)));
        assert_eq!(batch.first_unreadable().map(|(index, _)| index), first);
        Ok(batch.records.iter().map(id).collect())
    }

    #[test]
    fn records_under_a_field_are_refused_with_its_name() {
        assert_eq!(ids(r#"{"events": [{"id": "a"}, {"id": "b"}]}"#, Form::Json), Err(Code::MalformedJson));
        let Ok(read) = ids(r#"{"id": "a", "labels": [{"x": 1}]}"#, Form::Json) else { panic!("one record") };
        assert_eq!(read, ["a"]);
    }

    #[test]
    fn every_form_is_read() {
        let check = |body: &str, form: Form, expected: &[&str]| {
            assert_eq!(ids(body, form).unwrap(), expected, "{body:?} as {form:?}");
        };
        check(r#"[{"id":"a"},{"id":"b"}]"#, Form::Json, &["a", "b"]);
        check("\u{feff} [{\"id\":\"a\"}]\n", Form::Json, &["a"]);
        check(r#"{"id":"a"}"#, Form::Json, &["a"]);
        check("{\n\"id\":\"a\"\n}\n", Form::Json, &["a"]);
        check("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", Form::Json, &["a", "b"]);
        check("{\"id\":\"a\"} \r\n{\"id\":\n{\"id\":\"b\"}", Form::Json, &["a", "!", "b"]);
        check("{\"id\":\"a\"}\r\n\n7\n[1]\n", Form::Lines, &["a", "!", "!"]);
        check(r#"[{"id":"a"},7,"x",null]"#, Form::Json, &["a", "!", "!", "!"]);
        // One record that cannot be read does not cost the others.
        check(r#"[{"id":"a"},{"query":"party \ud83c"},{"id":"b"}]"#, Form::Json, &["a", "!", "b"]);
        check(
            r#"[{"price":NaN}, {"id":"a"} , {"price":1e999}, {"price":-Infinity}]"#,
            Form::Json,
            &["!", "a", "!", "!"],
        );
        check(r#"[{"id":"a"},{"id":"b",},{id:"c"},{"id":"d"}]"#, Form::Json, &["a", "!", "!", "d"]);
        check("{\"price\":NaN}\n{\"id\":\"a\"}", Form::Json, &["!", "a"]);
        check(" \n", Form::Lines, &[]);
        check("[]", Form::Json, &[]);
    }

    #[test]
    fn a_byte_that_is_no_utf8_costs_its_record_only() {
        let body = b"[{\"id\":\"a\"},{\"query\":\"caf\xe9\"},{\"id\":\"b\"}]";
        let batch = Batch::<RawEvent>::read(body, Form::Json, 4).unwrap();
        let readable = batch.records.iter().filter(|record| matches!(record, Incoming::Record(_))).count();
        assert_eq!((readable, batch.first_unreadable().map(|(index, _)| index)), (2, Some(1)));
    }

    #[test]
    fn what_is_broken_as_a_whole_is_refused() {
        let check = |body: &str, form: Form, code: Code| assert_eq!(ids(body, form), Err(code), "{body:?}");
        check(r#"[{"id":"a"},{"id"]"#, Form::Json, Code::MalformedJson);
        check(r#"[{"id":"a"}"#, Form::Json, Code::MalformedJson);
        check(r#"[{"id":"a"}] x"#, Form::Json, Code::MalformedJson);
        check(r#"{"id":"a"} {"id":"b"}"#, Form::Json, Code::MalformedJson);
        check("{\n\"id\":\n}\n", Form::Json, Code::MalformedJson);
        check("", Form::Json, Code::MalformedJson);
        check("7", Form::Json, Code::MalformedJson);
        check("hello", Form::Json, Code::MalformedJson);
        check("[{},{},{},{},{}]", Form::Json, Code::TooManyRecords);
        check("{}\n{}\n{}\n{}\n{}", Form::Lines, Code::TooManyRecords);
    }

    #[test]
    fn an_unreadable_text_is_kept_within_bounds() {
        let body = format!("{{\"id\":\"{}", "é".repeat(KEPT_BYTES));
        let batch = Batch::<RawEvent>::read(body.as_bytes(), Form::Lines, 4).unwrap();
        let Incoming::Refused(refusal) = &batch.records[0] else { panic!("{batch:?}") };
        assert!(refusal.raw.starts_with("{\"id\":\"éé") && refusal.raw.len() <= KEPT_BYTES);
        assert!(refusal.rejection.detail.starts_with("line 1, column"), "{refusal:?}");
        // The id is that of the whole text.
        let other = Batch::<RawEvent>::read(format!("{body}!").as_bytes(), Form::Lines, 4).unwrap();
        let Incoming::Refused(other) = &other.records[0] else { panic!("{other:?}") };
        assert!(other.raw == refusal.raw && other.id != refusal.id);
    }
}
