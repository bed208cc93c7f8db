//! Answers whose sponsored items can still be charged for.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{Event, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CLICK_WINDOW_MS, hash};
use crate::{Served, SponsoredSlot};

/// Answers that can still be charged for, at most, of those that the shop's own programs asked for and of those that
/// pages did.
pub(super) const WAITING: usize = 32_768;

/// Hashes of those who asked for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asker {
    user: Option<u64>,
    session: Option<u64>,
}

impl Asker {
    pub fn of(served: &Served) -> Self {
        let user = served.user.as_ref().map(|user| hash(user.as_str()));
        Self { user, session: served.session.as_ref().map(|session| hash(session.as_str())) }
    }

    /// Whether an event can be of them. Whoever was shown an answer knows its id, and a published key can name any user: its events
    /// are those of a session, and match no answer without one.
    pub fn is_of(self, event: &Event) -> bool {
        let is_session = self.session.is_some() && self.session == event.session.as_ref().map(|id| hash(id.as_str()));
        let is_user = self.user.is_some() && self.user == event.user.as_ref().map(|id| hash(id.as_str()));
        is_session || (!event.id.is_published() && (is_user || self == Self::default()))
    }

    /// One number for the visitor; `None` for an unknown one.
    pub fn visitor(self) -> Option<u64> {
        self.user.or(self.session)
    }
}

/// An answer whose sponsored items can be charged for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub received_at: Timestamp,
    pub asker: Asker,
    /// Those that were not charged yet, each with the hash of its item.
    pub slots: Vec<(u64, SponsoredSlot)>,
}

/// The latest answers that one kind of caller asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Answers {
    /// By the hash of their ids.
    by_id: BTreeMap<u64, Answer>,
    /// Their hashes in the order of the answers.
    order: VecDeque<u64>,
    /// Answers that made room for others before their time was over.
    pub n_dropped: u64,
}

impl Answers {
    pub fn new(by_id: BTreeMap<u64, Answer>, order: VecDeque<u64>) -> Self {
        Self { by_id, order, n_dropped: 0 }
    }

    pub fn get(&self, id: u64) -> Option<&Answer> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Answer> {
        self.by_id.get_mut(&id)
    }

    /// Takes an answer in, and forgets those that are too old or too many.
    pub fn add(&mut self, id: u64, answer: Answer) {
        let now = answer.received_at;
        if self.by_id.insert(id, answer).is_none() {
            self.order.push_back(id);
        }
        while let Some(oldest) = self.order.front() {
            let is_over = self.is_over(*oldest, now);
            if !is_over && self.order.len() <= WAITING {
                return;
            }
            self.n_dropped += u64::from(!is_over);
            self.by_id.remove(oldest);
            self.order.pop_front();
        }
    }

    fn is_over(&self, id: u64, now: Timestamp) -> bool {
        self.by_id.get(&id).is_none_or(|known| now.0.saturating_sub(known.received_at.0) > CLICK_WINDOW_MS)
    }

    #[cfg(test)]
    pub fn sizes(&self) -> (usize, usize) {
        (self.by_id.len(), self.order.len())
    }
}
