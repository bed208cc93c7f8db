//! An event as the log has it.

use accrue_event::{Event, Repair};
use serde::{Deserialize, Serialize};

/// A checked event with its repairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckedEvent {
    /// The event.
    pub event: Event,
    /// Codes of the repairs made, in order; empty for an event accepted as sent.
    pub repairs: Vec<Box<str>>,
    /// The record as it was sent (JSON), if a repair changed it.
    pub raw: Option<Box<str>>,
}

impl CheckedEvent {
    /// Whether the event is evidence of how often what is shown is clicked. One of a published key is not where its
    /// address has said the same within the hour: sessions cost nothing to invent. The writer decides, and the record
    /// says so.
    pub fn is_evidence(&self) -> bool {
        !self.has(&Repair::NoEvidence) && !self.is_for_own_pages()
    }

    /// Whether the event is for the pages of its own visitor alone, and takes no part in what others see. One of a
    /// published key is where its session said the same within the hour, or where it happened long before it arrived. The
    /// writer decides, and the record says so.
    pub fn is_for_own_pages(&self) -> bool {
        self.has(&Repair::OwnPages)
    }

    /// Whether the event tells how many shoppers come at this time of the day, by which campaigns are paced.
    pub fn is_traffic(&self) -> bool {
        !self.has(&Repair::NoTraffic) && !self.is_for_own_pages()
    }

    fn has(&self, repair: &Repair) -> bool {
        self.repairs.iter().any(|code| **code == *repair.code())
    }
}
