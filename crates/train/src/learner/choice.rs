//! One event of a shopper in the learner: it is predicted, shown to the guard, learned and remembered.

use accrue_event::DAY_MS;
use accrue_model::{Context, Step};
use accrue_store::{Interaction, Names, Offset};

use super::{Learner, Progress, Unsaved, VersionStage};
use crate::LearnSettings;
use crate::guard::{Finding, Observation};

/// Stream of the random numbers that choose which events are predicted.
const STREAM: u64 = 0x5052_4551;
/// Where there were few records so far, more events are predicted: after each this many records, one in one more.
const RECORDS_PER_STEP: u64 = 1_024;

impl Learner {
    /// Learns from a choice or any other event of a shopper: predicts it first where it is one that is predicted, and
    /// asks the guard whether it may be learned.
    pub(super) fn learn(&mut self, offset: Offset, event: &Interaction, names: &Names<'_>) {
        let is_known = self.is_known(event.item);
        // Anyone can send an event of a published key, with any time.
        if self.settings.dates_items_by_events && !names.is_published {
            self.each_catalogue(|models| models.date_item(event.item, event.at_ms));
        }
        let weight = self.weights.get(event.type_code);
        self.label(event, weight, names.no_evidence);
        if is_for_own_pages(names, weight) {
            return self.pass_over(event);
        }
        let Unsaved { prepared, descriptors, shadow, .. } = &mut self.unsaved;
        self.descriptions.read(event.shopper, descriptors);
        let history = self.histories.open(event.shopper);
        let context = Context::new(history, event.session, event.at_ms, &self.weights)
            .described(descriptors)
            .in_circumstances(names.circumstances);
        let step = Step {
            offset: offset.0,
            seed: self.settings.seed,
            context,
            event: *event,
            weight,
            n_items: self.current.shared.n_items(),
            is_known,
            rate_multiplier: 1.0,
        };
        let is_skipped = exceeds_daily_limit(&self.settings, &context, event, weight);
        if let Some(shadow) = shadow {
            shadow.learn(&self.current.shared, &step, is_skipped, prepared);
        }
        if is_skipped {
            self.progress.n_repeats_skipped += 1;
            return self.pass_over(event);
        }
        if let Some(one_in) = one_predicted_in(&self.settings, offset, weight) {
            self.current.refresh();
            let serving = match self.lineage.good() {
                Some((_, good)) if self.stage.on_probation => good,
                _ => &self.current,
            };
            self.quality.one_in = one_in;
            self.quality.predict(serving, self.settings.arms.as_ref(), &step, names.shopper, prepared);
        }
        let finding = if weight != 0.0 && self.settings.guard.enabled {
            let choice = observation(&step, names, &self.progress, &self.stage);
            let good = self.lineage.good().map(|(_, state)| &state.shared);
            self.guard.observe(&self.settings.guard, &choice, &self.current.shared, good, prepared)
        } else {
            Finding::GoOn
        };
        if matches!(finding, Finding::GoOn | Finding::Cleared) {
            let step = Step { rate_multiplier: self.quality.drift.rate_multiplier(), ..step };
            let good = self.lineage.good().map(|(_, state)| state);
            self.current.learn(&step, names.shopper, good, prepared);
            self.quality.drift.observe(&self.settings.drift, offset.0, prepared.foreseen());
        }
        self.remember(event);
        self.progress.n_learned += 1;
        self.stage.count_choice(weight);
        if let Some(arm) = self.current.arm_of(names.shopper) {
            self.quality.arms[arm].n_choices += u64::from(weight != 0.0);
        }
        self.act_on(finding, offset.next());
    }

    /// Counts and remembers an event that the models do not learn from.
    fn pass_over(&mut self, event: &Interaction) {
        self.progress.n_learned += 1;
        self.remember(event);
    }

    /// Carries out what the guard found. `end` is the offset after the choice.
    fn act_on(&mut self, finding: Finding, end: Offset) {
        match finding {
            Finding::Alarm(alarm) => self.undo(end, &alarm),
            Finding::Cleared => self.end_probation(),
            Finding::GoOn | Finding::Withhold if self.settings.guard.enabled => self.advance(end),
            Finding::GoOn | Finding::Withhold => {}
        }
    }
}

/// What the guard is shown of a choice.
fn observation<'a>(step: &Step<'a>, names: &Names<'a>, progress: &Progress, stage: &VersionStage) -> Observation<'a> {
    Observation {
        offset: step.offset,
        seed: step.seed,
        context: step.context,
        event: step.event,
        names: *names,
        weight: step.weight,
        received_ms: progress.received_ms,
        probation: stage.probation(),
        since_good: stage.since_good,
    }
}

/// If the choice at this offset is predicted before it is learned: one choice in how many is.
fn one_predicted_in(settings: &LearnSettings, offset: Offset, weight: f32) -> Option<u64> {
    let one_in = (1 + offset.0 / RECORDS_PER_STEP).min(settings.predict_one_in.max(1));
    let is_predicted = weight > 0.0
        && settings.predict_one_in != u64::MAX
        && accrue_kernel::random(settings.seed, STREAM, offset.0, 0).is_multiple_of(one_in);
    is_predicted.then_some(one_in)
}

/// Whether an event of a published key is remembered for its own visitor and changes nothing of what others see: it
/// speaks against an item, which anyone can send, any number of times, or its record says so.
pub(super) fn is_for_own_pages(names: &Names<'_>, weight: f32) -> bool {
    names.own_pages || (names.is_published && weight < 0.0)
}

/// Whether the shopper has made the same choice so often on that day that one more is not learned.
pub(super) fn exceeds_daily_limit(
    settings: &LearnSettings,
    context: &Context<'_>,
    event: &Interaction,
    weight: f32,
) -> bool {
    // More events than a history holds cannot be counted.
    let limit = (settings.same_item_a_day as usize).min(settings.history_capacity);
    let begins_ms = event.at_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    let ends_ms = begins_ms.saturating_add(DAY_MS);
    let latest_first = context.past.iter().rev();
    let of_the_day =
        latest_first.skip_while(|past| past.at_ms() >= ends_ms).take_while(|past| past.at_ms() >= begins_ms);
    let same = of_the_day.filter(|past| (past.item, past.type_code) == (event.item, event.type_code));
    weight != 0.0 && limit > 0 && same.take(limit).count() == limit
}
