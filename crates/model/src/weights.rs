//! The weight that a learner gives to each type of event.

use accrue_event::EventType;
use serde::{Deserialize, Serialize};

/// Codes of event types run from 0 to below this: ten built-in ones, then those that the shop defines.
pub const MAX_TYPES: usize = 64;

/// Weight by type code. The built-in types have the codes of their order, custom ones follow as the settings name them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeWeights(Vec<Option<f32>>);

impl TypeWeights {
    /// The weight of a type; 0 for a code that was never set.
    pub fn get(&self, type_code: u8) -> f32 {
        self.0.get(usize::from(type_code)).copied().flatten().unwrap_or(0.0)
    }

    /// Whether the weight of this code was set.
    pub fn knows(&self, type_code: u8) -> bool {
        self.0.get(usize::from(type_code)).is_some_and(Option::is_some)
    }

    /// Drops the weights of codes from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Sets the weight of a type.
    pub fn set(&mut self, type_code: u8, weight: f32) {
        assert!(usize::from(type_code) < MAX_TYPES && weight.is_finite(), "type codes are below {MAX_TYPES}");
        if self.0.len() <= usize::from(type_code) {
            self.0.resize(usize::from(type_code) + 1, None);
        }
        self.0[usize::from(type_code)] = Some(weight);
    }
}

impl Default for TypeWeights {
    fn default() -> Self {
        Self(
            EventType::BUILT_IN
                .iter()
                .map(|event_type| match event_type {
                    EventType::Impression | EventType::Search => 0.0,
                    EventType::View => 0.3,
                    EventType::Click => 0.4,
                    EventType::Favorite => 0.7,
                    EventType::Cart => 0.8,
                    EventType::Purchase | EventType::Rating => 1.0,
                    EventType::Return | EventType::Dislike => -1.0,
                    EventType::Custom(_) => unreachable!("built-in types only"),
                })
                .map(Some)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_was_skipped_can_be_set_later() {
        let mut weights = TypeWeights::default();
        weights.set(12, 0.5);
        assert!(weights.knows(12) && !weights.knows(11) && weights.get(11) == 0.0);
        weights.set(11, 0.2);
        assert_eq!((weights.get(11), weights.get(12)), (0.2, 0.5));
        weights.truncate(12);
        assert!(weights.knows(11) && !weights.knows(12) && !weights.knows(63));
    }
}
