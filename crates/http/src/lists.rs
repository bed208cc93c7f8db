//! Lists that are the same for every visitor: items like one item, what is popular, what is new.

use std::sync::Arc;
use std::time::Instant;

use accrue_engine::{Engine, EngineError};
use accrue_event::ItemId;
use accrue_serve::{IncompleteItems, ListRequest, Recommendation};
use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{IncompleteBody, RecommendationBody, VariantsBody};
use super::caller::Caller;
use super::fields::{FieldNames, Fields, refuse_private};
use super::params::{At, Id, N, Params};
use super::problem::{Problem, ProblemDocument};
use super::server::Server;
use super::turns::HeldTurn;

/// The query parameters of lists without a shopper.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Number of items: 1 to 1000, 10 if left out.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<usize>,
    /// What may be shown.
    #[param(example = "category:mugs")]
    filter: Option<String>,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[param(inline)]
    variants: VariantsBody,
    /// Whether items at price 0 or without a title may be recommended: `hide` or `show`; what the configuration says if
    /// left out.
    #[param(inline)]
    incomplete: Option<IncompleteBody>,
    /// What the answer says of each item beside its id, with commas between the names. A variant has from its product
    /// what it lacks.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "title,price,image")]
    fields: FieldNames,
}

impl ListParams {
    fn into_request(self, engine: &Engine, caller: &Caller) -> Result<(ListRequest, Fields), Problem> {
        let fields = self.fields.read(At(""))?.for_caller(caller);
        let list = ListRequest {
            n: At("").count("n", self.n, 10, N)?,
            filter: refuse_private(At("").filter(self.filter.as_deref(), engine)?, caller)?,
            grouping: self.variants.into(),
            incomplete: self.incomplete.map(IncompleteItems::from),
        };
        Ok((list, fields))
    }
}

impl Server {
    /// Answers with a list.
    async fn list(
        self: &Arc<Self>,
        params: ListParams,
        caller: Caller,
        turn: &HeldTurn,
        of: impl FnOnce(&Engine, &ListRequest) -> Result<Recommendation, EngineError> + Send + 'static,
    ) -> Result<Response, Problem> {
        let started = Instant::now();
        let (list, fields) = params.into_request(&self.engine, &caller)?;
        let depth = list.n;
        caller.charge_page(depth)?;
        let server = Arc::clone(self);
        let page = move || {
            let recommendation = caller.filtering(list.filter.is_some(), || of(&server.engine, &list))?;
            Ok(Json(server.recommendation(server.ids.next(), recommendation, &fields, started)))
        };
        self.long_pages.compute(depth, turn, page).await
    }
}

/// Items like this one
#[utoipa::path(
    get,
    path = "/v1/items/{id}/similar",
    tag = "serve",
    params(("id" = String, Path, description = "The item's id", example = "sku-9"), ListParams),
    responses(
        (status = 200, description = "Items, most similar first", body = RecommendationBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn similar(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    Id(id): Id,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    server.list(params, caller, &turn, move |engine, list| engine.similar(&ItemId::new(id), list)).await
}

/// The most popular items
#[utoipa::path(
    get,
    path = "/v1/trending",
    tag = "serve",
    params(ListParams),
    responses(
        (status = 200, description = "Items, most popular first", body = RecommendationBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn trending(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    server.list(params, caller, &turn, move |engine, list| engine.trending(list)).await
}

/// The newest items
#[utoipa::path(
    get,
    path = "/v1/new",
    tag = "serve",
    params(ListParams),
    responses(
        (status = 200, description = "Items, newest first", body = RecommendationBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn new_items(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    server.list(params, caller, &turn, move |engine, list| engine.new_items(list)).await
}
