//! All fitted models by name: **one entry here adds a model** to `accrue evaluate`, to the contract's tests and to
//! saved files.
//!
//! In: a name and settings from any serde format. Out: a fitted model of a closed set, which saves and loads as one type.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Als, CollaborativeModel, Ease, Fit, FitError, GraphFilter, Interactions, ItemCounts, ItemKnn, Markov, RecentRepeat,
    SampledFactorization, SessionKnn, WeightedBlend,
};
use crate::neural::{Caser, Convolution, Gru, LightGcn, NeuMf, Sequential, Transformer};

/// A fitted Transformer.
pub type SequentialTransformer = Sequential<Transformer>;
/// Fitted gated recurrent units.
pub type SequentialGru = Sequential<Gru>;
/// Fitted convolutions.
pub type SequentialConvolution = Sequential<Convolution>;
/// Fitted filters over the last few items.
pub type SequentialCaser = Sequential<Caser>;

/// Declares [`Kind`], [`AnySettings`] and [`AnyModel`] from one list of models.
macro_rules! models {
    ($($name:literal $what:literal => $model:ident,)+) => {
        /// Which model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $what] $model,)+
        }

        impl Kind {
            /// All models.
            pub const ALL: &'static [Self] = &[$(Self::$model),+];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$model => $name),+ }
            }

            /// What it is, in one sentence.
            pub fn what(self) -> &'static str {
                match self { $(Self::$model => $what),+ }
            }

            /// Its default settings.
            pub fn default_settings(self) -> AnySettings {
                match self { $(Self::$model => AnySettings::$model(Default::default())),+ }
            }

            /// Reads its settings from any serde format; settings that are left out keep their defaults.
            ///
            /// # Errors
            /// The error of the format, if a name or a type is wrong.
            pub fn read_settings<'de, D: Deserializer<'de>>(self, settings: D) -> Result<AnySettings, D::Error> {
                Ok(match self { $(Self::$model => AnySettings::$model(Deserialize::deserialize(settings)?)),+ })
            }
        }

        /// The settings of one model; written as `{name: settings}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum AnySettings {
            $(#[serde(rename = $name)] $model(<$model as CollaborativeModel>::Settings),)+
        }

        impl AnySettings {
            /// The model that they belong to.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$model(_) => Kind::$model),+ }
            }

            /// Fits the model.
            ///
            /// # Errors
            /// The model's; [`FitError::Empty`] if there is no interaction.
            pub fn fit(&self, data: &Interactions, fit: &Fit<'_>) -> Result<AnyModel, FitError> {
                if data.n_interactions() == 0 {
                    return Err(FitError::Empty);
                }
                Ok(match self { $(Self::$model(settings) => AnyModel::$model($model::fit(data, settings, fit)?)),+ })
            }
        }

        /// One fitted model.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum AnyModel {
            $($model($model),)+
        }

        impl AnyModel {
            /// Which model it is.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$model(_) => Kind::$model),+ }
            }

            /// Numbers that were learned.
            pub fn n_params(&self) -> u64 {
                match self { $(Self::$model(model) => model.n_params()),+ }
            }

            /// [`CollaborativeModel::score`].
            pub fn score(&self, history: &[u32], out: &mut [f32]) {
                match self { $(Self::$model(model) => model.score(history, out)),+ }
            }

            /// [`CollaborativeModel::score_batch`].
            pub fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
                match self { $(Self::$model(model) => model.score_batch(histories, out)),+ }
            }
        }
    };
}

models! {
    "popularity" "The items chosen most often." => ItemCounts,
    "item-knn" "Item neighbours by cosine." => ItemKnn,
    "markov" "Which items follow within a few steps of an item." => Markov,
    "repeat" "The items chosen before, by how long ago." => RecentRepeat,
    "session-knn" "Which items came next in the most similar past sessions." => SessionKnn,
    "graph-filter" "A history smoothed over the graph: linear, low-pass, sharpened." => GraphFilter,
    "als" "Matrix factorization by alternating least squares." => Als,
    "ease" "Each item predicted from all others by ridge regression." => Ease,
    "mf" "Matrix factorization by sampled gradients: softmax or pairwise." => SampledFactorization,
    "blend" "Weighted scores of several models." => WeightedBlend,
    "transformer" "A causal Transformer over the history (SASRec)." => SequentialTransformer,
    "gru" "Gated recurrent units over the history (GRU4Rec)." => SequentialGru,
    "convolution" "Dilated causal convolutions over the history (NextItNet)." => SequentialConvolution,
    "caser" "Filters over the last few items as of an image (Caser)." => SequentialCaser,
    "neumf" "The sum of a product and a perceptron (NeuMF), the shopper folded in." => NeuMf,
    "lightgcn" "Item vectors smoothed over the graph of choices (LightGCN)." => LightGcn,
}

impl Kind {
    /// The model with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
