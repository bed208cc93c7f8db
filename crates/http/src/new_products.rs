//! `/v1/new/products`: the library of new products, and what showing them costs.

use std::sync::Arc;

use accrue_engine::DrawStatus;
use accrue_event::Timestamp;
use accrue_serve::NewListed;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::params::{At, Params};
use super::problem::{Problem, ProblemDocument};
use super::server::Server;

/// Products of an answer, at most.
const MAX: usize = 100;

/// The query parameters of the library.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LibraryParams {
    /// Number of products: 1 to 100, 40 if left out.
    #[param(minimum = 1, maximum = 100)]
    n: Option<usize>,
}

/// The library of new products.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewProducts)]
pub(super) struct LibraryBody {
    /// What showing them costs; absent before the first answer on which one could have stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<TrialBody>,
    /// The latest first.
    products: Vec<NewProductBody>,
}

/// Answers in which new products may stand, those beside them in which they may not, and the cost: of the current window
/// of the budget.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewProductsTrial)]
pub(super) struct TrialBody {
    /// Answers in which new products may stand.
    answers_with: u64,
    /// Clicks on them.
    clicks_with: u64,
    /// Answers in which they may not, and could have.
    answers_without: u64,
    /// Clicks on them.
    clicks_without: u64,
    /// Clicks that new products cost, estimated; below 0 where answers with them are clicked more often.
    cost: f64,
    /// The most that they cost, with 95 % probability at all times together.
    cost_at_most: f64,
    /// Clicks that they may cost in a window; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<f64>,
    /// Whether none is shown any more in this window.
    spent: bool,
}

/// A product of the library.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewProduct)]
pub(super) struct NewProductBody {
    /// The item.
    #[schema(example = "sku-9")]
    id: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Since when it is in the shop.
    #[schema(value_type = String, example = "2026-11-21T10:00:00Z")]
    since: Timestamp,
    /// Whether it may stand in places for new products.
    is_new: bool,
    /// How often it was shown, wherever it stood.
    impressions: u64,
    /// How often it was clicked on pages.
    clicks: u64,
    /// Answers in which it was drawn into a place for new products.
    draws: u64,
    /// The probability of a click that is expected by its category, brand and price.
    expected: f32,
    /// The same with what is known of it.
    estimated: f32,
    /// How unlike its description is to what the shop had before, 0 to 1; absent without a description that says
    /// anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    novelty: Option<f32>,
}

impl From<DrawStatus> for TrialBody {
    fn from(status: DrawStatus) -> Self {
        let DrawStatus { drawn, others, cost, budget, is_spent } = status;
        Self {
            answers_with: drawn.answers,
            clicks_with: drawn.clicks,
            answers_without: others.answers,
            clicks_without: others.clicks,
            cost: cost.estimate,
            cost_at_most: cost.at_most,
            budget,
            spent: is_spent,
        }
    }
}

/// New products, and how well each is known
///
/// What is shown in the places that scenes have for new products (`new_products`), with impressions, clicks and draws of
/// each, and what that costs in clicks.
#[utoipa::path(
    get,
    path = "/v1/new/products",
    tag = "operate",
    params(LibraryParams),
    responses(
        (status = 200, description = "The library", body = LibraryBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn library(
    State(server): State<Arc<Server>>,
    Params(params): Params<LibraryParams>,
) -> Result<Json<LibraryBody>, Problem> {
    let n = At("").count("n", params.n, 40, 1..=MAX)?;
    let listed = server.engine.library(n);
    let products = server.engine.with_shop(|shop| {
        let body = |new: &NewListed| {
            let described = shop.facts.described(new.item)?;
            Some(NewProductBody {
                id: described.own().id.to_string(),
                title: described.title().map(str::to_owned),
                since: Timestamp(new.since_ms),
                is_new: new.is_new,
                impressions: new.shown.impressions,
                clicks: new.shown.clicks,
                draws: new.draws,
                expected: new.expected,
                estimated: new.estimated,
                novelty: new.novelty,
            })
        };
        listed.iter().filter_map(body).collect()
    });
    Ok(Json(LibraryBody { trial: server.engine.status().new_products.map(TrialBody::from), products }))
}
