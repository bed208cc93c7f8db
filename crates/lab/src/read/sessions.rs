//! Sessions: `item item …` per line to learn from, and `item item … TAB next` per line as queries.

use std::path::Path;

use super::Vocabulary;
use super::lines::{LineFault, ReadError, for_each_line, id};

const TRAIN: &str = "one session per line, `item item …`";
const TEST: &str = "`item item … TAB next` per line: the beginning of a session, a tab, the next item";

/// The beginning of a session and the item that followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionQuery {
    /// The session so far, oldest first.
    pub prefix: Vec<u32>,
    /// The next item.
    pub next: u32,
}

/// Reads sessions to learn from, in file order.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_sessions(path: &Path, items: &mut Vocabulary) -> Result<Vec<Vec<u32>>, ReadError> {
    let mut sessions = Vec::new();
    for_each_line(path, TRAIN, |_, text| {
        if text.contains('\t') {
            return Err(LineFault::Tab);
        }
        sessions.push(numbers(text, items)?);
        Ok(())
    })?;
    Ok(sessions)
}

/// Reads queries, in file order.
///
/// # Errors
/// [`ReadError`] with file, line and what was expected.
pub fn read_session_queries(path: &Path, items: &mut Vocabulary) -> Result<Vec<SessionQuery>, ReadError> {
    let mut queries = Vec::new();
    for_each_line(path, TEST, |_, text| {
        let (prefix, next) = text.split_once('\t').ok_or(LineFault::NoTab)?;
        let prefix = numbers(prefix, items)?;
        queries.push(SessionQuery { prefix, next: items.number(id(next.trim())?) });
        Ok(())
    })?;
    Ok(queries)
}

fn numbers(text: &str, items: &mut Vocabulary) -> Result<Vec<u32>, LineFault> {
    text.split_ascii_whitespace().map(|word| Ok(items.number(id(word)?))).collect()
}
