//! `POST /v1/predict`: how probable it is that a shopper clicks, puts into the cart and buys what is shown.

use std::sync::Arc;
use std::time::Instant;

use accrue_serve::{PredictRequest, Predicted, Prediction, Visitor};
use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::took_ms;
use super::body;
use super::caller::Caller;
use super::params::{At, MAX_OFFSET, N};
use super::problem::{Problem, ProblemDocument};
use super::search::MAX_QUERY_BYTES;
use super::server::Server;
use super::turns::HeldTurn;

/// Which place each item stands at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderBody {
    /// In the order of the list.
    #[default]
    Listed,
    /// Each as if it stood first: to compare items whatever their order is.
    Any,
}

/// A request for probabilities: a shopper, and the items that a page shows or may show them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user": "u1", "items": ["sku-1", "sku-2"], "scene": "home"}))]
pub(super) struct PredictBody {
    /// The customer.
    #[serde(default, deserialize_with = "accrue_event::sent_id::optional")]
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    #[serde(default, deserialize_with = "accrue_event::sent_id::optional")]
    session: Option<String>,
    /// The items, 1 to 1000, in the order in which the page shows them.
    #[schema(min_items = 1, max_items = 1000)]
    #[serde(deserialize_with = "accrue_event::sent_id::list")]
    items: Vec<String>,
    /// The kind of page, as impressions name it in their property `scene`.
    #[schema(example = "home")]
    scene: Option<String>,
    /// The text that was searched for, on a page of results.
    query: Option<String>,
    /// The kind of device, as impressions name it in their property `device`.
    device: Option<String>,
    /// The place of the first item, from 0, as impressions name it in `position`; the others follow. 0 if left out.
    #[schema(maximum = 10000, default = 0)]
    position: Option<usize>,
    /// Whether the items stand in this order (`listed`, if left out) or each is to be taken as if it stood first (`any`).
    #[serde(default)]
    #[schema(inline)]
    order: OrderBody,
}

impl PredictBody {
    fn into_request(self) -> Result<PredictRequest, Problem> {
        let at = At("");
        at.list("items", self.items.len(), *N.end())?;
        if self.items.is_empty() {
            return Err(at.fault("items", "must have at least 1 element"));
        }
        if let Some(query) = &self.query {
            at.text("query", query, MAX_QUERY_BYTES)?;
        }
        let first = at.count("position", self.position, 0, 0..=MAX_OFFSET)?;
        Ok(PredictRequest {
            visitor: Visitor {
                user: at.id_if("user", self.user.as_deref())?,
                session: at.id_if("session", self.session.as_deref())?,
            },
            items: at.items("items", &self.items, *N.end())?,
            scene: at.name("scene", self.scene)?,
            query: self.query.map(String::into_boxed_str),
            device: at.name("device", self.device)?,
            first_place: (self.order == OrderBody::Listed).then_some(first as u32),
        })
    }
}

/// The probabilities of one item.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PredictedBody {
    /// The item.
    id: String,
    /// P(click): the shopper clicks on it, or chooses it in another way, within the window after it was shown. `null` if
    /// nothing was learned that tells.
    click: Option<f32>,
    /// P(cart): they also put it into the cart, or buy it.
    cart: Option<f32>,
    /// P(purchase): they also buy it.
    purchase: Option<f32>,
}

impl From<Predicted> for PredictedBody {
    fn from(predicted: Predicted) -> Self {
        let [click, cart, purchase] =
            predicted.probabilities.map_or([None; 3], |probabilities| probabilities.map(Some));
        Self { id: predicted.id.as_str().into(), click, cart, purchase }
    }
}

/// Calibrated probabilities, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PredictionBody {
    /// The version of the models.
    version: u64,
    /// Records that it has learned from.
    offset: u64,
    /// Impressions that the probabilities were learned from.
    impressions: u64,
    /// Time inside the server, in milliseconds.
    took_ms: f64,
    /// What could not be done as asked: `no_impressions`, `few_impressions`, `unknown_items`.
    degraded: Vec<&'static str>,
    /// The items in the order of the request.
    items: Vec<PredictedBody>,
}

/// Predict clicks, carts and purchases
///
/// Calibrated probabilities that the shopper clicks on, puts into the cart and buys each item that is shown. They are
/// learned online from impressions (events of the type `impression`) and what followed them within
/// `learn.clicks.window_s` seconds. Without impressions there are no numbers, and `degraded` says `no_impressions`.
#[utoipa::path(
    post,
    path = "/v1/predict",
    tag = "serve",
    request_body = PredictBody,
    responses(
        (status = 200, description = "Probabilities", body = PredictionBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn predict(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    body::Json(body): body::Json<PredictBody>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let request = body.into_request()?;
    let depth = request.items.len();
    caller.charge_page(depth)?;
    let answering = Arc::clone(&server);
    let page = move || {
        let Prediction { version, offset, n_learned, items, degraded } = answering.engine.predict(request);
        let items = items.into_iter().map(PredictedBody::from).collect();
        let took_ms = took_ms(started);
        Ok(Json(PredictionBody { version, offset, impressions: n_learned, took_ms, degraded, items }))
    };
    server.long_pages.compute(depth, &turn, page).await
}
