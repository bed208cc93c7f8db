//! What a click on a sponsored item is charged.
//!
//! In: an event that names an answer and an item. Out: the record of a charge, if the answer showed the item in a
//! sponsored slot, this is the first choice of it, and it comes in time. The price was set by the auction of the answer;
//! a day never costs a campaign more than its budget, so the last click of a day may be charged less, down to nothing.
//! The answer must be in the log, or on its way there: what was not recorded is not charged.

use accrue_event::{CampaignRecord, Charge, Event, EventType, Timestamp};
use accrue_store::{Body, Facts, day_of};

use super::group::ChargedInGroup;
use super::writer::Writer;
use crate::campaigns::body;

impl Writer {
    /// The record of what an event is charged. A campaign that is no longer in force is charged nothing.
    pub(super) fn charge(
        &self,
        event: &Event,
        facts: &Facts,
        received_at: Timestamp,
        group: &mut ChargedInGroup,
    ) -> Option<Body> {
        if facts.ledger.is_untouched() || !is_choice(&event.event_type) {
            return None;
        }
        let (item, answer) = (event.item.as_ref()?, event.recommendation_id.as_deref()?);
        let waiting = facts.ledger.waiting(event, received_at).cloned();
        let slot = waiting.or_else(|| self.shared.served.sponsored_slot(event))?;
        if !group.slots.insert((answer.into(), item.clone())) {
            return None;
        }
        let day = day_of(facts.stream_time.max(event.at).0);
        let in_group = group.amounts.entry((slot.campaign.clone(), day)).or_default();
        let spent = facts.ledger.spent(&slot.campaign, day).saturating_add(*in_group);
        let budget = self.campaigns.of(facts).1.daily_budget(&slot.campaign).unwrap_or(0);
        let amount = slot.price.min(budget.saturating_sub(spent));
        *in_group += amount;
        let (answer, item, price) = (answer.into(), item.clone(), slot.price);
        let charge = Charge { campaign: slot.campaign, answer, item, price, amount, day };
        body(CampaignRecord::Charge(charge)).ok()
    }
}

/// Whether an event of this type is a choice: what the click heads take for a click, whose probability the auction used.
fn is_choice(event_type: &EventType) -> bool {
    use EventType::{Cart, Click, Favorite, Purchase, View};
    matches!(event_type, Click | View | Favorite | Cart | Purchase)
}
