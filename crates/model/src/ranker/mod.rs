//! Click models: whether a shopper acts on an item, from the features of the moment in which it was shown.
//!
//! In: rows of features, categorical ([`Feature`]) or measured ([`Moments`]), with labels. Out: probabilities. One file
//! a model, each citing its paper; [`registry`] has one entry for each. All pass the contract in this crate's tests
//! (`tests/it/click_contract.rs`). Refuses: an invalid setting, training that diverges
//! ([`FitError`](crate::collaborative::FitError)).
//!
//! In the server [`ClickHeads`] learn P(click), P(cart) and P(purchase) online, from impressions and what followed them.
//!
//! A network is a forward pass behind [`ClickNetwork`]; [`NetworkModel`] trains any of them. [`Pairs`] needs no network
//! and one pass. [`FittedClicks`] fits a [`ClickModel`] in passes with early stopping, and calibrates it.

mod calibration_curve;
mod dcn;
mod deep_fm;
mod final_mlp;
mod fit;
mod fm;
mod head_quality;
mod heads;
mod impression;
mod measure;
mod model;
mod moments;
mod network;
mod pairs;
pub mod registry;
mod rows;
mod settings;
mod training;

pub use calibration_curve::CalibrationCurve;
pub use dcn::{Dcn, DcnSettings};
pub use deep_fm::{DeepFm, DeepFmSettings};
pub use final_mlp::{FinalMlp, FinalMlpSettings};
pub use fit::{Calibration, ClickData, FittedClicks};
pub use fm::{Fm, FmSettings};
pub use head_quality::{HeadFigures, HeadQuality};
pub use heads::{ClickHeads, Followed, Foreseen, HEADS, N_HEADS};
pub(crate) use impression::located;
pub use impression::{ColumnNames, ItemFeatures, Keys, PageFeatures, moment};
pub use measure::{DECILES, Decile, auc, calibration_error, deciles, log_loss};
pub use model::ClickModel;
pub use moments::Moments;
pub use network::{ClickInput, ClickNetwork};
pub use pairs::{Pairs, PairsSettings};
pub use registry::{AnyClickSettings, AnyFittedClicks, AnyOnlineClicks, ClickKind};
pub use rows::{ClickRows, ClickShape, Feature};
pub use settings::ClickTraining;
pub use training::NetworkModel;
