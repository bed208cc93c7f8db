//! `/v1/search`: hits for a text, ordered for the shopper.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use accrue_engine::Answered;
use accrue_serve::{SearchAnswer, SearchRequest, Visitor};
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::caller::Caller;
use super::fields::FieldNames;
use super::params::{At, MAX_OFFSET, N, Params};
use super::problem::{Problem, ProblemDocument};
use super::recommend::{ArmBody, PERSONS_LEFT_OUT, RecommendedBody, VariantsBody, took_ms};
use super::server::Server;

/// Longest text to search for, in bytes.
const MAX_QUERY_BYTES: usize = 1024;
/// How far the shopper's own scores may move a hit by default.
const PERSONALISATION: f32 = 0.5;

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": "red mug", "user": "u1", "n": 20, "filter": "price:..20"}))]
pub(super) struct SearchBody {
    /// What the shopper typed (also read as `q`).
    #[serde(alias = "q")]
    query: String,
    /// The customer.
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    session: Option<String>,
    /// The kind of device (`phone`, `desktop`), as events name it in their property `device`. It counts where the model
    /// `affinity` is enabled.
    device: Option<String>,
    /// Number of hits: 1 to 1000, 10 if left out.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    n: Option<usize>,
    /// Hits to skip from the top, for the next page: 0 to 10000.
    #[schema(maximum = 10000, default = 0)]
    offset: Option<usize>,
    /// What may be shown.
    filter: Option<String>,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[schema(inline)]
    variants: VariantsBody,
    /// How far the shopper's own scores may move a hit: 0 is neutral, 1 is strong, 0.5 if left out.
    #[serde(alias = "personalization")]
    #[schema(minimum = 0, maximum = 1, default = 0.5)]
    personalisation: Option<f32>,
    /// What the answer says of each hit beside its id: names such as `title`, `price`, `image`, `attributes.colour`, as a
    /// list or with commas between them. A variant has from its product what it lacks.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["title", "price", "image"]))]
    fields: FieldNames,
    /// Whether each hit comes with its reasons.
    #[serde(default)]
    explain: bool,
}

/// The query parameters of `GET /v1/search`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// What the shopper typed (also read as `query`).
    #[serde(alias = "query")]
    #[param(example = "red mug")]
    q: String,
    /// The customer.
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    session: Option<String>,
    /// The kind of device: `phone`, `desktop`.
    device: Option<String>,
    /// Number of hits: 1 to 1000, 10 if left out.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<usize>,
    /// Hits to skip from the top: 0 to 10000.
    offset: Option<usize>,
    /// What may be shown.
    #[param(example = "price:..20 AND brand:Acme")]
    filter: Option<String>,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[param(inline)]
    variants: VariantsBody,
    /// How far the shopper's own scores may move a hit: 0 is neutral, 1 is strong, 0.5 if left out.
    #[serde(alias = "personalization")]
    personalisation: Option<f32>,
    /// What the answer says of each hit beside its id, with commas between the names. A variant has from its product what
    /// it lacks.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "title,price,image")]
    fields: FieldNames,
    /// Whether each hit comes with its reasons.
    #[serde(default)]
    explain: bool,
}

/// An answer to a search.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SearchAnswerBody {
    /// Id of this answer; send it back as `recommendation_id` with the events that it leads to.
    #[schema(example = "67408f1ab3c2-20")]
    search_id: String,
    /// Version of the models that ordered the hits.
    #[schema(example = 412)]
    version: u64,
    /// Products that match and may be shown; items with `variants=all`.
    #[schema(example = 37)]
    total: usize,
    /// Time inside the server, in milliseconds.
    #[schema(example = 1.3)]
    took_ms: f64,
    /// What could not be done as requested; empty if everything was done. `stale_index`: the search index failed, and until it is built
    /// again latest changes of the catalogue are missing.
    #[schema(value_type = Vec<String>, example = json!([]))]
    degraded: Vec<&'static str>,
    /// The experiment that is running, and the shopper's arm of it; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment: Option<ArmBody>,
    /// Best first.
    hits: Vec<RecommendedBody>,
}

impl SearchBody {
    /// Without what a caller with a key for browsers may not ask; whether anything was left out.
    fn without_persons(self, caller: &Caller) -> (Self, bool) {
        if caller.may_know_persons() {
            return (self, false);
        }
        let is_changed = self.user.is_some() || self.explain;
        (Self { user: None, explain: false, ..self }, is_changed)
    }
}

impl Server {
    fn search(&self, body: SearchBody, caller: &Caller) -> Result<Json<SearchAnswerBody>, Problem> {
        let started = Instant::now();
        let at = At("");
        let fields = body.fields.read(at)?;
        let (body, is_changed) = body.without_persons(caller);
        at.text("query", &body.query, MAX_QUERY_BYTES)?;
        let request = SearchRequest {
            query: body.query,
            visitor: Visitor {
                user: at.id_if("user", body.user.as_deref())?,
                session: at.id_if("session", body.session.as_deref())?,
            },
            device: at.name("device", body.device)?,
            n: at.count("n", body.n, 10, N)?,
            offset: at.count("offset", body.offset, 0, 0..=MAX_OFFSET)?,
            filter: at.filter(body.filter.as_deref(), &self.engine)?,
            grouping: body.variants.into(),
            personalisation: at.share("personalisation", body.personalisation, PERSONALISATION)?,
            part: None,
            explain: body.explain,
        };
        caller.charge_page(request.n)?;
        let search_id = self.ids.next();
        let Answered { answer, arm } = self.engine.search(&search_id, request)?;
        let SearchAnswer { version, total, mut degraded, hits, .. } = answer;
        degraded.extend(is_changed.then_some(PERSONS_LEFT_OUT));
        if total == 0 {
            self.metrics.searches_without_result.fetch_add(1, Ordering::Relaxed);
        }
        let experiment = arm.as_ref().map(ArmBody::from);
        let hits = fields.of(&self.engine, hits);
        Ok(Json(SearchAnswerBody { search_id, version, total, took_ms: took_ms(started), degraded, experiment, hits }))
    }
}

/// Search the catalogue
///
/// For a key with the scope `search` and without `read`, `user` and `explain` are left out, and `degraded` says
/// `persons_left_out`.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "serve",
    request_body = SearchBody,
    responses(
        (status = 200, description = "Hits, best first", body = SearchAnswerBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post_search(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    body::Json(body): body::Json<SearchBody>,
) -> Result<Json<SearchAnswerBody>, Problem> {
    server.search(body, &caller)
}

/// Search the catalogue with query parameters
#[utoipa::path(
    get,
    path = "/v1/search",
    tag = "serve",
    params(SearchParams),
    responses(
        (status = 200, description = "Hits, best first", body = SearchAnswerBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_search(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<SearchParams>,
) -> Result<Json<SearchAnswerBody>, Problem> {
    let SearchParams { q: query, user, session, device, n, offset, filter, variants, personalisation, fields, explain } =
        params;
    let body =
        SearchBody { query, user, session, device, n, offset, filter, variants, personalisation, fields, explain };
    server.search(body, &caller)
}
