//! Transfer: what a shop can begin with because another shop has learned it.
//!
//! In: the models of a source shop. Out: [`Parts`], which mean the same in every shop: rows of facets, maps of content
//! vectors, layers of networks, weights of event types, and the blend's curves. Nothing of a shopper and no row of an item
//! is among them. [`InitSettings`] name the parts by a hash of their bytes, so the settings record of the log says with
//! what the models began, and a replay needs the bytes and not the source.
//!
//! The bytes are kept beside the log by the caller, who makes them known to the process with [`provide`] before models are
//! made. What a hash names never changes, so the models remain a function of the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{PoisonError, RwLock};

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

use crate::blend::Blend;
use crate::ensemble::Ensemble;
use crate::members::sequence::NetworkParts;
use crate::members::two_tower::TowerParts;

/// Version of the bytes of [`Parts`].
const FORMAT: u32 = 1;

/// What the models begin with instead of nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InitSettings {
    /// The hash of the parts; empty for none. `accrue serve --init` and `accrue ingest --init` set it.
    pub parts: String,
    /// Choices for which what was taken stays as it is.
    pub freeze: u64,
    /// Choices after those in which its learning-rate multiplier rises from 0 to 1.
    pub unfreeze: u64,
}

impl Default for InitSettings {
    fn default() -> Self {
        Self { parts: String::new(), freeze: 0, unfreeze: 2_000 }
    }
}

impl InitSettings {
    pub(crate) fn validate(&self) -> Result<(), SettingFault> {
        let is_hash = self.parts.len() == 32 && self.parts.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.parts.is_empty() || is_hash {
            return Ok(());
        }
        Err(SettingFault::new("parts", &*self.parts, "empty, or the hash that `--init from=FOLDER` sets"))
    }

    /// The parts, if they are known to this process.
    pub fn find(&self) -> Option<Arc<Parts>> {
        PROVIDED.read().unwrap_or_else(PoisonError::into_inner).get(&self.parts).cloned()
    }

    /// Whether the settings name parts that this process does not know.
    pub fn is_missing(&self) -> bool {
        !self.parts.is_empty() && self.find().is_none()
    }
}

/// How fast what was taken learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Thaw {
    freeze: u64,
    unfreeze: u64,
}

impl Thaw {
    /// As the settings say.
    pub(crate) fn of(settings: &InitSettings) -> Self {
        Self { freeze: settings.freeze, unfreeze: settings.unfreeze }
    }

    /// The learning-rate multiplier of what was taken, after this many choices.
    pub(crate) fn multiplier(self, n_choices: u64) -> f32 {
        match n_choices.saturating_sub(self.freeze) {
            _ if n_choices < self.freeze => 0.0,
            since if since < self.unfreeze => since as f32 / self.unfreeze as f32,
            _ => 1.0,
        }
    }
}

/// What shops can share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    pub(crate) two_tower: Option<TowerParts>,
    pub(crate) sequence: Option<NetworkParts>,
    pub(crate) content: Option<Vec<f32>>,
    pub(crate) blend: Option<Blend>,
}

/// Why parts cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The bytes are not those of parts that this build reads.
    #[error("these are not parts of models in the form that this build reads ({FORMAT}): {0}")]
    Unreadable(String),
    /// The source's models are of another size.
    #[error("{what} of the source is {found}, but `{key}` is {expected} here; set it to {found}")]
    Shape {
        /// What differs.
        what: &'static str,
        /// As the source has it.
        found: usize,
        /// The setting.
        key: &'static str,
        /// As the settings have it.
        expected: usize,
    },
    /// The target has no model that could take anything.
    #[error("the source has nothing that these models could begin with: {0}")]
    Nothing(&'static str),
}

impl Parts {
    /// What can be taken of these models.
    pub fn of(ensemble: &Ensemble) -> Self {
        let members = &ensemble.members;
        Self {
            two_tower: members.two_tower.as_ref().map(|model| model.parts()),
            sequence: members.sequence.as_ref().map(|model| model.parts()),
            content: members.content.as_ref().map(|model| model.weights().to_vec()),
            blend: Some(ensemble.blend.clone()),
        }
    }

    /// Their bytes, with a version before them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = FORMAT.to_le_bytes().to_vec();
        bytes.extend(postcard::to_stdvec(self).expect("parts are plain numbers"));
        bytes
    }

    /// Reads what [`Parts::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are others.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TransferError> {
        let unreadable = |why: &str| TransferError::Unreadable(why.to_owned());
        let Some((format, rest)) = bytes.split_first_chunk() else { return Err(unreadable("they are cut off")) };
        match u32::from_le_bytes(*format) {
            FORMAT => {}
            other => return Err(TransferError::Unreadable(format!("their form is {other}"))),
        }
        match postcard::take_from_bytes::<Self>(rest) {
            Ok((parts, [])) if parts.is_sound() => Ok(parts),
            Ok((_, [])) => Err(unreadable("a number is missing or not finite")),
            Ok((_, rest)) => Err(TransferError::Unreadable(format!("{} bytes are left over", rest.len()))),
            Err(error) => Err(TransferError::Unreadable(error.to_string())),
        }
    }

    fn is_sound(&self) -> bool {
        self.two_tower.as_ref().is_none_or(TowerParts::is_sound)
            && self.sequence.as_ref().is_none_or(NetworkParts::is_sound)
            && self.content.iter().flatten().all(|weight| weight.is_finite())
            && self.blend.as_ref().is_none_or(|blend| blend.is_whole() && blend.is_finite())
    }

    /// Whether models with these settings can begin with the parts.
    ///
    /// # Errors
    /// If a size differs, or there is nothing to take.
    pub fn fit(&self, settings: &crate::Settings) -> Result<(), TransferError> {
        let takes_towers = settings.switched_off(crate::Part::TwoTower).is_none();
        match &self.two_tower {
            Some(parts) if takes_towers => parts.fit(&settings.two_tower),
            None if takes_towers => {
                Err(TransferError::Nothing("its models were trained without `model.two_tower.enabled = true`"))
            }
            _ if settings.part != crate::Part::Blend => {
                Err(TransferError::Nothing("it is the blend and the two towers that begin with parts of another shop"))
            }
            _ => Ok(()),
        }
    }
}

/// Parts by the hash of their bytes. A name never changes its meaning, so this is a cache and no state.
static PROVIDED: RwLock<BTreeMap<String, Arc<Parts>>> = RwLock::new(BTreeMap::new());

/// Makes parts known to this process. Returns their hash, for [`InitSettings::parts`].
///
/// # Errors
/// If the bytes are not those of parts.
pub fn provide(bytes: &[u8]) -> Result<String, TransferError> {
    let parts = Parts::from_bytes(bytes)?;
    let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes));
    PROVIDED.write().unwrap_or_else(PoisonError::into_inner).insert(hash.clone(), Arc::new(parts));
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_thaws_with_the_choices() {
        let thaw = Thaw { freeze: 100, unfreeze: 50 };
        let at = |n| thaw.multiplier(n);
        assert_eq!([at(0), at(99), at(100), at(125), at(150), at(10_000)], [0.0, 0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(Thaw::default().multiplier(0), 1.0);
    }

    #[test]
    fn damaged_parts_are_refused_and_whole_ones_come_back() {
        let parts = Parts { two_tower: None, sequence: None, content: Some(vec![1.0, 2.0]), blend: None };
        let bytes = parts.to_bytes();
        assert_eq!(Parts::from_bytes(&bytes), Ok(parts));
        for broken in [&bytes[..3], &bytes[..bytes.len() - 1], &[9, 0, 0, 0, 0], &[&bytes[..], &[0]].concat()] {
            assert!(matches!(Parts::from_bytes(broken), Err(TransferError::Unreadable(_))), "{broken:?}");
        }
        let infinite = Parts { two_tower: None, sequence: None, content: Some(vec![f32::NAN]), blend: None };
        assert!(Parts::from_bytes(&infinite.to_bytes()).is_err());
        let settings = InitSettings { parts: provide(&bytes).unwrap(), ..InitSettings::default() };
        assert!(settings.validate().is_ok() && settings.find().is_some() && !settings.is_missing());
        let unknown = InitSettings { parts: "0".repeat(32), ..InitSettings::default() };
        assert!(unknown.validate().is_ok() && unknown.is_missing());
        assert!(InitSettings { parts: "../x".into(), ..InitSettings::default() }.validate().is_err());
    }
}
