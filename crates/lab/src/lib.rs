//! The laboratory: models measured under published protocols, and the shop simulator, where the truth is known.
//!
//! In: events or files' records as plain values, settings. Out: reports. It uses the learner and the models just as the server does,
//! and knows nothing of the server.

mod arms;
mod auto;
mod calibration;
mod cost;
mod evaluation;
pub mod experiment;
mod html;
mod metrics;
pub mod off_policy;
mod paired;
mod policy;
mod protocol;
pub mod ranking;
mod rating_protocol;
pub mod read;
mod report;
mod risk;
mod settings;
pub mod simulator;
mod stream;

pub use arms::{ArmsReport, ArmsSettings, OverShops, Treatment, evaluate_arms};
pub use auto::{AutoReport, Trial, evaluate_auto};
pub use calibration::{Coverage, CoverageSettings, score_coverage};
pub use cost::Cost;
pub use evaluation::{RankingReport, Request, Stage, evaluate_files};
pub use html::html;
pub use metrics::{Hit, Interval, bootstrap};
pub use paired::{Paired, Ratio, Stretch, compare, predictions_from_text, predictions_to_text};
pub use policy::{Mode, Span};
pub use protocol::{Protocol, ProtocolSettings};
pub use rating_protocol::{RatingReport, evaluate_ratings};
pub use report::{Block, DriftFigures, Report, Week};
pub use risk::{RiskReport, RiskRun, RiskSettings, evaluate_risk};
pub use stream::{LabError, StreamData, StreamSettings, Unit, evaluate_stream};
