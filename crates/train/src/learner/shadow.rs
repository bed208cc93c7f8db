//! Shadowing: a challenger learns and predicts the same choices as the current model, and serves nothing.

use accrue_event::EventType;
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, Prepared, Step, TypeWeights};

use super::challenger::Challenger;
use super::choice::exceeds_daily_limit;
use crate::gate::{Challenge, GateSettings, ShadowTest};
use crate::guard::ranks_of;

/// Stream of the random numbers that decide which choices both models predict.
const SHADOW_TEST: u64 = 0x5052_4552;

/// A challenger that is shadowed: it predicts and learns the same choices as the current model, and serves nothing.
#[derive(Clone, Debug)]
pub(super) struct Shadow {
    pub(super) challenge: Challenge,
    pub(super) state: Ensemble,
    pub(super) weights: TypeWeights,
    pub(super) test: ShadowTest,
}

impl Shadow {
    pub(super) fn new(challenger: Challenger, gate: GateSettings) -> Self {
        let challenge = challenger.challenge.clone();
        let weights = challenger.learner.weights().clone();
        // Beside a running server no end is given, and each prediction costs time, so the first verdict ends the test.
        let test = ShadowTest::new(gate, challenge.windows_digest.is_some());
        Self { challenge, state: challenger.into_state(), weights, test }
    }

    /// Learns a choice that the current model is about to learn. Of some choices both models predict the item first;
    /// choices from which one of the models learns nothing are not counted.
    pub(super) fn learn(
        &mut self,
        current: &Ensemble,
        choice: &Step<'_>,
        current_skips: bool,
        prepared: &mut Prepared,
    ) {
        let Self { challenge, state, weights, test } = self;
        let context = Context { weights, ..choice.context };
        let weight = weights.get(choice.event.type_code);
        if exceeds_daily_limit(&challenge.settings, &context, &choice.event, weight) {
            return;
        }
        let mut draws = Draws::new(choice.seed, SHADOW_TEST, choice.offset);
        let is_counted = weight > 0.0 && !current_skips && test.goes_on();
        if is_counted && draws.below(test.predict_one_in()) == 0 {
            let (models, contexts) = ([current, &*state], [&choice.context, &context]);
            test.count(ranks_of(models, contexts, choice.event.item, &mut draws, prepared).gains());
        }
        state.learn(&Step { context, weight, ..*choice }, None, prepared);
    }

    /// Sets the weight of a custom type at its first event, under the challenger's settings.
    pub(super) fn weigh(&mut self, type_code: u8, event_type: &EventType) {
        if !self.weights.knows(type_code) {
            self.weights.set(type_code, self.challenge.settings.weight(event_type));
        }
    }
}
