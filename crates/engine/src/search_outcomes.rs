//! What came of searches, read from the log.
//!
//! In: the log of the folder, from at most [`WINDOW`] records back. Out: counts of searches and their reformulations.
//! What was read is kept in memory and read on from there; after people were forgotten it is read anew without them.

use accrue_store::{LogReader, Offset, Reformulations};
use parking_lot::Mutex;

use crate::error::EngineError;

/// Records that are read, at most: the latest.
const WINDOW: u64 = 5_000_000;
/// Records read at once.
const CHUNK: usize = 4_096;

/// What came of searches, as far as the log was read.
pub(crate) struct SearchOutcomes(Mutex<Read>);

struct Read {
    log: LogReader,
    from: Option<Offset>,
    found: Reformulations,
}

impl SearchOutcomes {
    pub fn new(log: LogReader) -> Self {
        Self(Mutex::new(Read { log, from: None, found: Reformulations::default() }))
    }

    /// Reads on to the end of the log.
    pub fn with<T>(&self, read: impl FnOnce(&Reformulations) -> T) -> Result<T, EngineError> {
        let mut state = self.0.lock();
        let Read { log, from, found } = &mut *state;
        *from = Some(read_on(log, *from, found)?);
        Ok(read(found))
    }
}

fn read_on(log: &mut LogReader, from: Option<Offset>, found: &mut Reformulations) -> Result<Offset, EngineError> {
    let (start, end) = (log.start(), log.end());
    let mut at = from.unwrap_or(Offset(end.0.saturating_sub(WINDOW))).max(start);
    while at < end {
        let next = log.read(at, CHUNK, |record| found.observe(&record))?;
        if next == at {
            break;
        }
        at = next;
    }
    Ok(at)
}

/// What came of the searches of a log.
///
/// # Errors
/// If the log cannot be read.
pub fn search_outcomes(log: &mut LogReader) -> Result<Reformulations, EngineError> {
    let mut found = Reformulations::default();
    read_on(log, None, &mut found)?;
    Ok(found)
}
