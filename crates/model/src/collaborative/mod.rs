//! Models that are fitted on a whole data set. `accrue evaluate` compares them, and a shop can use one as a member of
//! its ensemble.
//!
//! In: [`Interactions`], one history a user, oldest first. Out: a fitted model that scores every item for *a history*.
//! No model keeps a row for a user, so it can score any history, also of a user it never saw. Refuses: an invalid
//! setting, training that diverges ([`FitError`]). A fitted model never returns `NaN`.
//!
//! One file a model, each citing its paper; [`registry`] has one entry for each. All pass the contract in this crate's
//! tests (`tests/it/contract.rs`).

mod als;
mod blend;
mod ease;
mod factorization;
mod graph_filter;
mod interactions;
mod inverse;
mod item_knn;
mod linear;
mod markov;
pub mod parallel;
mod popularity;
pub mod ratings;
pub mod registry;
mod repeat;
mod session_knn;
mod sparse;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use als::{Als, AlsSettings};
pub use blend::{Holdout, Rivals, Scale, WeightedBlend, WeightedBlendSettings};
pub use ease::{Ease, EaseSettings};
pub use factorization::{Loss, SampledFactorization, SampledFactorizationSettings};
pub(crate) use graph_filter::singular_vectors;
pub use graph_filter::{GraphFilter, GraphFilterSettings};
pub use interactions::{Interactions, InteractionsBuilder, Occurrences};
pub use item_knn::{ItemKnn, ItemKnnSettings};
pub use markov::{Markov, MarkovSettings};
pub use popularity::{ItemCounts, ItemCountsSettings};
pub use registry::{AnyModel, AnySettings, Kind};
pub use repeat::{RecentRepeat, RecentRepeatSettings};
pub use session_knn::{SessionKnn, SessionKnnSettings};

/// The inputs of a fit beside data and settings. The result depends on the seed and never on the number of threads.
pub struct Fit<'a> {
    /// Seed of all random numbers.
    pub seed: u64,
    /// Threads that may work at once, at least 1.
    pub threads: usize,
    /// Is called with the progress of training, for progress bars and learning curves.
    pub progress: &'a (dyn Fn(Epoch) + Sync),
    /// Is asked between the steps of long computations; `true` ends the fit with [`FitError::Stopped`].
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl Fit<'_> {
    /// A fit that reports no progress.
    pub fn quiet(seed: u64, threads: usize) -> Fit<'static> {
        Fit { seed, threads, progress: &|_| {}, stop: &|| false }
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`FitError::Stopped`] if the fit is to stop.
    pub(crate) fn go_on(&self) -> Result<(), FitError> {
        if (self.stop)() { Err(FitError::Stopped) } else { Ok(()) }
    }
}

/// One pass over the data is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Passes done, from 1.
    pub done: usize,
    /// Passes planned.
    pub of: usize,
    /// Mean loss of the pass, where the model has one.
    pub loss: Option<f64>,
}

/// A model that is fitted once on all interactions.
///
/// Floats in settings are `f64`, so that they print as they were typed.
pub trait CollaborativeModel: Sized + Send + Sync + Serialize + DeserializeOwned {
    /// The settings: `#[serde(default, deny_unknown_fields)]`, all fields plain numbers, booleans, words.
    type Settings: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + std::fmt::Debug;

    /// Learns from `data`. The same data, settings and seed give the same bytes on any number of threads.
    ///
    /// # Errors
    /// [`FitError`] if a setting is not valid, memory does not suffice or training diverges.
    fn fit(data: &Interactions, settings: &Self::Settings, fit: &Fit<'_>) -> Result<Self, FitError>;

    /// Numbers that were learned.
    fn n_params(&self) -> u64;

    /// Scores every item for a shopper with this history; higher is better. `history: oldest first → out: [n_items]`.
    ///
    /// Pure. The history may be empty and may hold items of `data` that were never trained on; every score is finite.
    fn score(&self, history: &[u32], out: &mut [f32]);

    /// [`score`](Self::score) of several histories, each with the same bits. `out: [histories.len(), n_items]`.
    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let n_items = out.len() / histories.len().max(1);
        for (history, out) in histories.iter().zip(out.chunks_exact_mut(n_items.max(1))) {
            self.score(history, out);
        }
    }
}

/// Why a model was not fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// A setting out of its range.
    #[error("{name}={value}: {expected} is expected")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that are accepted.
        expected: &'static str,
    },
    /// The caller stopped the fit before its end.
    #[error("the fit was stopped before its end")]
    Stopped,
    /// The data has no interactions.
    #[error("there is no interaction to learn from")]
    Empty,
    /// The model panicked, which is a bug in it.
    #[error("the fit panicked; the message is among the server's own")]
    Panicked,
    /// The data is too large for this model.
    #[error("{what} would take {needed_mb} MB, more than max_memory_mb={limit_mb}; {instead}")]
    TooLarge {
        /// The data structure that is too large.
        what: &'static str,
        /// Its size.
        needed_mb: u64,
        /// The limit.
        limit_mb: u64,
        /// A way to avoid it.
        instead: &'static str,
    },
    /// A loss or a parameter is not finite.
    #[error("training diverged in epoch {epoch}: the loss is not a finite number; lower the learning rate or raise l2")]
    Diverged {
        /// Passes begun, from 1.
        epoch: usize,
    },
}

impl FitError {
    /// Checks that a setting is in its range.
    ///
    /// # Errors
    /// [`FitError::Setting`] if `holds` is false.
    pub fn check(
        holds: bool,
        name: &'static str,
        value: impl std::fmt::Display,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Setting { name, value: value.to_string(), expected }) }
    }
}
