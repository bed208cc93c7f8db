//! Records that were learned already, read again beside the writer: for a challenger, a promotion or a release.

use accrue_store::{LogReader, Offset};
use accrue_train::{Past, Take, TrainError};

use crate::shared::Shared;

/// Records read under one lock of the facts; the writer gets its turn between two chunks.
const CHUNK: usize = 1_024;

/// The log up to any offset, resolved by facts that the writer changes meanwhile.
pub(crate) struct SharedPast<'a> {
    pub log: &'a mut LogReader,
    pub shared: &'a Shared,
}

impl Past for SharedPast<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        if from < self.log.start() && from < to {
            return Err(TrainError::PastPruned { start: self.log.start() });
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
