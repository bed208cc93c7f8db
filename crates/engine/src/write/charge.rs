//! What a click on a sponsored item is charged.
//!
//! In: an event that names an answer and an item. Out: the record of a charge, if the answer showed the item in a
//! sponsored slot, this is the first choice of it, and it comes in time. The price was set by the auction of the answer;
//! a day never costs a campaign more than its budget, so the last click of a day may be charged less, down to nothing.
//! The answer must be in the log, or on its way there: what was not recorded is not charged.
//!
//! A visitor can ask for any number of answers and click in each, so their number alone bounds nothing. Of one visitor a
//! click on an item is charged to a campaign once within an hour, and of one address of a published key as many clicks
//! as `check.published.charged_clicks_per_address` says. A further one is recorded as invalid and costs nothing.

use accrue_event::{CampaignRecord, Charge, Event, EventType, InvalidClick, InvalidReason, ItemId, Timestamp};
use accrue_store::{Body, Chargeable, Facts, Ledger, day_of};

use super::addresses::Counted;
use super::batch::Sender;
use super::group::ChargedInGroup;
use super::writer::Writer;
use crate::in_force::campaigns::body;

impl Writer {
    /// The record of what an event is charged. A campaign that is no longer in force is charged nothing.
    pub(super) fn charge(
        &mut self,
        event: &Event,
        sender: &Sender,
        facts: &Facts,
        received_at: Timestamp,
        group: &mut ChargedInGroup,
    ) -> Option<Body> {
        if facts.ledger.is_untouched() || !is_choice(&event.event_type) {
            return None;
        }
        let (item, answer) = (event.item.as_ref()?, event.recommendation_id.as_deref()?);
        let waiting = facts.ledger.waiting(event, received_at);
        let chargeable = waiting.or_else(|| self.shared.served.chargeable(event))?;
        if !group.slots.insert((answer.into(), item.clone())) {
            return None;
        }
        let day = day_of(facts.ledger.time().max(Ledger::moment(event, received_at)).0);
        let invalid = self.invalid(&chargeable, item, sender, facts, received_at, group);
        let Chargeable { slot, .. } = chargeable;
        let (answer, item, campaign) = (answer.into(), item.clone(), slot.campaign);
        if let Some(why) = invalid {
            return body(CampaignRecord::Invalid(InvalidClick { campaign, answer, item, why, day })).ok();
        }
        let in_group = group.amounts.entry((campaign.clone(), day)).or_default();
        let spent = facts.ledger.spent(&campaign, day).saturating_add(*in_group);
        let budget = self.campaigns.of(facts).1.daily_budget(&campaign).unwrap_or(0);
        let amount = slot.price.min(budget.saturating_sub(spent));
        *in_group += amount;
        body(CampaignRecord::Charge(Charge { campaign, answer, item, price: slot.price, amount, day })).ok()
    }

    /// Why a click is not charged; counts one that is.
    fn invalid(
        &mut self,
        Chargeable { slot, visitor }: &Chargeable,
        item: &ItemId,
        sender: &Sender,
        facts: &Facts,
        received_at: Timestamp,
        group: &mut ChargedInGroup,
    ) -> Option<InvalidReason> {
        if let Some(visitor) = *visitor {
            let click = (visitor, slot.campaign.clone(), item.clone());
            if group.visitors.contains(&click)
                || facts.ledger.was_charged_lately(visitor, &slot.campaign, item, received_at)
            {
                return Some(InvalidReason::Repeated);
            }
            group.visitors.insert(click);
        }
        if let Sender::Published { address: Some(address), .. } = sender {
            let most = self.check.settings().published.charged_clicks_per_address;
            if !self.addresses.admit_times(Counted::Clicks(&slot.campaign), *address, received_at, most) {
                return Some(InvalidReason::TooManyOfAddress);
            }
        }
        None
    }
}

/// Whether an event of this type is a choice: what the click heads take for a click, whose probability the auction used.
fn is_choice(event_type: &EventType) -> bool {
    use EventType::{Cart, Click, Favorite, Purchase, View};
    matches!(event_type, Click | View | Favorite | Cart | Purchase)
}
