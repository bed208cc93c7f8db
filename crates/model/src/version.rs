//! A version: what the learner publishes and the server answers from. Immutable; readers hold it as long as they need it.

use crate::{Ensemble, TypeWeights};

/// All models as they stood at an offset of the log.
#[derive(Clone, Debug)]
pub struct Version {
    /// Counts publications since the learner started.
    pub number: u64,
    /// The records before this offset were learned.
    pub offset: u64,
    /// The models.
    pub ensemble: Ensemble,
    /// What each type of event is worth.
    pub weights: TypeWeights,
}
