//! Why the stored form of a model cannot be taken: its sizes do not fit each other, or a number in it is not finite.

/// A stored model that does not hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoredFault {
    /// The settings name no model.
    #[error("a model of the kind `none`")]
    NoKind,
    /// The settings are none with which the model could be made.
    #[error("its settings make no model: {0}")]
    Settings(Box<str>),
    /// There are other numbers than the settings ask for.
    #[error("{found:?} numbers of {what}, but its settings make {expected:?}")]
    Sizes {
        /// Which numbers, in their order.
        what: &'static str,
        /// How many are stored of each.
        found: Vec<usize>,
        /// How many there would have to be.
        expected: Vec<usize>,
    },
    /// A fit is due at another time than could be.
    #[error("a fit from {frozen} to {due} does not hold at {n} choices")]
    Fit {
        /// Choices before which the fit learns.
        frozen: u64,
        /// Choices at which it takes effect.
        due: u64,
        /// Choices so far.
        n: u64,
    },
    /// A number is infinite or none.
    #[error("a weight is not finite")]
    NotFinite,
}
