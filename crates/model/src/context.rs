//! The input of a model: what it may know when it scores, and what it learns from.

use accrue_store::{Circumstances, Descriptor, History, Interaction, ItemIdx, PastEvent, VISIT_GAP_MS};

use crate::TypeWeights;

/// A shopper's situation at a moment: everything personal that a score may depend on. Equal pasts give equal scores,
/// whether the shopper has an id or not. So a new shopper is served after the first event, and a history can be given
/// inline. What is known of a candidate item is in the [`Catalogue`](crate::Catalogue), which members read beside the
/// context.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The shopper's events, oldest first.
    pub past: &'a [PastEvent],
    /// How many of the last events belong to the visit in progress.
    pub in_visit: usize,
    /// Stream time, in milliseconds since 1970.
    pub now_ms: i64,
    /// What each type of event is worth.
    pub weights: &'a TypeWeights,
    /// Where and how the shopper looks: scene, search text, device. Empty if neither the request nor the event has
    /// them.
    pub circumstances: Circumstances<'a>,
    /// How the shop describes the shopper. Empty for guests and for users who are not described.
    pub descriptors: &'a [Descriptor],
}

impl<'a> Context<'a> {
    /// The situation of a shopper with this past, before a visit begins.
    pub fn between_visits(past: &'a [PastEvent], now_ms: i64, weights: &'a TypeWeights) -> Self {
        Self { past, in_visit: 0, now_ms, weights, circumstances: Circumstances::default(), descriptors: &[] }
    }

    /// The situation of the shopper with `history`, at `now_ms`, in `session`.
    pub fn new(history: &'a History, session: Option<u32>, now_ms: i64, weights: &'a TypeWeights) -> Self {
        let in_visit = history.in_visit(session, now_ms);
        Self { in_visit, ..Self::between_visits(history.past(), now_ms, weights) }
    }

    /// The same situation in these circumstances.
    pub fn in_circumstances(self, circumstances: Circumstances<'a>) -> Self {
        Self { circumstances, ..self }
    }

    /// The same situation of a shopper whom the shop describes so.
    pub fn described(self, descriptors: &'a [Descriptor]) -> Self {
        Self { descriptors, ..self }
    }

    /// The situation of the shopper with `history` just before `at_ms`, leaving out what they did afterwards.
    pub fn at(history: &'a History, at_ms: i64, weights: &'a TypeWeights) -> Self {
        let all = history.past();
        let past = &all[..all.partition_point(|past| past.at_ms() < at_ms)];
        let is_going_on = past.last().is_some_and(|last| at_ms - last.at_ms() <= VISIT_GAP_MS);
        let begun = past.iter().rev().position(|past| past.starts_visit).map_or(past.len(), |earlier| earlier + 1);
        Self { in_visit: if is_going_on { begun } else { 0 }, ..Self::between_visits(past, at_ms, weights) }
    }

    /// The same shopper as they were before this visit began.
    pub fn before_visit(&self) -> Self {
        Self { past: self.earlier(), in_visit: 0, ..*self }
    }

    /// Events of this visit, oldest first.
    pub fn visit(&self) -> &'a [PastEvent] {
        &self.past[self.past.len() - self.in_visit..]
    }

    /// Events before this visit, oldest first.
    pub fn earlier(&self) -> &'a [PastEvent] {
        &self.past[..self.past.len() - self.in_visit]
    }

    /// What a past event is worth: its type's weight.
    pub fn weight(&self, past: &PastEvent) -> f32 {
        self.weights.get(past.type_code)
    }
}

/// One event to learn from, with the situation before it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The offset of the event in the log; randomness is a function of it.
    pub offset: u64,
    /// The seed of the fold.
    pub seed: u64,
    /// The shopper's situation before the event.
    pub context: Context<'a>,
    /// What happened.
    pub event: Interaction,
    /// The weight of its type: positive for a preference, negative for a dislike, zero for nothing to learn.
    pub weight: f32,
    /// Items with indices below this have been seen.
    pub n_items: u32,
    /// Whether the item was seen before this event; otherwise it could not have been shown.
    pub is_known: bool,
    /// Multiplies the learning rates of factorization and blend; 1 leaves them as they are set.
    pub rate_multiplier: f32,
}

/// A candidate and its score, best first in lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Which item.
    pub item: ItemIdx,
    /// Higher is better; finite.
    pub score: f32,
}
