//! Labelled rows as tables with a header: CSV, TSV, or with semicolons.
//!
//! In: a line of cells. Out: the same row as `label feature feature …`, the form of files without a header. A column
//! whose values are numbers, one of them with a fraction, is measured (`price:12.5`); the values of all others are
//! categories, so that numbers that are ids or hours stay apart.

use std::borrow::Cow;
use std::io::{BufRead as _, Read as _};
use std::path::Path;

use super::lines::{LineFault, ReadError, for_each_line, open};

const EXPECTED: &str =
    "a table with a header, one of whose columns is `label` (or `click`, `clicked`, `target`) with 1 or 0";
/// Names of the label's column, in lower case and without separators.
const LABELS: [&str; 11] = [
    "label",
    "click",
    "clicked",
    "isclick",
    "isclicked",
    "target",
    "y",
    "converted",
    "conversion",
    "purchased",
    "bought",
];
/// Longest header.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// What stands for a category that is missing.
const MISSING: &str = "-";

/// The columns of a training file. Other files have the same ones, in any order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClickTable {
    delimiter: char,
    label: String,
    columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    is_measured: bool,
}

/// Where the label and the columns are in the rows of one file.
pub(super) struct Places {
    label: usize,
    columns: Vec<usize>,
    width: usize,
}

impl ClickTable {
    /// The table that a file is; `None` if its first line is no header.
    pub fn of(path: &Path) -> Result<Option<Self>, ReadError> {
        let broken = |source| ReadError::Broken { path: path.into(), line: 1, source };
        let mut first = Vec::new();
        let mut input = open(path).map_err(|source| ReadError::Open { path: path.into(), source })?;
        (&mut input).take(MAX_HEADER_BYTES).read_until(b'\n', &mut first).map_err(broken)?;
        let first = String::from_utf8_lossy(&first);
        let wrong = |found| ReadError::Line { path: path.into(), line: 1, found, expected: EXPECTED };
        let line = first.strip_prefix('\u{feff}').unwrap_or(&first).trim_end();
        let Some(mut table) = header(line).map_err(wrong)? else { return Ok(None) };
        let places = table.places(line).map_err(wrong)?;
        // Whether all values of a column are numbers, and one of them has a fraction.
        let mut kinds: Vec<(bool, bool)> = vec![(true, false); table.columns.len()];
        for_each_line(path, EXPECTED, |number, line| {
            let cells = table.cells(line, &places)?;
            for (kind, &place) in kinds.iter_mut().zip(&places.columns).filter(|_| number > 1) {
                let cell = cells[place].trim();
                if !cell.is_empty() && !is_missing(cell) {
                    kind.0 &= cell.parse::<f64>().is_ok_and(|number| number.is_finite());
                    kind.1 |= cell.contains(['.', 'e', 'E']);
                }
            }
            Ok(())
        })?;
        for (column, (is_number, has_fraction)) in table.columns.iter_mut().zip(kinds) {
            column.is_measured = is_number && has_fraction;
        }
        Ok(Some(table))
    }

    /// The number of columns beside the label.
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// Finds the columns in the header of a file.
    pub fn places(&self, line: &str) -> Result<Places, LineFault> {
        let names = cells(line, self.delimiter);
        let place = |name: &str| {
            let found = names.iter().position(|known| known.trim() == name);
            found.ok_or_else(|| LineFault::NoNamedColumn(name.to_owned()))
        };
        let columns = self.columns.iter().map(|column| place(&column.name)).collect::<Result<_, _>>()?;
        Ok(Places { label: place(&self.label)?, columns, width: names.len() })
    }

    /// A row as `label feature feature …`.
    pub fn line(&self, line: &str, places: &Places) -> Result<String, LineFault> {
        let cells = self.cells(line, places)?;
        let label = cells[places.label].trim();
        let mut text = match label.to_lowercase().as_str() {
            "true" | "yes" => "1".to_owned(),
            "false" | "no" => "0".to_owned(),
            _ => label.to_owned(),
        };
        for (column, &place) in self.columns.iter().zip(&places.columns) {
            let cell = cells[place].trim();
            text.push(' ');
            match (column.is_measured, cell.is_empty() || is_missing(cell)) {
                (true, true) => text.push_str(&format!("{}:", word(&column.name))),
                (true, false) => text.push_str(&format!("{}:{cell}", word(&column.name))),
                (false, true) => text.push_str(MISSING),
                (false, false) => text.push_str(&word(cell)),
            }
        }
        Ok(text)
    }

    fn cells<'l>(&self, line: &'l str, places: &Places) -> Result<Vec<Cow<'l, str>>, LineFault> {
        let cells = cells(line, self.delimiter);
        if cells.len() != places.width {
            return Err(LineFault::OtherWords { found: cells.len(), others: places.width });
        }
        Ok(cells)
    }
}

/// Whether a cell says that there is no value.
fn is_missing(cell: &str) -> bool {
    ["nan", "null", "none", "na"].iter().any(|none| cell.eq_ignore_ascii_case(none))
}

/// A text as one word of a line, without the sign that stands before a number.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() || c == ':' { '_' } else { c }).collect()
}

/// The table that a first line is the header of.
fn header(line: &str) -> Result<Option<ClickTable>, LineFault> {
    // Labelled rows begin with the label, also where one of their values has a comma in it.
    let is_labelled = line.split_whitespace().next().is_some_and(|label| label.parse::<f64>().is_ok());
    let delimiter = ['\t', ',', ';'].into_iter().find(|delimiter| line.contains(*delimiter));
    let Some(delimiter) = delimiter.filter(|_| !is_labelled) else { return Ok(None) };
    let names: Vec<String> = cells(line, delimiter).iter().map(|name| name.trim().to_owned()).collect();
    if names.iter().any(|name| name.parse::<f64>().is_ok() || name.is_empty()) {
        return Ok(None);
    }
    let compact = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let label = LABELS.iter().find_map(|label| names.iter().find(|name| compact(name) == *label));
    let label = label.cloned().ok_or(LineFault::NoColumn("label"))?;
    let columns = names.into_iter().filter(|name| *name != label).map(|name| Column { name, is_measured: false });
    Ok(Some(ClickTable { delimiter, columns: columns.collect(), label }))
}

/// The cells of a row. A cell may be enclosed in quotation marks, which are doubled inside.
fn cells(line: &str, delimiter: char) -> Vec<Cow<'_, str>> {
    let (mut cells, mut rest) = (Vec::new(), Some(line));
    while let Some(text) = rest {
        let Some(quoted) = text.strip_prefix('"') else {
            let (cell, after) = text.split_once(delimiter).map_or((text, None), |(cell, after)| (cell, Some(after)));
            cells.push(cell.into());
            rest = after;
            continue;
        };
        let mut cell = String::new();
        let mut parts = quoted.split('"').peekable();
        let mut end = 0;
        while let Some(part) = parts.next() {
            cell.push_str(part);
            end += part.len() + 1;
            match parts.peek() {
                Some(&"") if quoted[end.min(quoted.len())..].starts_with('"') => {
                    cell.push('"');
                    parts.next();
                    end += 1;
                }
                _ => break,
            }
        }
        let after = quoted.get(end..).unwrap_or_default();
        cells.push(cell.into());
        rest = after.split_once(delimiter).map(|(_, after)| after);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("the file is written");
        file
    }

    #[test]
    fn cells_may_be_enclosed() {
        let check = |line: &str, expected: &[&str]| assert_eq!(cells(line, ','), expected, "{line}");
        check("a,b,,c", &["a", "b", "", "c"]);
        check("\"a, b\",c", &["a, b", "c"]);
        check("\"say \"\"hi\"\"\",c,\"\"", &["say \"hi\"", "c", ""]);
        check("\"open,c", &["open,c"]);
        check("", &[""]);
    }

    #[test]
    fn a_header_tells_the_label_and_the_numbers_that_are_measured() {
        let text = "user,clicked,hour,price,colour\n7,1,23,12.5,\"dark, red\"\n8,0,,,blue\n";
        let table = ClickTable::of(file(text).path()).unwrap().unwrap();
        let measured: Vec<&str> =
            table.columns.iter().filter(|column| column.is_measured).map(|column| &*column.name).collect();
        assert_eq!((table.label.as_str(), measured), ("clicked", vec!["price"]));
        let places = table.places("user,clicked,hour,price,colour").unwrap();
        assert_eq!(table.line("7,1,23,12.5,\"dark, red\"", &places).unwrap(), "1 7 23 price:12.5 dark,_red");
        assert_eq!(table.line("8,No,,,a:b", &places).unwrap(), "0 8 - price: a_b");
        // Another file has its columns in another order.
        let places = table.places("colour,price,hour,user,clicked").unwrap();
        assert_eq!(table.line("blue,3,4,7,true", &places).unwrap(), "1 7 4 price:3 blue");
        assert!(table.places("user,clicked").is_err() && table.line("1,2", &places).is_err());
    }

    #[test]
    fn files_without_a_header_are_no_tables() {
        for text in ["1 a b\n", "1 a,b c\n", "0 3:1 5:1\n", "1\t7\t8\n"] {
            assert_eq!(ClickTable::of(file(text).path()).unwrap(), None, "{text}");
        }
        let error = ClickTable::of(file("user,item,price\n1,2,3\n").path()).unwrap_err().to_string();
        assert!(error.contains("label"), "{error}");
    }
}
