//! Settings in the learner: those of a record are put in force, and a type's weight is set at its first event.

use accrue_event::EventType;
use accrue_model::parts::provided;
use accrue_store::Offset;

use super::{Learner, Unsaved};
use crate::lenient::{IgnoredSetting, Recorded};
use crate::prequential::ArmQuality;
use crate::{LearnSettings, TrainError};

/// Largest number of ignored settings that are remembered.
const MAX_IGNORED: usize = 256;

impl Learner {
    /// Sets the weight of a custom type at its first event.
    pub(super) fn weigh(&mut self, type_code: u8, own_type: Option<&EventType>) {
        let Some(event_type) = own_type else { return };
        if !self.weights.knows(type_code) {
            self.weights.set(type_code, self.settings.weight(event_type));
        }
        if let Some(shadow) = &mut self.unsaved.shadow {
            shadow.weigh(type_code, event_type);
        }
    }

    /// Puts the settings of a record in force. Before the first interaction the learner begins again with them.
    pub(super) fn adopt(&mut self, offset: Offset, text: &str) -> Result<(), TrainError> {
        let recorded = LearnSettings::from_record(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        let Recorded { settings, ignored } = recorded;
        self.note_ignored(offset, ignored);
        if !settings.models.init.parts.is_empty() && provided(&settings.models.init).is_none() {
            return Err(TrainError::MissingParts(settings.models.init.parts));
        }
        if self.progress.n_learned == 0 {
            let (progress, descriptions) = (self.progress.clone(), std::mem::take(&mut self.descriptions));
            let unsaved = Unsaved { ignored: std::mem::take(&mut self.unsaved.ignored), ..Unsaved::default() };
            let mut fresh = Self { progress, descriptions, unsaved, ..Self::new(settings) };
            // What was told of items is known to the models whatever their settings are.
            fresh.current.take_catalogue(&self.current);
            *self = fresh;
            return Ok(());
        }
        self.current.set_settings(&settings.models, self.settings.seed);
        self.clicks.drop_waiting();
        self.put_in_force(settings);
        self.update_arms();
        Ok(())
    }

    /// Remembers the ignored settings of a record, each once.
    pub(super) fn note_ignored(&mut self, offset: Offset, ignored: Vec<IgnoredSetting>) {
        let known = &mut self.unsaved.ignored;
        for setting in ignored {
            if known.len() < MAX_IGNORED && known.iter().all(|(_, known)| known.key != setting.key) {
                known.push((offset, setting));
            }
        }
    }

    pub(super) fn put_in_force(&mut self, settings: LearnSettings) {
        if settings.weights != self.settings.weights {
            for (code, event_type) in EventType::BUILT_IN.iter().enumerate() {
                self.weights.set(code as u8, settings.weight(event_type));
            }
            self.weights.truncate(EventType::BUILT_IN.len());
        }
        self.settings =
            LearnSettings { seed: self.settings.seed, history_capacity: self.settings.history_capacity, ..settings };
    }

    /// Gives each arm of an experiment models of its own, as the settings say. Arms that have theirs keep them.
    pub(super) fn update_arms(&mut self) {
        let split = self.settings.arms.as_ref();
        if self.current.split_by(split) {
            self.quality.arms = vec![ArmQuality::default(); split.map_or(0, |split| split.arms.len())];
        }
    }
}
