//! The state of all models: the shared models, which learn from all shoppers, and, during an experiment whose arms
//! learn apart, models of each arm, which learn from the shoppers of that arm alone.
//!
//! The shared models do not depend on the arms: with and without them they reach the same bytes. The models of an arm
//! begin as a copy of the shared ones (copy-on-write, so that equal parts take memory once), and differ only by what
//! they learned since. They are sealed, kept and undone with the version that they belong to.

use accrue_model::{Ensemble, Prepared, Settings, Step};
use accrue_store::{CheckpointWriter, SectionSource, Split, StoreError};
use serde::{Deserialize, Serialize};

use crate::lenient;

/// The shared models and those of the arms. The current model is one; each kept version has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelState {
    /// The models that learn from all shoppers.
    pub shared: Ensemble,
    arms: Option<Arms>,
}

/// The models of the arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Arms {
    split: Split,
    /// In the order of the split.
    models: Vec<Ensemble>,
}

impl ModelState {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self { shared: Ensemble::new(settings, seed), arms: None }
    }

    /// The given shared models with the arms of `self`, whose models get the same settings.
    pub(crate) fn with_shared(&self, shared: Ensemble, seed: u64) -> Self {
        let mut arms = self.arms.clone();
        for models in arms.iter_mut().flat_map(|arms| &mut arms.models) {
            models.set_settings(shared.settings.clone(), seed);
        }
        Self { shared, arms }
    }

    /// The split and the models of its arms, in its order; `None` while no arms learn apart.
    pub fn arms(&self) -> Option<(&Split, &[Ensemble])> {
        self.arms.as_ref().map(|arms| (&arms.split, &*arms.models))
    }

    /// [`ModelState::arms`] if the split is this one. A version from before the experiment has no arms, or other ones.
    pub(crate) fn arms_of(&self, split: Option<&Split>) -> Option<(&Split, &[Ensemble])> {
        self.arms().filter(|(known, _)| Some(*known) == split)
    }

    /// The place of the shopper's arm in the split.
    pub(crate) fn arm_of(&self, shopper: u64) -> Option<usize> {
        self.arms.as_ref().map(|arms| arms.split.arm_of(shopper))
    }

    /// Gives each arm of `split` models that begin as copies of the shared ones. With the same split as before nothing
    /// changes. Returns whether arms began or ended.
    pub(crate) fn split_by(&mut self, split: Option<&Split>) -> bool {
        if self.arms.as_ref().map(|arms| &arms.split) == split {
            return false;
        }
        self.arms = split.map(|split| {
            self.shared.refresh();
            Arms { split: split.clone(), models: vec![self.shared.clone(); split.arms.len()] }
        });
        true
    }

    /// Writes the models into a checkpoint, in sections whose names begin with `prefix`.
    ///
    /// # Errors
    /// If the checkpoint cannot be written.
    pub(crate) fn save(&self, writer: &mut CheckpointWriter, prefix: &str) -> Result<(), StoreError> {
        save_models(&self.shared, writer, prefix)?;
        if let Some(Arms { split, models }) = &self.arms {
            writer.value(&format!("{prefix}/arms"), 1, split)?;
            for (place, models) in models.iter().enumerate() {
                save_models(models, writer, &arm_name(prefix, place))?;
            }
        }
        Ok(())
    }

    /// Reads what [`ModelState::save`] wrote. Models whose recorded settings cannot be read get `settings`.
    ///
    /// # Errors
    /// If a section is damaged.
    pub(crate) fn load(
        source: &mut SectionSource<'_>,
        prefix: &str,
        settings: &Settings,
        seed: u64,
    ) -> Result<Self, StoreError> {
        let shared = load_models(source, prefix, settings, seed)?;
        let arms = format!("{prefix}/arms");
        let has_arms = source.checkpoint().section_version(&arms).is_some();
        let split: Option<Split> = if has_arms { source.value(&arms, 1)? } else { None };
        let Some(split) = split else { return Ok(Self { shared, arms: None }) };
        let models = (0..split.arms.len()).map(|place| load_models(source, &arm_name(prefix, place), settings, seed));
        let models = models.collect::<Result<_, _>>()?;
        Ok(Self { shared, arms: Some(Arms { split, models }) })
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Ensemble> {
        std::iter::once(&mut self.shared).chain(self.arms.iter_mut().flat_map(|arms| &mut arms.models))
    }

    /// All models, the shared ones first.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Ensemble> {
        std::iter::once(&self.shared).chain(self.arms.iter().flat_map(|arms| &arms.models))
    }

    /// Makes the same change to all models.
    pub(crate) fn change(&mut self, change: impl FnMut(&mut Ensemble)) {
        self.each().for_each(change);
    }

    /// Learns a choice of the shopper with this hash. `good` is the state of the good version.
    pub(crate) fn learn(&mut self, step: &Step<'_>, shopper: u64, good: Option<&Self>, prepared: &mut Prepared) {
        if let Some(Arms { split, models }) = &mut self.arms {
            let place = split.arm_of(shopper);
            models[place].learn(
                step,
                good.and_then(|good| good.arms_of(Some(split))).map(|(_, models)| &models[place]),
                prepared,
            );
        }
        // The shared models come last, because what `prepared` holds afterwards is read as theirs.
        self.shared.learn(step, good.map(|good| &good.shared), prepared);
    }

    /// Learns that the shopper with this hash was shown an item and did not choose it.
    pub(crate) fn learn_unchosen(&mut self, step: &Step<'_>, shopper: u64) {
        if let Some(Arms { split, models }) = &mut self.arms {
            models[split.arm_of(shopper)].learn_unchosen(step);
        }
        self.shared.learn_unchosen(step);
    }

    pub(crate) fn refresh(&mut self) {
        self.change(Ensemble::refresh);
    }

    pub(crate) fn drop_images(&mut self) {
        self.change(Ensemble::drop_images);
    }

    pub(crate) fn set_settings(&mut self, settings: &Settings, seed: u64) {
        self.change(|models| models.set_settings(settings.clone(), seed));
    }

    /// Copies what `other` knows of the catalogue.
    pub(crate) fn take_catalogue(&mut self, other: &Self) {
        self.change(|models| models.take_catalogue(&other.shared));
    }

    /// Shares the memory of `other` where both are equal, and in the arms that of the shared models.
    pub(crate) fn share_with(&mut self, other: &Self) {
        self.shared.share_with(&other.shared);
        self.share_within();
    }

    /// Makes the models of arms share the memory of the shared models where both are equal.
    pub(crate) fn share_within(&mut self) {
        for models in self.arms.iter_mut().flat_map(|arms| &mut arms.models) {
            models.share_with(&self.shared);
        }
    }
}

fn arm_name(prefix: &str, place: usize) -> String {
    format!("{prefix}/arm-{place}")
}

fn save_models(models: &Ensemble, writer: &mut CheckpointWriter, prefix: &str) -> Result<(), StoreError> {
    let settings = toml::to_string(&models.settings).expect("settings are plain tables of numbers");
    writer.value(&format!("{prefix}/settings"), 1, &settings)?;
    models.save(writer, prefix)
}

fn load_models(
    source: &mut SectionSource<'_>,
    prefix: &str,
    settings: &Settings,
    seed: u64,
) -> Result<Ensemble, StoreError> {
    let name = format!("{prefix}/settings");
    let own = match source.value::<String>(&name, 1)? {
        None => settings.clone(),
        Some(text) => match lenient::read::<Settings>(&text, Settings::works) {
            Ok(recorded) => recorded.settings,
            Err(error) => {
                source.reject(&name, error.to_string());
                settings.clone()
            }
        },
    };
    Ensemble::load(source, prefix, own, seed)
}
