//! A learner in a checkpoint: small sections, each with a version of its own.
//!
//! In: a checkpoint. Out: a learner, also if this build cannot use some of the sections: each of these parts restarts
//! empty and learns from the checkpoint's offset on, and the learner keeps their names ([`RestartedSection`]). Only the
//! core and the list of versions are needed; without them there is no state to go on from.

use accrue_store::{CheckpointWriter, Facts, Offset, SectionSource, StoreError, Unread, UnreadReason};
use serde::{Deserialize, Serialize};

use super::{Learner, Progress, VersionStage};
use crate::LearnSettings;
use crate::descriptions::{Descriptions, FirstFormat};
use crate::lenient::Recorded;
use crate::model_state::ModelState;
use crate::versions::Lineage;

/// Prefix of the sections of the current model. The sections of a kept version have its number instead.
const CURRENT: &str = "learned/current";
/// The section of descriptions.
const DESCRIPTIONS: &str = "learned/descriptions";

/// The section of the click heads.
const CLICKS: &str = "learned/clicks";

/// A section that could not be read from a checkpoint, so that its part of the state restarted empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartedSection {
    /// The section, such as `learned/current/popularity`.
    pub section: Box<str>,
    /// The offset at which it restarted.
    pub from: Offset,
    /// Why it could not be read.
    pub why: Box<str>,
}

impl RestartedSection {
    /// Whether a promotion replaces this part. It does not replace the models of an experiment's arms.
    pub(super) fn is_of_current_models(&self) -> bool {
        self.section.strip_prefix(CURRENT).is_some_and(|rest| rest.starts_with('/') && !rest.starts_with("/arm"))
    }
}

/// The parts of a learner without a section of their own.
#[derive(Serialize, Deserialize)]
struct Core {
    /// In the form that the log keeps, so that they are read as leniently.
    settings: String,
    weights: accrue_model::TypeWeights,
    stage: VersionStage,
    progress: Progress,
    restarted: Vec<RestartedSection>,
}

impl Learner {
    /// Writes the learner into a checkpoint.
    ///
    /// # Errors
    /// If the checkpoint cannot be written.
    pub(crate) fn save(&self, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        let core = Core {
            settings: self.settings.to_record(),
            weights: self.weights.clone(),
            stage: self.stage.clone(),
            progress: self.progress.clone(),
            restarted: self.restarted.clone(),
        };
        writer.value("learned/core", 1, &core)?;
        writer.value("learned/lineage", 1, &self.lineage.listed())?;
        writer.value("learned/histories", 1, &self.histories)?;
        writer.value(DESCRIPTIONS, 2, &self.descriptions)?;
        writer.value("learned/impressions", 1, &self.impressions)?;
        if !self.clicks.is_untouched() {
            writer.value(CLICKS, 1, &self.clicks)?;
        }
        writer.value("learned/guard", 1, &self.guard)?;
        writer.value("learned/quality", 1, &self.quality)?;
        writer.value("learned/resets", 1, &self.resets)?;
        self.current.save(writer, CURRENT)?;
        for (number, state) in self.lineage.kept_states() {
            state.save(writer, &version_name(number))?;
        }
        Ok(())
    }

    /// Reads a learner from a checkpoint; `None` if this build cannot use a section that is needed. Histories and
    /// descriptions that cannot be used are taken from `facts`, which may be some records ahead.
    ///
    /// # Errors
    /// If a section is damaged.
    pub(crate) fn load(source: &mut SectionSource<'_>, facts: Option<&Facts>) -> Result<Option<Self>, StoreError> {
        let Some(core) = source.value::<Core>("learned/core", 1)? else { return Ok(None) };
        let Some(listed) = source.value("learned/lineage", 1)? else { return Ok(None) };
        let Recorded { settings, ignored } = match LearnSettings::from_record(&core.settings) {
            Ok(recorded) => recorded,
            Err(error) => {
                source.reject("learned/core", error.to_string());
                return Ok(None);
            }
        };
        let mut learner = Self::new(settings);
        learner.note_ignored(core.progress.end, ignored);
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
        let descriptions = match source.checkpoint().section_version(DESCRIPTIONS) {
            // Earlier builds did not keep them, and no member learned from them.
            None => None,
            Some(1) => source.value(DESCRIPTIONS, 1)?.and_then(FirstFormat::into_whole),
            Some(_) => source.value(DESCRIPTIONS, 2)?,
        };
        learner.descriptions = descriptions.unwrap_or_else(|| facts.map(Descriptions::of).unwrap_or_default());
        learner.impressions = source.value("learned/impressions", 1)?.unwrap_or_default();
        // Without impressions, and in a checkpoint of an earlier build, there is none.
        if source.checkpoint().section_version(CLICKS).is_some()
            && let Some(clicks) = source.value(CLICKS, 1)?
        {
            learner.clicks = clicks;
        }
        learner.guard = source.value("learned/guard", 1)?.unwrap_or_default();
        learner.quality = source.value("learned/quality", 1)?.unwrap_or_default();
        learner.resets = source.value("learned/resets", 1)?.unwrap_or_default();
        let Core { weights, stage, progress, restarted, .. } = core;
        Ok(Some(Self { weights, stage, progress, restarted, ..learner }))
    }

    /// Keeps the names of the sections that could not be used. If one belongs to the current model, a reset is due at
    /// once.
    pub(crate) fn note_unread(&mut self, unread: &[Unread]) {
        for Unread { section, reason } in unread {
            if *reason == UnreadReason::Unknown || !section.starts_with("learned/") {
                continue;
            }
            self.restarted.retain(|restarted| *restarted.section != **section);
            let (from, why) = (self.progress.end, reason.to_string().into());
            let restarted = RestartedSection { section: section.as_str().into(), from, why };
            if restarted.is_of_current_models() {
                self.resets.make_due();
            }
            self.restarted.push(restarted);
        }
    }
}

fn version_name(number: u64) -> String {
    format!("learned/version-{number}")
}
