//! Impressions in the learner: they wait for their label; the models and the click heads learn from them when it is known.

use accrue_model::ranker::moment;
use accrue_model::{Context, Step};
use accrue_store::{Interaction, Names, Offset, ShopperIdx};

use super::{Learner, Unsaved};
use crate::impressions::Shown;

/// The code of the type `impression`, the first of [`EventType::BUILT_IN`](accrue_event::EventType::BUILT_IN).
const IMPRESSION: u8 = 0;

impl Learner {
    /// Labels impressions as far as this event tells: those whose window has passed were not followed by a choice, and
    /// one of the item that is chosen now was.
    pub(super) fn label(&mut self, event: &Interaction, weight: f32, no_evidence: bool) {
        self.impressions.observe(event.at_ms);
        while let Some(unchosen) = self.impressions.next_unchosen() {
            self.learn_unchosen(unchosen);
        }
        let (now_ms, ensemble) = (self.impressions.stream_ms(), &self.current.shared);
        self.clicks.close_until(now_ms, ensemble, &mut self.unsaved.click_scratch);
        if weight > 0.0 {
            self.impressions.choose(event.shopper, event.item);
            match no_evidence {
                true => self.clicks.drop_pair(event.shopper, event.item),
                false => self.clicks.choose(event.shopper, event.item, event.type_code),
            }
        }
    }

    /// Lets an impression wait for its label, unless its shopper or its item has not occurred in a learned event.
    pub(super) fn show(&mut self, offset: Offset, impression: &Interaction, names: &Names<'_>) {
        if names.own_pages {
            return;
        }
        let Interaction { shopper, item, .. } = *impression;
        if self.histories.n_events(shopper) > 0 && self.current.shared.first_seen_ms(item).is_some() {
            self.impressions.observe(impression.at_ms);
            let shown = Shown { shopper, item, offset: offset.0, name: names.shopper };
            self.impressions.show(&self.settings.impressions, shown);
            // Of a published key anyone can send the same impression again: a pair that waits is not taken in anew.
            let is_again = names.is_published && self.clicks.is_waiting(shopper, item);
            let is_evidence = !(names.no_evidence || is_again);
            if is_evidence && self.settings.clicks.enabled && self.clicks.has_room(&self.settings.clicks) {
                self.show_to_heads(impression, names);
            }
        }
    }

    /// Lets the click heads wait for what follows an impression. Their features are those of this moment; what is the
    /// same for all impressions of a page is read once, as long as only impressions follow each other.
    fn show_to_heads(&mut self, impression: &Interaction, names: &Names<'_>) {
        let Interaction { shopper, session, item, at_ms, .. } = *impression;
        let Unsaved { prepared, descriptors, shown, click_scratch, .. } = &mut self.unsaved;
        self.descriptions.read(shopper, descriptors);
        let now_ms = moment(at_ms);
        let circumstances = names.circumstances;
        let history = self.histories.open(shopper);
        let context = Context::new(history, session, now_ms, &self.weights)
            .described(descriptors)
            .in_circumstances(circumstances.before_choice());
        let ensemble = &self.current.shared;
        if !shown.is_of((shopper, session, now_ms), &context) {
            ensemble.prepare(&context, prepared);
        }
        let features = ensemble.item_features(&context, prepared, &[item], |_| circumstances.position);
        let stream_ms = self.impressions.stream_ms();
        for features in features {
            let of = (shopper, stream_ms);
            self.clicks.show(of, &self.settings.clicks, shown.page(), features, ensemble, click_scratch);
        }
    }

    /// A guest became a user.
    pub(super) fn forget_waiting(&mut self, guest: ShopperIdx) {
        self.impressions.forget_shopper(guest);
        self.clicks.forget_shopper(guest);
    }

    /// Learns from an impression without a choice: a negative step under the impression's offset, with the shopper's
    /// history as it is now.
    fn learn_unchosen(&mut self, Shown { shopper, item, offset, name }: Shown) {
        let at_ms = self.impressions.stream_ms();
        self.descriptions.read(shopper, &mut self.unsaved.descriptors);
        let history = self.histories.open(shopper);
        let context = Context::new(history, None, at_ms, &self.weights);
        let step = Step {
            offset,
            seed: self.settings.seed,
            context: context.described(&self.unsaved.descriptors),
            event: Interaction { shopper, item, type_code: IMPRESSION, at_ms, session: None, value: 1.0, quantity: 1 },
            weight: -self.settings.impressions.weight,
            n_items: self.current.shared.n_items(),
            is_known: true,
            rate_multiplier: 1.0,
        };
        self.current.learn_unchosen(&step, name);
    }
}
