//! `/v1/suggest`: what a shopper who is typing may want.

use std::sync::Arc;

use accrue_serve::{MAX_SUGGESTIONS, SuggestRequest, Suggestion, SuggestionKind, Visitor};
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::params::{At, Params};
use super::problem::{Problem, ProblemDocument};
use super::recommend::PERSONS_LEFT_OUT;
use super::search::MAX_QUERY_BYTES;
use super::server::Server;

/// The query parameters of `GET /v1/suggest`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SuggestParams {
    /// What the shopper has typed so far (also read as `query`).
    #[serde(alias = "query")]
    #[param(example = "red mu")]
    q: String,
    /// The customer, whose categories come first.
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    session: Option<String>,
    /// Number of suggestions: 1 to 50, 10 if left out.
    #[param(minimum = 1, maximum = 50)]
    n: Option<usize>,
}

/// Suggestions for a text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suggestions)]
pub(super) struct SuggestionsBody {
    /// Best first.
    suggestions: Vec<SuggestionBody>,
    /// What could not be done as requested; absent if everything was done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    degraded: Vec<&'static str>,
}

/// A suggestion.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suggestion)]
pub(super) struct SuggestionBody {
    /// Plain text, as the shop writes it.
    #[schema(value_type = String, example = "Red mug")]
    text: Box<str>,
    /// What it is: `item`, `category`, `brand`, or `query`, which is what other shoppers searched for.
    #[schema(value_type = String, example = "item")]
    kind: SuggestionKind,
    /// The item, for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "sku-9")]
    id: Option<Box<str>>,
}

/// Suggest what a shopper may want
///
/// Titles, brands and categories whose words begin like what was typed, also with typing errors. Only what a page may
/// show is suggested. For a key with the scope `search` and without `read`, `user` is left out, and `degraded` says
/// `persons_left_out`.
#[utoipa::path(
    get,
    path = "/v1/suggest",
    tag = "serve",
    params(SuggestParams),
    responses(
        (status = 200, description = "Suggestions, best first", body = SuggestionsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn suggest(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<SuggestParams>,
) -> Result<Json<SuggestionsBody>, Problem> {
    let at = At("");
    at.text("q", &params.q, MAX_QUERY_BYTES)?;
    let is_left_out = params.user.is_some() && !caller.may_know_persons();
    let user = params.user.filter(|_| !is_left_out);
    let request = SuggestRequest {
        query: params.q,
        visitor: Visitor {
            user: at.id_if("user", user.as_deref())?,
            session: at.id_if("session", params.session.as_deref())?,
        },
        n: at.count("n", params.n, 10, 1..=MAX_SUGGESTIONS)?,
    };
    caller.charge_page(request.n)?;
    let body = |Suggestion { text, kind, id }| SuggestionBody { text, kind, id };
    let suggestions = server.engine.suggest(request).into_iter().map(body).collect();
    let degraded = is_left_out.then_some(PERSONS_LEFT_OUT).into_iter().collect();
    Ok(Json(SuggestionsBody { suggestions, degraded }))
}
