//! `user item time` or `user item rating time` per line, in columns separated by spaces or tabs, in any order of lines.
//!
//! A first line whose last word is not a number is a header; it may name other positions for `rating` and `time…`.
//! Without a header, a file of four columns has the rating before the time. Times are numbers of any unit, of which
//! only the order matters. If a pair occurs several times, each is a choice, and the latest rating is used.

use std::path::Path;

use super::Vocabulary;
use super::lines::{LineFault, ReadError, for_each_line, id, number, shown};

const EXPECTED: &str =
    "`user item time` or `user item rating time` per line, rating and time numbers, with or without a header line";

/// One choice with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// The index of the user.
    pub user: u32,
    /// The index of the item.
    pub item: u32,
    /// The rating; 0 in a file without ratings.
    pub rating: f32,
    /// The time.
    pub time: f64,
}

/// The indices of the columns.
#[derive(Clone, Copy)]
struct Columns {
    rating: Option<usize>,
    time: usize,
    n: usize,
}

impl Columns {
    fn of_header(words: &[&str]) -> Result<Self, LineFault> {
        let at = |name: &str| words.iter().position(|word| word.to_ascii_lowercase().starts_with(name));
        let time = at("time").ok_or(LineFault::NoColumn("time"))?;
        Ok(Self { rating: at("rating"), time, n: words.len() })
    }

    fn of_line(words: &[&str]) -> Result<Self, LineFault> {
        match words.len() {
            3 => Ok(Self { rating: None, time: 2, n: 3 }),
            4 => Ok(Self { rating: Some(2), time: 3, n: 4 }),
            n => Err(LineFault::Words(n)),
        }
    }
}

/// Reads choices in time order, then file order. `users` and `items` assign indices to new names.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_timed(path: &Path, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<Vec<Timed>, ReadError> {
    let mut rows: Vec<Timed> = Vec::new();
    let mut columns: Option<Columns> = None;
    for_each_line(path, EXPECTED, |_, text| {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let Columns { rating, time, n } = match columns {
            Some(columns) => columns,
            None if words.last().is_some_and(|word| word.parse::<f64>().is_err()) => {
                columns = Some(Columns::of_header(&words)?);
                return Ok(());
            }
            None => *columns.insert(Columns::of_line(&words)?),
        };
        if words.len() != n {
            return Err(LineFault::OtherWords { found: words.len(), others: n });
        }
        let at = words[time].parse::<f64>().ok().filter(|time| time.is_finite());
        rows.push(Timed {
            user: users.number(id(words[0])?),
            item: items.number(id(words[1])?),
            rating: rating.map_or(Ok(0.0), |column| number(words[column]))?,
            time: at.ok_or_else(|| LineFault::NotATime(shown(words[time])))?,
        });
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(ReadError::Empty { path: path.into(), expected: EXPECTED });
    }
    rows.sort_by(|a, b| a.time.total_cmp(&b.time));
    Ok(rows)
}

/// Splits `rows`, which are in time order, into the earlier ones and the last `share`. The split is between two times,
/// so that rows with equal times stay together, in the later part.
pub fn split_by_time(rows: &[Timed], share: f64) -> (&[Timed], &[Timed]) {
    let at = (rows.len() as f64 * (1.0 - share)) as usize;
    let cut = rows.get(at).map_or(f64::INFINITY, |row| row.time);
    rows.split_at(rows.partition_point(|row| row.time < cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(times: &[f64]) -> Vec<Timed> {
        times.iter().map(|&time| Timed { user: 0, item: 0, rating: 0.0, time }).collect()
    }

    #[test]
    fn rows_with_equal_times_are_never_separated() {
        let sizes = |times: &[f64], share| {
            let rows = rows(times);
            let (before, after) = split_by_time(&rows, share);
            (before.len(), after.len())
        };
        assert_eq!(sizes(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.2), (4, 1));
        assert_eq!(sizes(&[1.0, 2.0, 4.0, 4.0, 4.0], 0.2), (2, 3));
        assert_eq!(sizes(&[7.0; 5], 0.2), (0, 5));
        assert_eq!(sizes(&[], 0.2), (0, 0));
    }
}
