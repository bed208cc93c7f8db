//! One commit: records are appended, made durable, and applied to the facts before anything is answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use accrue_event::{Check, Event, EventId, Namespace, Timestamp};
use accrue_store::{Body, Detached, Log, LogReader, Offset, Record};
use accrue_train::find_look_back;

use super::addresses::AddressCounts;
use super::job::Edit;
use super::kept::KeptBytes;
use crate::backoff::Backoff;
use crate::clock::ArrivalClock;
use crate::error::EngineError;
use crate::in_force::campaigns::ReadCampaigns;
use crate::shared::Shared;

/// When the log is opened again after a write that failed.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// What the writer's thread works with. The thread is the only one that appends to the log.
pub(crate) struct Writer {
    pub log: Log,
    pub reader: LogReader,
    pub check: Check,
    pub shared: Arc<Shared>,
    pub clock: ArrivalClock,
    /// What events of published keys have counted for, by address.
    pub(super) addresses: AddressCounts,
    /// Bytes that each published key left in the log on this day.
    pub(super) kept: KeptBytes<Namespace>,
    pub(super) kept_of_addresses: KeptBytes<(Namespace, IpAddr)>,
    /// By which clicks are charged.
    pub(super) campaigns: ReadCampaigns,
    /// When it was last told that the newest event is ahead of the clock.
    pub(super) told_ahead: Option<Instant>,
    retry: Backoff,
}

impl Writer {
    pub fn new(log: Log, check: Check, shared: Arc<Shared>) -> Self {
        let mut reader = log.reader();
        let last = log.end().0.checked_sub(1).filter(|last| *last >= log.start().0);
        let last = last.and_then(|last| reader.get(Offset(last)).ok().flatten());
        Self {
            reader,
            log,
            check,
            shared,
            addresses: AddressCounts::default(),
            kept: KeptBytes::default(),
            kept_of_addresses: KeptBytes::default(),
            campaigns: ReadCampaigns::default(),
            told_ahead: None,
            retry: RETRY,
            clock: ArrivalClock::new(last.map(|record| record.received_at)),
        }
    }

    /// Appends the records and the answers that wait to be recorded, and applies them to the facts. Answers with sponsored
    /// items come first, because records may have charges for them, and the others last. Returns the offset of the first
    /// record.
    pub fn commit(&mut self, received_at: Timestamp, records: Vec<Body>) -> Result<Offset, EngineError> {
        if let Some(cause) = &*self.shared.poisoned.load() {
            return Err(EngineError::Poisoned(cause.to_string()));
        }
        let (mut bodies, others) = self.shared.served.take();
        let n_first = bodies.len() as u64;
        bodies.extend(records);
        bodies.extend(others);
        let committed = self.append(received_at, bodies);
        // Recorded or lost, they are no longer on their way.
        self.shared.served.settle();
        committed.map(|start| Offset(start.0 + n_first))
    }

    /// Appends records and applies them; returns the offset of the first.
    fn append(&mut self, received_at: Timestamp, bodies: Vec<Body>) -> Result<Offset, EngineError> {
        // The facts must read what a replay will read.
        let received_at = self.log.stamp(received_at);
        let offsets = match self.log.append(received_at, &bodies) {
            Ok(offsets) => offsets,
            Err(error) => {
                let cause = error.to_string();
                self.retry.fail();
                self.shared.poison(&cause);
                return Err(EngineError::Poisoned(cause));
            }
        };
        if !bodies.is_empty() {
            self.retry.succeed();
            let records = (offsets.start.0..).zip(bodies);
            let records = records.map(|(offset, body)| Record { offset: Offset(offset), received_at, body });
            self.shared.apply(records);
        }
        Ok(offsets.start)
    }

    /// Opens the log again if a write failed and the time for that has come. What a new process would find is found: records of a group
    /// that was reported as failed are applied if they are there, and the check goes on from what the log holds.
    pub fn recover_if_due(&mut self) {
        if self.shared.poisoned.load().is_none() || !self.retry.is_due() {
            return;
        }
        match self.recover() {
            Ok(()) => {
                self.shared.poisoned.store(None);
                tracing::info!("the log can be written again, and writes are accepted");
            }
            Err(error) => {
                let wait_s = self.retry.fail().as_secs();
                tracing::warn!(%error, wait_s, "the log still cannot be written; it is tried again");
                self.shared.poisoned.store(Some(Arc::new(error.to_string())));
            }
        }
    }

    fn recover(&mut self) -> Result<(), EngineError> {
        self.log.reopen()?;
        self.reader = self.log.reader();
        let mut found = Vec::new();
        let applied = self.shared.facts.read().end;
        self.reader.read(applied, usize::MAX, |record| found.push(record))?;
        if !found.is_empty() {
            self.shared.apply(found.into_iter());
        }
        self.renew_check()
    }

    /// Lets the check go on from what is in the facts: what it saw of records that were not written is forgotten.
    pub(super) fn renew_check(&mut self) -> Result<(), EngineError> {
        let statistics = self.shared.facts.read().statistics.clone();
        self.check = Check::new(self.check.settings().clone(), statistics)?;
        Ok(())
    }

    /// Commits what an edit makes; returns the end of its records.
    pub fn edit(&mut self, edit: Edit) -> Result<Offset, EngineError> {
        let bodies = edit(&self.shared.facts.read(), &self.check)?;
        let n_records = bodies.len() as u64;
        let start = self.commit(self.clock.stamp(), bodies)?;
        Ok(Offset(start.0 + n_records))
    }

    /// Which of these events the log has, in the order of `ids`. Erased ones and those of pruned segments are not found.
    pub fn has_events(&self, ids: &[EventId]) -> Result<Vec<bool>, EngineError> {
        Ok(self.log.find_events(ids)?.into_iter().map(|offset| offset.is_some()).collect())
    }

    /// These events as the log has them, in the order of `ids`.
    pub fn read_events(&mut self, ids: &[EventId]) -> Result<Vec<Option<Event>>, EngineError> {
        let offsets = self.log.find_events(ids)?;
        let mut read = |offset: Option<Offset>| -> Result<Option<Event>, EngineError> {
            let Some(record) = offset.map(|offset| self.reader.get(offset)).transpose()?.flatten() else {
                return Ok(None);
            };
            Ok(match record.body {
                Body::Event(checked) | Body::Released { event: checked, .. } => Some(checked.event),
                _ => None,
            })
        };
        offsets.into_iter().map(&mut read).collect()
    }

    /// Takes the segments before `cut` out of the log, if no record from `searched` on looks back at them. Nothing is appended
    /// meanwhile, so none can come between.
    pub fn detach(&mut self, cut: Offset, searched: Offset) -> Result<Option<Detached>, EngineError> {
        let end = self.log.end();
        let looks_back = find_look_back(&mut self.reader, searched..end, cut)?;
        Ok(looks_back.is_none().then(|| self.log.detach(cut)))
    }
}
