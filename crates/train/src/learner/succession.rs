//! What replaces the current model: a challenger that rode along, an earlier version, a window that is learned after all.
//!
//! In: findings of the guard, and decisions that lie in the log. Out: another state, from which learning goes on. Whatever was being tested
//! begins anew with it, and a challenger that learned beside a current model that is gone is let go.

use accrue_model::{Context, Ensemble, Settings, Step};
use accrue_store::{Fact, Interaction, Names, Offset};

use super::{Learner, has_had_enough};
use crate::gate::{Challenge, Challenger, EarlierRecords, GateSettings, Shadow, ShadowResult, ShadowTest};
use crate::lenient::Recorded;
use crate::model_state::ModelState;
use crate::resets::Resets;
use crate::{Alarm, LearnSettings, TrainError};

impl Learner {
    /// Lets a challenger ride along; it must have learned as far as the current model.
    ///
    /// # Panics
    /// If it has not.
    pub fn shadow(&mut self, challenger: Challenger, gate: GateSettings) {
        assert_eq!(challenger.at(), self.end, "a challenger joins where the current model stands");
        self.shadow = Some(Box::new(Shadow::new(challenger, gate)));
    }

    /// The reset that would begin now: the settings in force, without what is disowned so far.
    ///
    /// # Errors
    /// If the settings do not survive the form in which the log keeps them.
    pub fn reset(&self) -> Result<Challenger, TrainError> {
        self.challenger(&Challenge::reset(&self.settings, self.lineage.footing()))
    }

    /// The challenger that somebody asks for now: these models, learned from the choices from `from` on, in so many passes; without what is
    /// disowned so far.
    ///
    /// # Errors
    /// Those of [`Learner::reset`].
    pub fn trial(&self, models: Settings, from: Offset, passes: u32) -> Result<Challenger, TrainError> {
        let settings = LearnSettings { models, ..self.settings.clone() };
        let footing = Some(self.lineage.footing());
        self.challenger(&Challenge { settings, from, passes, until: self.end, footing, asked: true })
    }

    fn challenger(&self, challenge: &Challenge) -> Result<Challenger, TrainError> {
        // As a replay will read it, so that the record names the one that rides along.
        let challenge = Challenge::from_record(&challenge.to_record())?.settings;
        Ok(Challenger::new(&challenge, self.lineage.windows()))
    }

    /// What came of challengers.
    pub fn resets(&self) -> &Resets {
        &self.resets
    }

    /// Counts anew how the challenger stands that rides along; what it learned stays.
    pub fn restart_shadow_test(&mut self, gate: GateSettings) {
        if let Some(shadow) = &mut self.shadow {
            shadow.test = ShadowTest::new(gate, true);
        }
    }

    /// How the challenger stands that rides along.
    pub fn shadow_result(&self) -> Option<ShadowResult> {
        self.shadow.as_ref().map(|shadow| shadow.test.result())
    }

    /// What the challenger is that rides along.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.shadow.as_ref().map(|shadow| &shadow.challenge)
    }

    /// What the challenger has learned that rides along.
    pub fn shadow_model(&self) -> Option<&Ensemble> {
        self.shadow.as_ref().map(|shadow| &shadow.state)
    }

    /// Lets the challenger go that rides along.
    pub fn dismiss(&mut self) {
        self.shadow = None;
    }

    /// Takes the next record, a promotion: the challenger's state goes on as the current model. It is the one that rides along, if that
    /// is who was promoted, or is trained on the earlier records. One whose footing is gone (something was undone or released between the
    /// verdict and this record) is passed over.
    ///
    /// # Errors
    /// If this record or the earlier ones cannot be read.
    pub fn promote(
        &mut self,
        offset: Offset,
        at_ms: i64,
        challenge: &str,
        why: &str,
        earlier: &mut dyn EarlierRecords,
    ) -> Result<(), TrainError> {
        assert_eq!(offset, self.end, "records are learned in order, without a gap");
        let Recorded { settings: challenge, passed_over } = Challenge::from_record(challenge)?;
        self.note_passed_over(offset, passed_over);
        if challenge.footing.as_ref().is_some_and(|footing| *footing != self.lineage.footing()) {
            self.shadow = None;
            self.received_ms = at_ms;
            self.end = offset.next();
            self.resets
                .pass_over(offset, "promoted, but something was undone or released in between: it goes on as before");
            return Ok(());
        }
        let mut state = match self.shadow.take() {
            Some(shadow) if shadow.challenge == challenge => shadow.state,
            _ => {
                let mut challenger = Challenger::new(&challenge, self.lineage.windows());
                challenger.learn(earlier, offset)?;
                challenger.into_state()
            }
        };
        self.received_ms = at_ms;
        self.end = offset.next();
        state.refresh();
        self.resets.promote(offset, why, self.n_learned);
        let sealing = self.sealing(self.end);
        // Arms go on as they are, under the challenger's settings.
        let arms = self.settings.arms.take();
        self.put_in_force(LearnSettings { arms, ..challenge.settings });
        let state = self.current.with_shared(state, self.settings.seed);
        self.lineage.replace(&self.current, &state, &sealing, why, self.settings.guard.versions_kept);
        self.guard.trust_before(self.end.0, self.settings.guard.anchors);
        self.go_on_from(state);
        self.since_good = 0;
        self.on_probation = false;
        // It was learned from the log alone, whatever was missing before.
        self.begun_anew.retain(|begun| !begun.is_of_current_models());
        Ok(())
    }

    /// Takes the next record, a release: the suspect records from `from` to `to` are learned after all, each after what its shopper
    /// had done before it.
    ///
    /// # Errors
    /// If the earlier records cannot be read.
    pub fn release(
        &mut self,
        offset: Offset,
        at_ms: i64,
        (from, to): (Offset, Offset),
        earlier: &mut dyn EarlierRecords,
    ) -> Result<(), TrainError> {
        if self.lineage.windows().iter().any(|window| (window.from, window.to) == (from, to) && !window.released) {
            earlier.read(from, to, &mut |offset, _, fact| {
                if let Fact::Interaction(event, names) = fact {
                    self.learn_late(offset, &event, &names);
                }
                Ok(())
            })?;
        }
        self.step(offset, at_ms, Fact::WindowReleased { from, to })
    }

    fn learn_late(&mut self, offset: Offset, event: &Interaction, names: &Names<'_>) {
        self.descriptions.read(event.shopper, &mut self.descriptors);
        let context = Context::at(self.histories.get(event.shopper), event.at_ms, &self.weights)
            .described(&self.descriptors)
            .in_circumstances(names.circumstances);
        let weight = self.weights.get(event.type_code);
        if has_had_enough(&self.settings, &context, event, weight) {
            return;
        }
        let (seed, n_items) = (self.settings.seed, self.current.shared.n_items());
        let is_known = self.is_known(event.item);
        let step =
            Step { offset: offset.0, seed, context, event: *event, weight, n_items, is_known, rate_multiplier: 1.0 };
        let good = self.lineage.good().map(|(_, state)| state);
        self.current.learn(&step, names.shopper, good, &mut self.prepared);
        self.count_choice(weight);
    }

    /// Undoes what was learned since the version known good. A current model on probation is only begun anew: nobody was served by it.
    pub(super) fn undo(&mut self, end: Offset, alarm: &Alarm) {
        let Some((good, _)) = self.lineage.good() else { return };
        let why = alarm.to_string();
        let undone = if self.on_probation { self.since_sealed } else { self.since_good };
        if self.on_probation {
            self.lineage.suspect(self.lineage.begun(), end, &why);
            let state = self.lineage.good().map(|(_, state)| state.clone());
            self.go_on_from(state.expect("looked up above"));
        } else {
            self.n_alarms += 1;
            self.roll_back(end, good, &why);
            self.on_probation = true;
        }
        self.undone = undone.min(self.settings.guard.usual_age());
        self.guard.drop_pending();
    }

    fn roll_back(&mut self, end: Offset, to: u64, why: &str) {
        let sealing = self.sealing(end);
        let state = self.lineage.roll_back(&self.current, to, &sealing, why, self.settings.guard.versions_kept);
        self.go_on_from(state);
    }

    /// Learns on from this state; what is known of the catalogue stays.
    fn go_on_from(&mut self, mut state: ModelState) {
        state.take_catalogue(&self.current);
        self.current = state;
        // A version from before the experiment has no arms, or others.
        self.split();
        // A challenger learned beside a current model that is gone; it may begin again.
        self.shadow = None;
        self.since_sealed = 0;
        self.guard.restart();
    }

    /// The current model has learned as well as the good version on what nobody could have poisoned: it serves again.
    pub(super) fn end_probation(&mut self) {
        self.on_probation = false;
        self.since_sealed = 0;
        self.guard.restart();
    }

    /// An operator chose a version to go on from. One whose state is no longer kept is passed over.
    pub(super) fn choose(&mut self, version: u64, why: &str) {
        if self.lineage.state(version).is_some() {
            let end = self.end.next();
            self.roll_back(end, version, why);
            self.lineage.vouch_for(version);
            self.guard.drop_pending();
            self.since_good = 0;
            self.on_probation = false;
        }
    }
}
