//! A batch of a published key is judged while there is room for it in the log on this day, and counted otherwise.

use accrue_event::{RawEvent, Reason};
use accrue_store::{Body, PublishedRecord};

use super::addresses::site;
use super::batch::{Incoming, Ingested, Refused, Sender};
use super::group::NewInGroup;
use super::writer::Writer;
use crate::clock::Arrival;
use crate::error::EngineError;

/// Those of a key that one address may take: a part of this many.
const PARTS_OF_ADDRESSES: u64 = 16;

impl Writer {
    /// [`Writer::judge`] for a batch whose key may have left as many bytes in the log on this day as
    /// `check.published.kept_bytes_per_day` says, or whose address its part of them: then its records are counted and not kept.
    pub fn judge_if_room(
        &mut self,
        batch: Vec<Incoming<RawEvent>>,
        sender: &Sender,
        arrival: Arrival,
        group: &mut NewInGroup,
        bodies: &mut Vec<Body>,
    ) -> Result<(Ingested, usize), EngineError> {
        let Sender::Published { namespace, address } = sender else {
            return self.judge(batch, sender, arrival, group, bodies);
        };
        let most = self.check.settings().published.kept_bytes_per_day;
        // All networks of one /48 may be one customer's.
        let of_address = address.map(|address| (namespace.clone(), site(address).unwrap_or(address)));
        let part = most / PARTS_OF_ADDRESSES;
        let is_full = |of_address| self.kept_of_addresses.is_full(of_address, arrival.stamp, part);
        if of_address.as_ref().is_some_and(is_full) || self.kept.is_full(namespace, arrival.stamp, most) {
            return Ok(count_only(batch.len(), most, bodies));
        }
        let before = bodies.len();
        let judged = self.judge(batch, sender, arrival, group, bodies)?;
        let n_bytes = bodies[before..].iter().map(Body::n_bytes).sum();
        self.kept.add(namespace.clone(), arrival.stamp, n_bytes);
        of_address.into_iter().for_each(|of_address| self.kept_of_addresses.add(of_address, arrival.stamp, n_bytes));
        Ok(judged)
    }
}

/// The outcome of a batch that is only counted: one small record says how many events there were.
fn count_only(n_events: usize, most: u64, bodies: &mut Vec<Body>) -> (Ingested, usize) {
    let reason = Reason::TooManyBytes.code();
    let detail = format!(
        "the events of this key took {most} bytes of the log today (check.published.kept_bytes_per_day), or those of its address a \
         part of them; further ones are counted and not kept until the next day of UTC"
    );
    let refused = |index| Refused { index, reason: reason.into(), detail: detail.clone() };
    let outcome = Ingested { quarantined: (0..n_events).map(refused).collect(), ..Ingested::default() };
    let counted = vec![(reason.into(), n_events as u64)];
    bodies.push(Body::Published(Box::new(PublishedRecord::Refusals { kept: 0, counted })));
    (outcome, 1)
}
