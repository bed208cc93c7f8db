//! A version: what the learner publishes and the server answers from. Immutable; readers hold it as long as they need it.

use accrue_store::Split;

use crate::ranker::ClickHeads;
use crate::{Ensemble, TypeWeights};

/// All models at an offset of the log.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its place among the versions of the log.
    pub number: u64,
    /// The records before this offset were learned.
    pub offset: u64,
    /// The models.
    pub ensemble: Ensemble,
    /// What each type of event is worth.
    pub weights: TypeWeights,
    /// While the arms of an experiment learn separately: which shopper is in which arm, and this version of each arm's
    /// models, in that order.
    pub arms: Option<(Split, Vec<Version>)>,
    /// How probable it is that what is shown is clicked and bought; `None` where nothing learns that.
    pub clicks: Option<ClickHeads>,
}

impl Version {
    /// A version without arms and click heads.
    pub fn new(number: u64, offset: u64, ensemble: Ensemble, weights: TypeWeights) -> Self {
        Self { number, offset, ensemble, weights, arms: None, clicks: None }
    }

    /// The version that answers the shopper with this hash: that of their arm, if arms learn separately. A shopper
    /// without an id is in no arm.
    pub fn of_shopper(&self, shopper: Option<u64>) -> &Self {
        match (&self.arms, shopper) {
            (Some((split, versions)), Some(shopper)) => &versions[split.arm_of(shopper)],
            _ => self,
        }
    }
}
