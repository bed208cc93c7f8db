//! `GET /v1/quality`: how well the models foresee what shoppers do next.

use std::sync::Arc;

use accrue_train::Hits;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Server;
use super::problem::{Problem, ProblemDocument};

/// Prequential quality: each figure comes from predictions made before the event was learned from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QualityBody {
    /// The published version.
    version: u64,
    /// Records that it has learned from.
    offset: u64,
    /// Records in the log.
    log_end: u64,
    /// What stopped the learner, if something did.
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
    /// One event in so many is predicted now.
    one_in: u64,
    /// Items to choose from at the last prediction.
    n_items: u32,
}

/// Figures over one set of predictions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HitsBody {
    /// Predictions made.
    samples: u64,
    /// Share of predictions with the right item among the first 20.
    hit_rate: f64,
    /// Mean NDCG of the first 20.
    ndcg: f64,
}

impl From<&Hits> for HitsBody {
    fn from(hits: &Hits) -> Self {
        Self { samples: hits.samples, hit_rate: hits.hit_rate(), ndcg: hits.ndcg() }
    }
}

/// How well the models foresee what shoppers do
#[utoipa::path(
    get,
    path = "/v1/quality",
    tag = "operate",
    responses(
        (status = 200, description = "The figures now", body = QualityBody),
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
    }))
}
