//! Online models: each learns from every event, and computes columns of numbers for candidates.
//!
//! One file is one model behind [`Member`]; one line of [`registry`] adds it to the ensemble, to the settings
//! (`model.<name>`), to digests, checkpoints, metrics and the tests of the contract. `docs/add-a-model.md` shows how. A
//! model that needs several files has a folder: [`sequence`] (networks over histories), [`two_tower`] (vectors of items
//! and shoppers from what is known of both) and [`fitted`] (models that are fitted on a whole window of choices).

// First, because `registry` uses its macro.
#[macro_use]
mod declare;

pub mod affinity;
pub mod bought_together;
pub mod content;
mod content_map;
pub mod factorization;
pub mod fitted;
pub mod neighbours;
pub mod newness;
pub mod own_visits;
pub mod popularity;
pub mod preference;
pub mod registry;
pub mod repeat;
pub mod replenishment;
pub mod sequence;
mod tower;
pub mod two_tower;

use std::fmt::Debug;

use accrue_event::SettingFault;
use accrue_store::{CheckpointWriter, ItemIdx, SectionSource, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use affinity::{Affinity, AffinitySettings};
pub use content::{Content, ContentSettings};
pub use factorization::{Factorization, FactorizationSettings};
pub use fitted::{Fitted, FittedKind, FittedSettings, PendingFit};
pub use neighbours::{NeighbourSums, Neighbours, NeighboursSettings};
pub use newness::{Newness, NewnessSettings};
pub use own_visits::{OwnVisits, OwnVisitsSettings};
pub use popularity::{Popularity, PopularitySettings};
pub use preference::{Preference, PreferenceSettings, ShopperPreference};
pub use registry::{Members, Part, Settings, Situations, Visitor};
pub use repeat::{OwnItems, Repeat, RepeatSettings};
pub use sequence::{Sequence, SequenceKind, SequenceSettings, ShopperState};
pub use two_tower::{TwoTower, TwoTowerSettings};

use crate::catalogue::Catalogue;
pub use crate::column::{Axis, Column, ReasonKind};
use crate::transfer::{InitSettings, TransferError};
use crate::{Context, Step};

/// Why a section of a checkpoint is not taken: learning would carry the number on for ever.
pub(crate) const NOT_FINITE: &str = "a learned number is not finite";

/// A model that learns from every event.
///
/// The contract, which `crates/train/tests/it/contract.rs` checks for every model of the registry: scoring changes
/// nothing; the same events and seed give the same bytes; a state that was stored and read back behaves as if it had
/// not been; an item or a shopper that was never seen gets a score; no number is infinite or NaN.
pub trait Member: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its settings: the table `model.<name>` of the configuration.
    type Settings: MemberSettings;

    /// What the model derives from one shopper's context, once, for any number of candidates. It is scratch memory: it
    /// is not read after the step or request that it was prepared for.
    type Situation: Clone + Debug + Default + Send;

    /// The numbers that the model computes for a candidate.
    const COLUMNS: &'static [Column];

    /// Version of the stored form. A checkpoint's section with another version is not read.
    const VERSION: u32 = 1;

    /// Whether the model also learns where another one scores alone: it costs next to nothing, and every page needs its
    /// candidates.
    const ALWAYS_LEARNS: bool = false;

    /// Whether the model, where it scores alone, gives many items equal scores, so that popularity has to order those.
    const TIES_BY_POPULARITY: bool = false;

    /// Whether it proposes candidates, so that it is a source of pages too. One that only scores says `false`.
    const RETRIEVES: bool = true;

    /// Whether its candidates are cheap enough to be retrieved for each step of the blend, too.
    const RETRIEVES_FOR_LEARNING: bool = true;

    /// The name under which `GET /v1/quality` shows the counters, if it does.
    const REPORT: Option<&'static str> = None;

    /// What the model counts of its own work, besides what it learns.
    const COUNTERS: &'static [Counter] = &[];

    /// A model that has learned nothing; `None` where the settings switch it off.
    fn new(settings: &Self::Settings, seed: u64) -> Option<Self>;

    /// Changes the settings and keeps what was learned. `false` if what was learned does not fit the new settings: the
    /// caller then creates the model again with [`Member::new`].
    fn set_settings(&mut self, settings: &Self::Settings, seed: u64) -> bool;

    /// Learns one event. `reference` is the same model in the reference state, for models that are regularised towards
    /// it.
    fn learn(
        &mut self,
        step: &Step<'_>,
        catalogue: &Catalogue,
        reference: Option<&Self>,
        situation: &mut Self::Situation,
    );

    /// Reads what the catalogue now knows of an item: it was described, changed, or got a vector. For models that keep
    /// something derived from it, so that a new item can be retrieved before its first event.
    fn describe(&mut self, _item: ItemIdx, _catalogue: &Catalogue) {}

    /// Learns an impression without a choice; the step's weight is negative. Models whose loss only compares items do
    /// nothing.
    fn learn_unchosen(&mut self, _step: &Step<'_>) {}

    /// Reads a shopper's context once, for any number of candidates.
    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, situation: &mut Self::Situation);

    /// Writes the columns of `items`. `out` is `[columns, items]`: all values of the first column, then those of the
    /// second. It is filled with zeros before the call.
    fn columns(&self, catalogue: &Catalogue, situation: &Self::Situation, items: &[ItemIdx], out: &mut [f32]);

    /// Adds at most `limit` candidates for the shopper, in any order. A model without it says so in [`Member::RETRIEVES`].
    fn retrieve(
        &self,
        _catalogue: &Catalogue,
        _context: &Context<'_>,
        _situation: &Self::Situation,
        _limit: usize,
        _out: &mut Vec<ItemIdx>,
    ) {
    }

    /// The standard deviation of the first column for each of `items`, or nothing where the model is a count, which is
    /// known exactly.
    fn deviations(&self, _context: &Context<'_>, _situation: &Self::Situation, _items: &[ItemIdx]) -> Vec<f32> {
        Vec::new()
    }

    /// Updates what scans read to what was learned; called before a state is published.
    fn refresh(&mut self) {}

    /// Drops what [`Member::refresh`] computes, until it computes it again: for a state that is kept and that nothing
    /// scans.
    fn drop_images(&mut self) {}

    /// Writes the model into a section of a checkpoint.
    ///
    /// # Errors
    /// If the section cannot be written.
    fn save(&self, section: &str, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        writer.value(section, Self::VERSION, self)
    }

    /// Reads what [`Member::save`] wrote; `None` if this build cannot use the section.
    ///
    /// # Errors
    /// If the section is damaged.
    fn load(section: &str, source: &mut SectionSource<'_>) -> Result<Option<Self>, StoreError> {
        source.value(section, Self::VERSION)
    }

    /// Refers to the memory of `other` wherever both hold the same values.
    fn share_with(&mut self, _other: &Self) {}

    /// Numbers that were learned.
    fn n_params(&self) -> u64;

    /// Bytes copied by writes after publications.
    fn copied_bytes(&self) -> u64 {
        0
    }

    /// Whether every learned number is finite.
    fn is_finite(&self) -> bool;

    /// The values of [`Member::COUNTERS`], in their order.
    fn counts(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Why the last piece of its work failed, if it did.
    fn fault(&self) -> Option<&str> {
        None
    }

    /// What a model of another shop can begin with, as bytes that only models of its kind read; `None` where nothing means the
    /// same in every shop. No row of an item or a shopper is among it.
    fn part_for_others(&self) -> Option<Vec<u8>> {
        None
    }

    /// Begins with such a part of another shop, if it fits; called before anything is learned.
    fn begin_with(&mut self, _part: &[u8], _settings: &InitSettings) {}

    /// How many of the bytes are such a part, whole and with finite numbers; `None` if they begin with none.
    fn size_of_part(_bytes: &[u8]) -> Option<usize> {
        None
    }
}

/// A number that a model counts of its own work, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Name of the metric, without the prefix and suffix that all have: `fits` is `accrue_fits_total`.
    pub metric: &'static str,
    /// Name of the field in the model's report ([`Member::REPORT`]).
    pub field: &'static str,
    /// What it counts, in one sentence.
    pub help: &'static str,
    /// Whether the metric is 0, not absent, where the model does not learn.
    pub always: bool,
}

/// What a model reports of its own work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// Name of the report, for a model that learns and has one.
    pub name: Option<&'static str>,
    /// Its counters with their values.
    pub counts: Vec<(Counter, u64)>,
    /// Why the last piece of its work failed, if it did.
    pub fault: Option<String>,
}

/// The settings of a [`Member`].
pub trait MemberSettings: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync {
    /// How many candidates the model may retrieve for a page.
    fn candidates(&self) -> usize;

    /// The setting that switches the model off, if one does, with what it would have to be.
    fn switched_off(&self) -> Option<SettingFault> {
        None
    }

    /// Whether the model reads [`Catalogue::facets`] under these settings; otherwise the catalogue does not keep them.
    fn needs_facets(&self) -> bool {
        false
    }

    /// Whether the model is worth a transfer where it scores alone. The blend always is.
    fn begins_alone(&self) -> bool {
        false
    }

    /// Whether a model with these settings can begin with the part of another shop, or without one where that shop has none.
    ///
    /// # Errors
    /// If a size differs, or if there is nothing to take.
    fn fit(&self, _part: Option<&[u8]>) -> Result<(), TransferError> {
        Ok(())
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key does not name the member.
    fn validate(&self) -> Result<(), SettingFault> {
        Ok(())
    }

    /// Refuses values that work, but take so long for each event or page that nothing else is done. Only a configuration is held to this:
    /// a settings record of the log keeps such a value, because it was in force.
    ///
    /// # Errors
    /// As for [`MemberSettings::validate`].
    fn limit(&self) -> Result<(), SettingFault> {
        Ok(())
    }
}

/// The most candidates that a model may retrieve for a page: as many as the list that pages are cut from has places.
pub const MAX_CANDIDATES: usize = 10_000;
/// The most events of one history that a model may read for each event and page.
pub(crate) const MAX_REACH: usize = 1_000;
/// The most items that one item may be paired with.
pub(crate) const MAX_PAIRED: usize = 1 << 16;
