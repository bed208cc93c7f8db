//! The columns and the first records of a file, as they are before a mapping: what a mapping can be written from.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use accrue_event::Object;

use super::encoding::{Guess, NO_KNOWN_ENCODING};
use super::error::ReadError;
use super::format::Format;
use super::input::{Input, Progress};
use super::reader::{ReadSettings, Table, decoded, refuse_foreign};
use super::rows::{read_header, sample};
use super::values::records_begin;
use super::xml::{Document, Elements, Records};

/// Bytes that are looked at. Objects of shop systems have several kilobytes each.
const LOOK_AHEAD_BYTES: usize = 2 << 20;

/// Records that are looked at.
const MAX_RECORDS: usize = 200;

/// Columns that are looked at. Objects whose keys are ids have any number of paths.
const MAX_COLUMNS: usize = 500;

/// Bytes of a path that is looked at.
const MAX_PATH_BYTES: usize = 1024;

/// A file's columns and first records.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The header of a table; of objects, the paths to their values, such as `items[].item_id`.
    pub columns: Vec<String>,
    /// The texts of the first records, one for each column.
    pub rows: Vec<Vec<String>>,
    /// Whether the file is a table with a header.
    pub is_table: bool,
    /// What separates the cells, if it was recognised and is not the usual character.
    pub delimiter: Option<char>,
    /// The encoding of a table, if it was recognised and its texts do not tell it at once.
    pub encoding: Option<String>,
}

impl Sample {
    /// Reads the beginning of a file. Standard input has none: it can be read only once.
    ///
    /// # Errors
    /// If the file cannot be opened, or is of no kind that can be read.
    pub fn open(path: &Path, settings: &ReadSettings) -> Result<Self, ReadError> {
        if settings.format.or_else(|| Format::from_name(path)) == Some(Format::Parquet) {
            return Self::of_parquet(path);
        }
        let Input { name, bytes } = Input::open(path, &Progress::default())?;
        let broken = |source| ReadError::Broken { name: name.clone(), line: 0, source };
        let (mut lines, encoding) = decoded(&name, bytes, &settings.mapping)?;
        let start = lines.start(LOOK_AHEAD_BYTES).map_err(broken)?;
        refuse_foreign(&name, start)?;
        let format = Format::of(settings.format, path, start);
        match format {
            Format::Parquet => Self::of_parquet(path),
            Format::Xml => {
                let document =
                    Document::new(lines, encoding.is_some() || settings.mapping.encoding.is_some()).map_err(broken)?;
                let records = Records::find(&document.start, settings.mapping.element.as_deref());
                let mut elements = Elements::new(Cursor::new(document.start.into_bytes()), records);
                // What ends the document is told when it is read.
                let records = std::iter::from_fn(move || elements.next().ok().flatten());
                Ok(Self::of_objects(records.filter_map(|(_, json)| serde_json::from_slice(&json).ok())))
            }
            Format::Ndjson => {
                let begin = records_begin(start, Format::is_by_line(path), &|_| false);
                let n_before = begin.map_or(0, |begin| begin.n_before);
                Ok(Self::of_objects(objects(&start[n_before..])))
            }
            Format::Csv | Format::Tsv => {
                if Guess::of(start) == Guess::Unknown {
                    return Err(ReadError::Format { name, what: NO_KNOWN_ENCODING.into() });
                }
                let table = Table::recognise(&name, start, format, settings)?;
                lines.end_lines_with(table.line_end);
                let mut columns = match &table.columns {
                    Some(columns) => columns.clone(),
                    None => read_header(&mut lines, table.dialect, table.n_before).map_err(broken)?,
                };
                let mut rows = sample(lines.buffered(), table.line_end, table.dialect, columns.len());
                columns.truncate(MAX_COLUMNS);
                rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
                rows.truncate(MAX_RECORDS);
                rows.iter_mut().for_each(|row| row.truncate(columns.len()));
                let delimiter = table.is_delimiter_recognised.then(|| char::from(table.dialect.delimiter));
                let encoding = encoding.filter(|name| !name.starts_with("UTF"));
                Ok(Self { columns, rows, is_table: true, delimiter, encoding })
            }
        }
    }

    /// The texts of a column.
    pub fn texts(&self, column: &str) -> impl Iterator<Item = &str> {
        let place = self.columns.iter().position(|known| known == column);
        self.rows.iter().filter_map(move |row| row.get(place?).map(String::as_str))
    }

    /// The texts of two columns in each row; a cell that a short row lacks is empty.
    pub fn pairs(&self, one: &str, other: &str) -> impl Iterator<Item = (&str, &str)> {
        let place = |column: &str| self.columns.iter().position(|known| known == column);
        let (one, other) = (place(one), place(other));
        self.rows.iter().map(move |row| {
            let text = |place: Option<usize>| place.and_then(|place| row.get(place)).map_or("", String::as_str);
            (text(one), text(other))
        })
    }

    /// The texts of a column, or of several that a name joins (`{Date} {Time}`), of each row that has all of them.
    pub fn joined(&self, name: &str) -> Vec<String> {
        if self.columns.iter().any(|known| known == name) || !name.contains('{') {
            return self.texts(name).map(str::to_owned).collect();
        }
        let mut texts: Vec<Option<String>> = vec![Some(String::new()); self.rows.len()];
        let mut rest = name;
        while let Some((before, behind)) = rest.split_once('{') {
            let (column, left) = behind.split_once('}').unwrap_or((behind, ""));
            for (text, (cell, _)) in texts.iter_mut().zip(self.pairs(column, column)) {
                let cell = Some(cell.trim()).filter(|cell| !cell.is_empty());
                *text = text.take().zip(cell).map(|(text, cell)| format!("{text}{before}{cell}"));
            }
            rest = left;
        }
        texts.into_iter().flatten().map(|text| text + rest).collect()
    }

    fn of_objects(objects: impl Iterator<Item = Object>) -> Self {
        let mut sample = Self::default();
        // Looked up only.
        let mut places: HashMap<String, usize> = HashMap::new();
        for object in objects.flat_map(|object| object.into_records(|_| false)).take(MAX_RECORDS) {
            let mut row = vec![String::new(); sample.columns.len()];
            for (path, text) in object.leaves() {
                let place = match places.get(&path) {
                    Some(place) => *place,
                    None if sample.columns.len() >= MAX_COLUMNS || path.len() > MAX_PATH_BYTES => continue,
                    None => {
                        places.insert(path.clone(), row.len());
                        sample.columns.push(path);
                        row.push(String::new());
                        row.len() - 1
                    }
                };
                row[place] = text;
            }
            sample.rows.push(row);
        }
        sample
    }

    #[cfg(feature = "parquet")]
    fn of_parquet(path: &Path) -> Result<Self, ReadError> {
        let (file, header) = super::parquet::ParquetFile::open(path, &Progress::default())?;
        let objects = file.objects(header);
        Ok(Self { is_table: true, ..Self::of_objects(objects) })
    }

    #[cfg(not(feature = "parquet"))]
    fn of_parquet(_: &Path) -> Result<Self, ReadError> {
        Ok(Self::default())
    }
}

/// The whole objects at the beginning of an array, of lines, or of values over several lines.
fn objects(mut bytes: &[u8]) -> impl Iterator<Item = Object> {
    std::iter::from_fn(move || {
        while let [b',' | b'\xEF' | b'\xBB' | b'\xBF', rest @ ..] = bytes.trim_ascii_start() {
            bytes = rest;
        }
        let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Object>();
        let object = values.next()?.ok()?;
        let length = values.byte_offset();
        bytes = &bytes[length..];
        Some(object)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Sample {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Sample::open(&path, &ReadSettings::default()).unwrap()
    }

    #[test]
    fn columns_of_tables_and_paths_of_objects_are_found() {
        let table = of("a.csv", "id;title\n1;Mug\n2\n");
        assert_eq!(
            (table.columns, table.rows),
            (vec!["id".into(), "title".into()], vec![vec!["1".into(), "Mug".into()]])
        );
        assert_eq!(table.delimiter, Some(';'));
        for text in [
            "{\"a\":1,\"l\":[{\"x\":2}]}\n{\"b\":{\"c\":\"d\"}}\n",
            "[{\"a\":1,\"l\":[{\"x\":2}]},\n {\"b\":{\"c\":\"d\"}}]",
            "{\"products\":[{\"a\":1,\"l\":[{\"x\":2}]},{\"b\":{\"c\":\"d\"}}]}",
        ] {
            let objects = of("a.json", text);
            assert_eq!(objects.columns, ["a", "l[].x", "b.c"], "{text}");
            assert_eq!(objects.texts("b.c").collect::<Vec<_>>(), ["d"], "{text}");
            assert_eq!(objects.rows, [vec!["1", "2"], vec!["", "", "d"]], "{text}");
        }
    }
}
