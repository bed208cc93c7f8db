//! Labelled rows of features: `label feature feature …` a line, as libFM, LIBSVM and libFFM write them.
//!
//! In: files, plain or compressed with zstd; also tables with a header (`click_table.rs`). Out: rows of numbered
//! features. The label is 1, or 0 or −1. A feature is
//!
//! ```text
//! name                a category                    451   city=London
//! name:number         a measured value              price:12.5   (`price:` and `price:nan` are missing)
//! name:1              a category, if no line gives it another number (libFM's and LIBSVM's indicators)
//! field:name:number   with its field, as in libFFM  2:451:1
//! ```
//!
//! *Fields*, which networks put side by side, are the columns if every line has the same number of features and none
//! changes its column; of libFFM's form the ones that are named; otherwise all features are one field. A bare name in
//! another column is another feature. A measured value is standardised; what is missing or absent is the mean. Features
//! that no training line has are left out and counted.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;

use accrue_model::ranker::{ClickRows, ClickShape, Feature, Moments};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::click_table::ClickTable;
use super::lines::{LineFault, ReadError, for_each_line, number, shown};

const EXPECTED: &str = "`label feature feature …` per line; the label is 1, 0 or -1, a feature `name` or `name:number`";

/// How the features of a line belong to fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldsBy {
    /// A line has this many columns, and each is a field.
    Column(usize),
    /// Each feature names its field.
    Name,
    /// All features are one field.
    Nothing,
}

/// A hash that is one already.
#[derive(Clone, Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 are hashed");
    }

    fn write_u64(&mut self, x: u64) {
        self.0 = x;
    }
}

/// Numbers of names by their hashes, in the order of their first occurrence. Only looked up, never iterated.
type Numbers = HashMap<u64, u32, BuildHasherDefault<Same>>;

/// Reads files of one form, and numbers their features alike.
#[derive(Clone, Debug)]
pub struct ClickReader {
    by: FieldsBy,
    /// The columns, if the files have headers.
    table: Option<ClickTable>,
    fields: Numbers,
    features: Numbers,
    /// Of each feature the values so far, if it is measured.
    moments: Vec<Option<Moments>>,
    /// Features that were left out because the training file does not have them.
    n_unknown: u64,
}

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFor {
    /// To learn from as a whole: values are standardised by all of its values.
    Training,
    /// To be predicted and learned line by line: values are standardised by those of earlier lines.
    Stream,
    /// To be predicted: new features are left out.
    Test,
}

impl ClickReader {
    /// Finds out the form of a training file.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read.
    pub fn of(path: &Path) -> Result<Self, ReadError> {
        let table = ClickTable::of(path)?;
        Ok(Self {
            by: match &table {
                Some(table) => FieldsBy::Column(table.n_columns()),
                None => fields_of(path)?,
            },
            table,
            fields: Numbers::default(),
            features: Numbers::default(),
            moments: Vec::new(),
            n_unknown: 0,
        })
    }

    /// How features belong to fields.
    pub fn by(&self) -> FieldsBy {
        self.by
    }

    /// Number of fields and features.
    pub fn shape(&self) -> ClickShape {
        let n_fields = match self.by {
            FieldsBy::Column(n) => n,
            FieldsBy::Name => self.fields.len(),
            FieldsBy::Nothing => 1,
        };
        ClickShape { n_fields, n_rows: self.features.len() }
    }

    /// Features that were left out because the training file does not have them.
    pub fn n_unknown(&self) -> u64 {
        self.n_unknown
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read or a line has another form.
    pub fn read(&mut self, path: &Path, purpose: ReadFor) -> Result<ClickRows, ReadError> {
        let mut rows = ClickRows::default();
        let mut features: Vec<Feature> = Vec::new();
        let (table, mut places) = (self.table.clone(), None);
        for_each_line(path, EXPECTED, |_, line| {
            let row = match (&table, &places) {
                (None, _) => Cow::Borrowed(line),
                (Some(table), Some(places)) => table.line(line, places)?.into(),
                (Some(table), None) => {
                    places = Some(table.places(line)?);
                    return Ok(());
                }
            };
            let mut words = row.split_ascii_whitespace();
            let label = label(words.next().unwrap_or_default())?;
            features.clear();
            let mut n_words = 0;
            for (place, word) in words.enumerate() {
                n_words += 1;
                features.extend(self.feature(Token::of(word)?, place, purpose));
            }
            match self.by {
                FieldsBy::Column(n) if n != n_words => {
                    return Err(LineFault::OtherWords { found: n_words + 1, others: n + 1 });
                }
                _ => {}
            }
            rows.push(label, features.drain(..));
            Ok(())
        })?;
        if purpose != ReadFor::Stream {
            self.standardise(&mut rows);
        }
        Ok(rows)
    }

    /// The feature of a token; `None` if it is new and may not be.
    fn feature(&mut self, token: Token<'_>, place: usize, purpose: ReadFor) -> Option<Feature> {
        let is_fixed = purpose == ReadFor::Test;
        let field = match (self.by, token.field) {
            (FieldsBy::Column(_), _) => Some(place as u32),
            (FieldsBy::Name, Some(field)) => {
                number_of(&mut self.fields, xxh3_64_with_seed(field.as_bytes(), 0), is_fixed)
            }
            _ => Some(0),
        };
        // A name in another column, or of another field, is another feature.
        let seed = match (self.by, field) {
            (FieldsBy::Nothing, _) | (_, None) => 0,
            (_, Some(field)) => u64::from(field) + 1,
        };
        let row = number_of(&mut self.features, xxh3_64_with_seed(token.name.as_bytes(), seed), is_fixed);
        let (Some(field), Some(row)) = (field, row) else {
            self.n_unknown += 1;
            return None;
        };
        if row as usize == self.moments.len() {
            self.moments.push(None);
        }
        let moments = &mut self.moments[row as usize];
        let Some(x) = token.value else { return Some(Feature { field, row, value: 1.0 }) };
        if x != 1.0 && !is_fixed {
            moments.get_or_insert_default();
        }
        let mut value = x;
        if let Some(moments) = moments {
            if purpose == ReadFor::Stream {
                value = moments.standardised(f64::from(x));
            }
            if !is_fixed {
                moments.observe(f64::from(x));
            }
        }
        // A feature that is measured nowhere in the training file may be so in the test; without a scale it says only
        // that it is there.
        let value = if moments.is_none() && is_fixed { 1.0 } else { value };
        Some(Feature { field, row, value })
    }

    /// Standardises the values of measured features by all values of the training file.
    fn standardise(&self, rows: &mut ClickRows) {
        for index in 0..rows.len() {
            for feature in rows.features_mut(index) {
                if let Some(moments) = &self.moments[feature.row as usize] {
                    feature.value = moments.standardised(f64::from(feature.value));
                }
            }
        }
    }
}

/// The number of a name; a new one gets the next, or none if numbers are fixed.
fn number_of(numbers: &mut Numbers, name: u64, is_fixed: bool) -> Option<u32> {
    let next = numbers.len() as u32;
    if is_fixed { numbers.get(&name).copied() } else { Some(*numbers.entry(name).or_insert(next)) }
}

/// The label of a line.
fn label(word: &str) -> Result<f32, LineFault> {
    match word {
        "1" | "+1" | "1.0" => Ok(1.0),
        "0" | "-1" | "0.0" | "-1.0" => Ok(0.0),
        other => Err(LineFault::Label(shown(other))),
    }
}

/// One feature as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token<'a> {
    field: Option<&'a str>,
    name: &'a str,
    /// `NaN` if the number is missing; `None` if there is none.
    value: Option<f32>,
}

impl<'a> Token<'a> {
    fn of(word: &'a str) -> Result<Self, LineFault> {
        let Some((before, value)) = word.rsplit_once(':') else {
            return Ok(Self { field: None, name: word, value: None });
        };
        let (field, name) = before.split_once(':').map_or((None, before), |(field, name)| (Some(field), name));
        if name.is_empty() || field.is_some_and(str::is_empty) {
            return Err(LineFault::Feature(shown(word)));
        }
        let is_missing = value.is_empty() || value.eq_ignore_ascii_case("nan");
        let value = if is_missing { f32::NAN } else { number(value)? };
        Ok(Self { field, name, value: Some(value) })
    }
}

/// How the features of a file belong to fields.
fn fields_of(path: &Path) -> Result<FieldsBy, ReadError> {
    let mut width = None;
    let (mut are_equal, mut all_named, mut keep_columns) = (true, true, true);
    let mut column_of = Numbers::default();
    for_each_line(path, EXPECTED, |_, line| {
        let mut n_words = 0;
        for word in line.split_ascii_whitespace().skip(1) {
            let token = Token::of(word)?;
            all_named &= token.field.is_some();
            // A bare name in two columns is two features, but a number before a colon is one.
            if token.value.is_some() && are_equal && keep_columns {
                let place = column_of.entry(xxh3_64_with_seed(token.name.as_bytes(), 0)).or_insert(n_words);
                keep_columns &= *place == n_words;
            }
            n_words += 1;
        }
        all_named &= n_words > 0;
        are_equal &= *width.get_or_insert(n_words) == n_words;
        Ok(())
    })?;
    Ok(match width {
        Some(n) if n > 0 && all_named => FieldsBy::Name,
        Some(n) if n > 0 && are_equal && keep_columns => FieldsBy::Column(n as usize),
        _ => FieldsBy::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("the file is written");
        file
    }

    fn read(text: &str, purpose: ReadFor) -> (ClickReader, ClickRows) {
        let file = file(text);
        let mut reader = ClickReader::of(file.path()).expect("a form");
        let rows = reader.read(file.path(), purpose).expect("rows");
        (reader, rows)
    }

    fn fault(text: &str) -> String {
        let file = file(text);
        let mut reader = match ClickReader::of(file.path()) {
            Ok(reader) => reader,
            Err(error) => return error.to_string(),
        };
        reader.read(file.path(), ReadFor::Training).expect_err("a fault").to_string()
    }

    #[test]
    fn lines_of_equal_width_have_a_field_for_each_column() {
        let (reader, rows) = read("1 7 7 home\n-1 8 7 cart\n", ReadFor::Training);
        assert_eq!((reader.by(), reader.shape()), (FieldsBy::Column(3), ClickShape { n_fields: 3, n_rows: 5 }));
        assert_eq!(rows.labels(), [1.0, 0.0]);
        let numbers = |index| rows.features(index).iter().map(|f| (f.field, f.row)).collect::<Vec<_>>();
        assert_eq!(numbers(0), [(0, 0), (1, 1), (2, 2)], "7 in two columns is two features");
        assert_eq!(numbers(1), [(0, 3), (1, 1), (2, 4)]);
    }

    #[test]
    fn numbers_before_a_colon_are_the_same_feature_in_any_column() {
        let (reader, rows) = read("1 3:1 5:1\n0 5:1 9:1\n", ReadFor::Training);
        assert_eq!((reader.by(), reader.shape()), (FieldsBy::Nothing, ClickShape { n_fields: 1, n_rows: 3 }));
        assert_eq!(rows.features(0)[1].row, rows.features(1)[0].row);
        assert!((0..2).all(|row| rows.features(row).iter().all(|feature| feature.value == 1.0)));
        let (reader, _) = read("1 0:3:1 1:5:1\n0 1:9:1\n", ReadFor::Training);
        assert_eq!((reader.by(), reader.shape()), (FieldsBy::Name, ClickShape { n_fields: 2, n_rows: 3 }));
    }

    #[test]
    fn measured_values_are_standardised_by_the_training_file_and_missing_ones_are_the_mean() {
        let text = "1 a price:10\n0 b price:20\n0 b price:30\n1 a price:\n";
        let (mut reader, rows) = read(text, ReadFor::Training);
        let prices: Vec<f32> = (0..4).map(|row| rows.features(row)[1].value).collect();
        assert!((prices[0] + 1.224_745).abs() < 1e-5 && prices[1] == 0.0 && prices[3] == 0.0, "{prices:?}");
        let test = file("1 a price:1e9\n0 new price:20\n");
        let test = reader.read(test.path(), ReadFor::Test).expect("rows");
        assert_eq!((test.features(0)[1].value, test.features(1).len(), reader.n_unknown()), (4.0, 1, 1));
        // In a stream the first value has no mean yet.
        let (_, rows) = read(text, ReadFor::Stream);
        assert_eq!((rows.features(0)[1].value, rows.features(1)[1].value), (0.0, 0.0));
        assert!(rows.features(2)[1].value > 2.0);
    }

    #[test]
    fn a_table_with_a_header_is_read_as_the_same_rows_without_one() {
        let plain = read("1 7 home price:10.5\n0 8 cart price:\n", ReadFor::Training);
        let table = read("clicked,user,page,price\n1,7,home,10.5\n0,8,cart,\n", ReadFor::Training);
        assert_eq!((table.0.by(), table.0.shape()), (plain.0.by(), plain.0.shape()));
        for row in 0..2 {
            assert_eq!(table.1.features(row), plain.1.features(row));
        }
        assert_eq!(table.1.labels(), plain.1.labels());
        let mut reader = table.0;
        let test = file("price,user,clicked,page\n10.5,7,1,home\n");
        assert_eq!(reader.read(test.path(), ReadFor::Test).expect("rows").features(0), plain.1.features(0));
    }

    #[test]
    fn faults_name_the_line_and_what_was_expected() {
        for (text, part) in
            [("2 a b\n", "label"), ("1 a b\n1 :3 b\n", "line 2"), ("1 a:x\n", "`x` is not a number"), ("", "empty")]
        {
            assert!(fault(text).contains(part), "{text:?}: {}", fault(text));
        }
        let file_of_two = file("1 a b\n");
        let mut reader = ClickReader::of(file_of_two.path()).expect("a form");
        let wider = file("1 a b c\n");
        let error = reader.read(wider.path(), ReadFor::Test).expect_err("another width").to_string();
        assert!(error.contains("4 words, but other lines have 3"), "{error}");
    }
}
