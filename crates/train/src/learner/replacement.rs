//! What replaces the current model: a promoted challenger, an earlier version, or the same models after a released
//! window is learned.
//!
//! In: findings of the guard, and decisions that lie in the log. Out: another state, from which learning goes on. The
//! guard's tests restart with it, and a shadowed challenger is dropped, because it was compared with a model that is
//! gone.

use accrue_model::{Context, Ensemble, Settings, Step};
use accrue_store::{Fact, Interaction, Names, Offset};

use super::challenger::Challenger;
use super::choice::{exceeds_daily_limit, is_for_own_pages};
use super::shadow::Shadow;
use super::{Learner, Unsaved};
use crate::gate::{Challenge, EarlierRecords, GateSettings, ShadowResult, ShadowTest};
use crate::lenient::Recorded;
use crate::model_state::ModelState;
use crate::resets::Resets;
use crate::{Alarm, LearnSettings, TrainError};

impl Learner {
    /// Shadows a challenger from now on. It must have learned up to the same offset.
    ///
    /// # Panics
    /// If it has not.
    pub fn shadow(&mut self, challenger: Challenger, gate: GateSettings) {
        assert_eq!(challenger.at(), self.progress.end, "a challenger is shadowed from where the current model is");
        self.unsaved.shadow = Some(Box::new(Shadow::new(challenger, gate)));
    }

    /// The challenger of a reset that would begin now: the settings in force, without the suspect windows.
    ///
    /// # Errors
    /// If the settings cannot be read from the form in which the log keeps them.
    pub fn reset(&self) -> Result<Challenger, TrainError> {
        self.challenger(&Challenge::reset(&self.settings, self.lineage.windows_digest()))
    }

    /// A challenger that an operator requests now: these models, trained on the choices from `from` on, in this many
    /// passes, without the suspect windows.
    ///
    /// # Errors
    /// Those of [`Learner::reset`].
    pub fn trial(&self, models: Settings, from: Offset, passes: u32) -> Result<Challenger, TrainError> {
        let settings = LearnSettings { models, ..self.settings.clone() };
        let (until, windows_digest) = (self.progress.end, Some(self.lineage.windows_digest()));
        self.challenger(&Challenge { settings, from, passes, until, windows_digest, requested: true })
    }

    fn challenger(&self, challenge: &Challenge) -> Result<Challenger, TrainError> {
        // As a replay will read it, so that the record of its promotion is recognised as being about this challenger.
        let challenge = Challenge::from_record(&challenge.to_record())?.settings;
        Ok(Challenger::new(&challenge, self.lineage.windows()))
    }

    /// The verdicts on challengers so far.
    pub fn resets(&self) -> &Resets {
        &self.resets
    }

    /// Begins the comparison with the shadowed challenger again; the challenger keeps what it learned.
    pub fn restart_shadow_test(&mut self, gate: GateSettings) {
        if let Some(shadow) = &mut self.unsaved.shadow {
            shadow.test = ShadowTest::new(gate, true);
        }
    }

    /// The result so far of the comparison with the shadowed challenger.
    pub fn shadow_result(&self) -> Option<ShadowResult> {
        self.unsaved.shadow.as_ref().map(|shadow| shadow.test.result())
    }

    /// The description of the shadowed challenger.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.unsaved.shadow.as_ref().map(|shadow| &shadow.challenge)
    }

    /// The models of the shadowed challenger.
    pub fn shadow_model(&self) -> Option<&Ensemble> {
        self.unsaved.shadow.as_ref().map(|shadow| &shadow.state)
    }

    /// Drops the shadowed challenger.
    pub fn dismiss(&mut self) {
        self.unsaved.shadow = None;
    }

    /// Takes the next record, a promotion: the challenger becomes the current model. If it is the shadowed one, its
    /// state is used; otherwise it is trained on the earlier records. If records were undone or released since the
    /// challenger began ([`Challenge::windows_digest`]), the promotion changes nothing.
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
        assert_eq!(offset, self.progress.end, "records are learned in order, without a gap");
        let Recorded { settings: challenge, ignored } = Challenge::from_record(challenge)?;
        self.note_ignored(offset, ignored);
        let began_under = challenge.windows_digest.as_ref();
        if began_under.is_some_and(|digest| *digest != self.lineage.windows_digest()) {
            self.unsaved.shadow = None;
            self.progress.received_ms = at_ms;
            self.progress.end = offset.next();
            self.resets.skip_promotion(
                offset,
                "promoted, but something was undone or released in between: it goes on as before",
            );
            return Ok(());
        }
        let mut promoted = self.state_of(&challenge, offset, earlier)?;
        promoted.refresh();
        self.progress.received_ms = at_ms;
        self.progress.end = offset.next();
        self.resets.promote(offset, why, self.progress.n_learned);
        let sealing = self.sealing(self.progress.end);
        // The models of arms stay as they are, under the challenger's settings.
        let arms = self.settings.arms.take();
        self.put_in_force(LearnSettings { arms, ..challenge.settings });
        let state = self.current.with_shared(promoted, self.settings.seed);
        self.lineage.replace(&self.current, &state, &sealing, why, self.settings.guard.versions_kept);
        self.guard.trust_before(self.progress.end.0, self.settings.guard.anchors);
        self.go_on_from(state);
        self.stage.since_good = 0;
        self.stage.on_probation = false;
        // The promoted models were learned from the log alone, so no section of theirs is missing any more.
        self.restarted.retain(|section| !section.is_of_current_models());
        Ok(())
    }

    /// The models of a promoted challenger at `end`: of the shadowed one, if it is that, or trained on the earlier
    /// records.
    fn state_of(
        &mut self,
        challenge: &Challenge,
        end: Offset,
        earlier: &mut dyn EarlierRecords,
    ) -> Result<Ensemble, TrainError> {
        match self.unsaved.shadow.take() {
            Some(shadow) if shadow.challenge == *challenge => Ok(shadow.state),
            _ => {
                let mut challenger = Challenger::new(challenge, self.lineage.windows());
                challenger.learn(earlier, end)?;
                Ok(challenger.into_state())
            }
        }
    }

    /// Takes the next record, a release: the suspect records of `from..to` are learned, each with the history that its
    /// shopper had before it.
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
                    self.learn_released(offset, &event, &names);
                }
                Ok(())
            })?;
        }
        self.step(offset, at_ms, Fact::WindowReleased { from, to })
    }

    fn learn_released(&mut self, offset: Offset, event: &Interaction, names: &Names<'_>) {
        let is_known = self.is_known(event.item);
        let Unsaved { prepared, descriptors, .. } = &mut self.unsaved;
        self.descriptions.read(event.shopper, descriptors);
        let history = self.histories.get(event.shopper);
        let context = Context::at(&history, event.at_ms, &self.weights)
            .described(descriptors)
            .in_circumstances(names.circumstances);
        let weight = self.weights.get(event.type_code);
        if is_for_own_pages(names, weight) || exceeds_daily_limit(&self.settings, &context, event, weight) {
            return;
        }
        let (seed, n_items) = (self.settings.seed, self.current.shared.n_items());
        let step =
            Step { offset: offset.0, seed, context, event: *event, weight, n_items, is_known, rate_multiplier: 1.0 };
        let good = self.lineage.good().map(|(_, state)| state);
        self.current.learn(&step, names.shopper, good, prepared);
        self.stage.count_choice(weight);
    }

    /// Undoes what was learned since the good version. On probation the current model did not serve, so no version is
    /// rolled back: it only begins again from the good version.
    pub(super) fn undo(&mut self, end: Offset, alarm: &Alarm) {
        let Some((good, _)) = self.lineage.good() else { return };
        let why = alarm.to_string();
        let undone = if self.stage.on_probation { self.stage.since_sealed } else { self.stage.since_good };
        if self.stage.on_probation {
            self.lineage.suspect(self.lineage.begun(), end, &why);
            let state = self.lineage.good().map(|(_, state)| state.clone());
            self.go_on_from(state.expect("looked up above"));
        } else {
            self.stage.n_alarms += 1;
            self.roll_back(end, good, &why);
            self.stage.on_probation = true;
        }
        self.stage.undone = undone.min(self.settings.guard.usual_age());
        self.guard.drop_pending();
    }

    fn roll_back(&mut self, end: Offset, to: u64, why: &str) {
        let sealing = self.sealing(end);
        let state = self.lineage.roll_back(&self.current, to, &sealing, why, self.settings.guard.versions_kept);
        self.go_on_from(state);
    }

    /// Makes this state the current model. What is known of the catalogue stays.
    fn go_on_from(&mut self, mut state: ModelState) {
        state.take_catalogue(&self.current);
        self.current = state;
        // A version from before the experiment has no arms, or other ones.
        self.update_arms();
        // The challenger was compared with a model that is gone. It may begin again.
        self.unsaved.shadow = None;
        self.unsaved.shown.end();
        self.stage.since_sealed = 0;
        self.guard.restart();
    }

    /// The current model predicts trusted choices as well as the good version: it serves again.
    pub(super) fn end_probation(&mut self) {
        self.stage.on_probation = false;
        self.stage.since_sealed = 0;
        self.guard.restart();
    }

    /// Goes on from the version that an operator chose. If its state is no longer kept, nothing changes.
    pub(super) fn choose(&mut self, version: u64, why: &str) {
        if self.lineage.state(version).is_some() {
            let end = self.progress.end.next();
            self.roll_back(end, version, why);
            self.lineage.clear_before_end_of(version);
            self.guard.drop_pending();
            self.stage.since_good = 0;
            self.stage.on_probation = false;
        }
    }
}
