//! Models fitted on a whole data set: what the laboratory compares and what a shop starts from.
//!
//! In: [`Interactions`], one history a user, oldest first. Out: a fitted model that scores every item for *a history*. No
//! model keeps a row for a user at answering time: who has a history can be answered, also somebody never seen. Refuses: a
//! setting that makes no sense, training that diverges ([`FitError`]); a fitted model never gives `NaN`.
//!
//! One file a model, each citing its paper; [`registry`] has one line for each. The contract that all of them pass is
//! in this crate's tests (`tests/it/contract.rs`).

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
pub use blend::{Blend, BlendSettings, Holdout, Rivals, Scale};
pub use ease::{Ease, EaseSettings};
pub use factorization::{Factorization, FactorizationSettings, Loss};
pub(crate) use graph_filter::singular_vectors;
pub use graph_filter::{GraphFilter, GraphFilterSettings};
pub use interactions::{Interactions, InteractionsBuilder, Occurrences};
pub use item_knn::{ItemKnn, ItemKnnSettings};
pub use markov::{Markov, MarkovSettings};
pub use popularity::{Popularity, PopularitySettings};
pub use registry::{AnyModel, AnySettings, Kind};
pub use repeat::{Repeat, RepeatSettings};
pub use session_knn::{SessionKnn, SessionKnnSettings};

/// What a fit is given beside data and settings. The result depends on the seed and never on the number of threads.
pub struct Fit<'a> {
    /// Of all randomness.
    pub seed: u64,
    /// Threads that may work at once, at least 1.
    pub threads: usize,
    /// Hears how training goes, for progress bars and learning curves.
    pub progress: &'a (dyn Fn(Epoch) + Sync),
}

impl Fit<'_> {
    /// A fit that tells nobody how it goes.
    pub fn quiet(seed: u64, threads: usize) -> Fit<'static> {
        Fit { seed, threads, progress: &|_| {} }
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
    /// What can be set; `#[serde(default, deny_unknown_fields)]`, all fields plain numbers, booleans, words.
    type Settings: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + std::fmt::Debug;

    /// Learns from `data`. The same data, settings and seed give the same bytes on any number of threads.
    ///
    /// # Errors
    /// [`FitError`] if a setting makes no sense, memory would not suffice or training diverges.
    fn fit(data: &Interactions, settings: &Self::Settings, fit: &Fit<'_>) -> Result<Self, FitError>;

    /// Numbers that were learned.
    fn n_params(&self) -> u64;

    /// Scores every item for somebody with this past; higher is better. `history: oldest first → out: [n_items]`.
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

/// Why a model cannot be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// A setting out of its range.
    #[error("{name}={value}: {expected}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Nothing to learn from.
    #[error("there is no interaction to learn from")]
    Empty,
    /// A fault of the model.
    #[error("the fit panicked; the message is among the server's own")]
    Panicked,
    /// The data is too large for this model.
    #[error("{what} would take {needed_mb} MB, more than max_memory_mb={limit_mb}; {instead}")]
    TooLarge {
        /// What would be stored.
        what: &'static str,
        /// How much it would take.
        needed_mb: u64,
        /// How much may be taken.
        limit_mb: u64,
        /// What to do about it.
        instead: &'static str,
    },
    /// A loss or a parameter stopped being a finite number.
    #[error("training diverged in epoch {epoch}: the loss is no finite number; lower the learning rate or raise l2")]
    Diverged {
        /// Passes begun, from 1.
        epoch: usize,
    },
}

impl FitError {
    /// Checks that a setting lies in its range.
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
