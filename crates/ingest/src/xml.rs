//! Records as elements of XML: product feeds (RSS 2.0 and Atom with Google's names) and plain lists of products.
//!
//! Elements are read one after the other, so that a feed of any size takes the memory of one product. Entities that a document
//! declares itself are refused and never expanded, and nothing outside the document is read. After an error of syntax nothing
//! tells where the next record begins, so it ends the reading of the file: an error with its line, as often as it is read.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use accrue_event::{Family, Sales, UnknownStates};
use quick_xml::Reader as Events;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::element::Element;
use super::encoding::{self, Guess, NO_KNOWN_ENCODING, Transcoded};
use super::entry::{Batch, MAX_LINE_BYTES};
use super::lines::{Bytes, Lines};
use super::objects::Parser;
use super::source::Source;

/// Elements in one another.
const MAX_DEPTH: usize = 64;
/// Elements and attributes of one record.
const MAX_ELEMENTS: usize = 100_000;
/// Bytes from which the element that is a record is found.
pub(super) const LOOK_AHEAD_BYTES: usize = 1 << 20;

/// Names that elements with records usually have, in lower case.
const RECORD_NAMES: [&str; 11] =
    ["item", "entry", "offer", "product", "shopitem", "article", "artikel", "produkt", "record", "row", "listing"];

/// Which elements are records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// Those with these names from the root on.
    At(Vec<String>),
    /// Those of this name, which the mapping says.
    Named(String),
}

impl Records {
    /// What the mapping names, or else what the start of a document shows: the outermost element with a usual name, or the one
    /// that repeats and has the most in it.
    pub fn find(start: &str, named: Option<&str>) -> Self {
        if let Some(name) = named {
            return Self::Named(name.to_owned());
        }
        let mut seen: Vec<Seen> = Vec::new();
        let (mut events, mut path, mut buffer) = (events(DocumentBytes::new(start.as_bytes())), Vec::new(), Vec::new());
        while path.len() <= MAX_DEPTH && seen.len() <= MAX_PATHS {
            buffer.clear();
            let Ok(event) = events.read_event_into(&mut buffer) else { break };
            match event {
                Event::Eof => break,
                Event::Start(tag) => {
                    path.push(tag.name().0.to_owned());
                    note(&mut seen, &path);
                }
                Event::Empty(tag) => {
                    path.push(tag.name().0.to_owned());
                    note(&mut seen, &path);
                    path.pop();
                }
                Event::End(_) => drop(path.pop()),
                _ => {}
            }
        }
        let is_usual = |seen: &&Seen| {
            let name = seen.path.last().map_or("", |name| local(name)).to_lowercase();
            seen.n_inside > 0 && RECORD_NAMES.contains(&&*name)
        };
        let usual = seen.iter().filter(is_usual).min_by_key(|seen| seen.path.len());
        let repeated = || {
            let repeated = seen.iter().filter(|seen| seen.n > 1 && seen.n_inside > 0);
            repeated.max_by_key(|seen| (seen.n_inside, std::cmp::Reverse(seen.path.len())))
        };
        // A list of one: the element in the root.
        let only = || seen.iter().find(|seen| seen.path.len() == 2 && seen.n_inside > 0).or(seen.first());
        Self::At(usual.or_else(repeated).or_else(only).map_or(Vec::new(), |seen| seen.path.clone()))
    }

    fn is(&self, path: &[String]) -> bool {
        match self {
            Self::At(names) => names == path,
            Self::Named(name) => path.last().is_some_and(|last| last == name || local(last) == name),
        }
    }
}

/// Different paths of elements that are counted.
const MAX_PATHS: usize = 1000;

/// Elements with the same names from the root on.
struct Seen {
    path: Vec<String>,
    n: u64,
    /// Elements in them.
    n_inside: u64,
}

fn note(seen: &mut Vec<Seen>, path: &[String]) {
    match seen.iter_mut().find(|seen| seen.path == path) {
        Some(seen) => seen.n += 1,
        None => seen.push(Seen { path: path.to_vec(), n: 1, n_inside: 0 }),
    }
    if let Some(around) = seen.iter_mut().find(|seen| seen.path == path[..path.len() - 1]) {
        around.n_inside += 1;
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// Bytes of a document, with their lines, of which a record may take a bounded number.
pub(super) struct DocumentBytes<R> {
    bytes: BufReader<R>,
    n_lines: u64,
    n_of_record: usize,
}

impl<R: Read> DocumentBytes<R> {
    pub fn new(bytes: R) -> Self {
        Self { bytes: BufReader::new(bytes), n_lines: 0, n_of_record: 0 }
    }
}

impl<R: Read> Read for DocumentBytes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: Read> BufRead for DocumentBytes<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.n_of_record > MAX_LINE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an element that is longer than 16 MiB"));
        }
        self.bytes.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        let consumed = &self.bytes.buffer()[..n];
        self.n_lines += consumed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.n_of_record += n;
        self.bytes.consume(n);
    }
}

fn events<R: Read>(bytes: DocumentBytes<R>) -> Events<DocumentBytes<R>> {
    let mut events = Events::from_reader(bytes);
    // `Salt & pepper`, which many feeds have.
    events.config_mut().allow_dangling_amp = true;
    events
}

/// The elements of a document that are records.
pub(super) struct Elements<R> {
    events: Events<DocumentBytes<R>>,
    records: Records,
    /// The names of the elements around.
    path: Vec<String>,
    buffer: Vec<u8>,
}

/// Why a document cannot be read further, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub line: u64,
    pub why: String,
    /// What the input says, if it is not the document that is at fault.
    pub source: Option<io::Error>,
}

/// A step through a document.
enum Step {
    Record(u64, Element),
    Nothing,
    End,
}

impl<R: Read> Elements<R> {
    pub fn new(bytes: R, records: Records) -> Self {
        Self { events: events(DocumentBytes::new(bytes)), records, path: Vec::new(), buffer: Vec::new() }
    }

    fn line(&self) -> u64 {
        self.events.get_ref().n_lines + 1
    }

    fn fault(&self, why: impl Into<String>) -> Fault {
        Fault { line: self.line(), why: why.into(), source: None }
    }

    /// The next record as JSON, with the line on which it begins; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, Fault> {
        loop {
            match self.step()? {
                Step::Record(line, element) => {
                    let json = serde_json::to_vec(&element.into_object());
                    return json.map(|json| Some((line, json))).map_err(|error| self.fault(error.to_string()));
                }
                Step::Nothing => {}
                Step::End if self.path.is_empty() => return Ok(None),
                Step::End => return Err(self.fault(format!("the document ends inside <{}>", self.path.join("><")))),
            }
        }
    }

    /// One event outside of records, or a whole record.
    fn step(&mut self) -> Result<Step, Fault> {
        self.events.get_mut().n_of_record = 0;
        let line = self.line();
        let (element, is_whole) = match next_event(&mut self.events, &mut self.buffer)? {
            Event::Eof => return Ok(Step::End),
            Event::DocType(declared) if declared.contains("<!ENTITY") => {
                return Err(Fault { line, why: "a document type that declares entities".into(), source: None });
            }
            Event::Start(tag) | Event::Empty(tag) if n_attributes(&tag) > MAX_ELEMENTS => {
                return Err(Fault { line, why: TOO_MANY.into(), source: None });
            }
            Event::Start(tag) => (element(&tag), false),
            Event::Empty(tag) => (element(&tag), true),
            Event::End(_) => {
                self.path.pop();
                return Ok(Step::Nothing);
            }
            _ => return Ok(Step::Nothing),
        };
        self.path.push(element.name.clone());
        let is_record = self.records.is(&self.path);
        if self.path.len() > MAX_DEPTH {
            return Err(self.fault("too many elements in one another"));
        }
        match (is_record, is_whole) {
            (false, false) => Ok(Step::Nothing),
            (false, true) => {
                self.path.pop();
                Ok(Step::Nothing)
            }
            (true, true) => {
                self.path.pop();
                Ok(Step::Record(line, element))
            }
            (true, false) => {
                let record = self.record(element)?;
                self.path.pop();
                Ok(Step::Record(line, record))
            }
        }
    }

    /// The rest of a record.
    fn record(&mut self, record: Element) -> Result<Element, Fault> {
        let (mut n, mut open) = (0, vec![record]);
        loop {
            n += 1;
            if n > MAX_ELEMENTS || self.path.len() + open.len() > MAX_DEPTH {
                return Err(self.fault(TOO_MANY));
            }
            let line = self.line();
            match next_event(&mut self.events, &mut self.buffer)? {
                Event::Eof => {
                    let around = open.first().map_or("", |record| &*record.name);
                    return Err(Fault { line, why: format!("the document ends inside <{around}>"), source: None });
                }
                Event::Start(tag) | Event::Empty(tag) if n + n_attributes(&tag) > MAX_ELEMENTS => {
                    return Err(Fault { line, why: TOO_MANY.into(), source: None });
                }
                Event::Start(tag) => {
                    n += n_attributes(&tag);
                    open.push(element(&tag));
                }
                Event::Empty(tag) => {
                    n += n_attributes(&tag);
                    let empty = element(&tag);
                    if let Some(around) = open.last_mut() {
                        around.add(empty);
                    }
                }
                Event::End(_) => {
                    let Some(closed) = open.pop() else { continue };
                    match open.last_mut() {
                        Some(around) => around.add(closed),
                        None => return Ok(closed),
                    }
                }
                Event::Text(text) => add_text(&mut open, &text.xml10_content()),
                Event::CData(text) => add_text(&mut open, &text.xml10_content()),
                Event::GeneralRef(reference) => add_text(&mut open, &resolved(&reference)),
                _ => {}
            }
        }
    }
}

fn next_event<'b, R: Read>(events: &mut Events<DocumentBytes<R>>, buffer: &'b mut Vec<u8>) -> Result<Event<'b>, Fault> {
    buffer.clear();
    let line = events.get_ref().n_lines + 1;
    events.read_event_into(buffer).map_err(|error| match error {
        quick_xml::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            let source = io::Error::new(source.kind(), source.to_string());
            Fault { line, why: String::new(), source: Some(source) }
        }
        quick_xml::Error::Io(source) => Fault { line, why: source.to_string(), source: None },
        other => Fault { line, why: other.to_string(), source: None },
    })
}

const TOO_MANY: &str = "a record with too many elements and attributes, or too many in one another";

/// The attributes of an element, up to one more than a record may have.
fn n_attributes(tag: &BytesStart<'_>) -> usize {
    let mut attributes = tag.attributes();
    // The check for names that repeat compares each with all before it.
    attributes.with_checks(false).take(MAX_ELEMENTS + 1).count()
}

fn add_text(open: &mut [Element], text: &str) {
    if let Some(around) = open.last_mut() {
        around.add_text(text);
    }
}

fn element(tag: &BytesStart<'_>) -> Element {
    let mut attributes = tag.attributes();
    attributes.with_checks(false);
    let attributes = attributes.flatten().map(|attribute| {
        let value =
            attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap_or_else(|_| attribute.value.clone());
        (attribute.key.0.to_owned(), value.into_owned())
    });
    Element::new(tag.name().0, attributes)
}

/// The text of a reference. Names of HTML stay as they are: the check reads them as markup.
fn resolved<'r>(reference: &'r BytesRef<'_>) -> Cow<'r, str> {
    let name = reference.xml10_content();
    match (reference.resolve_char_ref(), resolve_predefined_entity(&name)) {
        (Ok(Some(character)), _) => Cow::Owned(character.to_string()),
        (_, Some(text)) => Cow::Borrowed(text),
        _ => Cow::Owned(format!("&{name};")),
    }
}

/// A document whose encoding is known, and the beginning of its text.
pub(super) struct Document {
    pub bytes: Bytes,
    pub start: String,
    /// The encoding, if it is not UTF-8.
    pub note: Option<String>,
}

impl Document {
    /// Of lines that are UTF-8, unless the document declares another encoding, which `is_decoded` says is done already.
    pub fn new(mut lines: Lines<Bytes>, is_decoded: bool) -> io::Result<Self> {
        if lines.start(3)?.starts_with(b"\xEF\xBB\xBF") {
            lines.pass(3);
        }
        let start = lines.start(LOOK_AHEAD_BYTES)?.to_vec();
        let declared = declared_encoding(&start).and_then(|name| encoding::named(&name));
        let declared = declared.filter(|other| !is_decoded && other.is_ascii_compatible());
        let encoding = match declared {
            Some(other) if other != encoding_rs::UTF_8 => Some(other),
            _ => match Guess::of(&start) {
                Guess::Latin(encoding) => Some(encoding),
                Guess::Unknown => return Err(io::Error::new(io::ErrorKind::InvalidData, NO_KNOWN_ENCODING)),
                Guess::Open | Guess::Utf8 => None,
            },
        };
        let (rest, input) = lines.into_parts();
        let bytes: Bytes = Box::new(Cursor::new(rest).chain(input));
        Ok(match encoding {
            None => Self { bytes, start: String::from_utf8_lossy(&start).into_owned(), note: None },
            Some(encoding) => Self {
                bytes: Box::new(Transcoded::new(bytes, encoding)),
                start: encoding.decode_without_bom_handling(&start).0.into_owned(),
                note: Some(encoding.name().to_lowercase()),
            },
        })
    }
}

/// `encoding="ISO-8859-1"` of the first line.
fn declared_encoding(start: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(&start[..start.len().min(200)]);
    let declaration = line.strip_prefix("<?xml")?.split("?>").next()?.to_owned();
    let value = declaration.split("encoding").nth(1)?.trim_start_matches([' ', '=']);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value[1..].split(quote).next()?.to_owned())
}

/// Records of a document.
pub(super) struct Xml {
    elements: Elements<Bytes>,
    parser: Parser,
    n_read: u64,
    is_at_end: bool,
}

impl Xml {
    pub fn new(bytes: Bytes, records: Records, parser: Parser) -> Self {
        Self { elements: Elements::new(bytes, records), parser, n_read: 0, is_at_end: false }
    }
}

impl Source for Xml {
    fn n_read(&self) -> u64 {
        self.n_read
    }

    fn take_notes(&mut self) -> Vec<String> {
        self.parser.take_notes()
    }

    fn sales(&self) -> Sales {
        self.parser.sales()
    }

    fn unknown_states(&self) -> Vec<UnknownStates> {
        self.parser.unknown_states()
    }

    fn set_family(&mut self, family: Arc<Family>) {
        self.parser.set_family(family);
    }

    fn next(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        match self.elements.next() {
            Ok(None) => {
                self.is_at_end = true;
                return Ok(false);
            }
            Ok(Some((line, json))) => self.parser.records(&json, line, batch),
            Err(Fault { source: Some(source), .. }) => return Err(source),
            Err(Fault { line, why, .. }) => {
                self.is_at_end = true;
                let why = format!("line {line}: no XML: {why}; the rest of the file was not read");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        self.n_read = self.elements.line();
        Ok(true)
    }
}
