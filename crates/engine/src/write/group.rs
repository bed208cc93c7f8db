//! A group of batches that is committed at once: what its batches add, so that a later batch of the group is compared with it.

use std::collections::{HashMap, HashSet};

use accrue_event::{EventId, ItemId, RefusalId, Timestamp};
use accrue_store::{Facts, PublishedCounts};

/// The new records of a group, which the log and the facts do not have yet. It is only looked up, so its order does not reach any byte.
#[derive(Default)]
pub(crate) struct NewInGroup {
    /// Hashes of the content, by id.
    pub(super) events: HashMap<EventId, u128>,
    pub(super) refusals: HashSet<RefusalId>,
    /// Items that the shop's own events name and the facts do not have yet.
    pub(super) items: HashSet<ItemId>,
    pub(super) published: NewOfPublished,
    pub(super) charged: ChargedInGroup,
    /// The time of the newest event.
    pub(super) newest: Timestamp,
}

/// What clicks of a group are charged.
#[derive(Default)]
pub(crate) struct ChargedInGroup {
    /// By answer and item.
    pub slots: HashSet<(Box<str>, ItemId)>,
    /// By campaign and day.
    pub amounts: HashMap<(Box<str>, i64), u64>,
    /// The hash of the visitor, the campaign and the item of each charged click.
    pub visitors: HashSet<(u64, Box<str>, ItemId)>,
}

/// What the events of published keys in a group add to the facts.
#[derive(Default)]
pub(super) struct NewOfPublished {
    pub(super) shoppers: HashSet<String>,
    /// The counts with this group, from its first batch of a published key on.
    pub(super) counts: Option<PublishedCounts>,
}

impl NewOfPublished {
    /// The counts, with those of this group.
    pub(super) fn counts(&mut self, facts: &Facts) -> &mut PublishedCounts {
        self.counts.get_or_insert_with(|| facts.published.clone())
    }
}
