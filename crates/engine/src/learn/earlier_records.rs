//! Reads records again that were already learned, while the writer works: for a challenger, a promotion or a release.

use accrue_store::{LogReader, Offset};
use accrue_train::{EarlierRecords, Take, TrainError};

use crate::shared::Shared;

/// Records resolved under one lock of the facts; the writer can take the lock between two chunks.
const CHUNK: usize = 1_024;

/// The log with names resolved by facts that the writer changes meanwhile.
pub(crate) struct SharedResolvedLog<'a> {
    pub log: &'a mut LogReader,
    pub shared: &'a Shared,
}

impl EarlierRecords for SharedResolvedLog<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        if from < self.log.start() && from < to {
            return Err(TrainError::ChallengerPruned { start: self.log.start() });
        }
        let mut next = from;
        while next < to {
            let limit = CHUNK.min((to.0 - next.0) as usize);
            let mut records = Vec::with_capacity(limit);
            let read = self.log.read(next, limit, |record| records.push(record))?;
            if read == next {
                break;
            }
            next = read;
            if self.shared.must_stop() {
                return Err(TrainError::Stopped);
            }
            let resolved: Vec<_> = {
                let facts = self.shared.facts.read();
                records.iter().map(|record| facts.resolve(record)).collect()
            };
            for (record, fact) in records.iter().zip(resolved) {
                take(record.offset, record.received_at.0, fact)?;
            }
        }
        Ok(())
    }
}
