//! `user item rating …` per line, in columns separated by spaces or tabs; further columns are ignored and a header line
//! is skipped.
//!
//! A first line whose third word is not a number is a header. If a pair occurs several times, the last rating is used.

use std::collections::HashMap;
use std::path::Path;

use super::Vocabulary;
use super::lines::{LineFault, ReadError, for_each_line, id, number};

const EXPECTED: &str = "`user item rating` per line, the rating a number, with or without a header line";

/// The contents of such a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RatingFile {
    /// `(user, item, rating)`, each pair once, at its first position.
    pub ratings: Vec<(u32, u32, f32)>,
    /// Number of lines with a pair that had occurred before.
    pub n_duplicate_lines: u64,
}

impl RatingFile {
    /// Of rows: each pair once, at its first position, with its last rating.
    pub(super) fn of(rows: impl Iterator<Item = (u32, u32, f32)>) -> Self {
        let (mut read, mut places) = (Self::default(), HashMap::new());
        rows.for_each(|row| read.push(row, &mut places));
        read
    }

    fn push(&mut self, (user, item, rating): (u32, u32, f32), places: &mut HashMap<(u32, u32), usize>) {
        match places.get(&(user, item)) {
            Some(&place) => {
                self.ratings[place].2 = rating;
                self.n_duplicate_lines += 1;
            }
            None => {
                places.insert((user, item), self.ratings.len());
                self.ratings.push((user, item, rating));
            }
        }
    }
}

/// Reads ratings. `users` and `items` assign indices to new names.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_ratings(path: &Path, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<RatingFile, ReadError> {
    let mut read = RatingFile::default();
    let mut places: HashMap<(u32, u32), usize> = HashMap::new();
    let mut is_first = true;
    for_each_line(path, EXPECTED, |_, text| {
        let mut words = text.split_ascii_whitespace();
        let (Some(user), Some(item), Some(rating)) = (words.next(), words.next(), words.next()) else {
            return Err(LineFault::Words(text.split_ascii_whitespace().count()));
        };
        let rating = match number(rating) {
            Err(_) if std::mem::take(&mut is_first) && rating.parse::<f32>().is_err() => return Ok(()),
            rating => rating?,
        };
        is_first = false;
        read.push((users.number(id(user)?), items.number(id(item)?), rating), &mut places);
        Ok(())
    })?;
    if read.ratings.is_empty() {
        return Err(ReadError::Empty { path: path.into(), expected: EXPECTED });
    }
    Ok(read)
}
