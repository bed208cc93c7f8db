//! All click models by name: **one entry here adds a model** to `accrue evaluate --protocol ctr` and to the tests of the
//! contract.
//!
//! In: a name and settings from any serde format. Out: a fitted model, or one that learns from a stream.

use accrue_tensor::TensorError;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Calibration, ClickData, ClickModel, ClickRows, ClickShape, ClickTraining, Dcn, DeepFm, FinalMlp, FittedClicks, Fm,
    NetworkModel, Pairs,
};
use crate::collaborative::{Fit, FitError};

/// A trained factorization machine.
pub type FmModel = NetworkModel<Fm>;
/// A trained DeepFM.
pub type DeepFmModel = NetworkModel<DeepFm>;
/// A trained DCN-v2.
pub type DcnModel = NetworkModel<Dcn>;
/// A trained FinalMLP.
pub type FinalMlpModel = NetworkModel<FinalMlp>;

/// A fitted click model of any kind.
pub trait AnyFittedClicks: Send + Sync {
    /// The calibrated probability of each row.
    fn probabilities(&self, rows: &ClickRows, threads: usize) -> Vec<f32>;

    /// The line from logits to those of calibrated probabilities.
    fn calibration(&self) -> Calibration;

    /// Numbers that were learned.
    fn n_params(&self) -> u64;
}

impl<M: ClickModel> AnyFittedClicks for FittedClicks<M> {
    fn probabilities(&self, rows: &ClickRows, threads: usize) -> Vec<f32> {
        Self::probabilities(self, rows, threads)
    }

    fn calibration(&self) -> Calibration {
        Self::calibration(self)
    }

    fn n_params(&self) -> u64 {
        Self::n_params(self)
    }
}

/// A click model of any kind that learns from a stream.
pub trait AnyOnlineClicks: Send {
    /// [`ClickModel::grow`].
    fn grow(&mut self, n_rows: usize);

    /// [`ClickModel::predict_and_learn`].
    ///
    /// # Errors
    /// If the loss or a gradient is not finite.
    fn predict_and_learn(
        &mut self,
        rows: &ClickRows,
        first: usize,
        threads: usize,
        out: &mut [f32],
    ) -> Result<(), TensorError>;

    /// [`ClickModel::logits`].
    fn logits(&self, rows: &ClickRows, threads: usize, out: &mut [f32]);

    /// Numbers that were learned.
    fn n_params(&self) -> u64;
}

/// A model with its settings.
struct Online<M: ClickModel> {
    model: M,
    settings: M::Settings,
}

impl<M: ClickModel> AnyOnlineClicks for Online<M> {
    fn grow(&mut self, n_rows: usize) {
        self.model.grow(n_rows);
    }

    fn predict_and_learn(
        &mut self,
        rows: &ClickRows,
        first: usize,
        threads: usize,
        out: &mut [f32],
    ) -> Result<(), TensorError> {
        self.model.predict_and_learn(rows, first, &self.settings, threads, out)
    }

    fn logits(&self, rows: &ClickRows, threads: usize, out: &mut [f32]) {
        self.model.logits(rows, 0, threads, out);
    }

    fn n_params(&self) -> u64 {
        self.model.n_params()
    }
}

/// Declares [`ClickKind`] and [`AnyClickSettings`] from one list of models.
macro_rules! click_models {
    ($($name:literal $what:literal => $model:ident,)+) => {
        /// Which click model.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum ClickKind {
            $(#[doc = $what] $model,)+
        }

        impl ClickKind {
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
            pub fn default_settings(self) -> AnyClickSettings {
                match self { $(Self::$model => AnyClickSettings::$model(Default::default())),+ }
            }

            /// Reads its settings from any serde format; settings that are left out keep their defaults.
            ///
            /// # Errors
            /// The error of the format, if a type is wrong.
            pub fn read_settings<'de, D: Deserializer<'de>>(self, settings: D) -> Result<AnyClickSettings, D::Error> {
                Ok(match self { $(Self::$model => AnyClickSettings::$model(Deserialize::deserialize(settings)?)),+ })
            }
        }

        /// The settings of one click model; written as `{name: settings}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum AnyClickSettings {
            $(#[serde(rename = $name)] $model(<$model as ClickModel>::Settings),)+
        }

        impl AnyClickSettings {
            /// The model that they belong to.
            pub fn kind(&self) -> ClickKind {
                match self { $(Self::$model(_) => ClickKind::$model),+ }
            }

            /// The settings of training.
            pub fn training(&self) -> &ClickTraining {
                match self { $(Self::$model(settings) => <$model as ClickModel>::training(settings)),+ }
            }

            /// Fits the model.
            ///
            /// # Errors
            /// [`FitError`] if there is nothing to learn from, a setting is not valid or training diverges.
            pub fn fit(&self, data: ClickData<'_>, fit: &Fit<'_>) -> Result<Box<dyn AnyFittedClicks>, FitError> {
                Ok(match self {
                    $(Self::$model(settings) => Box::new(FittedClicks::<$model>::fit(data, settings, fit)?)),+
                })
            }

            /// The model before it has learned anything, for a stream.
            ///
            /// # Errors
            /// [`FitError::Setting`] if a setting is not valid.
            pub fn online(&self, shape: ClickShape, seed: u64) -> Result<Box<dyn AnyOnlineClicks>, FitError> {
                Ok(match self {
                    $(Self::$model(settings) => {
                        let model = <$model as ClickModel>::new(settings, shape, seed)?;
                        Box::new(Online { model, settings: settings.clone() })
                    }),+
                })
            }
        }
    };
}

click_models! {
    "pairs" "A weight for every pair of features, and field-aware vectors, learned row by row." => Pairs,
    "fm" "A factorization machine." => FmModel,
    "deepfm" "A factorization machine and a perceptron over the same vectors (DeepFM)." => DeepFmModel,
    "dcn-v2" "Cross layers beside a perceptron (DCN-v2)." => DcnModel,
    "finalmlp" "Two perceptrons joined by a bilinear form (FinalMLP)." => FinalMlpModel,
}

impl ClickKind {
    /// The model with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
