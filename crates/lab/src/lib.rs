//! Evaluation: models measured under published protocols, and a shop simulator in which the truth is known.
//!
//! In: events or the records of files as plain values, and settings. Out: reports. This crate uses the learner and the
//! models as the server does, and knows nothing of the server.

mod arms;
mod auto;
pub mod boosting;
mod calibration;
mod click_protocol;
mod cost;
#[cfg(test)]
mod draw_budget;
mod error;
mod evaluation;
pub mod experiment;
mod html;
pub mod judged;
mod metrics;
pub mod off_policy;
mod paired;
pub mod pictures;
mod policy;
mod protocol;
pub mod ranking;
mod rating_protocol;
pub mod read;
mod report;
mod risk;
pub mod search;
mod settings;
pub mod simulator;
mod stream;
pub mod what_if;

pub use arms::{ArmsReport, ArmsSettings, OverShops, Treatment, evaluate_arms};
pub use auto::{AutoReport, Budget, Trial, evaluate_auto};
pub use calibration::{Coverage, CoverageSettings, score_coverage};
pub use click_protocol::{
    CTR, ClickFigures, ClickReport, ClickRequest, DecileFigures, PredictedClick, evaluate_clicks,
};
pub use cost::Cost;
pub use error::LabError;
pub use evaluation::{DataFigures, Prediction, RankingReport, Request, Stage, evaluate_files};
pub use html::{Run, html, main_metric};
pub use metrics::{Hit, Interval, bootstrap};
pub use paired::{Paired, PairedError, Ratio, Stretch, compare, predictions_from_text, predictions_to_text};
pub use policy::{Mode, Span};
pub use protocol::{Protocol, ProtocolSettings};
pub use rating_protocol::{PredictedRating, RatingReport, evaluate_ratings};
pub use read::{Data, Row, Table};
pub use report::{Block, DriftFigures, ImpressionFigures, Report, Week};
pub use risk::{RiskReport, RiskRun, RiskSettings, evaluate_risk};
pub use stream::{StreamData, StreamSettings, Unit, evaluate_stream};
