//! What a checkpoint keeps of a learner: small sections, each with a version of its own.
//!
//! In: a checkpoint. Out: a learner, even where this build cannot use some of the sections: those parts begin anew and learn from there
//! on, and the learner says which. Only its core and the list of versions are needed: without them nothing could be gone on from.

use accrue_store::{CheckpointWriter, Facts, Offset, SectionSource, StoreError, Unread, UnreadReason};
use serde::{Deserialize, Serialize};

use super::Learner;
use crate::LearnSettings;
use crate::descriptions::Descriptions;
use crate::lenient::Recorded;
use crate::model_state::ModelState;
use crate::versions::Lineage;

/// What section names of the models that learn begin with; a kept version's have its number.
const CURRENT: &str = "learned/current";
/// The section of descriptions.
const DESCRIPTIONS: &str = "learned/descriptions";

/// A part that could not be taken from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunAnew {
    /// The section, such as `learned/current/popularity`.
    pub section: Box<str>,
    /// The records before this one it knows nothing of.
    pub from: Offset,
    /// Why it could not be taken.
    pub why: Box<str>,
}

impl BegunAnew {
    /// Whether a promotion replaces it. Arms of an experiment go on as they are.
    pub(super) fn is_of_current_models(&self) -> bool {
        self.section.strip_prefix(CURRENT).is_some_and(|rest| rest.starts_with('/') && !rest.starts_with("/arm"))
    }
}

/// What of a learner has no section of its own.
#[derive(Serialize, Deserialize)]
struct Core {
    /// As the log keeps them, so that they are read as leniently.
    settings: String,
    weights: accrue_model::TypeWeights,
    on_probation: bool,
    since_sealed: u64,
    since_good: u64,
    undone: u64,
    n_alarms: u64,
    n_learned: u64,
    n_repeats_passed: u64,
    end: Offset,
    received_ms: i64,
    begun_anew: Vec<BegunAnew>,
}

impl Learner {
    /// Writes it into a checkpoint.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn save(&self, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        let core = Core {
            settings: self.settings.to_record(),
            weights: self.weights.clone(),
            on_probation: self.on_probation,
            since_sealed: self.since_sealed,
            since_good: self.since_good,
            undone: self.undone,
            n_alarms: self.n_alarms,
            n_learned: self.n_learned,
            n_repeats_passed: self.n_repeats_passed,
            end: self.end,
            received_ms: self.received_ms,
            begun_anew: self.begun_anew.clone(),
        };
        writer.value("learned/core", 1, &core)?;
        writer.value("learned/lineage", 1, &self.lineage.listed())?;
        writer.value("learned/histories", 1, &self.histories)?;
        writer.value(DESCRIPTIONS, 1, &self.descriptions)?;
        writer.value("learned/impressions", 1, &self.impressions)?;
        writer.value("learned/guard", 1, &self.guard)?;
        writer.value("learned/quality", 1, &self.quality)?;
        writer.value("learned/resets", 1, &self.resets)?;
        self.current.save(writer, CURRENT)?;
        for (number, state) in self.lineage.kept_states() {
            state.save(writer, &version_name(number))?;
        }
        Ok(())
    }

    /// Reads it from a checkpoint; `None` if this build cannot use what is needed of it. Where histories cannot be used they are taken from
    /// `facts`, which may have run ahead by some records.
    ///
    /// # Errors
    /// If a section is damaged.
    pub(crate) fn load(source: &mut SectionSource<'_>, facts: Option<&Facts>) -> Result<Option<Self>, StoreError> {
        let Some(core) = source.value::<Core>("learned/core", 1)? else { return Ok(None) };
        let Some(listed) = source.value("learned/lineage", 1)? else { return Ok(None) };
        let Recorded { settings, passed_over } = match LearnSettings::from_record(&core.settings) {
            Ok(recorded) => recorded,
            Err(error) => {
                source.reject("learned/core", error.to_string());
                return Ok(None);
            }
        };
        let mut learner = Self::new(settings);
        learner.note_passed_over(core.end, passed_over);
        let (models, seed) = (learner.settings.models.clone(), learner.settings.seed);
        learner.current = ModelState::load(source, CURRENT, &models, seed)?;
        let mut kept = Vec::new();
        for number in Lineage::kept_of(&listed) {
            kept.push((number, ModelState::load(source, &version_name(number), &models, seed)?));
        }
        learner.lineage = Lineage::of(listed, kept);
        learner.histories = match source.value("learned/histories", 1)? {
            Some(histories) => histories,
            None => facts.map_or(learner.histories, |facts| facts.histories.clone()),
        };
        // Earlier builds did not keep them, and no member learned from them.
        let has_descriptions = source.checkpoint().section_version(DESCRIPTIONS).is_some();
        let descriptions = if has_descriptions { source.value(DESCRIPTIONS, 1)? } else { None };
        learner.descriptions = descriptions.unwrap_or_else(|| facts.map(Descriptions::of).unwrap_or_default());
        learner.impressions = source.value("learned/impressions", 1)?.unwrap_or_default();
        learner.guard = source.value("learned/guard", 1)?.unwrap_or_default();
        learner.quality = source.value("learned/quality", 1)?.unwrap_or_default();
        learner.resets = source.value("learned/resets", 1)?.unwrap_or_default();
        learner.weights = core.weights;
        learner.on_probation = core.on_probation;
        (learner.since_sealed, learner.since_good, learner.undone) = (core.since_sealed, core.since_good, core.undone);
        (learner.n_alarms, learner.n_learned) = (core.n_alarms, core.n_learned);
        (learner.n_repeats_passed, learner.begun_anew) = (core.n_repeats_passed, core.begun_anew);
        (learner.end, learner.received_ms) = (core.end, core.received_ms);
        Ok(Some(learner))
    }

    /// Remembers which sections could not be used. If one is of the models that learn, a server learns all of them again from the log as
    /// soon as it may.
    pub(crate) fn note_unread(&mut self, unread: &[Unread]) {
        for Unread { section, reason } in unread {
            if *reason == UnreadReason::Unknown || !section.starts_with("learned/") {
                continue;
            }
            self.begun_anew.retain(|begun| *begun.section != **section);
            let begun = BegunAnew { section: section.as_str().into(), from: self.end, why: reason.to_string().into() };
            if begun.is_of_current_models() {
                self.resets.call_for_one();
            }
            self.begun_anew.push(begun);
        }
    }
}

fn version_name(number: u64) -> String {
    format!("learned/version-{number}")
}
