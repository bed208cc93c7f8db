//! `GET /v1/quality` and `GET /v1/quality/history`: how well the models predict what shoppers do next, now and since the
//! server began.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::{ClickStatus, ContentStatus, GuardStatus, HeadFigures, MemberReport, PictureStatus};
use accrue_store::{RankingReport, RankingState};
use accrue_train::{ArmQuality, Drift, Hits};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::history::HistoryBody;
use super::problem::{Problem, ProblemDocument};
use super::server::Server;

/// Prequential quality: each figure comes from predictions made before the event was learned from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QualityBody {
    /// The published version.
    version: u64,
    /// Records that it has learned from.
    offset: u64,
    /// Records in the log.
    log_end: u64,
    /// Why the learner stopped, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    learner_failed: Option<String>,
    /// Over all predictions.
    all: HitsBody,
    /// Over those of items that the shopper had not chosen before.
    first_time: HitsBody,
    /// Over those of items chosen before.
    repeat: HitsBody,
    /// Hit rate at 20 over about the last 500 predictions.
    recent_hit_rate: f64,
    /// NDCG at 20 over about the last 500 predictions.
    recent_ndcg: f64,
    /// One event in this many is predicted now.
    one_in: u64,
    /// One event in this many is predicted now.
    n_items: u32,
    /// Whether what shoppers do has changed.
    drift: DriftBody,
    /// The current state compared with the last good version.
    guard: GuardBody,
    /// The encoders of items' texts and pictures, if the settings name any.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentBody>,
    /// What choices after searches taught about the order of hits.
    search: SearchBody,
    /// The click heads, where they have learned from impressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    clicks: Option<ClicksBody>,
    /// What models report of their own work, by the name of the report: `fits` of a fitted model.
    #[serde(flatten)]
    members: BTreeMap<&'static str, MemberBody>,
    /// The arms of an experiment, while they learn separately.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arms: Vec<ArmBody>,
}

/// The encoders of items' texts and pictures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContentBody {
    /// Whether texts have the encoder without weights, which compares words and letters and knows no meaning.
    hashed: bool,
    /// The space of its vectors; another encoder has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "5c1f0a9e3b7d2468")]
    space: Option<String>,
    /// Items with a vector of this space.
    encoded: u64,
    /// Items that wait for one.
    waiting: u64,
    /// The pictures, if the settings name an encoder of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pictures: Option<PicturesBody>,
}

/// The encoder of items' pictures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PicturesBody {
    /// Whether it is the one without weights, which compares small gray copies.
    pixels: bool,
    /// Pictures that were encoded since the start.
    encoded: u64,
    /// Items that name a picture which is not in the folder, or cannot be used; they are looked at again every minute.
    missing: u64,
    /// Pictures that could not be used since the start; their items have the vectors of their texts.
    unusable: u64,
    /// Why the last of them could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mug-1: pictures/mug-1.jpg: not a picture; expected JPEG, PNG or WebP")]
    last_error: Option<String>,
}

impl ContentBody {
    fn of(content: &ContentStatus) -> Option<Self> {
        let ContentStatus { space, encoded, waiting, encoder, pictures, .. } = content.clone();
        let pictures = pictures.map(|PictureStatus { encoder, encoded, missing, unusable, last_error }| PicturesBody {
            pixels: encoder == PIXELS,
            encoded,
            missing,
            unusable,
            last_error,
        });
        let is_on = !encoder.is_empty() || pictures.is_some();
        is_on.then(|| Self { hashed: encoder == HASHED, space, encoded, waiting, pictures })
    }
}

/// What choices after searches taught about the order of hits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchQuality)]
pub(super) struct SearchBody {
    /// `learning`: too little is known; `active`: the order uses it; `off`: it made the order worse, so it is not used.
    #[schema(value_type = String, example = "active")]
    state: RankingState,
    /// Choices that were learned.
    #[schema(example = 5120)]
    choices: u64,
    /// What it adds to the mean gain `1/log2(1 + rank)` of what was chosen, over about the latest 2,000 choices, each judged
    /// before it was learned and weighted by how likely its position is looked at.
    #[schema(example = 0.021)]
    gain: f32,
    /// The standard error of the gain.
    #[schema(example = 0.004)]
    gain_error: f32,
    /// What each feature of a hit adds at 1, in units of the score of a usual hit.
    weights: BTreeMap<&'static str, f32>,
}

impl SearchBody {
    fn of(report: &RankingReport) -> Self {
        let RankingReport { state, n_choices, gain, gain_error, weights } = report;
        let weights = weights.iter().copied().collect();
        Self { state: *state, choices: *n_choices, gain: *gain, gain_error: *gain_error, weights }
    }
}

/// The name of the encoder without weights in the settings.
const HASHED: &str = "hashed";
const PIXELS: &str = "pixels";

/// How well clicks, carts and purchases are predicted, each before what followed the impression was known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClicksBody {
    /// Impressions learned.
    impressions: u64,
    /// Impressions whose window has not passed.
    waiting: u64,
    /// Impressions that were not learned from, because `learn.clicks.capacity` waited.
    left_out: u64,
    /// Of `click`, `cart` and `purchase`.
    heads: BTreeMap<&'static str, HeadBody>,
}

/// How well one of them is predicted, over about the last 30,000 impressions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeadBody {
    /// Impressions that were followed by it, since the beginning.
    followed: u64,
    /// Share of impressions that were followed by it.
    rate: f64,
    /// Mean predicted probability.
    predicted: f64,
    /// Probability that an impression that was followed by it got a higher prediction than one that was not.
    auc: f64,
    /// Mean of `-ln p` of what happened.
    logloss: f64,
    /// Mean distance between predicted and observed rates over tenths of the impressions.
    calibration: f64,
    /// The largest of these distances.
    calibration_worst: f64,
}

impl From<&ClickStatus> for ClicksBody {
    fn from(clicks: &ClickStatus) -> Self {
        let head = |&(name, followed, figures): &(&'static str, u64, HeadFigures)| {
            let HeadFigures { rate, predicted, auc, logloss, calibration, calibration_worst } = figures;
            (name, HeadBody { followed, rate, predicted, auc, logloss, calibration, calibration_worst })
        };
        Self {
            impressions: clicks.n_learned,
            waiting: clicks.n_waiting,
            left_out: clicks.n_left_out,
            heads: clicks.heads.iter().map(head).collect(),
        }
    }
}

/// What one model reports of its own work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MemberBody {
    /// Its counters by name: of `fits`, how many were `fitted` and took effect, and how many `failed`, after which the model
    /// before stayed in effect.
    #[serde(flatten)]
    counts: BTreeMap<&'static str, u64>,
    /// Why the last piece of work failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl From<&MemberReport> for MemberBody {
    fn from(report: &MemberReport) -> Self {
        let counts = report.counts.iter().map(|(counter, n)| (counter.field, *n)).collect();
        Self { counts, fault: report.fault.clone() }
    }
}

/// How well the models of one arm predict what its shoppers do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArmBody {
    /// Its name.
    name: String,
    /// Choices of its shoppers since it began.
    choices: u64,
    /// Figures of its own models.
    own: HitsBody,
    /// Figures of the models that learn from all shoppers, over the same choices.
    shared: HitsBody,
}

/// The current state compared with the last good version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GuardBody {
    /// The last good version; 0 before there is one.
    good: u64,
    /// Whether the good version answers, because the current one is on probation after a rollback.
    on_probation: bool,
    /// Rollbacks by alarm.
    alarms: u64,
    /// Windows of records that were undone and not released.
    suspect_windows: u64,
    /// On the choices of the stream.
    stream: NdcgBody,
    /// On the holdout: earlier choices that were not learned as they came.
    anchor: NdcgBody,
}

/// Mean NDCG@20 over the same choices since the tests began, 0 to 1.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NdcgBody {
    /// Choices examined.
    examined: u64,
    /// Of the current version.
    ndcg: f64,
    /// Of the good version.
    ndcg_of_good: f64,
}

impl From<&GuardStatus> for GuardBody {
    fn from(guard: &GuardStatus) -> Self {
        let ndcgs = |(examined, ndcg, ndcg_of_good)| NdcgBody { examined, ndcg, ndcg_of_good };
        Self {
            good: guard.good,
            on_probation: guard.on_probation,
            alarms: guard.alarms,
            suspect_windows: guard.suspect_windows,
            stream: ndcgs(guard.stream),
            anchor: ndcgs(guard.anchor),
        }
    }
}

/// The state of the drift detector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DriftBody {
    /// Choices learned by the blend since its error last changed.
    width: u64,
    /// Mean error over them: one minus the gain of the chosen item among the candidates.
    mean: f64,
    /// Changes of that mean so far, to the better or the worse.
    n_changes: u64,
    /// Changes to the worse among them.
    n_worse: u64,
    /// The record at which the last change was detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_change_offset: Option<u64>,
    /// The current learning-rate multiplier.
    pace: f32,
}

impl From<&Drift> for DriftBody {
    fn from(drift: &Drift) -> Self {
        Self {
            width: drift.width(),
            mean: drift.mean(),
            n_changes: drift.n_changes(),
            n_worse: drift.n_worse(),
            last_change_offset: drift.changes().last().map(|change| change.offset),
            pace: drift.rate_multiplier(),
        }
    }
}

/// Figures over one set of predictions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HitsBody {
    /// Predictions made.
    samples: u64,
    /// Share of predictions with the chosen item among the first 20.
    hit_rate: f64,
    /// Mean NDCG of the first 20.
    ndcg: f64,
}

impl From<&Hits> for HitsBody {
    fn from(hits: &Hits) -> Self {
        Self { samples: hits.samples, hit_rate: hits.hit_rate(), ndcg: hits.ndcg() }
    }
}

fn arm((name, quality): (&String, &ArmQuality)) -> ArmBody {
    let ArmQuality { n_choices, own, shared } = quality;
    ArmBody { name: name.clone(), choices: *n_choices, own: own.into(), shared: shared.into() }
}

/// How well the models predict what shoppers do
#[utoipa::path(
    get,
    path = "/v1/quality",
    tag = "operate",
    responses(
        (status = 200, description = "The current figures", body = QualityBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn quality(State(server): State<Arc<Server>>) -> Result<Json<QualityBody>, Problem> {
    let status = server.engine.status();
    let quality = &status.quality;
    Ok(Json(QualityBody {
        version: status.version,
        offset: status.learned,
        log_end: status.log_end,
        learner_failed: status.learner_failed.clone(),
        all: (&quality.all).into(),
        first_time: (&quality.first_time).into(),
        repeat: (&quality.repeat).into(),
        recent_hit_rate: quality.recent_hit_rate,
        recent_ndcg: quality.recent_ndcg,
        one_in: quality.one_in,
        n_items: quality.n_items,
        drift: (&quality.drift).into(),
        guard: (&status.guard).into(),
        content: ContentBody::of(&status.content),
        search: SearchBody::of(&status.search_ranking),
        clicks: status.clicks.as_ref().map(ClicksBody::from),
        members: status.members.iter().filter_map(|report| Some((report.name?, report.into()))).collect(),
        arms: status.arms.iter().zip(&quality.arms).map(arm).collect(),
    }))
}

/// Quality and load since the server began
///
/// At most 360 samples, evenly spaced. Nothing of it is stored: after a restart it begins anew.
#[utoipa::path(
    get,
    path = "/v1/quality/history",
    tag = "operate",
    responses(
        (status = 200, description = "The curve", body = HistoryBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn history(State(server): State<Arc<Server>>) -> Json<HistoryBody> {
    server.sample();
    Json(server.history.body())
}
