//! `user item item …`, one line per user; or `user item`, one line per choice, in time order.
//!
//! A file whose lines all have two words is read as pairs; for unique users both readings are the same. A repeated line
//! is read once and counted. A second, different line of a user is an error, because the file then has another format.

use std::path::Path;

use super::Vocabulary;
use super::lines::{LineFault, ReadError, for_each_line, id, shown};

const EXPECTED: &str = "one line `user item item …` per user, words between spaces (a file of ratings is for --protocol ratings or sampled)";

/// The contents of such a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFile {
    /// Items by user index, oldest first; users of other files have an empty history here.
    pub histories: Vec<Vec<u32>>,
    /// Number of repeated lines.
    pub n_duplicate_lines: u64,
}

/// Reads histories. `users` and `items` assign indices to new names.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_histories(path: &Path, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<HistoryFile, ReadError> {
    struct Row {
        line: usize,
        user: u32,
        items: Vec<u32>,
    }
    let mut rows: Vec<Row> = Vec::new();
    for_each_line(path, EXPECTED, |line, text| {
        let mut words = text.split_ascii_whitespace();
        let user = users.number(id(words.next().unwrap_or_default())?);
        let items = words.map(|word| Ok(items.number(id(word)?))).collect::<Result<Vec<u32>, LineFault>>()?;
        rows.push(Row { line, user, items });
        Ok(())
    })?;
    let mut histories = vec![Vec::new(); users.len()];
    if rows.iter().all(|row| row.items.len() == 1) {
        for row in rows {
            histories[row.user as usize].extend(row.items);
        }
        return Ok(HistoryFile { histories, n_duplicate_lines: 0 });
    }
    let mut first_lines = vec![0; users.len()];
    let mut n_duplicate_lines = 0;
    for row in rows {
        let (first, history) = (&mut first_lines[row.user as usize], &mut histories[row.user as usize]);
        if *first == 0 {
            *first = row.line;
            *history = row.items;
        } else if *history == row.items {
            n_duplicate_lines += 1;
        } else {
            let user = shown(users.name(row.user).unwrap_or_default());
            let found = LineFault::SecondLine { user, first: *first };
            return Err(ReadError::Line { path: path.into(), line: row.line, found, expected: EXPECTED });
        }
    }
    Ok(HistoryFile { histories, n_duplicate_lines })
}
