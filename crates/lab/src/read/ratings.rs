//! `user item rating …` a line, in columns after spaces or tabs; more columns are left alone, a header line is skipped.
//!
//! A first line whose third word is no number is a header. Where a pair comes twice, the later rating counts.

use std::collections::HashMap;
use std::path::Path;

use super::Vocabulary;
use super::lines::{ReadError, for_each_line, id, number};

const EXPECTED: &str = "`user item rating` a line, the rating a number, with a header line or without";

/// Ratings in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RatingFile {
    /// `(user, item, rating)`, each pair once, at the place where it first came.
    pub ratings: Vec<(u32, u32, f32)>,
    /// Lines whose pair had come before.
    pub n_duplicate_lines: u64,
}

/// Reads ratings; `users` and `items` number the names and grow.
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
            return Err(format!("{} words", text.split_ascii_whitespace().count()));
        };
        let rating = match number(rating) {
            Err(_) if std::mem::take(&mut is_first) && rating.parse::<f32>().is_err() => return Ok(()),
            rating => rating?,
        };
        is_first = false;
        let pair = (users.number(id(user)?), items.number(id(item)?));
        match places.get(&pair) {
            Some(&place) => {
                read.ratings[place].2 = rating;
                read.n_duplicate_lines += 1;
            }
            None => {
                places.insert(pair, read.ratings.len());
                read.ratings.push((pair.0, pair.1, rating));
            }
        }
        Ok(())
    })?;
    if read.ratings.is_empty() {
        return Err(ReadError::Empty { path: path.into(), expected: EXPECTED });
    }
    Ok(read)
}
