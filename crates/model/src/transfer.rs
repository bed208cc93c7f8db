//! Transfer, as members see it: how much of what was learned they can hand on, and how fast what was taken learns.
//!
//! [`InitSettings`] name what models begin with. A member writes its part by [`part`] and reads that of another shop by
//! [`read_part`]; how the parts of all members are kept and named is in [`parts`](crate::parts).

use std::collections::BTreeMap;

use accrue_event::SettingFault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The parts of members by their names, as each of them writes and reads its own.
pub(crate) type PartsOfMembers = BTreeMap<&'static str, Vec<u8>>;

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

    pub(crate) fn limit(&self) -> Result<(), SettingFault> {
        SettingFault::check("freeze", self.freeze, ..=1 << 40)?;
        SettingFault::check("unfreeze", self.unfreeze, ..=1 << 40)
    }
}

/// How the learning rate of what was taken rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RateRamp {
    freeze: u64,
    unfreeze: u64,
}

impl RateRamp {
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

/// A part of a member as bytes.
pub(crate) fn part(part: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(part).expect("parts are plain numbers")
}

/// What [`part`] wrote, if the bytes are that and nothing else.
pub(crate) fn read_part<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::take_from_bytes(bytes).ok().filter(|(_, rest)| rest.is_empty()).map(|(part, _)| part)
}

/// How many of the bytes are a part of this type for which `is_sound` holds.
pub(crate) fn size_if<T: DeserializeOwned>(bytes: &[u8], is_sound: impl FnOnce(&T) -> bool) -> Option<usize> {
    let (part, rest) = postcard::take_from_bytes(bytes).ok()?;
    is_sound(&part).then(|| bytes.len() - rest.len())
}

/// Why parts cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The bytes are not those of parts that this build reads.
    #[error("these are not parts of models in a form that this build reads: {0}")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_learns_faster_with_the_choices() {
        let ramp = RateRamp { freeze: 100, unfreeze: 50 };
        let at = |n| ramp.multiplier(n);
        assert_eq!([at(0), at(99), at(100), at(125), at(150), at(10_000)], [0.0, 0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(RateRamp::default().multiplier(0), 1.0);
    }
}
