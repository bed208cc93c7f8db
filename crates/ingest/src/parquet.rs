//! Rows of an Apache Parquet file, through its own record interface: no Arrow, so that builds stay small.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use accrue_event::{BoundMapping, DAY_MS, Family, Object, RawValue, Sales, UnknownStates};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};

use super::entry::{Batch, unreadable};
use super::error::ReadError;
use super::input::Progress;
use super::source::Source;

/// A file that is open, and not read yet.
pub(super) struct ParquetFile {
    rows: RowIter<'static>,
    n_rows: u64,
    size_bytes: u64,
    progress: Progress,
}

impl ParquetFile {
    /// Opens a file; its columns are the header.
    pub fn open(path: &Path, progress: &Progress) -> Result<(Self, Vec<String>), ReadError> {
        let name = path.display().to_string();
        let failed = |source| ReadError::Open { name: name.clone(), source };
        let foreign = |error: parquet::errors::ParquetError| ReadError::Format {
            name: name.clone(),
            what: format!("not readable as Parquet: {error}"),
        };
        let file = File::open(path).map_err(failed)?;
        let size_bytes = file.metadata().map_err(failed)?.len();
        let reader = SerializedFileReader::new(file).map_err(foreign)?;
        let metadata = reader.metadata().file_metadata();
        let columns = metadata.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        let n_rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let progress = progress.clone();
        Ok((Self { rows: reader.into_iter(), n_rows, size_bytes, progress }, columns))
    }

    /// Its rows as objects, without a mapping.
    pub fn objects(self, header: Vec<String>) -> impl Iterator<Item = Object> {
        self.rows.map_while(move |row| {
            let cells = cells(&row.ok()?).ok()?;
            Some(Object::from_cells(header.iter().map(String::as_str).zip(cells)))
        })
    }

    /// Its rows under a mapping of its columns.
    pub fn rows(self, mapping: BoundMapping) -> ParquetRows {
        ParquetRows { file: self, mapping, n_read: 0 }
    }
}

/// Rows of a file.
pub(super) struct ParquetRows {
    file: ParquetFile,
    mapping: BoundMapping,
    n_read: u64,
}

impl Source for ParquetRows {
    fn n_read(&self) -> u64 {
        self.n_read
    }

    fn sales(&self) -> Sales {
        self.mapping.sales()
    }

    fn unknown_states(&self) -> Vec<UnknownStates> {
        self.mapping.unknown_states()
    }

    fn set_family(&mut self, family: Arc<Family>) {
        self.mapping.set_family(family);
    }

    fn next(&mut self, batch: &mut Batch) -> io::Result<bool> {
        let Some(row) = self.file.rows.next() else { return Ok(false) };
        let row = row.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        self.n_read += 1;
        // Rows do not tell how many bytes they take, so progress is their share of the file's bytes.
        self.file.progress.set(self.file.size_bytes.saturating_mul(self.n_read) / self.file.n_rows.max(1));
        match cells(&row) {
            Ok(cells) if self.mapping.is_nested() => {
                let (number, kind) = (self.n_read, self.mapping.kind());
                self.mapping
                    .apply_nested(&cells)
                    .into_iter()
                    .for_each(|mapped| batch.push_mapped(number, kind, mapped));
            }
            Ok(cells) => batch.push_mapped(self.n_read, self.mapping.kind(), self.mapping.apply(&cells)),
            Err(why) => {
                batch.push(
                    self.n_read,
                    unreadable(self.n_read, self.mapping.kind(), &why.to_string(), row.to_string().as_bytes()),
                );
            }
        }
        Ok(true)
    }
}

/// A column of bytes that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a column of bytes that are not UTF-8")]
struct NotUtf8;

fn cells(row: &Row) -> Result<Vec<RawValue>, NotUtf8> {
    row.get_column_iter().map(|(_, field)| value(field)).collect()
}

fn value(field: &Field) -> Result<RawValue, NotUtf8> {
    Ok(match field {
        Field::Null => RawValue::Null,
        Field::Bool(value) => RawValue::Bool(*value),
        Field::Byte(number) => RawValue::Int((*number).into()),
        Field::Short(number) => RawValue::Int((*number).into()),
        Field::Int(number) => RawValue::Int((*number).into()),
        Field::Long(number) | Field::TimestampMillis(number) => RawValue::Int(*number),
        Field::UByte(number) => RawValue::Int((*number).into()),
        Field::UShort(number) => RawValue::Int((*number).into()),
        Field::UInt(number) => RawValue::Int((*number).into()),
        Field::ULong(number) => {
            i64::try_from(*number).map_or_else(|_| RawValue::text(number.to_string()), RawValue::Int)
        }
        Field::Float(number) => RawValue::Float(f64::from(*number)),
        Field::Double(number) => RawValue::Float(*number),
        Field::TimestampMicros(number) => RawValue::Int(number.div_euclid(1000)),
        Field::Date(days) => RawValue::Int(i64::from(*days) * DAY_MS),
        Field::Str(text) => RawValue::text(text.as_str()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => RawValue::text(text),
            Err(_) => return Err(NotUtf8),
        },
        Field::ListInternal(list) => RawValue::List(list.elements().iter().map(value).collect::<Result<_, _>>()?),
        Field::Group(group) => RawValue::Other(json_of(group)?.to_string().into()),
        Field::MapInternal(map) => {
            let mut object = serde_json::Map::new();
            for (name, field) in map.entries() {
                object.insert(name.to_string().trim_matches('"').to_owned(), json(field)?);
            }
            RawValue::Other(serde_json::Value::Object(object).to_string().into())
        }
        Field::Decimal(_) => RawValue::number_or_text(&field.to_string()),
        // Times of day and the like in the words of the format.
        other => RawValue::text(other.to_string().trim_matches('"')),
    })
}

/// A nested group as JSON, so that paths of a mapping lead into it.
fn json_of(group: &Row) -> Result<serde_json::Value, NotUtf8> {
    let pairs = group.get_column_iter().map(|(name, field)| Ok((name.clone(), json(field)?)));
    pairs.collect::<Result<serde_json::Map<_, _>, _>>().map(serde_json::Value::Object)
}

fn json(field: &Field) -> Result<serde_json::Value, NotUtf8> {
    use serde_json::Value;
    Ok(match field {
        Field::Group(group) => json_of(group)?,
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(json).collect::<Result<_, _>>()?),
        field => match value(field)? {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => value.into(),
            RawValue::Int(number) => number.into(),
            RawValue::Float(number) => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
            RawValue::Text(text) => Value::String(text.into()),
            RawValue::Other(json) => serde_json::from_str(&json).unwrap_or(Value::Null),
            RawValue::List(_) => Value::Null,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use accrue_event::RawEvent;
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::{Entry, ReadSettings, Reader};

    fn write(path: &Path) {
        let schema = "message events { required binary type (UTF8); optional binary user (UTF8); required int64 item; \
                      required int64 at (TIMESTAMP_MILLIS); required double price; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let mut file = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = file.next_row_group().unwrap();
        let texts = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts(&["view", "view"]), None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts(&["u1"]), Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        for numbers in [[7, 8], [1_700_000_000_000, 1_700_000_001_000]] {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[9.5, 0.0], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        file.close().unwrap();
    }

    #[test]
    fn columns_become_fields_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.parquet");
        write(&path);
        let mut reader = Reader::open(&path, &ReadSettings::default(), &Progress::default()).unwrap();
        let entries = reader.next_batch(10).unwrap().entries;
        let shown: Vec<String> = entries
            .into_iter()
            .map(|entry| match entry {
                Entry::Event(event, _) => RawEvent { id: RawValue::Null, ..event }.to_json(),
                other => format!("{other:?}"),
            })
            .collect();
        let expected = [
            r#"{"type":"view","user":"u1","item":7,"at":1700000000000,"price":9.5}"#,
            r#"{"type":"view","item":8,"at":1700000001000,"price":0.0}"#,
        ];
        assert_eq!(shown, expected);
        std::fs::write(&path, "PAR1 and nothing else").unwrap();
        let error = Reader::open(&path, &ReadSettings::default(), &Progress::default()).err().unwrap().to_string();
        assert!(error.contains("not readable as Parquet"), "{error}");
    }
}
