//! One commit: records are appended, made durable, and applied to the facts before anything is answered.

use std::sync::Arc;

use accrue_event::{Check, Timestamp};
use accrue_store::{Body, Detached, Log, LogReader, Offset, Record};
use accrue_train::find_look_back;

use super::job::Edit;
use crate::clock::ArrivalClock;
use crate::error::EngineError;
use crate::shared::Shared;

/// What the writer's thread works with. The thread is the only one that appends to the log.
pub(crate) struct Writer {
    pub log: Log,
    pub reader: LogReader,
    pub check: Check,
    pub shared: Arc<Shared>,
    pub clock: ArrivalClock,
}

impl Writer {
    pub fn new(log: Log, check: Check, shared: Arc<Shared>) -> Self {
        let mut reader = log.reader();
        let last = log.end().0.checked_sub(1).filter(|last| *last >= log.start().0);
        let last = last.and_then(|last| reader.get(Offset(last)).ok().flatten());
        Self { reader, log, check, shared, clock: ArrivalClock::new(last.map(|record| record.received_at)) }
    }

    /// Appends the records and the answers that wait to be recorded, in this order, and applies them to the facts. Returns the offset
    /// of the first.
    pub fn commit(&mut self, received_at: Timestamp, mut bodies: Vec<Body>) -> Result<Offset, EngineError> {
        bodies.extend(self.shared.served.take());
        let offsets = match self.log.append(received_at, &bodies) {
            Ok(offsets) => offsets,
            Err(error) => {
                let cause = error.to_string();
                self.shared.poison(&cause);
                return Err(EngineError::Poisoned(cause));
            }
        };
        if !bodies.is_empty() {
            let records = (offsets.start.0..).zip(bodies);
            let records = records.map(|(offset, body)| Record { offset: Offset(offset), received_at, body });
            self.shared.apply(records);
        }
        Ok(offsets.start)
    }

    /// Commits what an edit makes; returns the end of its records.
    pub fn edit(&mut self, edit: Edit) -> Result<Offset, EngineError> {
        let bodies = edit(&self.shared.facts.read(), &self.check)?;
        let n_records = bodies.len() as u64;
        let start = self.commit(self.clock.stamp(), bodies)?;
        Ok(Offset(start.0 + n_records))
    }

    /// Takes the segments before `cut` out of the log, if no record from `searched` on looks back at them. Nothing is appended
    /// meanwhile, so none can come between.
    pub fn detach(&mut self, cut: Offset, searched: Offset) -> Result<Option<Detached>, EngineError> {
        let end = self.log.end();
        let looks_back = find_look_back(&mut self.reader, searched..end, cut)?;
        Ok(looks_back.is_none().then(|| self.log.detach(cut)))
    }
}
