//! `user item rating ts negative negative …` per line: one item to be ranked among sampled ones (He et al., WWW 2017).
//!
//! A negative item that equals the target or occurs twice is left out. A first line whose third word is not a number is
//! a header.

use std::path::Path;

use super::Vocabulary;
use super::lines::{LineFault, ReadError, for_each_line, id, number};

const EXPECTED: &str = "`user item rating ts negative negative …` per line, with or without a header line";

/// One query of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledTest {
    /// The index of the user.
    pub user: u32,
    /// The item that was chosen.
    pub item: u32,
    /// Items that were not chosen, each once.
    pub negatives: Vec<u32>,
}

/// Reads the queries. `users` and `items` assign indices to new names.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_sampled_test(
    path: &Path,
    users: &mut Vocabulary,
    items: &mut Vocabulary,
) -> Result<Vec<SampledTest>, ReadError> {
    let mut tests = Vec::new();
    let mut is_first = true;
    for_each_line(path, EXPECTED, |_, text| {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let is_header = std::mem::take(&mut is_first) && words.get(2).is_some_and(|word| word.parse::<f32>().is_err());
        if is_header {
            return Ok(());
        }
        let &[user, item, rating, _, ref negatives @ ..] = &*words else {
            return Err(LineFault::Words(words.len()));
        };
        if negatives.is_empty() {
            return Err(LineFault::NoNegatives);
        }
        number(rating)?;
        let (user, item) = (users.number(id(user)?), items.number(id(item)?));
        let mut seen = vec![item];
        for word in negatives {
            let negative = items.number(id(word)?);
            if !seen.contains(&negative) {
                seen.push(negative);
            }
        }
        tests.push(SampledTest { user, item, negatives: seen.split_off(1) });
        Ok(())
    })?;
    if tests.is_empty() {
        return Err(ReadError::Empty { path: path.into(), expected: EXPECTED });
    }
    Ok(tests)
}
