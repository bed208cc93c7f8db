//! What a checkpoint keeps of an ensemble: a section for each model, with a version of its own.
//!
//! In: a checkpoint. Out: an ensemble, even if this build cannot use some of the sections: such a member is in its
//! initial state, and the others are read as they are.

use accrue_store::{CheckpointWriter, SectionSource, StoreError};

use super::Ensemble;
use crate::blend::Blend;
use crate::catalogue::Catalogue;
use crate::members::{Member, NOT_FINITE, Settings, Visitor};

/// Version of the sections of the blend and of the catalogue.
const VERSION: u32 = 1;

impl Ensemble {
    /// Writes the sections; their names begin with `prefix`. The settings are not among them, because the caller stores
    /// them.
    ///
    /// # Errors
    /// If a section cannot be written.
    pub fn save(&self, writer: &mut CheckpointWriter, prefix: &str) -> Result<(), StoreError> {
        let mut sections = Sections { writer, prefix, outcome: Ok(()) };
        self.members.visit(&mut sections);
        sections.outcome?;
        writer.value(&format!("{prefix}/blend"), VERSION, &self.blend)?;
        writer.value(&format!("{prefix}/catalogue"), VERSION, self.catalogue.items())?;
        if let Some(facets) = self.catalogue.kept_facets() {
            writer.value(&format!("{prefix}/facets"), VERSION, facets)?;
        }
        match self.catalogue.vectors() {
            vectors if vectors.is_empty() => Ok(()),
            vectors => writer.value(&format!("{prefix}/vectors"), VERSION, vectors),
        }
    }

    /// Reads what [`Ensemble::save`] wrote, under the settings that it had.
    ///
    /// # Errors
    /// If a section is damaged.
    pub fn load(
        source: &mut SectionSource<'_>,
        prefix: &str,
        settings: Settings,
        seed: u64,
    ) -> Result<Self, StoreError> {
        let mut ensemble = Self::new(settings, seed);
        ensemble.members.load(source, prefix)?;
        let section = format!("{prefix}/blend");
        if let Some(blend) = source.value::<Blend>(&section, VERSION)? {
            match blend.is_finite() {
                true => ensemble.blend = blend,
                false => source.reject(&section, NOT_FINITE.into()),
            }
        }
        let items = source.value(&format!("{prefix}/catalogue"), VERSION)?.unwrap_or_default();
        let vectors = format!("{prefix}/vectors");
        let vectors = match source.checkpoint().section_version(&vectors) {
            // No item had a vector.
            None => None,
            Some(_) => source.value(&vectors, VERSION)?,
        };
        let needs_facets = ensemble.settings.needs_facets();
        let facets = if needs_facets { source.value(&format!("{prefix}/facets"), VERSION)? } else { None };
        ensemble.catalogue = Catalogue::of(items, vectors.unwrap_or_default(), facets);
        ensemble.catalogue.keep_facets(needs_facets);
        ensemble.blend.set_columns(&ensemble.members.columns());
        Ok(ensemble)
    }
}

/// Writes a section for each member.
struct Sections<'a> {
    writer: &'a mut CheckpointWriter,
    prefix: &'a str,
    outcome: Result<(), StoreError>,
}

impl Visitor for Sections<'_> {
    fn visit<M: Member>(&mut self, name: &'static str, member: &M) {
        if self.outcome.is_ok() {
            self.outcome = member.save(&format!("{}/{name}", self.prefix), self.writer);
        }
    }
}
